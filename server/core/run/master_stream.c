/* The replica's apply, in the server process.
 *
 * Invariant: what has been reported as applied ends at a command boundary outside MULTI. Between MULTI and EXEC the
 * requests are queued as they come but not yet counted; `ahead` remembers how much of the uncounted input was already
 * read. */
#include "server/core/run/master_stream.h"

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/log.h"
#include "server/core/command/stats.h"
#include "server/core/core.h"
#include "server/core/dataset/persistence.h"
#include "server/core/run/dispatch.h"
#include "server/core/run/request_batch.h"
#include "server/core/run/run.h"
#include "server/core/run/stream_fault.h"
#include "server/core/session/session.h"
#include "server/core/session/transaction.h"
#include "server/core/settings.h"
#include "server/net/loop.h"

struct master_stream {
    struct core *core;
    struct session session;
    int64_t since_ms;
    struct outq nowhere;
    struct resp_request partial;
    struct request_batch batch;
    size_t ahead;
};

struct master_stream *master_stream_new(struct core *core)
{
    struct master_stream *m = mem_calloc(1, sizeof *m);
    m->core = core;
    session_init(&m->session, core, SESSION_MASTER, &m->nowhere);
    m->session.reply.error_text = stream_fault_error_room(core->stream_faults);
    resp_request_init(&m->partial);
    request_batch_init(&m->batch);
    return m;
}

void master_stream_reset(struct master_stream *m, int db)
{
    if (m->session.transaction) transaction_discard(m->core->watches, &m->session);
    resp_request_free(&m->partial);
    resp_request_init(&m->partial);
    m->session.db = keyspace_database(m->core->keyspace, db < 0 ? 0 : db);
    m->session.id = session_next_id();
    m->session.running_command = NULL;
    m->since_ms = loop_monotonic_ms(m->core->loop);
    m->session.stream_broken = false;
    m->ahead = 0;
    stream_faults_forget(m->core->stream_faults);
}

int master_stream_db(const struct master_stream *m)
{
    return database_index(m->session.db);
}

const struct session *master_stream_session(const struct master_stream *m, int64_t *since_ms)
{
    *since_ms = m->since_ms;
    return &m->session;
}

/* A write of our master cannot be refused. Where its dataset outgrows our record store, we stop following it, and say
 * so, before the store ends. */
static bool has_room(struct master_stream *m, const struct request *request)
{
    const struct database *db = m->session.db;
    if (likely(!keyspace_pressed()) || !request->command || !database_reserve_is_low(db)) return true;
    if (!(request->command->row->flags & CMD_DENYOOM)) return true;
    log_warning("DB %d is full after %zu keys: our master's %s cannot be applied, and its stream is given up",
                database_index(db), database_size(db), request->command->full_name);
    stream_fault_say(m->core->stream_faults, "DB %d is full after %zu keys: %s cannot be applied", database_index(db),
                     database_size(db), request->command->full_name);
    m->session.stream_broken = true;
    return false;
}

static void run_one(struct master_stream *m, const struct request *request, uint64_t changes_before)
{
    if (unlikely(!has_room(m, request))) return;
    uint32_t errors = m->session.reply.errors;
    dispatch_request(m->core, &m->session, request);
    if (unlikely(m->session.reply.errors != errors)) stream_fault_judge(m->core, &m->session, request, changes_before);
}

/* A transaction that was begun has run in part where the dataset has changed in it. */
static struct apply_result ended(const struct master_stream *m, size_t applied, uint64_t changes_before)
{
    bool changed = persistence_state(m->core)->changes_since_save != changes_before;
    return (struct apply_result){.applied = applied,
                                 .end = changed ? APPLY_ENDED_INSIDE : APPLY_ENDED,
                                 .why = stream_fault_reason(m->core->stream_faults)};
}

struct apply_result master_stream_apply(struct master_stream *m, const uint8_t *data, size_t len)
{
    const struct persistence_state *state = persistence_state(m->core);
    const struct resp_limits limits = {
        .max_bulk_bytes = m->core->settings->net.max_bulk_bytes,
        .max_multibulk = INT32_MAX,
        .max_inline_bytes = 64 * 1024,
    };
    struct request_batch *batch = &m->batch;
    size_t read = m->ahead, applied = 0;
    batch->status = RESP_COMPLETE;
    while (read < len && batch->status == RESP_COMPLETE) {
        request_batch_parse(batch, &m->partial, &limits, bytes_make(data + read, len - read), REQUEST_BATCH);
        request_batch_look_up(batch, m->core, &m->session);
        request_batch_fetch_records(batch, &m->session);
        request_batch_fetch_elements(batch, &m->session);
        run_chain_start();
        for (size_t i = 0; i < batch->count; i++) {
            uint64_t changes = state->changes_since_save;
            if (batch->prepared[i].argc) run_one(m, &batch->prepared[i], changes);
            if (unlikely(m->session.stream_broken)) return ended(m, applied, changes);
            read += batch->prepared[i].taken;
            if (!m->session.transaction) applied = read;
        }
    }
    if (batch->status == RESP_ERROR) {
        stream_fault_say(m->core->stream_faults, "protocol error: %s", m->partial.error);
        return ended(m, applied, state->changes_since_save);
    }
    m->ahead = read - applied;
    return (struct apply_result){.applied = applied};
}
