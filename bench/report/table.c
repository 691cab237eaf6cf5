/* The table in the terminal: a block for each part, a line for each row and server. */
#include "bench/report/rows.h"

#include <math.h>
#include <string.h>

static void put_value(double value, FILE *out)
{
    if (isnan(value))
        fprintf(out, " %10s", "-");
    else
        fprintf(out, " %10.*f", fabs(value) >= 10000 ? 0 : fabs(value) >= 100 ? 1 : 3, value);
}

/* Better or worse than the baseline, if the interval lets one say so; and the target, if there is one. */
static void put_comparison(const struct row *row, int server, FILE *out)
{
    struct comparison c = comparison_of(row->better, &row->of[server], &row->of[0]);
    const struct row_target *t = &row->targets[server];
    if (server && !isnan(c.ratio)) {
        fprintf(out, "  %7.3f", c.ratio);
        if (c.verdict != NOT_COMPARED) fprintf(out, " [%.3f, %.3f]", c.interval.low, c.interval.high);
        if (row->better != NEITHER_IS_BETTER && c.verdict != NOT_COMPARED) fprintf(out, " %s", comparison_words(&c));
    }
    if (t->text[0]) fprintf(out, "  %s: %s", t->text, t->met ? "met" : "MISSED");
}

void rows_table(const struct rows *r, FILE *out)
{
    const char *part = "";
    for (int s = 0; s < r->server_count; s++)
        fprintf(out, "%-12s %s%s%s%s\n", r->servers[s].name, r->servers[s].version,
                s ? "" : "  (the baseline of ratios)", r->servers[s].note[0] ? "; " : "", r->servers[s].note);
    if (r->what[0]) fprintf(out, "%s\n", r->what);
    for (int i = 0; i < r->count; i++) {
        const struct row *row = &r->list[i];
        bool named = false;
        if (strcmp(part, row->part) != 0)
            fprintf(out, "\n%-44s %-8s %-12s %10s %10s %10s\n", row->part, "", "", "median", "min", "max");
        part = row->part;
        for (int s = 0; s < r->server_count; s++) {
            struct summary of = samples_summary(&row->of[s]);
            if (!row->of[s].count) continue;
            fprintf(out, "%-44s %-8s %-12s", named ? "" : row->name, named ? "" : row->unit, r->servers[s].name);
            named = true;
            put_value(of.median, out);
            put_value(of.min, out);
            put_value(of.max, out);
            put_comparison(row, s, out);
            fputc('\n', out);
        }
    }
    fprintf(out, "\nseed %llu\n", (unsigned long long)r->seed);
}
