/* How the server stops. Server process.
 *
 *   running -> (SHUTDOWN, SIGTERM, SIGINT) -> waiting for replicas -> saving -> loop stopped
 *
 * While it waits, writes are paused, so that replicas can reach the offset at which we stop: shutdown-timeout bounds
 * it. */
#include "server/core/process/shutdown.h"

#include "repl/replication.h"
#include "server/base/alloc.h"
#include "server/base/file.h"
#include "server/base/log.h"
#include "server/core/clients/clients.h"
#include "server/core/core.h"
#include "server/core/dataset/append_only.h"
#include "server/core/dataset/children.h"
#include "server/core/dataset/persistence.h"
#include "server/core/os/supervisor.h"
#include "server/core/process/ports.h"
#include "server/core/session/blocking.h"
#include "server/core/session/pause.h"
#include "server/core/settings.h"
#include "server/net/loop.h"

#include <inttypes.h>
#include <unistd.h>

#define AOF_FLUSH_WAITS_MS 60000

static const char pause_purpose[] = "shutdown";

static bool replicas_are_behind(struct core *core)
{
    if (replication_is_replica(core->replication)) return false;
    struct follower_view one;
    int replicas = replication_followers(core->replication, &one, 0);
    uint64_t offset = replication_history(core->replication)->offset;
    return replicas > replication_acked(core->replication, offset);
}

static void tell_who_is_in_sync(struct core *core)
{
    struct replication *r = core->replication;
    struct follower_view one;
    int count = replication_is_replica(r) ? 0 : replication_followers(r, &one, 0);
    if (!count) return;
    uint64_t offset = replication_history(r)->offset;
    struct follower_view *all = mem_calloc((size_t)count, sizeof *all);
    count = replication_followers(r, all, count);
    for (int i = 0; i < count; i++)
        if (all[i].offset < offset)
            log_notice("Lagging replica %s:%d reported offset %" PRIu64 " behind master, lag=%" PRId64 ", state=%s.",
                       all[i].ip, all[i].port, offset - all[i].offset, all[i].lag_s,
                       all[i].state->info_word ? all[i].state->info_word : all[i].state->name);
    log_notice("%d of %d replicas are in sync when shutting down.", replication_acked(r, offset), count);
    mem_free(all);
}

/* -1: what has been written would be lost with us, and nobody said that this is meant. */
static int end_children(struct core *core, int flags)
{
    bool rewrites = children_running(core->children) & CHILD_AOF_REWRITE;
    if (append_only_is_waiting(core)) {
        log_warning("Writing initial AOF%s", (flags & SHUTDOWN_FORCE) ? ". Exit anyway." : ", can't exit.");
        if (!(flags & SHUTDOWN_FORCE)) return -1;
    }
    if (children_running(core->children) == CHILD_NONE) return 0;
    log_warning("There is a child %s. Killing it!", rewrites ? "rewriting the AOF" : "saving an .rdb");
    children_end(core->children);
    return 0;
}

/* The journal would write what it can without us; who stops a server wants to know. */
static void flush_append_only_file(struct core *core)
{
    if (!append_only_is_on(core)) return;
    log_notice("Calling fsync() on the AOF file.");
    append_only_flush(core, AOF_FLUSH_WAITS_MS);
}

static int save_before_end(struct core *core, int flags)
{
    if (core->sentinel) return 0; /* it has no data */
    bool wanted =
        (flags & SHUTDOWN_SAVE) || (core->settings->server.save_point_count > 0 && !(flags & SHUTDOWN_NOSAVE));
    if (end_children(core, flags)) return -1;
    flush_append_only_file(core);
    if (!wanted) persistence_await_received(core);
    if (!wanted) return 0;
    if (!persistence_may_save(core)) {
        log_warning("Not saving before exiting: what is in memory is not a whole dataset, %s is left as it is.",
                    core->settings->rdb.filename);
        return 0;
    }
    log_notice("Saving the final RDB snapshot before exiting.");
    supervisor_tell("STATUS=Saving the final RDB snapshot\n");
    if (persistence_save_now(core) == 0) return 0;
    log_warning("Error trying to save the DB, can't exit.");
    supervisor_tell("STATUS=Error trying to save the DB, can't exit.\n");
    return (flags & SHUTDOWN_FORCE) ? 0 : -1;
}

static int finish(struct core *core, int flags)
{
    struct lifecycle *l = core->lifecycle;
    tell_who_is_in_sync(core);
    if (save_before_end(core, flags)) {
        log_warning("Errors trying to shut down the server. Check the logs for more information.");
        l->shutdown_deadline_ms = 0;
        pause_end(core->pauses, pause_purpose);
        return -1;
    }
    if (*l->pidfile && file_is_ordinary(l->pidfile)) { /* it may be /dev/null */
        log_notice("Removing the pid file.");
        unlink(l->pidfile);
    }
    if (core->settings->net.unix_socket && *core->settings->net.unix_socket) {
        log_notice("Removing the unix socket file.");
        unlink(core->settings->net.unix_socket);
    }
    ports_close();
    log_warning("Redis is now ready to exit, bye bye...");
    l->stopping = true;
    loop_stop(core->loop);
    return 0;
}

static void shutdown_failed(struct blocked *b, const char *error)
{
    reply_error(&b->session->reply, error ? error : "ERR Errors trying to SHUTDOWN. Check logs.");
}

static void never(struct blocked *b)
{
    (void)b;
}

int shutdown_begin(struct core *core, int flags, struct session *caller)
{
    struct lifecycle *l = core->lifecycle;
    if (l->stopping) return 0; /* a second signal of the same turn */
    if (!l->shutdown_deadline_ms) log_warning("User requested shutdown...");
    if (!l->shutdown_deadline_ms) supervisor_tell("STOPPING=1\n");
    int64_t now_ms = loop_monotonic_ms(core->loop);
    int timeout_s = core->settings->server.shutdown_timeout_s;
    if ((flags & SHUTDOWN_NOW) || !timeout_s || !replicas_are_behind(core)) return finish(core, flags);
    log_notice("Waiting for replicas before shutting down. They have %d seconds.", timeout_s);
    l->shutdown_flags = flags;
    if (!l->shutdown_deadline_ms) l->shutdown_deadline_ms = now_ms + (int64_t)timeout_s * 1000;
    pause_begin(core->pauses, PAUSE_WRITE, INT64_MAX, pause_purpose);
    replication_ask_acks(core->replication, replication_history(core->replication)->offset);
    if (caller && caller->client && !caller->in_exec) {
        struct blocked *b = blocking_start(core->blocking, caller, BLOCKED_SHUTDOWN, 0);
        b->timed_out = never;
        b->interrupted = shutdown_failed;
    }
    return 0;
}

int shutdown_abort(struct core *core)
{
    struct lifecycle *l = core->lifecycle;
    if (!l->shutdown_deadline_ms) return -1;
    log_warning("Shutdown manually aborted.");
    l->shutdown_deadline_ms = 0;
    pause_end(core->pauses, pause_purpose);
    blocking_interrupt_all(core->blocking, BLOCKED_SHUTDOWN, "ERR Errors trying to SHUTDOWN. Check logs.");
    return 0;
}

void shutdown_cron(struct core *core, int64_t now_ms)
{
    struct lifecycle *l = core->lifecycle;
    if (l->stopping || !l->shutdown_deadline_ms) return;
    if (now_ms < l->shutdown_deadline_ms && replicas_are_behind(core)) return;
    if (finish(core, l->shutdown_flags))
        blocking_interrupt_all(core->blocking, BLOCKED_SHUTDOWN, "ERR Errors trying to SHUTDOWN. Check logs.");
}
