/* The queue for snapshots: which of them a replica gets, when a new one is started, and who waits for what. Server
 * process of the master.
 *
 * Who asks while a file grows, or later while the backlog still holds what follows it, gets the same file: the stream
 * makes up for its age. Who takes the file alone (a backup) gets none that was begun before he asked. With
 * repl-diskless-sync those wait who can read from a pipe, until enough have gathered or the oldest has waited long
 * enough: a pipe cannot be joined later. */
#include "repl/master_side.h"

#include "server/base/log.h"

#include <errno.h>
#include <string.h>

/* Between our own the wire is packed, better and cheaper than LZF would. */
static bool wire_is_packed(const struct follower *f)
{
    return f->hello.lz4 && f->r->settings->lz4;
}

static void add_wish(struct snapshot_wish *w, const struct follower *f)
{
    w->compress |= !wire_is_packed(f);
    w->for_follower |= !f->hello.rdb_only;
    w->form = f->form;
}

/* --- one replica --- */

/* No stream makes up for the age of a file that is taken alone. SYNC is what tools ask with that know nothing newer. */
static bool is_fresh_enough(const struct snapshot *s, const struct follower *f)
{
    bool alone = f->hello.rdb_only || !f->psync;
    return (!alone || s->requests >= f->request) && (f->hello.rdb_only || snapshot_covers(s));
}

static struct snapshot *find_reusable(struct follower *f)
{
    list_each(&f->r->master->snapshots, node)
    {
        struct snapshot *s = list_entry(node, struct snapshot, node);
        bool usable = !s->pipe && !s->stale && (s->state == SNAPSHOT_RUNNING || s->state == SNAPSHOT_COMPLETE);
        usable &= s->functions_only == f->hello.functions_only && snapshot_suits(s, f) && words_may_take(f, s) &&
                  snapshot_is_readable(s);
        if (usable && is_fresh_enough(s, f)) return s;
    }
    return NULL;
}

static bool wants_pipe(const struct follower *f)
{
    return f->r->settings->diskless_sync && f->hello.eof && !f->hello.functions_only;
}

static struct snapshot *start_file(const struct follower *f)
{
    struct snapshot_wish w = {.functions_only = f->hello.functions_only};
    add_wish(&w, f);
    return snapshot_start(f->r, &w);
}

/* In the log at its request, however often it is tried again from the queue. */
static void tell_to_wait(struct follower *f, const char *why)
{
    if (f->machine.state == FOLLOWER_COMING) log_notice("Replica %s waits for its snapshot: %s", f->name, why);
    errno = EAGAIN;
}

int queue_attach(struct follower *f)
{
    if (replication_now_ms(f->r) < f->not_before_ms) {
        tell_to_wait(f, "it has not taken over the last ones");
        return -1;
    }
    struct snapshot *s = find_reusable(f);
    if (s) {
        log_notice("Replica %s shares the snapshot at offset %llu", f->name, (unsigned long long)s->offset);
    } else if (wants_pipe(f)) {
        tell_to_wait(f, "Delay next BGSAVE for diskless SYNC");
    } else {
        s = start_file(f);
        if (!s && errno == EBUSY) tell_to_wait(f, "another child process is running");
        if (!s && errno == ENOBUFS) tell_to_wait(f, "earlier snapshots are still being read by others");
    }
    if (!s) return -1;
    snapshot_pin(s, f);
    return 0;
}

/* --- those who wait --- */

static bool is_waiting(const struct follower *f)
{
    return f->machine.state == FOLLOWER_QUEUED && replication_now_ms(f->r) >= f->not_before_ms;
}

/* Replicas that can be served from a file; the others are counted. */
static int serve_from_files(struct replication *r, int64_t *oldest_ms)
{
    int gathered = 0;
    *oldest_ms = INT64_MAX;
    list_each(&r->master->followers, node)
    {
        struct follower *f = list_entry(node, struct follower, node);
        if (!is_waiting(f)) continue;
        if (queue_attach(f) == 0) {
            follower_serve(f);
        } else if (errno != EAGAIN) {
            follower_end(f, strerror(errno));
        } else if (wants_pipe(f)) {
            gathered++;
            if (f->machine.since_ms < *oldest_ms) *oldest_ms = f->machine.since_ms;
        }
    }
    return gathered;
}

/* One form for all of them: who needs another waits for the next pipe. */
static struct snapshot *start_pipe(struct replication *r)
{
    struct snapshot_wish w = {.pipe = true};
    bool first = true;
    list_each(&r->master->followers, node)
    {
        const struct follower *f = list_entry(node, struct follower, node);
        if (!is_waiting(f) || !wants_pipe(f) || (!first && f->form != w.form)) continue;
        add_wish(&w, f);
        first = false;
    }
    return snapshot_start(r, &w);
}

static void serve_from_pipe(struct replication *r)
{
    struct snapshot *s = start_pipe(r);
    int error = errno;
    if (!s && (error == EBUSY || error == ENOBUFS)) return;
    list_each(&r->master->followers, node)
    {
        struct follower *f = list_entry(node, struct follower, node);
        if (!is_waiting(f) || !wants_pipe(f) || (s && !snapshot_suits(s, f))) continue;
        if (s) {
            snapshot_pin(s, f);
            follower_serve(f);
        } else {
            follower_end(f, strerror(error));
        }
    }
    if (!s || !s->users || snapshot_give(s) == 0) return;
    s->stale = true;
    followers_end_users(s, "the link process cannot be reached");
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

void queue_cron(struct replication *r, int64_t now_ms)
{
    if (repl_stream_backlog(r->stream) && followers_can_be_served(r)) serve_waiting(r, now_ms);
}
