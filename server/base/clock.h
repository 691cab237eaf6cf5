/* Time. The loop reads it once a turn and hands it down; nobody else asks the kernel on a command's path.
 *
 * Ticks are for statistics only: the processor's counter where it is invariant (calibrated at start), else
 * CLOCK_MONOTONIC in nanoseconds.
 *
 * The clocks are the kernel's unless another source is handed in: a simulator brings its own. */
#ifndef SLIPSTREAM_BASE_CLOCK_H
#define SLIPSTREAM_BASE_CLOCK_H

#include <stdint.h>

struct clock_source {
    int64_t (*wall_us)(void *context);
    int64_t (*monotonic_us)(void *context);
    void *context;
};

void clock_init(void); /* once per process, before the first clock_ticks() */
/* All time of this process, ticks included, is the source's from now on; the caller keeps it alive. NULL: the kernel's.
 * Before the first thread, and before anything has looked at a clock. */
void clock_use(const struct clock_source *source);
int64_t clock_wall_us(void); /* since the epoch */
int64_t clock_wall_ms(void);
void clock_step_wall(int64_t us); /* for tests: the wall clock of this process goes wrong by so much more */
int64_t clock_monotonic_us(void);
int64_t clock_monotonic_ms(void);

uint64_t clock_ticks(void);
uint64_t clock_ticks_to_ns(uint64_t ticks); /* a difference of two clock_ticks() */
uint64_t clock_ns_to_ticks(uint64_t ns);    /* rounded down; UINT64_MAX: longer than ticks can count */

#endif
