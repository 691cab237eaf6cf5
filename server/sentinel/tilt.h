/* TILT: the time between two ticks, or other events, was not what it should be, because the process or its machine
 * stood still. For a while nothing that was measured can be trusted: a Sentinel goes on watching, but acts on nothing
 * and calls nobody down (Redis's documentation, "TILT mode"). Sentinel process; pure. */
#ifndef SLIPSTREAM_SENTINEL_TILT_H
#define SLIPSTREAM_SENTINEL_TILT_H

#include <stdbool.h>
#include <stdint.h>

#define TILT_AFTER_MS 2000 /* by default */
#define TILT_LASTS_MS 30000

struct tilt_settings {
    int64_t after_ms; /* between two ticks */
    int64_t lasts_ms; /* of ticks as they should be */
};

struct tilt {
    bool on;
    int64_t since_ms;
    int64_t ticked_ms; /* 0: never yet */
    int64_t ended_ms;  /* the last one; 0: there was none */
};

enum tilt_change { TILT_SAME, TILT_BEGINS, TILT_ENDS };

/* At every tick, some times a second, and before any other event. now_ms: monotonic, above 0; that it runs backwards is
 * a reason, too. */
enum tilt_change tilt_tick(struct tilt *t, const struct tilt_settings *settings, int64_t now_ms);

#endif
