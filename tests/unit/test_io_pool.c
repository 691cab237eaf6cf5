/* The pure parts of the I/O threads: the queue between two threads, and when threads are worth it. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "server/net/pool/policy.h"
#include "server/net/pool/spsc.h"

/* --- the queue --- */

static struct spsc *new_queue(void)
{
    return calloc(1, sizeof(struct spsc));
}

static void *item(uintptr_t number)
{
    return (void *)number;
}

Test(io_pool, a_queue_is_first_in_first_out)
{
    struct spsc *q = new_queue();
    cr_assert_null(spsc_peek(q));
    for (uintptr_t i = 1; i <= 3; i++) cr_assert(spsc_push(q, item(i)));
    cr_assert_eq(spsc_ready(q, 4), 3);
    cr_assert_eq(spsc_at(q, 2), item(3));
    for (uintptr_t i = 1; i <= 3; i++) {
        cr_assert_eq(spsc_peek(q), item(i));
        spsc_pop(q);
    }
    cr_assert_null(spsc_peek(q));
    free(q);
}

Test(io_pool, a_full_queue_refuses_until_something_is_taken)
{
    struct spsc *q = new_queue();
    for (uintptr_t round = 0; round < 3; round++) {
        for (uintptr_t i = 1; i <= SPSC_CAPACITY; i++) cr_assert(spsc_push(q, item(i)));
        cr_assert_not(spsc_push(q, item(1)));
        cr_assert_eq(spsc_at(q, SPSC_CAPACITY - 1), item(SPSC_CAPACITY));
        cr_assert_eq(spsc_peek(q), item(1));
        spsc_pop(q);
        cr_assert(spsc_push(q, item(SPSC_CAPACITY + 1)));
        for (uintptr_t i = 2; i <= SPSC_CAPACITY + 1; i++) {
            cr_assert_eq(spsc_peek(q), item(i));
            spsc_pop(q);
        }
    }
    free(q);
}

Test(io_pool, who_sleeps_is_woken_once)
{
    struct spsc *q = new_queue();
    cr_assert_not(spsc_must_wake(q));
    cr_assert(spsc_may_sleep(q));
    spsc_push(q, item(1));
    cr_assert(spsc_must_wake(q));
    cr_assert_not(spsc_must_wake(q));
    cr_assert_not(spsc_may_sleep(q), "something has come");
    spsc_push(q, item(2));
    cr_assert_not(spsc_must_wake(q), "it does not sleep");
    free(q);
}

/* What one thread puts in, sleeping between, another takes out; a wake-up that got lost would never come. */
enum { ITEMS = 300000 };

struct pair {
    struct spsc *q;
    _Atomic unsigned bell;
};

static void *put_in(void *arg)
{
    struct pair *p = arg;
    for (uintptr_t i = 1; i <= ITEMS; i++) {
        while (!spsc_push(p->q, item(i))) sched_yield();
        if (i % 7 == 0 || i == ITEMS)
            if (spsc_must_wake(p->q)) p->bell++;
    }
    return NULL;
}

Test(io_pool, two_threads_lose_and_double_nothing, .timeout = 60)
{
    struct pair p = {.q = new_queue()};
    unsigned heard = 0;
    pthread_t producer;
    pthread_create(&producer, NULL, put_in, &p);
    for (uintptr_t expected = 1; expected <= ITEMS;) {
        spsc_is_awake(p.q);
        for (void *got; (got = spsc_peek(p.q)); expected++) {
            cr_assert_eq(got, item(expected));
            spsc_pop(p.q);
        }
        if (expected > ITEMS || !spsc_may_sleep(p.q)) continue;
        while (p.bell == heard) sched_yield();
        heard = p.bell;
    }
    pthread_join(producer, NULL);
    free(p.q);
}

/* --- when --- */

static const struct pool_load busy = {.span_us = 10000, .awake_us = 9000, .pieces = 1000, .speakers = 50, .turns = 100};
static const struct pool_load helped = {
    .span_us = 10000, .awake_us = 2500, .pieces = 1000, .speakers = 50, .turns = 90};
static const struct pool_load calm = {.span_us = 10000, .awake_us = 300, .pieces = 20, .speakers = 10, .turns = 20};

static bool step_for_us(struct pool_policy *p, struct pool_load load, int64_t us)
{
    bool active = p->active;
    for (int64_t at = 0; at < us; at += load.span_us) active = pool_policy_step(p, &load);
    return active;
}

Test(io_pool, threads_work_under_load_and_sleep_without)
{
    struct pool_policy p = {0};
    cr_assert_not(step_for_us(&p, calm, 1000000));
    cr_assert_not(step_for_us(&p, busy, POOL_BUSY_US - 10000), "a moment is no load");
    cr_assert_not(step_for_us(&p, calm, 10000));
    cr_assert_not(step_for_us(&p, busy, POOL_BUSY_US - 10000));
    cr_assert(step_for_us(&p, busy, 10000));
    cr_assert(step_for_us(&p, helped, 10000000), "the loop's own rest is their work");
    cr_assert(step_for_us(&p, calm, POOL_IDLE_US - 10000));
    cr_assert_not(step_for_us(&p, calm, 10000));
}

Test(io_pool, few_who_speak_need_no_threads)
{
    struct pool_policy p = {0};
    struct pool_load few = busy;
    few.speakers = POOL_SPEAKERS - 1;
    cr_assert_not(step_for_us(&p, few, 1000000));
    step_for_us(&p, busy, POOL_BUSY_US);
    cr_assert_not(step_for_us(&p, few, POOL_IDLE_US));
}

Test(io_pool, input_that_queues_up_is_load)
{
    struct pool_policy p = {0};
    struct pool_load starved = busy; /* of processor time: the loop waits, but not for input */
    starved.awake_us = 1000;
    cr_assert(step_for_us(&p, starved, POOL_BUSY_US));
    starved.turns = starved.pieces;
    p = (struct pool_policy){0};
    cr_assert_not(step_for_us(&p, starved, 1000000), "each piece is served as it comes");
    starved.pieces = 10;
    starved.turns = 2;
    cr_assert_not(step_for_us(&p, starved, 1000000), "that is little");
}
