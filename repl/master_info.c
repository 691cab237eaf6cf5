/* What others see of the master's side: INFO replication, ROLE, WAIT's count, the replicas that make a write safe.
 * Server process. */
#include "repl/master_side.h"

#include "server/base/outq.h"

#include <stdio.h>

bool follower_view(struct follower *f, struct follower_view *out)
{
    const struct backlog *b = repl_stream_backlog(f->r->stream);
    struct backlog_peer_view view = {.state = PEER_WAITING};
    follower_look(f);
    const struct follower_row *row = follower_shown(&f->machine);
    if (!row) return false;
    if (f->slot >= 0) backlog_peer_view(b, f->slot, &view);
    *out = (struct follower_view){
        .port = f->hello.listening_port,
        .state = row,
        .offset = view.acked_offset,
        .lag_s = row->online ? follower_lag_ms(f, &view) / 1000 : 0,
        .rdb_only = f->hello.rdb_only,
        .sent_bytes = view.sent_bytes,
        .received_bytes = view.received_bytes,
        .behind_bytes = f->slot >= 0 ? backlog_end(b) - view.next_offset : 0,
        .client = f->client,
    };
    memcpy(out->ip, f->ip, sizeof out->ip);
    return true;
}

/* room 0: only counts. */
int replication_followers(const struct replication *r, struct follower_view *out, int room)
{
    int count = 0;
    list_each(&r->master->followers, node)
    {
        struct follower_view view;
        if (!follower_view(list_entry(node, struct follower, node), &view)) continue;
        if (count < room) out[count] = view;
        count++;
    }
    return room && count > room ? room : count;
}

static void follower_lines(const struct replication *r, struct outq *out)
{
    int index = 0;
    list_each(&r->master->followers, node)
    {
        struct follower_view v;
        if (!follower_view(list_entry(node, struct follower, node), &v)) continue;
        info_field(out, "slave%d:ip=%s,port=%d,state=%s,offset=%llu,lag=%lld", index++, v.ip, v.port,
                   v.state->info_word, (unsigned long long)v.offset, (long long)v.lag_s);
    }
}

void master_side_info(const struct replication *r, struct outq *out)
{
    const struct repl_settings *s = r->settings;
    const struct history *h = repl_stream_history(r->stream);
    struct resync_window window = repl_stream_window(r->stream);
    bool watched = r->host.has_sentinels(r->host.context);
    uint64_t ahead_bytes = comeback_ahead_bytes(&r->master->comeback, watched, replication_now_ms(r));
    info_field(out, "connected_slaves:%d", replication_followers(r, NULL, 0));
    if (s->min_replicas_to_write && s->min_replicas_max_lag_s)
        info_field(out, "min_slaves_good_slaves:%d", replication_good_followers(r));
    follower_lines(r, out);
    info_field(out, "master_failover_state:%s", replication_failover_state(r));
    if (ahead_bytes) info_field(out, "slaves_ahead_bytes:%llu", (unsigned long long)ahead_bytes);
    info_field(out, "master_replid:%s", h->id);
    info_field(out, "master_replid2:%s", h->second_id);
    info_field(out, "master_repl_offset:%llu", (unsigned long long)h->offset);
    info_field(out, "second_repl_offset:%lld", (long long)h->second_offset);
    info_field(out, "repl_backlog_active:%d", window.present);
    info_field(out, "repl_backlog_size:%llu", (unsigned long long)s->backlog_bytes);
    info_field(out, "repl_backlog_first_byte_offset:%llu", (unsigned long long)window.first);
    info_field(out, "repl_backlog_histlen:%llu", (unsigned long long)(window.end - window.first));
}
