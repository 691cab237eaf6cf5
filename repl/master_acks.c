/* Acknowledgements: who has how much of the stream, who is asked for it, and who waits for it (WAIT, FAILOVER, a
 * shutdown). Server process of the master.
 *
 * The link process hears them and writes them into the replicas' slots; its bell rings here only while an offset is
 * watched that they may reach. */
#include "repl/master_side.h"

#include "repl/wire.h"

/* An acknowledgement counts from the moment the replica came online: a fresh one has had no time to send any. */
int64_t follower_lag_ms(const struct follower *f, const struct backlog_peer_view *view)
{
    int64_t heard_ms = view->heard_ms > f->machine.online_ms ? view->heard_ms : f->machine.online_ms;
    int64_t lag_ms = replication_now_ms(f->r) - heard_ms;
    return lag_ms > 0 ? lag_ms : 0;
}

bool follower_acked(const struct follower *f, uint64_t *offset, int64_t *lag_ms)
{
    struct backlog_peer_view view;
    if (!follower_is_online(f)) return false;
    backlog_peer_view(repl_stream_backlog(f->r->stream), f->slot, &view);
    *offset = view.acked_offset;
    *lag_ms = follower_lag_ms(f, &view);
    return true;
}

int replication_acked(const struct replication *r, uint64_t offset)
{
    int count = 0;
    list_each(&r->master->followers, node)
    {
        uint64_t acked;
        int64_t lag_ms;
        if (follower_acked(list_entry(node, struct follower, node), &acked, &lag_ms)) count += acked >= offset;
    }
    return count;
}

int replication_durable(const struct replication *r, uint64_t offset)
{
    int count = 0;
    list_each(&r->master->followers, node)
    {
        const struct follower *f = list_entry(node, struct follower, node);
        struct backlog_peer_view view;
        if (!follower_is_online(f)) continue;
        backlog_peer_view(repl_stream_backlog(r->stream), f->slot, &view);
        count += view.fack_offset >= offset;
    }
    return count;
}

int replication_good_followers(const struct replication *r)
{
    int good = 0;
    list_each(&r->master->followers, node)
    {
        uint64_t acked;
        int64_t lag_ms;
        if (!follower_acked(list_entry(node, struct follower, node), &acked, &lag_ms)) continue;
        good += lag_ms / 1000 <= r->settings->min_replicas_max_lag_s;
    }
    return good;
}

/* --- asked for --- */

void replication_ask_acks(struct replication *r, uint64_t offset)
{
    struct ack_watch *w = &r->master->acks;
    if (!w->low || offset < w->low) w->low = offset;
    if (offset > w->high) w->high = offset;
    if (!repl_stream_backlog(r->stream)) return;
    w->ask = true;
    backlog_watch_acks(repl_stream_backlog(r->stream), w->low ? w->low : 1);
}

void acks_watch_new_backlog(struct replication *r)
{
    const struct ack_watch *w = &r->master->acks;
    if (w->low) backlog_watch_acks(repl_stream_backlog(r->stream), w->low);
}

/* Followers that are here cannot acknowledge more; where somebody waits for others, which may yet come, this is not
 * called. */
void acks_settle(struct replication *r)
{
    struct ack_watch *w = &r->master->acks;
    list_each(&r->master->followers, node)
    {
        uint64_t acked;
        int64_t lag_ms;
        const struct follower *f = list_entry(node, struct follower, node);
        if (follower_acked(f, &acked, &lag_ms) && acked < w->high) return;
    }
    w->low = w->high = 0;
    backlog_watch_acks(repl_stream_backlog(r->stream), 0);
}

void acks_before_send(struct replication *r)
{
    struct ack_watch *w = &r->master->acks;
    struct bytes request[3] = {BYTES(WIRE_REPLCONF), BYTES(WIRE_GETACK), BYTES("*")};
    if (!w->ask || r->host.writes_paused(r->host.context)) return;
    w->ask = false;
    bool ours =
        repl_stream_backlog(r->stream) && !replication_is_replica(r); /* a relayed stream is not to be added to */
    if (ours && r->master->followers.count) r->host.propagate(r->host.context, 3, request);
}
