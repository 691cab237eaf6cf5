/* SENTINEL and its subcommands, and INFO, ROLE and PUBLISH as a Sentinel answers them. Sentinel process. */
#include "server/sentinel/commands.h"

#include "server/base/alloc.h"
#include "server/base/glob.h"
#include "server/base/number.h"
#include "server/core/core.h"
#include "server/core/info/info.h"
#include "server/core/run/call.h"
#include "server/net/address.h"
#include "server/sentinel/parameters.h"
#include "server/sentinel/process.h"
#include "server/sentinel/scripts.h"
#include "server/sentinel/show.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static struct sentinel_process *process(const struct call *call)
{
    return call->core->sentinel;
}

static int64_t now_ms(const struct call *call)
{
    return sentinel_process_now_ms(process(call));
}

static bool copy_text(struct bytes from, char *out, size_t room)
{
    if (!from.len || from.len >= room || memchr(from.ptr, '\0', from.len)) return false;
    memcpy(out, from.ptr, from.len);
    out[from.len] = '\0';
    return true;
}

static struct watched *find_master(const struct call *call, struct bytes name)
{
    char text[SENTINEL_NAME_MAX];
    return copy_text(name, text, sizeof text) ? sentinel_master(&process(call)->sentinel, text) : NULL;
}

/* NULL: answered. */
static struct watched *named_master(struct call *call)
{
    struct watched *w = find_master(call, call->argv[2]);
    if (!w) reply_error(call->reply, "ERR No such master with that name");
    return w;
}

/* --- looking --- */

static void masters_command(struct call *call)
{
    const struct sentinel *s = &process(call)->sentinel;
    reply_array(call->reply, (size_t)s->master_count);
    for (int i = 0; i < s->master_count; i++) show_master(call->reply, s->masters[i], now_ms(call));
}

static void master_command(struct call *call)
{
    const struct watched *w = named_master(call);
    if (w) show_master(call->reply, w, now_ms(call));
}

/* Replicas that are not to be announced stay unmentioned. */
static void replicas_command(struct call *call)
{
    const struct watched *w = named_master(call);
    size_t count = 0;
    if (!w) return;
    for (int i = 0; i < w->replica_count; i++) count += w->replicas[i]->report.announced;
    reply_array(call->reply, count);
    for (int i = 0; i < w->replica_count; i++)
        if (w->replicas[i]->report.announced) show_replica(call->reply, w, w->replicas[i], now_ms(call));
}

static void sentinels_command(struct call *call)
{
    const struct watched *w = named_master(call);
    if (!w) return;
    reply_array(call->reply, (size_t)w->voter_count);
    for (int i = 0; i < w->voter_count; i++) show_sentinel(call->reply, w, &w->voters[i], now_ms(call));
}

static void address_command(struct call *call)
{
    const struct watched *w = find_master(call, call->argv[2]);
    if (!w) {
        reply_null_array(call->reply);
        return;
    }
    const struct instance *master = watched_current(w);
    reply_array(call->reply, 2);
    reply_bulk_text(call->reply, instance_host(master, w->sentinel->settings.announce_hostnames));
    reply_bulk_integer(call->reply, master->address.port);
}

static void show_cached(struct reply *reply, const struct instance *i, int64_t now)
{
    reply_array(reply, 2);
    reply_integer(reply, i->info_ms ? now - i->info_ms : 0);
    if (i->info)
        reply_bulk_text(reply, i->info);
    else
        reply_null(reply);
}

/* Masters that nobody watches are passed over. An array of names and values in either protocol, as Redis has it. */
static void info_cache_command(struct call *call)
{
    struct reply_deferred d;
    size_t found = 0;
    reply_deferred_begin(call->reply, &d);
    for (uint32_t at = 2; at < call->argc; at++) {
        const struct watched *w = find_master(call, call->argv[at]);
        if (!w) continue;
        found += 2;
        reply_bulk_text(call->reply, w->name);
        reply_array(call->reply, (size_t)w->replica_count + 1);
        show_cached(call->reply, w->master, now_ms(call));
        for (int i = 0; i < w->replica_count; i++) show_cached(call->reply, w->replicas[i], now_ms(call));
    }
    reply_deferred_array(call->reply, &d, found);
}

static void myid_command(struct call *call)
{
    reply_bulk_text(call->reply, process(call)->sentinel.run_id);
}

static void pending_scripts_command(struct call *call)
{
    sentinel_scripts_show(process(call)->scripts, call->reply, now_ms(call));
}

static void ckquorum_command(struct call *call)
{
    const struct watched *w = named_master(call);
    if (!w) return;
    int usable = watched_usable_voters(w), majority = (w->voter_count + 1) / 2 + 1;
    if (usable >= w->settings.quorum && usable >= majority) {
        char text[128];
        snprintf(text, sizeof text, "OK %d usable Sentinels. Quorum and failover authorization can be reached", usable);
        reply_simple(call->reply, text);
        return;
    }
    reply_errorf(call->reply, "NOQUORUM %d usable Sentinels.%s%s", usable,
                 usable < w->settings.quorum ? " Not enough available Sentinels to reach the specified quorum for this "
                                               "master."
                                             : "",
                 usable < majority ? " Not enough available Sentinels to reach the majority and authorize a failover"
                                   : "");
}

/* --- what other Sentinels ask --- */

static void is_master_down_command(struct call *call)
{
    struct sentinel_process *p = process(call);
    struct sentinel_address master;
    struct sentinel_down_answer answer;
    char run_id[SENTINEL_RUN_ID + 1] = "*";
    int64_t port, epoch;
    if (!call_arg_i64(call, 3, &port, NULL) || !call_arg_i64(call, 4, &epoch, NULL)) return;
    if (sentinel_run_id_is_valid(call->argv[5])) memcpy(run_id, call->argv[5].ptr, SENTINEL_RUN_ID);
    master.port = port >= 1 && port <= 65535 ? (int)port : 0; /* 0: nobody's */
    if (!copy_text(call->argv[2], master.host, sizeof master.host)) master.host[0] = '\0';
    sentinel_is_master_down(&p->sentinel, &master, epoch > 0 ? (uint64_t)epoch : 0, run_id, now_ms(call), &answer,
                            &p->actions);
    sentinel_process_carry_out(p);
    reply_array(call->reply, 3);
    reply_integer(call->reply, answer.down);
    reply_bulk_text(call->reply, answer.leader);
    reply_integer(call->reply, (int64_t)answer.epoch);
}

/* --- changing --- */

static void failover_command(struct call *call)
{
    struct sentinel_process *p = process(call);
    struct watched *w = named_master(call);
    if (!w) return;
    const char *error = sentinel_failover(&p->sentinel, w, now_ms(call), &p->actions);
    if (error)
        reply_error(call->reply, error);
    else
        reply_ok(call->reply);
    sentinel_process_carry_out(p);
}

static void reset_command(struct call *call)
{
    struct sentinel_process *p = process(call);
    int64_t count = 0;
    for (int i = 0; i < p->sentinel.master_count; i++) {
        struct watched *w = p->sentinel.masters[i];
        if (!glob_match(call->argv[2], bytes_from_text(w->name), true)) continue;
        sentinel_reset(&p->sentinel, w, now_ms(call), &p->actions);
        sentinel_process_carry_out(p);
        count++;
    }
    reply_integer(call->reply, count);
}

static void monitor_command(struct call *call)
{
    struct sentinel_process *p = process(call);
    struct watched_settings settings;
    struct sentinel_address at = {.port = 0};
    struct address numeric;
    char name[SENTINEL_NAME_MAX];
    int64_t quorum, port;
    if (!call_arg_i64(call, 5, &quorum, "ERR Invalid quorum")) return;
    if (!call_arg_i64(call, 4, &port, "ERR Invalid port")) return;
    if (port < 1 || port > 65535) return reply_error(call->reply, "ERR Invalid port number.");
    at.port = (int)port;
    if (quorum < 1 || quorum > INT32_MAX) return reply_error(call->reply, "ERR Quorum must be 1 or greater.");
    if (!copy_text(call->argv[2], name, sizeof name)) return reply_error(call->reply, "ERR Invalid master name");
    if (!sentinel_host_is_valid(call->argv[3]) || !copy_text(call->argv[3], at.host, sizeof at.host) ||
        (!p->resolve_hostnames && address_parse(&numeric, at.host, at.port)))
        return reply_error(call->reply, "ERR Invalid IP address or hostname specified");
    sentinel_watched_settings_init(&p->sentinel.settings.periods, &settings, (int)quorum);
    if (!sentinel_monitor(&p->sentinel, name, &at, &settings, now_ms(call), &p->actions))
        return reply_error(call->reply, "ERR Duplicate master name.");
    sentinel_process_carry_out(p);
    reply_ok(call->reply);
}

static void remove_command(struct call *call)
{
    struct sentinel_process *p = process(call);
    struct watched *w = named_master(call);
    if (!w) return;
    sentinel_remove(&p->sentinel, w, &p->actions);
    sentinel_process_carry_out(p);
    reply_ok(call->reply);
}

static void say_set(struct sentinel_process *p, const struct watched *w, uint32_t words, const struct bytes *argv)
{
    struct sentinel_action *a = sentinel_actions_add(&p->actions, SENTINEL_SAY);
    bool secret = bytes_equal_nocase(argv[0], "auth-pass");
    a->level = LOG_WARNING;
    a->master = w->name;
    snprintf(a->type, sizeof a->type, "+set");
    int len =
        snprintf(a->text, sizeof a->text, "master %s %s %d", w->name, w->master->address.host, w->master->address.port);
    for (uint32_t i = 0; i < words && len < (int)sizeof a->text; i++)
        len += snprintf(a->text + len, sizeof a->text - (size_t)len, " %.*s", secret && i ? 6 : (int)argv[i].len,
                        secret && i ? "******" : (const char *)argv[i].ptr);
}

/* The servers are to be greeted with other words. */
static void open_links_anew(struct sentinel_process *p, const struct watched *w)
{
    for (int link = 0; link < SENTINEL_LINKS; link++) {
        sentinel_links_disconnect(p->links, w->master->id, link);
        for (int i = 0; i < w->replica_count; i++) sentinel_links_disconnect(p->links, w->replicas[i]->id, link);
    }
}

static void refuse_option(struct call *call, uint32_t at, uint32_t word)
{
    struct bytes name = call->argv[at], value = call->argv[at + word];
    if (!word)
        reply_errorf(call->reply, "ERR Unknown option or number of arguments for SENTINEL SET '%.*s'", (int)name.len,
                     (const char *)name.ptr);
    else
        reply_errorf(call->reply, "ERR Invalid argument '%.*s' for SENTINEL SET '%.*s'", (int)value.len,
                     (const char *)value.ptr, (int)name.len, (const char *)name.ptr);
}

/* What comes before a wrong option is set. */
static void set_command(struct call *call)
{
    struct sentinel_process *p = process(call);
    struct watched *w = named_master(call);
    uint32_t at = 3, words;
    bool greets_anew = false;
    if (!w) return;
    p->actions.count = 0;
    for (; at < call->argc; at += words) {
        bool script = call_arg_is(call, at, "notification-script") || call_arg_is(call, at, "client-reconfig-script");
        bool password = call_arg_is(call, at, "auth-pass");
        if (script && p->deny_scripts_reconfig) {
            reply_error(call->reply, "ERR Reconfiguration of scripts path is denied for security reasons. Check the "
                                     "deny-scripts-reconfig configuration directive in your Sentinel configuration");
            break;
        }
        if (password && at + 1 < call->argc) call_secret_arg(call, at + 1);
        if (sentinel_state_option(w, call->argc - at, call->argv + at, &words)) {
            refuse_option(call, at, words);
            break;
        }
        greets_anew |= password || call_arg_is(call, at, "auth-user");
        say_set(p, w, words, call->argv + at);
        p->unsaved = true;
    }
    if (greets_anew) open_links_anew(p, w);
    sentinel_process_carry_out(p);
    if (at >= call->argc) reply_ok(call->reply);
}

static void flushconfig_command(struct call *call)
{
    if (sentinel_process_save(process(call)))
        reply_error(call->reply, "ERR Failed to save config file. Check server logs.");
    else
        reply_ok(call->reply);
}

/* --- periods --- */

struct period {
    const char *name;
    size_t offset;
};

#define PERIOD(name, member)                                                                                           \
    {                                                                                                                  \
        name, offsetof(struct sentinel_periods, member)                                                                \
    }
static const struct period periods[] = {
    PERIOD("INFO-PERIOD", info),
    PERIOD("PING-PERIOD", ping),
    PERIOD("ASK-PERIOD", ask),
    PERIOD("PUBLISH-PERIOD", hello),
    PERIOD("DEFAULT-DOWN-AFTER", down_after),
    PERIOD("DEFAULT-FAILOVER-TIMEOUT", failover_timeout),
    PERIOD("TILT-TRIGGER", tilt.after_ms),
    PERIOD("TILT-PERIOD", tilt.lasts_ms),
    PERIOD("SLAVE-RECONF-TIMEOUT", reconfigured),
    PERIOD("MIN-LINK-RECONNECT-PERIOD", link_young),
    PERIOD("ELECTION-TIMEOUT", election),
    PERIOD("SCRIPT-MAX-RUNTIME", script_runs),
    PERIOD("SCRIPT-RETRY-DELAY", script_waits),
};

static int64_t *period_of(struct sentinel_periods *p, const struct period *row)
{
    return (int64_t *)((char *)p + row->offset);
}

static void debug_command(struct call *call)
{
    struct sentinel_periods *p = &process(call)->sentinel.settings.periods;
    size_t count = sizeof periods / sizeof *periods;
    if (call->argc == 2) {
        reply_map(call->reply, count);
        for (size_t i = 0; i < count; i++) {
            reply_bulk_text(call->reply, periods[i].name);
            reply_bulk_integer(call->reply, *period_of(p, &periods[i]));
        }
        return;
    }
    for (uint32_t at = 2; at < call->argc; at += 2) {
        const struct period *row = NULL;
        int64_t value;
        for (size_t i = 0; i < count; i++)
            if (call_arg_is(call, at, periods[i].name)) row = &periods[i];
        if (!row || at + 1 == call->argc)
            return reply_errorf(call->reply, "ERR Unknown option or number of arguments for SENTINEL DEBUG '%.*s'",
                                (int)call->argv[at].len, (const char *)call->argv[at].ptr);
        if (parse_i64(call->argv[at + 1], &value) || value < 1 || value > INT32_MAX)
            return reply_errorf(call->reply, "ERR Invalid argument '%.*s' for SENTINEL DEBUG '%.*s'",
                                (int)call->argv[at + 1].len, (const char *)call->argv[at + 1].ptr,
                                (int)call->argv[at].len, (const char *)call->argv[at].ptr);
        *period_of(p, row) = value;
        sentinel_settings_changed(&process(call)->sentinel);
    }
    reply_ok(call->reply);
}

/* --- failures that are asked for --- */

static const struct {
    const char *name;
    unsigned die_after;
    const char *moment;
} failures[] = {
    {"crash-after-election", DIE_AFTER_ELECTION, "being successfully elected as failover leader"},
    {"crash-after-promotion", DIE_AFTER_PROMOTION, "promoting the selected replica to master"},
};

#define FAILURES (sizeof failures / sizeof *failures)

static void simulate_failure_command(struct call *call)
{
    unsigned die_after = 0;
    for (uint32_t at = 2; at < call->argc; at++) {
        unsigned named = 0;
        if (call_arg_is(call, at, "help")) {
            reply_array(call->reply, FAILURES);
            for (size_t i = 0; i < FAILURES; i++) reply_bulk_text(call->reply, failures[i].name);
            return;
        }
        for (size_t i = 0; i < FAILURES; i++)
            if (call_arg_is(call, at, failures[i].name)) named = failures[i].die_after;
        if (!named) return reply_error(call->reply, "ERR Unknown failure simulation specified");
        die_after |= named;
    }
    process(call)->sentinel.settings.die_after = die_after;
    for (size_t i = 0; i < FAILURES; i++)
        if (die_after & failures[i].die_after)
            log_warning("Failure simulation: this Sentinel will crash after %s", failures[i].moment);
    reply_ok(call->reply);
}

static void help_command(struct call *call)
{
    static const char *const lines[] = {
        "CKQUORUM <master-name>",
        "    Check if the current Sentinel configuration is able to reach the quorum",
        "    needed to failover a master and the majority needed to authorize the",
        "    failover.",
        "CONFIG SET <param> <value> [<param> <value> ...]",
        "    Set a global Sentinel configuration parameter.",
        "CONFIG GET <param> [<param> <param> ...]",
        "    Get global Sentinel configuration parameter.",
        "DEBUG [<param> <value> ...]",
        "    Show a list of configurable time parameters and their values (milliseconds).",
        "    Or update current configurable parameters values (one or more).",
        "GET-MASTER-ADDR-BY-NAME <master-name>",
        "    Return the ip and port number of the master with that name.",
        "FAILOVER <master-name>",
        "    Manually failover a master node without asking for agreement from other",
        "    Sentinels",
        "FLUSHCONFIG",
        "    Force Sentinel to rewrite its configuration on disk, including the current",
        "    Sentinel state.",
        "INFO-CACHE <master-name>",
        "    Return last cached INFO output from masters and all its replicas.",
        "IS-MASTER-DOWN-BY-ADDR <ip> <port> <current-epoch> <runid>",
        "    Check if the master specified by ip:port is down from current Sentinel's",
        "    point of view.",
        "MASTER <master-name>",
        "    Show the state and info of the specified master.",
        "MASTERS",
        "    Show a list of monitored masters and their state.",
        "MONITOR <name> <ip> <port> <quorum>",
        "    Start monitoring a new master with the specified name, ip, port and quorum.",
        "MYID",
        "    Return the ID of the Sentinel instance.",
        "PENDING-SCRIPTS",
        "    Get pending scripts information.",
        "REMOVE <master-name>",
        "    Remove master from Sentinel's monitor list.",
        "REPLICAS <master-name>",
        "    Show a list of replicas for this master and their state.",
        "RESET <pattern>",
        "    Reset masters for specific master name matching this pattern.",
        "SENTINELS <master-name>",
        "    Show a list of Sentinel instances for this master and their state.",
        "SET <master-name> <option> <value> [<option> <value> ...]",
        "    Set configuration parameters for certain masters.",
        "SIMULATE-FAILURE [CRASH-AFTER-ELECTION] [CRASH-AFTER-PROMOTION] [HELP]",
        "    Simulate a Sentinel crash.",
        NULL,
    };
    call_help(call, lines);
}

/* --- INFO, ROLE, PUBLISH --- */

static void info_sentinel(const struct sentinel_process *p, int64_t now, struct outq *out)
{
    const struct sentinel *s = &p->sentinel;
    info_field(out, "# Sentinel");
    info_field(out, "sentinel_masters:%d", s->master_count);
    info_field(out, "sentinel_tilt:%d", s->tilt.on);
    info_field(out, "sentinel_tilt_since_seconds:%" PRId64, s->tilt.on ? (now - s->tilt.since_ms) / 1000 : -1);
    info_field(out, "sentinel_running_scripts:%d", sentinel_scripts_running(p->scripts));
    info_field(out, "sentinel_scripts_queue_length:%d", sentinel_scripts_waiting(p->scripts));
    info_field(out, "sentinel_simulate_failure_flags:%u", s->settings.die_after);
    for (int i = 0; i < s->master_count; i++) {
        const struct watched *w = s->masters[i];
        const char *status = w->down ? "odown" : health_is_down(&w->master->health) ? "sdown" : "ok";
        info_field(out, "master%d:name=%s,status=%s,address=%s:%d,slaves=%d,sentinels=%d", i, w->name, status,
                   instance_host(w->master, s->settings.announce_hostnames), w->master->address.port, w->replica_count,
                   w->voter_count + 1);
    }
}

static bool wants_section(const struct call *call, const char *name)
{
    for (uint32_t i = 1; i < call->argc; i++)
        if (call_arg_is(call, i, name) || call_arg_is(call, i, "all") || call_arg_is(call, i, "everything") ||
            call_arg_is(call, i, "default"))
            return true;
    return call->argc == 1;
}

/* One string, which a reply needs in one piece. */
static void reply_whole(struct reply *reply, struct outq *text)
{
    size_t len = outq_pending(text);
    uint8_t *whole = mem_alloc(len + 1);
    outq_take(text, whole);
    reply_bulk(reply, bytes_make(whole, len));
    mem_free(whole);
}

static void info_command(struct call *call)
{
    static const char *const shared[] = {"server", "clients", "stats", "cpu"};
    struct outq text = {0};
    for (size_t i = 0; i < sizeof shared / sizeof *shared; i++) {
        struct bytes name = bytes_from_text(shared[i]);
        if (!wants_section(call, shared[i])) continue;
        if (!outq_empty(&text)) info_field(&text, "%s", "");
        info_write(call->core, &text, 1, &name);
    }
    if (wants_section(call, "sentinel")) {
        if (!outq_empty(&text)) info_field(&text, "%s", "");
        info_sentinel(process(call), now_ms(call), &text);
    }
    reply_whole(call->reply, &text);
}

static void role_command(struct call *call)
{
    const struct sentinel *s = &process(call)->sentinel;
    reply_array(call->reply, 2);
    reply_bulk_text(call->reply, "sentinel");
    reply_array(call->reply, (size_t)s->master_count);
    for (int i = 0; i < s->master_count; i++) reply_bulk_text(call->reply, s->masters[i]->name);
}

static void publish_command(struct call *call)
{
    if (!bytes_equal_text(call->argv[1], HELLO_CHANNEL))
        return reply_error(call->reply, "ERR Only HELLO messages are accepted by Sentinel instances.");
    sentinel_process_event(process(call),
                           &(struct sentinel_event){.kind = SENTINEL_EVENT_HELLO, .text = call->argv[2]});
    reply_integer(call->reply, 1);
}

#define ADMINISTERS CMD_ADMIN | CMD_SENTINEL | CMD_ONLY_SENTINEL

static const struct command subcommands[] = {
    {"ckquorum", ckquorum_command, 3, ADMINISTERS, 0},
    {"config", sentinel_config_command, -3, ADMINISTERS, 0},
    {"debug", debug_command, -2, ADMINISTERS, 0},
    {"failover", failover_command, 3, ADMINISTERS, 0},
    {"flushconfig", flushconfig_command, 2, ADMINISTERS, 0},
    {"get-master-addr-by-name", address_command, 3, ADMINISTERS, 0},
    {"help", help_command, 2, CMD_LOADING | CMD_STALE | CMD_SENTINEL | CMD_ONLY_SENTINEL, 0},
    {"info-cache", info_cache_command, -3, ADMINISTERS, 0},
    {"is-master-down-by-addr", is_master_down_command, 6, ADMINISTERS, 0},
    {"master", master_command, 3, ADMINISTERS, 0},
    {"masters", masters_command, 2, ADMINISTERS, 0},
    {"monitor", monitor_command, 6, ADMINISTERS, 0},
    {"myid", myid_command, 2, ADMINISTERS, 0},
    {"pending-scripts", pending_scripts_command, 2, ADMINISTERS, 0},
    {"remove", remove_command, 3, ADMINISTERS, 0},
    {"replicas", replicas_command, 3, ADMINISTERS, 0},
    {"reset", reset_command, 3, ADMINISTERS, 0},
    {"sentinels", sentinels_command, 3, ADMINISTERS, 0},
    {"set", set_command, -5, ADMINISTERS, 0},
    {"simulate-failure", simulate_failure_command, -3, ADMINISTERS, 0},
    {"slaves", replicas_command, 3, ADMINISTERS, 0},
    {.name = NULL},
};

const struct command sentinel_commands[] = {
    {"sentinel", call_unknown_subcommand, -2, ADMINISTERS, 0, .subcommands = subcommands},
    {"info", info_command, -1, CMD_LOADING | CMD_STALE | CMD_SENTINEL, CAT_DANGEROUS,
     .tips = TIP_NONDETERMINISTIC_OUTPUT | TIP_REQUEST_ALL_SHARDS | TIP_RESPONSE_SPECIAL},
    {"role", role_command, 1, CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_SENTINEL,
     CAT_ADMIN | CAT_DANGEROUS},
    {"publish", publish_command, 3, CMD_PUBSUB | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_SENTINEL, 0,
     .channels = CHANNELS_AT_1},
    {.name = NULL},
};
