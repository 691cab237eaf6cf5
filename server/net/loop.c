/* The turn, the time, endpoints' memory and watched descriptors. Any process with a loop.
 *
 * The engine does the waiting and the moving of bytes; this file keeps the order of a turn the same for both. Turns
 * nest: loop_turn() may be called from inside a callback. Closed endpoints are therefore freed by the outermost turn
 * only, when no frame below can still be holding one. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/net/engine.h"

/* --- the loop --- */

static const struct engine *engine_wanted(const struct loop_settings *settings)
{
    if (settings->handed_in) return settings->handed_in;
    return settings->engine == LOOP_ENGINE_EPOLL ? &engine_epoll : &engine_uring;
}

struct loop *loop_new(const struct loop_settings *settings)
{
    struct loop *loop = mem_calloc(1, sizeof(*loop));
    list_init(&loop->sends);
    list_init(&loop->lent_sends);
    list_init(&loop->settling);
    list_init(&loop->unmarked);
    list_init(&loop->marked);
    list_init(&loop->dead);
    for (int kind = 0; kind < ENDPOINT_KINDS; kind++) list_init(&loop->live[kind]);
    loop_refresh_time(loop);

    loop->engine = engine_wanted(settings);
    int refused = loop->engine->start(loop, settings);
    if (refused && loop->engine == &engine_uring && settings->engine == LOOP_ENGINE_AUTO) {
        log_notice("io_uring is not available here (%s), using epoll", strerror(errno));
        loop->engine = &engine_epoll;
        refused = loop->engine->start(loop, settings);
    }
    if (refused) {
        int error = errno;
        mem_free(loop);
        errno = error;
        return NULL;
    }
    return loop;
}

static void endpoint_free(struct endpoint *endpoint)
{
    if (endpoint->fd >= 0) close(endpoint->fd);
    if (endpoint->kind == ENDPOINT_CONN)
        conn_free((struct conn *)endpoint);
    else
        mem_free(endpoint);
}

static void free_all(struct list *endpoints)
{
    list_each(endpoints, node)
    {
        struct endpoint *endpoint = list_entry(node, struct endpoint, node);
        if (endpoint->kind == ENDPOINT_WATCH) endpoint->fd = -1; /* its owner's */
        endpoint_free(endpoint);
    }
}

void loop_free(struct loop *loop)
{
    CHECK(loop->depth == 0);
    loop->engine->stop(loop);
    for (int kind = 0; kind < ENDPOINT_KINDS; kind++) free_all(&loop->live[kind]);
    free_all(&loop->dead);
    timers_free(loop);
    mem_free(loop);
}

void loop_abandon_in_child(struct loop *loop)
{
    struct list *owning[] = {&loop->live[ENDPOINT_CONN], &loop->live[ENDPOINT_LISTENER], &loop->dead};
    for (size_t i = 0; i < sizeof(owning) / sizeof(owning[0]); i++) {
        list_each(owning[i], node)
        {
            struct endpoint *endpoint = list_entry(node, struct endpoint, node);
            if (endpoint->fd >= 0) close(endpoint->fd);
            endpoint->fd = -1;
        }
    }
    if (loop->mailbox) loop->mailbox->abandon(loop->mailbox->context);
    loop->engine->abandon(loop);
}

const char *loop_engine_name(const struct loop *loop)
{
    return loop->engine->name;
}

/* --- time --- */

int64_t loop_wall_ms(const struct loop *loop)
{
    return loop->wall_us / 1000;
}

int64_t loop_monotonic_us(const struct loop *loop)
{
    return loop->monotonic_us;
}

int64_t loop_monotonic_ms(const struct loop *loop)
{
    return loop->monotonic_us / 1000;
}

struct loop_usage loop_usage(const struct loop *loop)
{
    return (struct loop_usage){.turns = loop->turns,
                               .awake_us = loop->awake_us,
                               .reads = loop->reads,
                               .writes = loop->writes,
                               .bytes_sent = loop->bytes_sent};
}

void loop_refresh_time(struct loop *loop)
{
    loop->wall_us = clock_wall_us();
    loop->monotonic_us = clock_monotonic_us();
    if (loop->woke_us == 0) loop->woke_us = loop->monotonic_us;
}

/* --- endpoints --- */

void endpoint_init(struct endpoint *endpoint, struct loop *loop, enum endpoint_kind kind, int fd)
{
    *endpoint = (struct endpoint){.loop = loop, .fd = fd, .kind = (uint8_t)kind};
    list_push_back(&loop->live[kind], &endpoint->node);
}

void endpoint_retire(struct endpoint *endpoint)
{
    struct loop *loop = endpoint->loop;
    endpoint->gone = true;
    loop->engine->release(endpoint);
    if (endpoint->kind == ENDPOINT_WATCH) endpoint->fd = -1; /* its owner's */
    if (endpoint->in_flight == 0 && endpoint->fd >= 0) {
        close(endpoint->fd);
        endpoint->fd = -1;
    }
    list_remove(&loop->live[endpoint->kind], &endpoint->node);
    list_push_back(&loop->dead, &endpoint->node);
}

static void sweep(struct loop *loop)
{
    list_each(&loop->dead, node)
    {
        struct endpoint *endpoint = list_entry(node, struct endpoint, node);
        if (endpoint->in_flight > 0) continue;
        list_remove(&loop->dead, node);
        endpoint_free(endpoint);
    }
}

/* --- the turn --- */

/* limit_us: -1 for none. The clock is read anew: a long turn would otherwise make every timer late by its length. */
static int64_t time_to_wait(struct loop *loop, int64_t limit_us)
{
    bool hurry = loop->no_wait || list_first(&loop->settling) || list_first(&loop->sends);
    int64_t now_us = clock_monotonic_us();
    loop->awake_us += (uint64_t)(now_us - loop->woke_us);
    loop->woke_us = 0;
    loop->no_wait = false;
    if (hurry || limit_us == 0) return 0;
    int64_t due_us = timers_due_us(loop);
    if (due_us < 0) return limit_us;
    int64_t left_us = due_us - now_us;
    if (left_us < 0) left_us = 0;
    return limit_us >= 0 && limit_us < left_us ? limit_us : left_us;
}

/* What came up in earlier turns: since then, output that had been flushed has had its chance to leave. */
static void settle(struct loop *loop)
{
    for (struct list_node *node; (node = list_first(&loop->settling));) {
        struct conn *conn = list_entry(node, struct conn, settle_node);
        if (conn->settle_turn == loop->turns || conn->delivering) break;
        list_remove(&loop->settling, node);
        conn_settle(conn);
    }
}

static void turn(struct loop *loop, int64_t limit_us)
{
    loop->depth++;
    loop->turns++;
    loop->flushed_bytes = 0;
    loop->engine->begin(loop);
    const struct loop_mailbox *mailbox = loop->mailbox;
    int64_t wait_us = time_to_wait(loop, limit_us);
    if (unlikely(mailbox != NULL) && wait_us != 0 && !mailbox->may_wait(mailbox->context)) wait_us = 0;
    loop->engine->turn(loop, wait_us);
    if (unlikely(mailbox != NULL)) mailbox->take(mailbox->context);
    settle(loop);
    timers_run(loop);
    if (loop->before_send) loop->before_send(loop->before_send_arg);
    if (unlikely(mailbox != NULL)) mailbox->send(mailbox->context);
    loop->depth--;
}

void loop_send_early(struct loop *loop)
{
    if (loop->before_send) loop->before_send(loop->before_send_arg);
    if (unlikely(loop->mailbox != NULL)) loop->mailbox->send(loop->mailbox->context);
    loop->flushed_bytes = 0;
    loop->engine->send(loop);
}

/* The sends of one turn leave with the wait of the next, in one system call; the last turn has no next. */
void loop_run(struct loop *loop)
{
    while (!loop->stopping) {
        turn(loop, -1);
        if (list_first(&loop->dead) && loop->depth == 0) sweep(loop);
    }
    loop->stopping = false;
    loop->engine->send(loop);
}

void loop_stop(struct loop *loop)
{
    loop->stopping = true;
}

void loop_turn(struct loop *loop, int timeout_ms)
{
    turn(loop, timeout_ms < 0 ? -1 : timeout_ms * INT64_C(1000));
    loop->engine->send(loop);
    if (loop->depth == 0) sweep(loop);
}

void loop_set_before_send(struct loop *loop, void (*hook)(void *arg), void *arg)
{
    loop->before_send = hook;
    loop->before_send_arg = arg;
}

void loop_do_not_wait(struct loop *loop)
{
    loop->no_wait = true;
}

void loop_frees_before_send(struct loop *loop, size_t bytes)
{
    loop->flushed_bytes += bytes;
}

void loop_gather(struct loop *loop, unsigned pieces, int64_t for_us)
{
    loop->gather_pieces = pieces;
    loop->gather_us = for_us;
}

int64_t loop_take_gathering(struct loop *loop, int64_t timeout_us)
{
    int64_t for_us = loop->gather_us;
    loop->gather_us = 0;
    return timeout_us < 0 || for_us < timeout_us ? for_us : timeout_us;
}

/* --- watches --- */

struct loop_watch *loop_watch_start(struct loop *loop, int fd, int events, void (*ready)(void *arg, int events),
                                    void *arg)
{
    struct loop_watch *watch = mem_calloc(1, sizeof(*watch));
    endpoint_init(&watch->endpoint, loop, ENDPOINT_WATCH, fd);
    watch->ready = ready;
    watch->arg = arg;
    loop_watch_set(watch, events);
    return watch;
}

void loop_watch_set(struct loop_watch *watch, int events)
{
    if (watch->events == events) return;
    watch->events = events;
    watch->endpoint.loop->engine->watch(watch);
}

void loop_watch_stop(struct loop_watch *watch)
{
    endpoint_retire(&watch->endpoint);
}

void watch_on_ready(struct loop_watch *watch, int events)
{
    events &= watch->events;
    if (events) watch->ready(watch->arg, events);
}
