/* A steady load while something else goes on: a client that writes 40,000 keys a second, one that measures what a GET
 * takes, and the memory of all the server's processes. */
#ifndef PARTS_STEADY_H
#define PARTS_STEADY_H

#include "tests/harness/server.h"

#define STEADY_KEYS         2000000
#define STEADY_VALUE_BYTES  100
#define STEADY_WRITES_PER_S 40000

struct steady;

struct steady_figures {
    double writes_per_s, probe_p99_ms; /* from steady_measure() on */
    uint64_t peak_bytes;               /* from the start on */
};

/* Writes over the keys that fill_keys() makes, and returns when it has warmed up. */
struct steady *steady_start(struct server *s);
void steady_measure(struct steady *w);
struct steady_figures steady_end(struct steady *w);

#endif
