/* What others see of the replica's side: whom we follow and how that goes, ROLE, INFO replication. Server process;
 * nothing is changed here. */
#include "repl/replica_side.h"

bool replication_is_replica(const struct replication *r)
{
    return r->replica->host != NULL;
}

bool replication_master_link_up(const struct replication *r)
{
    return r->replica->machine.state == REPLICA_CONNECTED;
}

bool replication_master_address(const struct replication *r, const char **host, int *port)
{
    *host = r->replica->host;
    *port = r->replica->port;
    return r->replica->host != NULL;
}

bool replication_master_link_view(const struct replication *r, struct master_link_view *out)
{
    const struct replica_side *s = r->replica;
    if (!replication_master_link_up(r)) return false;
    conn_peer_address(s->conn, &out->master);
    conn_local_address(s->conn, &out->own);
    out->fd = conn_fd(s->conn);
    out->idle_s = (replication_now_ms(s->r) - s->last_io_ms) / 1000;
    out->unapplied_bytes = s->input.len;
    out->unsent_bytes = conn_unsent(s->conn);
    return true;
}

const char *replication_role_state(const struct replication *r)
{
    return replica_row(r->replica->machine.state)->role_word;
}

const char *replication_stream_refusal(const struct replication *r)
{
    return r->replica->refusal[0] ? r->replica->refusal : NULL;
}

bool replication_has_dataset(const struct replication *r)
{
    return !r->replica->without_dataset;
}

bool replication_is_applying(const struct replication *r)
{
    return r->replica->applying;
}

/* In the middle of a piece of the stream, the dataset is ahead of what is counted. */
bool replica_side_is_at_offset(const struct replication *r)
{
    const struct replica_side *s = r->replica;
    return (s->streaming || s->can_continue) && !s->applying;
}

int replica_side_stream_db(const struct replication *r)
{
    const struct replica_side *s = r->replica;
    return s->streaming ? r->host.stream_db(r->host.context) : s->stream_db;
}

uint64_t replication_applied_offset(const struct replication *r)
{
    return repl_stream_history(r->stream)->offset;
}

/* --- INFO --- */

static void transfer_lines(const struct replica_side *s, struct outq *out, int64_t now_ms)
{
    struct transfer_progress p = transfer_progress(s->transfer);
    double percent = p.total_bytes ? (double)p.received_bytes / (double)p.total_bytes * 100 : 0;
    info_field(out, "master_sync_total_bytes:%lld", (long long)p.total_bytes);
    info_field(out, "master_sync_read_bytes:%lld", (long long)p.received_bytes);
    info_field(out, "master_sync_left_bytes:%lld", (long long)(p.total_bytes - p.received_bytes));
    info_field(out, "master_sync_perc:%.2f", percent);
    info_field(out, "master_sync_last_io_seconds_ago:%lld", (long long)(now_ms - s->last_io_ms) / 1000);
}

void replica_side_info(const struct replication *r, struct outq *out)
{
    const struct replica_side *s = r->replica;
    const struct repl_settings *settings = r->settings;
    int64_t now_ms = replication_now_ms(s->r);
    bool up = replication_master_link_up(r);
    /* Sentinels promote who says the largest: where the dataset is gone, that is no offset of ours. */
    long long applied = s->without_dataset ? 0 : (long long)repl_stream_history(r->stream)->offset,
              read = applied + (up ? (long long)s->input.len : 0);
    info_field(out, "master_host:%s", s->host);
    info_field(out, "master_port:%d", s->port);
    info_field(out, "master_link_status:%s", up ? "up" : "down");
    info_field(out, "master_last_io_seconds_ago:%lld", up ? (long long)(now_ms - s->last_io_ms) / 1000 : -1);
    info_field(out, "master_sync_in_progress:%d", s->transfer != NULL);
    info_field(out, "slave_read_repl_offset:%lld", read);
    info_field(out, "slave_repl_offset:%lld", applied);
    if (s->transfer) transfer_lines(s, out, now_ms);
    if (!up && s->sync_error[0]) info_field(out, "master_sync_last_error:%s", s->sync_error);
    if (!up)
        info_field(out, "master_link_down_since_seconds:%lld",
                   s->down_since_ms ? (long long)(now_ms - s->down_since_ms) / 1000 : -1);
    if (s->refusal[0]) info_field(out, "master_stream_refusal:%s", s->refusal);
    info_field(out, "master_stream_refusals:%llu", (unsigned long long)s->refusals);
    info_field(out, "slave_priority:%d", settings->priority);
    info_field(out, "slave_read_only:%d", settings->read_only);
    info_field(out, "replica_announced:%d", settings->announced);
}
