/* How much input one wait of a loop may gather; kept by the io_uring engine, in any process.
 *
 * With many connections talking at once, and a server that is faster than they are together, input comes every few
 * microseconds, and the loop would sleep and be woken for nearly every piece of it. Letting a wait last until several
 * pieces have come saves most of those sleeps. But nothing may wait for company that will not come: how many to wait
 * for is taken from what came within the last millisecond, from many connections and often, or it is one; and whoever
 * waits for more than one bounds that wait by ARRIVALS_WAIT_US. */
#ifndef SLIPSTREAM_NET_ARRIVALS_H
#define SLIPSTREAM_NET_ARRIVALS_H

#include <stdbool.h>
#include <stdint.h>

#define ARRIVALS_WAIT_US   50
#define ARRIVALS_WINDOW_US 1000
/* At most this many: beyond, a longer batch saves little and its first reply waits longer. */
#define ARRIVALS_MOST 16
/* Fewer are not worth a timer: below about fifty thousand pieces a second each is served as it comes. */
#define ARRIVALS_FEWEST 8
/* A connection that has just been answered does not speak at once: of those that spoke, a third may be expected. */
#define ARRIVALS_SPEAKERS_EACH 3
/* As many windows' worth of pieces as one wait may take, with what queued up while the last batch was served. */
#define ARRIVALS_PIECES_EACH 6

struct arrivals {
    int64_t window_end_us;
    uint32_t window; /* a connection that has noted this number has spoken in the present window */
    unsigned speakers, pieces;
    unsigned expected; /* from the last window */
};

/* One piece of input; *spoke_in is the connection's own note, 0 at first. */
static inline void arrivals_note(struct arrivals *a, uint32_t *spoke_in)
{
    a->pieces++;
    if (*spoke_in == a->window) return;
    *spoke_in = a->window;
    a->speakers++;
}

/* Once a turn, before its input. */
static inline void arrivals_turn(struct arrivals *a, int64_t now_us)
{
    if (now_us < a->window_end_us) return;
    bool stale = now_us >= a->window_end_us + ARRIVALS_WINDOW_US;
    unsigned speakers = a->speakers / ARRIVALS_SPEAKERS_EACH, pieces = a->pieces / ARRIVALS_PIECES_EACH;
    unsigned expected = speakers < pieces ? speakers : pieces;
    if (stale || expected < ARRIVALS_FEWEST) expected = 1;
    a->expected = expected < ARRIVALS_MOST ? expected : ARRIVALS_MOST;
    a->speakers = a->pieces = 0;
    a->window++;
    a->window_end_us = now_us + ARRIVALS_WINDOW_US;
}

#endif
