/* What a run found: rows with stable names, each with samples for every server. The first server is the baseline. */
#ifndef REPORT_ROWS_H
#define REPORT_ROWS_H

#include "bench/report/statistics.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define REPORT_SERVERS_MAX 8

enum row_better { LESS_IS_BETTER, MORE_IS_BETTER, NEITHER_IS_BETTER };

struct row {
    char part[24], name[112], unit[16];
    enum row_better better;
    struct samples of[REPORT_SERVERS_MAX];
};

struct rows {
    struct {
        char name[32], version[64];
    } servers[REPORT_SERVERS_MAX];
    int server_count;
    uint64_t seed;
    struct row *list; /* owned */
    int count;
};

/* Finds the row by part and name, or makes it at the end. */
void rows_add(struct rows *r, int server, const char *part, const char *name, const char *unit, enum row_better better,
              double value);
void rows_free(struct rows *r);

void rows_table(const struct rows *r, FILE *out);
void rows_json(const struct rows *r, FILE *out); /* an object a line: one row of one server */
void rows_csv(const struct rows *r, FILE *out);  /* the same */

#endif
