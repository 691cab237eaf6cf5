/* TILT. Sentinel process; pure. */
#include "server/sentinel/tilt.h"

enum tilt_change tilt_tick(struct tilt *t, const struct tilt_settings *settings, int64_t now_ms)
{
    int64_t passed_ms = t->ticked_ms ? now_ms - t->ticked_ms : 0;
    bool was_on = t->on;
    t->ticked_ms = now_ms;
    if (passed_ms < 0 || passed_ms > settings->after_ms) {
        t->on = true;
        t->since_ms = now_ms;
        return was_on ? TILT_SAME : TILT_BEGINS;
    }
    if (!t->on || now_ms - t->since_ms <= settings->lasts_ms) return TILT_SAME;
    t->on = false;
    t->ended_ms = now_ms;
    return TILT_ENDS;
}
