/* The loop's timers: a binary heap by due time, in any process that runs a loop.
 *
 * A heap, not a wheel: mostly there are a few dozen timers (and one for each client that waits with a time-out), and
 * the loop asks for the next one every turn. Timers due at the same moment fire in the order they were started. */
#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/net/engine.h"

#define NOT_IN_HEAP SIZE_MAX

struct loop_timer {
    struct loop *loop;
    int64_t due_us;    /* monotonic */
    uint64_t sequence; /* orders what is due at the same moment */
    size_t place;      /* in loop->timers */
    int64_t (*fire)(void *arg);
    void *arg;
};

static bool fires_before(const struct loop_timer *a, const struct loop_timer *b)
{
    return a->due_us != b->due_us ? a->due_us < b->due_us : a->sequence < b->sequence;
}

static void put(struct loop *loop, size_t place, struct loop_timer *timer)
{
    loop->timers[place] = timer;
    timer->place = place;
}

static void sift_up(struct loop *loop, size_t place, struct loop_timer *timer)
{
    for (; place > 0; place = (place - 1) / 2) {
        struct loop_timer *parent = loop->timers[(place - 1) / 2];
        if (!fires_before(timer, parent)) break;
        put(loop, place, parent);
    }
    put(loop, place, timer);
}

static void sift_down(struct loop *loop, size_t place, struct loop_timer *timer)
{
    for (size_t child; (child = 2 * place + 1) < loop->timer_count; place = child) {
        if (child + 1 < loop->timer_count && fires_before(loop->timers[child + 1], loop->timers[child])) child++;
        if (!fires_before(loop->timers[child], timer)) break;
        put(loop, place, loop->timers[child]);
    }
    put(loop, place, timer);
}

static void heap_insert(struct loop *loop, struct loop_timer *timer)
{
    if (loop->timer_count == loop->timer_capacity) {
        loop->timer_capacity = loop->timer_capacity ? 2 * loop->timer_capacity : 16;
        loop->timers = mem_realloc(loop->timers, loop->timer_capacity * sizeof(struct loop_timer *));
    }
    timer->sequence = loop->timers_started++;
    sift_up(loop, loop->timer_count++, timer);
}

static void heap_remove(struct loop *loop, struct loop_timer *timer)
{
    size_t hole = timer->place;
    struct loop_timer *last = loop->timers[--loop->timer_count];
    timer->place = NOT_IN_HEAP;
    if (last == timer) return;
    sift_down(loop, hole, last);
    sift_up(loop, last->place, last);
}

static struct loop_timer *start_at(struct loop *loop, int64_t due_us, int64_t (*fire)(void *arg), void *arg)
{
    struct loop_timer *timer = mem_alloc(sizeof(*timer));
    *timer = (struct loop_timer){.loop = loop, .due_us = due_us, .fire = fire, .arg = arg};
    heap_insert(loop, timer);
    return timer;
}

static int64_t due_us(const struct loop *loop, int64_t delay_ms)
{
    int64_t most_ms = (INT64_MAX - loop->monotonic_us) / 1000;
    return delay_ms < most_ms ? loop->monotonic_us + delay_ms * 1000 : INT64_MAX;
}

struct loop_timer *loop_timer_start(struct loop *loop, int64_t delay_ms, int64_t (*fire)(void *arg), void *arg)
{
    return start_at(loop, due_us(loop, delay_ms), fire, arg);
}

struct loop_timer *loop_timer_start_us(struct loop *loop, int64_t delay_us, int64_t (*fire)(void *arg), void *arg)
{
    return start_at(loop, loop->monotonic_us + delay_us, fire, arg);
}

void loop_timer_cancel(struct loop_timer *timer)
{
    CHECK(timer->place != NOT_IN_HEAP);
    heap_remove(timer->loop, timer);
    mem_free(timer);
}

int64_t timers_due_us(const struct loop *loop)
{
    return loop->timer_count ? loop->timers[0]->due_us : -1;
}

void timers_run(struct loop *loop)
{
    while (loop->timer_count && loop->timers[0]->due_us <= loop->monotonic_us) {
        struct loop_timer *timer = loop->timers[0];
        heap_remove(loop, timer);
        int64_t delay_ms = timer->fire(timer->arg);
        if (delay_ms < 0) {
            mem_free(timer);
            continue;
        }
        /* Always later than now, or a delay of zero would never let the turn end. */
        timer->due_us = delay_ms ? due_us(loop, delay_ms) : loop->monotonic_us + 1;
        heap_insert(loop, timer);
    }
}

void timers_free(struct loop *loop)
{
    for (size_t i = 0; i < loop->timer_count; i++) mem_free(loop->timers[i]);
    mem_free(loop->timers);
}
