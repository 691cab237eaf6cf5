/* Bounds that a run's rows are to keep, from a file: what a project promises of itself. */
#ifndef REPORT_TARGETS_H
#define REPORT_TARGETS_H

#include "bench/report/rows.h"

#define TARGETS_MAX 128

/* A line: SERVER PART ROW ratio|value <=|>= NUMBER. The ratio is that to the baseline. A # begins a comment. */
struct target {
    char server[32], part[24], row[112];
    bool is_ratio, at_most;
    double bound;
};

struct targets {
    struct target list[TARGETS_MAX];
    int count;
};

/* 0, or -1: `error` says which line is no target, or why the file cannot be read. */
int targets_read(struct targets *t, const char *path, char error[256]);
/* Writes into the rows whether each is met, by its median. How many are missed; what was not measured is not, nor is
 * the baseline's ratio to itself. */
int targets_apply(const struct targets *t, struct rows *r);

#endif
