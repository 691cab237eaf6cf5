/* server/sentinel/: several Sentinels in one process, with servers and a network that loses, delays and cuts: what they
 * decide together. At most one leader an epoch, whatever is lost; a dead master is replaced; a lost half never acts. */
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
    int64_t lost_ms;     /* it says that it is without its master since then; 0: a second */
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
    int saves_since_vote;
    uint64_t sent;     /* of what was sent when: a sum that another order or time changes */
    bool tends_always; /* every master at every tick, whether it can matter or not */
};

static struct world w;
static char log_lines[400000];
static size_t log_len;

static void note(int sentinel, const char *type, const char *text)
{
    if (log_len < sizeof log_lines - 2000)
        log_len +=
            (size_t)snprintf(log_lines + log_len, 1900, "%" PRId64 " S%d %s %s\n", w.now_ms, sentinel, type, text);
}

static void run_id_of(int number, char out[SENTINEL_RUN_ID + 1])
{
    snprintf(out, SENTINEL_RUN_ID + 1, "%040x", 0xa0 + number);
}

static void carry_out(int sentinel, const struct sentinel_actions *actions);

static void step(int sentinel, const struct sentinel_event *event)
{
    struct sentinel_actions out = {0};
    sentinel_step(&w.sentinel[sentinel], event, w.now_ms, &out);
    carry_out(sentinel, &out);
    sentinel_actions_free(&out);
}

static struct message *post(int sentinel, bool is_reply)
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
static int target_of(int port)
{
    if (port >= SERVER_PORT && port < SERVER_PORT + w.servers) return port - SERVER_PORT;
    if (port >= OWN_PORT && port < OWN_PORT + w.count) return SERVERS + port - OWN_PORT;
    return -1;
}

static bool reaches(int sentinel, int target)
{
    if (w.cut[sentinel] || target < 0) return false;
    return target < SERVERS ? w.server[target].alive : !w.cut[target - SERVERS];
}

static void connect_now(int sentinel, const struct sentinel_action *a)
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

static void led(int sentinel)
{
    uint64_t epoch = w.sentinel[sentinel].masters[0]->failover.epoch;
    if (w.sentinel[sentinel].masters[0]->failover.forced) return;
    for (int i = 0; i < w.leader_count; i++)
        cr_assert(w.leaders[i].epoch != epoch || w.leaders[i].sentinel == sentinel,
                  "two leaders of epoch %" PRIu64 "\n%s", epoch, log_lines);
    w.leaders[w.leader_count].epoch = epoch;
    w.leaders[w.leader_count++].sentinel = sentinel;
}

static void carry_out(int sentinel, const struct sentinel_actions *actions)
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

static void write_info(int number, char *out, size_t room)
{
    const struct fake_server *me = &w.server[number];
    size_t len = (size_t)snprintf(out, room, "run_id:%040x\r\nrole:%s\r\nmaster_failover_state:%s\r\nloading:%d\r\n%s",
                                  0xf0 + number + 0x1000 * me->restarts, me->is_master ? "master" : "slave",
                                  me->hand_overs && w.now_ms < me->gives_up_ms ? "waiting-for-sync" : "no-failover",
                                  me->loading, me->empty ? "" : "db0:keys=10,expires=0\r\n");
    if (me->history)
        len += (size_t)snprintf(out + len, room - len, "master_replid:%040x\r\nmaster_replid2:%040x\r\n", me->history,
                                me->left);
    if (!me->is_master) {
        const struct fake_server *master = &w.server[me->master];
        bool up = master->alive && master->is_master && !me->held_back;
        char down[64] = "";
        int64_t down_s = me->lost_ms ? (w.now_ms - me->lost_ms) / 1000 : 1;
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

static void hear_hello(const struct message *m)
{
    for (int s = 0; s < w.count; s++) {
        if (w.cut[s] || random_below(&w.random, 100) < w.loss_percent) continue;
        struct sentinel_event event = {.kind = SENTINEL_EVENT_HELLO, .text = bytes_from_text(m->request.text)};
        step(s, &event);
    }
}

static void serve(const struct message *m, struct message *reply)
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
        me->is_master = true;
        break;
    case REQUEST_FOLLOW:
        me->is_master = false;
        me->master = target_of(m->request.address.port);
        break;
    case REQUEST_HAND_OVER:
        me->hand_overs++;
        if (me->gives_up_ms) {
            me->gives_up_ms += w.now_ms;
            break;
        }
        me->is_master = false;
        me->master = target_of(m->request.address.port);
        w.server[me->master].is_master = true;
        break;
    case REQUEST_HELLO: hear_hello(m); break;
    default: break;
    }
}

/* --- what Sentinels answer --- */

static void answer(const struct message *m, struct message *reply)
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
static void unlink_event(struct sentinel_event *event)
{
    enum sentinel_link link = event->kind == SENTINEL_EVENT_REPLY ? LINK_COMMANDS : event->link;
    *event = (struct sentinel_event){.kind = SENTINEL_EVENT_UNLINKED, .instance = event->instance, .link = link};
}

static void deliver(struct message *m)
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

static void run_ms(int64_t ms)
{
    for (int64_t end_ms = w.now_ms + ms; w.now_ms < end_ms; w.now_ms += 10) {
        while (w.message_end && !w.messages[w.message_end - 1].used) w.message_end--;
        for (int i = 0; i < w.message_end; i++)
            if (w.messages[i].used && w.messages[i].due_ms <= w.now_ms) deliver(&w.messages[i]);
        for (int s = 0; s < w.count; s++) {
            if (w.tends_always) w.sentinel[s].masters[0]->tend_ms = 0;
            if ((w.now_ms / 10 + s) % w.tick_steps == 0) step(s, &(struct sentinel_event){.kind = SENTINEL_EVENT_TICK});
        }
    }
}

static void build(uint64_t seed, int count, int servers, int quorum, int64_t failover_timeout_ms)
{
    struct sentinel_settings settings;
    struct watched_settings watched;
    struct sentinel_actions out = {0};
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
    for (int s = 0; s < count; s++) {
        char run_id[SENTINEL_RUN_ID + 1];
        sentinel_settings_init(&settings);
        settings.port = OWN_PORT + s;
        run_id_of(s, run_id);
        sentinel_init(&w.sentinel[s], &settings, run_id, seed * 100 + (uint64_t)s);
        sentinel_monitor(&w.sentinel[s], "mymaster", &master, &watched, w.now_ms, &out);
    }
    sentinel_actions_free(&out);
}

static void finish(void)
{
    for (int s = 0; s < w.count; s++) sentinel_free(&w.sentinel[s]);
}

static int masters_port(int s)
{
    return w.sentinel[s].masters[0]->master->address.port;
}

static int living_masters(void)
{
    int count = 0;
    for (int i = 0; i < w.servers; i++) count += w.server[i].alive && w.server[i].is_master;
    return count;
}

Test(sentinel_core, they_find_replicas_and_each_other)
{
    build(1, 3, 3, 2, 10000);
    run_ms(5000);
    for (int s = 0; s < 3; s++) {
        cr_assert_eq(w.sentinel[s].masters[0]->replica_count, 2, "%s", log_lines);
        cr_assert_eq(w.sentinel[s].masters[0]->voter_count, 2, "%s", log_lines);
        cr_assert_eq(watched_usable_voters(w.sentinel[s].masters[0]), 3);
    }
    finish();
}

static void close_connections(int server)
{
    for (int s = 0; s < w.count; s++) {
        struct watched *m = w.sentinel[s].masters[0];
        const struct instance *i = m->master;
        if (server) i = watched_replica_at(m, HOST, SERVER_PORT + server);
        for (int link = 0; link < SENTINEL_LINKS; link++)
            step(s, &(struct sentinel_event){.kind = SENTINEL_EVENT_UNLINKED, .instance = i->id, .link = link});
    }
}

/* As it does when it becomes another's replica, and whenever somebody says CLIENT KILL. */
Test(sentinel_core, a_server_that_closes_connections_is_not_down)
{
    build(21, 3, 3, 2, 10000);
    w.tick_steps = 11; /* as real ones are: a little late, so that PINGs are, too */
    run_ms(5000);
    for (int i = 0; i < 120; i++) {
        close_connections(i % 3);
        run_ms(1700 + 10 * (i % 13));
    }
    cr_assert(!strstr(log_lines, "+sdown"), "%s", log_lines);
    finish();
}

/* The median of the times from the kill to the promotion is what users wait for. */
Test(sentinel_core, a_dead_master_is_replaced_by_the_replica_with_the_most_data)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        build(seed, 3, 4, 2, 10000);
        run_ms(5000 + (int64_t)seed * 37);
        w.server[2].offset = 500;
        run_ms(10000);
        w.server[0].alive = false;
        run_ms(5000);
        cr_assert(w.server[2].is_master, "seed %" PRIu64 "\n%s", seed, log_lines);
        for (int s = 0; s < 3; s++) {
            cr_assert_eq(masters_port(s), SERVER_PORT + 2, "seed %" PRIu64 " S%d\n%s", seed, s, log_lines);
            cr_assert_eq(w.said_switch[s], 1);
        }
        cr_assert(!w.server[1].is_master && w.server[1].master == 2, "%s", log_lines);
        w.server[0].alive = true;
        run_ms(30000);
        cr_assert(!w.server[0].is_master && w.server[0].master == 2, "it comes back, and follows\n%s", log_lines);
        cr_assert_eq(living_masters(), 1);
        finish();
    }
}

/* A tick passes over a master at which nothing is due. One that looks at all of them finds no more to do. */
Test(sentinel_core, what_a_tick_passes_over_had_nothing_to_do)
{
    static char lines[2][sizeof log_lines];
    for (uint64_t seed = 1; seed <= 15; seed++) {
        uint64_t sent[2];
        for (int always = 0; always < 2; always++) {
            build(seed, 3, 4, 2, 10000);
            w.tends_always = always;
            w.loss_percent = seed % 3;
            run_ms(15000 + (int64_t)seed * 310);
            w.server[0].alive = false;
            run_ms(9000);
            w.server[0].alive = true;
            run_ms(30000);
            sent[always] = w.sent;
            memcpy(lines[always], log_lines, sizeof log_lines);
            finish();
        }
        cr_assert_str_eq(lines[0], lines[1], "seed %" PRIu64, seed);
        cr_assert_eq(sent[0], sent[1], "seed %" PRIu64, seed);
    }
}

#define MANY 200

static struct sentinel many;

static void hear_at(int64_t now_ms, const struct sentinel_event *event)
{
    struct sentinel_actions out = {0};
    sentinel_step(&many, event, now_ms, &out);
    sentinel_actions_free(&out);
}

/* How many PINGs a tick sends; each is answered at once. */
static int pings_at(int64_t now_ms)
{
    struct sentinel_actions out = {0};
    int count = 0;
    sentinel_step(&many, &(struct sentinel_event){.kind = SENTINEL_EVENT_TICK}, now_ms, &out);
    for (int i = 0; i < out.count; i++) {
        if (out.list[i].kind != SENTINEL_SEND) continue;
        count += out.list[i].request == REQUEST_PING;
        hear_at(now_ms, &(struct sentinel_event){.kind = SENTINEL_EVENT_REPLY,
                                                 .instance = out.list[i].instance,
                                                 .request = out.list[i].request,
                                                 .text = BYTES("PONG")});
    }
    sentinel_actions_free(&out);
    return count;
}

/* Else what once left together would for ever, and hundreds of answers with it. */
Test(sentinel_core, a_late_tick_does_not_bring_pings_together)
{
    struct sentinel_settings settings;
    struct watched_settings watched;
    struct sentinel_actions out = {0};
    char run_id[SENTINEL_RUN_ID + 1], name[16];
    int64_t now_ms = 1000;
    run_id_of(0, run_id);
    sentinel_settings_init(&settings);
    sentinel_init(&many, &settings, run_id, 5);
    sentinel_watched_settings_init(&settings.periods, &watched, 1);
    for (int i = 0; i < MANY; i++) {
        struct sentinel_address at = {HOST, SERVER_PORT + i};
        snprintf(name, sizeof name, "m%d", i);
        struct watched *m = sentinel_monitor(&many, name, &at, &watched, now_ms, &out);
        for (int link = 0; link < SENTINEL_LINKS; link++)
            hear_at(now_ms, &(struct sentinel_event){
                                .kind = SENTINEL_EVENT_LINKED, .instance = m->master->id, .link = link, .ip = HOST});
    }
    for (int i = 0; i < 30; i++) pings_at(now_ms += 100);
    now_ms += 700;
    cr_assert_gt(pings_at(now_ms), MANY / 2);
    for (int second = 0; second < 5; second++) {
        int sum = 0, most = 0;
        for (int i = 0; i < 10; i++) {
            int count = pings_at(now_ms += 100);
            if (count > most) most = count;
            sum += count;
        }
        cr_assert_eq(sum, MANY);
        cr_assert_lt(most, MANY / 4, "%d in one tick", most);
    }
    sentinel_free(&many);
    sentinel_actions_free(&out);
}

/* The new master dies before one has followed it that has more of the former's history than the
 * new one went on from. */
Test(sentinel_core, who_has_not_followed_the_last_master_stands_behind)
{
    for (int restarts = 0; restarts < 2; restarts++) {
        build(15, 3, 4, 2, 10000);
        for (int i = 0; i < 4; i++) w.server[i].history = 0xa1;
        run_ms(15000);
        w.server[1].offset = 500;
        w.server[0].alive = false;
        run_ms(5000);
        cr_assert_eq(w.server[1].promotions, 1, "%s", log_lines);
        w.server[1].left = w.server[1].history;
        w.server[1].history = w.server[2].history = 0xb2;
        w.server[2].offset = 600;
        w.server[3].offset = 900;
        run_ms(15000);
        if (restarts) {
            w.server[1].restarts++;
            run_ms(15000);
        }
        w.server[1].alive = false;
        run_ms(5000);
        cr_assert_eq(w.server[2].promotions, !restarts, "%s", log_lines);
        cr_assert_eq(w.server[3].promotions, restarts, "what a restart has left counts, too\n%s", log_lines);
        cr_assert(restarts || strstr(log_lines, "it has not followed the last master"), "%s", log_lines);
        finish();
    }
}

/* Nobody can be promoted when the master dies; a minute of failover-timeout is not waited for who comes back. */
Test(sentinel_core, a_replica_that_comes_back_is_promoted_soon)
{
    build(14, 3, 3, 2, 60000);
    run_ms(15000);
    for (int i = 0; i < 3; i++) w.server[i].alive = false;
    run_ms(10000);
    int aborted = w.said_abort;
    cr_assert(aborted > 0 && strstr(log_lines, "-failover-abort-no-good-slave"), "%s", log_lines);
    run_ms(10000);
    cr_assert_eq(w.said_abort, aborted, "nothing is tried without anybody\n%s", log_lines);
    w.server[2].alive = true;
    run_ms(6000);
    cr_assert_eq(w.server[2].promotions, 1, "%s", log_lines);
    for (int s = 0; s < 3; s++) cr_assert_eq(masters_port(s), SERVER_PORT + 2, "%s", log_lines);
    finish();
}

/* The best one dies of it: others are there, and failover-timeout is a minute. */
Test(sentinel_core, one_that_dies_before_it_is_a_master_is_not_waited_for)
{
    for (int comes_back = 0; comes_back < 2; comes_back++) {
        build(13, 3, 4, 2, 60000);
        run_ms(15000);
        w.server[2].offset = 500;
        w.server[2].dies_of_promotion = true;
        run_ms(10000);
        w.server[0].alive = false;
        for (int i = 0; i < 30 && w.server[2].alive; i++) run_ms(100);
        cr_assert(!w.server[2].alive, "%s", log_lines);
        if (comes_back) {
            w.server[2].alive = true;
            w.server[2].restarts++;
            w.server[2].offset = 0;
        }
        run_ms(6000);
        cr_assert_eq(w.server[1].promotions + w.server[3].promotions, 1, "%s", log_lines);
        for (int s = 0; s < 3; s++) cr_assert_neq(masters_port(s), SERVER_PORT, "%s", log_lines);
        finish();
    }
}

/* A replica that does not catch up in time: it is promoted without the master's help, and the master follows. */
Test(sentinel_core, a_hand_over_that_is_given_up_goes_on_without_the_master)
{
    struct sentinel_actions out = {0};
    build(6, 3, 3, 2, 10000);
    run_ms(15000);
    w.server[0].gives_up_ms = 3000;
    cr_assert_null(sentinel_failover(&w.sentinel[0], w.sentinel[0].masters[0], w.now_ms, &out));
    carry_out(0, &out);
    sentinel_actions_free(&out);
    run_ms(2500);
    cr_assert_eq(w.server[1].promotions + w.server[2].promotions, 0, "it is at it\n%s", log_lines);
    run_ms(3000);
    cr_assert_eq(w.server[1].promotions + w.server[2].promotions, 1, "%s", log_lines);
    cr_assert(strstr(log_lines, "has given up handing over"), "%s", log_lines);
    run_ms(30000);
    cr_assert_eq(living_masters(), 1, "%s", log_lines);
    finish();
}

/* The one that the master waits for comes back with less than another has. */
Test(sentinel_core, a_hand_over_that_is_given_up_goes_to_who_has_most_by_then)
{
    struct sentinel_actions out = {0};
    build(6, 3, 3, 2, 10000);
    run_ms(15000);
    w.server[0].gives_up_ms = 3000;
    w.server[2].offset = 500;
    cr_assert_null(sentinel_failover(&w.sentinel[0], w.sentinel[0].masters[0], w.now_ms, &out));
    carry_out(0, &out);
    sentinel_actions_free(&out);
    run_ms(2500);
    cr_assert_eq(w.server[0].hand_overs, 1, "%s", log_lines);
    cr_assert(strstr(log_lines, "is asked to hand over to 10.0.0.1:7002"), "%s", log_lines);
    w.server[2].restarts++;
    w.server[2].offset = 5;
    run_ms(3000);
    cr_assert_eq(w.server[1].promotions, 1, "%s", log_lines);
    cr_assert_eq(w.server[2].promotions, 0, "%s", log_lines);
    finish();
}

/* The new one dies at once: that the former's fail-over was a moment ago delays nothing. */
Test(sentinel_core, a_new_master_that_dies_is_replaced_as_soon)
{
    build(11, 3, 4, 2, 60000);
    run_ms(15000);
    for (int round = 0; round < 3; round++) {
        int master = masters_port(0) - SERVER_PORT;
        w.server[master].alive = false;
        run_ms(6000);
        for (int s = 0; s < 3; s++) cr_assert_neq(masters_port(s), SERVER_PORT + master, "%s", log_lines);
        cr_assert_eq(living_masters(), 1, "%s", log_lines);
        if (round == 0) w.server[master].alive = true;
    }
    finish();
}

/* It is up all the time, but what it had is gone; who follows it loses the rest. */
Test(sentinel_core, a_master_that_comes_back_empty_is_replaced)
{
    build(7, 3, 3, 2, 10000);
    run_ms(15000);
    w.server[0].restarts++;
    w.server[0].loading = true;
    w.server[0].empty = true;
    run_ms(12000);
    cr_assert_eq(w.server[1].promotions + w.server[2].promotions, 0, "it may have data yet\n%s", log_lines);
    w.server[0].loading = false;
    run_ms(15000);
    cr_assert_eq(w.server[1].promotions + w.server[2].promotions, 1, "%s", log_lines);
    cr_assert(strstr(log_lines, "it had 10 keys") && strstr(log_lines, "came back without data that replicas"));
    run_ms(30000);
    cr_assert(!w.server[0].is_master, "%s", log_lines);
    cr_assert_eq(living_masters(), 1);
    finish();
}

/* It is up all the time, and so it is told to follow at once: what it takes meanwhile is lost. */
Test(sentinel_core, a_master_that_comes_back_with_less_is_replaced_by_who_has_most)
{
    build(9, 3, 4, 2, 10000);
    run_ms(15000);
    w.server[0].restarts++;
    w.server[0].ahead = 500;
    w.server[2].offset = 510;
    w.server[2].held_back = true;
    w.server[1].offset = 2000; /* what the master has streamed since */
    run_ms(13000);
    cr_assert_eq(w.server[2].promotions, 1, "%s", log_lines);
    cr_assert(!w.server[0].is_master && w.server[0].master == 2, "%s", log_lines);
    cr_assert(strstr(log_lines, "a replica has 500 bytes more of its history"), "%s", log_lines);
    cr_assert(strstr(log_lines, "it follows the master that came back with less"), "%s", log_lines);
    cr_assert(strstr(log_lines, "lives, and is told to follow"), "%s", log_lines);
    run_ms(30000);
    cr_assert_eq(living_masters(), 1, "%s", log_lines);
    for (int s = 0; s < 3; s++) cr_assert_eq(masters_port(s), SERVER_PORT + 2, "%s", log_lines);
    finish();
}

/* Whoever has more starts later than the rest: nobody else is taken for it. */
Test(sentinel_core, who_has_more_than_a_master_that_came_back_is_waited_for)
{
    build(9, 3, 3, 2, 10000);
    run_ms(15000);
    w.server[2].alive = false;
    w.server[0].restarts++;
    w.server[0].ahead = 500;
    w.server[2].offset = 510;
    w.server[2].held_back = true;
    w.server[1].offset = 2000;
    run_ms(11000);
    cr_assert_eq(w.server[1].promotions, 0, "%s", log_lines);
    w.server[2].alive = true;
    run_ms(8000);
    cr_assert_eq(w.server[2].promotions, 1, "%s", log_lines);
    finish();
}

/* Nobody has more than it: it stays the master. */
Test(sentinel_core, a_master_that_comes_back_empty_among_empty_ones_stays)
{
    build(8, 3, 3, 2, 10000);
    run_ms(15000);
    w.server[0].restarts++;
    for (int i = 0; i < 3; i++) w.server[i].empty = true;
    run_ms(40000);
    cr_assert_eq(w.server[1].promotions + w.server[2].promotions, 0, "%s", log_lines);
    cr_assert(w.server[0].is_master);
    finish();
}

/* Its replicas have followed it, and then there are keys again: they are its own, though its replicas may be the first
 * to say so. */
Test(sentinel_core, a_master_that_came_back_empty_may_get_new_data)
{
    for (uint64_t seed = 1; seed <= 8; seed++) {
        build(seed, 3, 3, 2, 10000);
        run_ms(15000);
        w.server[0].restarts++;
        for (int i = 0; i < 3; i++) w.server[i].empty = true;
        run_ms(12000 + 700 * (int64_t)seed);
        for (int i = 0; i < 3; i++) w.server[i].empty = false;
        run_ms(30000);
        cr_assert_eq(w.server[1].promotions + w.server[2].promotions, 0, "%s", log_lines);
        finish();
    }
}

/* Its configuration is that of before the last fail-over, as in a container that starts anew: it follows who follows
 * it, and nobody is the master. */
Test(sentinel_core, a_master_that_comes_back_as_a_replica_is_replaced_at_once)
{
    build(9, 3, 3, 2, 10000);
    run_ms(15000);
    w.server[0].restarts++;
    w.server[0].is_master = false;
    w.server[0].master = 1;
    run_ms(14000); /* the next INFO of the master, down-after, an election */
    cr_assert_eq(w.server[1].promotions + w.server[2].promotions, 1, "%s", log_lines);
    run_ms(30000);
    cr_assert_eq(living_masters(), 1, "%s", log_lines);
    finish();
}

/* The same by somebody's REPLICAOF is waited for longer: he may be at it. By then its replicas have been without a
 * master for much longer than it counts as down, and are good enough all the same: nobody has more. */
Test(sentinel_core, a_master_that_became_a_replica_is_replaced_by_those_it_left)
{
    build(10, 3, 3, 2, 10000);
    run_ms(15000);
    w.server[0].is_master = false;
    w.server[0].master = 1;
    for (int i = 0; i < 3; i++) w.server[i].lost_ms = w.now_ms;
    run_ms(14000);
    cr_assert_eq(w.server[1].promotions + w.server[2].promotions, 0, "%s", log_lines);
    run_ms(25000);
    cr_assert_eq(w.server[1].promotions + w.server[2].promotions, 1, "%s", log_lines);
    run_ms(30000);
    cr_assert_eq(living_masters(), 1, "%s", log_lines);
    finish();
}

/* The same, and the one that it follows is a master: that has what the former one had, and more. */
Test(sentinel_core, a_master_that_became_a_masters_replica_is_replaced_by_that_one)
{
    build(16, 3, 4, 2, 10000);
    run_ms(15000);
    w.server[0].is_master = false;
    w.server[0].master = 1;
    w.server[1].is_master = true;
    w.server[1].offset = 500;
    w.server[2].offset = 400;
    run_ms(60000);
    cr_assert_eq(w.server[2].promotions + w.server[3].promotions, 0, "%s", log_lines);
    for (int s = 0; s < 3; s++) cr_assert_eq(masters_port(s), SERVER_PORT + 1, "%s", log_lines);
    for (int i = 2; i < 4; i++) cr_assert_eq(w.server[i].master, 1, "%s", log_lines);
    finish();
}

/* All stand still while one is about to be promoted, and none has the order yet: by the end of TILT things may be
 * different, so it begins anew. */
Test(sentinel_core, what_nobody_was_told_before_tilt_is_given_up)
{
    struct sentinel_actions out = {0};
    build(17, 3, 3, 2, 60000);
    run_ms(15000);
    w.server[0].alive = false;
    for (int i = 0; i < 400 && !strstr(log_lines, "+try-failover"); i++) run_ms(10);
    cr_assert(strstr(log_lines, "+try-failover") && !strstr(log_lines, "+selected-slave"), "%s", log_lines);
    w.now_ms += 5000;
    for (int s = 0; s < 3; s++) {
        const char *error = sentinel_failover(&w.sentinel[s], w.sentinel[s].masters[0], w.now_ms, &out);
        cr_assert(error && strstr(error, "TILT"), "%s", error);
        carry_out(s, &out);
        cr_assert_not(watched_in_failover(w.sentinel[s].masters[0]), "%s", log_lines);
    }
    sentinel_actions_free(&out);
    cr_assert(strstr(log_lines, "is given up, in state"), "%s", log_lines);
    run_ms(25000);
    cr_assert_eq(w.server[1].promotions + w.server[2].promotions, 0, "%s", log_lines);
    run_ms(15000);
    cr_assert_eq(w.server[1].promotions + w.server[2].promotions, 1, "%s", log_lines);
    finish();
}

/* SENTINEL FAILOVER on one side of a split network, an election on the other: the same epoch, without a word between
 * them. */
Test(sentinel_core, two_masters_of_one_epoch_do_not_stay)
{
    struct sentinel_actions out = {0};
    for (uint64_t seed = 1; seed <= 2; seed++) {
        int alone = seed == 1 ? 0 : 2; /* with the smallest run id, or the largest */
        build(seed, 3, 3, 2, 10000);
        run_ms(15000);
        for (int s = 0; s < 3; s++) w.cut[s] = s != alone;
        cr_assert_null(sentinel_failover(&w.sentinel[alone], w.sentinel[alone].masters[0], w.now_ms, &out));
        carry_out(alone, &out);
        run_ms(5000);
        int first = masters_port(alone) - SERVER_PORT;
        cr_assert_neq(first, 0, "%s", log_lines);
        w.server[first].alive = false;
        for (int s = 0; s < 3; s++) w.cut[s] = s == alone;
        run_ms(40000);
        int second = masters_port(1) - SERVER_PORT;
        cr_assert(second != 0 && second != first, "%s", log_lines);
        cr_assert_eq(w.sentinel[1].masters[0]->config_epoch, w.sentinel[alone].masters[0]->config_epoch);
        w.server[first].alive = true;
        w.cut[alone] = false;
        run_ms(6000); /* sooner than either is told to follow the other */
        for (int s = 0; s < 3; s++) cr_assert_eq(masters_port(s), masters_port(0), "%s", log_lines);
        run_ms(54000);
        cr_assert_eq(living_masters(), 1, "%s", log_lines);
        finish();
    }
    sentinel_actions_free(&out);
}

/* A Sentinel that has lost its file has another id: what the one before it had said may still arrive. */
Test(sentinel_core, nobody_else_speaks_from_our_address)
{
    struct hello hello = {.sender = {HOST, OWN_PORT}, .master_name = "mymaster", .master = {HOST, SERVER_PORT}};
    char text[HELLO_TEXT_MAX];
    build(12, 3, 3, 2, 10000);
    run_ms(5000);
    run_id_of(99, hello.run_id);
    hello_format(&hello, text);
    struct sentinel_event event = {.kind = SENTINEL_EVENT_HELLO, .text = bytes_from_text(text)};
    for (int s = 0; s < 2; s++) step(s, &event);
    cr_assert_eq(w.sentinel[0].masters[0]->voter_count, 2);
    cr_assert_null(watched_voter(w.sentinel[0].masters[0], hello.run_id), "it has our own address");
    cr_assert_not_null(watched_voter(w.sentinel[1].masters[0], hello.run_id), "to others it is a newcomer there");
    finish();
}

Test(sentinel_core, a_minority_changes_nothing)
{
    build(3, 5, 3, 2, 5000);
    run_ms(5000);
    for (int s = 0; s < 3; s++) w.cut[s] = true;
    w.server[0].alive = false;
    run_ms(60000);
    cr_assert_eq(w.server[1].promotions + w.server[2].promotions, 0, "%s", log_lines);
    cr_assert(w.sentinel[3].masters[0]->down, "both say that it is down: the quorum is there, the majority is not");
    for (int s = 0; s < 3; s++) w.cut[s] = false;
    run_ms(60000);
    cr_assert_eq(living_masters(), 1, "%s", log_lines);
    for (int s = 1; s < 5; s++) cr_assert_eq(masters_port(s), masters_port(0), "%s", log_lines);
    finish();
}

Test(sentinel_core, a_hand_over_asks_the_living_master)
{
    struct sentinel_actions out = {0};
    build(5, 3, 3, 2, 10000);
    run_ms(5000);
    cr_assert_null(sentinel_failover(&w.sentinel[0], w.sentinel[0].masters[0], w.now_ms, &out));
    carry_out(0, &out);
    cr_assert_str_eq(sentinel_failover(&w.sentinel[0], w.sentinel[0].masters[0], w.now_ms, &out),
                     "INPROG Failover already in progress");
    sentinel_actions_free(&out);
    run_ms(20000);
    cr_assert_eq(w.server[0].hand_overs, 1, "%s", log_lines);
    cr_assert_eq(w.server[1].promotions + w.server[2].promotions, 0, "SLAVEOF NO ONE was not needed\n%s", log_lines);
    cr_assert_eq(living_masters(), 1);
    for (int s = 0; s < 3; s++) cr_assert_neq(masters_port(s), SERVER_PORT, "%s", log_lines);
    finish();
}

/* Lost, late and reordered messages, Sentinels that are cut off and come back, masters that die and come back. led()
 * fails the test at a second leader of an epoch. */
Test(sentinel_core, never_two_leaders_of_an_epoch, .timeout = 120)
{
    int elections = 0;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        build(seed, 3 + 2 * (int)(seed % 2), 4, 2, 3000);
        run_ms(5000);
        w.loss_percent = 5 + (unsigned)random_below(&w.random, 25);
        w.delay_ms = 50 + (unsigned)random_below(&w.random, 400);
        for (int accident = 0; accident < 25; accident++) {
            int server = (int)random_below(&w.random, SERVERS), s = (int)random_below(&w.random, (uint64_t)w.count);
            w.server[server].alive = !w.server[server].alive || random_below(&w.random, 3) == 0;
            w.cut[s] = !w.cut[s];
            run_ms((int64_t)random_below(&w.random, 4000));
        }
        w.loss_percent = 0;
        w.delay_ms = 20;
        for (int i = 0; i < SERVERS; i++) w.server[i].alive = true;
        for (int s = 0; s < w.count; s++) w.cut[s] = false;
        run_ms(60000);
        cr_assert_eq(living_masters(), 1, "seed %" PRIu64 "\n%s", seed, log_lines);
        for (int s = 1; s < w.count; s++)
            cr_assert_eq(masters_port(s), masters_port(0), "seed %" PRIu64 "\n%s", seed, log_lines);
        elections += w.leader_count;
        finish();
    }
    cr_assert(elections > 12, "only %d elections", elections);
}
