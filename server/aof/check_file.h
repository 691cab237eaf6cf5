/* One file of an append-only file judged, and cut where that was asked for. redis-check-aof's process. */
#ifndef SLIPSTREAM_AOF_CHECK_FILE_H
#define SLIPSTREAM_AOF_CHECK_FILE_H

#include <stdbool.h>
#include <stdint.h>

/* What the command line asks for. */
struct aof_check_order {
    bool fix;          /* a broken end is cut off, if whoever is asked agrees */
    int64_t timestamp; /* what is younger is cut off, unasked; 0: not so */
};

struct aof_checked_file {
    const char *path, *name; /* name: as it is called in messages */
    bool may_have_rdb;       /* at its beginning */
    bool is_last;            /* no other follows: only this one may be cut */
};

enum aof_check_outcome {
    AOF_CHECK_VALID,
    AOF_CHECK_EMPTY,
    AOF_CHECK_CUT, /* it is valid now */
    AOF_CHECK_CUT_TO_TIMESTAMP,
    AOF_CHECK_FAILED, /* all is said */
};

/* Prints what it finds. *line goes on from file to file, as Redis's count does. */
enum aof_check_outcome aof_check_file(const struct aof_check_order *order, const struct aof_checked_file *file,
                                      uint64_t *line);

#endif
