/* What others see of the master's side: INFO replication, ROLE, WAIT's count, the replicas that make a write safe. */
#include "repl/master_side.h"

#include "server/base/outq.h"

#include <stdio.h>

static const char *state_text(const struct replica_handle *h, const struct backlog_peer_view *view)
{
    if (h->online) return "online";
    return view->state == PEER_SENDING_SNAPSHOT ? "send_bulk" : "wait_bgsave";
}

bool replica_handle_view(const struct replica_handle *h, struct replica_view *out)
{
    const struct backlog *b = repl_stream_backlog(h->r->stream);
    struct backlog_peer_view view = {.state = PEER_WAITING};
    if (h->state == HANDLE_ENDING) return false;
    if (h->slot >= 0) backlog_peer_view(b, h->slot, &view);
    *out = (struct replica_view){
        .port = h->hello.listening_port,
        .state = state_text(h, &view),
        .offset = view.acked_offset,
        .lag_s = h->online ? replica_handle_lag_ms(h, &view) / 1000 : 0,
        .rdb_only = h->hello.rdb_only,
        .sent_bytes = view.sent_bytes,
        .received_bytes = view.received_bytes,
        .behind_bytes = h->slot >= 0 ? backlog_end(b) - view.next_offset : 0,
        .client = h->client,
    };
    memcpy(out->ip, h->ip, sizeof out->ip);
    return true;
}

/* room 0: only counts. */
int replication_replicas(const struct replication *r, struct replica_view *out, int room)
{
    int count = 0;
    list_each(&r->master->replicas, node)
    {
        struct replica_view view;
        if (!replica_handle_view(list_entry(node, struct replica_handle, node), &view)) continue;
        if (count < room) out[count] = view;
        count++;
    }
    return room && count > room ? room : count;
}

static void replica_lines(const struct replication *r, struct outq *out)
{
    int index = 0;
    list_each(&r->master->replicas, node)
    {
        struct replica_view v;
        if (!replica_handle_view(list_entry(node, struct replica_handle, node), &v)) continue;
        info_field(out, "slave%d:ip=%s,port=%d,state=%s,offset=%llu,lag=%lld", index++, v.ip, v.port, v.state,
                   (unsigned long long)v.offset, (long long)v.lag_s);
    }
}

void master_side_info(const struct replication *r, struct outq *out)
{
    const struct repl_settings *s = r->settings;
    const struct history *h = repl_stream_history(r->stream);
    struct resync_window window = repl_stream_window(r->stream);
    info_field(out, "connected_slaves:%d", replication_replicas(r, NULL, 0));
    if (s->min_replicas_to_write && s->min_replicas_max_lag_s)
        info_field(out, "min_slaves_good_slaves:%d", replication_good_replicas(r));
    replica_lines(r, out);
    info_field(out, "master_failover_state:%s", replication_failover_state(r));
    info_field(out, "master_replid:%s", h->id);
    info_field(out, "master_replid2:%s", h->second_id);
    info_field(out, "master_repl_offset:%llu", (unsigned long long)h->offset);
    info_field(out, "second_repl_offset:%lld", (long long)h->second_offset);
    info_field(out, "repl_backlog_active:%d", window.present);
    info_field(out, "repl_backlog_size:%llu", (unsigned long long)s->backlog_bytes);
    info_field(out, "repl_backlog_first_byte_offset:%llu", (unsigned long long)window.first);
    info_field(out, "repl_backlog_histlen:%llu", (unsigned long long)(window.end - window.first));
}
