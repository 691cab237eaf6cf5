/* CLIENT: what a client may ask and say about itself and others. Server process. */
#include "server/base/alloc.h"
#include "server/base/number.h"
#include "server/commands/block_timeout.h"
#include "server/commands/client_filter.h"
#include "server/commands/client_tracking.h"
#include "server/commands/connection.h"
#include "server/commands/tables.h"
#include "server/commands/text_reply.h"
#include "server/core/clients/clients.h"
#include "server/core/core.h"
#include "server/core/run/call.h"
#include "server/core/session/blocking.h"
#include "server/core/session/pause.h"
#include "server/net/loop.h"
#include "repl/replication.h"

static void client_id(struct call *call)
{
    reply_integer(call->reply, (int64_t)call->session->id);
}

/* --- names --- */

static void client_setname(struct call *call)
{
    if (connection_set_text(call, &call->session->name, call->argv[2], "Client names")) reply_ok(call->reply);
}

static void client_getname(struct call *call)
{
    if (call->session->name.ptr)
        reply_bulk(call->reply, call->session->name);
    else
        reply_null(call->reply);
}

static void client_setinfo(struct call *call)
{
    bool name = call_arg_is(call, 2, "lib-name");
    if (!name && !call_arg_is(call, 2, "lib-ver")) {
        reply_errorf(call->reply, "ERR Unrecognized option '%.*s'", (int)call->argv[2].len,
                     (const char *)call->argv[2].ptr);
        return;
    }
    struct bytes *where = name ? &call->session->lib_name : &call->session->lib_ver;
    if (connection_set_text(call, where, call->argv[3], name ? "lib-name" : "lib-ver")) reply_ok(call->reply);
}

/* --- lists --- */

static void client_info(struct call *call)
{
    struct outq lines = {0};
    if (call->session->client) client_describe(call->session->client, &lines);
    reply_text_of(call->reply, &lines);
}

/* Our master's line stands among the others by its id. */
struct listing {
    struct core *core;
    struct outq *lines;
    bool master_comes;
    uint64_t master_id;
};

static void describe(void *arg, struct client *c)
{
    struct listing *l = arg;
    if (l->master_comes && c->session.id > l->master_id) {
        clients_describe_master(l->core, l->lines);
        l->master_comes = false;
    }
    client_describe(c, l->lines);
}

static void list_matching(struct call *call, const struct client_filter *filter)
{
    struct outq lines = {0};
    struct listing l = {.core = call->core, .lines = &lines};
    l.master_comes = client_filter_matches_master(filter, call->core, &l.master_id);
    client_filter_each(call->core->clients, filter, describe, &l);
    if (l.master_comes) clients_describe_master(call->core, &lines);
    reply_text_of(call->reply, &lines);
}

static void client_list(struct call *call)
{
    struct client_filter filter = {.class_ = -1};
    if (call->argc == 4 && call_arg_is(call, 2, "type")) {
        if (!client_filter_take_type(call, 3, &filter)) return;
    } else if (call->argc > 3 && call_arg_is(call, 2, "id")) {
        filter.ids = call->argv + 3;
        filter.id_count = call->argc - 3;
        for (uint32_t i = 3; i < call->argc; i++) {
            int64_t id;
            if (!call_arg_i64(call, i, &id, "ERR Invalid client ID")) return;
        }
    } else if (call->argc != 2) {
        return call_syntax_error(call);
    }
    list_matching(call, &filter);
}

/* --- CLIENT KILL --- */

struct killing {
    const struct call *call;
    size_t killed;
};

static void kill_one(void *arg, struct client *c)
{
    struct killing *k = arg;
    k->killed++;
    if (c->follower)
        replication_drop_follower(k->call->core->replication, c->follower, "CLIENT KILL");
    else if (c == k->call->session->client)
        client_close_after_reply(c); /* its own answer still goes out */
    else
        client_close(c);
}

static size_t kill_matching(struct call *call, const struct client_filter *filter)
{
    struct killing k = {.call = call};
    uint64_t master_id;
    client_filter_each(call->core->clients, filter, kill_one, &k);
    if (client_filter_matches_master(filter, call->core, &master_id))
        k.killed += replication_drop_master_link(call->core->replication);
    return k.killed;
}

static void client_kill(struct call *call)
{
    struct client_filter filter = {.class_ = -1, .skip = call->session->client};
    if (call->argc == 3) { /* the old form: an address, and the caller itself is not spared */
        filter.skip = NULL;
        filter.address = call->argv[2];
        if (kill_matching(call, &filter))
            reply_ok(call->reply);
        else
            reply_error(call->reply, "ERR No such client");
        return;
    }
    if (client_filter_read(call, 2, &filter)) reply_integer(call->reply, (int64_t)kill_matching(call, &filter));
}

/* --- pause --- */

static void client_pause(struct call *call)
{
    int64_t timeout_ms;
    enum pause_kind kind = PAUSE_ALL;
    if (call->argc > 4) return call_unknown_subcommand(call);
    if (call->argc == 4) {
        if (call_arg_is(call, 3, "write"))
            kind = PAUSE_WRITE;
        else if (!call_arg_is(call, 3, "all"))
            return reply_error(call->reply, "ERR CLIENT PAUSE mode must be WRITE or ALL");
    }
    if (!block_timeout_ms(call, 2, &timeout_ms)) return;
    pause_begin(call->core->pauses, kind, loop_monotonic_ms(call->core->loop) + timeout_ms, "client");
    reply_ok(call->reply);
}

static void client_unpause(struct call *call)
{
    pause_end(call->core->pauses, "client");
    reply_ok(call->reply);
}

/* --- switches --- */

static void client_reply(struct call *call)
{
    struct session *s = call->session;
    if (call_arg_is(call, 2, "on")) {
        session_want_replies(s, true);
        reply_ok(call->reply);
    } else if (call_arg_is(call, 2, "off")) {
        session_want_replies(s, false);
    } else if (call_arg_is(call, 2, "skip")) {
        session_skip_reply(s);
    } else {
        call_syntax_error(call);
    }
}

/* false: answered. */
static bool read_switch(struct call *call, bool *on)
{
    *on = call_arg_is(call, 2, "on");
    if (*on || call_arg_is(call, 2, "off")) return true;
    call_syntax_error(call);
    return false;
}

static void client_no_evict(struct call *call)
{
    bool on;
    if (!read_switch(call, &on)) return;
    call->session->no_evict = on;
    reply_ok(call->reply);
}

static void client_no_touch(struct call *call)
{
    bool on;
    if (!read_switch(call, &on)) return;
    call->session->no_touch = on;
    reply_ok(call->reply);
}

static void client_unblock(struct call *call)
{
    int64_t id;
    if (call->argc > 4) return call_unknown_subcommand(call);
    bool with_error = call->argc == 4 && call_arg_is(call, 3, "error");
    if (call->argc == 4 && !with_error && !call_arg_is(call, 3, "timeout"))
        return reply_error(call->reply, "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
    if (!call_arg_i64(call, 2, &id, NULL)) return;
    struct client *c = clients_find(call->core->clients, (uint64_t)id);
    struct blocked *b = c ? c->session.blocked : NULL;
    if (!b || !b->interrupted || b->kind == BLOCKED_SHUTDOWN) return reply_integer(call->reply, 0);
    if (with_error)
        b->interrupted(b, "UNBLOCKED client unblocked via CLIENT UNBLOCK");
    else
        b->timed_out(b);
    blocking_finish(call->core->blocking, b);
    reply_integer(call->reply, 1);
}

static void client_help(struct call *call)
{
    static const char *const lines[] = {
        "CACHING (YES|NO)",
        "    Enable/disable tracking of the keys for next command in OPTIN/OPTOUT modes.",
        "GETREDIR",
        "    Return the client ID we are redirecting to when tracking is enabled.",
        "GETNAME",
        "    Return the name of the current connection.",
        "ID",
        "    Return the ID of the current connection.",
        "INFO",
        "    Return information about the current client connection.",
        "KILL <ip:port>",
        "    Kill connection made from <ip:port>.",
        "KILL <option> <value> [<option> <value> [...]]",
        "    Kill connections. Options are:",
        "    * ADDR (<ip:port>|<unixsocket>:0)",
        "      Kill connections made from the specified address",
        "    * LADDR (<ip:port>|<unixsocket>:0)",
        "      Kill connections made to specified local address",
        "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
        "      Kill connections by type.",
        "    * USER <username>",
        "      Kill connections authenticated by <username>.",
        "    * SKIPME (YES|NO)",
        "      Skip killing current connection (default: yes).",
        "    * ID <client-id>",
        "      Kill connections by client id.",
        "LIST [options ...]",
        "    Return information about client connections. Options:",
        "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
        "      Return clients of specified type.",
        "    * ID <client-id> [<client-id> ...]",
        "      Return clients of specified IDs only.",
        "UNPAUSE",
        "    Stop the current client pause, resuming traffic.",
        "PAUSE <timeout> [WRITE|ALL]",
        "    Suspend all, or just write, clients for <timeout> milliseconds.",
        "REPLY (ON|OFF|SKIP)",
        "    Control the replies sent to the current connection.",
        "SETNAME <name>",
        "    Assign the name <name> to the current connection.",
        "SETINFO <option> <value>",
        "    Set client meta attr. Options are:",
        "    * LIB-NAME: the client lib name.",
        "    * LIB-VER: the client lib version.",
        "UNBLOCK <clientid> [TIMEOUT|ERROR]",
        "    Unblock the specified blocked client.",
        "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]",
        "         [OPTIN] [OPTOUT] [NOLOOP]",
        "    Control server assisted client side caching.",
        "TRACKINGINFO",
        "    Report tracking status for the current connection.",
        "NO-EVICT (ON|OFF)",
        "    Protect current client connection from eviction.",
        "NO-TOUCH (ON|OFF)",
        "    Will not touch LRU/LFU stats when this mode is on.",
        NULL};
    call_help(call, lines);
}

#define SELF  (CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_SENTINEL)
#define ADMIN (CMD_ADMIN | SELF)

static const struct command client_subcommands[] = {
    {"caching", client_caching, 3, SELF, CAT_CONNECTION},
    {"getname", client_getname, 2, SELF, CAT_CONNECTION},
    {"getredir", client_getredir, 2, SELF, CAT_CONNECTION},
    {"help", client_help, 2, CMD_LOADING | CMD_STALE | CMD_SENTINEL, CAT_CONNECTION},
    {"id", client_id, 2, SELF, CAT_CONNECTION},
    {"info", client_info, 2, SELF, CAT_CONNECTION, .tips = TIP_NONDETERMINISTIC_OUTPUT},
    {"kill", client_kill, -3, ADMIN, CAT_CONNECTION},
    {"list", client_list, -2, ADMIN, CAT_CONNECTION, .tips = TIP_NONDETERMINISTIC_OUTPUT},
    {"no-evict", client_no_evict, 3, ADMIN, CAT_CONNECTION},
    {"no-touch", client_no_touch, 3, SELF, CAT_CONNECTION},
    {"pause", client_pause, -3, ADMIN, CAT_CONNECTION},
    {"reply", client_reply, 3, SELF, CAT_CONNECTION},
    {"setinfo", client_setinfo, 4, SELF, CAT_CONNECTION, .tips = TIP_REQUEST_ALL_NODES | TIP_RESPONSE_ALL_SUCCEEDED},
    {"setname", client_setname, 3, SELF, CAT_CONNECTION, .tips = TIP_REQUEST_ALL_NODES | TIP_RESPONSE_ALL_SUCCEEDED},
    {"tracking", client_tracking, -3, SELF, CAT_CONNECTION},
    {"trackinginfo", client_trackinginfo, 2, SELF, CAT_CONNECTION},
    {"unblock", client_unblock, -3, ADMIN, CAT_CONNECTION},
    {"unpause", client_unpause, 2, ADMIN, CAT_CONNECTION},
    {.name = NULL},
};

const struct command client_commands[] = {
    {"client", call_unknown_subcommand, -2, CMD_SENTINEL, 0, .subcommands = client_subcommands},
    {.name = NULL},
};
