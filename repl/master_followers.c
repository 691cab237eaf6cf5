/* A follower: a replica as its master's server process sees it: from the PSYNC to the end of its connection.
 *
 * The socket's way: the client's connection flushes and lets go of it (COMING); if no snapshot can be had yet it stays
 * here (WAITING), kept alive by newlines; then the link process has it (LINKED) and this process is told only of what
 * becomes of it. A follower is freed in one place, before the loop sleeps, so that no caller up the stack holds a dead
 * one. */
#include "repl/master_side.h"

#include "rdb/format.h"
#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/log.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

/* --- the end of one --- */

static void count_traffic(struct follower *f)
{
    struct backlog_peer_view view;
    if (f->state != FOLLOWER_LINKED) return;
    backlog_peer_view(repl_stream_backlog(f->r->stream), f->slot, &view);
    *f->r->stats.net_output_bytes += view.sent_bytes - f->counted_sent;
    *f->r->stats.replicas_input_bytes += view.received_bytes - f->counted_received;
    f->counted_sent = view.sent_bytes;
    f->counted_received = view.received_bytes;
}

/* Nobody uses its socket and slot any more. */
static void release(struct follower *f)
{
    count_traffic(f);
    if (f->slot >= 0) backlog_peer_free(repl_stream_backlog(f->r->stream), f->slot);
    if (f->fd >= 0) close(f->fd);
    f->slot = f->fd = -1;
    snapshot_detach(f);
    f->online = false;
    f->state = FOLLOWER_ENDING;
}

void follower_end(struct follower *f, const char *reason)
{
    if (f->state == FOLLOWER_ENDING || f->reason[0]) return;
    snprintf(f->reason, sizeof f->reason, "%s", reason);
    log_notice("Disconnecting replica %s: %s", f->name, reason);
    switch (f->state) {
    case FOLLOWER_COMING: /* the rest when its descriptor arrives */
        if (f->slot >= 0) backlog_peer_doom(repl_stream_backlog(f->r->stream), f->slot);
        snapshot_detach(f);
        break;
    case FOLLOWER_LINKED:
        backlog_peer_doom(repl_stream_backlog(f->r->stream), f->slot);
        break; /* the link answers with peer_gone */
    default: release(f);
    }
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
    list_remove(&r->master->followers, &f->node);
    r->host.follower_gone(r->host.context, f->client);
    mem_free(f);
}

void followers_reap(struct replication *r)
{
    list_each(&r->master->followers, node)
    {
        struct follower *f = list_entry(node, struct follower, node);
        if (f->state == FOLLOWER_ENDING) forget(f);
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

void replication_drop_followers(struct replication *r, const char *reason)
{
    followers_end_all(r, reason);
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

static void go_online(struct follower *f)
{
    f->online = true;
    f->online_ms = replication_now_ms(f->r);
}

static void peer_online(void *context, int slot)
{
    struct follower *f = find_slot(context, slot);
    if (!f || !f->full) return;
    snapshot_detach(f);
    go_online(f);
    log_notice("Synchronization with replica %s succeeded", f->name);
}

/* With a peer that gets length framing the link goes on to the stream at once: only its word is proof. */
static bool has_taken_over(const struct follower *f, const struct backlog_peer_view *view)
{
    return f->took_over || (f->online && (f->hello.eof || view->acked_offset));
}

/* Why it went, as far as it can be seen from here: what it had been given, and how much of it. */
static void tell_refusal(const struct follower *f, const struct backlog_peer_view *view, unsigned times)
{
    int version = f->snapshot ? snapshot_version(f->snapshot) : 0;
    long long wait_ms = refusals_again_ms(&f->r->master->refusals, f->name) - replication_now_ms(f->r);
    char what[32] = "";
    if (version) snprintf(what, sizeof what, " in RDB version %d", version);
    log_warning(
        "Replica %s has not taken over its snapshot%s, of which %llu bytes had been sent, for the %u. time in a "
        "row%s. The next one it gets in %lld ms at the earliest",
        f->name, what, (unsigned long long)view->sent_bytes, times,
        version > RDB_VERSION_LEAST_WRITTEN ? ": it may not know that version" : "", wait_ms > 0 ? wait_ms : 0);
}

/* Its own going, not our dropping it, while the snapshot was under way or being loaded. */
static void note_refusal(struct follower *f)
{
    struct backlog_peer_view view;
    backlog_peer_view(repl_stream_backlog(f->r->stream), f->slot, &view);
    bool began = view.state == PEER_SENDING_SNAPSHOT || view.state == PEER_ONLINE;
    if (!f->full || f->hello.rdb_only || f->reason[0] || !began || has_taken_over(f, &view)) return;
    tell_refusal(f, &view, refusals_note(&f->r->master->refusals, f->name, replication_now_ms(f->r)));
}

static void peer_gone(void *context, int slot, const char *reason)
{
    struct follower *f = find_slot(context, slot);
    if (!f) return;
    log_notice("Connection with replica %s lost: %s", f->name, f->reason[0] ? f->reason : reason);
    note_refusal(f);
    release(f);
}

static void link_died(void *context)
{
    struct replication *r = context;
    size_t lost = 0;
    list_each(&r->master->followers, node)
    {
        struct follower *f = list_entry(node, struct follower, node);
        if (f->state != FOLLOWER_LINKED) continue;
        release(f);
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

static void unshared(struct follower *f)
{
    snprintf(f->reason, sizeof f->reason, "its stream could not be shared any more");
    log_warning("Replica %s is let go: no memory or no descriptor is left for the stream that it reads", f->name);
}

static void over_limit(struct follower *f, uint64_t lag, uint64_t limit, const char *which)
{
    snprintf(f->reason, sizeof f->reason, "it was %llu bytes behind", (unsigned long long)lag);
    log_warning(
        "Client of replica %s scheduled to be closed ASAP for overcoming of output buffer limits. It is %llu bytes "
        "behind, the %s limit is %llu.",
        f->name, (unsigned long long)lag, which, (unsigned long long)limit);
    ++*f->r->stats.output_limit_disconnections;
}

void follower_peer_doomed(void *context, int slot, uint64_t lag_bytes, uint64_t limit_bytes)
{
    struct follower *f = find_slot(context, slot);
    if (!f) return;
    if (limit_bytes)
        over_limit(f, lag_bytes, limit_bytes, "hard");
    else
        unshared(f);
}

/* --- the hand-over --- */

bool followers_can_be_served(const struct replication *r)
{
    return link_handle_is_ready(r->master->link) && repl_stream_can_be_shared(r->stream);
}

void follower_answer(const struct follower *f, char answer[256])
{
    answer[0] = '\0';
    if (f->psync)
        snprintf(answer, 256, "+FULLRESYNC %s %llu\r\n", repl_stream_history(f->r->stream)->id,
                 (unsigned long long)(f->from - 1));
}

void follower_give(struct follower *f, int fd, struct bytes preamble, struct bytes rest)
{
    struct master_side *m = f->r->master;
    struct link_peer peer = {
        .slot = f->slot,
        .mode = f->full ? LINK_FULL : LINK_CONTINUE,
        .from = f->from,
        .spool = f->snapshot ? f->snapshot->spool : -1,
        .eof_framing = f->hello.eof,
        .lz4 = f->hello.lz4 && f->r->settings->lz4,
        .rdb_only = f->hello.rdb_only,
        .nodelay = !f->r->settings->disable_tcp_nodelay,
        .preamble = preamble,
        .rest = rest,
    };
    f->fd = -1;
    if (link_handle_ensure(m->link, repl_stream_backlog(f->r->stream)) != 0 ||
        (f->snapshot && snapshot_prepare_link(f->snapshot) != 0)) {
        log_warning("Can't hand replica %s to the link process: %s", f->name, strerror(errno));
        close(fd);
        release(f);
        return;
    }
    f->state = FOLLOWER_LINKED;
    if (link_give_peer(m->link, &peer, fd) != 0) {
        log_warning("Can't hand replica %s to the link process: %s", f->name, strerror(errno));
        release(f);
        return;
    }
    if (!f->full) go_online(f);
}

void replication_take_follower(struct replication *r, struct follower *f, int fd, struct bytes owed, struct bytes rest)
{
    (void)r;
    if (fd < 0 || f->reason[0]) {
        if (fd >= 0) close(fd);
        release(f);
    } else if (f->full && !f->snapshot) {
        f->state = FOLLOWER_WAITING;
        f->fd = fd;
    } else {
        follower_give(f, fd, owed, rest);
    }
}

/* --- cron --- */

static void check_soft_limit(struct follower *f, int64_t now_ms)
{
    const struct repl_settings *s = f->r->settings;
    struct backlog *b = repl_stream_backlog(f->r->stream);
    struct backlog_peer_view view;
    backlog_peer_view(b, f->slot, &view);
    uint64_t lag = backlog_end(b) - view.next_offset;
    if (!s->output_soft_bytes || lag <= s->output_soft_bytes) {
        f->soft_limit_since_ms = 0;
        return;
    }
    if (!f->soft_limit_since_ms) f->soft_limit_since_ms = now_ms;
    if (now_ms - f->soft_limit_since_ms <= (int64_t)s->output_soft_s * 1000) return;
    over_limit(f, lag, s->output_soft_bytes, "soft");
    backlog_peer_doom(b, f->slot);
}

/* While it waits, the replica hears newlines, and we notice when it leaves. */
static void keep_waiting(struct follower *f, int64_t now_ms)
{
    char byte;
    ssize_t got = recv(f->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
        follower_end(f, "it left while it waited for its snapshot");
        return;
    }
    if (now_ms - f->newline_ms < (int64_t)f->r->settings->ping_period_s * 1000) return;
    f->newline_ms = now_ms;
    (void)!send(f->fd, "\n", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void look_for_success(struct follower *f)
{
    struct backlog_peer_view view;
    backlog_peer_view(repl_stream_backlog(f->r->stream), f->slot, &view);
    f->took_over = has_taken_over(f, &view);
    if (f->took_over) refusals_forget(&f->r->master->refusals, f->name);
}

void followers_cron(struct replication *r, int64_t now_ms)
{
    list_each(&r->master->followers, node)
    {
        struct follower *f = list_entry(node, struct follower, node);
        if (f->state == FOLLOWER_WAITING) keep_waiting(f, now_ms);
        if (f->state != FOLLOWER_LINKED) continue;
        count_traffic(f);
        if (f->full && !f->took_over) look_for_success(f);
        if (!f->reason[0]) check_soft_limit(f, now_ms);
    }
}
