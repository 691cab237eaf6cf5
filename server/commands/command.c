/* COMMAND: the command table, told to clients. Server process. */
#include "server/base/alloc.h"
#include "server/base/glob.h"
#include "server/commands/command_docs.h"
#include "server/commands/tables.h"
#include "server/core/command/command_table.h"
#include "server/core/core.h"
#include "server/core/run/call.h"

struct named_bit {
    uint32_t bit;
    const char *name;
};

static const struct named_bit flag_names[] = {{CMD_WRITE, "write"},
                                              {CMD_READONLY, "readonly"},
                                              {CMD_DENYOOM, "denyoom"},
                                              {CMD_MODULE, "module"},
                                              {CMD_ADMIN, "admin"},
                                              {CMD_PUBSUB, "pubsub"},
                                              {CMD_NOSCRIPT, "noscript"},
                                              {CMD_BLOCKING, "blocking"},
                                              {CMD_LOADING, "loading"},
                                              {CMD_STALE, "stale"},
                                              {CMD_SKIP_MONITOR, "skip_monitor"},
                                              {CMD_SKIP_SLOWLOG, "skip_slowlog"},
                                              {CMD_ASKING, "asking"},
                                              {CMD_FAST, "fast"},
                                              {CMD_NO_AUTH, "no_auth"},
                                              {CMD_NO_MANDATORY_KEYS, "no_mandatory_keys"},
                                              {CMD_NO_ASYNC_LOADING, "no_async_loading"},
                                              {CMD_NO_MULTI, "no_multi"},
                                              {CMD_MOVABLE_KEYS, "movablekeys"},
                                              {CMD_ALLOW_BUSY, "allow_busy"},
                                              {0, NULL}};

static const struct named_bit key_flag_names[] = {{KEY_RW, "RW"},
                                                  {KEY_RO, "RO"},
                                                  {KEY_OW, "OW"},
                                                  {KEY_RM, "RM"},
                                                  {KEY_ACCESS, "access"},
                                                  {KEY_UPDATE, "update"},
                                                  {KEY_INSERT, "insert"},
                                                  {KEY_DELETE, "delete"},
                                                  {KEY_NOT_KEY, "not_key"},
                                                  {KEY_INCOMPLETE, "incomplete"},
                                                  {KEY_VARIABLE, "variable_flags"},
                                                  {0, NULL}};

static const struct named_bit tip_names[] = {{TIP_NONDETERMINISTIC_OUTPUT, "nondeterministic_output"},
                                             {TIP_NONDETERMINISTIC_OUTPUT_ORDER, "nondeterministic_output_order"},
                                             {TIP_REQUEST_ALL_NODES, "request_policy:all_nodes"},
                                             {TIP_REQUEST_ALL_SHARDS, "request_policy:all_shards"},
                                             {TIP_REQUEST_MULTI_SHARD, "request_policy:multi_shard"},
                                             {TIP_REQUEST_SPECIAL, "request_policy:special"},
                                             {TIP_RESPONSE_ONE_SUCCEEDED, "response_policy:one_succeeded"},
                                             {TIP_RESPONSE_ALL_SUCCEEDED, "response_policy:all_succeeded"},
                                             {TIP_RESPONSE_AGG_LOGICAL_AND, "response_policy:agg_logical_and"},
                                             {TIP_RESPONSE_AGG_MIN, "response_policy:agg_min"},
                                             {TIP_RESPONSE_AGG_SUM, "response_policy:agg_sum"},
                                             {TIP_RESPONSE_SPECIAL, "response_policy:special"},
                                             {0, NULL}};

static void reply_tips(struct reply *r, uint32_t tips)
{
    reply_set(r, (size_t)__builtin_popcount(tips));
    for (const struct named_bit *n = tip_names; n->name; n++)
        if (tips & n->bit) reply_bulk_text(r, n->name);
}

static void reply_names(struct reply *r, uint32_t bits, const struct named_bit *names)
{
    size_t count = 0;
    for (const struct named_bit *n = names; n->name; n++) count += (bits & n->bit) != 0;
    reply_set(r, count);
    for (const struct named_bit *n = names; n->name; n++)
        if (bits & n->bit) reply_simple(r, n->name);
}

static void reply_categories(struct reply *r, uint32_t categories)
{
    reply_set(r, (size_t)__builtin_popcount(categories));
    for (const struct category_name *n = category_names; n->name; n++)
        if (categories & n->bit) reply_simple(r, n->name);
}

/* --- COMMAND INFO --- */

static void reply_begin_search(struct reply *r, const struct key_spec *spec)
{
    static const char *const types[] = {"index", "keyword", "unknown"};
    reply_bulk_text(r, "begin_search");
    reply_map(r, 2);
    reply_bulk_text(r, "type");
    reply_bulk_text(r, types[spec->begin]);
    reply_bulk_text(r, "spec");
    if (spec->begin == BEGIN_INDEX) {
        reply_map(r, 1);
        reply_bulk_text(r, "index");
        reply_integer(r, spec->index);
    } else if (spec->begin == BEGIN_KEYWORD) {
        reply_map(r, 2);
        reply_bulk_text(r, "keyword");
        reply_bulk_text(r, spec->keyword);
        reply_bulk_text(r, "startfrom");
        reply_integer(r, spec->index);
    } else {
        reply_map(r, 0);
    }
}

static void reply_named_integer(struct reply *r, const char *name, int64_t value)
{
    reply_bulk_text(r, name);
    reply_integer(r, value);
}

static void reply_find_keys(struct reply *r, const struct key_spec *spec)
{
    static const char *const types[] = {"range", "keynum", "unknown"};
    reply_bulk_text(r, "find_keys");
    reply_map(r, 2);
    reply_bulk_text(r, "type");
    reply_bulk_text(r, types[spec->find]);
    reply_bulk_text(r, "spec");
    if (spec->find == FIND_RANGE) {
        reply_map(r, 3);
        reply_named_integer(r, "lastkey", spec->last);
        reply_named_integer(r, "keystep", spec->step);
        reply_named_integer(r, "limit", spec->limit);
    } else if (spec->find == FIND_KEYNUM) {
        reply_map(r, 3);
        reply_named_integer(r, "keynumidx", spec->keynum_index);
        reply_named_integer(r, "firstkey", spec->first_key);
        reply_named_integer(r, "keystep", spec->step);
    } else {
        reply_map(r, 0);
    }
}

static int count_specs(const struct command *row)
{
    int count = 0;
    while (count < KEY_SPECS_MAX && row->keys[count].flags) count++;
    return count;
}

static void reply_key_specs(struct reply *r, const struct command *row)
{
    int count = count_specs(row);
    reply_set(r, (size_t)count);
    for (int i = 0; i < count; i++) {
        const struct key_spec *spec = &row->keys[i];
        reply_map(r, spec->notes ? 4 : 3);
        if (spec->notes) {
            reply_bulk_text(r, "notes");
            reply_bulk_text(r, spec->notes);
        }
        reply_bulk_text(r, "flags");
        reply_names(r, spec->flags, key_flag_names);
        reply_begin_search(r, spec);
        reply_find_keys(r, spec);
    }
}

static void reply_info(struct reply *r, const struct command_entry *e)
{
    reply_array(r, 10);
    reply_bulk_text(r, e->full_name);
    reply_integer(r, e->row->arity);
    reply_names(r, e->row->flags, flag_names);
    reply_integer(r, e->first_key);
    reply_integer(r, e->last_key);
    reply_integer(r, e->key_step);
    reply_categories(r, e->categories);
    reply_tips(r, e->row->tips);
    reply_key_specs(r, e->row);
    reply_set(r, e->subcommand_count);
    for (size_t i = 0; i < e->subcommand_count; i++) reply_info(r, &e->subcommands[i]);
}

static void all_entries(struct call *call)
{
    const struct command_table *t = call->core->commands;
    reply_array(call->reply, command_table_count(t));
    for (struct command_entry *e = command_table_next(t, NULL); e; e = command_table_next(t, e))
        reply_info(call->reply, e);
}

static void command_info(struct call *call)
{
    if (call->argc == 2) return all_entries(call);
    reply_array(call->reply, call->argc - 2);
    for (uint32_t i = 2; i < call->argc; i++) {
        struct command_entry *e = command_table_find_full(call->core->commands, call->argv[i]);
        if (e)
            reply_info(call->reply, e);
        else
            reply_null(call->reply);
    }
}

static void command_command(struct call *call)
{
    all_entries(call);
}

static void command_count(struct call *call)
{
    reply_integer(call->reply, (int64_t)command_table_count(call->core->commands));
}

/* --- COMMAND LIST --- */

struct list_filter {
    enum { LIST_ALL, LIST_CATEGORY, LIST_PATTERN, LIST_NOTHING } kind;
    uint32_t category;
    struct bytes pattern;
};

static bool read_filter(struct call *call, struct list_filter *f)
{
    *f = (struct list_filter){0};
    if (call->argc == 2) return true;
    if (call->argc != 5 || !call_arg_is(call, 2, "filterby")) return call_syntax_error(call), false;
    struct bytes value = call->argv[4];
    if (call_arg_is(call, 3, "aclcat")) {
        f->category = category_find(value);
        f->kind = f->category ? LIST_CATEGORY : LIST_NOTHING;
    } else if (call_arg_is(call, 3, "pattern")) {
        f->kind = LIST_PATTERN;
        f->pattern = value;
    } else if (call_arg_is(call, 3, "module")) {
        f->kind = LIST_NOTHING;
    } else {
        return call_syntax_error(call), false;
    }
    return true;
}

static size_t list_entry_if(struct call *call, const struct list_filter *f, const struct command_entry *e)
{
    bool wanted = f->kind == LIST_ALL || (f->kind == LIST_CATEGORY && (e->categories & f->category)) ||
                  (f->kind == LIST_PATTERN && glob_match(f->pattern, bytes_from_text(e->full_name), true));
    size_t count = wanted;
    if (wanted) reply_bulk_text(call->reply, e->full_name);
    for (size_t i = 0; i < e->subcommand_count; i++) count += list_entry_if(call, f, &e->subcommands[i]);
    return count;
}

static void command_list(struct call *call)
{
    struct list_filter f;
    struct reply_deferred d;
    size_t count = 0;
    if (!read_filter(call, &f)) return;
    const struct command_table *t = call->core->commands;
    reply_deferred_begin(call->reply, &d);
    for (struct command_entry *e = command_table_next(t, NULL); e; e = command_table_next(t, e))
        count += list_entry_if(call, &f, e);
    reply_deferred_array(call->reply, &d, count);
}

/* --- COMMAND GETKEYS --- */

/* The keys of the command in the arguments (mem_free them), and their number. NULL: answered. */
static struct found_key *keys_of_argument(struct call *call, int *count)
{
    uint32_t argc = call->argc - 2;
    const struct bytes *argv = call->argv + 2;
    const struct command_entry *e = command_table_resolve(call->core->commands, argc, argv);
    const char *error = NULL;
    if (!e || (e->subcommand_count && argc > 1))
        error = "ERR Invalid command specified";
    else if (!command_takes_keys(e->row))
        error = "ERR The command has no key arguments";
    else if (e->row->arity > 0 ? (int)argc != e->row->arity : (int)argc < -e->row->arity)
        error = "ERR Invalid number of arguments specified for command";
    if (error) {
        reply_error(call->reply, error);
        return NULL;
    }
    struct found_key *keys = mem_alloc(argc * sizeof *keys);
    *count = command_find_keys(e, argc, argv, keys);
    if (*count > 0) return keys;
    mem_free(keys);
    if (e->row->flags & CMD_NO_MANDATORY_KEYS)
        reply_array(call->reply, 0);
    else
        reply_error(call->reply, "ERR Invalid arguments specified for command");
    return NULL;
}

static void command_getkeys(struct call *call)
{
    int count;
    struct found_key *keys = keys_of_argument(call, &count);
    if (!keys) return;
    reply_array(call->reply, (size_t)count);
    for (int i = 0; i < count; i++) reply_bulk(call->reply, call->argv[2 + keys[i].index]);
    mem_free(keys);
}

static void command_getkeysandflags(struct call *call)
{
    int count;
    struct found_key *keys = keys_of_argument(call, &count);
    if (!keys) return;
    reply_array(call->reply, (size_t)count);
    for (int i = 0; i < count; i++) {
        reply_array(call->reply, 2);
        reply_bulk(call->reply, call->argv[2 + keys[i].index]);
        reply_names(call->reply, keys[i].flags, key_flag_names);
    }
    mem_free(keys);
}

static void command_help(struct call *call)
{
    static const char *const lines[] = {"(no subcommand)",
                                        "    Return details about all Redis commands.",
                                        "COUNT",
                                        "    Return the total number of commands in this Redis server.",
                                        "LIST",
                                        "    Return a list of all commands in this Redis server.",
                                        "INFO [<command-name> ...]",
                                        "    Return details about multiple Redis commands.",
                                        "    If no command names are given, documentation details for all",
                                        "    commands are returned.",
                                        "DOCS [<command-name> ...]",
                                        "    Return documentation details about multiple Redis commands.",
                                        "    If no command names are given, documentation details for all",
                                        "    commands are returned.",
                                        "GETKEYS <full-command>",
                                        "    Return the keys from a full Redis command.",
                                        "GETKEYSANDFLAGS <full-command>",
                                        "    Return the keys and the access flags from a full Redis command.",
                                        NULL};
    call_help(call, lines);
}

#define FLAGS (CMD_LOADING | CMD_STALE | CMD_SENTINEL)

static const struct command command_subcommands[] = {
    {"count", command_count, 2, FLAGS, CAT_CONNECTION},
    {"docs", command_docs, -2, FLAGS, CAT_CONNECTION, .tips = TIP_NONDETERMINISTIC_OUTPUT_ORDER},
    {"getkeys", command_getkeys, -3, FLAGS, CAT_CONNECTION},
    {"getkeysandflags", command_getkeysandflags, -3, FLAGS, CAT_CONNECTION},
    {"help", command_help, 2, FLAGS, CAT_CONNECTION},
    {"info", command_info, -2, FLAGS, CAT_CONNECTION, .tips = TIP_NONDETERMINISTIC_OUTPUT_ORDER},
    {"list", command_list, -2, FLAGS, CAT_CONNECTION, .tips = TIP_NONDETERMINISTIC_OUTPUT_ORDER},
    {.name = NULL},
};

const struct command command_commands[] = {
    {"command", command_command, -1, FLAGS, CAT_CONNECTION, .subcommands = command_subcommands,
     .tips = TIP_NONDETERMINISTIC_OUTPUT_ORDER},
    {.name = NULL},
};
