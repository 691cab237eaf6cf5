/* See compare.h. Each server is compared with itself: the older run is the baseline of the ratio. */
#include "bench/program/compare.h"

#include "bench/program/options.h"
#include "bench/program/stored_rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PERCENT_DEFAULT 5

/* One row of one server in both files. */
struct change {
    const struct row *row;
    const struct samples *before, *after;
    const char *server;
    struct comparison is;
    double worse_by; /* how many times, as far as the interval is sure of; below 1: it is better, or may be */
};

struct changes {
    struct change *list; /* owned */
    int count, alike, within, unsure, alone;
};

static double sure_ratio(const struct change *c)
{
    bool less = c->row->better == LESS_IS_BETTER;
    if (c->is.verdict == WORSE) return less ? c->is.interval.low : 1 / c->is.interval.high;
    if (c->is.verdict == BETTER) return less ? c->is.interval.high : 1 / c->is.interval.low;
    return 1;
}

static void take(struct changes *all, struct change c, double at_least)
{
    c.is = comparison_of(c.row->better, c.after, c.before);
    c.worse_by = sure_ratio(&c);
    if (c.is.verdict == NOT_COMPARED)
        all->unsure++;
    else if (c.is.verdict == NO_DIFFERENCE)
        all->alike++;
    else if (c.worse_by < at_least && c.worse_by > 1 / at_least)
        all->within++;
    else
        all->list[all->count++] = c;
}

static int server_named(const struct rows *r, const char *name)
{
    for (int i = 0; i < r->server_count; i++)
        if (strcmp(r->servers[i].name, name) == 0) return i;
    return -1;
}

static void gather(struct changes *all, struct rows *old, struct rows *new, double at_least)
{
    for (int i = 0; i < new->count; i++) {
        const struct row *row = &new->list[i], *before = rows_find(old, row->part, row->name);
        for (int s = 0; s < new->server_count; s++) {
            int was = server_named(old, new->servers[s].name);
            if (!row->of[s].count || row->better == NEITHER_IS_BETTER) continue;
            if (!before || was < 0 || !before->of[was].count) {
                all->alone++;
                continue;
            }
            take(all, (struct change){row, &before->of[was], &row->of[s], new->servers[s].name, {.ratio = NAN}, 1},
                 at_least);
        }
    }
}

static int worst_first(const void *a, const void *b)
{
    double x = ((const struct change *)a)->worse_by, y = ((const struct change *)b)->worse_by;
    return (x < y) - (x > y);
}

static int put_changes(const struct changes *all, bool worse)
{
    int count = 0;
    for (int i = 0; i < all->count; i++) {
        const struct change *c = &all->list[i];
        if ((c->is.verdict == WORSE) != worse) continue;
        if (!count++) printf("\n%s\n", worse ? "worse:" : "better:");
        printf("  %-10s %-12s %-36s %12.6g -> %-12.6g %-7s %.3f [%.3f, %.3f]\n", c->server, c->row->part, c->row->name,
               samples_summary(c->before).median, samples_summary(c->after).median, c->row->unit, c->is.ratio,
               c->is.interval.low, c->is.interval.high);
    }
    return count;
}

static int compare(struct rows *old, struct rows *new, double percent)
{
    struct changes all = {.list = calloc((size_t)(new->count *REPORT_SERVERS_MAX), sizeof *all.list)};
    if (!all.list) return 2;
    gather(&all, old, new, 1 + percent / 100);
    qsort(all.list, (size_t)all.count, sizeof *all.list, worst_first);
    for (int s = 0; s < new->server_count; s++) {
        int was = server_named(old, new->servers[s].name);
        printf("%s: %s -> %s\n", new->servers[s].name, was < 0 ? "not in the older run" : old->servers[was].version,
               new->servers[s].version);
    }
    int worse = put_changes(&all, true);
    put_changes(&all, false);
    printf("\n%d worse, %d better; %d surely differ by less than %g percent; %d show no difference\n", worse,
           all.count - worse, all.within, percent, all.alike);
    if (all.unsure) printf("%d have fewer than three samples in a run, or nothing to divide by\n", all.unsure);
    if (all.alone) printf("%d are in the newer run alone\n", all.alone);
    free(all.list);
    return worse ? 1 : 0;
}

int compare_run(int argc, char **argv)
{
    struct rows old = {.list = NULL}, new = {.list = NULL};
    char error[256], *end = NULL;
    double percent = argc == 3 ? strtod(argv[2], &end) : PERCENT_DEFAULT;
    int status = 2;
    if (argc < 2 || argc > 3 || (end && (end == argv[2] || *end)) || !(percent >= 0) || percent > 1e6)
        return usage(stderr);
    if (stored_rows_read(&old, argv[0], error) != 0 || stored_rows_read(&new, argv[1], error) != 0)
        complain(error);
    else
        status = compare(&old, &new, percent);
    rows_free(&old);
    rows_free(&new);
    return status;
}
