/* A client that writes at a given pace, in a thread of its own. What it writes depends on the seed alone. */
#ifndef LAB_WRITER_H
#define LAB_WRITER_H

#include <stdint.h>

#define LAB_KEY "slipstream-lab:" /* what the lab writes begins with this */

struct writer;

struct writer_plan {
    const char *host;
    int port;
    uint64_t bytes_per_s; /* of values; 0: nothing is written */
    uint64_t bytes;       /* all in all: then it stops by itself */
    int value_bytes;
    long keys; /* LAB_KEY 0 to <keys - 1> are written over */
    uint64_t seed;
};

struct written {
    uint64_t acknowledged, bytes;
};

struct writer *writer_start(const struct writer_plan *plan);
struct written writer_end(struct writer *w, int bound_ms); /* it may write to its end, so long; then it is stopped */

#endif
