/* The grid: which cells there are. Every axis has some values, and each combination is a cell,
 * for each pair of servers.
 *
 * A grid file has a line for each axis, and comments behind '#':
 *
 *   fault    cut stall replica-restarted
 *   length   100ms 1s
 *   rate     0 1m            # bytes of values a second, written while the fault lasts
 *   backlog  1m 16m          # repl-backlog-size
 *
 * The same words are options of the command line (--fault cut,stall), where commas separate the values. Sizes take k, m
 * and g (powers of 1024), times ms and s. */
#ifndef LAB_GRID_H
#define LAB_GRID_H

#include "bench/lab/try.h"

#define AXIS_VALUES_MAX 16
#define FAULTS_MAX      64

struct grid {
    const struct fault *faults[FAULTS_MAX];
    int fault_count;
    int64_t length_ms[AXIS_VALUES_MAX], rate[AXIS_VALUES_MAX], backlog[AXIS_VALUES_MAX];
    int length_count, rate_count, backlog_count;
    int64_t keys, value_bytes, timeout_s, tries; /* the same in every cell */
};

void grid_init(struct grid *g); /* one cell: cut, 1s, 1m a second, 1m */
/* An axis or a setting gets these values, which blanks or commas separate. 0; -1: `error` says why; 1: there is no such
 * name. */
int grid_set(struct grid *g, const char *name, const char *values, char error[256]);
int grid_read(struct grid *g, const char *path, char error[256]);

int grid_cells(const struct grid *g); /* for one pair */
/* Number n of them; servers and all else. */
struct cell grid_cell(const struct grid *g, int n, const struct contestant *master, const struct contestant *replica);

int grid_parse_size(const char *text, int64_t *out); /* "100k"; 0, or -1 */
/* As a grid has them: "1m", "100ms". */
void grid_size_text(int64_t bytes, char out[24]);
void grid_time_text(int64_t ms, char out[24]);

#endif
