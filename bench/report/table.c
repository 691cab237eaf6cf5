/* The table in the terminal, as wide as that is: a block for each part, a line for each row and server. */
#include "bench/report/rows.h"

#include <math.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define NAME_MOST       44
#define VALUE_WIDTH     11
#define RATIO_WIDTH     26 /* "  0.998 [0.935, 1.058]", and a blank */
#define WIDTH_OF_WORDS  36 /* "no difference that this run can show" */
#define WIDTH_OF_BRIEFS 13 /* "no difference" */

/* How much of a row there is room for: who is not on a terminal gets all of it. */
struct shown {
    int name, server; /* columns' widths */
    bool spread;      /* min and max */
    bool words;       /* a verdict in full */
};

static void put_value(double value, FILE *out)
{
    if (isnan(value))
        fprintf(out, " %10s", "-");
    else
        fprintf(out, " %10.*f", fabs(value) >= 10000 ? 0 : fabs(value) >= 100 ? 1 : 3, value);
}

static int longest_name(const struct rows *r)
{
    size_t longest = 0;
    for (int i = 0; i < r->count; i++) {
        size_t len = strlen(r->list[i].name);
        if (len > longest) longest = len;
    }
    return longest < NAME_MOST ? (int)longest : NAME_MOST;
}

static struct shown shown_on(const struct rows *r, FILE *out)
{
    struct winsize size = {0};
    struct shown s = {longest_name(r), 0, true, true};
    for (int i = 0; i < r->server_count; i++)
        if (s.server < (int)strlen(r->servers[i].name)) s.server = (int)strlen(r->servers[i].name);
    if (out != stdout || !isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || !size.ws_col)
        return s;
    int least = s.name + s.server + (int)strlen("  unit12 ") + VALUE_WIDTH + RATIO_WIDTH;
    s.words = size.ws_col >= least + 2 * VALUE_WIDTH + WIDTH_OF_WORDS;
    s.spread = size.ws_col >= least + 2 * VALUE_WIDTH + WIDTH_OF_BRIEFS;
    return s;
}

/* Better or worse than the baseline, if the interval lets one say so; and the target, if there is one. */
static void put_comparison(const struct row *row, int server, const struct shown *shown, FILE *out)
{
    struct comparison c = comparison_of(row->better, &row->of[server], &row->of[0]);
    const struct row_target *t = &row->targets[server];
    if (server && !isnan(c.ratio)) {
        fprintf(out, "  %7.3f", c.ratio);
        if (c.verdict != NOT_COMPARED) fprintf(out, " [%.3f, %.3f]", c.interval.low, c.interval.high);
        if (row->better != NEITHER_IS_BETTER && c.verdict != NOT_COMPARED)
            fprintf(out, " %.*s", shown->words ? WIDTH_OF_WORDS : WIDTH_OF_BRIEFS, comparison_words(&c));
    }
    if (t->text[0]) fprintf(out, "  %s: %s", t->text, t->met ? "met" : "MISSED");
}

static void put_heads(const char *part, const struct shown *shown, FILE *out)
{
    fprintf(out, "\n%-*s %-8s %-*s %10s", shown->name, part, "", shown->server, "", "median");
    if (shown->spread) fprintf(out, " %10s %10s", "min", "max");
    fputc('\n', out);
}

static void put_row(const struct row *row, const struct rows *r, const struct shown *shown, FILE *out)
{
    bool named = false;
    for (int s = 0; s < r->server_count; s++) {
        struct summary of = samples_summary(&row->of[s]);
        if (!row->of[s].count) continue;
        fprintf(out, "%-*s %-8s %-*s", shown->name, named ? "" : row->name, named ? "" : row->unit, shown->server,
                r->servers[s].name);
        named = true;
        put_value(of.median, out);
        if (shown->spread) {
            put_value(of.min, out);
            put_value(of.max, out);
        }
        put_comparison(row, s, shown, out);
        fputc('\n', out);
    }
}

void rows_table(const struct rows *r, FILE *out)
{
    const char *part = "";
    struct shown shown = shown_on(r, out);
    for (int s = 0; s < r->server_count; s++)
        fprintf(out, "%-12s %s%s%s%s\n", r->servers[s].name, r->servers[s].version,
                s ? "" : "  (the baseline of ratios)", r->servers[s].note[0] ? "; " : "", r->servers[s].note);
    if (r->what[0]) fprintf(out, "%s\n", r->what);
    for (int i = 0; i < r->count; i++) {
        if (strcmp(part, r->list[i].part) != 0) put_heads(r->list[i].part, &shown, out);
        part = r->list[i].part;
        put_row(&r->list[i], r, &shown, out);
    }
    if (!shown.words) fputs("\n\"no difference\": none that this run can show\n", out);
    fprintf(out, "\nseed %llu\n", (unsigned long long)r->seed);
}
