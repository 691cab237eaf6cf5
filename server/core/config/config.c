/* The configuration object: finding directives, CONFIG GET, and CONFIG SET all or nothing. Server process. */
#include "server/core/config/config.h"

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/glob.h"
#include "server/base/log.h"
#include "server/core/clients/clients.h"
#include "server/core/config/config_parts.h"
#include "server/core/core.h"
#include "server/core/dataset/persistence.h"

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

static void set_initial(struct config *c, const struct directive *d)
{
    char message[CONFIG_MESSAGE_MAX];
    struct bytes value = bytes_from_text(d->initial);
    CHECK(directive_parse(c, d, 1, &value, message));
}

void config_rename_in(struct config *c, struct command_table *commands)
{
    c->commands = commands;
}

void config_use_statements(struct config *c, const struct config_statements *statements)
{
    c->statements = statements;
}

void config_use_users(struct config *c, struct users *users)
{
    c->users = users;
}

struct config *config_new(struct settings *settings)
{
    struct config *c = mem_calloc(1, sizeof *c);
    c->settings = settings;
    c->rows = config_directives;
    c->kept = mem_calloc(config_directive_count, sizeof *c->kept);
    c->given = mem_calloc(config_directive_count, sizeof *c->given);
    c->apply = mem_calloc(config_directive_count, sizeof *c->apply);
    for (size_t i = 0; i < config_directive_count; i++) {
        if (config_directives[i].initial) set_initial(c, &config_directives[i]);
    }
    char here[PATH_MAX];
    settings->server.dir = mem_strdup(getcwd(here, sizeof here) ? here : "/");
    /* The stream of our own master is never cut for being slow: the limit of its class stays zero. */
    settings->net.output_limits[CLIENT_MASTER] = (struct output_limit){0};
    return c;
}

const char *config_file(const struct config *c)
{
    return c->file;
}

void config_note_replicaof(struct config *c, const char *host, int port)
{
    directive_replace_text(&c->settings->repl.master_host, host ? bytes_from_text(host) : BYTES(""), true);
    c->settings->repl.master_port = host ? port : 0;
}

void config_on_change(struct config *c, const char *name, int (*apply)(struct core *core, char error[256]))
{
    const struct directive *d = directive_find(bytes_from_text(name));
    CHECK(d);
    c->apply[directive_row(c, d)] = apply;
}

/* --- CONFIG GET --- */

/* The name as it was asked for, a whole one in the caller's spelling; empty: it was not. */
static struct bytes asked_for(const struct directive *d, const char *name, uint32_t patterns,
                              const struct bytes *pattern)
{
    for (uint32_t i = 0; i < patterns; i++) {
        if (bytes_equal_nocase(pattern[i], name)) return pattern[i];
        if (!(d->flags & DIR_HIDDEN) && glob_match(pattern[i], bytes_from_text(name), true))
            return bytes_from_text(name);
    }
    return (struct bytes){0};
}

void config_get(const struct config *c, uint32_t patterns, const struct bytes *pattern,
                const struct config_get_sink *sink)
{
    struct config_text value = {0};
    for (size_t i = 0; i < config_directive_count; i++) {
        const struct directive *d = &config_directives[i];
        const char *names[] = {d->name, d->alias};
        config_text_clear(&value);
        for (int n = 0; n < 2; n++) {
            struct bytes name = names[n] ? asked_for(d, names[n], patterns, pattern) : (struct bytes){0};
            if (!name.len) continue;
            if (!value.len) directive_format(c, d, &value);
            sink->pair(sink->context, name, config_text_bytes(&value));
        }
    }
    config_text_free(&value);
}

/* --- CONFIG SET --- */

bool config_is_secret(struct bytes name)
{
    const struct directive *d = directive_find(name);
    return d && (d->kind == KIND_SECRET || (d->flags & DIR_SECRET));
}

struct change {
    const struct directive *directive;
    struct bytes name, value; /* as the caller wrote them */
    struct config_text old;
    bool changed;
};

static int shown(struct bytes name)
{
    return name.len < 128 ? (int)name.len : 128;
}

static void failed(char error[512], struct bytes name, const char *why)
{
    snprintf(error, 512, "ERR CONFIG SET failed (possibly related to argument '%.*s') - %s", shown(name),
             (const char *)name.ptr, why);
}

static bool may_set(const struct core *core, const struct change *changes, uint32_t at, bool protected_too,
                    char error[512])
{
    const struct change *change = &changes[at];
    const struct directive *d = change->directive;
    const char *why = NULL;
    if (!d) {
        snprintf(error, 512, "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'", shown(change->name),
                 (const char *)change->name.ptr);
        return false;
    }
    if (d->flags & DIR_IMMUTABLE)
        why = "can't set immutable config";
    else if ((d->flags & DIR_PROTECTED) && !protected_too)
        why = "can't set protected config";
    for (uint32_t i = 0; i < at && !why; i++) {
        bool same_name = bytes_equal_nocase(changes[i].name, d->name) == bytes_equal_nocase(change->name, d->name);
        if (changes[i].directive == d && same_name) why = "duplicate parameter";
    }
    if (why) {
        failed(error, change->name, why);
        return false;
    }
    if ((d->flags & DIR_NOT_LOADING) && core && persistence_state(core)->loading) {
        snprintf(error, 512, "LOADING Redis is loading the dataset in memory");
        return false;
    }
    return true;
}

/* The text was formatted from an accepted value, so it is accepted again; a working directory may have vanished. */
static void restore(struct config *c, struct change *changes, uint32_t count)
{
    for (uint32_t i = count; i-- > 0;) {
        char message[CONFIG_MESSAGE_MAX];
        struct bytes old = config_text_bytes(&changes[i].old);
        if (!directive_parse(c, changes[i].directive, 1, &old, message))
            log_warning("Can't restore '%s' to its value before CONFIG SET: %s", changes[i].directive->name, message);
    }
}

static bool parse_all(struct config *c, struct change *changes, uint32_t count, char error[512])
{
    struct config_text now = {0};
    bool good = true;
    for (uint32_t i = 0; i < count && good; i++) {
        struct change *change = &changes[i];
        char message[CONFIG_MESSAGE_MAX];
        directive_format(c, change->directive, &change->old);
        good = directive_parse(c, change->directive, 1, &change->value, message);
        const char *loss = good ? config_missing_part(c, change->directive, false) : NULL;
        if (!good || loss) {
            failed(error, change->name, loss ? loss : message);
            restore(c, changes, loss ? i + 1 : i);
            good = false;
            break;
        }
        config_text_clear(&now);
        directive_format(c, change->directive, &now);
        bool reread = change->directive->flags & DIR_REREAD;
        change->changed = reread || !bytes_equal(config_text_bytes(&now), config_text_bytes(&change->old));
    }
    config_text_free(&now);
    return good;
}

/* Runs what hangs on a changed value; changes that share a function (port and bind) run it once. */
static int apply_changes(struct config *c, struct core *core, const struct change *changes, uint32_t count,
                         char message[256])
{
    for (uint32_t i = 0; i < count; i++) {
        int (*apply)(struct core *, char[256]) = c->apply[directive_row(c, changes[i].directive)];
        bool ran = !apply || !changes[i].changed;
        for (uint32_t j = 0; j < i && !ran; j++)
            ran = changes[j].changed && c->apply[directive_row(c, changes[j].directive)] == apply;
        if (!ran && apply(core, message)) return (int)i;
    }
    return -1;
}

static bool set_all(struct config *c, struct core *core, struct change *changes, uint32_t count, char error[512])
{
    if (!parse_all(c, changes, count, error)) return false;
    char message[256] = "";
    int culprit = apply_changes(c, core, changes, count, message);
    if (culprit < 0) {
        for (uint32_t i = 0; i < count; i++)
            if (changes[i].directive->flags & DIR_NO_EFFECT) config_say_no_effect(changes[i].directive);
        return true;
    }
    failed(error, changes[culprit].name, message);
    restore(c, changes, count);
    if (apply_changes(c, core, changes, (uint32_t)culprit, message) >= 0)
        log_warning("Can't undo a failed CONFIG SET: %s", message);
    return false;
}

bool config_set(struct config *c, struct core *core, uint32_t pairs, const struct bytes *names_and_values,
                bool protected_too, char error[512])
{
    struct change *changes = mem_calloc(pairs, sizeof *changes);
    bool good = true;
    for (uint32_t i = 0; i < pairs && good; i++) {
        changes[i].name = names_and_values[2 * i];
        changes[i].value = names_and_values[2 * i + 1];
        changes[i].directive = directive_find(changes[i].name);
        good = may_set(core, changes, i, protected_too, error);
    }
    good = good && set_all(c, core, changes, pairs, error);
    for (uint32_t i = 0; i < pairs; i++) config_text_free(&changes[i].old);
    mem_free(changes);
    return good;
}
