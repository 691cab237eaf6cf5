/* What holds for all masters, by name: lines of the configuration file, and SENTINEL CONFIG. Sentinel process.
 *
 * A value is looked at before it is set, so that SENTINEL CONFIG SET of several sets all of them or none. */
#include "server/sentinel/parameters.h"

#include "server/base/alloc.h"
#include "server/base/glob.h"
#include "server/base/log.h"
#include "server/core/config/config.h"
#include "server/core/core.h"
#include "server/core/run/call.h"

#include <stdio.h>
#include <string.h>

#define VALUE_MAX 512

struct parameter {
    const char *name;
    bool (*valid)(struct bytes value);
    void (*set)(struct sentinel_process *p, struct bytes value);
    void (*show)(const struct sentinel_process *p, char out[VALUE_MAX]);
    bool secret, opens_links_anew; /* the other Sentinels are to be greeted with it */
    bool elsewhere;                /* in the file it is no `sentinel` line */
};

static bool is_yes_or_no(struct bytes value)
{
    return bytes_equal_nocase(value, "yes") || bytes_equal_nocase(value, "no");
}

static bool is_host(struct bytes value)
{
    return !value.len || sentinel_host_is_valid(value);
}

static bool is_port(struct bytes value)
{
    int port;
    return bytes_equal_text(value, "0") || sentinel_port_parse(value, &port) == 0;
}

static bool is_text(struct bytes value)
{
    return value.len < VALUE_MAX && !(value.len && memchr(value.ptr, '\0', value.len));
}

static const char *const levels[] = {"debug", "verbose", "notice", "warning", "nothing"};

static bool is_level(struct bytes value)
{
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (bytes_equal_nocase(value, levels[i])) return true;
    return false;
}

static void show_flag(bool flag, char out[VALUE_MAX])
{
    snprintf(out, VALUE_MAX, "%s", flag ? "yes" : "no");
}

static void set_resolve(struct sentinel_process *p, struct bytes value)
{
    p->resolve_hostnames = bytes_equal_nocase(value, "yes");
}

static void show_resolve(const struct sentinel_process *p, char out[VALUE_MAX])
{
    show_flag(p->resolve_hostnames, out);
}

static void set_announce_hostnames(struct sentinel_process *p, struct bytes value)
{
    p->sentinel.settings.announce_hostnames = bytes_equal_nocase(value, "yes");
}

static void show_announce_hostnames(const struct sentinel_process *p, char out[VALUE_MAX])
{
    show_flag(p->sentinel.settings.announce_hostnames, out);
}

static void set_announce_ip(struct sentinel_process *p, struct bytes value)
{
    char *host = p->sentinel.settings.announce.host;
    if (value.len) memcpy(host, value.ptr, value.len);
    host[value.len] = '\0';
}

static void show_announce_ip(const struct sentinel_process *p, char out[VALUE_MAX])
{
    snprintf(out, VALUE_MAX, "%s", p->sentinel.settings.announce.host);
}

static void set_announce_port(struct sentinel_process *p, struct bytes value)
{
    if (sentinel_port_parse(value, &p->sentinel.settings.announce.port)) p->sentinel.settings.announce.port = 0;
}

static void show_announce_port(const struct sentinel_process *p, char out[VALUE_MAX])
{
    snprintf(out, VALUE_MAX, "%d", p->sentinel.settings.announce.port);
}

static void set_text(char **place, struct bytes value)
{
    mem_free(*place);
    *place = value.len ? bytes_to_text(value) : NULL;
}

static void set_peer_user(struct sentinel_process *p, struct bytes value)
{
    set_text(&p->peer_user, value);
}

static void show_peer_user(const struct sentinel_process *p, char out[VALUE_MAX])
{
    snprintf(out, VALUE_MAX, "%s", p->peer_user ? p->peer_user : "");
}

static void set_peer_pass(struct sentinel_process *p, struct bytes value)
{
    set_text(&p->peer_pass, value);
}

static void show_peer_pass(const struct sentinel_process *p, char out[VALUE_MAX])
{
    snprintf(out, VALUE_MAX, "%s", p->peer_pass ? p->peer_pass : "");
}

static void set_level(struct sentinel_process *p, struct bytes value)
{
    char error[512];
    struct bytes pair[2] = {BYTES("loglevel"), value};
    if (!config_set(p->core->config, p->core, 1, pair, true, error)) log_warning("%s", error);
}

static void show_level(const struct sentinel_process *p, char out[VALUE_MAX])
{
    (void)p;
    snprintf(out, VALUE_MAX, "%s", levels[log_get_level()]);
}

static const struct parameter parameters[] = {
    {"resolve-hostnames", is_yes_or_no, set_resolve, show_resolve},
    {"announce-hostnames", is_yes_or_no, set_announce_hostnames, show_announce_hostnames},
    {"announce-ip", is_host, set_announce_ip, show_announce_ip},
    {"announce-port", is_port, set_announce_port, show_announce_port},
    {"sentinel-user", is_text, set_peer_user, show_peer_user, .opens_links_anew = true},
    {"sentinel-pass", is_text, set_peer_pass, show_peer_pass, .secret = true, .opens_links_anew = true},
    {"loglevel", is_level, set_level, show_level, .elsewhere = true},
};

#define PARAMETERS (sizeof parameters / sizeof *parameters)

static const struct parameter *find(struct bytes name)
{
    for (size_t i = 0; i < PARAMETERS; i++)
        if (bytes_equal_nocase(name, parameters[i].name)) return &parameters[i];
    return NULL;
}

enum parameter_result sentinel_parameter_read(struct sentinel_process *p, struct bytes name, struct bytes value)
{
    const struct parameter *row = find(name);
    if (!row || row->elsewhere) return PARAMETER_UNKNOWN;
    if (!row->valid(value)) return PARAMETER_INVALID;
    row->set(p, value);
    return PARAMETER_SET;
}

/* --- SENTINEL CONFIG --- */

static void get(struct call *call)
{
    const struct sentinel_process *p = call->core->sentinel;
    struct reply_deferred d;
    size_t found = 0;
    reply_deferred_begin(call->reply, &d);
    for (size_t i = 0; i < PARAMETERS; i++) {
        char value[VALUE_MAX];
        bool wanted = false;
        for (uint32_t at = 3; at < call->argc; at++)
            wanted |= glob_match(call->argv[at], bytes_from_text(parameters[i].name), true);
        if (!wanted) continue;
        parameters[i].show(p, value);
        reply_bulk_text(call->reply, parameters[i].name);
        reply_bulk_text(call->reply, value);
        found++;
    }
    reply_deferred_map(call->reply, &d, found);
}

static bool comes_again(const struct call *call, uint32_t at)
{
    for (uint32_t earlier = 3; earlier < at; earlier += 2)
        if (bytes_equal_nocase(call->argv[at], find(call->argv[earlier])->name)) return true;
    return false;
}

/* false: answered. */
static bool all_are_valid(struct call *call)
{
    for (uint32_t at = 3; at < call->argc; at += 2) {
        struct bytes name = call->argv[at], value = at + 1 < call->argc ? call->argv[at + 1] : BYTES("");
        const struct parameter *row = find(name);
        if (row && row->secret && at + 1 < call->argc) call_secret_arg(call, at + 1);
        if (!row)
            reply_errorf(call->reply, "ERR Invalid argument '%.*s' to SENTINEL CONFIG SET", (int)name.len,
                         (const char *)name.ptr);
        else if (at + 1 == call->argc)
            reply_errorf(call->reply, "ERR Missing argument '%.*s' value", (int)name.len, (const char *)name.ptr);
        else if (comes_again(call, at))
            reply_errorf(call->reply, "ERR Duplicate argument '%.*s' to SENTINEL CONFIG SET", (int)name.len,
                         (const char *)name.ptr);
        else if (!row->valid(value))
            reply_errorf(call->reply, "ERR Invalid value '%.*s' to SENTINEL CONFIG SET '%.*s'", (int)value.len,
                         (const char *)value.ptr, (int)name.len, (const char *)name.ptr);
        else
            continue;
        return false;
    }
    return true;
}

static void set(struct call *call)
{
    struct sentinel_process *p = call->core->sentinel;
    bool greets_anew = false;
    if (!all_are_valid(call)) return;
    for (uint32_t at = 3; at < call->argc; at += 2) {
        const struct parameter *row = find(call->argv[at]);
        row->set(p, call->argv[at + 1]);
        greets_anew |= row->opens_links_anew;
    }
    for (int i = 0; greets_anew && i < p->sentinel.peer_count; i++)
        sentinel_links_disconnect(p->links, p->sentinel.peers[i]->id, LINK_COMMANDS);
    if (sentinel_process_save(p))
        reply_error(call->reply, "ERR Failed to save config file. Check server logs.");
    else
        reply_ok(call->reply);
}

void sentinel_config_command(struct call *call)
{
    if (call_arg_is(call, 2, "get") && call->argc >= 4)
        get(call);
    else if (call_arg_is(call, 2, "set") && call->argc >= 5)
        set(call);
    else
        reply_error(call->reply, "ERR Only SENTINEL CONFIG GET <param> [<param> <param> ...] / SET <param> <value> "
                                 "[<param> <value> ...] are supported.");
}
