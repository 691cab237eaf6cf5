/* The `sentinel` lines of the configuration file: what was configured, and what has become of it since. Sentinel
 * process.
 *
 * The file is the memory of a Sentinel: its id, its epochs and votes, whom it knows. It is written anew after each
 * change, by CONFIG REWRITE's own hand, and read by Redis's Sentinel as well. */
#include "server/base/alloc.h"
#include "server/base/number.h"
#include "server/base/random.h"
#include "server/core/config/config.h"
#include "server/core/config/config_text.h"
#include "server/net/address.h"
#include "server/sentinel/parameters.h"
#include "server/sentinel/process.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static const char unknown[] = "Unrecognized sentinel configuration statement.";

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
    if (!sentinel_host_is_valid(host) || sentinel_port_parse(port, &out->port)) return false;
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

/* A command that is renamed to itself has its own name again. */
static const char *rename_command(struct watched_access *a, struct bytes from, struct bytes to)
{
    if (!from.len || !to.len) return "the old and the new name of a command must not be empty";
    char *old = bytes_to_text(from), *name = bytes_to_text(to);
    int at = 0;
    while (at < a->rename_count && strcasecmp(old, a->renames[at].from) != 0) at++;
    if (at == a->rename_count) {
        a->renames = mem_realloc(a->renames, (size_t)(a->rename_count + 1) * sizeof *a->renames);
        a->renames[a->rename_count].from = old;
        a->renames[a->rename_count++].to = name;
    } else {
        mem_free(old);
        mem_free(a->renames[at].to);
        a->renames[at].to = name;
    }
    if (strcasecmp(a->renames[at].from, name) != 0) return NULL;
    mem_free(a->renames[at].from);
    mem_free(a->renames[at].to);
    a->renames[at] = a->renames[--a->rename_count];
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

/* The same line twice is none too many: what an included file says is written into ours, too. */
static bool has_another_name(const struct watched_access *a, struct bytes command, struct bytes name)
{
    for (int i = 0; i < a->rename_count; i++)
        if (bytes_equal_nocase(command, a->renames[i].from)) return !bytes_equal_text(name, a->renames[i].to);
    return false;
}

static const char *take_option(struct watched *w, struct bytes name, struct bytes value, bool *known)
{
    struct watched_settings *s = &w->settings;
    *known = true;
    if (bytes_equal_nocase(name, "down-after-milliseconds")) return take_number(value, 1, &s->down_after_ms);
    if (bytes_equal_nocase(name, "failover-timeout")) return take_number(value, 1, &s->failover_timeout_ms);
    if (bytes_equal_nocase(name, "master-reboot-down-after-period"))
        return take_number(value, 0, &s->reboot_down_after_ms);
    if (bytes_equal_nocase(name, "parallel-syncs")) return take_count(value, &s->parallel_syncs);
    if (bytes_equal_nocase(name, "quorum")) return take_count(value, &s->quorum);
    if (bytes_equal_nocase(name, "notification-script")) return take_script(&w->access.notification_script, value);
    if (bytes_equal_nocase(name, "client-reconfig-script")) return take_script(&w->access.reconfig_script, value);
    if (bytes_equal_nocase(name, "auth-pass"))
        replace(&w->access.auth_pass, value);
    else if (bytes_equal_nocase(name, "auth-user"))
        replace(&w->access.auth_user, value);
    else
        *known = false;
    return NULL;
}

const char *sentinel_state_option(struct watched *w, uint32_t argc, const struct bytes *argv, uint32_t *words)
{
    bool known;
    *words = 0;
    sentinel_look_again(w);
    if (argc < 2) return unknown;
    if (bytes_equal_nocase(argv[0], "rename-command")) {
        if (argc < 3) return unknown;
        const char *fault = rename_command(&w->access, argv[1], argv[2]);
        *words = !fault ? 3 : argv[1].len ? 2 : 1;
        return fault;
    }
    const char *fault = take_option(w, argv[0], argv[1], &known);
    if (!known) return unknown;
    *words = fault ? 1 : 2;
    return fault;
}

static const char *take_global(struct sentinel_process *p, const struct state_line *line, bool *known)
{
    struct bytes name = line->word[0], value = line->count == 2 ? line->word[1] : BYTES("");
    *known = line->count == 2;
    if (bytes_equal_nocase(name, "myid")) {
        if (!sentinel_run_id_is_valid(value)) return "Malformed Sentinel id in myid option.";
        memcpy(p->sentinel.run_id, value.ptr, SENTINEL_RUN_ID);
    } else if (bytes_equal_nocase(name, "current-epoch")) {
        if (parse_u64(value, &p->sentinel.current_epoch)) return "not a number";
    } else if (bytes_equal_nocase(name, "deny-scripts-reconfig")) {
        if (!is_yes(value, &p->deny_scripts_reconfig))
            return "Please specify yes or no for the deny-scripts-reconfig options.";
    } else {
        enum parameter_result result = *known ? sentinel_parameter_read(p, name, value) : PARAMETER_UNKNOWN;
        *known = result != PARAMETER_UNKNOWN;
        if (result == PARAMETER_INVALID) return "no value that it can have";
    }
    return NULL;
}

static const char *take_monitor(struct sentinel_process *p, const struct state_line *line, int64_t now_ms)
{
    struct watched_settings settings;
    struct sentinel_address master, *at = &master;
    struct address numeric;
    int quorum;
    if (line->word[1].len >= SENTINEL_NAME_MAX || !line->word[1].len) return "Invalid name for a master";
    if (take_count(line->word[4], &quorum)) return "Quorum must be 1 or greater.";
    if (!take_address(line->word[2], line->word[3], at)) return "Invalid port number.";
    if (!p->resolve_hostnames && address_parse(&numeric, at->host, at->port))
        return "Can't resolve instance hostname. (Names want `sentinel resolve-hostnames yes`.)";
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
    if (bytes_equal_nocase(name, "rename-command") && has_another_name(&w->access, line->word[2], line->word[3]))
        return "Same command renamed multiple times with rename-command.";
    struct bytes option[3] = {name, line->word[2], line->count > 3 ? line->word[3] : BYTES("")};
    return sentinel_state_option(w, line->count - 1, option, &words);
}

/* Of how many words a line is, its own name among them. */
static const struct {
    const char *name;
    uint32_t least, most;
} forms[] = {
    {"monitor", 5, 5},
    {"myid", 2, 2},
    {"current-epoch", 2, 2},
    {"deny-scripts-reconfig", 2, 2},
    {"resolve-hostnames", 2, 2},
    {"announce-hostnames", 2, 2},
    {"announce-ip", 2, 2},
    {"announce-port", 2, 2},
    {"sentinel-user", 2, 2},
    {"sentinel-pass", 2, 2},
    {"down-after-milliseconds", 3, 3},
    {"failover-timeout", 3, 3},
    {"master-reboot-down-after-period", 3, 3},
    {"parallel-syncs", 3, 3},
    {"notification-script", 3, 3},
    {"client-reconfig-script", 3, 3},
    {"auth-pass", 3, 3},
    {"auth-user", 3, 3},
    {"config-epoch", 3, 3},
    {"leader-epoch", 3, 3},
    {"rename-command", 4, 4},
    {"known-replica", 4, 4},
    {"known-slave", 4, 4},
    {"known-sentinel", 4, 5},
};

/* A line whose words are not those of any is named as such, before a master is missed in it. */
static bool has_a_form(const struct state_line *line)
{
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (bytes_equal_nocase(line->word[0], forms[i].name))
            return line->count >= forms[i].least && line->count <= forms[i].most;
    return false;
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
            const char *fault = !has_a_form(line) ? unknown : monitor ? NULL : take_global(p, line, &global);
            if (!fault && pass == 1 && monitor) fault = take_monitor(p, line, now_ms);
            if (!fault && pass == 2 && !monitor && !global) fault = take_known(p, line, now_ms, &known);
            if (fault) return refuse(line, fault);
        }
    return 0;
}

/* --- writing --- */

/* The option, and the master where it is one's. */
void sentinel_state_key(uint32_t argc, const struct bytes *argv, struct config_text *out)
{
    if (!argc) return;
    for (size_t i = 0; i < argv[0].len; i++) config_text_printf(out, "%c", byte_lower(argv[0].ptr[i]));
    if (strcmp(out->ptr, "known-slave") == 0) {
        config_text_clear(out);
        config_text_printf(out, "known-replica");
    }
    if (argc > 2) config_text_printf(out, " %.*s", (int)argv[1].len, (const char *)argv[1].ptr);
}

/* The words up to the first NULL; each is quoted where it has to be. */
static void write_words(struct config_text *out, const char *const *word)
{
    for (size_t i = 0; word[i]; i++) {
        if (i) config_text_printf(out, " ");
        config_text_word(out, bytes_from_text(word[i]));
    }
    config_text_printf(out, "\n");
}

#define write_line(out, ...) write_words(out, (const char *const[]){__VA_ARGS__, NULL})

/* No line without a value. */
static void write_global_text(struct config_text *out, const char *option, const char *value)
{
    if (value && *value) write_line(out, option, value);
}

static void write_text(struct config_text *out, const char *option, const char *master, const char *value)
{
    if (value) write_line(out, option, master, value);
}

static void write_number(struct config_text *out, const char *option, const char *master, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, value);
    write_line(out, option, master, text);
}

/* What is at its default keeps the line that the file has, and gets none. */
static void may_be_initial(struct config_text *out, bool is_initial)
{
    if (is_initial) config_text_printf(out, CONFIG_IN_PLACE);
}

static void write_flag(struct config_text *out, const char *option, bool value, bool initial)
{
    may_be_initial(out, value == initial);
    write_line(out, option, value ? "yes" : "no");
}

static void write_setting(struct config_text *out, const char *option, const char *master, int64_t value,
                          int64_t initial)
{
    may_be_initial(out, value == initial);
    write_number(out, option, master, value);
}

static void write_global(const struct sentinel_process *p, struct config_text *out)
{
    const struct sentinel_settings *s = &p->sentinel.settings;
    char port[16];
    write_line(out, "myid", p->sentinel.run_id);
    write_flag(out, "deny-scripts-reconfig", p->deny_scripts_reconfig, true);
    write_flag(out, "resolve-hostnames", p->resolve_hostnames, false);
    write_flag(out, "announce-hostnames", s->announce_hostnames, false);
    write_global_text(out, "announce-ip", s->announce.host);
    snprintf(port, sizeof port, "%d", s->announce.port);
    may_be_initial(out, !s->announce.port);
    write_line(out, "announce-port", port);
    write_global_text(out, "sentinel-user", p->peer_user);
    write_global_text(out, "sentinel-pass", p->peer_pass);
}

static void write_options(const struct watched *w, struct config_text *out)
{
    const struct watched_settings *s = &w->settings;
    struct sentinel_settings fresh;
    struct watched_settings initial;
    sentinel_settings_init(&fresh);
    sentinel_watched_settings_init(&fresh.periods, &initial, 1);
    write_setting(out, "down-after-milliseconds", w->name, s->down_after_ms, initial.down_after_ms);
    write_setting(out, "failover-timeout", w->name, s->failover_timeout_ms, initial.failover_timeout_ms);
    write_setting(out, "parallel-syncs", w->name, s->parallel_syncs, initial.parallel_syncs);
    write_setting(out, "master-reboot-down-after-period", w->name, s->reboot_down_after_ms,
                  initial.reboot_down_after_ms);
    write_text(out, "notification-script", w->name, w->access.notification_script);
    write_text(out, "client-reconfig-script", w->name, w->access.reconfig_script);
    write_text(out, "auth-pass", w->name, w->access.auth_pass);
    write_text(out, "auth-user", w->name, w->access.auth_user);
    for (int i = 0; i < w->access.rename_count; i++)
        write_line(out, "rename-command", w->name, w->access.renames[i].from, w->access.renames[i].to);
}

static void write_known(struct config_text *out, const char *what, const struct watched *w, const char *host, int port,
                        const char *last)
{
    char number[16];
    snprintf(number, sizeof number, "%d", port);
    write_line(out, what, w->name, host, number, last);
}

static void write_master(const struct sentinel *s, const struct watched *w, struct config_text *out)
{
    bool by_name = s->settings.announce_hostnames;
    const struct instance *current = watched_current(w);
    char quorum[16];
    snprintf(quorum, sizeof quorum, "%d", w->settings.quorum);
    write_known(out, "monitor", w, instance_host(current, by_name), current->address.port, quorum);
    write_options(w, out);
    write_number(out, "config-epoch", w->name, (int64_t)w->config_epoch);
    write_number(out, "leader-epoch", w->name, (int64_t)w->own.epoch);
    for (int i = 0; i < w->replica_count; i++) {
        /* While a fail-over is under way, the old master is a replica to be. */
        const struct instance *r = w->replicas[i] == current ? w->master : w->replicas[i];
        write_known(out, "known-replica", w, instance_host(r, by_name), r->address.port, NULL);
    }
    for (int i = 0; i < w->voter_count; i++) {
        const struct instance *peer = w->voters[i].peer;
        write_known(out, "known-sentinel", w, peer->address.host, peer->address.port, peer->run_id);
    }
}

void sentinel_state_write(void *process, struct config_text *out)
{
    const struct sentinel_process *p = process;
    write_global(p, out);
    for (int i = 0; i < p->sentinel.master_count; i++) write_master(&p->sentinel, p->sentinel.masters[i], out);
    config_text_printf(out, "current-epoch %" PRIu64 "\n", p->sentinel.current_epoch);
}
