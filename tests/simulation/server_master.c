/* A server that has replicas: the driver of repl/follower_machine.c, as repl/master*.c is. The simulator. */
#include "tests/simulation/checks.h"
#include "tests/simulation/plan.h"
#include "tests/simulation/server.h"

#include "repl/wire.h"
#include "server/base/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define UNUSED_CHILD_GRACE_MS 2000

/* --- snapshots (repl/master_snapshot.c) --- */

static bool covers(const struct server *s, const struct snapshot *snapshot)
{
    return snapshot->offset + 1 >= backlog_first(repl_stream_backlog(s->stream));
}

static void end_users(struct server *s, const struct snapshot *snapshot, const char *why)
{
    for (int i = 0; i < FOLLOWERS_MAX; i++)
        if (s->followers[i].used && s->followers[i].snapshot == snapshot)
            follower_step(s, &s->followers[i], &(struct follower_event){.kind = FOLLOWER_EVENT_UNWANTED, .text = why});
}

static struct snapshot *running(struct server *s)
{
    for (int i = 0; i < SNAPSHOTS_MAX; i++)
        if (s->snapshots[i].state == SNAPSHOT_RUNNING) return &s->snapshots[i];
    return NULL;
}

static void child_ended(struct world *w, int node, uint64_t number)
{
    struct server *s = server_of(w, node);
    struct snapshot *snapshot = running(s);
    if (snapshot && snapshot->number == number) {
        snapshot->state = SNAPSHOT_COMPLETE;
        server_turn_ends(s);
    }
}

static void drop_snapshot(struct snapshot *snapshot)
{
    data_clear(&snapshot->data);
    *snapshot = (struct snapshot){0};
}

void master_snapshot_fails(struct server *s)
{
    struct snapshot *snapshot = running(s);
    if (!snapshot) return;
    snapshot->state = SNAPSHOT_FAILED;
    end_users(s, snapshot, "its snapshot could not be completed");
    server_turn_ends(s);
}

static struct snapshot *find_reusable(struct server *s)
{
    for (int i = 0; i < SNAPSHOTS_MAX; i++) {
        struct snapshot *one = &s->snapshots[i];
        bool usable = !one->stale && (one->state == SNAPSHOT_RUNNING || one->state == SNAPSHOT_COMPLETE);
        if (usable && covers(s, one)) return one;
    }
    return NULL;
}

/* NULL: another child runs, or no place is free. */
static struct snapshot *start_snapshot(struct server *s)
{
    int at = 0;
    if (running(s)) return NULL;
    while (at < SNAPSHOTS_MAX && s->snapshots[at].state != SNAPSHOT_FREE) at++;
    if (at == SNAPSHOTS_MAX) return NULL;
    struct snapshot *snapshot = &s->snapshots[at];
    *snapshot = (struct snapshot){.state = SNAPSHOT_RUNNING,
                                  .number = ++s->snapshot_numbers,
                                  .offset = repl_stream_history(s->stream)->offset,
                                  .unused_since_ms = server_now_ms(s)};
    data_copy(&snapshot->data, &s->data);
    world_after(s->w, s->w->plan->snapshot_ms, s->id, child_ended, snapshot->number);
    return snapshot;
}

static void detach(struct server *s, struct follower *f)
{
    struct snapshot *snapshot = f->snapshot;
    f->snapshot = NULL;
    if (snapshot && --snapshot->users == 0) snapshot->unused_since_ms = server_now_ms(s);
}

static void look_after_snapshot(struct server *s, struct snapshot *snapshot)
{
    if (snapshot->state == SNAPSHOT_FREE || snapshot->users) return;
    int64_t unused_ms = server_now_ms(s) - snapshot->unused_since_ms;
    if (snapshot->state == SNAPSHOT_RUNNING) {
        if (snapshot->stale || unused_ms >= UNUSED_CHILD_GRACE_MS) drop_snapshot(snapshot);
        return;
    }
    bool of_use = snapshot->state == SNAPSHOT_COMPLETE && !snapshot->stale && covers(s, snapshot);
    if (!of_use || unused_ms >= (int64_t)s->settings.timeout_s * 1000) drop_snapshot(snapshot);
}

/* --- a follower (repl/master_followers.c) --- */

struct follower *follower_find(struct server *s, conn_id conn)
{
    for (int i = 0; i < FOLLOWERS_MAX; i++)
        if (s->followers[i].used && s->followers[i].conn == conn) return &s->followers[i];
    return NULL;
}

bool follower_is_online(const struct follower *f)
{
    return f->used && follower_row(f->machine.state)->online;
}

static struct backlog_peer_view view_of(const struct server *s, const struct follower *f)
{
    struct backlog_peer_view view = {.state = PEER_WAITING};
    if (f->slot >= 0) backlog_peer_view(repl_stream_backlog(s->stream), f->slot, &view);
    return view;
}

static void hand_over_socket(struct server *s, struct follower *f)
{
    if (link_give(s, f) == 0) return;
    follower_step(s, f, &(struct follower_event){.kind = FOLLOWER_EVENT_NOT_TAKEN, .text = "no link process"});
}

static void note_refusal(struct server *s, struct follower *f)
{
    unsigned times = refusals_note(&s->refusals, f->name, 0, f->machine.state == FOLLOWER_UNPROVEN, server_now_ms(s));
    detach(s, f);
    world_trace(s->w, s->id, "%s has not taken over its snapshot, for the %u. time", f->name, times);
}

static void release(struct server *s, struct follower *f)
{
    if (f->slot >= 0) backlog_peer_free(repl_stream_backlog(s->stream), f->slot);
    f->slot = -1;
    detach(s, f);
}

static void act(struct server *s, struct follower *f, const struct follower_action *a)
{
    switch (a->kind) {
    case FOLLOWER_ACTION_GIVE: hand_over_socket(s, f); break;
    case FOLLOWER_ACTION_BEAT: server_send(s, f->conn, SAYS_ALIVE, NULL, NULL, 0); break;
    case FOLLOWER_ACTION_DETACH: detach(s, f); break;
    case FOLLOWER_ACTION_DOOM:
        if (f->slot >= 0) backlog_peer_doom(repl_stream_backlog(s->stream), f->slot);
        break;
    case FOLLOWER_ACTION_RELEASE: release(s, f); break;
    case FOLLOWER_ACTION_REFUSED: note_refusal(s, f); break;
    case FOLLOWER_ACTION_PROVEN: refusals_forget(&s->refusals, f->name); break;
    case FOLLOWER_ACTION_LIMITED: break;
    case FOLLOWER_ACTION_NOTE:
    case FOLLOWER_ACTION_WARN: world_trace(s->w, s->id, "%s", a->text); break;
    }
}

void follower_step(struct server *s, struct follower *f, const struct follower_event *event)
{
    struct follower_actions actions;
    follower_machine_step(&f->machine, event, server_now_ms(s), &actions);
    for (int i = 0; i < actions.count; i++) act(s, f, &actions.list[i]);
}

static void step_kind(struct server *s, struct follower *f, enum follower_event_kind kind)
{
    follower_step(s, f, &(struct follower_event){.kind = kind});
}

static void look(struct server *s, struct follower *f)
{
    if (!follower_row(f->machine.state)->linked) return;
    struct backlog_peer_view view = view_of(s, f);
    if (view.state == PEER_SENDING_SNAPSHOT || view.state == PEER_ONLINE) step_kind(s, f, FOLLOWER_EVENT_BEGUN);
    if (view.acked_offset) step_kind(s, f, FOLLOWER_EVENT_ACKNOWLEDGED);
}

static void end_follower(struct server *s, struct follower *f, const char *why)
{
    follower_step(s, f, &(struct follower_event){.kind = FOLLOWER_EVENT_UNWANTED, .text = why});
}

static void end_all(struct server *s, const char *why)
{
    for (int i = 0; i < FOLLOWERS_MAX; i++)
        if (s->followers[i].used) end_follower(s, &s->followers[i], why);
}

static void reap(struct server *s)
{
    for (int i = 0; i < FOLLOWERS_MAX; i++) {
        struct follower *f = &s->followers[i];
        if (!f->used || f->machine.state != FOLLOWER_GONE) continue;
        network_close(s->w, s->id, f->conn);
        f->used = false;
    }
}

bool follower_is_shown(struct server *s, struct follower *f, uint64_t *offset)
{
    if (!f->used) return false;
    look(s, f);
    if (!follower_shown(&f->machine)) return false;
    *offset = view_of(s, f).acked_offset;
    return true;
}

/* --- a request (repl/master_request.c, repl/master_queue.c) --- */

static struct follower *new_follower(struct server *s, conn_id conn)
{
    int at = 0;
    while (at < FOLLOWERS_MAX && s->followers[at].used) at++;
    if (at == FOLLOWERS_MAX) return NULL;
    struct follower *f = &s->followers[at];
    *f = (struct follower){.used = true, .conn = conn, .node = network_other(s->w, s->id, conn), .slot = -1};
    snprintf(f->name, sizeof f->name, "%s", s->w->nodes[f->node].name);
    follower_machine_init(&f->machine, &s->follower_settings, f->name, server_now_ms(s));
    return f;
}

static const char *refusal(const struct server *s)
{
    if (s->loading || s->replacing) return "-LOADING Redis is loading the dataset in memory";
    if (s->hand_over != HAND_OVER_NONE) return "-NOMASTERLINK Can't SYNC while failing over";
    if (server_is_replica(s) && !replica_link_is_up(s))
        return "-NOMASTERLINK Can't SYNC while not connected with my master";
    return NULL;
}

static bool attach(struct server *s, struct follower *f)
{
    if (server_now_ms(s) < f->not_before_ms) return false;
    struct snapshot *snapshot = find_reusable(s);
    if (!snapshot) snapshot = start_snapshot(s);
    if (!snapshot) return false;
    f->slot = backlog_peer_claim(repl_stream_backlog(s->stream), snapshot->offset + 1);
    CHECK(f->slot >= 0);
    f->from = snapshot->offset + 1;
    f->snapshot = snapshot;
    snapshot->users++;
    return true;
}

/* A backlog that starts with this replica starts a history too. */
static void open_first_backlog(struct server *s)
{
    if (repl_stream_window(s->stream).present) return;
    if (!repl_stream_backlog(s->stream) && !server_is_replica(s)) repl_stream_new_id(s->stream);
    CHECK(repl_stream_open(s->stream) == 0);
    repl_stream_offer(s->stream);
}

static void accept_full(struct server *s, struct follower *f)
{
    f->machine.wish = FOLLOWER_FULL;
    f->machine.by_mark = true;
    f->not_before_ms = refusals_again_ms(&s->refusals, f->name);
    open_first_backlog(s);
    attach(s, f);
}

static void accept_partial(struct server *s, struct follower *f, const struct resync_decision *d)
{
    f->machine.wish = FOLLOWER_CONTINUES;
    f->from = d->from;
    f->slot = backlog_peer_claim(repl_stream_backlog(s->stream), d->from);
    CHECK(f->slot >= 0);
}

/* server/commands/replication.c: take_over() */
static const char *take_over(struct server *s, const char *id)
{
    if (!server_is_replica(s)) return "-ERR PSYNC FAILOVER can't be sent to a master.";
    if (strcmp(id, repl_stream_history(s->stream)->id) != 0) return "-ERR PSYNC FAILOVER replid must match my replid.";
    checks_promotes(s->w, s->id, NOBODY, 0);
    replica_stop_following(s);
    s->disk.configured = s->w->plan->config_is_kept;
    s->disk.master = NOBODY;
    return NULL;
}

static struct resync_decision decide(struct server *s, const char *id, int64_t offset, char why[512])
{
    const struct history *h = repl_stream_history(s->stream);
    struct resync_window window = repl_stream_window(s->stream);
    if (s->w->plan->mistake == MISTAKE_ANY_HISTORY && *id != '?') id = h->id;
    struct resync_decision d = resync_decide(h, &window, id, offset);
    resync_explain(&d, h, &window, id, offset, why);
    return d;
}

static bool is_held_back(struct server *s, enum resync_reason reason, int64_t offset)
{
    return !server_is_replica(s) && s->w->plan->mistake != MISTAKE_NO_COMEBACK &&
           comeback_holds_back(&s->comeback, repl_stream_history(s->stream), reason, offset, commands_has_sentinels(s),
                               server_now_ms(s));
}

uint64_t master_ahead_bytes(struct server *s)
{
    return comeback_ahead_bytes(&s->comeback, commands_has_sentinels(s), server_now_ms(s));
}

void master_request(struct server *s, conn_id conn, const struct packet *packet)
{
    char id[HISTORY_ID_TEXT + 8], why[512];
    snprintf(id, sizeof id, "%.*s", (int)packet->len, (const char *)packet->bytes);
    int64_t offset = (int64_t)packet->number[0];
    const char *refused = s->loading ? refusal(s) : packet->number[1] ? take_over(s, id) : NULL;
    if (!refused) refused = refusal(s);
    if (refused) {
        server_send_text(s, conn, SAYS_LINES, refused);
        return;
    }
    struct resync_decision d = decide(s, id, offset, why);
    bool held_back = d.reason != RESYNC_CONTINUE && is_held_back(s, d.reason, offset);
    struct follower *f = held_back ? NULL : new_follower(s, conn);
    world_trace(s->w, s->id, "is asked by %s for %.8s:%" PRId64 ": %s%s",
                s->w->nodes[network_other(s->w, s->id, conn)].name, id, offset, why,
                held_back ? "; it is held back" : "");
    if (!f) {
        server_send_text(s, conn, SAYS_LINES,
                         held_back ? "-NOMASTERLINK Can't SYNC yet: I have restarted with less than you have"
                                   : "-ERR max number of replicas reached");
        return;
    }
    if (d.reason == RESYNC_CONTINUE) {
        checks_continued(s->w, s->id, f->node, offset);
        accept_partial(s, f, &d);
    } else {
        checks_gives_full_sync(s->w, s->id, f->node);
        accept_full(s, f);
    }
    follower_step(s, f, &(struct follower_event){.kind = FOLLOWER_EVENT_ARRIVED, .ready = f->snapshot});
}

/* --- acknowledgements (repl/master_acks.c) --- */

bool follower_acked(struct server *s, const struct follower *f, uint64_t *offset, int64_t *lag_ms)
{
    if (!follower_is_online(f)) return false;
    struct backlog_peer_view view = view_of(s, f);
    int64_t heard_ms = view.heard_ms > f->machine.online_ms ? view.heard_ms : f->machine.online_ms;
    *offset = view.acked_offset;
    *lag_ms = server_now_ms(s) - heard_ms;
    return true;
}

int master_acked(struct server *s, uint64_t offset, uint64_t *nodes)
{
    int count = 0;
    *nodes = 0;
    for (int i = 0; i < FOLLOWERS_MAX; i++) {
        uint64_t acked;
        int64_t lag_ms;
        if (!follower_acked(s, &s->followers[i], &acked, &lag_ms) || acked < offset) continue;
        count++;
        *nodes |= UINT64_C(1) << s->followers[i].node;
    }
    return count;
}

int master_good_followers(struct server *s)
{
    int good = 0;
    for (int i = 0; i < FOLLOWERS_MAX; i++) {
        uint64_t acked;
        int64_t lag_ms;
        if (follower_acked(s, &s->followers[i], &acked, &lag_ms))
            good += lag_ms / 1000 <= s->settings.min_replicas_max_lag_s;
    }
    return good;
}

int master_online_followers(struct server *s)
{
    int count = 0;
    for (int i = 0; i < FOLLOWERS_MAX; i++) count += follower_is_online(&s->followers[i]);
    return count;
}

void master_ask_acks(struct server *s)
{
    s->ask_acks = true;
}

/* --- the stream out (repl/master.c) --- */

void master_write(struct server *s, const char *record, size_t len)
{
    data_append(&s->data, (const uint8_t *)record, len);
    if (repl_stream_backlog(s->stream) && !server_is_replica(s)) repl_stream_append(s->stream, record, len);
}

static bool any_followers(const struct server *s)
{
    for (int i = 0; i < FOLLOWERS_MAX; i++)
        if (s->followers[i].used) return true;
    return false;
}

static bool may_add(const struct server *s)
{
    return repl_stream_backlog(s->stream) && !server_is_replica(s) && any_followers(s) && !server_writes_are_paused(s);
}

static void ping_replicas(struct server *s)
{
    if (server_now_ms(s) - s->last_ping_ms < (int64_t)s->settings.ping_period_s * 1000) return;
    s->last_ping_ms = server_now_ms(s);
    if (may_add(s)) master_write(s, "P\n", 2);
}

void master_before_send(struct server *s)
{
    reap(s);
    if (!s->ask_acks || server_writes_are_paused(s)) return;
    s->ask_acks = false;
    if (may_add(s)) master_write(s, "G\n", 2);
}

/* --- cron --- */

static void look_after(struct server *s, struct follower *f)
{
    struct follower_event tick = {.kind = FOLLOWER_EVENT_TICK};
    if (follower_row(f->machine.state)->linked) {
        link_tick(s, f);
        look(s, f);
        struct backlog_peer_view view = view_of(s, f);
        tick.lag_bytes = backlog_end(repl_stream_backlog(s->stream)) - view.next_offset;
        tick.slot = (struct follower_slot){view.owes, view.sent_bytes, view.received_bytes};
    }
    follower_step(s, f, &tick);
}

static void serve_waiting(struct server *s)
{
    for (int i = 0; i < FOLLOWERS_MAX; i++) {
        struct follower *f = &s->followers[i];
        if (!f->used || f->machine.state != FOLLOWER_QUEUED || !attach(s, f)) continue;
        step_kind(s, f, FOLLOWER_EVENT_SERVED);
    }
}

void master_cron(struct server *s)
{
    for (int i = 0; i < FOLLOWERS_MAX; i++)
        if (s->followers[i].used) look_after(s, &s->followers[i]);
    if (repl_stream_backlog(s->stream)) serve_waiting(s);
    for (int i = 0; i < SNAPSHOTS_MAX; i++) look_after_snapshot(s, &s->snapshots[i]);
    ping_replicas(s);
    hand_over_check(s);
}

/* --- the stream's news --- */

static void history_changed(struct server *s, const char *why)
{
    comeback_end(&s->comeback);
    end_all(s, why);
    for (int i = 0; i < SNAPSHOTS_MAX; i++) s->snapshots[i].stale = true;
}

static void renamed(void *context, const char *why)
{
    history_changed(context, why);
}

static void replaced(void *context)
{
    history_changed(context, "our dataset is being replaced by our master's");
}

static void closing(void *context)
{
    link_detach(context);
}

static void peer_doomed(void *context, int slot, uint64_t lag_bytes, uint64_t limit_bytes)
{
    struct server *s = context;
    struct follower_event event = {.kind = FOLLOWER_EVENT_DOOMED, .lag_bytes = lag_bytes, .limit_bytes = limit_bytes};
    for (int i = 0; i < FOLLOWERS_MAX; i++)
        if (s->followers[i].used && s->followers[i].slot == slot) follower_step(s, &s->followers[i], &event);
}

void master_start(struct server *s)
{
    s->follower_settings = (struct follower_machine_settings){.beat_ms = (int64_t)s->settings.ping_period_s * 1000,
                                                              .timeout_ms = (int64_t)s->settings.timeout_s * 1000};
    s->listener = (struct repl_stream_listener){
        .context = s, .renamed = renamed, .replaced = replaced, .closing = closing, .peer_doomed = peer_doomed};
    repl_stream_listen(s->stream, &s->listener);
}

void master_loaded(struct server *s)
{
    const struct history *h = repl_stream_history(s->stream);
    int64_t wait_ms = (int64_t)s->settings.ahead_replica_wait_s * 1000;
    bool from_nothing = h->offset == 0 && !s->data.len;
    if (h->second_offset > 0 || from_nothing)
        comeback_begin(&s->comeback, h->second_offset <= 0, wait_ms, server_now_ms(s));
}
