/* The master's side: the backlog and what keeps it going. Server process.
 *
 * A write costs one copy here, however many replicas listen; everything else happens once a turn (publishing, asking
 * for acknowledgements) or in cron (pings, limits, time to live). A backlog exists from the first replica on: until
 * then the history's offset stands still, and its id is known to nobody. */
#include "repl/master_side.h"

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/crc64.h"
#include "server/base/log.h"
#include "shm/owner.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define OBJECT_NAME_BYTES 64

int64_t master_now_ms(const struct replication *r)
{
    return loop_monotonic_ms(r->loop);
}

/* --- the backlog --- */

/* The next server of this port and directory finds what we leave behind if we are killed. */
static void object_name(const struct replication *r, char out[OBJECT_NAME_BYTES])
{
    char directory[4096] = "";
    if (!getcwd(directory, sizeof directory)) directory[0] = '\0';
    snprintf(out, OBJECT_NAME_BYTES, SHM_NAME_PREFIX "%d-%016llx", r->listening_port,
             (unsigned long long)crc64(0, directory, strlen(directory)));
}

static void remove_remains(const struct replication *r)
{
    char name[OBJECT_NAME_BYTES];
    object_name(r, name);
    owner_remove_dead(name);
}

static struct backlog_limits wanted_limits(const struct replication *r)
{
    return (struct backlog_limits){r->settings->backlog_bytes, r->settings->output_hard_bytes};
}

static void tell_history(struct replication *r)
{
    const struct history *h = &r->history;
    if (r->master->backlog) backlog_set_history(r->master->backlog, h->id, h->second_id, h->second_offset);
}

static void bell_rang(void *arg, int events);

int master_side_open_backlog(struct replication *r)
{
    struct master_side *m = r->master;
    if (m->backlog) return 0;
    char name[OBJECT_NAME_BYTES];
    object_name(r, name);
    struct backlog_events events = {r, replica_peer_doomed};
    m->limits = wanted_limits(r);
    m->backlog = backlog_open(name, r->history.offset + 1, &m->limits, &events);
    if (!m->backlog) {
        log_warning("Can't create the replication backlog of %llu bytes: %s", (unsigned long long)m->limits.rest_bytes,
                    strerror(errno));
        return -1;
    }
    tell_history(r);
    if (m->watch_low) backlog_watch_acks(m->backlog, m->watch_low);
    m->bell = loop_watch_start(r->loop, backlog_server_bell(m->backlog), LOOP_READABLE, bell_rang, r);
    m->alone_since_ms = master_now_ms(r);
    return 0;
}

static void close_backlog(struct replication *r)
{
    struct master_side *m = r->master;
    if (!m->backlog) return;
    link_handle_detach_backlog(m->link);
    snapshots_backlog_gone(r);
    loop_watch_stop(m->bell);
    backlog_close(m->backlog);
    m->backlog = NULL;
    m->bell = NULL;
    m->watch_low = m->watch_high = 0;
}

struct resync_window master_window(const struct replication *r)
{
    const struct backlog *b = r->master->backlog;
    if (!b) return (struct resync_window){false, 0, 0};
    return (struct resync_window){true, backlog_first(b), backlog_end(b)};
}

bool replication_wants_stream(const struct replication *r)
{
    return r->master->backlog && !replication_is_replica(r);
}

void replication_feed(struct replication *r, struct bytes unit)
{
    backlog_append(r->master->backlog, unit.ptr, unit.len);
    r->history.offset += unit.len;
}

void master_side_relay(struct replication *r, const uint8_t *data, size_t len)
{
    if (r->master->backlog) backlog_append(r->master->backlog, data, len);
    r->history.offset += len;
}

bool master_can_serve(const struct replication *r)
{
    const struct master_side *m = r->master;
    return link_handle_is_ready(m->link) && (!m->backlog || backlog_is_shared(m->backlog));
}

/* --- changes of history --- */

void master_side_history_replaced(struct replication *r)
{
    replicas_end_all(r, "our dataset is being replaced by our master's");
    snapshots_history_changed(r);
    if (r->master->backlog) backlog_restart(r->master->backlog, r->history.offset + 1);
    tell_history(r);
}

void master_side_history_renamed(struct replication *r, const char *why)
{
    replicas_end_all(r, why);
    snapshots_history_changed(r);
    tell_history(r);
}

void master_side_promoted(struct replication *r)
{
    r->master->alone_since_ms = master_now_ms(r);
}

void replication_change_id(struct replication *r)
{
    history_new_id(&r->history);
    tell_history(r);
    log_notice("Our replication ID is now %s", r->history.id);
}

/* --- acknowledgements --- */

void replication_ask_acks(struct replication *r, uint64_t offset)
{
    struct master_side *m = r->master;
    if (!m->watch_low || offset < m->watch_low) m->watch_low = offset;
    if (offset > m->watch_high) m->watch_high = offset;
    if (!m->backlog) return;
    m->ask_acks = true;
    backlog_watch_acks(m->backlog, m->watch_low ? m->watch_low : 1);
}

/* Replicas that are here cannot acknowledge more; where somebody waits for others, which may yet come, this is not
 * called. */
static void settle_watch(struct replication *r)
{
    struct master_side *m = r->master;
    list_each(&m->replicas, node)
    {
        uint64_t acked;
        int64_t lag_ms;
        const struct replica_handle *h = list_entry(node, struct replica_handle, node);
        if (replica_handle_acked(h, &acked, &lag_ms) && acked < m->watch_high) return;
    }
    m->watch_low = m->watch_high = 0;
    backlog_watch_acks(m->backlog, 0);
}

static void bell_rang(void *arg, int events)
{
    struct replication *r = arg;
    uint64_t count;
    (void)events;
    while (read(backlog_server_bell(r->master->backlog), &count, sizeof count) < 0 && errno == EINTR) continue;
    bool some_wait_on = r->host.acks_moved(r->host.context);
    failover_check(r);
    if (!some_wait_on) settle_watch(r);
}

static void send_getack(struct replication *r)
{
    struct bytes request[3] = {BYTES("REPLCONF"), BYTES("GETACK"), BYTES("*")};
    r->master->ask_acks = false;
    if (replication_wants_stream(r) && r->master->replicas.count) r->host.propagate(r->host.context, 3, request);
}

void master_side_before_sleep(struct replication *r)
{
    replicas_reap(r);
    if (r->master->ask_acks && !r->host.writes_paused(r->host.context)) send_getack(r);
    if (r->master->backlog) backlog_publish(r->master->backlog);
}

/* --- cron --- */

static void follow_settings(struct replication *r)
{
    struct master_side *m = r->master;
    struct backlog_limits limits = wanted_limits(r);
    if (limits.rest_bytes != m->limits.rest_bytes || limits.hard_bytes != m->limits.hard_bytes) {
        m->limits = limits;
        if (m->backlog) backlog_set_limits(m->backlog, &limits);
    }
    if (r->settings->timeout_s != m->timeout_s || r->settings->ping_period_s != m->ping_period_s) {
        m->timeout_s = r->settings->timeout_s;
        m->ping_period_s = r->settings->ping_period_s;
        link_set_timers(m->link, m->timeout_s, m->ping_period_s);
    }
}

/* Replicas judge the link by what they hear. A pause (of a client, a fail-over, a shutdown) wants the offset to stand
 * still. */
static void ping_replicas(struct replication *r, int64_t now_ms)
{
    struct master_side *m = r->master;
    struct bytes ping = BYTES("PING");
    if (now_ms - m->last_ping_ms < (int64_t)r->settings->ping_period_s * 1000) return;
    m->last_ping_ms = now_ms;
    if (!replication_wants_stream(r) || !m->replicas.count || r->host.writes_paused(r->host.context)) return;
    r->host.propagate(r->host.context, 1, &ping);
}

/* What is written from now on leaves no trace in the backlog: the id must not promise that it could be continued. */
static void expire_backlog(struct replication *r, int64_t now_ms)
{
    struct master_side *m = r->master;
    int64_t ttl_s = r->settings->backlog_ttl_s;
    if (!m->backlog || !r->started || replication_is_replica(r) || m->replicas.count || !ttl_s || !m->alone_since_ms)
        return;
    if (now_ms - m->alone_since_ms <= ttl_s * 1000) return;
    history_new_id(&r->history);
    close_backlog(r);
    log_notice("Replication backlog freed after %lld seconds without connected replicas.", (long long)ttl_s);
}

void master_side_cron(struct replication *r, int64_t now_ms)
{
    struct master_side *m = r->master;
    follow_settings(r);
    link_handle_cron(m->link);
    replicas_cron(r, now_ms);
    snapshots_cron(r, now_ms);
    ping_replicas(r, now_ms);
    failover_check(r);
    expire_backlog(r, now_ms);
    if (now_ms - m->last_second_ms < 1000) return;
    m->last_second_ms = now_ms;
    if (m->backlog) backlog_cron(m->backlog);
}

/* --- life --- */

struct master_side *master_side_new(struct replication *r)
{
    struct master_side *m = mem_calloc(1, sizeof *m);
    struct link_events events = master_link_events;
    events.context = r;
    list_init(&m->replicas);
    list_init(&m->snapshots);
    m->link = link_handle_new(r->loop, r->executable, &events);
    m->timeout_s = r->settings->timeout_s;
    m->ping_period_s = r->settings->ping_period_s;
    link_set_timers(m->link, m->timeout_s, m->ping_period_s);
    remove_remains(r);
    return m;
}

void master_side_free(struct replication *r)
{
    struct master_side *m = r->master;
    close_backlog(r);
    replicas_abandon(r);
    link_handle_free(m->link);
    mem_free(m);
}
