/* COMMAND DOCS: the commands told to people, and to programs that help people. Server process. */
#include "server/commands/command_docs.h"

#include "server/commands/docs/arguments.h"
#include "server/base/check.h"
#include "server/core/command/command_table.h"
#include "server/core/core.h"

static void reply_field(struct reply *r, const char *name, const char *value)
{
    reply_bulk_text(r, name);
    reply_bulk_text(r, value);
}

static void reply_slice(struct reply *r, const char *name, struct bytes value)
{
    if (!value.ptr) return;
    reply_bulk_text(r, name);
    reply_bulk(r, value);
}

/* --- arguments --- */

static void reply_lowercase(struct reply *r, const char *name, struct bytes value)
{
    char lower[64];
    CHECK(value.len <= sizeof lower);
    for (size_t i = 0; i < value.len; i++)
        lower[i] = (char)(value.ptr[i] >= 'A' && value.ptr[i] <= 'Z' ? value.ptr[i] | 0x20 : value.ptr[i]);
    reply_slice(r, name, bytes_make(lower, value.len));
}

static void reply_argument_flags(struct reply *r, const struct argument *a)
{
    size_t count = (size_t)a->optional + a->multiple + a->multiple_token;
    if (!count) return;
    reply_bulk_text(r, "flags");
    reply_set(r, count);
    if (a->optional) reply_simple(r, "optional");
    if (a->multiple) reply_simple(r, "multiple");
    if (a->multiple_token) reply_simple(r, "multiple_token");
}

static void reply_arguments(struct reply *r, const struct argument *first);

static void reply_argument(struct reply *r, const struct argument *a)
{
    static const char *const types[] = {"string",    "integer",    "double", "key",  "pattern",
                                        "unix-time", "pure-token", "oneof",  "block"};
    bool group = a->type == ARGUMENT_ONEOF || a->type == ARGUMENT_BLOCK;
    struct bytes shown = a->shown.ptr ? a->shown : a->name;
    reply_map(r, 3 + (a->key_spec >= 0) + (a->token.ptr != NULL) + (a->since.ptr != NULL) +
                     (a->deprecated_since.ptr != NULL) + (a->optional || a->multiple));
    if (a->name.ptr)
        reply_slice(r, "name", a->name);
    else
        reply_lowercase(r, "name", a->token);
    reply_field(r, "type", types[a->type]);
    if (!group && shown.ptr) reply_slice(r, "display_text", shown);
    if (!group && !shown.ptr) reply_lowercase(r, "display_text", a->token);
    if (a->key_spec >= 0) {
        reply_bulk_text(r, "key_spec_index");
        reply_integer(r, a->key_spec);
    }
    reply_slice(r, "token", a->token);
    reply_slice(r, "since", a->since);
    reply_slice(r, "deprecated_since", a->deprecated_since);
    reply_argument_flags(r, a);
    if (group) reply_arguments(r, a->parts);
}

static void reply_arguments(struct reply *r, const struct argument *first)
{
    reply_bulk_text(r, "arguments");
    reply_array(r, arguments_count(first));
    for (const struct argument *a = first; a; a = a->next) reply_argument(r, a);
}

/* --- one command --- */

static void reply_doc_flags(struct reply *r, const struct command_doc *doc)
{
    size_t count = (size_t)(doc->deprecated_since != NULL) + doc->internal;
    if (!count) return;
    reply_bulk_text(r, "doc_flags");
    reply_set(r, count);
    if (doc->deprecated_since) reply_simple(r, "deprecated");
    if (doc->internal) reply_simple(r, "syscmd");
}

static size_t count_lines(const char *text)
{
    size_t count = 1;
    while ((text = strchr(text, '\n'))) text++, count++;
    return count;
}

static void reply_history(struct reply *r, const char *history)
{
    reply_bulk_text(r, "history");
    reply_set(r, count_lines(history));
    for (const char *line = history; *line;) {
        size_t version = strcspn(line, " "), len = strcspn(line, "\n");
        reply_array(r, 2);
        reply_bulk(r, bytes_make(line, version));
        reply_bulk(r, bytes_make(line + version + 1, len - version - 1));
        line += len + (line[len] == '\n');
    }
}

static void reply_docs(struct reply *r, const struct command_entry *e)
{
    const struct command_doc *doc = e->doc;
    reply_bulk_text(r, e->full_name);
    reply_map(r, 4 + (doc->deprecated_since || doc->internal) + 2 * (doc->deprecated_since != NULL) +
                     (doc->history != NULL) + (doc->arguments != NULL) + (e->subcommand_count > 0));
    reply_field(r, "summary", doc->summary);
    reply_field(r, "since", doc->since);
    reply_field(r, "group", e->group);
    reply_field(r, "complexity", doc->complexity);
    reply_doc_flags(r, doc);
    if (doc->deprecated_since) {
        reply_field(r, "deprecated_since", doc->deprecated_since);
        reply_field(r, "replaced_by", doc->replaced_by);
    }
    if (doc->history) reply_history(r, doc->history);
    if (doc->arguments) {
        struct arguments arguments;
        arguments_read(&arguments, doc->arguments);
        reply_arguments(r, arguments.first);
    }
    if (e->subcommand_count) {
        reply_bulk_text(r, "subcommands");
        reply_map(r, e->subcommand_count);
    }
    for (size_t i = 0; i < e->subcommand_count; i++) reply_docs(r, &e->subcommands[i]);
}

void command_docs(struct call *call)
{
    const struct command_table *t = call->core->commands;
    if (call->argc == 2) {
        reply_map(call->reply, command_table_count(t));
        for (struct command_entry *e = command_table_next(t, NULL); e; e = command_table_next(t, e))
            reply_docs(call->reply, e);
        return;
    }
    struct reply_deferred d;
    size_t found = 0;
    reply_deferred_begin(call->reply, &d);
    for (uint32_t i = 2; i < call->argc; i++) {
        const struct command_entry *e = command_table_find_full(t, call->argv[i]);
        if (!e) continue;
        reply_docs(call->reply, e);
        found++;
    }
    reply_deferred_map(call->reply, &d, found);
}
