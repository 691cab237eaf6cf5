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

/* Better or worse than the baseline, if the interval lets one say so. */
static void put_comparison(const struct row *row, int server, FILE *out)
{
    double ratio = samples_summary(&row->of[server]).median / samples_summary(&row->of[0]).median;
    struct interval i = samples_ratio(&row->of[server], &row->of[0]);
    if (server == 0 || !isfinite(ratio)) return;
    fprintf(out, "  %7.3f", ratio);
    if (isnan(i.low)) return;
    fprintf(out, " [%.3f, %.3f]", i.low, i.high);
    if (row->better == NEITHER_IS_BETTER) return;
    if (i.low <= 1 && i.high >= 1)
        fputs(" no difference that this run can show", out);
    else
        fputs((i.low > 1) == (row->better == MORE_IS_BETTER) ? " better" : " worse", out);
}

void rows_table(const struct rows *r, FILE *out)
{
    const char *part = "";
    for (int s = 0; s < r->server_count; s++)
        fprintf(out, "%-12s %s%s\n", r->servers[s].name, r->servers[s].version, s ? "" : "  (the baseline of ratios)");
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
