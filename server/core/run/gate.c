/* See gate.h. Server process.
 *
 * It asks its questions in Redis's order, because a request that fails several of them must get Redis's answer. Each
 * question is one comparison when its feature is unused: this is the path of every command. */
#include "server/core/run/gate.h"

#include "repl/replication.h"
#include "server/base/check.h"
#include "server/core/core.h"
#include "server/core/dataset/append_only.h"
#include "server/core/dataset/memory_limit.h"
#include "server/core/dataset/persistence.h"
#include "server/core/run/permission.h"
#include "server/core/session/busy.h"
#include "server/core/session/pause.h"
#include "server/core/session/session.h"
#include "server/core/session/transaction.h"
#include "server/core/settings.h"
#include "server/net/loop.h"

#include <stdio.h>

static struct verdict refused(const char *error)
{
    return (struct verdict){.way = GATE_REFUSE, .error = error};
}

/* --- requests that are none --- */

/* A browser made to talk to us by somebody else's page: its commands would do harm. */
static bool is_web_request(const struct session *s, const struct request *r)
{
    return s->owner && (bytes_equal_nocase(r->argv[0], "post") || bytes_equal_nocase(r->argv[0], "host:"));
}

static const char *unknown_command(const struct request *r, char room[GATE_ERROR_MAX])
{
    char args[128 + 8] = "";
    size_t len = 0;
    for (uint32_t i = 1; i < r->argc && len < 128; i++) {
        size_t left = 128 - len;
        int shown = (int)(r->argv[i].len < left ? r->argv[i].len : left);
        len += (size_t)snprintf(args + len, sizeof args - len, "'%.*s' ", shown, (const char *)r->argv[i].ptr);
        if (len > sizeof args - 1) len = sizeof args - 1;
    }
    int name = (int)(r->argv[0].len < 128 ? r->argv[0].len : 128);
    snprintf(room, GATE_ERROR_MAX, "ERR unknown command '%.*s', with args beginning with: %s", name,
             (const char *)r->argv[0].ptr, args);
    return room;
}

static const char *unknown_subcommand(const struct request *r, char room[GATE_ERROR_MAX])
{
    snprintf(room, GATE_ERROR_MAX, "ERR unknown subcommand '%.*s'. Try %s HELP.",
             (int)(r->argv[1].len < 128 ? r->argv[1].len : 128), (const char *)r->argv[1].ptr, r->command->row->name);
    for (char *c = strstr(room, "Try ") + 4; *c && *c != ' '; c++)
        if (*c >= 'a' && *c <= 'z') *c = (char)(*c - 32);
    return room;
}

static struct verdict judge_malformed(const struct session *s, const struct request *r, char room[GATE_ERROR_MAX])
{
    if (!r->command)
        return is_web_request(s, r) ? (struct verdict){.way = GATE_CUT_OFF} : refused(unknown_command(r, room));
    if (r->command->subcommand_count && r->argc >= 2) return refused(unknown_subcommand(r, room));
    snprintf(room, GATE_ERROR_MAX, "ERR wrong number of arguments for '%s' command", r->command->full_name);
    return refused(room);
}

/* --- requests that the user's rules forbid --- */

static __attribute__((noinline)) struct verdict denied(const struct user *u, const struct request *r,
                                                       struct acl_denial denial, char room[GATE_ERROR_MAX])
{
    struct acl_text text = {0};
    acl_add_denial(&text, u, r, denial);
    snprintf(room, GATE_ERROR_MAX, "%s", (const char *)text.ptr);
    acl_text_free(&text);
    return (struct verdict){.way = GATE_REFUSE, .by_rules = true, .error = room};
}

/* --- requests at the wrong time --- */

/* EXEC is judged by what it will run. */
static uint32_t effective_flags(const struct core *core, const struct session *s, const struct request *r)
{
    const struct command *row = r->command->row;
    uint32_t own = row->flags;
    if (unlikely(own & CMD_OWN_FLAGS)) own = row->request_flags(core, own, r->argc, r->argv);
    if (likely(!s->transaction) || !(own & CMD_RUNS_QUEUE)) return own;
    uint32_t queued = transaction_flags(s);
    return ((own | queued) & ~(uint32_t)CMD_LEAVES) | (own & queued & CMD_LEAVES);
}

/* What protects the data on disk; on a replica from all but its master. NULL: go on. */
static const char *disk_refusal(const struct core *core, const struct session *s, char room[GATE_ERROR_MAX])
{
    int error = append_only_write_error(core);
    if (unlikely(persistence_write_refused(core)) && !session_is_obeyed(s))
        return "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. "
               "Commands that may modify the data set are disabled, because this instance is configured to report "
               "errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the "
               "Redis logs for details about the RDB error.";
    if (unlikely(error) && !session_is_obeyed(s)) {
        snprintf(room, GATE_ERROR_MAX, "MISCONF Errors writing to the AOF file: %s", strerror(error));
        return room;
    }
    return NULL;
}

/* What protects the data: replicas, role. Only for commands that write. NULL: go on. */
static const char *write_refusal(const struct core *core, const struct session *s, bool replica)
{
    const struct repl_settings *repl = &core->settings->repl;
    if (unlikely(!replica && repl->min_replicas_to_write && repl->min_replicas_max_lag_s &&
                 replication_good_followers(core->replication) < repl->min_replicas_to_write))
        return "NOREPLICAS Not enough good replicas to write.";
    if (unlikely(replica && repl->read_only && !session_is_obeyed(s)))
        return "READONLY You can't write against a read only replica.";
    return NULL;
}

/* DEBUG is a door for those who are let in: enable-debug-command no, yes, or local. */
static const char *protection_refusal(const struct core *core, const struct session *s)
{
    int enabled = core->settings->server.enable_debug_command;
    if (enabled == 1 || !s->owner || (enabled == 2 && s->owner->is_local(s))) return NULL;
    return "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it "
           "from a local connection, otherwise you need to set this option in the configuration file, and then restart "
           "the server.";
}

bool gate_is_stale(const struct core *core)
{
    return replication_is_replica(core->replication) && !core->settings->repl.serve_stale_data &&
           !replication_master_link_up(core->replication);
}

static bool refused_while_loading(const struct core *core, uint32_t flags)
{
    return persistence_state(core)->async_loading ? flags & CMD_NO_ASYNC_LOADING : !(flags & CMD_LOADING);
}

static const char *state_refusal(const struct core *core, const struct session *s, const struct command_entry *e,
                                 uint32_t flags, bool replica, char room[GATE_ERROR_MAX])
{
    if (unlikely(s->subscriptions && s->reply.protocol == 2) && !(e->row->flags & CMD_IN_SUBSCRIBED)) {
        snprintf(room, GATE_ERROR_MAX,
                 "ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in "
                 "this context",
                 e->full_name);
        return room;
    }
    if (unlikely(replica) && !(flags & CMD_STALE) && !session_is_obeyed(s) && gate_is_stale(core))
        return s->kind == SESSION_SCRIPT ? "ERR Can not execute the command on a stale replica" : GATE_STALE_ERROR;
    if (unlikely(persistence_state(core)->loading) && !session_is_obeyed(s) && refused_while_loading(core, flags))
        return "LOADING Redis is loading the dataset in memory";
    return NULL;
}

/* Without bound, as long as a transaction is not brought to its end. */
static bool queueing_takes_memory(const struct session *s, const struct command_entry *e)
{
    return s->transaction && !(e->row->flags & CMD_ENDS_MULTI);
}

/* What would only be queued is held, too. */
static bool held_by_pause(const struct core *core, const struct session *s, uint32_t flags)
{
    if (likely(!pauses_any(core->pauses)) || !s->owner || s->owner->is_replica(s)) return false;
    enum pause_kind pause = pauses_now(core->pauses, loop_monotonic_ms(core->loop));
    bool writes = (flags & (CMD_WRITE | CMD_MAY_REPLICATE)) != 0;
    return pause == PAUSE_ALL || (pause == PAUSE_WRITE && writes);
}

/* Not in the middle of a script, nor for those who are never refused. */
static bool may_evict(const struct core *core, const struct session *s)
{
    return s->kind != SESSION_SCRIPT && !session_is_obeyed(s) && !is_busy(core->busy);
}

struct verdict gate_judge(struct core *core, const struct session *s, const struct request *r,
                          char room[GATE_ERROR_MAX])
{
    const struct command_entry *e = r->command;
    const char *error;
    if (unlikely(!request_is_well_formed(r))) return judge_malformed(s, r, room);
    uint32_t flags = effective_flags(core, s, r);
    if (unlikely(!s->user) && !(flags & CMD_NO_AUTH)) return refused("NOAUTH Authentication required.");
    if (unlikely(flags & CMD_PROTECTED) && (error = protection_refusal(core, s))) return refused(error);
    if (likely(s->user) && unlikely(!s->user->unrestricted)) {
        struct acl_denial denial = acl_check(s->user, e, r->argc, r->argv);
        if (denial.reason != ACL_ALLOWED) return denied(s->user, r, denial, room);
    }
    if (unlikely(core->settings->keyspace.maxmemory_bytes || keyspace_pressed()) && may_evict(core, s) &&
        (error = memory_limit_refusal(core, (flags & CMD_DENYOOM) || queueing_takes_memory(s, e))))
        return refused(error);
    if (((flags & CMD_WRITE) || (e->row->flags & CMD_TELLS_HEALTH)) && (error = disk_refusal(core, s, room)))
        return refused(error);
    bool replica = replication_is_replica(core->replication);
    if ((flags & CMD_WRITE) && (error = write_refusal(core, s, replica))) return refused(error);
    if ((error = state_refusal(core, s, e, flags, replica, room))) return refused(error);
    if (unlikely(is_busy(core->busy)) && s->owner && !(flags & CMD_ALLOW_BUSY)) return refused(core->busy->refusal);
    if (unlikely(held_by_pause(core, s, flags))) return (struct verdict){.way = GATE_HOLD};
    if (likely(!s->transaction) || (e->row->flags & CMD_NOT_QUEUED)) return (struct verdict){.way = GATE_RUN};
    if (flags & CMD_NO_MULTI) return refused("ERR Command not allowed inside a transaction");
    return (struct verdict){.way = GATE_QUEUE};
}
