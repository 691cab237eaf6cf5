/* Dispatch: from a parsed request to a command that has run, been queued, or been refused. Server process.
 *
 * The gate asks its questions in Redis's order, because a request that fails several of them must get Redis's answer.
 * Each question is one comparison when its feature is unused: this is the path of every command. */
#include "server/core/dispatch.h"

#include "repl/replication.h"
#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/core/block_keys.h"
#include "server/core/clients.h"
#include "server/core/core.h"
#include "server/core/memory_limit.h"
#include "server/core/persistence.h"
#include "server/core/propagate.h"
#include "server/core/settings.h"
#include "server/core/stats.h"
#include "server/core/transaction.h"
#include "server/net/loop.h"

#include <stdio.h>

struct command_entry *dispatch_resolve(struct core *core, uint32_t argc, const struct bytes *argv)
{
    struct command_entry *e = command_table_find(core->commands, argv[0]);
    if (!e || !e->subcommand_count || argc < 2) return e;
    struct command_entry *sub = command_table_find_sub(e, argv[1]);
    return sub ? sub : e;
}

void dispatch_prepare(struct core *core, struct session *session, struct dispatch_request *request)
{
    /* Clients repeat themselves: the last command is the likeliest one, and its name is compared in one go. */
    struct command_entry *e = session->last_command;
    if (!e || e->subcommand_count || e->container || !bytes_equal_nocase(request->argv[0], e->name))
        e = dispatch_resolve(core, request->argc, request->argv);
    request->command = session->last_command = e;
    request->first_key_index = 0;
    if (e && e->first_key && (uint32_t)e->first_key < request->argc) {
        request->first_key_index = (uint32_t)e->first_key;
        request->first_key_hash = key_hash(request->argv[e->first_key]);
    }
}

/* --- running --- */

static void propagate_effects(struct call *call)
{
    if (!call->changes || call->rewritten || call->from_master) return;
    if (!(call->command->row->flags & (CMD_WRITE | CMD_MAY_REPLICATE))) return;
    struct propagation *p = call->core->propagation;
    int db = database_index(call->db);
    if (call->raw.len)
        propagate_raw(p, db, call->raw);
    else
        propagate_command(p, db, call->argc, call->argv);
}

/* One timestamp a command: a command's end is the next one's beginning, as long as nothing else ran in between. */
static uint64_t chained_ticks;

void dispatch_chain_start(void)
{
    chained_ticks = clock_ticks();
}

void dispatch_count_error(struct core *core, struct session *session, struct command_entry *command)
{
    if (likely(session->reply.errors == session->errors_counted)) return;
    session->errors_counted = session->reply.errors;
    command->failed++;
    stats_count_error(core->stats, session->reply.error_prefix);
}

static void count_call(struct call *call, uint64_t started)
{
    chained_ticks = clock_ticks();
    uint64_t ticks = chained_ticks - started;
    struct command_entry *e = call->command;
    e->calls++;
    e->ticks += ticks;
    call->core->stats->commands_processed++;
    dispatch_count_error(call->core, call->session, e);
    if (call->core->settings->server.latency_tracking) stats_count_latency(e, ticks);
}

/* After the command: what it says about its arguments is known, EXEC stands behind its commands, and RESET finds its
 * client no longer watching. */
static void show_monitors(const struct call *call)
{
    if (call->command->row->flags & (CMD_SKIP_MONITOR | CMD_ADMIN)) return;
    clients_feed_monitors(call->core, call->session, call->argc, call->argv, call->secrets);
    dispatch_chain_start();
}

static const struct call *running;

const struct call *dispatch_running(void)
{
    return running;
}

void dispatch_run(struct core *core, struct session *session, const struct dispatch_request *request, int64_t now_ms)
{
    struct call call = {
        .core = core,
        .session = session,
        .db = session->db,
        .command = request->command,
        .argc = request->argc,
        .argv = request->argv,
        .reply = &session->reply,
        .raw = request->raw,
        .now_ms = now_ms,
        .first_key_hash = request->first_key_hash,
        .first_key_index = request->first_key_index,
        .from_master = session->kind == SESSION_MASTER,
    };
    bool waited = session->blocked != NULL; /* and was counted when it began to */
    const struct call *around = running;    /* EXEC */
    running = &call;
    session->running_command = request->command;
    uint64_t started = chained_ticks;
    const uint64_t *offset = &replication_history(core->replication)->offset, offset_before = *offset;
    propagate_begin(core->propagation);
    request->command->row->run(&call);
    propagate_effects(&call);
    propagate_end(core->propagation);
    if (*offset != offset_before) session->written_offset = *offset;
    if (call.changes) persistence_changed(core, call.changes);
    running = around;
    if (unlikely(waited)) request->command->calls--;
    count_call(&call, started);
    if (unlikely(clients_have_monitors(core->clients)) && !waited) show_monitors(&call);
}

/* --- the gate --- */

static bool is_exec(const struct command_entry *e)
{
    return strcmp(e->row->name, "exec") == 0;
}

/* An EXEC that may not run takes its transaction with it. */
static void abort_transaction(struct core *core, struct session *s, const struct dispatch_request *r, const char *error)
{
    const char *reason = strncmp(error, "ERR ", 4) == 0 ? error + 4 : error;
    reply_errorf(&s->reply, "EXECABORT Transaction discarded because of: %s", reason);
    if (s->transaction) transaction_discard(core->watches, s);
    if (clients_have_monitors(core->clients)) clients_feed_monitors(core, s, r->argc, r->argv, 0);
}

static void refuse(struct core *core, struct session *s, const struct dispatch_request *r, const char *error)
{
    struct command_entry *e = r->command;
    if (e) e->rejected++;
    if (e && is_exec(e)) {
        abort_transaction(core, s, r, error);
    } else {
        if (s->transaction) transaction_spoil(s);
        reply_error(&s->reply, error);
    }
    s->errors_counted = s->reply.errors;
    stats_count_error(core->stats, s->reply.error_prefix);
}

/* A browser made to talk to us by somebody else's page: its commands would do harm, so it is cut off without an answer.
 */
static bool is_web_request(struct session *s, const struct dispatch_request *r)
{
    if (!s->client || !(bytes_equal_nocase(r->argv[0], "post") || bytes_equal_nocase(r->argv[0], "host:")))
        return false;
    log_warning("Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: commands to Redis. "
                "This is likely due to an attacker attempting to use Cross Protocol Scripting to compromise your Redis "
                "instance. Connection aborted.");
    client_close(s->client);
    return true;
}

static void refuse_unknown(struct core *core, struct session *s, const struct dispatch_request *r)
{
    char args[128 + 8] = "";
    if (is_web_request(s, r)) return;
    size_t len = 0;
    for (uint32_t i = 1; i < r->argc && len < 128; i++) {
        size_t room = 128 - len;
        int shown = (int)(r->argv[i].len < room ? r->argv[i].len : room);
        len += (size_t)snprintf(args + len, sizeof args - len, "'%.*s' ", shown, (const char *)r->argv[i].ptr);
        if (len > sizeof args - 1) len = sizeof args - 1;
    }
    char error[512];
    int name = (int)(r->argv[0].len < 128 ? r->argv[0].len : 128);
    snprintf(error, sizeof error, "ERR unknown command '%.*s', with args beginning with: %s", name,
             (const char *)r->argv[0].ptr, args);
    refuse(core, s, r, error);
}

static bool arity_fits(const struct command_entry *e, uint32_t argc)
{
    int arity = e->row->arity;
    return arity >= 0 ? (int)argc == arity : (int)argc >= -arity;
}

static bool refuse_malformed(struct core *core, struct session *s, const struct dispatch_request *r)
{
    struct command_entry *e = r->command;
    char error[256];
    if (!e) return refuse_unknown(core, s, r), true;
    if (unlikely(e->subcommand_count && r->argc >= 2)) {
        snprintf(error, sizeof error, "ERR unknown subcommand '%.*s'. Try %s HELP.",
                 (int)(r->argv[1].len < 128 ? r->argv[1].len : 128), (const char *)r->argv[1].ptr, e->row->name);
        for (char *c = strstr(error, "Try ") + 4; *c && *c != ' '; c++)
            if (*c >= 'a' && *c <= 'z') *c = (char)(*c - 32);
        return refuse(core, s, r, error), true;
    }
    if (arity_fits(e, r->argc)) return false;
    snprintf(error, sizeof error, "ERR wrong number of arguments for '%s' command", e->full_name);
    return refuse(core, s, r, error), true;
}

static uint32_t effective_flags(const struct session *s, const struct command_entry *e)
{
    uint32_t own = e->row->flags;
    if (likely(!s->transaction) || !is_exec(e)) return own;
    uint32_t queued = transaction_flags(s);
    return ((own | queued) & ~(uint32_t)CMD_LEAVES) | (own & queued & CMD_LEAVES);
}

/* What protects the data on disk; on a replica from all but its master. NULL: go on. */
static const char *disk_refusal(const struct core *core, const struct session *s)
{
    if (unlikely(persistence_write_refused(core)) && s->kind != SESSION_MASTER)
        return "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. "
               "Commands "
               "that may modify the data set are disabled, because this instance is configured to report errors during "
               "writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for "
               "details about the RDB error.";
    return NULL;
}

/* What protects the data: replicas, role. Only for commands that write. NULL: go on. */
static const char *write_refusal(struct core *core, const struct session *s)
{
    const struct repl_settings *repl = &core->settings->repl;
    bool replica = replication_is_replica(core->replication);
    if (unlikely(!replica && repl->min_replicas_to_write && repl->min_replicas_max_lag_s &&
                 replication_good_followers(core->replication) < repl->min_replicas_to_write))
        return "NOREPLICAS Not enough good replicas to write.";
    if (unlikely(replica && repl->read_only && s->kind != SESSION_MASTER))
        return "READONLY You can't write against a read only replica.";
    return NULL;
}

static bool is_one_of(const struct command_entry *e, const char *const *names)
{
    for (; *names; names++)
        if (strcmp(e->row->name, *names) == 0) return true;
    return false;
}

static bool allowed_while_subscribed(const struct command_entry *e)
{
    static const char *const names[] = {"ping",         "subscribe",    "psubscribe", "ssubscribe", "unsubscribe",
                                        "punsubscribe", "sunsubscribe", "quit",       "reset",      NULL};
    return is_one_of(e, names);
}

/* DEBUG is a door for those who are let in: enable-debug-command no, yes, or local. */
static const char *protection_refusal(struct core *core, const struct session *s)
{
    int enabled = core->settings->server.enable_debug_command;
    if (enabled == 1 || !s->client || (enabled == 2 && address_is_loopback(&s->client->peer))) return NULL;
    return "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it from "
           "a "
           "local connection, otherwise you need to set this option in the configuration file, and then restart the "
           "server.";
}

static bool refused_while_loading(struct core *core, uint32_t flags)
{
    return persistence_state(core)->async_loading ? flags & CMD_NO_ASYNC_LOADING : !(flags & CMD_LOADING);
}

static const char *state_refusal(struct core *core, const struct session *s, const struct command_entry *e,
                                 uint32_t flags, char room[256])
{
    if (unlikely(s->subscriptions && s->reply.protocol == 2) && !allowed_while_subscribed(e)) {
        snprintf(room, 256,
                 "ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in "
                 "this context",
                 e->full_name);
        return room;
    }
    if (unlikely(replication_is_replica(core->replication)) && !core->settings->repl.serve_stale_data &&
        !(flags & CMD_STALE) && !replication_master_link_up(core->replication))
        return "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.";
    if (unlikely(persistence_state(core)->loading) && refused_while_loading(core, flags))
        return "LOADING Redis is loading the dataset in memory";
    return NULL;
}

/* The commands that work on the transaction itself are not queued. */
static bool runs_inside_multi(const struct command_entry *e)
{
    static const char *const names[] = {"exec", "discard", "multi", "watch", "quit", "reset", NULL};
    return is_one_of(e, names);
}

/* Without bound, as long as a transaction is not brought to its end. */
static bool queueing_takes_memory(const struct session *s, const struct command_entry *e)
{
    static const char *const names[] = {"exec", "discard", "quit", "reset", NULL};
    return s->transaction && !is_one_of(e, names);
}

/* What would only be queued is held, too. */
static bool held_by_pause(struct core *core, const struct session *s, uint32_t flags)
{
    enum pause_kind pause = clients_paused(core->clients, loop_monotonic_ms(core->loop));
    if (likely(pause == PAUSE_NONE) || !s->client || client_class(s->client) == CLIENT_REPLICA) return false;
    bool writes = (flags & (CMD_WRITE | CMD_MAY_REPLICATE)) != 0;
    return pause == PAUSE_ALL || writes;
}

void dispatch_request(struct core *core, struct session *s, const struct dispatch_request *r)
{
    struct command_entry *e = r->command;
    char room[256];
    const char *error;
    if (unlikely(!e || e->subcommand_count || !arity_fits(e, r->argc)) && refuse_malformed(core, s, r)) return;
    uint32_t flags = effective_flags(s, e);
    if (unlikely(!s->authenticated) && !(flags & CMD_NO_AUTH))
        return refuse(core, s, r, "NOAUTH Authentication required.");
    if (unlikely(flags & CMD_PROTECTED) && (error = protection_refusal(core, s))) return refuse(core, s, r, error);
    if (unlikely(core->settings->keyspace.maxmemory_bytes || keyspace_pressed()) &&
        (error = memory_limit_refusal(core, (flags & CMD_DENYOOM) || queueing_takes_memory(s, e))))
        return refuse(core, s, r, error);
    if (((flags & CMD_WRITE) || (e->row->flags & CMD_TELLS_HEALTH)) && (error = disk_refusal(core, s)))
        return refuse(core, s, r, error);
    if ((flags & CMD_WRITE) && (error = write_refusal(core, s))) return refuse(core, s, r, error);
    if ((error = state_refusal(core, s, e, flags, room))) return refuse(core, s, r, error);
    if (unlikely(held_by_pause(core, s, flags))) {
        clients_hold(core->clients, s->client);
        return;
    }
    if (unlikely(s->transaction) && !runs_inside_multi(e)) {
        if (flags & CMD_NO_MULTI) return refuse(core, s, r, "ERR Command not allowed inside a transaction");
        transaction_queue(s, e, r->argc, r->argv);
        reply_simple(&s->reply, "QUEUED");
        return;
    }
    dispatch_run(core, s, r, loop_wall_ms(core->loop));
    if (unlikely(block_keys_pending(core->block_keys)) && s->kind != SESSION_SCRIPT) block_keys_serve(core);
}
