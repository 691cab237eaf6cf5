/* See targets.h. */
#include "bench/report/targets.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* 1: a target; 0: nothing stands there; -1: something else does. */
static int parse(char *line, struct target *t)
{
    char what[8], than[4], more[2];
    line[strcspn(line, "#\r\n")] = '\0';
    if (line[strspn(line, " \t")] == '\0') return 0;
    int words =
        sscanf(line, "%31s %23s %111s %7s %3s %lf %1s", t->server, t->part, t->row, what, than, &t->bound, more);
    t->is_ratio = words == 6 && strcmp(what, "ratio") == 0;
    t->at_most = words == 6 && strcmp(than, "<=") == 0;
    if (words != 6 || !isfinite(t->bound)) return -1;
    return (t->is_ratio || strcmp(what, "value") == 0) && (t->at_most || strcmp(than, ">=") == 0) ? 1 : -1;
}

int targets_read(struct targets *t, const char *path, char error[256])
{
    char line[512];
    int number = 0, status = 0;
    FILE *file = fopen(path, "r");
    t->count = 0;
    snprintf(error, 256, "%.150s: %s", path, strerror(errno));
    if (!file) return -1;
    while (status == 0 && fgets(line, sizeof line, file)) {
        struct target target;
        int found = parse(line, &target);
        number++;
        if (found < 0 || (found && t->count == TARGETS_MAX)) {
            snprintf(error, 256, "%.150s, line %d: %s", path, number,
                     found < 0 ? "this is no SERVER PART ROW ratio|value <=|>= NUMBER" : "too many targets");
            status = -1;
        } else if (found) {
            t->list[t->count++] = target;
        }
    }
    fclose(file);
    return status;
}

static int server_named(const struct rows *r, const char *name)
{
    for (int i = 0; i < r->server_count; i++)
        if (strcmp(r->servers[i].name, name) == 0) return i;
    return -1;
}

int targets_apply(const struct targets *t, struct rows *r)
{
    int missed = 0;
    for (int i = 0; i < t->count; i++) {
        const struct target *target = &t->list[i];
        struct row *row = rows_find(r, target->part, target->row);
        int server = server_named(r, target->server);
        if (!row || server < 0 || !row->of[server].count || (target->is_ratio && server == 0)) continue;
        double value = samples_summary(&row->of[server]).median;
        if (target->is_ratio) value = comparison_of(row->better, &row->of[server], &row->of[0]).ratio;
        if (isnan(value)) continue;
        bool met = target->at_most ? value <= target->bound : value >= target->bound;
        snprintf(row->targets[server].text, sizeof row->targets->text, "%s %s %g", target->is_ratio ? "ratio" : "value",
                 target->at_most ? "<=" : ">=", target->bound);
        row->targets[server].met = met;
        missed += !met;
    }
    return missed;
}
