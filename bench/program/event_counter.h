/* What the processor itself counts of a server, by perf_event_open(2): instructions,
 * where the machine lets them be counted. */
#ifndef PROGRAM_EVENT_COUNTER_H
#define PROGRAM_EVENT_COUNTER_H

#include "bench/program/threads.h"

#include <stdint.h>

struct event_counter {
    int descriptors[THREADS_MAX]; /* one for each thread that was there */
    int count;                    /* 0: nothing is counted */
};

/* Of a process and its living descendants, in user space, with the threads and processes that they start from now on.
 * `type` and `config` as the system call has them. 0, or -1 with errno: this machine, or this user, cannot count it. */
int event_counter_open(struct event_counter *c, pid_t pid, uint32_t type, uint64_t config);
uint64_t event_counter_read(const struct event_counter *c); /* since it was opened */
void event_counter_close(struct event_counter *c);

#endif
