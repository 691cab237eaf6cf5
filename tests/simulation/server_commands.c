/* The commands that Sentinels and clients send to a server, as core and server/commands/ answer them. The simulator. */
#include "tests/simulation/checks.h"
#include "tests/simulation/plan.h"
#include "tests/simulation/server.h"
#include "tests/simulation/watcher.h"

#include "server/base/check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* --- INFO --- */

struct text {
    char bytes[4096];
    size_t len;
};

static void __attribute__((format(printf, 2, 3))) add(struct text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(t->bytes + t->len, sizeof t->bytes - t->len, format, args);
    va_end(args);
    CHECK(len >= 0 && t->len + (size_t)len + 2 < sizeof t->bytes);
    t->len += (size_t)len;
    t->bytes[t->len++] = '\r';
    t->bytes[t->len++] = '\n';
}

static void add_replica_side(const struct server *s, struct text *t)
{
    struct sentinel_address master;
    bool up = replica_link_is_up(s);
    int64_t down_s = s->down_since_ms ? (server_now_ms(s) - s->down_since_ms) / 1000 : -1;
    node_address(s->w, s->master, &master);
    add(t, "master_host:%s", master.host);
    add(t, "master_port:%d", master.port);
    add(t, "master_link_status:%s", up ? "up" : "down");
    add(t, "slave_repl_offset:%" PRIu64, s->without_dataset ? 0 : repl_stream_history(s->stream)->offset);
    if (!up) add(t, "master_link_down_since_seconds:%" PRId64, down_s);
    add(t, "slave_priority:100");
    add(t, "replica_announced:1");
}

static void add_followers(struct server *s, struct text *t)
{
    int count = 0;
    uint64_t offset;
    for (int i = 0; i < FOLLOWERS_MAX; i++) count += follower_is_shown(s, &s->followers[i], &offset);
    add(t, "connected_slaves:%d", count);
    for (int i = 0, index = 0; i < FOLLOWERS_MAX; i++) {
        struct sentinel_address at;
        struct follower *f = &s->followers[i];
        if (!follower_is_shown(s, f, &offset)) continue;
        node_address(s->w, f->node, &at);
        add(t, "slave%d:ip=%s,port=%d,state=%s,offset=%" PRIu64 ",lag=0", index++, at.host, at.port,
            follower_shown(&f->machine)->info_word, offset);
    }
}

static void write_info(struct server *s, struct text *t)
{
    static const char *const states[] = {"no-failover", "waiting-for-sync", "failover-in-progress"};
    const struct history *h = repl_stream_history(s->stream);
    uint64_t ahead_bytes = master_ahead_bytes(s);
    t->len = 0;
    add(t, "run_id:%s", s->run_id);
    add(t, "uptime_in_seconds:%" PRId64, (server_now_ms(s) - s->started_ms) / 1000);
    add(t, "loading:%d", s->loading || s->replacing);
    add(t, "role:%s", server_is_replica(s) ? "slave" : "master");
    if (server_is_replica(s)) add_replica_side(s, t);
    add_followers(s, t);
    add(t, "master_failover_state:%s", states[s->hand_over]);
    if (ahead_bytes) add(t, "slaves_ahead_bytes:%" PRIu64, ahead_bytes);
    add(t, "master_replid:%s", h->id);
    add(t, "master_replid2:%s", h->second_id);
    add(t, "master_repl_offset:%" PRIu64, h->offset);
    add(t, "second_repl_offset:%" PRId64, h->second_offset);
    if (s->data.writes) add(t, "db0:keys=%" PRIu64 ",expires=0,avg_ttl=0", s->data.writes);
}

/* --- orders of Sentinels --- */

static void reply(struct server *s, conn_id conn, uint64_t request, bool error, const char *text)
{
    uint64_t number[4] = {request, error};
    server_send(s, conn, SAYS_REPLY, number, text, strlen(text));
}

/* CLIENT KILL TYPE normal and TYPE pubsub; who says so stays. */
static void kill_clients(struct server *s, conn_id but)
{
    for (size_t i = 0; i < NODES_MAX * 8; i++) {
        conn_id conn = s->clients[i];
        if (!conn || conn == but || follower_find(s, conn)) continue;
        s->clients[i] = 0;
        if (!network_is_open(s->w, s->id, conn)) continue;
        for (int n = 0; n < WAITS_MAX; n++)
            if (s->waits[n].conn == conn) s->waits[n].conn = 0;
        network_close(s->w, s->id, conn);
    }
}

static void note_configuration(struct server *s)
{
    s->disk.configured = s->w->plan->config_is_kept;
    s->disk.master = s->master;
}

static void slave_of(struct server *s, int master)
{
    if (s->hand_over != HAND_OVER_NONE || s->w->plan->mistake == MISTAKE_DEAF) return;
    if (master == NOBODY)
        replica_stop_following(s);
    else if (s->master != master)
        replica_follow(s, master, false);
    note_configuration(s);
}

/* What goes wrong inside of EXEC does not make its reply an error. */
static void take_order(struct server *s, conn_id conn, const struct packet *p)
{
    bool promote = p->number[0] == REQUEST_PROMOTE;
    int master = promote ? NOBODY : (int)p->number[1];
    if (promote && s->hand_over == HAND_OVER_NONE) /* who is one already is the one from now on */
        checks_promotes(s->w, s->id, network_other(s->w, s->id, conn), (int64_t)p->number[2]);
    slave_of(s, master);
    kill_clients(s, conn);
    reply(s, conn, p->number[0], false, "");
}

/* --- FAILOVER (repl/failover.c) --- */

static struct follower *find_follower_at(struct server *s, int node)
{
    for (int i = 0; i < FOLLOWERS_MAX; i++)
        if (s->followers[i].used && s->followers[i].node == node && s->followers[i].machine.state != FOLLOWER_GONE)
            return &s->followers[i];
    return NULL;
}

static void end_hand_over(struct server *s)
{
    s->hand_over = HAND_OVER_NONE;
    commands_unpaused(s);
}

static void begin_hand_over(struct server *s, conn_id conn, const struct packet *p)
{
    const struct follower *target = find_follower_at(s, (int)p->number[1]);
    const char *error = NULL;
    if (s->hand_over != HAND_OVER_NONE)
        error = "ERR FAILOVER already in progress.";
    else if (server_is_replica(s))
        error = "ERR FAILOVER is not valid when server is a replica.";
    else if (!target)
        error = "ERR FAILOVER target HOST and PORT is not a replica.";
    else if (!follower_is_online(target))
        error = "ERR FAILOVER target replica is not online.";
    reply(s, conn, p->number[0], error != NULL, error ? error : "OK");
    if (error) return;
    world_trace(s->w, s->id, "hands over to %s", target->name);
    s->hand_over = HAND_OVER_WAITING;
    s->hand_over_to = target->node;
    s->hand_over_deadline_ms = server_now_ms(s) + (int64_t)p->number[2];
    master_ask_acks(s);
}

void hand_over_check(struct server *s)
{
    if (s->hand_over != HAND_OVER_WAITING) return;
    uint64_t acked = 0;
    int64_t lag_ms;
    bool synced = false;
    for (int i = 0; i < FOLLOWERS_MAX; i++) {
        const struct follower *f = &s->followers[i];
        if (f->node == s->hand_over_to && follower_acked(s, f, &acked, &lag_ms))
            synced |= acked >= repl_stream_history(s->stream)->offset;
    }
    if (synced) {
        world_trace(s->w, s->id, "its target is synced");
        s->hand_over = HAND_OVER_DONE;
        replica_follow(s, s->hand_over_to, true);
        note_configuration(s);
    } else if (server_now_ms(s) >= s->hand_over_deadline_ms || !find_follower_at(s, s->hand_over_to)) {
        world_trace(s->w, s->id, "gives up handing over");
        end_hand_over(s);
    }
}

void hand_over_ended(struct server *s, bool good)
{
    if (s->hand_over != HAND_OVER_DONE) return;
    world_trace(s->w, s->id, good ? "its target took over" : "its target refuses to take over");
    if (!good) {
        s->hand_over = HAND_OVER_NONE;
        replica_stop_following(s);
        note_configuration(s);
    }
    end_hand_over(s);
}

/* --- clients --- */

static void write_command(struct server *s, conn_id conn, const uint64_t number[4])
{
    char record[RECORD_MAX];
    uint64_t answer[4] = {number[0], 1};
    bool mistaken = s->w->plan->mistake == MISTAKE_NO_GOOD_REPLICAS;
    bool too_few = s->settings.min_replicas_to_write && s->settings.min_replicas_max_lag_s &&
                   master_good_followers(s) < s->settings.min_replicas_to_write;
    if (!s->loading && !s->replacing && !server_is_replica(s) && (mistaken || !too_few)) {
        answer[1] = 0;
        master_write(s, record, record_write(record, number[0], number[1]));
        checks_accepted(s->w, s->id, number[0]);
    }
    server_send(s, conn, SAYS_WRITTEN, answer, NULL, 0);
}

static void answer_wait(struct server *s, const struct wait *wait)
{
    uint64_t nodes;
    int count = master_acked(s, wait->offset, &nodes);
    uint64_t number[4] = {wait->write, (uint64_t)count};
    if (count >= wait->replicas) checks_acknowledged(s->w, wait->write, s->id, nodes);
    server_send(s, wait->conn, SAYS_WAITED, number, NULL, 0);
}

static void wait_command(struct server *s, conn_id conn, const uint64_t number[4])
{
    uint64_t none[4] = {number[0]}, nodes;
    struct wait wanted = {.conn = conn,
                          .offset = repl_stream_history(s->stream)->offset,
                          .write = number[0],
                          .replicas = (int)number[1],
                          .deadline_ms = server_now_ms(s) + (int64_t)number[2]};
    int at = 0;
    if (server_is_replica(s)) {
        server_send(s, conn, SAYS_WAITED, none, NULL, 0);
        return;
    }
    while (at < WAITS_MAX && s->waits[at].conn) at++;
    if (master_acked(s, wanted.offset, &nodes) >= wanted.replicas || at == WAITS_MAX) {
        answer_wait(s, &wanted);
        return;
    }
    s->waits[at] = wanted;
    master_ask_acks(s);
}

void commands_acks_moved(struct server *s)
{
    uint64_t nodes;
    for (int i = 0; i < WAITS_MAX; i++) {
        struct wait *wait = &s->waits[i];
        if (!wait->conn || master_acked(s, wait->offset, &nodes) < wait->replicas) continue;
        answer_wait(s, wait);
        wait->conn = 0;
    }
    hand_over_check(s);
}

void commands_cron(struct server *s)
{
    for (int i = 0; i < WAITS_MAX; i++) {
        struct wait *wait = &s->waits[i];
        if (!wait->conn || server_now_ms(s) < wait->deadline_ms) continue;
        answer_wait(s, wait);
        wait->conn = 0;
    }
}

/* UNBLOCKED, where it becomes a replica: what somebody waits for belonged to a dataset that is about to go. */
void commands_role_changed(struct server *s)
{
    for (int i = 0; i < WAITS_MAX && server_is_replica(s); i++) {
        uint64_t none[4] = {s->waits[i].write};
        if (s->waits[i].conn) server_send(s, s->waits[i].conn, SAYS_WAITED, none, NULL, 0);
        s->waits[i].conn = 0;
    }
}

static bool hold(struct server *s, conn_id conn, const struct packet *p)
{
    if (!server_writes_are_paused(s)) return false;
    for (int i = 0; i < HELD_MAX; i++) {
        if (s->held[i].conn) continue;
        s->held[i] = (struct held){.conn = conn, .what = p->what};
        memcpy(s->held[i].number, p->number, sizeof p->number);
        return true;
    }
    return true;
}

void commands_unpaused(struct server *s)
{
    for (int i = 0; i < HELD_MAX; i++) {
        struct held held = s->held[i];
        if (!held.conn) continue;
        s->held[i].conn = 0;
        write_command(s, held.conn, held.number);
    }
}

/* --- publish and subscribe --- */

static void subscribe(struct server *s, conn_id conn)
{
    for (int i = 0; i < NODES_MAX * 2; i++) {
        if (s->subscribers[i]) continue;
        s->subscribers[i] = conn;
        return;
    }
}

bool commands_has_sentinels(const struct server *s)
{
    for (int i = 0; i < NODES_MAX * 2; i++)
        if (s->subscribers[i]) return true;
    return false;
}

static void publish(struct server *s, const struct packet *p)
{
    for (int i = 0; i < NODES_MAX * 2; i++)
        if (s->subscribers[i]) server_send(s, s->subscribers[i], SAYS_MESSAGE, NULL, p->bytes, p->len);
}

static void take_request(struct server *s, conn_id conn, const struct packet *p)
{
    struct text info;
    switch ((enum sentinel_request)p->number[0]) {
    case REQUEST_PING:
        if (s->loading || s->replacing)
            reply(s, conn, REQUEST_PING, true, "LOADING Redis is loading the dataset in memory");
        else
            reply(s, conn, REQUEST_PING, false, "PONG");
        break;
    case REQUEST_INFO:
        write_info(s, &info);
        info.bytes[info.len] = '\0';
        reply(s, conn, REQUEST_INFO, false, info.bytes);
        break;
    case REQUEST_HELLO:
        publish(s, p);
        reply(s, conn, REQUEST_HELLO, false, "");
        break;
    case REQUEST_PROMOTE:
    case REQUEST_FOLLOW:
        if (s->loading || s->replacing)
            reply(s, conn, p->number[0], true, "LOADING Redis is loading the dataset in memory");
        else
            take_order(s, conn, p);
        break;
    case REQUEST_HAND_OVER: begin_hand_over(s, conn, p); break;
    default: reply(s, conn, p->number[0], false, ""); break;
    }
}

static void remember_client(struct server *s, conn_id conn)
{
    int free_place = -1;
    for (int i = 0; i < NODES_MAX * 8; i++) {
        if (s->clients[i] == conn) return;
        bool is_free = !s->clients[i] || !network_is_open(s->w, s->id, s->clients[i]);
        if (is_free && free_place < 0) free_place = i;
    }
    if (free_place >= 0) s->clients[free_place] = conn;
}

void commands_received(struct server *s, conn_id conn, const struct packet *p)
{
    remember_client(s, conn);
    switch (p->what) {
    case SAYS_REQUEST: take_request(s, conn, p); break;
    case SAYS_SUBSCRIBE: subscribe(s, conn); break;
    case SAYS_WRITE:
        if (!hold(s, conn, p)) write_command(s, conn, p->number);
        break;
    case SAYS_WAIT: wait_command(s, conn, p->number); break;
    default: break;
    }
}
