/* The commands of replication: who follows whom, how a replica introduces itself, and what a client may ask about it.
 * Server process; the work is done in repl/. */
#include "repl/replication.h"
#include "repl/wire.h"
#include "server/base/alloc.h"
#include "server/base/log.h"
#include "server/base/number.h"
#include "server/commands/block_timeout.h"
#include "server/commands/tables.h"
#include "server/core/clients/clients.h"
#include "server/core/config/config.h"
#include "server/core/core.h"
#include "server/core/dataset/append_only.h"
#include "server/core/run/call.h"
#include "server/core/run/wait.h"
#include "server/core/session/session.h"
#include "server/core/settings.h"

#include <stdio.h>

#define HOST_BYTES_MAX  256
#define TIMEOUT_MOST_MS (INT64_MAX / 2) /* its end must be a time, too */
#define ID_SHOWN_MAX    64 /* a replication id has 40 digits; what is longer is wrong, and not repeated in full */

static void text_of(struct bytes arg, char *out, size_t room)
{
    snprintf(out, room, "%.*s", (int)(arg.len < room ? arg.len : room - 1), (const char *)arg.ptr);
}

/* --- REPLICAOF, SLAVEOF --- */

/* kind: who asks, a user or a master that steps down. */
static void log_request(struct call *call, const char *what, const char *kind)
{
    struct outq description = {0};
    if (call->session->client) client_describe(call->session->client, &description);
    struct bytes text = outq_front(&description);
    while (text.len && text.ptr[text.len - 1] == '\n') text.len--;
    log_notice("%s (%s request from '%.*s')", what, kind, (int)text.len, (const char *)text.ptr);
    outq_clear(&description);
}

static void stop_following(struct call *call, const char *kind)
{
    struct core *core = call->core;
    if (!replication_is_replica(core->replication)) return;
    config_note_replicaof(core->config, NULL, 0);
    replication_stop_following(core->replication);
    log_request(call, "MASTER MODE enabled", kind);
}

static void follow(struct call *call, const char *host, int port)
{
    struct core *core = call->core;
    char what[HOST_BYTES_MAX + 64];
    config_note_replicaof(core->config, host, port);
    replication_follow(core->replication, host, port);
    snprintf(what, sizeof what, "REPLICAOF %s:%d enabled", host, port);
    log_request(call, what, "user");
}

static void replicaof_command(struct call *call)
{
    struct core *core = call->core;
    const char *current_host;
    char host[HOST_BYTES_MAX];
    int current_port;
    int64_t port;
    if (replication_is_failing_over(core->replication))
        return reply_error(call->reply, "ERR REPLICAOF not allowed while failing over.");
    if (call_arg_is(call, 1, "no") && call_arg_is(call, 2, "one")) {
        stop_following(call, "user");
        return reply_ok(call->reply);
    }
    if (parse_i64(call->argv[2], &port) != 0 || port < 0 || port > 65535)
        return reply_error(call->reply, "ERR Invalid master port");
    if (call->argv[1].len >= sizeof host) return reply_error(call->reply, "ERR Invalid master host");
    text_of(call->argv[1], host, sizeof host);
    if (replication_master_address(core->replication, &current_host, &current_port) && current_port == port &&
        strcasecmp(current_host, host) == 0) {
        log_notice(
            "REPLICAOF would result into synchronization with the master we are already connected with. No operation "
            "performed.");
        return reply_simple(call->reply, "OK Already connected to specified master");
    }
    follow(call, host, (int)port);
    reply_ok(call->reply);
}

/* --- ROLE --- */

static void describe_master(struct call *call)
{
    struct replication *r = call->core->replication;
    int count = replication_followers(r, NULL, 0), online = 0;
    struct follower_view *views = mem_calloc((size_t)count + 1, sizeof *views);
    count = replication_followers(r, views, count);
    for (int i = 0; i < count; i++) online += views[i].state->online;
    reply_array(call->reply, 3);
    reply_bulk_text(call->reply, "master");
    reply_integer(call->reply, (int64_t)replication_history(r)->offset);
    reply_array(call->reply, (size_t)online);
    for (int i = 0; i < count; i++) {
        if (!views[i].state->online) continue;
        reply_array(call->reply, 3);
        reply_bulk_text(call->reply, views[i].ip);
        reply_bulk_integer(call->reply, views[i].port);
        reply_bulk_integer(call->reply, (int64_t)views[i].offset);
    }
    mem_free(views);
}

static void role_command(struct call *call)
{
    struct replication *r = call->core->replication;
    const char *host;
    int port;
    if (!replication_master_address(r, &host, &port)) return describe_master(call);
    const char *refusal = replication_stream_refusal(r); /* ours alone: in Redis a replica goes on as if nothing was */
    reply_array(call->reply, refusal ? 6 : 5);
    reply_bulk_text(call->reply, "slave");
    reply_bulk_text(call->reply, host);
    reply_integer(call->reply, port);
    reply_bulk_text(call->reply, replication_role_state(r));
    reply_integer(call->reply, replication_master_link_up(r) ? (int64_t)replication_applied_offset(r) : -1);
    if (refusal) reply_bulk_text(call->reply, refusal);
}

/* --- REPLCONF --- */

static bool flag_argument(struct call *call, uint32_t i, bool *out)
{
    int64_t value;
    if (!call_arg_range(call, i, 0, 1, &value, NULL)) return false;
    *out = value;
    return true;
}

static bool version_argument(struct call *call, uint32_t i, int *out)
{
    char text[32];
    int major, minor, patch;
    text_of(call->argv[i], text, sizeof text);
    if (sscanf(text, "%d.%d.%d", &major, &minor, &patch) != 3) {
        reply_errorf(call->reply, "ERR Unrecognized version format: %s", text);
        return false;
    }
    *out = major << 16 | minor << 8 | patch;
    return true;
}

static bool address_argument(struct call *call, uint32_t i, struct follower_hello *hello)
{
    struct bytes address = call->argv[i];
    if (address.len >= sizeof hello->announced_ip) {
        reply_errorf(call->reply, "ERR REPLCONF ip-address provided by replica instance is too long: %zu bytes",
                     address.len);
        return false;
    }
    text_of(address, hello->announced_ip, sizeof hello->announced_ip);
    return true;
}

static bool filter_argument(struct call *call, uint32_t i, struct follower_hello *hello)
{
    if (call->argv[i].len && !call_arg_is(call, i, WIRE_FILTER_FUNCTION)) {
        reply_errorf(call->reply, "ERR Unsupported rdb-filter-only option: %.*s", (int)call->argv[i].len,
                     (const char *)call->argv[i].ptr);
        return false;
    }
    hello->functions_only = true;
    return true;
}

/* One option and its value; false: answered with an error. */
static bool hello_option(struct call *call, uint32_t i, struct follower_hello *hello)
{
    if (call_arg_is(call, i, WIRE_LISTENING_PORT)) {
        int64_t port;
        if (!call_arg_range(call, i + 1, 0, 65535, &port, NULL)) return false;
        hello->listening_port = (int)port;
    } else if (call_arg_is(call, i, WIRE_IP_ADDRESS)) {
        return address_argument(call, i + 1, hello);
    } else if (call_arg_is(call, i, WIRE_CAPA)) {
        hello->eof |= call_arg_is(call, i + 1, WIRE_CAPA_EOF);
        hello->psync2 |= call_arg_is(call, i + 1, WIRE_CAPA_PSYNC2);
        hello->lz4 |= call_arg_is(call, i + 1, WIRE_CAPA_LZ4);
        hello->reach |= call_arg_is(call, i + 1, WIRE_CAPA_REACH);
        hello->rdb_channel |= call_arg_is(call, i + 1, WIRE_CAPA_RDB_CHANNEL);
    } else if (call_arg_is(call, i, WIRE_RDB_ONLY)) {
        return flag_argument(call, i + 1, &hello->rdb_only);
    } else if (call_arg_is(call, i, WIRE_RDB_FILTER_ONLY)) {
        return filter_argument(call, i + 1, hello);
    } else if (call_arg_is(call, i, WIRE_VERSION)) {
        return version_argument(call, i + 1, &hello->version);
    } else {
        reply_errorf(call->reply, "ERR Unrecognized REPLCONF option: %.*s", (int)call->argv[i].len,
                     (const char *)call->argv[i].ptr);
        return false;
    }
    return true;
}

/* ACK and GETACK are never answered: an answer would be taken for part of the stream. */
static void replconf_command(struct call *call)
{
    struct client *client = call->session->client;
    if (call->argc % 2 == 0) return call_syntax_error(call);
    for (uint32_t i = 1; i < call->argc; i += 2) {
        if (call_arg_is(call, i, WIRE_ACK)) return;
        if (call_arg_is(call, i, WIRE_GETACK)) {
            if (call->from_master) replication_send_ack(call->core->replication);
            return;
        }
        if (!client) continue;
        if (!client->hello) client->hello = mem_calloc(1, sizeof *client->hello);
        if (!hello_option(call, i, client->hello)) return;
    }
    reply_ok(call->reply);
}

/* --- PSYNC, SYNC --- */

/* A client's socket on its way to the link process. */
struct hand_over {
    struct replication *replication;
    struct follower *follower;
    char answer[256];
};

static void handed_over(void *arg, int fd, const uint8_t *rest, size_t len)
{
    struct hand_over *h = arg;
    replication_take_follower(h->replication, h->follower, fd, bytes_from_text(h->answer), bytes_make(rest, len));
    mem_free(h);
}

/* `asked_id` NULL: SYNC. */
static void become_replica(struct call *call, const char *asked_id, int64_t asked_offset)
{
    static const struct follower_hello silent;
    struct client *client = call->session->client;
    char error[256];
    if (client->conn && conn_unsent(client->conn))
        return reply_error(call->reply, "ERR SYNC and PSYNC are invalid with pending output");
    struct hand_over *h = mem_calloc(1, sizeof *h);
    h->replication = call->core->replication;
    h->follower = replication_accept(h->replication, asked_id, asked_offset, !asked_id,
                                     client->hello ? client->hello : &silent, &client->peer, client, h->answer, error);
    if (!h->follower) {
        mem_free(h);
        return reply_error(call->reply, error);
    }
    client->follower = h->follower;
    client_hand_over(client, handed_over, h);
}

/* The master that steps down tells us to take over, and names the history that it expects us to have. */
static bool take_over(struct call *call, const char *asked_id)
{
    struct core *core = call->core;
    if (!replication_is_replica(core->replication)) {
        reply_error(call->reply, "ERR PSYNC FAILOVER can't be sent to a master.");
        return false;
    }
    if (strcasecmp(asked_id, replication_history(core->replication)->id) != 0) {
        reply_error(call->reply, "ERR PSYNC FAILOVER replid must match my replid.");
        return false;
    }
    log_warning("Failover request received for replid %s.", asked_id);
    stop_following(call, "failover");
    return true;
}

static void psync_command(struct call *call)
{
    char asked_id[ID_SHOWN_MAX];
    int64_t offset;
    if (!call->session->client || call->session->client->follower) return;
    text_of(call->argv[1], asked_id, sizeof asked_id);
    if (call->argc > 3 && call_arg_is(call, 3, WIRE_FAILOVER) && !take_over(call, asked_id)) return;
    if (!call_arg_i64(call, 2, &offset, NULL)) return;
    become_replica(call, asked_id, offset);
}

static void sync_command(struct call *call)
{
    if (!call->session->client || call->session->client->follower) return;
    become_replica(call, NULL, -1);
}

/* --- WAIT, WAITAOF --- */

static void wait_command(struct call *call)
{
    int64_t replicas, timeout_ms;
    if (replication_is_replica(call->core->replication))
        return reply_error(call->reply,
                           "ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a "
                           "replica is configured to be writable (which is not the default) writes to replicas are "
                           "just local and are not propagated.");
    if (!call_arg_i64(call, 1, &replicas, NULL)) return;
    if (!block_timeout_ms(call, 2, &timeout_ms)) return;
    wait_start(call, &(struct wait_goal){.replicas = replicas}, timeout_ms);
}

static void waitaof_command(struct call *call)
{
    struct core *core = call->core;
    int64_t local, replicas, timeout_ms;
    if (!call_arg_range(call, 1, 0, 1, &local, NULL)) return;
    if (!call_arg_range(call, 2, 0, INT64_MAX, &replicas, "ERR value is out of range, must be positive")) return;
    if (!block_timeout_ms(call, 3, &timeout_ms)) return;
    if (replication_is_replica(core->replication))
        return reply_error(call->reply,
                           "ERR WAITAOF cannot be used with replica instances. Please also note that writes "
                           "to replicas are just local and are not propagated.");
    if (local && !append_only_is_on(core)) return reply_error(call->reply, WAITAOF_WITHOUT_FILE);
    wait_start(call, &(struct wait_goal){.replicas = replicas, .disks = true, .local = local}, timeout_ms);
}

/* --- FAILOVER --- */

struct failover_request {
    bool abort, force, to;
    char host[HOST_BYTES_MAX];
    int64_t port, timeout_ms;
};

/* false: answered with an error. */
static bool parse_failover(struct call *call, struct failover_request *f)
{
    for (uint32_t i = 1; i < call->argc; i++) {
        uint32_t left = call->argc - i - 1;
        if (call_arg_is(call, i, "abort") && call->argc == 2) {
            f->abort = true;
        } else if (call_arg_is(call, i, "timeout") && left >= 1 && !f->timeout_ms) {
            if (!call_arg_i64(call, ++i, &f->timeout_ms, NULL)) return false;
            if (f->timeout_ms <= 0 || f->timeout_ms > TIMEOUT_MOST_MS) {
                reply_error(call->reply, f->timeout_ms <= 0 ? "ERR FAILOVER timeout must be greater than 0"
                                                            : "ERR timeout is out of range");
                return false;
            }
        } else if (call_arg_is(call, i, "to") && left >= 2 && !f->to) {
            f->to = true;
            text_of(call->argv[i + 1], f->host, sizeof f->host);
            if (!call_arg_i64(call, i + 2, &f->port, NULL)) return false;
            i += 2;
        } else if (call_arg_is(call, i, "force") && !f->force) {
            f->force = true;
        } else {
            call_syntax_error(call);
            return false;
        }
    }
    return true;
}

static void failover_command(struct call *call)
{
    struct replication *r = call->core->replication;
    struct failover_request f = {0};
    char error[256];
    if (!parse_failover(call, &f)) return;
    int status = f.abort ? replication_failover_abort(r, error)
                         : replication_failover(r, f.to ? f.host : NULL, (int)f.port, f.force, f.timeout_ms, error);
    if (status != 0)
        reply_error(call->reply, error);
    else
        reply_ok(call->reply);
}

/* --- the rows --- */

#define FOLLOWING_FLAGS (CMD_ADMIN | CMD_NOSCRIPT | CMD_STALE | CMD_NO_ASYNC_LOADING)
#define SYNCING_FLAGS   (CMD_ADMIN | CMD_NOSCRIPT | CMD_NO_ASYNC_LOADING | CMD_NO_MULTI)

const struct command replication_commands[] = {
    {"replicaof", replicaof_command, 3, FOLLOWING_FLAGS, CAT_ADMIN | CAT_DANGEROUS},
    {"slaveof", replicaof_command, 3, FOLLOWING_FLAGS, CAT_ADMIN | CAT_DANGEROUS},
    {"role", role_command, 1, CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST, CAT_ADMIN | CAT_DANGEROUS},
    {"replconf", replconf_command, -1, CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_ALLOW_BUSY,
     CAT_ADMIN | CAT_DANGEROUS},
    {"psync", psync_command, -3, SYNCING_FLAGS, CAT_ADMIN | CAT_DANGEROUS},
    {"sync", sync_command, 1, SYNCING_FLAGS, CAT_ADMIN | CAT_DANGEROUS},
    {"wait", wait_command, 3, 0, CAT_CONNECTION, .tips = TIP_REQUEST_ALL_SHARDS | TIP_RESPONSE_AGG_MIN},
    {"waitaof", waitaof_command, 4, 0, CAT_CONNECTION, .tips = TIP_REQUEST_ALL_SHARDS | TIP_RESPONSE_AGG_MIN},
    {"failover", failover_command, -1, CMD_ADMIN | CMD_NOSCRIPT | CMD_STALE, CAT_ADMIN | CAT_DANGEROUS},
    {.name = NULL},
};
