/* Judging the link process: does it live, and may another be started? Server process; pure: counts and times go in,
 * decisions come out. link_handle.c does what they say.
 *
 * A process that exists may still have stopped (SIGSTOP, a read of a file on a disk that hangs): its loop counts beats
 * in shared memory, and where none came for SILENCE_MS of our own time it counts as dead. Our own time: a machine that
 * slept, or a server that was stopped itself, has not listened.
 *
 * A link that ends soon after it began, or cannot be started at all, is started less and less often. */
#ifndef SLIPSTREAM_REPL_LINK_WATCH_H
#define SLIPSTREAM_REPL_LINK_WATCH_H

#include <stdbool.h>
#include <stdint.h>

struct link_watch {
    uint64_t beats;
    int64_t looked_ms, silent_ms;
    int64_t started_ms;
    int64_t start_again_ms; /* not before */
    unsigned failures;      /* starts in a row that came to nothing */
};

void link_watch_started(struct link_watch *w, uint64_t beats, int64_t now_ms);
/* To be called some times a second while it runs. True: it hangs. */
bool link_watch_hangs(struct link_watch *w, uint64_t beats, int64_t now_ms);
int64_t link_watch_silence_ms(const struct link_watch *w);
/* It has ended, or could not be started: how long until the next start, in ms. */
int64_t link_watch_failed(struct link_watch *w, int64_t now_ms);
bool link_watch_may_start(const struct link_watch *w, int64_t now_ms);

#endif
