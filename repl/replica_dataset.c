/* The master's snapshot becomes our dataset. Server process of the replica.
 *
 * An empty keyspace is filled straight from the wire. Otherwise the old data serves readers until the whole snapshot is
 * here and known to be good: in a file, or with repl-diskless-load swapdb in a second keyspace, which then takes the
 * first one's place at once. From the moment old data is given up until the new is complete, we have no history that
 * anybody could continue: our own replicas are let go; a failure leaves an empty dataset and a full resync to come. */
#include "repl/replica_side.h"

#include "server/base/log.h"

#include <stdio.h>

/* A disk that takes less than some megabytes in this time has stopped, or as good as that. */
#define DISK_PATIENCE_MS 10000

static bool nothing_to_lose(const struct replication *r)
{
    if (r->settings->diskless_load == DISKLESS_LOAD_FLUSH) return true;
    for (int i = 0; i < keyspace_databases(r->keyspace); i++)
        if (database_size(keyspace_database(r->keyspace, i))) return false;
    return true;
}

void replica_begin_transfer(struct replica_side *s, const struct replica_action *full)
{
    struct replication *r = s->r;
    snprintf(s->full_id, sizeof s->full_id, "%s", full->id);
    s->full_offset = full->offset;
    s->full_reach = full->reach;
    if (full->id[0]) log_notice("Full resync from master: %s:%llu", full->id, (unsigned long long)full->offset);
    bool direct = nothing_to_lose(r);
    bool keep = r->settings->diskless_load == DISKLESS_LOAD_DISABLED && r->host.keeps_snapshots(r->host.context);
    if (!direct && r->settings->diskless_load == DISKLESS_LOAD_SWAPDB) s->aside = keyspace_new_beside(r->keyspace);
    s->transfer = transfer_new(s->aside ? s->aside : r->keyspace, r->rdb_settings, loop_wall_ms(r->loop),
                               direct || s->aside, keep);
}

/* --- giving up the old, taking the new --- */

static void begin_replacing(struct replica_side *s, uint64_t total_bytes)
{
    struct replication *r = s->r;
    s->replacing = s->without_dataset = true;
    s->can_continue = false;
    repl_stream_replace(r->stream, NULL, repl_stream_history(r->stream)->offset);
    log_notice("MASTER <-> REPLICA sync: Flushing old data");
    r->host.dataset_replaced(r->host.context);
    keyspace_flush(r->keyspace, true);
    log_notice("MASTER <-> REPLICA sync: Loading DB in memory");
    r->host.loading_begin(r->host.context, total_bytes, false);
}

static void begin_beside(struct replica_side *s, uint64_t total_bytes)
{
    log_notice("MASTER <-> REPLICA sync: Loading DB in memory, beside the old data");
    s->r->host.loading_begin(s->r->host.context, total_bytes, true);
}

static void drop_aside(struct replica_side *s)
{
    keyspace_flush(s->aside, true);
    keyspace_free(s->aside);
    s->aside = NULL;
}

static void take_aside(struct replica_side *s)
{
    log_notice("MASTER <-> REPLICA sync: Discarding old data");
    s->r->host.dataset_replaced(s->r->host.context);
    keyspace_exchange(s->r->keyspace, s->aside);
    drop_aside(s);
}

static void finish_replacing(struct replica_side *s)
{
    struct replication *r = s->r;
    const struct rdb_read_result *result = transfer_result(s->transfer);
    if (s->aside) take_aside(s);
    s->replacing = s->without_dataset = false;
    s->can_continue = s->full_id[0] != '\0';
    s->stream_db = result->aux.repl_stream_db;
    repl_stream_replace(r->stream, s->can_continue ? s->full_id : NULL, s->can_continue ? s->full_offset : 0);
    r->host.loaded_keys(r->host.context, result->keys_loaded, result->keys_expired);
    struct received_file *file = transfer_take_file(s->transfer);
    transfer_free(s->transfer);
    s->transfer = NULL;
    r->host.loading_end(r->host.context, true);
    r->host.dataset_replaced(r->host.context);
    if (file) r->host.keep_snapshot(r->host.context, file);
    log_notice("MASTER <-> REPLICA sync: Finished with success");
    r->host.synchronised(r->host.context, false);
    if (s->can_continue) r->host.keep_on_disk(r->host.context, s->full_reach);
    replica_step(s, &(struct replica_event){.kind = EVENT_LOADED});
}

/* The attempt has failed, or is not wanted any more. */
void replica_abandon_dataset(struct replica_side *s)
{
    struct replication *r = s->r;
    if (s->load_timer) loop_timer_cancel(s->load_timer);
    s->load_timer = NULL;
    s->input_gate = INPUT_OPEN;
    s->awaits_dataset = false;
    bool loading_beside = s->aside && transfer_progress(s->transfer).begun;
    transfer_free(s->transfer);
    s->transfer = NULL;
    if (s->aside) drop_aside(s);
    if (loading_beside) r->host.loading_end(r->host.context, false);
    if (!s->replacing) return;
    s->replacing = false;
    r->host.dataset_replaced(r->host.context);
    keyspace_flush(r->keyspace, true);
    r->host.loading_end(r->host.context, false);
}

/* --- what becomes of a transfer --- */

static void transfer_failed(struct replica_side *s)
{
    char why[512];
    snprintf(why, sizeof why, "%s", transfer_error(s->transfer));
    replica_step(s,
                 &(struct replica_event){.kind = EVENT_FAILED, .text = why, .refused = transfer_refused(s->transfer)});
}

static void transfer_begins(struct replica_side *s)
{
    struct transfer_progress p = transfer_progress(s->transfer);
    const char *where = p.direct ? "parser" : "disk";
    if (p.total_known)
        log_notice("MASTER <-> REPLICA sync: receiving %llu bytes from master to %s", (unsigned long long)p.total_bytes,
                   where);
    else
        log_notice("MASTER <-> REPLICA sync: receiving streamed RDB from master with EOF to %s", where);
    if (s->aside)
        begin_beside(s, p.total_bytes);
    else if (p.direct)
        begin_replacing(s, p.total_bytes);
}

/* --- input that comes too fast --- */

static void input_stopped(struct replica_side *s)
{
    s->input_gate = INPUT_STOPPED;
}

/* Our memory is not the place for a snapshot that the disk, or a loader that is slowed down, does not take: it stays
 * with our master meanwhile. */
static void stop_input(struct replica_side *s)
{
    int64_t patience_ms = DISK_PATIENCE_MS, timeout_ms = (int64_t)s->r->settings->timeout_s * 1000;
    if (timeout_ms && timeout_ms / 2 < patience_ms) patience_ms = timeout_ms / 2;
    s->disk_patience_ms = replication_now_ms(s->r) + patience_ms;
    if (s->input_gate != INPUT_OPEN) return;
    s->input_gate = INPUT_STOPPING;
    replica_pause_reading(s, input_stopped);
}

static bool still_waits(struct replica_side *s)
{
    if (s->input_gate == INPUT_STOPPING) return true;
    if (s->input_gate == INPUT_OPEN || !transfer_disk_is_behind(s->transfer)) return false;
    if (replication_now_ms(s->r) >= s->disk_patience_ms) transfer_give_up_disk(s->transfer);
    return transfer_disk_is_behind(s->transfer);
}

static void open_input(struct replica_side *s)
{
    if (s->input_gate == INPUT_STOPPED && !replica_resume_reading(s))
        replica_failed(s, "I/O error trying to sync with MASTER: connection lost");
}

/* What a slowed reader has left over. */
static int64_t go_on_receiving(void *arg)
{
    struct replica_side *s = arg;
    unsigned life = s->life;
    if (still_waits(s)) return 1;
    struct inbox waiting = s->input;
    s->load_timer = NULL;
    s->input = (struct inbox){0};
    replica_step(s, &(struct replica_event){.kind = EVENT_HEARD});
    s->hooks.deliver(s, waiting.data, waiting.len);
    inbox_clear(&waiting);
    if (s->life == life && s->machine.state == REPLICA_TRANSFER && !s->load_timer) open_input(s);
    return LOOP_TIMER_DONE;
}

/* Bytes taken: all of them in this state. */
static size_t receive_later(struct replica_side *s, const uint8_t *data, size_t len)
{
    inbox_append(&s->input, data, len);
    s->load_timer = loop_timer_start(s->r->loop, 1, go_on_receiving, s);
    stop_input(s);
    return len;
}

/* --- receiving --- */

/* A script may run for longer than a snapshot needs to arrive: it comes into a file meanwhile. */
static void spare_used_dataset(struct replica_side *s)
{
    struct transfer_progress p = transfer_progress(s->transfer);
    if (p.direct && !p.begun && !s->aside && s->r->host.dataset_in_use(s->r->host.context))
        transfer_use_file(s->transfer);
}

size_t replica_receive_snapshot(struct replica_side *s, const uint8_t *data, size_t len)
{
    size_t taken;
    spare_used_dataset(s);
    if (s->aside)
        keyspace_set_access_clock(s->aside, replication_now_ms(s->r)); /* cron does so for the present one alone */
    switch (transfer_feed(s->transfer, data, len, &taken)) {
    case TRANSFER_MORE: break;
    case TRANSFER_BEGINS: transfer_begins(s); break;
    case TRANSFER_COMPLETE: replica_step(s, &(struct replica_event){.kind = EVENT_TRANSFERRED}); return taken;
    case TRANSFER_BAD: transfer_failed(s); return taken;
    }
    if (s->replacing || s->aside)
        s->r->host.loading_progress(s->r->host.context, transfer_progress(s->transfer).loaded_bytes);
    return transfer_slowed(s->transfer) ? taken + receive_later(s, data + taken, len - taken) : taken;
}

/* --- loading from the file --- */

static void load_ended(struct replica_side *s, enum transfer_status status)
{
    if (status == TRANSFER_COMPLETE)
        finish_replacing(s);
    else
        transfer_failed(s);
}

/* One slice a turn: commands are answered and our master hears from us in between. */
static int64_t load_slice(void *arg)
{
    struct replica_side *s = arg;
    enum transfer_status status = transfer_load(s->transfer);
    loop_refresh_time(s->r->loop);
    s->r->host.loading_progress(s->r->host.context, transfer_progress(s->transfer).loaded_bytes);
    if (status == TRANSFER_MORE) return transfer_awaits_disk(s->transfer) ? 1 : 0;
    s->load_timer = NULL;
    load_ended(s, status);
    return LOOP_TIMER_DONE;
}

static void load_from_file(struct replica_side *s)
{
    begin_replacing(s, transfer_progress(s->transfer).total_bytes);
    s->load_timer = loop_timer_start(s->r->loop, 0, load_slice, s);
}

static void take_new(struct replica_side *s)
{
    s->awaits_dataset = s->r->host.dataset_in_use(s->r->host.context);
    if (s->awaits_dataset)
        log_notice("MASTER <-> REPLICA sync: The new data waits for a script that runs on the old");
    else if (s->aside)
        finish_replacing(s);
    else
        load_from_file(s);
}

void replica_load_waiting(struct replica_side *s)
{
    if (s->awaits_dataset && !s->r->host.dataset_in_use(s->r->host.context)) take_new(s);
}

/* Where nothing has to be waited for, and nothing to be read again, the link is read on. */
void replica_load(struct replica_side *s)
{
    bool direct = transfer_progress(s->transfer).direct;
    if (direct && !(s->aside && s->r->host.dataset_in_use(s->r->host.context)))
        finish_replacing(s);
    else
        replica_pause_reading(s, take_new);
}
