/* The seams below core/: what repl/ and keyspace/ need of the server without knowing it. Server process. */
#include "server/core/replication_host.h"

#include "server/base/alloc.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/core/clients/clients.h"
#include "server/core/command/stats.h"
#include "server/core/config/config.h"
#include "server/core/core.h"
#include "server/core/dataset/append_only.h"
#include "server/core/dataset/children.h"
#include "server/core/dataset/memory_limit.h"
#include "server/core/dataset/own_keys.h"
#include "server/core/dataset/persistence.h"
#include "server/core/observe/latency.h"
#include "server/core/os/oom_score.h"
#include "server/core/os/supervisor.h"
#include "server/core/run/master_stream.h"
#include "server/core/run/wait.h"
#include "server/core/session/blocking.h"
#include "server/core/session/notify.h"
#include "server/core/session/busy.h"
#include "server/core/session/pause.h"
#include "server/core/session/pubsub.h"
#include "server/core/session/key_watchers.h"
#include "server/core/settings.h"
#include "server/core/tls.h"

/* --- the master's side --- */

static pid_t fork_snapshot(void *context, int (*body)(void *arg), void (*ended)(void *arg, bool good, int signal),
                           void *arg)
{
    struct core *core = context;
    struct child_job job = {.purpose = CHILD_FULL_SYNC, .body = body, .ended = ended, .arg = arg};
    return children_start(core->children, &job) ? -1 : children_pid(core->children);
}

static void kill_snapshot(void *context)
{
    struct core *core = context;
    children_dismiss(core->children, CHILD_FULL_SYNC);
}

static void report_snapshot_keys(void *context, uint64_t keys)
{
    struct core *core = context;
    child_report_keys(core->children, keys);
}

static struct rdb_aux snapshot_aux(void *context)
{
    return persistence_aux(context);
}

static void forget_stream_db(void *context)
{
    struct core *core = context;
    propagate_forget_db(core->propagation);
}

static void propagate(void *context, uint32_t argc, const struct bytes *argv)
{
    struct core *core = context;
    propagate_command(core->propagation, -1, argc, argv);
}

static void follower_gone(void *context, void *client)
{
    struct client *c = client;
    (void)context;
    c->follower = NULL;
    client_close(c);
}

static bool acks_moved(void *context)
{
    return wait_check_all(context);
}

/* --- the replica's side --- */

static void secure(void *context, struct conn *conn)
{
    struct core *core = context;
    if (core->settings->tls.tls_replication) conn_secure(conn, core->tls->client);
}

static int announced_port(void *context)
{
    struct core *core = context;
    return core->settings->tls.tls_replication ? core->settings->tls.tls_port : core->settings->net.port;
}

static struct apply_result apply(void *context, const uint8_t *data, size_t len)
{
    struct core *core = context;
    return master_stream_apply(core->master_stream, data, len);
}

static void apply_reset(void *context, int db)
{
    struct core *core = context;
    master_stream_reset(core->master_stream, db);
}

static int stream_db(void *context)
{
    struct core *core = context;
    return replication_is_replica(core->replication) ? master_stream_db(core->master_stream)
                                                     : propagation_db(core->propagation);
}

static void begin_loading(void *context, uint64_t total_bytes, bool beside)
{
    struct core *core = context;
    loading_begin(core, total_bytes);
    persistence_state(core)->async_loading = beside;
}

static void progress_loading(void *context, uint64_t loaded_bytes)
{
    struct core *core = context;
    persistence_state(core)->loading_loaded_bytes = loaded_bytes;
}

static void note_loaded_keys(void *context, uint64_t loaded, uint64_t expired)
{
    struct persistence_state *s = persistence_state(context);
    s->last_load_keys_loaded = loaded;
    s->last_load_keys_expired = expired;
}

static void end_loading(void *context, bool good)
{
    loading_end(context, good);
    if (good) persistence_dataset_received(context);
}

static void dataset_replaced(void *context)
{
    struct core *core = context;
    persistence_withdraw_child(core);
    key_watchers_tell_database(core->key_watchers,
                               &(struct database_change){.db = -1, .now_ms = loop_wall_ms(core->loop)});
    own_keys_forget_all(core->own_keys);
}

static bool keeps_snapshots(void *context)
{
    return persistence_keeps_received(context);
}

static void keep_snapshot(void *context, struct received_file *file)
{
    persistence_keep_received(context, file);
}

static void synchronised(void *context, bool partial)
{
    (void)context;
    supervisor_tell(partial ? "STATUS=MASTER <-> REPLICA sync: Partial Resynchronization accepted. Ready to accept "
                              "connections in read-write mode.\n"
                            : "STATUS=MASTER <-> REPLICA sync: Finished with success. Ready to accept connections in "
                              "read-write mode.\n");
}

static const char unblocked_text[] =
    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)";

/* Also from one master to another: what somebody waits for belonged to a dataset that is about to go. */
static void role_changed(void *context, bool replica)
{
    struct core *core = context;
    const char *host = NULL;
    int port = 0;
    keyspace_set_replica(core->keyspace, replica);
    oom_score_apply(core);
    replication_master_address(core->replication, &host, &port);
    config_note_replicaof(core->config, host, port); /* CONFIG REWRITE writes down whom we follow now */
    if (replica) {
        blocking_disconnect_all(core->blocking, BLOCKED_KEYS, unblocked_text);
        blocking_disconnect_all(core->blocking, BLOCKED_WAIT, unblocked_text);
    } else {
        /* The stream goes on where our master's stood: what it had selected, our first command may not assume. */
        propagate_forget_db(core->propagation);
    }
}

static uint64_t memory_used(void *context)
{
    (void)context;
    return mem_used();
}

static uint64_t durable_offset(void *context, uint64_t wanted)
{
    struct core *core = context;
    uint64_t durable = append_only_durable_offset(core);
    if (durable < wanted) append_only_watch(core, wanted);
    return durable;
}

static void keep_on_disk(void *context, uint64_t reach)
{
    append_only_settle(context, reach);
}

static void pause_writes(void *context, bool paused)
{
    struct core *core = context;
    if (paused)
        pause_begin(core->pauses, PAUSE_WRITE, INT64_MAX, "failover");
    else
        pause_end(core->pauses, "failover");
}

static bool writes_paused(void *context)
{
    struct core *core = context;
    return is_busy(core->busy) || pauses_now(core->pauses, loop_monotonic_ms(core->loop)) != PAUSE_NONE;
}

/* Each of them hears the others on this channel of each server. */
static bool has_sentinels(void *context)
{
    const struct core *core = context;
    return pubsub_subscribers(core->pubsub, PUBSUB_CHANNEL, BYTES("__sentinel__:hello")) > 0;
}

static bool dataset_in_use(void *context)
{
    const struct core *core = context;
    return is_busy(core->busy);
}

struct replication_host replication_host_of(struct core *core)
{
    return (struct replication_host){
        .context = core,
        .fork_snapshot = fork_snapshot,
        .kill_snapshot = kill_snapshot,
        .report_snapshot_keys = report_snapshot_keys,
        .snapshot_aux = snapshot_aux,
        .forget_stream_db = forget_stream_db,
        .propagate = propagate,
        .follower_gone = follower_gone,
        .acks_moved = acks_moved,
        .writes_paused = writes_paused,
        .pause_writes = pause_writes,
        .has_sentinels = has_sentinels,
        .secure = secure,
        .announced_port = announced_port,
        .apply = apply,
        .apply_reset = apply_reset,
        .stream_db = stream_db,
        .dataset_in_use = dataset_in_use,
        .loading_begin = begin_loading,
        .loading_progress = progress_loading,
        .loaded_keys = note_loaded_keys,
        .loading_end = end_loading,
        .dataset_replaced = dataset_replaced,
        .keeps_snapshots = keeps_snapshots,
        .keep_snapshot = keep_snapshot,
        .role_changed = role_changed,
        .synchronised = synchronised,
        .memory_used = memory_used,
        .durable_offset = durable_offset,
        .keep_on_disk = keep_on_disk,
    };
}

struct replication_stats replication_stats_of(struct core *core)
{
    struct stats *s = core->stats;
    return (struct replication_stats){
        .sync_full = &s->sync_full,
        .sync_partial_ok = &s->sync_partial_ok,
        .sync_partial_err = &s->sync_partial_err,
        .net_input_bytes = &s->net_repl_input_bytes,
        .net_output_bytes = &s->net_repl_output_bytes,
        .replicas_input_bytes = &s->net_input_bytes,
        .output_limit_disconnections = &s->client_output_buffer_limit_disconnections,
    };
}

/* --- the stream out --- */

static bool backlog_wanted(void *context)
{
    struct core *core = context;
    return replication_wants_stream(core->replication);
}

static void backlog_feed(void *context, struct bytes unit)
{
    struct core *core = context;
    replication_feed(core->replication, unit);
}

struct propagation_sink replication_sink_of(struct core *core)
{
    return (struct propagation_sink){.context = core, .wanted = backlog_wanted, .feed = backlog_feed};
}

/* --- keys that come, and that go by themselves --- */

static void key_added(void *context, struct database *db, struct bytes key)
{
    struct core *core = context;
    const struct persistence_state *state = persistence_state(core);
    if (!state->loading || state->async_loading) notify_key_event(core, NOTIFY_NEW, "new", database_index(db), key);
}

static void tell_of_removal(struct core *core, int index, struct bytes key, enum keyspace_removal why)
{
    if (key_watchers_any(core->key_watchers))
        key_watchers_tell(core->key_watchers,
                          &(struct key_change){.db = index, .key = key, .expires = why == KEY_EXPIRED});
    if (why == KEY_EXPIRED)
        notify_key_event(core, NOTIFY_EXPIRED, "expired", index, key);
    else
        notify_key_event(core, NOTIFY_EVICTED, "evicted", index, key);
}

static void key_removing(void *context, struct database *db, struct bytes key, enum keyspace_removal why)
{
    struct core *core = context;
    const struct keyspace_settings *ks = &core->settings->keyspace;
    bool lazy = why == KEY_EXPIRED ? ks->lazyfree_lazy_expire : ks->lazyfree_lazy_eviction;
    bool listened_to = key_watchers_any(core->key_watchers) || core->settings->server.notify_classes;
    propagate_removal(core->propagation, database_index(db), key, lazy);
    if (!listened_to) return;
    size_t before = mem_used();
    tell_of_removal(core, database_index(db), key, why);
    size_t after = mem_used();
    if (why == KEY_EVICTED && after > before) memory_limit_told(core, after - before);
}

/* Replicas are told in the form that every one understands. */
static void fields_expired(void *context, struct database *db, struct bytes key, const struct bytes *fields,
                           size_t count, bool gone)
{
    struct core *core = context;
    int index = database_index(db);
    struct bytes argv[2 + FIELDS_REAPED_AT_ONCE] = {BYTES("HDEL"), key};
    if (count > 0) {
        memcpy(argv + 2, fields, count * sizeof *fields);
        propagate_command(core->propagation, index, (uint32_t)count + 2, argv);
    } else {
        propagate_removal(core->propagation, index, key, core->settings->keyspace.lazyfree_lazy_expire);
    }
    if (key_watchers_any(core->key_watchers))
        key_watchers_tell(core->key_watchers, &(struct key_change){.db = index, .key = key});
    notify_key_event(core, NOTIFY_HASH, "hexpired", index, key);
    if (gone) notify_key_event(core, NOTIFY_GENERIC, "del", index, key);
}

static int64_t time_of_turn(void *context)
{
    struct core *core = context;
    return loop_wall_ms(core->loop);
}

static void key_removed(void *context, enum keyspace_removal why, int64_t took_us)
{
    const struct core *core = context;
    enum latency_event event = why == KEY_EXPIRED ? LATENCY_EXPIRE_DEL : LATENCY_EVICTION_DEL;
    latency_note(core->latency, event, took_us, clock_wall_us() / 1000000);
}

struct keyspace_hooks keyspace_hooks_of(struct core *core)
{
    return (struct keyspace_hooks){
        .context = core,
        .removing = key_removing,
        .removed = key_removed,
        .fields_expired = fields_expired,
        .added = key_added,
        .now_ms = time_of_turn,
    };
}
