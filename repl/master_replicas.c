/* A replica as its master's server process sees it: from the PSYNC to the end of its connection.
 *
 * The socket's way: the client's connection flushes and lets go of it (COMING); if no snapshot can be had yet it stays
 * here (WAITING), kept alive by newlines; then the link process has it (LINKED) and this process is told only of what
 * becomes of it. A handle is freed in one place, before the loop sleeps, so that no caller up the stack holds a dead
 * one. */
#include "repl/master_side.h"

#include "rdb/format.h"
#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/log.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

/* --- the end of a handle --- */

static void count_traffic(struct replica_handle *h)
{
    struct backlog_peer_view view;
    if (h->state != HANDLE_LINKED) return;
    backlog_peer_view(repl_stream_backlog(h->r->stream), h->slot, &view);
    *h->r->stats.net_output_bytes += view.sent_bytes - h->counted_sent;
    *h->r->stats.replicas_input_bytes += view.received_bytes - h->counted_received;
    h->counted_sent = view.sent_bytes;
    h->counted_received = view.received_bytes;
}

/* Nobody uses its socket and slot any more. */
static void release(struct replica_handle *h)
{
    count_traffic(h);
    if (h->slot >= 0) backlog_peer_free(repl_stream_backlog(h->r->stream), h->slot);
    if (h->fd >= 0) close(h->fd);
    h->slot = h->fd = -1;
    snapshot_detach(h);
    h->online = false;
    h->state = HANDLE_ENDING;
}

void replica_handle_end(struct replica_handle *h, const char *reason)
{
    if (h->state == HANDLE_ENDING || h->reason[0]) return;
    snprintf(h->reason, sizeof h->reason, "%s", reason);
    log_notice("Disconnecting replica %s: %s", h->name, reason);
    switch (h->state) {
    case HANDLE_COMING: /* the rest when its descriptor arrives */
        if (h->slot >= 0) backlog_peer_doom(repl_stream_backlog(h->r->stream), h->slot);
        snapshot_detach(h);
        break;
    case HANDLE_LINKED:
        backlog_peer_doom(repl_stream_backlog(h->r->stream), h->slot);
        break; /* the link answers with peer_gone */
    default: release(h);
    }
}

void replicas_end_users(struct snapshot *s, const char *reason)
{
    list_each(&s->r->master->replicas, node)
    {
        struct replica_handle *h = list_entry(node, struct replica_handle, node);
        if (h->snapshot == s) replica_handle_end(h, reason);
    }
}

void replicas_end_all(struct replication *r, const char *reason)
{
    list_each(&r->master->replicas, node) replica_handle_end(list_entry(node, struct replica_handle, node), reason);
}

static void forget(struct replica_handle *h)
{
    struct replication *r = h->r;
    list_remove(&r->master->replicas, &h->node);
    r->host.replica_gone(r->host.context, h->client);
    mem_free(h);
}

void replicas_reap(struct replication *r)
{
    list_each(&r->master->replicas, node)
    {
        struct replica_handle *h = list_entry(node, struct replica_handle, node);
        if (h->state == HANDLE_ENDING) forget(h);
    }
}

/* The backlog and the link are gone already. */
void replicas_abandon(struct replication *r)
{
    list_each(&r->master->replicas, node)
    {
        struct replica_handle *h = list_entry(node, struct replica_handle, node);
        if (h->fd >= 0) close(h->fd);
        list_remove(&r->master->replicas, &h->node);
        mem_free(h);
    }
}

void replication_drop_replica(struct replication *r, struct replica_handle *h, const char *reason)
{
    (void)r;
    replica_handle_end(h, reason);
}

void replication_drop_all_replicas(struct replication *r, const char *reason)
{
    replicas_end_all(r, reason);
}

/* --- what the link and the backlog tell --- */

static struct replica_handle *find_slot(struct replication *r, int slot)
{
    list_each(&r->master->replicas, node)
    {
        struct replica_handle *h = list_entry(node, struct replica_handle, node);
        if (h->slot == slot) return h;
    }
    return NULL;
}

static void go_online(struct replica_handle *h)
{
    h->online = true;
    h->online_ms = replication_now_ms(h->r);
}

static void peer_online(void *context, int slot)
{
    struct replica_handle *h = find_slot(context, slot);
    if (!h || !h->full) return;
    snapshot_detach(h);
    go_online(h);
    log_notice("Synchronization with replica %s succeeded", h->name);
}

/* With a peer that gets length framing the link goes on to the stream at once: only its word is proof. */
static bool has_taken_over(const struct replica_handle *h, const struct backlog_peer_view *view)
{
    return h->took_over || (h->online && (h->hello.eof || view->acked_offset));
}

/* Why it went, as far as it can be seen from here: what it had been given, and how much of it. */
static void tell_refusal(const struct replica_handle *h, const struct backlog_peer_view *view, unsigned times)
{
    int version = h->snapshot ? snapshot_version(h->snapshot) : 0;
    long long wait_ms = refusals_again_ms(&h->r->master->refusals, h->name) - replication_now_ms(h->r);
    char what[32] = "";
    if (version) snprintf(what, sizeof what, " in RDB version %d", version);
    log_warning(
        "Replica %s has not taken over its snapshot%s, of which %llu bytes had been sent, for the %u. time in a "
        "row%s. The next one it gets in %lld ms at the earliest",
        h->name, what, (unsigned long long)view->sent_bytes, times,
        version > RDB_VERSION_LEAST_WRITTEN ? ": it may not know that version" : "", wait_ms > 0 ? wait_ms : 0);
}

/* Its own going, not our dropping it, while the snapshot was under way or being loaded. */
static void note_refusal(struct replica_handle *h)
{
    struct backlog_peer_view view;
    backlog_peer_view(repl_stream_backlog(h->r->stream), h->slot, &view);
    bool began = view.state == PEER_SENDING_SNAPSHOT || view.state == PEER_ONLINE;
    if (!h->full || h->hello.rdb_only || h->reason[0] || !began || has_taken_over(h, &view)) return;
    tell_refusal(h, &view, refusals_note(&h->r->master->refusals, h->name, replication_now_ms(h->r)));
}

static void peer_gone(void *context, int slot, const char *reason)
{
    struct replica_handle *h = find_slot(context, slot);
    if (!h) return;
    log_notice("Connection with replica %s lost: %s", h->name, h->reason[0] ? h->reason : reason);
    note_refusal(h);
    release(h);
}

static void link_died(void *context)
{
    struct replication *r = context;
    size_t lost = 0;
    list_each(&r->master->replicas, node)
    {
        struct replica_handle *h = list_entry(node, struct replica_handle, node);
        if (h->state != HANDLE_LINKED) continue;
        release(h);
        lost++;
    }
    log_notice("%zu replicas lost their connections with the link process", lost);
    snapshots_link_died(r);
}

const struct link_events master_link_events = {
    .peer_online = peer_online,
    .peer_gone = peer_gone,
    .died = link_died,
};

static void unshared(struct replica_handle *h)
{
    snprintf(h->reason, sizeof h->reason, "its stream could not be shared any more");
    log_warning("Replica %s is let go: no memory or no descriptor is left for the stream that it reads", h->name);
}

static void over_limit(struct replica_handle *h, uint64_t lag, uint64_t limit, const char *which)
{
    snprintf(h->reason, sizeof h->reason, "it was %llu bytes behind", (unsigned long long)lag);
    log_warning(
        "Client of replica %s scheduled to be closed ASAP for overcoming of output buffer limits. It is %llu bytes "
        "behind, the %s limit is %llu.",
        h->name, (unsigned long long)lag, which, (unsigned long long)limit);
    ++*h->r->stats.output_limit_disconnections;
}

void replica_peer_doomed(void *context, int slot, uint64_t lag_bytes, uint64_t limit_bytes)
{
    struct replica_handle *h = find_slot(context, slot);
    if (!h) return;
    if (limit_bytes)
        over_limit(h, lag_bytes, limit_bytes, "hard");
    else
        unshared(h);
}

/* --- the hand-over --- */

bool replicas_can_be_served(const struct replication *r)
{
    return link_handle_is_ready(r->master->link) && repl_stream_can_be_shared(r->stream);
}

void replica_handle_answer(const struct replica_handle *h, char answer[256])
{
    answer[0] = '\0';
    if (h->psync)
        snprintf(answer, 256, "+FULLRESYNC %s %llu\r\n", repl_stream_history(h->r->stream)->id,
                 (unsigned long long)(h->from - 1));
}

void replica_handle_give(struct replica_handle *h, int fd, struct bytes preamble, struct bytes rest)
{
    struct master_side *m = h->r->master;
    struct link_peer peer = {
        .slot = h->slot,
        .mode = h->full ? LINK_FULL : LINK_CONTINUE,
        .from = h->from,
        .spool = h->snapshot ? h->snapshot->spool : -1,
        .eof_framing = h->hello.eof,
        .lz4 = h->hello.lz4 && h->r->settings->lz4,
        .rdb_only = h->hello.rdb_only,
        .nodelay = !h->r->settings->disable_tcp_nodelay,
        .preamble = preamble,
        .rest = rest,
    };
    h->fd = -1;
    if (link_handle_ensure(m->link, repl_stream_backlog(h->r->stream)) != 0 ||
        (h->snapshot && snapshot_prepare_link(h->snapshot) != 0)) {
        log_warning("Can't hand replica %s to the link process: %s", h->name, strerror(errno));
        close(fd);
        release(h);
        return;
    }
    h->state = HANDLE_LINKED;
    if (link_give_peer(m->link, &peer, fd) != 0) {
        log_warning("Can't hand replica %s to the link process: %s", h->name, strerror(errno));
        release(h);
        return;
    }
    if (!h->full) go_online(h);
}

void replication_take_replica(struct replication *r, struct replica_handle *h, int fd, struct bytes owed,
                              struct bytes rest)
{
    (void)r;
    if (fd < 0 || h->reason[0]) {
        if (fd >= 0) close(fd);
        release(h);
    } else if (h->full && !h->snapshot) {
        h->state = HANDLE_WAITING;
        h->fd = fd;
    } else {
        replica_handle_give(h, fd, owed, rest);
    }
}

/* --- cron --- */

static void check_soft_limit(struct replica_handle *h, int64_t now_ms)
{
    const struct repl_settings *s = h->r->settings;
    struct backlog *b = repl_stream_backlog(h->r->stream);
    struct backlog_peer_view view;
    backlog_peer_view(b, h->slot, &view);
    uint64_t lag = backlog_end(b) - view.next_offset;
    if (!s->output_soft_bytes || lag <= s->output_soft_bytes) {
        h->soft_limit_since_ms = 0;
        return;
    }
    if (!h->soft_limit_since_ms) h->soft_limit_since_ms = now_ms;
    if (now_ms - h->soft_limit_since_ms <= (int64_t)s->output_soft_s * 1000) return;
    over_limit(h, lag, s->output_soft_bytes, "soft");
    backlog_peer_doom(b, h->slot);
}

/* While it waits, the replica hears newlines, and we notice when it leaves. */
static void keep_waiting(struct replica_handle *h, int64_t now_ms)
{
    char byte;
    ssize_t got = recv(h->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
        replica_handle_end(h, "it left while it waited for its snapshot");
        return;
    }
    if (now_ms - h->newline_ms < (int64_t)h->r->settings->ping_period_s * 1000) return;
    h->newline_ms = now_ms;
    (void)!send(h->fd, "\n", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void look_for_success(struct replica_handle *h)
{
    struct backlog_peer_view view;
    backlog_peer_view(repl_stream_backlog(h->r->stream), h->slot, &view);
    h->took_over = has_taken_over(h, &view);
    if (h->took_over) refusals_forget(&h->r->master->refusals, h->name);
}

void replicas_cron(struct replication *r, int64_t now_ms)
{
    list_each(&r->master->replicas, node)
    {
        struct replica_handle *h = list_entry(node, struct replica_handle, node);
        if (h->state == HANDLE_WAITING) keep_waiting(h, now_ms);
        if (h->state != HANDLE_LINKED) continue;
        count_traffic(h);
        if (h->full && !h->took_over) look_for_success(h);
        if (!h->reason[0]) check_soft_limit(h, now_ms);
    }
}
