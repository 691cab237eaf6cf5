/* The event loop: connections, timers, watched descriptors, one turn after another. One per process, one thread.
 *
 * Two engines stand behind this face: io_uring (multishot accept and receive into provided buffers, sends submitted
 * together, one io_uring_enter per turn) and epoll where io_uring is refused. Nothing outside server/net knows which.
 * A simulator hands in a third.
 *
 * A turn: wait (until something happens or the next timer is due) -> read the time once -> deliver what arrived ->
 * due timers -> before_send hook (the owner's last words: replies of unblocked clients, publishing the backlog ...) ->
 * start the sends of every connection that has output. When much output has gathered earlier, the hook and the sends
 * have their turn between two deliveries as well. Callbacks may open and close connections freely; a closed
 * connection's memory lives until nothing in flight refers to it. */
#ifndef SLIPSTREAM_NET_LOOP_H
#define SLIPSTREAM_NET_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct engine;

enum loop_engine { LOOP_ENGINE_AUTO, LOOP_ENGINE_URING, LOOP_ENGINE_EPOLL };

struct loop_settings {
    enum loop_engine engine; /* AUTO: io_uring if the kernel grants it, else epoll with one log line saying why */
    unsigned max_connections_hint;
    const struct engine *handed_in; /* NULL, or an engine of the caller's, a simulator's (net/engine.h): it is taken */
};

/* NULL: a forced engine was refused, errno says why. The loop belongs to the thread that made it: daemonize before. */
struct loop *loop_new(const struct loop_settings *settings);
void loop_free(struct loop *loop);
const char *loop_engine_name(const struct loop *loop); /* "io_uring" or "epoll" */

void loop_run(struct loop *loop); /* until loop_stop() */
void loop_stop(struct loop *loop);
/* One turn that waits at most timeout_ms (-1: until something happens; 0: not at all). For long work that must stay
 * answerable (loading) and for tests. */
void loop_turn(struct loop *loop, int timeout_ms);

/* Read once per turn. */
int64_t loop_wall_ms(const struct loop *loop);
int64_t loop_monotonic_us(const struct loop *loop); /* for every duration: the wall clock may step */
int64_t loop_monotonic_ms(const struct loop *loop);
struct loop_usage {
    uint64_t turns;
    uint64_t awake_us; /* in turns, from the end of the wait to the next one */
    /* Over all connections: arrivals of bytes or of the end, departures, and the bytes that departed, in-place sends
     * included. */
    uint64_t reads, writes, bytes_sent;
};
struct loop_usage loop_usage(const struct loop *loop);
void loop_refresh_time(struct loop *loop); /* after something long on the loop's own thread */

/* In a forked child: closes every descriptor the loop knows (listeners, connections, ring) without a submission,
 * a shutdown() or a write to shared ring memory. The loop must not be used afterwards. */
void loop_abandon_in_child(struct loop *loop);

/* --- timers: `fire` returns the delay until the next call in ms, or LOOP_TIMER_DONE; then the timer is freed. --- */
#define LOOP_TIMER_DONE (-1)
struct loop_timer;
struct loop_timer *loop_timer_start(struct loop *loop, int64_t delay_ms, int64_t (*fire)(void *arg), void *arg);
struct loop_timer *loop_timer_start_us(struct loop *loop, int64_t delay_us, int64_t (*fire)(void *arg), void *arg);
void loop_timer_cancel(struct loop_timer *timer); /* also from inside another timer; not from its own `fire` */

/* --- readiness of foreign descriptors (pipes, eventfds, channels). Level-triggered; with LOOP_EDGE told when something
 * comes, and not again because it has not been read. --- */
enum { LOOP_READABLE = 1, LOOP_WRITABLE = 2, LOOP_EDGE = 4 };
struct loop_watch;
struct loop_watch *loop_watch_start(struct loop *loop, int fd, int events, void (*ready)(void *arg, int events),
                                    void *arg);
void loop_watch_set(struct loop_watch *watch, int events);
void loop_watch_stop(struct loop_watch *watch); /* does not close fd; safe inside its own callback */

/* Called before sends are started, at least once per turn. One hook; the owner fans out. */
void loop_set_before_send(struct loop *loop, void (*hook)(void *arg), void *arg);
/* Makes the current turn not wait: there is work left for the next. */
void loop_do_not_wait(struct loop *loop);
/* So many bytes more are freed before this turn's sends, which begin early where that, or what they send, is much. */
void loop_frees_before_send(struct loop *loop, size_t bytes);
/* The next wait lasts until so many pieces of input have come, or so long, or until the next timer: they are gathered
 * meanwhile, and delivered together. For who has just asked many, and is in no hurry with the answers: each alone would
 * wake him. With epoll it lasts so long, whatever has come. */
void loop_gather(struct loop *loop, unsigned pieces, int64_t for_us);

#endif
