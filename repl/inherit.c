/* What a dead predecessor left of its stream: whether it leads on from the dataset that has been loaded, and what
 * becomes of our history when it has been applied. Server process, at its start.
 *
 * A file asks as a replica would: with the history and the offset that it is of. */
#include "repl/replica_side.h"

#include "server/base/log.h"

#include <stdio.h>
#include <string.h>

bool replication_has_predecessor(const struct replication *r)
{
    return repl_stream_predecessor(r->stream) != NULL;
}

struct bytes replication_inherited_bytes(const struct replication *r, uint64_t offset)
{
    return repl_stream_left_bytes(r->stream, offset);
}

static bool refuse(struct replication *r, const char *why)
{
    log_warning("The stream that a killed server (pid %d) left in shared memory is not adopted: %s",
                repl_stream_predecessor(r->stream)->pid, why);
    repl_stream_leave(r->stream);
    return false;
}

/* From an empty dataset on: nothing was loaded. */
static bool covers_all(const struct adopt_view *v, uint64_t *from)
{
    if (v->empty_at == SHM_NEVER || v->empty_at >= v->end || v->empty_at + 1 < v->first) return false;
    *from = v->empty_at + 1;
    return true;
}

/* As resync_decide: 1 is the number of the first byte. */
static bool covers_file(const struct adopt_view *v, const struct rdb_aux *file, uint64_t *from, char why[512])
{
    struct history h = {.second_offset = v->second_offset, .offset = v->end - 1};
    struct resync_window window = {true, v->first, v->end};
    snprintf(h.id, sizeof h.id, "%.40s", v->id);
    snprintf(h.second_id, sizeof h.second_id, "%.40s", v->second_id);
    struct resync_decision d = resync_decide(&h, &window, file->repl_id, file->repl_offset + 1);
    *from = d.from;
    if (d.reason == RESYNC_CONTINUE) return true;
    resync_explain(&d, &h, &window, file->repl_id, file->repl_offset + 1, why);
    return false;
}

bool replication_inherit_begin(struct replication *r, const struct rdb_aux *file, struct inheritance *out)
{
    const struct adopt_view *v = repl_stream_predecessor(r->stream);
    char why[512];
    *out = (struct inheritance){.end = v->end, .pid = v->pid};
    if (!file && !covers_all(v, &out->from))
        return refuse(r, "there is no file to begin with, and it does not reach back to an empty dataset");
    if (file && !file->repl_id[0]) return refuse(r, "the file that was loaded does not say which history it is of");
    if (file && !covers_file(v, file, &out->from, why)) return refuse(r, why);
    if (file && file->repl_stream_db > 0) out->db = file->repl_stream_db;
    if (out->db >= keyspace_databases(r->keyspace)) return refuse(r, "it stands in a database that is not there");
    if (!repl_stream_try(r->stream)) return refuse(r, "the servers that tried to apply it have died of it");
    return true;
}

int replication_inherit_end(struct replication *r, int db)
{
    struct replica_side *s = r->replica;
    if (repl_stream_adopt(r->stream) != 0) return -1;
    r->restored = false;
    if (s->host) {
        s->can_continue = true;
        s->stream_db = db;
    } else {
        r->host.forget_stream_db(r->host.context);
    }
    return 0;
}
