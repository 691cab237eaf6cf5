/* The table in the terminal: a line for each try, and what there is to say of findings below. */
#include "bench/lab/results.h"

#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define WIDTH_WITH_SETTINGS 106
#define WIDTH_WITH_ALL      148

static void caught_up(const struct try_result *t, char out[24])
{
    snprintf(out, 24, t->caught_up_ms < 0 ? "never" : "%.1f ms", t->caught_up_ms);
}

/* How much of a row there is room for: who is not on a terminal gets all of it. */
struct shown {
    bool settings, costs; /* length, rate and backlog; bytes, forks, delay, lost writes */
};

static struct shown shown_on(FILE *out)
{
    struct winsize size = {0};
    if (!isatty(fileno(out)) || ioctl(fileno(out), TIOCGWINSZ, &size) != 0 || !size.ws_col)
        return (struct shown){true, true};
    return (struct shown){.settings = size.ws_col >= WIDTH_WITH_SETTINGS, .costs = size.ws_col >= WIDTH_WITH_ALL};
}

static void print_heads(struct shown shown, FILE *out)
{
    fprintf(out, "\n%-20s %-18s ", "master:replica", "fault");
    if (shown.settings) fprintf(out, "%6s %6s %7s ", "length", "rate", "backlog");
    fprintf(out, "%-8s %-8s %11s ", "expected", "was", "caught up");
    if (shown.costs) fprintf(out, "%10s %5s %8s %8s %6s ", "bytes", "forks", "peak MiB", "worst ms", "lost");
    fputc('\n', out);
}

static void print_costs(const struct try_result *t, FILE *out)
{
    char lost[24] = "-";
    if (t->writes_lost >= 0) snprintf(lost, sizeof lost, "%" PRId64, t->writes_lost);
    fprintf(out, "%10" PRIu64 " %5lld %8.1f %8.1f %6s ", t->bytes_again, t->forks,
            (double)t->track.peak_bytes / (1 << 20), (double)t->track.worst_delay_us / 1000, lost);
}

static void print_row(const struct result *r, struct shown shown, FILE *out)
{
    const struct cell *c = &r->cell;
    const struct try_result *t = &r->got;
    char pair[48], length[24], rate[24], backlog[24], up[24];
    snprintf(pair, sizeof pair, "%.20s:%.20s", c->master->name, c->replica->name);
    grid_time_text(c->length_ms, length);
    grid_size_text((int64_t)c->bytes_per_s, rate);
    grid_size_text((int64_t)c->backlog_bytes, backlog);
    caught_up(t, up);
    bool ran = t->verdict == VERDICT_AS_PREDICTED || t->verdict == VERDICT_FINDING;
    fprintf(out, "%-20s %-18s ", pair, c->fault->name);
    if (shown.settings) fprintf(out, "%6s %6s %7s ", length, rate, backlog);
    fprintf(out, "%-8s %-8s %11s ", ran ? granted_name(t->predicted.granted) : "-",
            ran ? granted_name(t->on_wire) : "-", ran ? up : "-");
    if (shown.costs && ran) print_costs(t, out);
    if (shown.costs && !ran) fprintf(out, "%10s %5s %8s %8s %6s ", "-", "-", "-", "-", "-");
    fprintf(out, " %s\n", verdict_name(t->verdict));
}

static void print_sentence(const struct result *r, FILE *out)
{
    char command[RESULT_COMMAND_BYTES];
    result_command(r, command);
    fprintf(out, "\n%s, %s:%s: %s\n", r->cell.fault->name, r->cell.master->name, r->cell.replica->name,
            r->got.sentence);
    if (r->got.verdict != VERDICT_NOT_HERE) fprintf(out, "  again: slipstream-lab %s\n", command);
}

void report_table(const struct results *r, FILE *out)
{
    struct shown shown = shown_on(out);
    print_heads(shown, out);
    for (int i = 0; i < r->count; i++) print_row(r->list[i], shown, out);
    for (int i = 0; i < r->count; i++)
        if (r->list[i]->got.sentence[0]) print_sentence(r->list[i], out);
    fprintf(out, "\n%d tries, %d findings, seed %" PRIu64 "\n", r->count, results_findings(r), r->seed);
}
