/* Snapshots for full sync, in the server process and (write_snapshot) in the snapshot child.
 *
 * One child at a time writes the dataset as of offset H to a nameless file; the link sends that file's growing head to
 * every replica that wants it, then the stream from H + 1 on. Who asks while the file grows, or later while the backlog
 * still holds H + 1, gets the same file: the stream makes up for its age. Who takes the file alone (a backup) gets none
 * that was begun before he asked, and pins no stream. With repl-diskless-sync the child writes into a pipe instead, and
 * serves those who had gathered when it started. A child that nobody needs any more is stopped. */
#include "repl/master_side.h"

#include "rdb/format.h"
#include "rdb/snapshot.h"
#include "repl/spool_file.h"
#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/discard.h"
#include "server/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define UNUSED_CHILD_GRACE_MS 1000 /* replicas that lost their link are back within this */

/* --- in the child --- */

static void spool_advanced(void *context, uint64_t total)
{
    struct snapshot *s = context;
    if (!s->pipe) backlog_spool_advance(s->r->master->backlog, s->spool, total);
}

static int report_progress(void *context, uint64_t keys, uint64_t bytes)
{
    struct snapshot *s = context;
    (void)bytes;
    s->r->host.report_snapshot_keys(s->r->host.context, keys);
    return 0;
}

/* A replica must see the end of its connection when its master drops it: the child may not hold a copy. */
static void close_inherited(struct snapshot *s)
{
    list_each(&s->r->master->replicas, node)
    {
        const struct replica_handle *h = list_entry(node, struct replica_handle, node);
        if (h->fd >= 0) close(h->fd);
    }
    if (s->pipe) close(s->fd);
}

static int write_snapshot(void *arg)
{
    struct snapshot *s = arg;
    struct replication *r = s->r;
    struct rdb_write_options options = {
        .compress = s->compress,
        .checksum = r->rdb_settings->checksum,
        .write_for = (enum rdb_write_for)r->rdb_settings->write_for,
        .libraries_only = s->functions_only,
        .key_save_delay_us = r->rdb_settings->key_save_delay_us,
        .progress = report_progress,
        .progress_context = s,
    };
    close_inherited(s);
    if (rdb_save_fd(r->keyspace, s->write_fd, &s->aux, &options, spool_advanced, s) == 0) return 0;
    log_warning("Writing the snapshot for replicas failed: %s", strerror(errno));
    return 1;
}

/* --- what is known of one --- */

int snapshot_version(const struct snapshot *s)
{
    char header[] = RDB_MAGIC "0000";
    if (s->pipe || s->fd < 0 || pread(s->fd, header, RDB_HEADER_BYTES, 0) != RDB_HEADER_BYTES) return 0;
    return atoi(header + strlen(RDB_MAGIC));
}

/* --- the end of a snapshot --- */

void snapshot_detach(struct replica_handle *h)
{
    struct snapshot *s = h->snapshot;
    h->snapshot = NULL;
    if (s && --s->users == 0) s->unused_since_ms = master_now_ms(h->r);
}

static void free_snapshot(struct snapshot *s)
{
    struct master_side *m = s->r->master;
    if (s->spool >= 0) {
        if (s->given) link_free_spool(m->link, s->spool);
        backlog_spool_free(m->backlog, s->spool);
    }
    if (s->fd >= 0 && s->pipe) close(s->fd);
    if (s->fd >= 0 && !s->pipe) discard_file(s->fd);
    if (list_contains(&s->node)) list_remove(&m->snapshots, &s->node);
    mem_free(s);
}

static void end_users(struct snapshot *s, const char *reason)
{
    list_each(&s->r->master->replicas, node)
    {
        struct replica_handle *h = list_entry(node, struct replica_handle, node);
        if (h->snapshot == s) replica_handle_end(h, reason);
    }
}

static void child_ended(void *arg, bool good, int signal)
{
    struct snapshot *s = arg;
    const char *what = s->pipe ? "Background RDB transfer" : "Background saving";
    s->state = good ? SNAPSHOT_COMPLETE : SNAPSHOT_FAILED;
    if (s->spool >= 0) backlog_spool_finish(s->r->master->backlog, s->spool, good);
    if (good)
        log_notice("%s terminated with success", what);
    else if (s->killed)
        log_notice("%s stopped: no replica needs it any more", what);
    else if (signal)
        log_warning("%s terminated by signal %d", what, signal);
    else
        log_warning("%s error", what);
    if (!good) end_users(s, "its snapshot could not be completed");
}

/* --- the start --- */

static int open_ends(struct snapshot *s)
{
    int ends[2];
    if (!s->pipe) {
        s->fd = s->write_fd = spool_file_open();
        return s->fd >= 0 ? 0 : -1;
    }
    if (pipe2(ends, O_CLOEXEC) != 0) return -1;
    s->fd = ends[0];
    s->write_fd = ends[1];
    return 0;
}

/* The dataset as it is now. A replica learns from the aux fields which database the stream has selected; a master's own
 * stream simply begins with SELECT. */
static void describe_now(struct snapshot *s)
{
    struct replication *r = s->r;
    s->offset = r->history.offset;
    s->aux = r->host.snapshot_aux(r->host.context);
}

static int fork_child(struct snapshot *s)
{
    struct replication *r = s->r;
    int status = r->host.fork_snapshot(r->host.context, write_snapshot, child_ended, s);
    int error = errno;
    if (s->pipe) close(s->write_fd);
    if (status == 0) return 0;
    errno = error;
    return -1;
}

/* Between our own the wire is packed, better and cheaper than LZF would. */
static bool wire_is_packed(const struct replica_handle *h)
{
    return h->hello.lz4 && h->r->settings->lz4;
}

/* Takes one of the backlog's. The last one is kept for those who follow the stream: backups that are read slowly, or
 * not at all, must not keep them from their full sync. */
static int claim_spool(struct backlog *b, bool for_follower)
{
    if (!for_follower && backlog_spools_free(b) < 2) return -1;
    return backlog_spool_claim(b);
}

/* What is wanted of a snapshot before it is started. */
struct wanted {
    bool pipe, functions_only;
    bool compress;     /* somebody gets it unpacked by the wire */
    bool for_follower; /* somebody follows the stream behind it */
};

static void add_wish(struct wanted *w, const struct replica_handle *h)
{
    w->compress |= !wire_is_packed(h);
    w->for_follower |= !h->hello.rdb_only;
}

/* NULL with errno; EBUSY: another child runs; ENOBUFS: every spool is taken. */
static struct snapshot *start_snapshot(struct replication *r, const struct wanted *w)
{
    struct snapshot *s = mem_calloc(1, sizeof *s);
    *s = (struct snapshot){.r = r, .pipe = w->pipe, .functions_only = w->functions_only, .fd = -1, .write_fd = -1};
    s->compress = r->rdb_settings->compress && w->compress;
    s->requests = r->master->requests;
    s->spool = claim_spool(r->master->backlog, w->for_follower);
    if (s->spool < 0) {
        errno = ENOBUFS;
    } else if (open_ends(s) == 0) {
        describe_now(s);
        if (fork_child(s) == 0) {
            log_notice("Starting BGSAVE for SYNC with target: %s (the dataset as of offset %llu)",
                       s->pipe ? "replicas sockets" : "disk", (unsigned long long)s->offset);
            r->host.forget_stream_db(r->host.context);
            s->unused_since_ms = master_now_ms(r);
            list_push_back(&r->master->snapshots, &s->node);
            return s;
        }
    }
    int error = errno;
    free_snapshot(s);
    errno = error;
    return NULL;
}

static struct snapshot *start_file(const struct replica_handle *h)
{
    struct wanted w = {.functions_only = h->hello.functions_only};
    add_wish(&w, h);
    return start_snapshot(h->r, &w);
}

/* --- who gets it --- */

static bool covers(const struct snapshot *s)
{
    return s->offset + 1 >= backlog_first(s->r->master->backlog);
}

/* No stream makes up for the age of a file that is taken alone. SYNC is what tools ask with that know nothing newer. */
static bool is_fresh_enough(const struct snapshot *s, const struct replica_handle *h)
{
    bool alone = h->hello.rdb_only || !h->psync;
    return (!alone || s->requests >= h->request) && (h->hello.rdb_only || covers(s));
}

static struct snapshot *find_reusable(struct replica_handle *h)
{
    list_each(&h->r->master->snapshots, node)
    {
        struct snapshot *s = list_entry(node, struct snapshot, node);
        bool usable = !s->pipe && !s->stale && !s->killed && s->state != SNAPSHOT_FAILED;
        if (usable && s->functions_only == h->hello.functions_only && is_fresh_enough(s, h)) return s;
    }
    return NULL;
}

static bool wants_pipe(const struct replica_handle *h)
{
    return h->r->settings->diskless_sync && h->hello.eof && !h->hello.functions_only;
}

static void pin(struct replica_handle *h, struct snapshot *s)
{
    struct backlog *b = h->r->master->backlog;
    h->slot = h->hello.rdb_only ? backlog_peer_claim_unpinned(b) : backlog_peer_claim(b, s->offset + 1);
    CHECK(h->slot >= 0);
    h->from = s->offset + 1;
    h->snapshot = s;
    s->users++;
}

/* Once in the log, however often it is tried again. */
static void tell_to_wait(struct replica_handle *h, const char *why)
{
    if (!h->told_to_wait) log_notice("Replica %s waits for its snapshot: %s", h->name, why);
    h->told_to_wait = true;
    errno = EAGAIN;
}

int snapshot_attach(struct replica_handle *h)
{
    if (master_now_ms(h->r) < h->not_before_ms) {
        tell_to_wait(h, "it has not taken over the last ones");
        return -1;
    }
    struct snapshot *s = find_reusable(h);
    if (s) {
        log_notice("Replica %s shares the snapshot at offset %llu", h->name, (unsigned long long)s->offset);
    } else if (wants_pipe(h)) {
        tell_to_wait(h, "Delay next BGSAVE for diskless SYNC");
    } else {
        s = start_file(h);
        if (!s && errno == EBUSY) tell_to_wait(h, "another child process is running");
        if (!s && errno == ENOBUFS) tell_to_wait(h, "earlier snapshots are still being read by others");
    }
    if (!s) return -1;
    pin(h, s);
    return 0;
}

void snapshot_answer(const struct replica_handle *h, char answer[256])
{
    answer[0] = '\0';
    if (h->psync) snprintf(answer, 256, "+FULLRESYNC %s %llu\r\n", h->r->history.id, (unsigned long long)(h->from - 1));
}

static int hand_to_link(struct snapshot *s)
{
    if (s->given) return 0;
    if (link_give_spool(s->r->master->link, s->spool, s->fd, s->pipe) != 0) return -1;
    s->given = true;
    if (!s->pipe) return 0;
    close(s->fd); /* so that the child notices when the link has closed its own */
    s->fd = -1;
    return 0;
}

/* A file may be joined at any time. A pipe follows its peers: what is read from it is gone. */
int snapshot_prepare_link(struct snapshot *s)
{
    return s->pipe ? 0 : hand_to_link(s);
}

static void serve(struct replica_handle *h)
{
    char answer[256];
    snapshot_answer(h, answer);
    replica_handle_give(h, h->fd, bytes_from_text(answer), bytes_make(NULL, 0));
}

static bool is_waiting(const struct replica_handle *h)
{
    return h->state == HANDLE_WAITING && !h->snapshot && master_now_ms(h->r) >= h->not_before_ms;
}

/* Replicas that can be served from a file; the others are counted. */
static int serve_from_files(struct replication *r, int64_t *oldest_ms)
{
    int gathered = 0;
    *oldest_ms = INT64_MAX;
    list_each(&r->master->replicas, node)
    {
        struct replica_handle *h = list_entry(node, struct replica_handle, node);
        if (!is_waiting(h)) continue;
        if (snapshot_attach(h) == 0) {
            serve(h);
        } else if (errno != EAGAIN) {
            replica_handle_end(h, strerror(errno));
        } else if (wants_pipe(h)) {
            gathered++;
            if (h->since_ms < *oldest_ms) *oldest_ms = h->since_ms;
        }
    }
    return gathered;
}

static struct snapshot *start_pipe(struct replication *r)
{
    struct wanted w = {.pipe = true};
    list_each(&r->master->replicas, node)
    {
        const struct replica_handle *h = list_entry(node, struct replica_handle, node);
        if (is_waiting(h) && wants_pipe(h)) add_wish(&w, h);
    }
    return start_snapshot(r, &w);
}

static void serve_from_pipe(struct replication *r)
{
    struct snapshot *s = start_pipe(r);
    int error = errno;
    if (!s && (error == EBUSY || error == ENOBUFS)) return;
    list_each(&r->master->replicas, node)
    {
        struct replica_handle *h = list_entry(node, struct replica_handle, node);
        if (!is_waiting(h) || !wants_pipe(h)) continue;
        if (s) {
            pin(h, s);
            serve(h);
        } else {
            replica_handle_end(h, strerror(error));
        }
    }
    if (!s || !s->users || hand_to_link(s) == 0) return;
    s->stale = true;
    end_users(s, "the link process cannot be reached");
}

static void serve_waiting(struct replication *r, int64_t now_ms)
{
    const struct repl_settings *settings = r->settings;
    int64_t oldest_ms;
    int gathered = serve_from_files(r, &oldest_ms);
    if (!gathered) return;
    bool enough = settings->diskless_sync_max_replicas && gathered >= settings->diskless_sync_max_replicas;
    if (enough || now_ms - oldest_ms >= (int64_t)settings->diskless_sync_delay_s * 1000) serve_from_pipe(r);
}

/* --- what nobody needs --- */

static void stop_child(struct snapshot *s)
{
    if (s->killed) return;
    s->killed = true;
    s->r->host.kill_snapshot(s->r->host.context);
}

static void look_after(struct snapshot *s, int64_t now_ms)
{
    if (s->users) return;
    int64_t unused_ms = now_ms - s->unused_since_ms;
    if (s->state == SNAPSHOT_RUNNING) {
        if (s->stale || s->pipe || unused_ms >= UNUSED_CHILD_GRACE_MS) stop_child(s);
        return;
    }
    bool of_use = s->state == SNAPSHOT_COMPLETE && !s->stale && !s->pipe && covers(s);
    if (!of_use || unused_ms >= (int64_t)s->r->settings->timeout_s * 1000) free_snapshot(s);
}

void snapshots_cron(struct replication *r, int64_t now_ms)
{
    if (r->master->backlog && master_can_serve(r)) serve_waiting(r, now_ms);
    list_each(&r->master->snapshots, node) look_after(list_entry(node, struct snapshot, node), now_ms);
}

void snapshots_link_died(struct replication *r)
{
    list_each(&r->master->snapshots, node)
    {
        struct snapshot *s = list_entry(node, struct snapshot, node);
        s->given = false;
        if (s->pipe) s->stale = true; /* what it had read of the pipe is lost */
    }
}

void snapshots_history_changed(struct replication *r)
{
    list_each(&r->master->snapshots, node) list_entry(node, struct snapshot, node)->stale = true;
}

/* The child, if one runs, tells its end later: its snapshot waits for that. */
void snapshots_backlog_gone(struct replication *r)
{
    list_each(&r->master->snapshots, node)
    {
        struct snapshot *s = list_entry(node, struct snapshot, node);
        s->spool = -1;
        s->stale = true;
        if (s->state == SNAPSHOT_RUNNING)
            stop_child(s);
        else
            free_snapshot(s);
    }
}
