/* The configuration: directives by name, from the file, the command line, standard input and CONFIG SET; and back to
 * text.
 *
 * One table (core/config/config_table.c) has a row per directive that Redis 7.2 knows: its names, type, default,
 * bounds, whether it can change at run time, where its value lives (a field of struct settings), and what to call when
 * it has changed. A directive known to Redis but not honoured here is accepted with one warning that names it. */
#ifndef SLIPSTREAM_CORE_CONFIG_CONFIG_H
#define SLIPSTREAM_CORE_CONFIG_CONFIG_H

#include "server/base/outq.h"
#include "server/core/settings.h"

struct command_table;
struct config;
struct core;
struct users;

struct config *config_new(struct settings *settings); /* every setting at its default */
/* Before config_load: the commands that `rename-command` renames. */
void config_rename_in(struct config *c, struct command_table *commands);
/* Before config_load: lines that begin with `name` are another part's; without one, `sentinel` lines are refused. */
#define CONFIG_IN_PLACE "?"
struct config_text;
struct config_statements {
    const char *name;
    bool (*read)(void *arg, uint32_t argc, const struct bytes *argv, char message[256]); /* the words behind the name */
    /* Lines without the name, each ended by a line feed. One that begins with CONFIG_IN_PLACE, what is at its default,
     * is written only where the file has such a line. */
    void (*write)(void *arg, struct config_text *out);
    /* What a line is about, by the words behind the name: a new line takes the place of an old
     * one with the same key. */
    void (*key)(uint32_t argc, const struct bytes *argv, struct config_text *out);
    void *arg;
};
void config_use_statements(struct config *c, const struct config_statements *statements); /* lives as long as c */
/* Before config_load: whose users its `user` lines are. */
void config_use_users(struct config *c, struct users *users);
/* Once all is loaded and the log is open: makes the users, of the `user` lines or of the ACL file. -1: the log says why
 * the server may not start. */
int config_load_users(struct config *c);
/* Loads `path` (NULL: none) and then `extra`, lines that the command line's options became. -1:
 * the error was printed to stderr in Redis's words ("*** FATAL CONFIG FILE ERROR (...) ***", line number, the line). */
int config_load(struct config *c, const char *path, struct bytes extra);
/* Before config_load: standard input is to be read behind the file ("redis-server file --port 7000 -"). */
void config_want_stdin(struct config *c);
/* One warning for each directive that was given and has no effect here. Once the log is open. */
void config_warn_without_effect(const struct config *c);
/* "--port 7000 --save 60 1 ..." -> lines for config_load; mem_free(out->ptr). */
void config_lines_from_arguments(int argc, char **argv, struct bytes *out);

struct config_get_sink {
    void (*pair)(void *context, struct bytes name, struct bytes value);
    void *context;
};
void config_get(const struct config *c, uint32_t patterns, const struct bytes *pattern,
                const struct config_get_sink *sink);
/* Several name/value pairs, all or nothing. `protected_too`: the caller may set what enable-protected-configs guards.
 * false: nothing has changed; error holds Redis's whole message, its code first. */
bool config_set(struct config *c, struct core *core, uint32_t pairs, const struct bytes *names_and_values,
                bool protected_too, char error[512]);
/* Rewrites the file the server was started with. -1: error holds the whole message, nothing has changed.
 * `everything`: directives at their default are written too (DEBUG CONFIG-REWRITE-FORCE-ALL). */
int config_rewrite(struct config *c, bool everything, char error[512]);
const char *config_file(const struct config *c);
bool config_is_secret(struct bytes name); /* what CONFIG SET gives it belongs into no log */

/* REPLICAOF, AUTH and the like change settings without CONFIG SET, so that CONFIG REWRITE sees them. */
void config_note_replicaof(struct config *c, const char *host, int port); /* host NULL: none */

/* Called after a directive's value changed by CONFIG SET; 0, or -1 with a message: the change is rolled back.
 * Registered per directive name (core/process/config_effects.c). */
void config_on_change(struct config *c, const char *name, int (*apply)(struct core *core, char error[256]));

/* Registers what must happen when a directive changes at run time (core/process/config_effects.c). */
void config_apply_hooks(struct config *c);

#endif
