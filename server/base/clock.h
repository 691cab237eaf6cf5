/* Time. The loop reads it once a turn and hands it down; nobody else asks the kernel on a command's path.
 *
 * Ticks are for statistics only: the processor's counter where it is invariant (calibrated at start), else
 * CLOCK_MONOTONIC in nanoseconds. */
#ifndef SLIPSTREAM_BASE_CLOCK_H
#define SLIPSTREAM_BASE_CLOCK_H

#include <stdint.h>

void clock_init(void);       /* once per process, before the first clock_ticks() */
int64_t clock_wall_us(void); /* since the epoch */
int64_t clock_wall_ms(void);
void clock_step_wall(int64_t us); /* for tests: the wall clock of this process goes wrong by so much more */
int64_t clock_monotonic_us(void);
int64_t clock_monotonic_ms(void);

uint64_t clock_ticks(void);
uint64_t clock_ticks_to_ns(uint64_t ticks); /* a difference of two clock_ticks() */

#endif
