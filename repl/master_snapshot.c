/* Snapshots for full sync, in the server process and (write_snapshot) in the snapshot child.
 *
 * One child at a time writes the dataset as of offset H to a nameless file; the link sends that file's growing head to
 * every replica that wants it, then the stream from H + 1 on. Who asks while the file grows, or later while the backlog
 * still holds H + 1, gets the same file: the stream makes up for its age. Who takes the file alone (a backup) gets none
 * that was begun before he asked, and pins no stream. With repl-diskless-sync the child writes into a pipe instead, and
 * serves those who had gathered when it started. A child that nobody needs any more is stopped. */
#include "repl/master_side.h"

#include "rdb/form.h"
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
#include <unistd.h>

#define UNUSED_CHILD_GRACE_MS 1000 /* replicas that lost their link are back within this */

#define TO(state) (1u << SNAPSHOT_##state)

static void enter(struct snapshot *s, enum snapshot_state state)
{
    static const unsigned successors[] = {
        [SNAPSHOT_PREPARED] = TO(RUNNING),
        [SNAPSHOT_RUNNING] = TO(STOPPING) | TO(COMPLETE) | TO(FAILED),
        [SNAPSHOT_STOPPING] = TO(COMPLETE) | TO(FAILED), /* it may have been through already */
        [SNAPSHOT_COMPLETE] = 0,
        [SNAPSHOT_FAILED] = 0,
    };
    CHECK(successors[s->state] & (1u << state));
    s->state = state;
}

/* --- in the child --- */

static void spool_advanced(void *context, uint64_t total)
{
    struct snapshot *s = context;
    if (!s->pipe) backlog_spool_advance(repl_stream_backlog(s->r->stream), s->spool, total);
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
    list_each(&s->r->master->followers, node)
    {
        const struct follower *f = list_entry(node, struct follower, node);
        if (f->fd >= 0) close(f->fd);
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
        .write_for = s->form,
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

/* The RDB version that it is written in; 0: not known (a pipe, or nothing is written yet). */
static int version_in_file(const struct snapshot *s)
{
    uint8_t header[RDB_HEADER_BYTES];
    enum rdb_dialect dialect;
    int version;
    if (s->pipe || s->fd < 0 || pread(s->fd, header, sizeof header, 0) != sizeof header) return 0;
    return rdb_header_read(header, &dialect, &version) ? version : 0;
}

bool snapshot_suits(const struct snapshot *s, const struct follower *f)
{
    bool settled = f->form == RDB_FOR_AUTO && s->with_field_expiry && s->form == RDB_FOR_8;
    return s->same_in_all_forms || s->form == f->form || settled;
}

bool snapshot_covers(const struct snapshot *s)
{
    return s->offset + 1 >= backlog_first(repl_stream_backlog(s->r->stream));
}

int snapshot_version_least(const struct snapshot *s)
{
    if (s->with_field_expiry) return s->form == RDB_FOR_VALKEY_9 ? RDB_VERSION_VALKEY : RDB_VERSION_FIELD_EXPIRY;
    return s->pipe ? RDB_VERSION_LEAST_WRITTEN : version_in_file(s);
}

/* Of what has gone through a pipe nothing is left to look at: the highest that its form leads to. */
static int version_sent(const struct snapshot *s)
{
    if (!s->pipe) return version_in_file(s);
    if (s->with_field_expiry) return snapshot_version_least(s);
    if (s->same_in_all_forms || s->form == RDB_FOR_6_2) return RDB_VERSION_LEAST_WRITTEN;
    return s->form == RDB_FOR_AUTO || s->form == RDB_FOR_7_0 ? RDB_VERSION_FUNCTION : RDB_VERSION_WITH_ACTIVITY;
}

/* What it hears stands behind the snapshot: it has taken that over then, or goes away from it. */
static void note_reads(struct follower *f, const struct snapshot *s)
{
    int version = snapshot_version_least(s);
    if (version > f->reads) f->reads = version;
}

/* --- the end of a snapshot --- */

void snapshot_detach(struct follower *f)
{
    struct snapshot *s = f->snapshot;
    f->snapshot = NULL;
    if (!s) return;
    note_reads(f, s);
    f->rdb_version = version_sent(s);
    if (--s->users == 0) s->unused_since_ms = replication_now_ms(f->r);
}

static void free_snapshot(struct snapshot *s)
{
    struct master_side *m = s->r->master;
    if (s->spool >= 0) {
        if (s->given) link_free_spool(m->link, s->spool);
        backlog_spool_free(repl_stream_backlog(s->r->stream), s->spool);
    }
    if (s->fd >= 0 && s->pipe) close(s->fd);
    if (s->fd >= 0 && !s->pipe) discard_file(s->fd);
    if (list_contains(&s->node)) list_remove(&m->snapshots, &s->node);
    mem_free(s->lent_path);
    mem_free(s);
}

static const char *what_runs(const struct snapshot *s)
{
    return s->pipe ? "Background RDB transfer" : "Background saving";
}

static const char *what_failed(const struct snapshot *s)
{
    return s->pipe ? "Background transfer" : "Background saving"; /* as Redis has it */
}

static void child_ended(void *arg, bool good, int signal)
{
    struct snapshot *s = arg;
    const char *what = what_runs(s);
    bool stopped = s->state == SNAPSHOT_STOPPING;
    enter(s, good ? SNAPSHOT_COMPLETE : SNAPSHOT_FAILED);
    if (s->spool >= 0) backlog_spool_finish(repl_stream_backlog(s->r->stream), s->spool, good);
    if (good)
        log_notice("%s terminated with success", what);
    else if (stopped)
        log_notice("%s stopped: %s", what, s->stop_reason);
    else if (signal)
        log_warning("%s terminated by signal %d", what_failed(s), signal);
    else
        log_warning("%s error", what_failed(s));
    if (!good) s->r->master->snapshot_failed(s, "its snapshot could not be completed");
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
    s->offset = repl_stream_history(r->stream)->offset;
    s->aux = r->host.snapshot_aux(r->host.context);
}

static int fork_child(struct snapshot *s)
{
    struct replication *r = s->r;
    pid_t child = r->host.fork_snapshot(r->host.context, write_snapshot, child_ended, s);
    int error = errno;
    if (s->pipe) close(s->write_fd);
    errno = error;
    if (child < 0) return -1;
    enter(s, SNAPSHOT_RUNNING);
    log_notice("Starting BGSAVE for SYNC with target: %s (the dataset as of offset %llu)",
               s->pipe ? "replicas sockets" : "disk", (unsigned long long)s->offset);
    log_notice("%s started by pid %ld", what_runs(s), (long)child);
    return 0;
}

/* Who might still come could have it; who is here comes first. Of those that nobody reads,
 * what was left longest ago. */
static bool drop_unused(struct replication *r)
{
    struct snapshot *oldest = NULL;
    list_each(&r->master->snapshots, node)
    {
        struct snapshot *s = list_entry(node, struct snapshot, node);
        if (s->users || s->spool < 0 || (s->state != SNAPSHOT_COMPLETE && s->state != SNAPSHOT_FAILED)) continue;
        if (!oldest || s->unused_since_ms < oldest->unused_since_ms) oldest = s;
    }
    if (oldest) free_snapshot(oldest);
    return oldest;
}

/* Takes one of the backlog's. The last one is kept for those who follow the stream: backups that are read slowly, or
 * not at all, must not keep them from their full sync. */
static int claim_spool(struct replication *r, bool for_follower)
{
    struct backlog *b = repl_stream_backlog(r->stream);
    int wanted = for_follower ? 1 : 2;
    while (backlog_spools_free(b) < wanted && drop_unused(r)) continue;
    return backlog_spools_free(b) < wanted ? -1 : backlog_spool_claim(b);
}

/* AUTO is settled, so that those share one file who would get the same. */
static void set_form(struct snapshot *s, enum rdb_write_for form)
{
    struct keyspace *ks = s->r->keyspace;
    s->form = rdb_form_settled(ks, form);
    s->same_in_all_forms = !rdb_forms_differ(ks);
    s->with_field_expiry = rdb_hashes_with_expiry(ks) > 0;
}

struct snapshot *snapshot_start(struct replication *r, const struct snapshot_wish *w)
{
    struct snapshot *s = mem_calloc(1, sizeof *s);
    *s = (struct snapshot){.r = r, .pipe = w->pipe, .functions_only = w->functions_only, .fd = -1, .write_fd = -1};
    s->compress = r->rdb_settings->compress && w->compress;
    s->requests = r->master->requests;
    set_form(s, w->form);
    s->spool = claim_spool(r, w->for_follower);
    if (s->spool < 0) {
        errno = ENOBUFS;
    } else if (open_ends(s) == 0) {
        describe_now(s);
        if (fork_child(s) == 0) {
            r->host.forget_stream_db(r->host.context);
            s->unused_since_ms = replication_now_ms(r);
            list_push_back(&r->master->snapshots, &s->node);
            return s;
        }
    }
    int error = errno;
    free_snapshot(s);
    errno = error;
    return NULL;
}

/* --- what others write --- */

struct snapshot *replication_lend_begin(struct replication *r)
{
    struct backlog *b = repl_stream_backlog(r->stream);
    int spool = b ? claim_spool(r, false) : -1;
    if (spool < 0) return NULL;
    struct snapshot *s = mem_calloc(1, sizeof *s);
    *s = (struct snapshot){.r = r, .spool = spool, .fd = -1, .write_fd = -1, .requests = r->master->requests};
    describe_now(s);
    set_form(s, (enum rdb_write_for)r->rdb_settings->write_for);
    if (s->aux.repl_id[0] && s->aux.repl_offset == (int64_t)s->offset) return s;
    free_snapshot(s);
    return NULL;
}

void replication_lend_advanced(struct snapshot *s, uint64_t total)
{
    if (s) spool_advanced(s, total);
}

void replication_lend_started(struct snapshot *s, const char *path)
{
    if (!s) return;
    if (!path) return free_snapshot(s);
    struct replication *r = s->r;
    enter(s, SNAPSHOT_RUNNING);
    s->lent_path = mem_strdup(path);
    s->unused_since_ms = replication_now_ms(r);
    list_push_back(&r->master->snapshots, &s->node);
    r->host.forget_stream_db(r->host.context);
}

/* Its name goes to something else now: who has not opened it by then cannot. */
void replication_lend_ended(struct snapshot *s, bool good)
{
    if (!s) return;
    enter(s, good ? SNAPSHOT_COMPLETE : SNAPSHOT_FAILED);
    if (s->spool >= 0) backlog_spool_finish(repl_stream_backlog(s->r->stream), s->spool, good);
    if (s->fd < 0) s->stale = true;
    if (!good) s->r->master->snapshot_failed(s, "the file that it was being sent could not be completed");
}

bool snapshot_is_readable(struct snapshot *s)
{
    if (s->lent_path && s->fd < 0) s->fd = open(s->lent_path, O_RDONLY | O_CLOEXEC);
    return s->fd >= 0;
}

/* --- its way to a replica --- */

void snapshot_pin(struct snapshot *s, struct follower *f)
{
    struct backlog *b = repl_stream_backlog(f->r->stream);
    f->slot = f->hello.rdb_only ? backlog_peer_claim_unpinned(b) : backlog_peer_claim(b, s->offset + 1);
    CHECK(f->slot >= 0);
    f->from = s->offset + 1;
    f->snapshot = s;
    note_reads(f, s);
    s->users++;
}

int snapshot_give(struct snapshot *s)
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
    return s->pipe ? 0 : snapshot_give(s);
}

/* --- what nobody needs --- */

static void stop_child(struct snapshot *s, const char *reason)
{
    enter(s, SNAPSHOT_STOPPING);
    s->stop_reason = reason;
    s->r->host.kill_snapshot(s->r->host.context);
}

static void stop_unused_child(struct snapshot *s)
{
    if (s->pipe) log_warning("Diskless rdb transfer, last replica dropped, killing fork child.");
    stop_child(s, "no replica needs it any more");
}

static void look_after(struct snapshot *s, int64_t now_ms)
{
    if (s->users) return;
    int64_t unused_ms = now_ms - s->unused_since_ms;
    if (s->state == SNAPSHOT_RUNNING && s->lent_path) return; /* its owner needs it */
    if (s->state == SNAPSHOT_RUNNING) {
        if (s->stale || s->pipe || unused_ms >= UNUSED_CHILD_GRACE_MS) stop_unused_child(s);
        return;
    }
    if (s->state == SNAPSHOT_STOPPING) return;
    bool of_use = s->state == SNAPSHOT_COMPLETE && !s->stale && !s->pipe && snapshot_covers(s);
    if (!of_use || unused_ms >= (int64_t)s->r->settings->timeout_s * 1000) free_snapshot(s);
}

void snapshots_cron(struct replication *r, int64_t now_ms)
{
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

/* Who is being sent one that grows comes back, and begins with what there is now. Others' children are their owners' to
 * stop. */
void replication_dataset_flushed(struct replication *r)
{
    list_each(&r->master->snapshots, node)
    {
        struct snapshot *s = list_entry(node, struct snapshot, node);
        s->stale = true;
        if (s->state == SNAPSHOT_RUNNING && !s->lent_path) stop_child(s, "its dataset has been flushed");
    }
}

void snapshots_outdated(struct replication *r)
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
        if (s->state == SNAPSHOT_RUNNING && s->lent_path) continue;
        if (s->state == SNAPSHOT_RUNNING)
            stop_child(s, "the backlog has gone");
        else if (s->state != SNAPSHOT_STOPPING)
            free_snapshot(s);
    }
}
