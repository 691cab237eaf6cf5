/* The `sentinel` lines of the configuration file: what was configured, and what has become of it since. Sentinel
 * process.
 *
 * The file is the memory of a Sentinel: its id, its epochs and votes, whom it knows. It is written anew after each
 * change, by CONFIG REWRITE's own hand, and read by Redis's Sentinel as well. */
#include "server/base/alloc.h"
#include "server/base/number.h"
#include "server/base/random.h"
#include "server/core/config/config_text.h"
#include "server/net/address.h"
#include "server/sentinel/process.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* --- reading: lines are kept, for their order does not matter --- */

bool sentinel_state_read(void *process, uint32_t argc, const struct bytes *argv, char message[256])
{
    struct sentinel_process *p = process;
    if (!argc) return true; /* --sentinel, on the command line */
    (void)message;          /* what is wrong is said once all lines are known */
    p->lines = mem_realloc(p->lines, (p->line_count + 1) * sizeof *p->lines);
    struct state_line *line = &p->lines[p->line_count++];
    *line = (struct state_line){.count = argc, .word = mem_alloc(argc * sizeof *line->word)};
    for (uint32_t i = 0; i < argc; i++) line->word[i] = bytes_make(bytes_to_text(argv[i]), argv[i].len);
    return true;
}

static const char *text(struct bytes word)
{
    return (const char *)word.ptr; /* bytes_to_text made it */
}

static void replace(char **place, struct bytes value)
{
    mem_free(*place);
    *place = value.len ? bytes_to_text(value) : NULL;
}

static bool take_address(struct bytes host, struct bytes port, struct sentinel_address *out)
{
    if (!host.len || host.len >= sizeof out->host || sentinel_port_parse(port, &out->port)) return false;
    memcpy(out->host, host.ptr, host.len);
    out->host[host.len] = '\0';
    return true;
}

static bool is_yes(struct bytes word, bool *out)
{
    *out = bytes_equal_nocase(word, "yes");
    return *out || bytes_equal_nocase(word, "no");
}

static const char *take_script(char **place, struct bytes path)
{
    char *name = bytes_to_text(path);
    bool usable = !path.len || access(name, X_OK) == 0;
    mem_free(name);
    if (!usable) return "notification or reconfiguration script seems non existing or non executable";
    replace(place, path);
    return NULL;
}

static const char *rename_command(struct watched_access *a, struct bytes from, struct bytes to)
{
    if (!from.len || !to.len) return "the old and the new name of a command must not be empty";
    for (int i = 0; i < a->rename_count; i++) {
        if (!bytes_equal_nocase(from, a->renames[i].from)) continue;
        replace(&a->renames[i].to, to);
        return NULL;
    }
    a->renames = mem_realloc(a->renames, (size_t)(a->rename_count + 1) * sizeof *a->renames);
    a->renames[a->rename_count].from = bytes_to_text(from);
    a->renames[a->rename_count++].to = bytes_to_text(to);
    return NULL;
}

static const char *take_number(struct bytes word, int64_t least, int64_t *out)
{
    int64_t value;
    if (parse_i64(word, &value) || value < least || value > INT32_MAX) return "negative or zero time parameter.";
    *out = value;
    return NULL;
}

static const char *take_count(struct bytes word, int *out)
{
    int64_t value;
    if (parse_i64(word, &value) || value < 1 || value > INT32_MAX) return "not a positive number";
    *out = (int)value;
    return NULL;
}

const char *sentinel_state_option(struct sentinel_process *p, struct watched *w, uint32_t argc,
                                  const struct bytes *argv, uint32_t *words)
{
    struct watched_settings *s = &w->settings;
    struct bytes name = argv[0], value = argc > 1 ? argv[1] : BYTES("");
    *words = 2;
    if (argc < 2) return "wrong number of arguments";
    if (bytes_equal_nocase(name, "down-after-milliseconds")) return take_number(value, 1, &s->down_after_ms);
    if (bytes_equal_nocase(name, "failover-timeout")) return take_number(value, 1, &s->failover_timeout_ms);
    if (bytes_equal_nocase(name, "master-reboot-down-after-period"))
        return take_number(value, 0, &s->reboot_down_after_ms);
    if (bytes_equal_nocase(name, "parallel-syncs")) return take_count(value, &s->parallel_syncs);
    if (bytes_equal_nocase(name, "quorum")) return take_count(value, &s->quorum);
    if (bytes_equal_nocase(name, "notification-script")) return take_script(&w->access.notification_script, value);
    if (bytes_equal_nocase(name, "client-reconfig-script")) return take_script(&w->access.reconfig_script, value);
    if (bytes_equal_nocase(name, "rename-command")) {
        *words = 3;
        return argc < 3 ? "wrong number of arguments" : rename_command(&w->access, value, argv[2]);
    }
    (void)p;
    if (bytes_equal_nocase(name, "auth-pass"))
        replace(&w->access.auth_pass, value);
    else if (bytes_equal_nocase(name, "auth-user"))
        replace(&w->access.auth_user, value);
    else
        return "Unrecognized sentinel configuration statement.";
    return NULL;
}

static const char *take_global(struct sentinel_process *p, const struct state_line *line, bool *known)
{
    struct sentinel_settings *s = &p->sentinel.settings;
    struct bytes name = line->word[0], value = line->count == 2 ? line->word[1] : BYTES("");
    *known = line->count == 2;
    if (bytes_equal_nocase(name, "myid")) {
        if (!sentinel_run_id_is_valid(value)) return "Malformed Sentinel id in myid option.";
        memcpy(p->sentinel.run_id, value.ptr, SENTINEL_RUN_ID);
    } else if (bytes_equal_nocase(name, "current-epoch")) {
        if (parse_u64(value, &p->sentinel.current_epoch)) return "not a number";
    } else if (bytes_equal_nocase(name, "announce-ip")) {
        if (value.len >= sizeof s->announce.host) return "the address is too long";
        memcpy(s->announce.host, value.ptr, value.len + 1);
    } else if (bytes_equal_nocase(name, "announce-port")) {
        if (bytes_equal_text(value, "0"))
            s->announce.port = 0;
        else if (sentinel_port_parse(value, &s->announce.port))
            return "not a port";
    } else if (bytes_equal_nocase(name, "resolve-hostnames")) {
        if (!is_yes(value, &p->resolve_hostnames)) return "Please specify yes or no for the resolve-hostnames option.";
    } else if (bytes_equal_nocase(name, "announce-hostnames")) {
        if (!is_yes(value, &s->announce_hostnames))
            return "Please specify yes or no for the announce-hostnames option.";
    } else if (bytes_equal_nocase(name, "deny-scripts-reconfig")) {
        if (!is_yes(value, &p->deny_scripts_reconfig))
            return "Please specify yes or no for the deny-scripts-reconfig options.";
    } else if (bytes_equal_nocase(name, "sentinel-user")) {
        replace(&p->peer_user, value);
    } else if (bytes_equal_nocase(name, "sentinel-pass")) {
        replace(&p->peer_pass, value);
    } else {
        *known = false;
    }
    return NULL;
}

const char *sentinel_state_global(struct sentinel_process *p, struct bytes name, struct bytes value)
{
    bool known, settable = !bytes_equal_nocase(name, "myid") && !bytes_equal_nocase(name, "current-epoch") &&
                           !bytes_equal_nocase(name, "deny-scripts-reconfig");
    struct bytes word[2] = {bytes_make(bytes_to_text(name), name.len), bytes_make(bytes_to_text(value), value.len)};
    const char *fault = settable ? take_global(p, &(struct state_line){2, word}, &known) : "it cannot be set";
    if (!fault && !known) fault = "no such parameter";
    for (int i = 0; i < 2; i++) mem_free((void *)word[i].ptr);
    return fault;
}

static const char *take_monitor(struct sentinel_process *p, const struct state_line *line, int64_t now_ms)
{
    struct watched_settings settings;
    struct sentinel_address master, *at = &master;
    struct address numeric;
    int quorum;
    if (line->count != 5) return "wrong number of arguments";
    if (line->word[1].len >= SENTINEL_NAME_MAX || !line->word[1].len) return "Invalid name for a master";
    if (take_count(line->word[4], &quorum)) return "Quorum must be 1 or greater.";
    if (!take_address(line->word[2], line->word[3], at)) return "Invalid port number.";
    if (!p->resolve_hostnames && address_parse(&numeric, at->host, at->port)) return "Can't resolve instance hostname.";
    sentinel_watched_settings_init(&p->sentinel.settings.periods, &settings, quorum);
    return sentinel_monitor(&p->sentinel, text(line->word[1]), at, &settings, now_ms, &p->actions)
               ? NULL
               : "Duplicate master name.";
}

static const char *take_known(struct sentinel_process *p, const struct state_line *line, int64_t now_ms, bool *known)
{
    struct bytes name = line->word[0];
    struct watched *w = line->count > 2 ? sentinel_master(&p->sentinel, text(line->word[1])) : NULL;
    struct sentinel_address at;
    uint32_t words;
    *known = true;
    if (!w) return "No such master with specified name.";
    if (bytes_equal_nocase(name, "config-epoch")) return parse_u64(line->word[2], &w->config_epoch) ? "no epoch" : NULL;
    if (bytes_equal_nocase(name, "leader-epoch")) return parse_u64(line->word[2], &w->own.epoch) ? "no epoch" : NULL;
    bool replica = bytes_equal_nocase(name, "known-replica") || bytes_equal_nocase(name, "known-slave");
    if (replica || bytes_equal_nocase(name, "known-sentinel")) {
        if (line->count < 4 || !take_address(line->word[2], line->word[3], &at)) return "Wrong hostname or port.";
        if (replica) sentinel_know_replica(w, &at, now_ms);
        if (!replica && line->count == 5) sentinel_know_sentinel(w, &at, text(line->word[4]), now_ms);
        return NULL;
    }
    struct bytes option[3] = {name, line->word[2], line->count > 3 ? line->word[3] : BYTES("")};
    return sentinel_state_option(p, w, line->count - 1, option, &words);
}

static int refuse(const struct state_line *line, const char *why)
{
    fprintf(stderr, "\n*** FATAL CONFIG FILE ERROR ***\n>>> 'sentinel");
    for (uint32_t i = 0; i < line->count; i++) fprintf(stderr, " %s", text(line->word[i]));
    fprintf(stderr, "'\n%s\n", why);
    return -1;
}

/* First what holds for all, then the masters, then what is known of them. */
int sentinel_state_apply(struct sentinel_process *p, int64_t now_ms)
{
    for (int pass = 0; pass < 3; pass++)
        for (uint32_t i = 0; i < p->line_count; i++) {
            const struct state_line *line = &p->lines[i];
            bool monitor = bytes_equal_nocase(line->word[0], "monitor"), global = false, known;
            const char *fault = monitor ? NULL : take_global(p, line, &global);
            if (!fault && pass == 1 && monitor) fault = take_monitor(p, line, now_ms);
            if (!fault && pass == 2 && !monitor && !global) fault = take_known(p, line, now_ms, &known);
            if (fault) return refuse(line, fault);
        }
    return 0;
}

/* --- writing --- */

static void write_global(const struct sentinel_process *p, struct config_text *out)
{
    const struct sentinel_settings *s = &p->sentinel.settings;
    config_text_printf(out, "myid %s\n", p->sentinel.run_id);
    if (!p->deny_scripts_reconfig) config_text_printf(out, "deny-scripts-reconfig no\n");
    if (p->resolve_hostnames) config_text_printf(out, "resolve-hostnames yes\n");
    if (s->announce_hostnames) config_text_printf(out, "announce-hostnames yes\n");
    if (*s->announce.host) config_text_printf(out, "announce-ip %s\n", s->announce.host);
    if (s->announce.port) config_text_printf(out, "announce-port %d\n", s->announce.port);
    if (p->peer_user) config_text_printf(out, "sentinel-user %s\n", p->peer_user);
    if (p->peer_pass) config_text_printf(out, "sentinel-pass %s\n", p->peer_pass);
}

static void write_text(struct config_text *out, const char *option, const char *name, const char *value)
{
    if (!value) return;
    config_text_printf(out, "%s %s ", option, name);
    config_text_quoted(out, bytes_from_text(value));
    config_text_printf(out, "\n");
}

static void write_options(const struct watched *w, struct config_text *out)
{
    const struct watched_settings *s = &w->settings;
    struct sentinel_settings fresh;
    struct watched_settings initial;
    sentinel_settings_init(&fresh);
    sentinel_watched_settings_init(&fresh.periods, &initial, 1);
    if (s->down_after_ms != initial.down_after_ms)
        config_text_printf(out, "down-after-milliseconds %s %" PRId64 "\n", w->name, s->down_after_ms);
    if (s->failover_timeout_ms != initial.failover_timeout_ms)
        config_text_printf(out, "failover-timeout %s %" PRId64 "\n", w->name, s->failover_timeout_ms);
    if (s->parallel_syncs != initial.parallel_syncs)
        config_text_printf(out, "parallel-syncs %s %d\n", w->name, s->parallel_syncs);
    if (s->reboot_down_after_ms)
        config_text_printf(out, "master-reboot-down-after-period %s %" PRId64 "\n", w->name, s->reboot_down_after_ms);
    write_text(out, "notification-script", w->name, w->access.notification_script);
    write_text(out, "client-reconfig-script", w->name, w->access.reconfig_script);
    write_text(out, "auth-pass", w->name, w->access.auth_pass);
    write_text(out, "auth-user", w->name, w->access.auth_user);
    for (int i = 0; i < w->access.rename_count; i++)
        config_text_printf(out, "rename-command %s %s %s\n", w->name, w->access.renames[i].from,
                           w->access.renames[i].to);
}

static void write_master(const struct sentinel *s, const struct watched *w, struct config_text *out)
{
    bool by_name = s->settings.announce_hostnames;
    const struct instance *current = watched_current(w);
    config_text_printf(out, "monitor %s %s %d %d\n", w->name, instance_host(current, by_name), current->address.port,
                       w->settings.quorum);
    write_options(w, out);
    config_text_printf(out, "config-epoch %s %" PRIu64 "\n", w->name, w->config_epoch);
    config_text_printf(out, "leader-epoch %s %" PRIu64 "\n", w->name, w->own.epoch);
    for (int i = 0; i < w->replica_count; i++) {
        /* While a fail-over is under way, the old master is a replica to be. */
        const struct instance *r = w->replicas[i] == current ? w->master : w->replicas[i];
        config_text_printf(out, "known-replica %s %s %d\n", w->name, instance_host(r, by_name), r->address.port);
    }
    for (int i = 0; i < w->voter_count; i++) {
        const struct instance *peer = w->voters[i].peer;
        config_text_printf(out, "known-sentinel %s %s %d %s\n", w->name, peer->address.host, peer->address.port,
                           peer->run_id);
    }
}

void sentinel_state_write(void *process, struct config_text *out)
{
    const struct sentinel_process *p = process;
    write_global(p, out);
    for (int i = 0; i < p->sentinel.master_count; i++) write_master(&p->sentinel, p->sentinel.masters[i], out);
    config_text_printf(out, "current-epoch %" PRIu64 "\n", p->sentinel.current_epoch);
}
