/* FAILOVER: a planned change of roles, without losing a write. Server process of the master that steps down.
 *
 * Writes are paused so that our offset stands still; when the target (or, without one, any replica) has acknowledged
 * it, we become its replica and tell it, by PSYNC <id> <offset> FAILOVER, to take over. It accepts (we are its replica:
 * done) or refuses (we are a master again). Writes flow again in either case. */
#include "repl/master_side.h"

#include "server/base/check.h"
#include "server/base/log.h"

#include <stdio.h>
#include <string.h>

/* --- the state --- */

#define TO(state) (1u << FAILOVER_##state)

static const struct {
    const char *info_word;
    unsigned successors;
} rows[] = {
    [FAILOVER_NONE] = {"no-failover", TO(WAITING)},
    [FAILOVER_WAITING] = {"waiting-for-sync", TO(NONE) | TO(HANDED_OVER)},
    [FAILOVER_HANDED_OVER] = {"failover-in-progress", TO(NONE)},
};

/* Writes are paused as long as there is a fail-over. */
static void enter(struct replication *r, enum failover_state state)
{
    struct failover *f = &r->master->failover;
    CHECK(rows[f->state].successors & (1u << state));
    bool begins = f->state == FAILOVER_NONE;
    f->state = state;
    if (begins || state == FAILOVER_NONE) r->host.pause_writes(r->host.context, begins);
}

/* --- the target --- */

static bool is_target(const struct failover *f, const struct follower *follower)
{
    return !f->host[0] || (follower->hello.listening_port == f->port && strcmp(follower->ip, f->host) == 0);
}

static struct follower *find_target(struct replication *r)
{
    list_each(&r->master->followers, node)
    {
        struct follower *follower = list_entry(node, struct follower, node);
        if (follower->machine.state != FOLLOWER_GONE && is_target(&r->master->failover, follower)) return follower;
    }
    return NULL;
}

static struct follower *find_synced_target(struct replication *r)
{
    list_each(&r->master->followers, node)
    {
        struct follower *follower = list_entry(node, struct follower, node);
        uint64_t acked;
        int64_t lag_ms;
        if (!is_target(&r->master->failover, follower) || !follower_acked(follower, &acked, &lag_ms)) continue;
        if (acked >= repl_stream_history(r->stream)->offset) return follower;
    }
    return NULL;
}

/* --- the way --- */

/* As the log calls whom we wait for. */
static const char *target_name(const struct failover *f, char room[320])
{
    if (!f->host[0]) return "any replica";
    snprintf(room, 320, "%s:%d", f->host, f->port);
    return room;
}

static void abort_because(struct replication *r, const char *why)
{
    bool handed_over = r->master->failover.state == FAILOVER_HANDED_OVER;
    char room[320];
    log_notice("FAILOVER to %s aborted: %s", target_name(&r->master->failover, room), why);
    enter(r, FAILOVER_NONE);
    if (handed_over) replication_stop_following(r);
}

static int refuse(char error[256], const char *text)
{
    snprintf(error, 256, "%s", text);
    return -1;
}

static int check_target(struct replication *r, bool force, char error[256])
{
    const struct failover *f = &r->master->failover;
    const struct follower *target = find_target(r);
    if (force && (!f->host[0] || !f->deadline_ms))
        return refuse(error, "ERR FAILOVER with force option requires both a timeout and target HOST and IP.");
    if (!f->host[0]) return 0;
    if (!target) return refuse(error, "ERR FAILOVER target HOST and PORT is not a replica.");
    if (!follower_is_online(target)) return refuse(error, "ERR FAILOVER target replica is not online.");
    return 0;
}

int replication_failover(struct replication *r, const char *host, int port, bool force, int64_t timeout_ms,
                         char error[256])
{
    struct failover *f = &r->master->failover;
    if (f->state != FAILOVER_NONE) return refuse(error, "ERR FAILOVER already in progress.");
    if (replication_is_replica(r)) return refuse(error, "ERR FAILOVER is not valid when server is a replica.");
    if (!r->master->followers.count) return refuse(error, "ERR FAILOVER requires connected replicas.");
    *f = (struct failover){.port = port, .force = force};
    if (timeout_ms) f->deadline_ms = replication_now_ms(r) + timeout_ms;
    if (host) snprintf(f->host, sizeof f->host, "%s", host);
    if (check_target(r, force, error) != 0) return -1;
    char room[320];
    log_notice("FAILOVER requested to %s.", target_name(f, room));
    enter(r, FAILOVER_WAITING);
    replication_ask_acks(r, repl_stream_history(r->stream)->offset);
    return 0;
}

int replication_failover_abort(struct replication *r, char error[256])
{
    if (r->master->failover.state == FAILOVER_NONE) return refuse(error, "ERR No failover in progress.");
    abort_because(r, "Failover manually aborted");
    return 0;
}

static void hand_over(struct replication *r, const char *host, int port)
{
    struct failover *f = &r->master->failover;
    char target[sizeof f->host];
    snprintf(target, sizeof target, "%s", host);
    snprintf(f->host, sizeof f->host, "%s", target);
    f->port = port;
    enter(r, FAILOVER_HANDED_OVER);
    replica_side_follow(r, target, port, true);
}

void failover_check(struct replication *r)
{
    struct failover *f = &r->master->failover;
    if (f->state != FAILOVER_WAITING) return;
    const struct follower *synced = find_synced_target(r);
    if (synced) {
        log_notice("Failover target %s is synced, failing over.", synced->name);
        hand_over(r, synced->ip, synced->hello.listening_port);
    } else if (f->deadline_ms && replication_now_ms(r) >= f->deadline_ms) {
        if (!f->force) {
            abort_because(r, "Replica never caught up before timeout");
            return;
        }
        log_notice("FAILOVER to %s:%d time out exceeded, failing over.", f->host, f->port);
        hand_over(r, f->host, f->port);
    } else if (f->host[0] && !f->force && !find_target(r)) {
        abort_because(r, "Failover target was disconnected");
    }
}

void failover_ended(struct replication *r, bool good)
{
    if (r->master->failover.state != FAILOVER_HANDED_OVER) return;
    if (!good) {
        abort_because(r, "Failover target rejected psync request");
        return;
    }
    log_notice("Failover target took over: we are its replica now");
    enter(r, FAILOVER_NONE);
}

bool replication_is_failing_over(const struct replication *r)
{
    return r->master->failover.state != FAILOVER_NONE;
}

const char *replication_failover_state(const struct replication *r)
{
    return rows[r->master->failover.state].info_word;
}
