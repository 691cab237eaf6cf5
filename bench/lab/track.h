/* Who watches a try from outside: the offsets of both servers over time, the worst delay that another client of the
 * master sees, and the memory of the master's processes. Threads of its own; it asks with connections of its own. */
#ifndef LAB_TRACK_H
#define LAB_TRACK_H

#include "bench/servers/contestant.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define TRACK_POINTS_MAX 4096

struct track_point {
    int t_ms;                                /* since the track began */
    long long master_offset, replica_offset; /* -1: it did not answer */
    bool link_up;
};

struct track {
    struct track_point points[TRACK_POINTS_MAX];
    int count;
    int64_t worst_delay_us;
    uint64_t peak_bytes;
};

struct tracker;

/* Who is watched, from now on; again after a fault that has changed the parts. */
void tracker_watch(struct tracker *t, const struct instance *master, const struct instance *replica);
struct tracker *tracker_start(const struct instance *master, const struct instance *replica);
int tracker_now_ms(const struct tracker *t);
void tracker_end(struct tracker *t, struct track *out);

#endif
