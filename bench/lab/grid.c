/* See grid.h. */
#include "bench/lab/grid.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum unit { UNIT_BYTES, UNIT_TIME, UNIT_NUMBER, UNIT_SECONDS };

static int parse(const char *text, enum unit unit, int64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoll(text, &end, 10);
    if (errno || end == text || *out < 0) return -1;
    int64_t factor = 1;
    if (unit == UNIT_BYTES && strchr("kmg", *end) && *end) {
        for (const char *step = "kmg"; factor *= 1024, *step != *end; step++) {
        }
        end++;
    } else if (unit == UNIT_TIME && strcmp(end, "s") == 0) {
        factor = 1000;
        end++;
    } else if (unit == UNIT_TIME && strcmp(end, "ms") == 0) {
        end += 2;
    } else if (unit == UNIT_SECONDS && strcmp(end, "s") == 0) {
        end++;
    }
    if (*end || __builtin_mul_overflow(*out, factor, out)) return -1;
    return 0;
}

int grid_parse_size(const char *text, int64_t *out)
{
    return parse(text, UNIT_BYTES, out);
}

void grid_size_text(int64_t bytes, char out[24])
{
    static const char *const units[] = {"", "k", "m", "g"};
    int unit = 0;
    for (; unit < 3 && bytes && bytes % 1024 == 0; unit++) bytes /= 1024;
    snprintf(out, 24, "%" PRId64 "%s", bytes, units[unit]);
}

void grid_time_text(int64_t ms, char out[24])
{
    bool whole = ms % 1000 == 0;
    snprintf(out, 24, "%" PRId64 "%s", whole ? ms / 1000 : ms, whole ? "s" : "ms");
}

/* --- axes --- */

/* Where the values of a name go. count NULL: it has one. */
struct place {
    const char *name;
    enum unit unit;
    int64_t least;
    int64_t *values;
    int *count;
};

static int set_numbers(const struct place *p, char *values, char error[256])
{
    int count = 0;
    for (char *rest, *word = strtok_r(values, " \t,", &rest); word; word = strtok_r(NULL, " \t,", &rest)) {
        if (count == (p->count ? AXIS_VALUES_MAX : 1)) {
            snprintf(error, 256, "'%s' has more than %d values", p->name, count);
            return -1;
        }
        if (parse(word, p->unit, &p->values[count++]) != 0 || p->values[count - 1] < p->least) {
            snprintf(error, 256, "'%.100s' is no value of '%s'", word, p->name);
            return -1;
        }
    }
    if (!count) snprintf(error, 256, "'%s' has no value", p->name);
    if (p->count && count) *p->count = count;
    return count ? 0 : -1;
}

static int set_faults(struct grid *g, char *values, char error[256])
{
    int count = 0;
    bool all = strcmp(values, "all") == 0;
    for (; all && faults[count]; count++) g->faults[count] = faults[count];
    for (char *rest, *word = all ? NULL : strtok_r(values, " \t,", &rest); word; word = strtok_r(NULL, " \t,", &rest)) {
        if (count == FAULTS_MAX || !(g->faults[count++] = fault_by_name(word))) {
            snprintf(error, 256, "there is no fault '%.100s', or there are too many", word);
            return -1;
        }
    }
    if (!count) snprintf(error, 256, "'fault' has no value");
    g->fault_count = count;
    return count ? 0 : -1;
}

int grid_set(struct grid *g, const char *name, const char *values, char error[256])
{
    const struct place places[] = {
        {"length", UNIT_TIME, 1, g->length_ms, &g->length_count},
        {"rate", UNIT_BYTES, 0, g->rate, &g->rate_count},
        {"backlog", UNIT_BYTES, 1, g->backlog, &g->backlog_count},
        {"keys", UNIT_NUMBER, 1, &g->keys, NULL},
        {"value", UNIT_BYTES, 8, &g->value_bytes, NULL},
        {"timeout", UNIT_SECONDS, 1, &g->timeout_s, NULL},
        {"tries", UNIT_NUMBER, 1, &g->tries, NULL},
    };
    char copy[512];
    snprintf(copy, sizeof copy, "%s", values);
    if (strcmp(name, "fault") == 0) return set_faults(g, copy, error);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (strcmp(name, places[i].name) == 0) return set_numbers(&places[i], copy, error);
    return 1;
}

void grid_init(struct grid *g)
{
    char error[256];
    *g = (struct grid){.keys = 10000, .value_bytes = 100, .timeout_s = 60, .tries = 1};
    grid_set(g, "fault", "cut", error);
    grid_set(g, "length", "1s", error);
    grid_set(g, "rate", "1m", error);
    grid_set(g, "backlog", "1m", error);
}

int grid_read(struct grid *g, const char *path, char error[256])
{
    FILE *file = fopen(path, "r");
    char line[512], why[256];
    int number = 0, status = 0;
    if (!file) {
        snprintf(error, 256, "%.150s: %s", path, strerror(errno));
        return -1;
    }
    while (status == 0 && fgets(line, sizeof line, file)) {
        number++;
        line[strcspn(line, "#\r\n")] = '\0';
        char *name = line + strspn(line, " \t");
        if (!*name) continue;
        char *values = name + strcspn(name, " \t");
        if (*values) *values++ = '\0';
        status = grid_set(g, name, values, why);
        if (status == 1) snprintf(why, sizeof why, "'%.100s' is no axis of a grid", name);
        if (status) snprintf(error, 256, "%.80s, line %d: %.140s", path, number, why);
    }
    fclose(file);
    return status ? -1 : 0;
}

int grid_cells(const struct grid *g)
{
    return g->fault_count * g->length_count * g->rate_count * g->backlog_count;
}

struct cell grid_cell(const struct grid *g, int n, const struct contestant *master, const struct contestant *replica)
{
    int backlog = n % g->backlog_count, rate = n / g->backlog_count % g->rate_count;
    int length = n / g->backlog_count / g->rate_count % g->length_count;
    int fault = n / g->backlog_count / g->rate_count / g->length_count;
    return (struct cell){
        .master = master,
        .replica = replica,
        .fault = g->faults[fault],
        .length_ms = (int)g->length_ms[length],
        .bytes_per_s = (uint64_t)g->rate[rate],
        .backlog_bytes = (uint64_t)g->backlog[backlog],
        .keys = (long)g->keys,
        .value_bytes = (int)g->value_bytes,
        .timeout_s = (int)g->timeout_s,
    };
}
