/* A backlog may forget byte by byte, or in blocks. Either way its first byte is known from INFO, and the size of a SET
 * in the stream is known beforehand. While the replica is still there the stream is padded so that the byte that it
 * will need lies where a block begins; then it is cut off, and the master is written to until that edge is reached.
 * Whoever still has a reader may keep more for it than the backlog's size, and let all of that go at once: the size
 * must be the one at rest when the edge is chosen, and the master must have noticed that its reader is gone
 * before it is written to. */
#include "bench/lab/faults/backlog_edge.h"

#include "bench/lab/writer.h"
#include "tests/harness/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_MOST        8000
#define LEAST_PAD         80
#define ROUNDS_MAX        20
#define STEP_BOUND_MS     10000
#define REST_BOUND_MS     1000
#define ANSWER_BOUND_MS   2000
#define LEAPS_IN_BACKLOGS 4 /* a backlog may keep more than it was told to */
#define LEAPS_MAX         12

struct edge {
    long long first, end; /* the first byte that is kept, and the one behind the last */
};

static int look(struct instance *master, struct edge *out)
{
    char *info = instance_info(master, "replication", ANSWER_BOUND_MS);
    out->first = info_number_of(info, "repl_backlog_first_byte_offset");
    out->end = info_number_of(info, "master_repl_offset") + 1;
    free(info);
    return out->first >= 0 ? 0 : -1;
}

static size_t size_in_stream(size_t key_len, size_t value_len)
{
    char text[96];
    return (size_t)snprintf(text, sizeof text, "*3\r\n$3\r\nSET\r\n$%zu\r\n\r\n$%zu\r\n\r\n", key_len, value_len) +
           key_len + value_len;
}

/* A SET of exactly so many bytes in the stream; at least LEAST_PAD. The key is longer by one where the digits of the
 * value's length leave a gap. */
static int pad(struct instance *master, long long bytes)
{
    static char value[VALUE_MOST + LEAST_PAD];
    static const char *const keys[] = {LAB_KEY "pad", LAB_KEY "pads", LAB_KEY "padded"};
    memset(value, 'p', sizeof value);
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        size_t rest = size_in_stream(strlen(keys[k]), 0);
        for (size_t len = (size_t)bytes > rest + 8 ? (size_t)bytes - rest - 8 : 1; len < sizeof value; len++) {
            if (size_in_stream(strlen(keys[k]), len) > (size_t)bytes) break;
            if (size_in_stream(strlen(keys[k]), len) < (size_t)bytes) continue;
            redisReply *r = instance_command(master, "SET %s %b", keys[k], value, len);
            bool good = r && r->type == REDIS_REPLY_STATUS;
            freeReplyObject(r);
            return good ? 0 : -1;
        }
    }
    return -1;
}

/* The next piece on the way to a goal: never one that leaves too little for another. */
static long long piece(long long gap)
{
    if (gap <= VALUE_MOST) return gap;
    return gap < VALUE_MOST + LEAST_PAD ? gap / 2 : VALUE_MOST;
}

/* A backlog in blocks keeps up to one more than it was told to. */
static bool is_at_rest(const struct scene *s, const struct edge *e, long long step)
{
    return e->end - e->first <= (long long)s->settings.backlog_bytes + step;
}

/* Nobody lags whom it would keep more for, and what it kept for one that did has gone. 0 or -1. */
static int come_to_rest(struct scene *s, struct edge *e, long long step)
{
    if (scene_wait_in_step(s, STEP_BOUND_MS) != 0) return -1;
    for (int64_t until_ms = clock_ms() + REST_BOUND_MS; look(&s->master, e) == 0 && clock_ms() < until_ms;
         sleep_us(500))
        if (is_at_rest(s, e, step)) return 0;
    return -1;
}

/* Writes until the first byte has moved; how far it moves at once. -1: it does not. */
static long long leap(struct scene *s, struct edge *e)
{
    long long most = LEAPS_IN_BACKLOGS * (long long)s->settings.backlog_bytes, before = e->first;
    for (long long written = 0; written < most && e->first == before; written += LEAST_PAD)
        if (pad(&s->master, LEAST_PAD) != 0 || scene_wait_in_step(s, STEP_BOUND_MS) != 0 || look(&s->master, e) != 0)
            return -1;
    return e->first > before ? e->first - before : -1;
}

/* What was kept for a reader that lagged goes at once, however much it is: only leaps of equal length are the backlog's
 * own steps. -1: it has none. */
static long long find_step(struct scene *s, struct edge *e)
{
    long long step = leap(s, e);
    for (int tries = 0; tries < LEAPS_MAX && step > 0; tries++) {
        long long next = leap(s, e);
        if (next == step && come_to_rest(s, e, step) == 0) return step;
        step = next;
    }
    return -1;
}

static int wait_until_noticed(struct scene *s)
{
    for (int64_t until_ms = clock_ms() + STEP_BOUND_MS; clock_ms() < until_ms; sleep_us(500)) {
        char *info = instance_info(&s->master, "replication", ANSWER_BOUND_MS);
        long long left = info_number_of(info, "connected_slaves");
        free(info);
        if (left == 0) return 0;
    }
    return -1;
}

/* The replica is in step, and the byte that it needs next is where the backlog can begin, less `missing`. */
static int place_replica(struct scene *s, int missing, long long *edge)
{
    struct edge e;
    long long backlog = (long long)s->settings.backlog_bytes;
    if (look(&s->master, &e) != 0) return -1;
    for (long long until = e.end + 2 * backlog; e.end < until;)
        if (pad(&s->master, VALUE_MOST) != 0 || look(&s->master, &e) != 0) return -1;
    if (scene_wait_in_step(s, STEP_BOUND_MS) != 0) return -1;
    long long step = find_step(s, &e), first = e.first;
    if (step <= 0) return -1;
    for (int round = 0; round < ROUNDS_MAX; round++) {
        long long blocks = (e.end + LEAST_PAD - first) / step + 1;
        *edge = first + blocks * step;
        for (long long gap; (gap = *edge - missing - e.end) > 0;)
            if (gap < LEAST_PAD || pad(&s->master, piece(gap)) != 0 || look(&s->master, &e) != 0) break;
        if (e.end == *edge - missing && come_to_rest(s, &e, step) == 0 && e.end == *edge - missing) return 0;
        if (look(&s->master, &e) != 0) return -1;
    }
    return -1;
}

int backlog_edge_reach(struct scene *s, int missing, char why[256])
{
    long long edge = 0, before;
    struct edge e;
    snprintf(why, 256, "the backlog of this master cannot be steered to the byte");
    if (place_replica(s, missing, &edge) != 0) return FAULT_NOT_HERE;
    proxy_cut(s->proxy);
    if (wait_until_noticed(s) != 0) return -1;
    if (look(&s->master, &e) != 0) return -1;
    long long most = e.end + 3 * (long long)s->settings.backlog_bytes;
    while (e.first < edge && e.end < most) {
        before = e.first;
        long long gap = edge - e.first;
        if (pad(&s->master, gap < LEAST_PAD ? LEAST_PAD : piece(gap)) != 0 || look(&s->master, &e) != 0) return -1;
        if (before > e.first) return -1;
    }
    snprintf(why, 256, "the backlog begins at %lld and not at %lld: it cannot be steered to the byte", e.first, edge);
    return e.first == edge ? 0 : FAULT_NOT_HERE;
}
