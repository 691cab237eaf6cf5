/* See writer.h. */
#include "bench/lab/writer.h"

#include "bench/servers/contestant.h"
#include "server/base/random.h"
#include "tests/harness/clock.h"
#include "tests/harness/fail.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define TICK_US   2000
#define BATCH_MAX 512
#define BOUND_MS  300 /* for an answer: a server may be stopped */

struct writer {
    pthread_t thread;
    struct writer_plan plan;
    struct written written;
    struct random_state random;
    char *value;
    atomic_bool stop, ended;
};

/* Each value differs: a key that was not replicated shows. */
static void append_command(struct writer *w, redisContext *c, uint64_t number)
{
    long key = (long)random_below(&w->random, (uint64_t)w->plan.keys);
    memset(w->value, 'a' + (int)random_below(&w->random, 26), (size_t)w->plan.value_bytes);
    memcpy(w->value, &number, w->plan.value_bytes < 8 ? (size_t)w->plan.value_bytes : sizeof number);
    redisAppendCommand(c, "SET " LAB_KEY "%ld %b", key, w->value, (size_t)w->plan.value_bytes);
}

/* How many were acknowledged; fewer: the connection is of no use any more. */
static uint64_t write_batch(struct writer *w, redisContext *c, uint64_t count)
{
    uint64_t good = 0;
    for (uint64_t i = 0; i < count; i++) append_command(w, c, w->written.acknowledged + i);
    while (good < count && !atomic_load(&w->stop)) {
        redisReply *r = NULL;
        if (redisGetReply(c, (void **)&r) != REDIS_OK) break;
        bool taken = r->type == REDIS_REPLY_STATUS;
        freeReplyObject(r);
        if (!taken) break;
        good++;
    }
    return good;
}

static void *write_all(void *arg)
{
    struct writer *w = arg;
    const struct writer_plan *plan = &w->plan;
    redisContext *c = NULL;
    int64_t start_us = clock_us();
    while (!atomic_load(&w->stop) && w->written.bytes < plan->bytes) {
        uint64_t due = (uint64_t)(clock_us() - start_us) * plan->bytes_per_s / 1000000;
        if (due > plan->bytes) due = plan->bytes;
        uint64_t count = due > w->written.bytes ? (due - w->written.bytes) / (uint64_t)plan->value_bytes : 0;
        if (!count && due == plan->bytes) break;
        if (!count) {
            sleep_us(TICK_US);
            continue;
        }
        if (count > BATCH_MAX) count = BATCH_MAX;
        if (!c) c = contestant_connect(plan->host, plan->port, (struct timeval){0, BOUND_MS * 1000});
        uint64_t good = c && !c->err ? write_batch(w, c, count) : 0;
        w->written.acknowledged += good;
        w->written.bytes += good * (uint64_t)plan->value_bytes;
        if (good == count) continue;
        if (c) redisFree(c);
        c = NULL;
        sleep_us(TICK_US);
    }
    if (c) redisFree(c);
    atomic_store(&w->ended, true);
    return NULL;
}

struct writer *writer_start(const struct writer_plan *plan)
{
    struct writer *w = calloc(1, sizeof *w);
    w->plan = *plan;
    w->value = malloc((size_t)plan->value_bytes + 1);
    random_seed(&w->random, plan->seed);
    if (pthread_create(&w->thread, NULL, write_all, w) != 0) harness_fail("no thread for a writer");
    return w;
}

struct written writer_end(struct writer *w, int bound_ms)
{
    for (int64_t until_ms = clock_ms() + bound_ms; clock_ms() < until_ms && !atomic_load(&w->ended);) sleep_us(TICK_US);
    atomic_store(&w->stop, true);
    pthread_join(w->thread, NULL);
    struct written written = w->written;
    free(w->value);
    free(w);
    return written;
}
