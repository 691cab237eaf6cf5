/* slipstream-bench's command line. */
#ifndef PROGRAM_OPTIONS_H
#define PROGRAM_OPTIONS_H

#include "bench/parts/parts.h"
#include "bench/program/throughput.h"
#include "bench/report/targets.h"

#define PARTS_MAX 32

struct options {
    struct contestant servers[CONTESTANTS_MAX];
    int server_count;
    struct directives directives;
    struct throughput_plan plan;
    struct targets targets;
    bool throughput;
    const struct part *parts[PARTS_MAX]; /* beside it */
    int part_count;
    const char *json, *csv, *html; /* files, "-": standard output; NULL: not wanted */
};

int usage(FILE *out);            /* what main() ends with: 2 on standard error, else 0 */
int complain(const char *error); /* -1 */
int whole_number(const char *text, long low, long high, long *value);
/* 0, or -1: it has been said why. */
int options_read(struct options *o, int argc, char **argv);

#endif
