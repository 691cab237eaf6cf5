/* Snapshots for full sync, in the server process and (write_snapshot) in the snapshot child.
 *
 * One child at a time writes the dataset as of offset H to a nameless file; the link sends that file's growing head to
 * every replica that wants it, then the stream from H + 1 on. Who asks while the file grows, or later while the backlog
 * still holds H + 1, gets the same file. With repl-diskless-sync the child writes into a pipe instead, and serves those
 * who had gathered when it started. A child that nobody needs any more is stopped. */
#include "repl/master_side.h"

#include "rdb/snapshot.h"
#include "repl/spool_file.h"
#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
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
    struct keyspace *dataset = r->keyspace;
    struct rdb_write_options options = {
        .checksum = r->rdb_settings->checksum,
        .key_save_delay_us = r->rdb_settings->key_save_delay_us,
        .progress = report_progress,
        .progress_context = s,
    };
    close_inherited(s);
    if (s->functions_only) {
        static const struct keyspace_settings settings;
        static const struct keyspace_hooks hooks;
        dataset = keyspace_new(1, &settings, &hooks);
    }
    if (rdb_save_fd(dataset, s->write_fd, &s->aux, &options, spool_advanced, s) == 0) return 0;
    log_warning("Writing the snapshot for replicas failed: %s", strerror(errno));
    return 1;
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
    if (s->fd >= 0) close(s->fd);
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
    errno = error == EBUSY ? EAGAIN : error;
    return -1;
}

/* NULL with errno; EAGAIN: another child runs, or every spool is taken. */
static struct snapshot *start_snapshot(struct replication *r, bool pipe, bool functions_only)
{
    struct snapshot *s = mem_calloc(1, sizeof *s);
    *s = (struct snapshot){.r = r, .pipe = pipe, .functions_only = functions_only, .fd = -1, .write_fd = -1};
    s->spool = backlog_spool_claim(r->master->backlog);
    if (s->spool < 0) {
        errno = EAGAIN;
    } else if (open_ends(s) == 0) {
        describe_now(s);
        if (fork_child(s) == 0) {
            log_notice("Starting BGSAVE for SYNC with target: %s (the dataset as of offset %llu)",
                       pipe ? "replicas sockets" : "disk", (unsigned long long)s->offset);
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

/* --- who gets it --- */

static bool covers(const struct snapshot *s)
{
    return s->offset + 1 >= backlog_first(s->r->master->backlog);
}

static struct snapshot *find_reusable(struct replica_handle *h)
{
    list_each(&h->r->master->snapshots, node)
    {
        struct snapshot *s = list_entry(node, struct snapshot, node);
        bool usable = !s->pipe && !s->stale && !s->killed && s->state != SNAPSHOT_FAILED;
        if (usable && s->functions_only == h->hello.functions_only && covers(s)) return s;
    }
    return NULL;
}

static bool wants_pipe(const struct replica_handle *h)
{
    return h->r->settings->diskless_sync && h->hello.eof && !h->hello.functions_only;
}

static void pin(struct replica_handle *h, struct snapshot *s)
{
    h->slot = backlog_peer_claim(h->r->master->backlog, s->offset + 1);
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
    struct snapshot *s = find_reusable(h);
    if (s) {
        log_notice("Replica %s shares the snapshot at offset %llu", h->name, (unsigned long long)s->offset);
    } else if (wants_pipe(h)) {
        tell_to_wait(h, "Delay next BGSAVE for diskless SYNC");
    } else {
        s = start_snapshot(h->r, false, h->hello.functions_only);
        if (!s && errno == EAGAIN) tell_to_wait(h, "another child process is running");
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
    return h->state == HANDLE_WAITING && !h->snapshot;
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

static void serve_from_pipe(struct replication *r)
{
    struct snapshot *s = start_snapshot(r, true, false);
    int error = errno;
    if (!s && error == EAGAIN) return;
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
