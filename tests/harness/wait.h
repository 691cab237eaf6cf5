/* Waiting for a condition with a bound: tests never sleep and hope. */
#ifndef HARNESS_WAIT_H
#define HARNESS_WAIT_H

#include "tests/harness/clock.h"
#include "tests/harness/fail.h"

/* Long enough for a sanitizer build on a busy machine; nothing that works ever waits so long. */
#define PATIENCE_MS 30000

/* Evaluates condition again and again until it holds; the test fails after bound_ms. */
#define wait_until_within(bound_ms, condition)                                                                         \
    do {                                                                                                               \
        int64_t deadline_ms_ = clock_ms() + (bound_ms);                                                                \
        while (!(condition)) {                                                                                         \
            if (clock_ms() > deadline_ms_) harness_fail("waited %d ms in vain until %s", (int)(bound_ms), #condition); \
            sleep_us(2000);                                                                                            \
        }                                                                                                              \
    } while (0)
#define wait_until(condition) wait_until_within(PATIENCE_MS, condition)

#endif
