/* What happens in the middle of a round, and when it was over: the load's phases are before, meanwhile and after. */
#ifndef PROGRAM_SCHEDULE_H
#define PROGRAM_SCHEDULE_H

#include "bench/load/generator.h"
#include "bench/servers/contestant.h"

#include <stdbool.h>
#include <stdint.h>

enum schedule { SCHEDULE_STEADY, SCHEDULE_BGSAVE, SCHEDULE_REPLICA };

enum { PHASE_BEFORE, PHASE_MEANWHILE, PHASE_AFTER, PHASES };

#define SCHEDULE_LOOKS  100                  /* in half a round: how often it is asked whether it is over */
#define SCHEDULE_EVENTS (SCHEDULE_LOOKS + 1) /* for a load: the strike, the looks */

struct scheduled {
    enum schedule schedule;
    struct instance *server, *replica; /* the replica only where one joins */
    int phase;                         /* of the load, which reads it */
    int64_t struck_ns, over_ns;        /* the clock's; over: seen by a look, so up to a look too late; 0: not yet */
    bool asked;                        /* a look's question is not answered yet */
    int answers;
    char error[512]; /* "": none */
};

const char *schedule_name(enum schedule schedule); /* "steady", "bgsave", "replica" */
/* The events for a load of this length; how many. The scheduled thing outlives the load. */
int schedule_events(struct scheduled *s, int64_t duration_ns, struct load_event out[SCHEDULE_EVENTS]);
/* After the load: waits until it is over, and takes a replica away again. 0, or -1: its `error` says why. */
int schedule_finish(struct scheduled *s);

#endif
