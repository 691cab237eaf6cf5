/* A world for tests of Sentinels: several in one process, with servers and a network that loses, delays and cuts. Time
 * goes on by run_ms() alone, and chance comes from a seed, so a test is the same each time. A second leader of an
 * epoch fails any test (led). */
#ifndef SLIPSTREAM_TEST_SENTINEL_WORLD_H
#define SLIPSTREAM_TEST_SENTINEL_WORLD_H

#include "server/sentinel/sentinel.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SENTINELS    5
#define SERVERS      4
#define MESSAGES_MAX 8192
#define SERVER_PORT  7000
#define OWN_PORT     27000
#define HOST         "10.0.0.1"

struct message {
    int64_t due_ms;
    bool used, is_reply;
    int sentinel, target; /* a server's number, or SERVERS and more: a Sentinel's */
    struct sentinel_action request;
    struct sentinel_event event;
    char text[4096];
    char leader[SENTINEL_RUN_ID + 1];
};

struct fake_server {
    int restarts;
    int64_t lost_ms;     /* it says that it is without its master since then; 0: a second; below: it never had one */
    int64_t started_ms;  /* 0: it does not say for how long it runs */
    int64_t gives_up_ms; /* so long after it was asked to hand over; then: at that time */
    bool loading, empty;
    bool dies_of_promotion;
    uint64_t ahead; /* it came back, and a replica has so much more */
    bool held_back; /* by such a master */
    bool alive, is_master;
    int master; /* whom it follows */
    uint64_t offset;
    int history, left; /* what its offset counts, and what that has gone on from; 0: it says none */
    int promotions;
    int hand_overs;
};

struct world {
    int count, servers;
    int64_t now_ms;
    struct random_state random;
    unsigned loss_percent, delay_ms;
    int tick_steps; /* a tick is so many times 10 ms */
    struct sentinel sentinel[SENTINELS];
    struct watched_settings watched;
    bool cut[SENTINELS]; /* reaches nobody, and is reached by nobody */
    struct fake_server server[SERVERS];
    struct message messages[MESSAGES_MAX];
    int message_end; /* none is used from there on */
    struct {
        uint64_t epoch;
        int sentinel;
    } leaders[1024];
    int leader_count;
    int said_switch[SENTINELS], said_abort;
    uint64_t sent;     /* of what was sent when: a sum that another order or time changes */
    bool tends_always; /* every master at every tick, whether it can matter or not */
};

static struct world w;
static char log_lines[400000];
static size_t log_len;

static inline void note(int sentinel, const char *type, const char *text)
{
    if (log_len < sizeof log_lines - 2000)
        log_len +=
            (size_t)snprintf(log_lines + log_len, 1900, "%" PRId64 " S%d %s %s\n", w.now_ms, sentinel, type, text);
}

static inline void run_id_of(int number, char out[SENTINEL_RUN_ID + 1])
{
    snprintf(out, SENTINEL_RUN_ID + 1, "%040x", 0xa0 + number);
}

static inline void carry_out(int sentinel, const struct sentinel_actions *actions);

static inline void step(int sentinel, const struct sentinel_event *event)
{
    struct sentinel_actions out = {0};
    sentinel_step(&w.sentinel[sentinel], event, w.now_ms, &out);
    carry_out(sentinel, &out);
    sentinel_actions_free(&out);
}

static inline struct message *post(int sentinel, bool is_reply)
{
    for (int i = 0; i < MESSAGES_MAX; i++) {
        struct message *m = &w.messages[i];
        if (m->used) continue;
        if (i >= w.message_end) w.message_end = i + 1;
        *m = (struct message){.used = true, .is_reply = is_reply, .sentinel = sentinel};
        m->due_ms = w.now_ms + (w.delay_ms ? (int64_t)random_below(&w.random, w.delay_ms) : 0);
        return m;
    }
    cr_assert_fail("more messages than there is room for");
    return NULL;
}

/* Whom an address means: a server's number, SERVERS and more a Sentinel's, -1 nobody. */
static inline int target_of(int port)
{
    if (port >= SERVER_PORT && port < SERVER_PORT + w.servers) return port - SERVER_PORT;
    if (port >= OWN_PORT && port < OWN_PORT + w.count) return SERVERS + port - OWN_PORT;
    return -1;
}

static inline bool reaches(int sentinel, int target)
{
    if (w.cut[sentinel] || target < 0) return false;
    return target < SERVERS ? w.server[target].alive : !w.cut[target - SERVERS];
}

static inline void connect_now(int sentinel, const struct sentinel_action *a)
{
    struct message *m = post(sentinel, true);
    m->target = target_of(a->address.port);
    m->event =
        (struct sentinel_event){.kind = reaches(sentinel, m->target) ? SENTINEL_EVENT_LINKED : SENTINEL_EVENT_UNLINKED,
                                .instance = a->instance,
                                .link = a->link,
                                .ip = HOST,
                                .local_ip = HOST};
}

static inline void led(int sentinel)
{
    uint64_t epoch = w.sentinel[sentinel].masters[0]->failover.epoch;
    if (w.sentinel[sentinel].masters[0]->failover.forced) return;
    for (int i = 0; i < w.leader_count; i++)
        cr_assert(w.leaders[i].epoch != epoch || w.leaders[i].sentinel == sentinel,
                  "two leaders of epoch %" PRIu64 "\n%s", epoch, log_lines);
    w.leaders[w.leader_count].epoch = epoch;
    w.leaders[w.leader_count++].sentinel = sentinel;
}

static inline void carry_out(int sentinel, const struct sentinel_actions *actions)
{
    for (int i = 0; i < actions->count; i++) {
        const struct sentinel_action *a = &actions->list[i];
        if (a->kind == SENTINEL_CONNECT) connect_now(sentinel, a);
        if (a->kind == SENTINEL_NOTE) note(sentinel, "-", a->text);
        if (a->kind == SENTINEL_SAY) {
            note(sentinel, a->type, a->text);
            if (strcmp(a->type, "+elected-leader") == 0) led(sentinel);
            if (strcmp(a->type, "+switch-master") == 0) w.said_switch[sentinel]++;
            if (strncmp(a->type, "-failover-abort", 15) == 0) w.said_abort++;
        }
        if (a->kind == SENTINEL_DISCONNECT) {
            struct message *m = post(sentinel, true);
            m->event =
                (struct sentinel_event){.kind = SENTINEL_EVENT_UNLINKED, .instance = a->instance, .link = a->link};
        }
        if (a->kind != SENTINEL_SEND) continue;
        const struct instance *to = sentinel_instance(&w.sentinel[sentinel], a->instance);
        w.sent = (w.sent ^ (uint64_t)w.now_ms ^ (uint64_t)a->request << 40 ^ a->instance << 48) * 0x100000001b3;
        struct message *m = post(sentinel, false);
        m->target = to ? target_of(to->address.port) : -1;
        m->request = *a;
    }
}

/* --- what servers do --- */

/* Started anew, whether it had died before or not. */
static inline void come_back(int server)
{
    w.server[server].alive = true;
    w.server[server].restarts++;
}

static inline void begin_to_follow(int server, int master)
{
    w.server[server].is_master = false;
    w.server[server].master = master;
}

static inline void write_info(int number, char *out, size_t room)
{
    const struct fake_server *me = &w.server[number];
    size_t len = (size_t)snprintf(out, room, "run_id:%040x\r\nrole:%s\r\nmaster_failover_state:%s\r\nloading:%d\r\n%s",
                                  0xf0 + number + 0x1000 * me->restarts, me->is_master ? "master" : "slave",
                                  me->hand_overs && w.now_ms < me->gives_up_ms ? "waiting-for-sync" : "no-failover",
                                  me->loading, me->empty ? "" : "db0:keys=10,expires=0\r\n");
    if (me->started_ms)
        len += (size_t)snprintf(out + len, room - len, "uptime_in_seconds:%" PRId64 "\r\n",
                                (w.now_ms - me->started_ms) / 1000);
    if (me->history)
        len += (size_t)snprintf(out + len, room - len, "master_replid:%040x\r\nmaster_replid2:%040x\r\n", me->history,
                                me->left);
    if (!me->is_master) {
        const struct fake_server *master = &w.server[me->master];
        bool up = master->alive && master->is_master && !me->held_back;
        char down[64] = "";
        int64_t down_s = me->lost_ms ? (w.now_ms - me->lost_ms) / 1000 : 1;
        if (me->lost_ms < 0) down_s = -1;
        if (!up) snprintf(down, sizeof down, "master_link_down_since_seconds:%" PRId64 "\r\n", down_s);
        snprintf(out + len, room - len,
                 "master_host:" HOST "\r\nmaster_port:%d\r\nmaster_link_status:%s\r\n%sslave_repl_offset:%" PRIu64
                 "\r\nslave_priority:100\r\n",
                 SERVER_PORT + me->master, up ? "up" : "down", down, me->offset);
        return;
    }
    len += (size_t)snprintf(out + len, room - len, "master_repl_offset:%" PRIu64 "\r\n", me->offset);
    if (me->ahead) len += (size_t)snprintf(out + len, room - len, "slaves_ahead_bytes:%" PRIu64 "\r\n", me->ahead);
    for (int i = 0; i < w.servers; i++)
        if (!w.server[i].is_master && w.server[i].master == number && w.server[i].alive)
            len += (size_t)snprintf(out + len, room - len, "slave%d:ip=" HOST ",port=%d,state=online\r\n", i,
                                    SERVER_PORT + i);
}

static inline void hear_hello(const struct message *m)
{
    for (int s = 0; s < w.count; s++) {
        if (w.cut[s] || random_below(&w.random, 100) < w.loss_percent) continue;
        struct sentinel_event event = {.kind = SENTINEL_EVENT_HELLO, .text = bytes_from_text(m->request.text)};
        step(s, &event);
    }
}

static inline void serve(const struct message *m, struct message *reply)
{
    struct fake_server *me = &w.server[m->target];
    reply->event.text = BYTES("OK");
    switch (m->request.request) {
    case REQUEST_PING: reply->event.text = BYTES("PONG"); break;
    case REQUEST_INFO:
        write_info(m->target, reply->text, sizeof reply->text);
        reply->event.text = bytes_from_text(reply->text);
        break;
    case REQUEST_PROMOTE:
        if (me->dies_of_promotion) {
            me->alive = false;
            reply->event = (struct sentinel_event){.kind = SENTINEL_EVENT_UNLINKED, .instance = m->request.instance};
            break;
        }
        me->promotions += !me->is_master;
        if (me->history && !me->is_master) {
            me->left = me->history;
            me->history += 0x11;
        }
        me->is_master = true;
        break;
    case REQUEST_FOLLOW: begin_to_follow(m->target, target_of(m->request.address.port)); break;
    case REQUEST_HAND_OVER:
        me->hand_overs++;
        if (me->gives_up_ms) {
            me->gives_up_ms += w.now_ms;
            break;
        }
        begin_to_follow(m->target, target_of(m->request.address.port));
        w.server[me->master].is_master = true;
        break;
    case REQUEST_HELLO: hear_hello(m); break;
    default: break;
    }
}

/* --- what Sentinels answer --- */

static inline void answer(const struct message *m, struct message *reply)
{
    int number = m->target - SERVERS;
    reply->event.text = BYTES("PONG");
    if (m->request.request == REQUEST_HELLO)
        step(number, &(struct sentinel_event){.kind = SENTINEL_EVENT_HELLO, .text = bytes_from_text(m->request.text)});
    if (m->request.request != REQUEST_IS_DOWN) return;
    struct sentinel_down_answer said;
    struct sentinel_actions out = {0};
    sentinel_is_master_down(&w.sentinel[number], &m->request.address, m->request.epoch, m->request.run_id, w.now_ms,
                            &said, &out);
    carry_out(number, &out);
    sentinel_actions_free(&out);
    memcpy(reply->leader, said.leader, sizeof reply->leader);
    snprintf(reply->text, sizeof reply->text, "%s", m->request.text);
    reply->event.text = bytes_from_text(reply->text);
    reply->event.down = said.down;
    reply->event.epoch = said.epoch;
    reply->event.leader = bytes_from_text(reply->leader);
}

/* What is lost on a connection ends it, sooner or later. */
static inline void unlink_event(struct sentinel_event *event)
{
    enum sentinel_link link = event->kind == SENTINEL_EVENT_REPLY ? LINK_COMMANDS : event->link;
    *event = (struct sentinel_event){.kind = SENTINEL_EVENT_UNLINKED, .instance = event->instance, .link = link};
}

static inline void deliver(struct message *m)
{
    struct message now = *m;
    m->used = false;
    if (now.event.text.ptr == (const uint8_t *)m->text) now.event.text.ptr = (const uint8_t *)now.text;
    if (now.event.leader.ptr == (const uint8_t *)m->leader) now.event.leader.ptr = (const uint8_t *)now.leader;
    if (now.is_reply) {
        if (w.cut[now.sentinel]) unlink_event(&now.event);
        step(now.sentinel, &now.event);
        return;
    }
    bool lost = random_below(&w.random, 100) < w.loss_percent;
    if (lost || !reaches(now.sentinel, now.target)) {
        struct message *end = post(now.sentinel, true);
        end->event = (struct sentinel_event){.kind = SENTINEL_EVENT_UNLINKED, .instance = now.request.instance};
        return;
    }
    struct message *reply = post(now.sentinel, true);
    reply->event = (struct sentinel_event){
        .kind = SENTINEL_EVENT_REPLY, .instance = now.request.instance, .request = now.request.request};
    if (now.target < SERVERS)
        serve(&now, reply);
    else
        answer(&now, reply);
    if (random_below(&w.random, 100) < w.loss_percent) unlink_event(&reply->event);
}

/* In steps of 10 ms: what is due arrives, then Sentinels tick. */
static inline void run_ms(int64_t ms)
{
    for (int64_t end_ms = w.now_ms + ms; w.now_ms < end_ms; w.now_ms += 10) {
        while (w.message_end && !w.messages[w.message_end - 1].used) w.message_end--;
        for (int i = 0; i < w.message_end; i++)
            if (w.messages[i].used && w.messages[i].due_ms <= w.now_ms) deliver(&w.messages[i]);
        for (int s = 0; s < w.count; s++) {
            if (w.tends_always) sentinel_look_again(w.sentinel[s].masters[0]);
            if ((w.now_ms / 10 + s) % w.tick_steps == 0) step(s, &(struct sentinel_event){.kind = SENTINEL_EVENT_TICK});
        }
    }
}

static inline void start_sentinel(int s, const struct sentinel_address *master, uint64_t seed)
{
    struct sentinel_settings settings;
    struct sentinel_actions out = {0};
    char run_id[SENTINEL_RUN_ID + 1];
    sentinel_settings_init(&settings);
    settings.port = OWN_PORT + s;
    run_id_of(s, run_id);
    sentinel_init(&w.sentinel[s], &settings, run_id, seed);
    sentinel_monitor(&w.sentinel[s], "mymaster", master, &w.watched, w.now_ms, &out);
    sentinel_actions_free(&out);
}

/* All begins anew: so many Sentinels, which watch server 0, and so many servers,
 * of which the others follow that one. */
static inline void build(uint64_t seed, int count, int servers, int quorum, int64_t failover_timeout_ms)
{
    struct sentinel_settings settings;
    struct watched_settings watched;
    struct sentinel_address master = {HOST, SERVER_PORT};
    memset(&w, 0, sizeof w);
    log_len = 0;
    w.count = count;
    w.servers = servers;
    w.now_ms = 10;
    w.delay_ms = 20;
    w.tick_steps = 10;
    random_seed(&w.random, seed);
    for (int i = 0; i < servers; i++)
        w.server[i] = (struct fake_server){.alive = true, .is_master = i == 0, .offset = 10};
    sentinel_settings_init(&settings);
    sentinel_watched_settings_init(&settings.periods, &watched, quorum);
    watched.down_after_ms = 1000;
    watched.failover_timeout_ms = failover_timeout_ms;
    w.watched = watched;
    for (int s = 0; s < count; s++) start_sentinel(s, &master, seed * 100 + (uint64_t)s);
}

/* The same, and some time goes by: all have found each other, and nothing is under way. */
static inline void build_and_settle(uint64_t seed, int count, int servers, int quorum, int64_t failover_timeout_ms)
{
    build(seed, count, servers, quorum, failover_timeout_ms);
    run_ms(15000);
}

static inline void finish(void)
{
    for (int s = 0; s < w.count; s++) sentinel_free(&w.sentinel[s]);
}

static inline int masters_port(int s)
{
    return w.sentinel[s].masters[0]->master->address.port;
}

static inline int living_masters(void)
{
    int count = 0;
    for (int i = 0; i < w.servers; i++) count += w.server[i].alive && w.server[i].is_master;
    return count;
}

/* How often any replica has been made a master. */
static inline int promotions(void)
{
    int count = 0;
    for (int i = 0; i < w.servers; i++) count += w.server[i].promotions;
    return count;
}

/* SENTINEL FAILOVER, which is not refused. */
static inline void ask_to_fail_over(int sentinel)
{
    struct sentinel_actions out = {0};
    cr_assert_null(sentinel_failover(&w.sentinel[sentinel], w.sentinel[sentinel].masters[0], w.now_ms, &out));
    carry_out(sentinel, &out);
    sentinel_actions_free(&out);
}

#endif
