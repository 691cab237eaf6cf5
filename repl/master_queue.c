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
static bool wire_is_packed(const struct replica_handle *h)
{
    return h->hello.lz4 && h->r->settings->lz4;
}

static void add_wish(struct snapshot_wish *w, const struct replica_handle *h)
{
    w->compress |= !wire_is_packed(h);
    w->for_follower |= !h->hello.rdb_only;
}

/* --- one replica --- */

/* No stream makes up for the age of a file that is taken alone. SYNC is what tools ask with that know nothing newer. */
static bool is_fresh_enough(const struct snapshot *s, const struct replica_handle *h)
{
    bool alone = h->hello.rdb_only || !h->psync;
    return (!alone || s->requests >= h->request) && (h->hello.rdb_only || snapshot_covers(s));
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

static struct snapshot *start_file(const struct replica_handle *h)
{
    struct snapshot_wish w = {.functions_only = h->hello.functions_only};
    add_wish(&w, h);
    return snapshot_start(h->r, &w);
}

/* Once in the log, however often it is tried again. */
static void tell_to_wait(struct replica_handle *h, const char *why)
{
    if (!h->told_to_wait) log_notice("Replica %s waits for its snapshot: %s", h->name, why);
    h->told_to_wait = true;
    errno = EAGAIN;
}

int queue_attach(struct replica_handle *h)
{
    if (replication_now_ms(h->r) < h->not_before_ms) {
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
    snapshot_pin(s, h);
    return 0;
}

/* --- those who wait --- */

static void serve(struct replica_handle *h)
{
    char answer[256];
    replica_handle_answer(h, answer);
    replica_handle_give(h, h->fd, bytes_from_text(answer), bytes_make(NULL, 0));
}

static bool is_waiting(const struct replica_handle *h)
{
    return h->state == HANDLE_WAITING && !h->snapshot && replication_now_ms(h->r) >= h->not_before_ms;
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
        if (queue_attach(h) == 0) {
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
    struct snapshot_wish w = {.pipe = true};
    list_each(&r->master->replicas, node)
    {
        const struct replica_handle *h = list_entry(node, struct replica_handle, node);
        if (is_waiting(h) && wants_pipe(h)) add_wish(&w, h);
    }
    return snapshot_start(r, &w);
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
            snapshot_pin(s, h);
            serve(h);
        } else {
            replica_handle_end(h, strerror(error));
        }
    }
    if (!s || !s->users || snapshot_give(s) == 0) return;
    s->stale = true;
    replicas_end_users(s, "the link process cannot be reached");
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
    if (repl_stream_backlog(r->stream) && replicas_can_be_served(r)) serve_waiting(r, now_ms);
}
