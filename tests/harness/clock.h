/* Monotonic time for waiting and measuring. */
#ifndef HARNESS_CLOCK_H
#define HARNESS_CLOCK_H

#include <stdint.h>

int64_t clock_us(void);
int64_t clock_ms(void);
void sleep_us(int64_t us);

#endif
