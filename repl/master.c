/* The master's side as a whole: made here, driven here, and told here what becomes of the stream. Server process.
 *
 * A write costs one copy, however many replicas listen; everything else happens once a turn (publishing, asking for
 * acknowledgements) or in cron (pings, limits, time to live). A backlog exists from the first replica on: until then
 * the history's offset stands still, and its id is known to nobody. */
#include "repl/master_side.h"

#include "repl/wire.h"
#include "server/base/alloc.h"
#include "server/base/log.h"

#include <errno.h>
#include <unistd.h>

/* --- the stream --- */

bool replication_wants_stream(const struct replication *r)
{
    return repl_stream_backlog(r->stream) && !replication_is_replica(r);
}

void replication_feed(struct replication *r, struct bytes unit)
{
    repl_stream_append(r->stream, unit.ptr, unit.len);
}

void replication_change_id(struct replication *r)
{
    repl_stream_new_id(r->stream);
    log_notice("Our replication ID is now %s", repl_stream_history(r->stream)->id);
}

static void bell_rang(void *arg, int events)
{
    struct replication *r = arg;
    uint64_t count;
    (void)events;
    while (read(backlog_server_bell(repl_stream_backlog(r->stream)), &count, sizeof count) < 0 && errno == EINTR)
        continue;
    bool some_wait_on = r->host.acks_moved(r->host.context);
    failover_check(r);
    if (!some_wait_on) acks_settle(r);
}

static bool dataset_is_empty(const struct replication *r)
{
    for (int i = 0; i < keyspace_databases(r->keyspace); i++)
        if (database_size(keyspace_database(r->keyspace, i))) return false;
    return keyspace_libraries(r->keyspace)->count == 0;
}

static void opened(void *context)
{
    struct replication *r = context;
    /* As long as it is being loaded, an empty dataset says nothing. */
    if (r->started && !replication_is_replica(r) && dataset_is_empty(r)) repl_stream_note_empty(r->stream);
    r->master->bell =
        loop_watch_start(r->loop, backlog_server_bell(repl_stream_backlog(r->stream)), LOOP_READABLE, bell_rang, r);
    acks_watch_new_backlog(r);
    words_opened(r);
}

/* Replicas reconnect to learn the new id. */
static void renamed(void *context, const char *why)
{
    struct replication *r = context;
    comeback_end(&r->master->comeback);
    words_expect(r);
    followers_end_all(context, why);
    snapshots_outdated(context);
}

static void replaced(void *context)
{
    struct replication *r = context;
    words_forgotten(r);
    refusals_forget_reads(&r->master->refusals);
    renamed(context, "our dataset is being replaced by our master's");
}

void replication_changed_unsaid(struct replication *r)
{
    snapshots_outdated(r);
}

static void closing(void *context)
{
    struct replication *r = context;
    link_handle_detach_backlog(r->master->link);
    snapshots_backlog_gone(r);
    loop_watch_stop(r->master->bell);
    r->master->bell = NULL;
    r->master->acks = (struct ack_watch){.ask = false};
}

/* --- cron --- */

static void follow_settings(struct replication *r)
{
    struct master_side *m = r->master;
    if (r->settings->ping_period_s == m->ping_period_s) return;
    m->ping_period_s = r->settings->ping_period_s;
    link_set_ping_period(m->link, m->ping_period_s);
}

/* Replicas judge the link by what they hear. A pause (of a client, a fail-over, a shutdown) wants the offset to stand
 * still. */
static void ping_replicas(struct replication *r, int64_t now_ms)
{
    struct master_side *m = r->master;
    struct bytes ping = BYTES(WIRE_PING);
    if (now_ms - m->last_ping_ms < (int64_t)r->settings->ping_period_s * 1000) return;
    m->last_ping_ms = now_ms;
    if (!replication_wants_stream(r) || !m->followers.count || r->host.writes_paused(r->host.context)) return;
    r->host.propagate(r->host.context, 1, &ping);
}

/* Who is held back is none of our followers, and is known by a history that would go with the backlog. */
static bool holds_back(const struct replication *r, int64_t now_ms)
{
    return comeback_needs_second_id(&r->master->comeback, r->host.has_sentinels(r->host.context), now_ms);
}

static void expire_backlog(struct replication *r, int64_t now_ms)
{
    struct master_side *m = r->master;
    int64_t ttl_s = r->settings->backlog_ttl_s;
    bool alone = repl_stream_window(r->stream).present && !replication_is_replica(r) && r->started &&
                 !m->followers.count && !holds_back(r, now_ms);
    if (!alone || !m->alone_since_ms) m->alone_since_ms = alone ? now_ms : 0;
    if (!alone || !ttl_s || now_ms - m->alone_since_ms <= ttl_s * 1000) return;
    if (r->stream_kept || r->settings->adopt_backlog)
        repl_stream_withhold(r->stream); /* others read it still */
    else
        repl_stream_expire(r->stream);
    log_notice("Replication backlog freed after %lld seconds without connected replicas.", (long long)ttl_s);
}

void master_side_cron(struct replication *r, int64_t now_ms)
{
    follow_settings(r);
    link_handle_cron(r->master->link);
    followers_cron(r);
    words_cron(r);
    queue_cron(r, now_ms);
    snapshots_cron(r, now_ms);
    ping_replicas(r, now_ms);
    failover_check(r);
    expire_backlog(r, now_ms);
}

void master_side_before_send(struct replication *r)
{
    followers_reap(r);
    acks_before_send(r);
}

/* --- life --- */

void master_side_started(struct replication *r)
{
    const struct history *h = repl_stream_history(r->stream);
    int64_t now_ms = replication_now_ms(r), wait_ms = (int64_t)r->settings->ahead_replica_wait_s * 1000;
    if (h->offset > 0) words_expect(r);
    bool from_file = r->restored && h->second_offset > 0, from_nothing = h->offset == 0 && dataset_is_empty(r);
    if (from_file || from_nothing) comeback_begin(&r->master->comeback, !from_file, wait_ms, now_ms);
}

struct master_side *master_side_new(struct replication *r)
{
    struct master_side *m = mem_calloc(1, sizeof *m);
    struct link_events events = master_link_events;
    events.context = r;
    list_init(&m->followers);
    list_init(&m->snapshots);
    m->link = link_handle_new(r->loop, r->executable, &events);
    m->ping_period_s = r->settings->ping_period_s;
    link_set_ping_period(m->link, m->ping_period_s);
    m->snapshot_failed = followers_end_users;
    m->listener = (struct repl_stream_listener){.context = r,
                                                .opened = opened,
                                                .renamed = renamed,
                                                .replaced = replaced,
                                                .closing = closing,
                                                .peer_doomed = follower_peer_doomed};
    repl_stream_listen(r->stream, &m->listener);
    return m;
}

void master_side_free(struct replication *r)
{
    struct master_side *m = r->master;
    followers_abandon(r);
    link_handle_free(m->link);
    mem_free(m);
}
