/* Replication as a whole, in the server process: made here, told to both sides, and what belongs to neither. */
#include "repl/master_side.h"

#include "server/base/alloc.h"

#include <string.h>

struct replication *replication_new(struct loop *loop, struct keyspace *ks, struct repl_settings *settings,
                                    struct rdb_settings *rdb, const char *executable, int listening_port,
                                    const struct replication_host *host, const struct replication_stats *stats)
{
    struct replication *r = mem_calloc(1, sizeof *r);
    r->loop = loop;
    r->keyspace = ks;
    r->settings = settings;
    r->rdb_settings = rdb;
    r->executable = executable;
    r->listening_port = listening_port;
    r->host = *host;
    r->stats = *stats;
    r->stream = repl_stream_new(settings, listening_port);
    r->replica = replica_side_new(r, failover_ended);
    r->master = master_side_new(r);
    return r;
}

void replication_free(struct replication *r)
{
    replica_side_free(r);
    repl_stream_free(r->stream);
    master_side_free(r);
    mem_free(r);
}

void replication_start(struct replication *r)
{
    replica_side_start(r);
    if (!replication_is_replica(r)) master_side_started(r);
}

void replication_cron(struct replication *r, int64_t now_ms)
{
    repl_stream_cron(r->stream, now_ms);
    master_side_cron(r, now_ms);
}

void replication_before_send(struct replication *r)
{
    replica_side_before_send(r);
    master_side_before_send(r);
    repl_stream_publish(r->stream);
}

const struct history *replication_history(const struct replication *r)
{
    return repl_stream_history(r->stream);
}

int replication_keep_stream(struct replication *r, bool kept)
{
    r->stream_kept = kept;
    return kept ? repl_stream_open_withheld(r->stream) : 0;
}

struct repl_stream *replication_stream(struct replication *r)
{
    return r->stream;
}

void replication_describe(const struct replication *r, struct rdb_aux *aux)
{
    const struct history *h = repl_stream_history(r->stream);
    bool replica = replication_is_replica(r);
    if (replica ? !replica_side_is_at_offset(r) : !repl_stream_backlog(r->stream)) return;
    int db = replica ? replica_side_stream_db(r) : r->host.stream_db(r->host.context);
    memcpy(aux->repl_id, h->id, sizeof aux->repl_id);
    aux->repl_offset = (int64_t)h->offset;
    aux->repl_stream_db = db < 0 ? 0 : db; /* none is selected: what comes next brings its SELECT */
}

pid_t replication_link_pid(const struct replication *r)
{
    return link_handle_pid(r->master->link);
}

struct replication_memory replication_memory(const struct replication *r)
{
    const struct backlog *b = repl_stream_backlog(r->stream);
    if (!b) return (struct replication_memory){0};
    uint64_t all = backlog_memory(b), rest = backlog_rest_bytes(b);
    return all > rest ? (struct replication_memory){rest, all - rest} : (struct replication_memory){all, 0};
}

void replication_info(const struct replication *r, struct outq *out)
{
    bool replica = replication_is_replica(r);
    info_field(out, "role:%s", replica ? "slave" : "master");
    if (replica) replica_side_info(r, out);
    master_side_info(r, out);
}
