/* The connection itself: greeting, authentication, protocol version, database, goodbye. Server process. */
#include "server/acl/users.h"
#include "server/base/alloc.h"
#include "server/base/number.h"
#include "server/commands/connection.h"
#include "server/commands/tables.h"
#include "server/core/clients/clients.h"
#include "server/core/command/stats.h"
#include "server/core/core.h"
#include "server/core/run/call.h"
#include "server/core/run/permission.h"
#include "server/core/session/session_end.h"
#include "server/core/settings.h"
#include "server/core/version.h"
#include "repl/replication.h"

static void ping_command(struct call *call)
{
    const struct session *s = call->session;
    if (call->argc > 2) return reply_error(call->reply, "ERR wrong number of arguments for 'ping' command");
    if (s->reply.protocol == 2 && s->subscriptions) {
        reply_array(call->reply, 2);
        reply_bulk_text(call->reply, "pong");
        reply_bulk(call->reply, call->argc == 2 ? call->argv[1] : BYTES(""));
    } else if (call->argc == 2) {
        reply_bulk(call->reply, call->argv[1]);
    } else {
        reply_simple(call->reply, "PONG");
    }
}

static void echo_command(struct call *call)
{
    reply_bulk(call->reply, call->argv[1]);
}

static void select_command(struct call *call)
{
    int64_t index;
    if (!call_arg_range(call, 1, INT32_MIN, INT32_MAX, &index, NULL)) return;
    struct database *db = call_database(call, index);
    if (!db) return;
    call->session->db = db;
    reply_ok(call->reply);
}

static void quit_command(struct call *call)
{
    reply_ok(call->reply);
    if (call->session->client) client_close_after_reply(call->session->client);
}

static void reset_command(struct call *call)
{
    struct client *client = call->session->client;
    if (!client || client->follower) return reply_error(call->reply, "ERR can only reset normal client connections");
    tracking_stop(call->core->tracking, call->session);
    session_reset(call->core, call->session);
    reply_simple(call->reply, "RESET");
}

/* --- who are you --- */

static const char client_names[] = "Client names"; /* what an error calls them */
static const char wrong_password[] = "WRONGPASS invalid username-password pair or user is disabled.";

static bool authenticate(struct call *call, struct bytes name, struct bytes password)
{
    struct user *user = users_find(call->core->users, name);
    if (user && user_admits(user, password)) {
        call->session->user = user;
        call->session->adopted = false;
        return true;
    }
    acl_note_login_denied(call->core, call->session, call->argv[0], name);
    reply_error(call->reply, wrong_password);
    return false;
}

static void auth_command(struct call *call)
{
    if (call->argc > 3) return call_syntax_error(call);
    for (uint32_t i = 1; i < call->argc; i++) call_secret_arg(call, i);
    if (call->argc == 2 && call->core->users->default_user->no_password)
        return reply_error(
            call->reply,
            "ERR AUTH <password> called without any password configured for the default user. Are you sure "
            "your configuration is correct?");
    struct bytes user = call->argc == 3 ? call->argv[1] : BYTES("default");
    if (authenticate(call, user, call->argv[call->argc - 1])) reply_ok(call->reply);
}

/* Printable, no blank: a name goes into CLIENT LIST's line. */
static bool is_plain_name(struct bytes name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.ptr[i] < '!' || name.ptr[i] > '~') return false;
    return true;
}

static bool check_text(struct call *call, struct bytes text, const char *what)
{
    if (is_plain_name(text)) return true;
    reply_errorf(call->reply, "ERR %s cannot contain spaces, newlines or special characters.", what);
    return false;
}

bool connection_set_text(struct call *call, struct bytes *where, struct bytes text, const char *what)
{
    if (!check_text(call, text, what)) return false;
    mem_free((void *)where->ptr);
    *where = (struct bytes){0};
    if (text.len) *where = bytes_make(memcpy(mem_alloc(text.len), text.ptr, text.len), text.len);
    return true;
}

static void reply_hello(struct call *call)
{
    bool watches = call->core->sentinel != NULL;
    reply_map(call->reply, watches ? 6 : 7);
    reply_bulk_text(call->reply, "server");
    reply_bulk_text(call->reply, "redis");
    reply_bulk_text(call->reply, "version");
    reply_bulk_text(call->reply, REDIS_VERSION);
    reply_bulk_text(call->reply, "proto");
    reply_integer(call->reply, call->reply->protocol);
    reply_bulk_text(call->reply, "id");
    reply_integer(call->reply, (int64_t)call->session->id);
    reply_bulk_text(call->reply, "mode");
    reply_bulk_text(call->reply, watches ? "sentinel" : "standalone");
    if (!watches) {
        reply_bulk_text(call->reply, "role");
        reply_bulk_text(call->reply, replication_is_replica(call->core->replication) ? "replica" : "master");
    }
    reply_bulk_text(call->reply, "modules");
    reply_array(call->reply, 0);
}

struct hello {
    int64_t version; /* 0: as it is */
    uint32_t name;   /* the argument, as is the user's name, which the password follows; 0: not given */
    uint32_t user;
};

/* Of an option that comes again the last counts. false: answered. */
static bool read_hello(struct call *call, struct hello *h)
{
    *h = (struct hello){0};
    if (call->argc >= 2) {
        if (!call_arg_i64(call, 1, &h->version, "ERR Protocol version is not an integer or out of range")) return false;
        if (h->version < 2 || h->version > 3)
            return reply_error(call->reply, "NOPROTO unsupported protocol version"), false;
    }
    for (uint32_t i = 2; i < call->argc; i++) {
        uint32_t more = call->argc - 1 - i;
        if (call_arg_is(call, i, "auth") && more >= 2) {
            call_secret_arg(call, i + 1);
            call_secret_arg(call, i + 2);
            h->user = i + 1;
            i += 2;
        } else if (call_arg_is(call, i, "setname") && more >= 1) {
            h->name = ++i;
            if (!check_text(call, call->argv[i], client_names)) return false;
        } else {
            reply_errorf(call->reply, "ERR Syntax error in HELLO option '%.*s'", (int)call->argv[i].len,
                         (const char *)call->argv[i].ptr);
            return false;
        }
    }
    return true;
}

/* All of it or nothing. */
static void hello_command(struct call *call)
{
    struct hello h;
    if (!read_hello(call, &h)) return;
    if (h.user && !authenticate(call, call->argv[h.user], call->argv[h.user + 1])) return;
    if (!call->session->user)
        return reply_error(
            call->reply,
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH "
            "<user> <pass> option can be used to authenticate the client and select the RESP protocol version at the "
            "same time");
    if (h.name && !connection_set_text(call, &call->session->name, call->argv[h.name], client_names)) return;
    if (h.version) call->reply->protocol = (uint8_t)h.version;
    reply_hello(call);
}

#define ALWAYS (CMD_LOADING | CMD_STALE | CMD_FAST)
/* Whoever wants to leave, or to begin anew, may do so at any time. */
#define LEAVING                                                                                                        \
    (ALWAYS | CMD_NOSCRIPT | CMD_NO_AUTH | CMD_ALLOW_BUSY | CMD_NOT_QUEUED | CMD_ENDS_MULTI | CMD_IN_SUBSCRIBED)

const struct command connection_commands[] = {
    {"ping", ping_command, -1, CMD_FAST | CMD_SENTINEL | CMD_TELLS_HEALTH | CMD_IN_SUBSCRIBED, CAT_CONNECTION,
     .tips = TIP_REQUEST_ALL_SHARDS | TIP_RESPONSE_ALL_SUCCEEDED},
    {"echo", echo_command, 2, ALWAYS, CAT_CONNECTION},
    {"select", select_command, 2, ALWAYS, CAT_CONNECTION},
    {"auth", auth_command, -2, ALWAYS | CMD_NOSCRIPT | CMD_NO_AUTH | CMD_SENTINEL | CMD_ALLOW_BUSY, CAT_CONNECTION},
    {"hello", hello_command, -1, ALWAYS | CMD_NOSCRIPT | CMD_NO_AUTH | CMD_SENTINEL | CMD_ALLOW_BUSY, CAT_CONNECTION},
    {"quit", quit_command, -1, LEAVING, CAT_CONNECTION},
    {"reset", reset_command, 1, LEAVING, CAT_CONNECTION},
    {.name = NULL},
};
