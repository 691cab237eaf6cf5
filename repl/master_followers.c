/* A follower: a replica as its master's server process sees it, from the PSYNC to the end of its connection. Drives its
 * machine (follower_machine.h): what the client's connection, the link and the backlog tell goes in as events.
 *
 * The socket's way: the client's connection flushes and lets go of it; if no snapshot can be had yet it stays here,
 * kept alive by newlines; then the link process has it and this process is told only of what becomes of it. A follower
 * is freed in one place, before the loop sleeps, so that no caller up the stack holds a dead one. */
#include "repl/master_side.h"

#include "rdb/format.h"
#include "repl/snapshot_form.h"
#include "repl/wire.h"
#include "server/base/alloc.h"
#include "server/base/log.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static void step(struct follower *f, const struct follower_event *event);

/* --- what the machine decides --- */

static struct backlog_peer_view view_of(const struct follower *f)
{
    struct backlog_peer_view view = {.state = PEER_WAITING};
    if (f->slot >= 0) backlog_peer_view(repl_stream_backlog(f->r->stream), f->slot, &view);
    return view;
}

static void count_traffic(struct follower *f)
{
    struct backlog_peer_view view = view_of(f);
    if (f->slot < 0) return;
    *f->r->stats.net_output_bytes += view.sent_bytes - f->counted_sent;
    *f->r->stats.replicas_input_bytes += view.received_bytes - f->counted_received;
    f->counted_sent = view.sent_bytes;
    f->counted_received = view.received_bytes;
}

static void release(struct follower *f)
{
    count_traffic(f);
    if (f->slot >= 0) backlog_peer_free(repl_stream_backlog(f->r->stream), f->slot);
    if (f->fd >= 0) close(f->fd);
    f->slot = f->fd = -1;
    snapshot_detach(f);
}

/* 0, or -1 with errno; the descriptor is gone in either case. */
static int give(struct follower *f)
{
    struct master_side *m = f->r->master;
    struct link_peer peer = {
        .slot = f->slot,
        .mode = f->machine.wish == FOLLOWER_CONTINUES ? LINK_CONTINUE : LINK_FULL,
        .from = f->from,
        .spool = f->snapshot ? f->snapshot->spool : -1,
        .eof_framing = f->hello.eof,
        .lz4 = f->hello.lz4 && f->r->settings->lz4,
        .rdb_only = f->hello.rdb_only,
        .nodelay = !f->r->settings->disable_tcp_nodelay,
        .preamble = f->preamble,
        .rest = f->rest,
    };
    if (link_handle_ensure(m->link, repl_stream_backlog(f->r->stream)) != 0) return -1;
    if (f->snapshot && snapshot_prepare_link(f->snapshot) != 0) return -1;
    int fd = f->fd;
    f->fd = -1;
    return link_give_peer(m->link, &peer, fd);
}

static void hand_over(struct follower *f)
{
    if (give(f) == 0) return;
    step(f, &(struct follower_event){.kind = FOLLOWER_EVENT_NOT_TAKEN, .text = strerror(errno)});
}

/* What is different the next time, where the version may have been why it went. */
static const char *what_next(struct follower *f, int version)
{
    struct refusals *refusals = &f->r->master->refusals;
    if (version <= RDB_VERSION_LEAST_WRITTEN) return "";
    int refused = refusals_version(refusals, f->name, replication_now_ms(f->r));
    enum rdb_write_for next = snapshot_form(&f->hello, f->form, refused);
    if (next == f->form) return ": it may not know that version";
    if (next == RDB_FOR_6_2)
        return ": it may not know that version. From now on it is sent RDB version 9, which has no room for libraries, "
               "and for what was deleted from streams and how far groups have read: their lag starts anew there";
    return ": it may not know that version, and is sent a lower one from now on";
}

/* Why it went, as far as it can be seen from here: what it had been given, and how much of it. */
static void note_refusal(struct follower *f)
{
    struct refusals *refusals = &f->r->master->refusals;
    struct backlog_peer_view view = view_of(f);
    int64_t now_ms = replication_now_ms(f->r);
    bool whole = f->machine.left == FOLLOWER_UNPROVEN || view.owes == OWES_WORD;
    snapshot_detach(f); /* what version it was in is known then */
    int version = f->rdb_version;
    unsigned times = refusals_note(refusals, f->name, version, whole, now_ms);
    long long wait_ms = refusals_again_ms(refusals, f->name) - now_ms;
    char what[32] = "";
    if (version) snprintf(what, sizeof what, " in RDB version %d", version);
    log_warning(
        "Replica %s has not taken over its snapshot%s, of which %llu bytes had been sent, for the %u. time in a "
        "row%s. The next one it gets in %lld ms at the earliest",
        f->name, what, (unsigned long long)view.sent_bytes, times, what_next(f, version), wait_ms > 0 ? wait_ms : 0);
}

static void note_taken(struct follower *f)
{
    refusals_forget(&f->r->master->refusals, f->name);
    reads_taken(f);
}

static void act(struct follower *f, const struct follower_action *a)
{
    switch (a->kind) {
    case FOLLOWER_ACTION_GIVE: hand_over(f); break;
    case FOLLOWER_ACTION_BEAT: (void)!send(f->fd, WIRE_ALIVE, 1, MSG_DONTWAIT | MSG_NOSIGNAL); break;
    case FOLLOWER_ACTION_DETACH: snapshot_detach(f); break;
    case FOLLOWER_ACTION_DOOM:
        if (f->slot >= 0) backlog_peer_doom(repl_stream_backlog(f->r->stream), f->slot);
        break;
    case FOLLOWER_ACTION_RELEASE: release(f); break;
    case FOLLOWER_ACTION_REFUSED: note_refusal(f); break;
    case FOLLOWER_ACTION_PROVEN: note_taken(f); break;
    case FOLLOWER_ACTION_LIMITED: ++*f->r->stats.output_limit_disconnections; break;
    case FOLLOWER_ACTION_NOTE: log_notice("%s", a->text); break;
    case FOLLOWER_ACTION_WARN: log_warning("%s", a->text); break;
    }
}

static void step(struct follower *f, const struct follower_event *event)
{
    struct follower_actions actions;
    follower_machine_step(&f->machine, event, replication_now_ms(f->r), &actions);
    for (int i = 0; i < actions.count; i++) act(f, &actions.list[i]);
}

static void step_kind(struct follower *f, enum follower_event_kind kind)
{
    step(f, &(struct follower_event){.kind = kind});
}

void follower_look(struct follower *f)
{
    if (!follower_row(f->machine.state)->linked) return;
    struct backlog_peer_view view = view_of(f);
    if (view.state == PEER_SENDING_SNAPSHOT || view.state == PEER_ONLINE) step_kind(f, FOLLOWER_EVENT_BEGUN);
    if (view.acked_offset) step_kind(f, FOLLOWER_EVENT_ACKNOWLEDGED);
}

bool follower_is_online(const struct follower *f)
{
    return follower_row(f->machine.state)->online;
}

/* --- the end --- */

void follower_end(struct follower *f, const char *reason)
{
    step(f, &(struct follower_event){.kind = FOLLOWER_EVENT_UNWANTED, .text = reason});
}

void followers_end_users(struct snapshot *s, const char *reason)
{
    list_each(&s->r->master->followers, node)
    {
        struct follower *f = list_entry(node, struct follower, node);
        if (f->snapshot == s) follower_end(f, reason);
    }
}

void followers_end_all(struct replication *r, const char *reason)
{
    list_each(&r->master->followers, node) follower_end(list_entry(node, struct follower, node), reason);
}

static void forget(struct follower *f)
{
    struct replication *r = f->r;
    reads_part(f);
    list_remove(&r->master->followers, &f->node);
    r->host.follower_gone(r->host.context, f->client);
    mem_free(f);
}

void followers_reap(struct replication *r)
{
    list_each(&r->master->followers, node)
    {
        struct follower *f = list_entry(node, struct follower, node);
        if (f->machine.state == FOLLOWER_GONE) forget(f);
    }
}

/* The backlog and the link are gone already. */
void followers_abandon(struct replication *r)
{
    list_each(&r->master->followers, node)
    {
        struct follower *f = list_entry(node, struct follower, node);
        if (f->fd >= 0) close(f->fd);
        list_remove(&r->master->followers, &f->node);
        mem_free(f);
    }
}

void replication_drop_follower(struct replication *r, struct follower *f, const char *reason)
{
    (void)r;
    follower_end(f, reason);
}

/* --- what the link and the backlog tell --- */

static struct follower *find_slot(struct replication *r, int slot)
{
    list_each(&r->master->followers, node)
    {
        struct follower *f = list_entry(node, struct follower, node);
        if (f->slot == slot) return f;
    }
    return NULL;
}

static void peer_online(void *context, int slot)
{
    struct follower *f = find_slot(context, slot);
    if (!f) return;
    step_kind(f, FOLLOWER_EVENT_STREAMS);
    (void)f->r->host.acks_moved(f->r->host.context); /* its first acknowledgement has rung before it counted */
}

static void peer_gone(void *context, int slot, const char *reason)
{
    struct follower *f = find_slot(context, slot);
    if (!f) return;
    follower_look(f);
    step(f, &(struct follower_event){.kind = FOLLOWER_EVENT_LET_GO, .text = reason});
}

static void link_died(void *context)
{
    struct replication *r = context;
    size_t lost = 0;
    list_each(&r->master->followers, node)
    {
        struct follower *f = list_entry(node, struct follower, node);
        lost += follower_row(f->machine.state)->linked;
        step_kind(f, FOLLOWER_EVENT_LINK_DIED);
    }
    log_notice("%zu replicas lost their connections with the link process", lost);
    snapshots_link_died(r);
}

const struct link_events master_link_events = {
    .peer_online = peer_online,
    .peer_gone = peer_gone,
    .died = link_died,
};

void follower_peer_doomed(void *context, int slot, uint64_t lag_bytes, uint64_t limit_bytes)
{
    struct follower *f = find_slot(context, slot);
    struct follower_event event = {.kind = FOLLOWER_EVENT_DOOMED, .lag_bytes = lag_bytes, .limit_bytes = limit_bytes};
    if (f) step(f, &event);
}

/* --- the hand-over --- */

bool followers_can_be_served(const struct replication *r)
{
    return link_handle_is_ready(r->master->link) && repl_stream_can_be_shared(r->stream);
}

void follower_answer(const struct follower *f, char answer[256])
{
    const struct history *h = repl_stream_history(f->r->stream);
    unsigned long long offset = f->from - 1, reach = h->offset;
    answer[0] = '\0';
    if (!f->psync) return;
    if (f->hello.reach)
        snprintf(answer, 256, WIRE_FULLRESYNC_REACH, h->id, offset, reach);
    else
        snprintf(answer, 256, WIRE_FULLRESYNC_ANSWER, h->id, offset);
}

void follower_serve(struct follower *f)
{
    char answer[256];
    follower_answer(f, answer);
    f->preamble = bytes_from_text(answer);
    f->rest = bytes_make(NULL, 0);
    step_kind(f, FOLLOWER_EVENT_SERVED);
}

void replication_take_follower(struct replication *r, struct follower *f, int fd, struct bytes owed, struct bytes rest)
{
    (void)r;
    f->fd = fd;
    f->preamble = owed;
    f->rest = rest;
    if (fd < 0)
        step_kind(f, FOLLOWER_EVENT_LEFT);
    else
        step(f, &(struct follower_event){.kind = FOLLOWER_EVENT_ARRIVED, .ready = f->snapshot});
}

/* --- cron --- */

/* We hold its descriptor, so we are the ones to notice when it leaves. */
static bool has_left(const struct follower *f)
{
    char byte;
    ssize_t got = recv(f->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
}

static void look_after(struct follower *f)
{
    struct follower_event tick = {.kind = FOLLOWER_EVENT_TICK};
    if (f->machine.state == FOLLOWER_QUEUED && has_left(f)) {
        follower_end(f, "it left while it waited for its snapshot");
        return;
    }
    if (follower_row(f->machine.state)->linked) {
        count_traffic(f);
        follower_look(f);
        struct backlog_peer_view view = view_of(f);
        tick.lag_bytes = backlog_end(repl_stream_backlog(f->r->stream)) - view.next_offset;
        tick.slot = (struct follower_slot){view.owes, view.sent_bytes, view.received_bytes};
    }
    step(f, &tick);
}

static void follow_settings(struct replication *r)
{
    const struct repl_settings *s = r->settings;
    r->master->follower_settings = (struct follower_machine_settings){
        .beat_ms = (int64_t)s->ping_period_s * 1000,
        .timeout_ms = (int64_t)s->timeout_s * 1000,
        .soft_limit_bytes = s->output_soft_bytes,
        .soft_limit_ms = (int64_t)s->output_soft_s * 1000,
    };
}

void followers_cron(struct replication *r)
{
    follow_settings(r);
    list_each(&r->master->followers, node) look_after(list_entry(node, struct follower, node));
}
