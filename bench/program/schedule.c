/* See schedule.h. During the load nothing may wait: a question is sent at one look,
 * and its answer taken at a later one. */
#include "bench/program/schedule.h"

#include "tests/harness/clock.h"

#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define MS       1000000ll
#define LOOK_NS  (10 * MS) /* at least, from one look to the next */
#define LOOK_US  5000      /* after the load */
#define BOUND_MS 120000    /* until it must be over */

const char *schedule_name(enum schedule schedule)
{
    static const char *const names[] = {"steady", "bgsave", "replica"};
    return names[schedule];
}

/* Who is told, and asked. */
static struct instance *who(const struct scheduled *s)
{
    return s->schedule == SCHEDULE_BGSAVE ? s->server : s->replica;
}

static void ask(struct scheduled *s)
{
    int done = 0;
    redisContext *c = who(s)->client;
    redisAppendCommand(c, "INFO %s", s->schedule == SCHEDULE_BGSAVE ? "persistence" : "replication");
    while (redisBufferWrite(c, &done) == REDIS_OK && !done) continue;
    s->asked = true;
}

/* The first answer is that to the strike; INFO gives all others. */
static void take(struct scheduled *s, const redisReply *r)
{
    bool first = !s->answers++;
    char text[16];
    if (r->type != (first ? REDIS_REPLY_STATUS : REDIS_REPLY_STRING) && !s->error[0])
        snprintf(s->error, sizeof s->error, "server '%s', %s: %.200s", s->server->of->name, schedule_name(s->schedule),
                 r->str ? r->str : "an answer of another kind");
    if (first || s->error[0]) return;
    const char *field = s->schedule == SCHEDULE_BGSAVE ? "rdb_bgsave_in_progress" : "master_link_status";
    const char *over = s->schedule == SCHEDULE_BGSAVE ? "0" : "up";
    s->asked = false;
    if (s->over_ns || !info_text_of(r->str, field, text, sizeof text) || strcmp(text, over) != 0) return;
    s->over_ns = clock_us() * 1000;
    s->phase = PHASE_AFTER;
}

/* Answers that have come, without waiting for others. -1: the line is dead. */
static int take_what_came(struct scheduled *s)
{
    redisContext *c = who(s)->client;
    struct pollfd waiting = {.fd = c->fd, .events = POLLIN};
    redisReply *r = NULL;
    if (poll(&waiting, 1, 0) > 0 && redisBufferRead(c) != REDIS_OK) return -1;
    while (redisGetReplyFromReader(c, (void **)&r) == REDIS_OK && r) {
        take(s, r);
        freeReplyObject(r);
    }
    return c->err ? -1 : 0;
}

static void strike(void *context)
{
    struct scheduled *s = context;
    redisContext *c = who(s)->client;
    if (s->schedule == SCHEDULE_BGSAVE)
        redisAppendCommand(c, "BGSAVE");
    else
        redisAppendCommand(c, "REPLICAOF %s %d", s->server->host, s->server->port);
    s->struck_ns = clock_us() * 1000;
    s->phase = PHASE_MEANWHILE;
    ask(s);
}

static void look(void *context)
{
    struct scheduled *s = context;
    if (s->over_ns || take_what_came(s) != 0 || s->over_ns || s->asked) return;
    ask(s);
}

int schedule_events(struct scheduled *s, int64_t duration_ns, struct load_event out[SCHEDULE_EVENTS])
{
    int count = 0;
    int64_t every_ns = duration_ns / 2 / SCHEDULE_LOOKS;
    if (s->schedule == SCHEDULE_STEADY) return 0;
    if (every_ns < LOOK_NS) every_ns = LOOK_NS;
    out[count++] = (struct load_event){duration_ns / 2, strike, s};
    for (int64_t at_ns = duration_ns / 2 + every_ns; at_ns < duration_ns && count < SCHEDULE_EVENTS; at_ns += every_ns)
        out[count++] = (struct load_event){at_ns, look, s};
    return count;
}

/* As if it had never been there: the next round's begins with no data. */
static void take_replica_away(struct scheduled *s)
{
    freeReplyObject(instance_command(s->replica, "REPLICAOF NO ONE"));
    freeReplyObject(instance_command(s->replica, "FLUSHALL"));
}

int schedule_finish(struct scheduled *s)
{
    if (s->schedule == SCHEDULE_STEADY) return 0;
    for (int64_t until_ms = clock_ms() + BOUND_MS; clock_ms() < until_ms && !s->error[0] && !s->over_ns;) {
        if (take_what_came(s) != 0) break;
        if (!s->asked && !s->over_ns) ask(s);
        sleep_us(LOOK_US);
    }
    if (!s->over_ns && !s->error[0])
        snprintf(s->error, sizeof s->error, "server '%s': what was to happen (%s) did not end within %d s",
                 s->server->of->name, schedule_name(s->schedule), BOUND_MS / 1000);
    if (s->schedule == SCHEDULE_REPLICA && !s->error[0]) take_replica_away(s);
    return s->error[0] ? -1 : 0;
}
