/* See drain.h. Link process. */
#include "repl/link/drain.h"

void drain_begin(struct drain *d, int64_t now_ms)
{
    *d = (struct drain){.began_ms = now_ms, .moved_ms = now_ms};
}

enum drain_step drain_step(struct drain *d, const struct drain_view *view, int64_t now_ms)
{
    if (view->moved_bytes != d->moved_bytes) {
        d->moved_bytes = view->moved_bytes;
        d->moved_ms = now_ms;
    }
    if (view->out_of_reach) return DRAIN_OUT_OF_REACH;
    if (now_ms - d->began_ms >= DRAIN_MOST_MS) return DRAIN_LATE;
    if (view->handed_over && !d->end_said) {
        d->end_said = true;
        d->moved_ms = now_ms;
        return DRAIN_SAY_END;
    }
    return now_ms - d->moved_ms >= DRAIN_STALL_MS ? DRAIN_STALLED : DRAIN_WAIT;
}
