/* A server's start and end, its connections, and what it does before it sleeps. The simulator. */
#include "tests/simulation/server.h"

#include "server/base/alloc.h"
#include "tests/simulation/checks.h"
#include "tests/simulation/plan.h"
#include "tests/simulation/server_node.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CRON_MS 100

struct server *server_of(const struct world *w, int node)
{
    return w->nodes[node].self;
}

int64_t server_now_ms(const struct server *s)
{
    return node_now_ms(s->w, s->id);
}

bool server_is_replica(const struct server *s)
{
    return s->master != NOBODY;
}

/* A hand-over wants the offset to stand still. */
bool server_writes_are_paused(const struct server *s)
{
    return s->hand_over != HAND_OVER_NONE;
}

void server_send(struct server *s, conn_id conn, int what, const uint64_t number[4], const void *bytes, size_t len)
{
    struct packet p = {.what = what, .len = len, .bytes = bytes};
    if (number) memcpy(p.number, number, sizeof p.number);
    network_send(s->w, s->id, conn, &p);
}

void server_send_text(struct server *s, conn_id conn, int what, const char *text)
{
    server_send(s, conn, what, NULL, text, strlen(text));
}

/* --- a turn --- */

void server_turn_ends(struct server *s)
{
    replica_before_send(s);
    master_before_send(s);
    repl_stream_publish(s->stream);
    link_pump_all(s);
}

static void cron(struct world *w, int node, uint64_t arg)
{
    struct server *s = server_of(w, node);
    (void)arg;
    repl_stream_cron(s->stream, server_now_ms(s));
    master_cron(s);
    commands_cron(s);
    server_turn_ends(s);
    world_after(w, CRON_MS, node, cron, 0);
}

/* --- the disk --- */

/* What a file says of its history: nothing where a stream from there on would not lead to what we are
 * (replication_describe). */
static void describe(const struct server *s, char id[HISTORY_ID_TEXT], uint64_t *offset)
{
    const struct history *h = repl_stream_history(s->stream);
    bool known = server_is_replica(s) ? s->streaming || s->can_continue : repl_stream_backlog(s->stream) != NULL;
    snprintf(id, HISTORY_ID_TEXT, "%s", known ? h->id : "");
    *offset = known ? h->offset : 0;
}

void server_save(struct server *s)
{
    if (s->w->plan->disk == DISK_NONE || s->loading || s->without_dataset) return;
    data_copy(&s->disk.data, &s->data);
    describe(s, s->disk.id, &s->disk.offset);
}

void server_data_replaced(struct server *s)
{
    s->data_turn++;
}

static void save_now_and_then(struct world *w, int node, uint64_t arg)
{
    (void)arg;
    server_save(server_of(w, node));
    world_after(w, w->plan->save_every_ms, node, save_now_and_then, 0);
}

/* As replication_restore_history() and restore_as_master(). */
static void restore_history(struct server *s)
{
    if (!s->disk.id[0]) return;
    repl_stream_replace(s->stream, s->disk.id, s->disk.offset);
    if (server_is_replica(s)) {
        s->can_continue = true;
        return;
    }
    repl_stream_branch(s->stream, "a master's history begins anew with each start");
    if (repl_stream_open(s->stream) != 0) repl_stream_new_id(s->stream);
}

/* --- life --- */

static void loaded(struct world *w, int node, uint64_t arg)
{
    struct server *s = server_of(w, node);
    (void)arg;
    s->loading = false;
    data_copy(&s->data, &s->disk.data);
    server_data_replaced(s);
    restore_history(s);
    world_trace(w, node, "started as %s%s with %" PRIu64 " writes, history %.8s:%" PRIu64,
                server_is_replica(s) ? "replica of " : "master", server_is_replica(s) ? w->nodes[s->master].name : "",
                s->data.writes, repl_stream_history(s->stream)->id, repl_stream_history(s->stream)->offset);
    checks_started(w, node);
    replica_start(s);
    if (!server_is_replica(s)) master_loaded(s);
    world_after(w, CRON_MS, node, cron, 0);
    if (w->plan->disk == DISK_SNAPSHOTS) world_after(w, w->plan->save_every_ms, node, save_now_and_then, 0);
    server_turn_ends(s);
}

static void settle(struct server *s)
{
    const struct plan *plan = s->w->plan;
    s->settings = (struct repl_settings){
        .timeout_s = plan->repl_timeout_s,
        .ping_period_s = plan->ping_period_s,
        .backlog_bytes = plan->backlog_bytes,
        .output_hard_bytes = plan->hard_limit_bytes,
        .min_replicas_to_write = plan->min_replicas,
        .min_replicas_max_lag_s = plan->max_lag_s,
        .ahead_replica_wait_s = plan->ahead_wait_s,
    };
}

void server_make(struct world *w, int node)
{
    struct server *s = mem_calloc(1, sizeof *s);
    s->w = w;
    s->id = node;
    s->disk.master = s->master = NOBODY;
    w->nodes[node].self = s;
}

static int other_of(int node, int a, int b)
{
    return node == a ? b : node == b ? a : node;
}

void server_places_changed(struct world *w, int node, int a, int b)
{
    struct server *s = server_of(w, node);
    s->master = other_of(s->master, a, b);
    s->disk.master = other_of(s->disk.master, a, b);
    s->hand_over_to = other_of(s->hand_over_to, a, b);
    w->nodes[node].follows = other_of(w->nodes[node].follows, a, b);
}

void server_is_told(struct world *w, int node, int master)
{
    struct server *s = server_of(w, node);
    s->disk.configured = true;
    s->disk.master = master;
}

void server_start(struct world *w, int node)
{
    struct server *s = server_of(w, node);
    struct server_disk disk = s->disk;
    *s = (struct server){
        .w = w, .id = node, .disk = disk, .up = true, .data_turn = s->data_turn + 1, .heard_others_ms = w->now_ms};
    s->started_ms = server_now_ms(s);
    settle(s);
    random_hex(s->run_id, HISTORY_ID_TEXT - 1);
    s->master = disk.configured ? disk.master : w->nodes[node].follows;
    s->stream = repl_stream_new(&s->settings, 20000 + node);
    repl_stream_set_relayed(s->stream, server_is_replica(s));
    master_start(s);
    s->loading = true;
    checks_starts(w, node);
    world_after(w, disk.data.len ? w->plan->load_ms : 1, node, loaded, 0);
}

void server_die(struct world *w, int node, bool power_lost, bool disk_lost)
{
    struct server *s = server_of(w, node);
    (void)power_lost;
    if (s->up) {
        bool in_order = w->plan->disk == DISK_SNAPSHOTS && w->plan->saved_at_end && !power_lost;
        if (w->plan->disk == DISK_LOG || in_order) server_save(s);
        repl_stream_free(s->stream);
        for (int i = 0; i < SNAPSHOTS_MAX; i++) data_clear(&s->snapshots[i].data);
        data_clear(&s->data);
        data_clear(&s->received);
        data_clear(&s->input);
        s->up = false;
    }
    if (!disk_lost) return;
    data_clear(&s->disk.data);
    s->disk = (struct server_disk){.master = NOBODY};
}

void server_unmake(struct world *w, int node)
{
    server_die(w, node, true, true);
    mem_free(w->nodes[node].self);
}

/* --- connections --- */

void server_opened(struct world *w, int node, conn_id conn)
{
    replica_opened(server_of(w, node), conn);
    server_turn_ends(server_of(w, node));
}

static void take(struct server *s, conn_id conn, const struct packet *packet)
{
    if (conn == s->conn) {
        replica_received(s, conn, packet);
        return;
    }
    struct follower *f = follower_find(s, conn);
    if (f)
        link_received(s, f, packet);
    else if (packet->what == SAYS_GREETING)
        server_send_text(s, conn, SAYS_LINES,
                         s->loading ? "-LOADING Redis is loading the dataset in memory\n+OK\n+OK\n+OK\n"
                                    : "+PONG\n+OK\n+OK\n+OK\n");
    else if (packet->what == SAYS_PSYNC)
        master_request(s, conn, packet);
    else
        commands_received(s, conn, packet);
}

void server_received(struct world *w, int node, conn_id conn, const struct packet *packet)
{
    struct server *s = server_of(w, node);
    take(s, conn, packet);
    server_turn_ends(s);
}

static void forget_client(struct server *s, conn_id conn)
{
    for (int i = 0; i < WAITS_MAX; i++)
        if (s->waits[i].conn == conn) s->waits[i].conn = 0;
    for (int i = 0; i < HELD_MAX; i++)
        if (s->held[i].conn == conn) s->held[i].conn = 0;
    for (int i = 0; i < NODES_MAX * 2; i++)
        if (s->subscribers[i] == conn) s->subscribers[i] = 0;
}

void server_closed(struct world *w, int node, conn_id conn)
{
    struct server *s = server_of(w, node);
    struct follower *f = follower_find(s, conn);
    if (conn == s->conn)
        replica_closed(s, conn);
    else if (f)
        link_lost(s, f, "the replica closed the connection");
    else
        forget_client(s, conn);
    server_turn_ends(s);
}
