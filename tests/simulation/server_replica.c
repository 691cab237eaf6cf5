/* A server that follows a master: the driver of repl/replica_machine.c, as repl/replica*.c is. The simulator. */
#include "tests/simulation/checks.h"
#include "tests/simulation/plan.h"
#include "tests/simulation/server.h"

#include "repl/wire.h"
#include "server/base/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void step(struct server *s, const struct replica_event *event);

static void failed(struct server *s, const char *why)
{
    step(s, &(struct replica_event){.kind = EVENT_FAILED, .text = why});
}

bool replica_link_is_up(const struct server *s)
{
    return s->machine.state == REPLICA_CONNECTED;
}

/* --- the dataset (repl/replica_dataset.c) --- */

static void begin_replacing(struct server *s)
{
    s->replacing = s->without_dataset = true;
    s->can_continue = false;
    repl_stream_replace(s->stream, NULL, repl_stream_history(s->stream)->offset);
    data_clear(&s->data);
    server_data_replaced(s);
}

static void finish_replacing(struct server *s)
{
    s->replacing = s->without_dataset = false;
    s->can_continue = s->full_id[0] != '\0';
    repl_stream_replace(s->stream, s->full_id, s->full_offset);
    data_copy(&s->data, &s->received);
    data_clear(&s->received);
    s->receiving = false;
    server_data_replaced(s);
    server_save(s); /* what was received becomes dump.rdb */
    checks_full_sync_ended(s->w, s->id);
    step(s, &(struct replica_event){.kind = EVENT_LOADED});
    if (s->w->plan->mistake != MISTAKE_LOOP) return;
    s->can_continue = false;
    failed(s, "on purpose");
}

static void loaded(struct world *w, int node, uint64_t arg)
{
    struct server *s = server_of(w, node);
    if (arg == s->load_turn && s->machine.state == REPLICA_LOADING) finish_replacing(s);
    server_turn_ends(s);
}

static void load(struct server *s)
{
    if (s->direct) {
        finish_replacing(s);
        return;
    }
    begin_replacing(s);
    s->reading_stopped = true;
    world_after(s->w, s->w->plan->load_ms, s->id, loaded, ++s->load_turn);
}

static void begin_transfer(struct server *s, const struct replica_action *full)
{
    snprintf(s->full_id, sizeof s->full_id, "%s", full->id);
    s->full_offset = full->offset;
    s->direct = !s->data.len;
    s->receiving = true;
    data_clear(&s->received);
    world_trace(s->w, s->id, "full resync from %s: %.8s:%" PRIu64, s->w->nodes[s->master].name, full->id, full->offset);
}

static void receive_snapshot(struct server *s, const struct packet *p)
{
    if (s->direct && !s->replacing) begin_replacing(s);
    data_append(&s->received, p->bytes, p->len);
    if (p->number[0]) step(s, &(struct replica_event){.kind = EVENT_TRANSFERRED});
}

static void abandon_dataset(struct server *s)
{
    s->load_turn++;
    s->receiving = s->reading_stopped = s->closed_unseen = false;
    data_clear(&s->received);
    if (!s->replacing) return;
    s->replacing = false;
    data_clear(&s->data);
    server_data_replaced(s);
    checks_emptied(s->w, s->id);
}

/* --- the stream (repl/replica_stream.c) --- */

static void acknowledge(struct server *s)
{
    uint64_t number[4] = {repl_stream_history(s->stream)->offset};
    if (s->w->plan->mistake == MISTAKE_EARLY_ACK) number[0] += 4096;
    server_send(s, s->conn, SAYS_ACK, number, NULL, 0);
}

/* Bytes of whole records. */
static size_t whole_records(const struct data *d)
{
    const uint8_t *last = d->len ? memrchr(d->bytes, '\n', d->len) : NULL;
    return last ? (size_t)(last - d->bytes) + 1 : 0;
}

static bool is_asked_for_ack(const uint8_t *bytes, size_t len)
{
    return (len >= 2 && memcmp(bytes, "G\n", 2) == 0) || memmem(bytes, len, "\nG\n", 3);
}

static void apply_waiting(struct server *s)
{
    s->held_back = server_writes_are_paused(s);
    if (s->held_back) return;
    size_t len = whole_records(&s->input);
    if (!len) return;
    bool asked = is_asked_for_ack(s->input.bytes, len);
    data_append(&s->data, s->input.bytes, len);
    repl_stream_append(s->stream, s->input.bytes, len);
    memmove(s->input.bytes, s->input.bytes + len, s->input.len - len);
    s->input.len -= len;
    checks_applied(s->w, s->id);
    if (asked) acknowledge(s);
}

static void keep_input(struct server *s, const struct packet *p)
{
    data_append(&s->input, p->bytes, p->len);
}

static void sees_close(struct world *w, int node, uint64_t lives)
{
    struct server *s = server_of(w, node);
    if (lives != s->lives) return;
    failed(s, "Connection with master lost.");
    server_turn_ends(s);
}

static void begin_stream(struct server *s)
{
    repl_stream_open(s->stream);
    repl_stream_offer(s->stream);
    s->streaming = true;
    s->reading_stopped = false;
    checks_streams(s->w, s->id);
    world_trace(s->w, s->id, "streams from %s at %.8s:%" PRIu64, s->w->nodes[s->master].name,
                repl_stream_history(s->stream)->id, repl_stream_history(s->stream)->offset);
    acknowledge(s);
    apply_waiting(s);
    if (s->closed_unseen) world_after(s->w, 0, s->id, sees_close, s->lives);
    s->closed_unseen = false;
}

void replica_before_send(struct server *s)
{
    if (s->held_back && !server_writes_are_paused(s)) {
        s->held_back = false;
        if (s->streaming) apply_waiting(s);
    }
}

/* --- the connection (repl/replica_link.c) --- */

static void connect(struct server *s)
{
    /* Itself, which refuses to be its own master: as well as nobody. */
    s->dialled = s->master == s->id ? s->w->first_spare : s->master;
    s->conn = network_connect(s->w, s->id, s->dialled, FOR_REPLICATION, 0);
}

static void send_psync(struct server *s)
{
    const struct history *h = repl_stream_history(s->stream);
    uint64_t number[4] = {s->can_continue ? h->offset + 1 : (uint64_t)-1, s->machine.failover};
    const char *id = s->can_continue ? h->id : WIRE_NO_HISTORY;
    world_trace(s->w, s->id, "asks %s to continue %.8s:%" PRId64 "%s", s->w->nodes[s->master].name, id,
                (int64_t)number[0], s->machine.failover ? " and to take over" : "");
    server_send(s, s->conn, SAYS_PSYNC, number, id, strlen(id));
}

static void let_go(struct server *s, const char *why)
{
    if (*why) world_trace(s->w, s->id, "lets go of its master: %s", why);
    s->lives++;
    if (s->streaming) s->down_since_ms = server_now_ms(s);
    s->streaming = false;
    network_close(s->w, s->id, s->conn);
    s->conn = 0;
    abandon_dataset(s);
    s->input.len = 0;
}

static void continue_history(struct server *s, const char *new_id)
{
    world_trace(s->w, s->id, "continues as %.8s", *new_id ? new_id : "before");
    if (!new_id[0] || strcmp(new_id, repl_stream_history(s->stream)->id) == 0) return;
    repl_stream_continue_as(s->stream, new_id, "our master's replication ID changed");
}

/* --- the machine --- */

static void act(struct server *s, const struct replica_action *a)
{
    switch (a->kind) {
    case ACTION_NONE: break;
    case ACTION_RESOLVE: step(s, &(struct replica_event){.kind = EVENT_RESOLVED}); break;
    case ACTION_CONNECT: connect(s); break;
    case ACTION_GREET: server_send(s, s->conn, SAYS_GREETING, NULL, NULL, 0); break;
    case ACTION_PSYNC: send_psync(s); break;
    case ACTION_SYNC: world_fail(s->w, "%s falls back to SYNC", s->w->nodes[s->id].name); break;
    case ACTION_CONTINUE: continue_history(s, a->id); break;
    case ACTION_TRANSFER: begin_transfer(s, a); break;
    case ACTION_LOAD: load(s); break;
    case ACTION_STREAM: begin_stream(s); break;
    case ACTION_ACK: acknowledge(s); break;
    case ACTION_KEEP_ALIVE: server_send(s, s->conn, SAYS_ALIVE, NULL, NULL, 0); break;
    case ACTION_CLOSE: let_go(s, a->text); break;
    case ACTION_NOTE:
    case ACTION_WARN:
        if (!s->machine.quiet) world_trace(s->w, s->id, "%s", a->text);
        break;
    case ACTION_FAILOVER_END: hand_over_ended(s, a->good); break;
    }
}

static void timer(struct world *w, int node, uint64_t arg)
{
    struct server *s = server_of(w, node);
    if ((int64_t)arg != s->timer_ms) return;
    s->timer_ms = 0;
    step(s, &(struct replica_event){.kind = EVENT_TICK});
    server_turn_ends(s);
}

/* A deadline that moves away needs nothing: the timer fires early and looks again. */
static void wind_timer(struct server *s)
{
    int64_t deadline_ms = replica_machine_deadline_ms(&s->machine);
    if (deadline_ms == INT64_MAX) return;
    if (deadline_ms < server_now_ms(s)) deadline_ms = server_now_ms(s);
    if (s->timer_ms && s->timer_ms <= deadline_ms) return;
    s->timer_ms = deadline_ms;
    world_after(s->w, deadline_ms - server_now_ms(s), s->id, timer, (uint64_t)deadline_ms);
}

static void step(struct server *s, const struct replica_event *event)
{
    struct replica_actions actions;
    replica_machine_step(&s->machine, event, server_now_ms(s), &actions);
    for (int i = 0; i < actions.count; i++) act(s, &actions.list[i]);
    wind_timer(s);
}

void replica_opened(struct server *s, conn_id conn)
{
    if (conn == s->conn) step(s, &(struct replica_event){.kind = EVENT_CONNECTED});
}

static void take_lines(struct server *s, const struct packet *p)
{
    struct bytes rest = bytes_make(p->bytes, p->len);
    unsigned lives = s->lives;
    while (rest.len && s->lives == lives && s->machine.state == REPLICA_HANDSHAKE) {
        const uint8_t *end = memchr(rest.ptr, '\n', rest.len);
        size_t len = end ? (size_t)(end - rest.ptr) : rest.len;
        step(s, &(struct replica_event){.kind = EVENT_LINE, .line = bytes_make(rest.ptr, len)});
        size_t used = len + (end != NULL);
        rest = bytes_make(rest.ptr + used, rest.len - used);
    }
}

void replica_received(struct server *s, conn_id conn, const struct packet *p)
{
    (void)conn;
    s->last_io_ms = server_now_ms(s);
    step(s, &(struct replica_event){.kind = EVENT_HEARD});
    if (p->what == SAYS_LINES) take_lines(s, p);
    if (p->what == SAYS_SNAPSHOT && s->machine.state == REPLICA_TRANSFER) receive_snapshot(s, p);
    if (p->what != SAYS_STREAM) return;
    keep_input(s, p);
    if (s->machine.state == REPLICA_CONNECTED) apply_waiting(s);
}

void replica_closed(struct server *s, conn_id conn)
{
    (void)conn;
    s->conn = 0;
    s->closed_unseen = s->reading_stopped;
    if (s->reading_stopped) return;
    failed(s, s->machine.state == REPLICA_CONNECTED ? "Connection with master lost." : "connection lost");
}

/* --- whom it follows (repl/replica.c) --- */

static void begin_to_follow(struct server *s, bool failover)
{
    repl_stream_set_relayed(s->stream, true);
    commands_role_changed(s);
    step(s, &(struct replica_event){.kind = EVENT_FOLLOW, .failover = failover});
}

void replica_follow(struct server *s, int master, bool failover)
{
    bool was_master = s->master == NOBODY;
    s->master = master;
    if (was_master) {
        s->can_continue = true;
        s->down_since_ms = 0;
    }
    world_trace(s->w, s->id, "follows %s", s->w->nodes[master].name);
    begin_to_follow(s, failover);
}

void replica_stop_following(struct server *s)
{
    if (s->master == NOBODY) return;
    step(s, &(struct replica_event){.kind = EVENT_STOP});
    s->master = NOBODY;
    s->without_dataset = false;
    repl_stream_branch(s->stream, "we are a master now, with a replication ID of our own");
    repl_stream_set_relayed(s->stream, false);
    const struct history *h = repl_stream_history(s->stream);
    world_trace(s->w, s->id, "is a master: %.8s:%" PRIu64 ", before it %.8s up to %" PRId64, h->id, h->offset,
                h->second_id, h->second_offset);
    commands_role_changed(s);
}

void replica_start(struct server *s)
{
    uint64_t seed;
    random_from_kernel(&seed, sizeof seed);
    s->machine_settings = (struct replica_machine_settings){.timeout_ms = (int64_t)s->settings.timeout_s * 1000};
    replica_machine_init(&s->machine, &s->machine_settings, seed);
    if (server_is_replica(s)) begin_to_follow(s, false);
}
