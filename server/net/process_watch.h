/* Judging a process of ours: does it live, and may another be started? Server process; pure: counts and times go in,
 * decisions come out. Its handle does what they say.
 *
 * A process that exists may still have stopped (SIGSTOP, a read of a file on a disk that hangs): its loop counts beats
 * in shared memory, and where none came for SILENCE_MS of our own time it counts as dead. Our own time: a machine that
 * slept, or a server that was stopped itself, has not listened.
 *
 * One that ends soon after it began, or cannot be started at all, is started less and less often. */
#ifndef SLIPSTREAM_NET_PROCESS_WATCH_H
#define SLIPSTREAM_NET_PROCESS_WATCH_H

#include <stdbool.h>
#include <stdint.h>

struct process_watch {
    uint64_t beats;
    int64_t looked_ms, silent_ms;
    int64_t started_ms;
    int64_t start_again_ms; /* not before */
    unsigned failures;      /* starts in a row that came to nothing */
};

void process_watch_started(struct process_watch *w, uint64_t beats, int64_t now_ms);
/* To be called some times a second while it runs. True: it hangs. */
bool process_watch_hangs(struct process_watch *w, uint64_t beats, int64_t now_ms);
int64_t process_watch_silence_ms(const struct process_watch *w);
/* It has ended, or could not be started: how long until the next start, in ms. */
int64_t process_watch_failed(struct process_watch *w, int64_t now_ms);
bool process_watch_may_start(const struct process_watch *w, int64_t now_ms);

#endif
