/* What a run found: rows with stable names, each with samples for every server, and curves of the works behind them.
 * The first server is the baseline. */
#ifndef REPORT_ROWS_H
#define REPORT_ROWS_H

#include "bench/report/curves.h"
#include "bench/report/statistics.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define REPORT_SERVERS_MAX 8

enum row_better { LESS_IS_BETTER, MORE_IS_BETTER, NEITHER_IS_BETTER };

/* A bound that a row's server was to keep; see targets.h. */
struct row_target {
    char text[40]; /* "ratio <= 0.85"; "": there is none */
    bool met;
};

struct row {
    char part[24], name[112], unit[16];
    enum row_better better;
    struct samples of[REPORT_SERVERS_MAX];
    struct row_target targets[REPORT_SERVERS_MAX];
};

/* The rows of a work are those whose names begin with its own and a dot. */
struct work_curves {
    char part[24], name[64];
    char event[16]; /* what happened in the middle: "bgsave"; "": nothing */
    struct curve of[REPORT_SERVERS_MAX];
};

struct rows {
    struct {
        char name[32], version[64];
        char note[256]; /* what the reader has to know of this server's part in the run; "": nothing */
    } servers[REPORT_SERVERS_MAX];
    int server_count;
    char what[512]; /* how all was measured, in a sentence; "": unsaid */
    uint64_t seed;
    struct row *list; /* owned */
    int count;
    struct work_curves **curves; /* owned */
    int curve_count;
};

/* Finds the row by part and name, or makes it at the end. */
void rows_add(struct rows *r, int server, const char *part, const char *name, const char *unit, enum row_better better,
              double value);
struct row *rows_find(struct rows *r, const char *part, const char *name); /* NULL: there is none */
/* Found, or made at the end; rows own it. */
struct work_curves *rows_curves(struct rows *r, const char *part, const char *name);
void rows_free(struct rows *r);

/* What may be said of a server beside the baseline. */
struct comparison {
    double ratio; /* of medians; NAN: there is none */
    struct interval interval;
    enum { NOT_COMPARED, NO_DIFFERENCE, BETTER, WORSE, DIFFERENT } verdict; /* different: neither is better */
};
struct comparison comparison_of(enum row_better better, const struct samples *of, const struct samples *baseline);
const char *comparison_words(const struct comparison *c); /* "better", "no difference that this run can show", ... */

void rows_table(const struct rows *r, FILE *out);
void rows_json(const struct rows *r, FILE *out); /* an object a line: one row, or one work's curve, of one server */
void rows_csv(const struct rows *r, FILE *out);  /* the rows */
void rows_html(const struct rows *r, FILE *out); /* one page without any outside asset */

#endif
