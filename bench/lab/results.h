/* All tries of a run, for the reports: the order is that of the run. */
#ifndef LAB_RESULTS_H
#define LAB_RESULTS_H

#include "bench/lab/grid.h"

#include <stdio.h>

struct result {
    struct cell cell;
    int number; /* of the try in its cell, from 1 on */
    struct try_result got;
};

struct results {
    struct result **list;
    int count;
    uint64_t seed;
    struct {
        const struct contestant *of;
        char version[64];
    } servers[CONTESTANTS_MAX];
    int server_count;
};

struct result *results_add(struct results *r);
int results_findings(const struct results *r); /* findings, and tries that failed */
#define RESULT_COMMAND_BYTES 6144

/* The command line that repeats this cell alone, servers included, as a shell takes it. */
void result_command(const struct result *r, char out[RESULT_COMMAND_BYTES]);

/* Each writes all to `out`. */
void report_table(const struct results *r, FILE *out);
void report_json(const struct results *r, FILE *out); /* a line for each try */
void report_csv(const struct results *r, FILE *out);
void report_html(const struct results *r, FILE *out); /* one page without any outside asset */

#endif
