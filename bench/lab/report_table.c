/* The table in the terminal: a line for each try, and what there is to say of findings below. */
#include "bench/lab/results.h"

#include <inttypes.h>
#include <string.h>

static void caught_up(const struct try_result *t, char out[24])
{
    snprintf(out, 24, t->caught_up_ms < 0 ? "never" : "%.1f ms", t->caught_up_ms);
}

static void print_row(const struct result *r, FILE *out)
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
    fprintf(out, "%-20s %-18s %6s %6s %7s ", pair, c->fault->name, length, rate, backlog);
    if (ran)
        fprintf(out, "%-8s %-8s %11s %10" PRIu64 " %5lld %8.1f  ", granted_name(t->predicted.granted),
                granted_name(t->on_wire), up, t->bytes_again, t->forks, (double)t->track.worst_delay_us / 1000);
    else
        fprintf(out, "%-8s %-8s %11s %10s %5s %8s  ", "-", "-", "-", "-", "-", "-");
    fprintf(out, "%s\n", verdict_name(t->verdict));
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
    fprintf(out, "\n%-20s %-18s %6s %6s %7s %-8s %-8s %11s %10s %5s %8s\n", "master:replica", "fault", "length", "rate",
            "backlog", "expected", "was", "caught up", "bytes", "forks", "worst ms");
    for (int i = 0; i < r->count; i++) print_row(r->list[i], out);
    for (int i = 0; i < r->count; i++)
        if (r->list[i]->got.sentence[0]) print_sentence(r->list[i], out);
    fprintf(out, "\n%d tries, %d findings, seed %" PRIu64 "\n", r->count, results_findings(r), r->seed);
}
