/* ACL: users, what each may do, and who was refused what. The rules themselves stand in server/acl/. Server process. */
#include "repl/replication.h"
#include "server/acl/category.h"
#include "server/acl/log.h"
#include "server/acl/users.h"
#include "server/base/alloc.h"
#include "server/base/log.h"
#include "server/base/random.h"
#include "server/commands/tables.h"
#include "server/core/clients/clients.h"
#include "server/core/command/command_table.h"
#include "server/core/core.h"
#include "server/core/run/call.h"
#include "server/core/run/permission.h"
#include "server/core/session/pubsub.h"
#include "server/core/session/session.h"
#include "server/core/settings.h"
#include "server/net/loop.h"

#include <errno.h>

#define GENPASS_BITS     256
#define GENPASS_BITS_MAX 4096
#define LOG_SHOWN        10

static void reply_text(struct reply *r, struct acl_text *text)
{
    reply_bulk(r, acl_text_bytes(text));
    acl_text_free(text);
}

/* An error with bytes of the caller's in it. */
static void reply_error_text(struct reply *r, struct acl_text *text)
{
    acl_text_add(text, bytes_make("", 1));
    reply_error(r, (const char *)text->ptr);
    acl_text_free(text);
}

/* --- clients of a user who changes or goes --- */

/* The caller still gets his reply. */
static void cut_off(const struct call *call, struct client *c)
{
    if (c->follower)
        replication_drop_follower(call->core->replication, c->follower, "ACL");
    else if (c == call->session->client)
        client_close_after_reply(c);
    else
        client_close(c);
}

static void cut_off_clients_of(void *arg, struct user *u)
{
    const struct call *call = arg;
    list_each(clients_all(call->core->clients), node)
    {
        struct client *c = list_entry(node, struct client, node);
        if (c->session.user != u) continue;
        c->session.user = NULL;
        cut_off(call, c);
    }
}

static bool permits_name(const void *arg, enum pubsub_kind kind, struct bytes name)
{
    return acl_permits_channel(arg, name, kind == PUBSUB_PATTERN);
}

/* Who listens to what he may not hear any more. */
static void cut_off_subscribers(const struct call *call, const struct user *u)
{
    list_each(clients_all(call->core->clients), node)
    {
        struct client *c = list_entry(node, struct client, node);
        if (c->session.user == u && !pubsub_every_name(&c->session, permits_name, u)) cut_off(call, c);
    }
}

/* --- SETUSER, DELUSER --- */

static void reply_modifier_error(struct call *call, struct bytes rule, const char *why)
{
    struct acl_text error = {0};
    acl_text_add(&error, BYTES("ERR Error in ACL SETUSER modifier '"));
    acl_text_add(&error, rule);
    acl_text_addf(&error, "': %s", why);
    reply_error_text(call->reply, &error);
}

/* false: answered. */
static bool apply_all(struct call *call, struct user *u, const struct acl_rules *rules)
{
    for (uint32_t i = 0; i < rules->count; i++) {
        enum acl_error error = users_apply(call->core->users, u, rules->rule[i]);
        if (!error) continue;
        reply_modifier_error(call, rules->rule[i], acl_error_text(error));
        return false;
    }
    return true;
}

static bool read_rules(struct call *call, struct acl_rules *rules)
{
    uint32_t culprit;
    if (acl_rules_join(rules, call->argc - 3, call->argv + 3, &culprit) == 0) return true;
    struct acl_text error = {0};
    acl_text_add(&error, BYTES("ERR Unmatched parenthesis in acl selector starting at '"));
    acl_text_add(&error, call->argv[3 + culprit]);
    acl_text_add(&error, BYTES("'."));
    reply_error_text(call->reply, &error);
    return false;
}

static void acl_setuser(struct call *call)
{
    struct acl_rules rules;
    for (uint32_t i = 2; i < call->argc; i++) call_secret_arg(call, i);
    if (!user_name_is_valid(call->argv[2]))
        return reply_error(call->reply, "ERR Usernames can't contain spaces or null characters");
    if (read_rules(call, &rules)) {
        struct user *draft = users_draft(call->core->users, call->argv[2]);
        if (apply_all(call, draft, &rules)) {
            const struct user *u = users_put(call->core->users, draft);
            cut_off_subscribers(call, u);
            if (u == call->core->users->default_user) clients_follow_default_user(call->core);
            reply_ok(call->reply);
        } else {
            user_free(draft);
        }
    }
    acl_rules_free(&rules);
}

static void acl_deluser(struct call *call)
{
    struct users *users = call->core->users;
    int64_t deleted = 0;
    for (uint32_t i = 2; i < call->argc; i++) call_secret_arg(call, i);
    for (uint32_t i = 2; i < call->argc; i++)
        if (bytes_equal(call->argv[i], users->default_user->name))
            return reply_error(call->reply, "ERR The 'default' user cannot be removed");
    for (uint32_t i = 2; i < call->argc; i++) {
        struct user *u = users_find(users, call->argv[i]);
        if (!u) continue;
        cut_off_clients_of(call, u);
        users_remove(users, u);
        deleted++;
    }
    reply_integer(call->reply, deleted);
}

/* --- looking at users --- */

static void reply_selector(struct reply *r, const struct selector *s)
{
    static const struct {
        const char *name;
        void (*describe)(const struct selector *s, struct acl_text *out);
    } parts[] = {{"commands", selector_describe_commands},
                 {"keys", selector_describe_keys},
                 {"channels", selector_describe_channels}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        struct acl_text text = {0};
        reply_bulk_text(r, parts[i].name);
        parts[i].describe(s, &text);
        reply_text(r, &text);
    }
}

static void reply_flags(struct reply *r, const struct user *u)
{
    reply_set(r, u->no_password ? 3 : 2);
    reply_bulk_text(r, u->enabled ? "on" : "off");
    if (u->no_password) reply_bulk_text(r, "nopass");
    reply_bulk_text(r, u->skips_sanitizing ? "skip-sanitize-payload" : "sanitize-payload");
}

static void acl_getuser(struct call *call)
{
    struct reply *r = call->reply;
    const struct user *u = users_find(call->core->users, call->argv[2]);
    call_secret_arg(call, 2);
    if (!u) return reply_null(r);
    reply_map(r, 6);
    reply_bulk_text(r, "flags");
    reply_flags(r, u);
    reply_bulk_text(r, "passwords");
    reply_array(r, u->password_count);
    for (size_t i = 0; i < u->password_count; i++)
        reply_bulk(r, bytes_make(u->passwords[i].hash, sizeof u->passwords[i].hash));
    reply_selector(r, &u->selectors[0]);
    reply_bulk_text(r, "selectors");
    reply_array(r, u->selector_count - 1);
    for (size_t i = 1; i < u->selector_count; i++) {
        reply_map(r, 3);
        reply_selector(r, &u->selectors[i]);
    }
}

static void list_users(struct call *call, bool whole)
{
    const struct users *users = call->core->users;
    struct user **sorted = users_sorted(users);
    reply_array(call->reply, users->by_name.count);
    for (size_t i = 0; i < users->by_name.count; i++) {
        struct acl_text line = {0};
        if (whole)
            user_describe(sorted[i], &line);
        else
            acl_text_add(&line, sorted[i]->name);
        reply_text(call->reply, &line);
    }
    mem_free(sorted);
}

static void acl_list(struct call *call)
{
    list_users(call, true);
}

static void acl_users(struct call *call)
{
    list_users(call, false);
}

static void acl_whoami(struct call *call)
{
    reply_bulk(call->reply, session_user_name(call->session));
}

/* --- categories, passwords --- */

static size_t list_in_category(struct call *call, uint32_t category, const struct command_entry *e)
{
    size_t count = (e->categories & category) != 0;
    if (count) reply_bulk_text(call->reply, e->full_name);
    for (size_t i = 0; i < e->subcommand_count; i++) count += list_in_category(call, category, &e->subcommands[i]);
    return count;
}

static void list_categories(struct call *call)
{
    size_t count = 0;
    while (category_names[count].name) count++;
    reply_array(call->reply, count);
    for (size_t i = 0; i < count; i++) reply_bulk_text(call->reply, category_names[i].name + 1);
}

static void acl_cat(struct call *call)
{
    if (call->argc > 3) return call_unknown_subcommand(call);
    if (call->argc == 2) return list_categories(call);
    uint32_t category = category_find(call->argv[2]);
    if (!category) {
        struct acl_text error = {0};
        acl_text_add(&error, BYTES("ERR Unknown category '"));
        acl_text_add(&error, call->argv[2]);
        acl_text_add(&error, BYTES("'"));
        return reply_error_text(call->reply, &error);
    }
    struct reply_deferred d;
    size_t count = 0;
    const struct command_table *t = call->core->commands;
    reply_deferred_begin(call->reply, &d);
    for (struct command_entry *e = command_table_next(t, NULL); e; e = command_table_next(t, e))
        count += list_in_category(call, category, e);
    reply_deferred_array(call->reply, &d, count);
}

static void acl_genpass(struct call *call)
{
    static const char hex[] = "0123456789abcdef";
    int64_t bits = GENPASS_BITS;
    if (call->argc > 3) return call_unknown_subcommand(call);
    if (call->argc == 3 && !call_arg_i64(call, 2, &bits, NULL)) return;
    if (bits <= 0 || bits > GENPASS_BITS_MAX)
        return reply_error(call->reply, "ERR ACL GENPASS argument must be the number of bits for the output password, "
                                        "a positive number up to 4096");
    uint8_t random[GENPASS_BITS_MAX / 4];
    size_t digits = (size_t)(bits + 3) / 4;
    random_from_kernel(random, digits);
    for (size_t i = 0; i < digits; i++) random[i] = (uint8_t)hex[random[i] & 15];
    reply_bulk(call->reply, bytes_make(random, digits));
}

/* --- LOG --- */

static void reply_named_bytes(struct reply *r, const char *name, struct bytes value)
{
    reply_bulk_text(r, name);
    reply_bulk(r, value);
}

static void reply_named_integer(struct reply *r, const char *name, int64_t value)
{
    reply_bulk_text(r, name);
    reply_integer(r, value);
}

static void reply_entry(struct reply *r, const struct acl_log_entry *e, int64_t now_ms)
{
    const struct acl_refusal *refusal = &e->refusal;
    reply_map(r, 10);
    reply_named_integer(r, "count", (int64_t)e->count);
    reply_named_bytes(r, "reason", bytes_from_text(acl_reason_name(refusal->reason)));
    reply_named_bytes(r, "context", bytes_from_text(acl_context_name(refusal->context)));
    reply_named_bytes(r, "object", refusal->object);
    reply_named_bytes(r, "username", refusal->username);
    reply_bulk_text(r, "age-seconds");
    reply_double(r, (double)(now_ms - e->updated_ms) / 1000);
    reply_named_bytes(r, "client-info", refusal->client);
    reply_named_integer(r, "entry-id", (int64_t)e->id);
    reply_named_integer(r, "timestamp-created", e->created_ms);
    reply_named_integer(r, "timestamp-last-updated", e->updated_ms);
}

static void acl_log(struct call *call)
{
    struct acl_log *log = call->core->acl_log;
    int64_t count = LOG_SHOWN;
    if (call->argc > 3) return call_unknown_subcommand(call);
    if (call->argc == 3 && call_arg_is(call, 2, "reset")) {
        acl_log_clear(log);
        return reply_ok(call->reply);
    }
    if (call->argc == 3 && !call_arg_i64(call, 2, &count, NULL)) return;
    if (count < 0) count = 0;
    if ((uint64_t)count > log->entries.count) count = (int64_t)log->entries.count;
    reply_array(call->reply, (size_t)count);
    list_each(&log->entries, node)
    {
        if (count-- == 0) break;
        reply_entry(call->reply, list_entry(node, struct acl_log_entry, node), call->now_ms);
    }
}

/* --- LOAD, SAVE --- */

/* false: answered. */
static bool has_file(struct call *call)
{
    if (*call->core->settings->acl.file) return true;
    reply_error(call->reply,
                "ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the "
                "ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file "
                "set) in order to store users in the Redis configuration.");
    return false;
}

/* As in Redis up to 7.2, all users of before go, but for the default one, and with them their clients. */
static void acl_load(struct call *call)
{
    struct users *users = call->core->users;
    struct acl_text errors = {0};
    if (!has_file(call)) return;
    if (users_load_file(users, call->core->settings->acl.file, cut_off_clients_of, call, &errors) == 0) {
        cut_off_subscribers(call, users->default_user);
        clients_follow_default_user(call->core);
        reply_ok(call->reply);
        acl_text_free(&errors);
        return;
    }
    struct acl_text reply = {0};
    acl_text_add(&reply, BYTES("ERR "));
    acl_text_add(&reply, acl_text_bytes(&errors));
    acl_text_free(&errors);
    reply_error_text(call->reply, &reply);
}

static void acl_save(struct call *call)
{
    if (!has_file(call)) return;
    if (users_save_file(call->core->users, call->core->settings->acl.file) == 0) return reply_ok(call->reply);
    log_warning("Saving ACL file: %s", strerror(errno));
    reply_error(call->reply,
                "ERR There was an error trying to save the ACLs. Please check the server logs for more information");
}

/* --- DRYRUN --- */

static void reply_not_found(struct call *call, const char *what, struct bytes name)
{
    struct acl_text error = {0};
    acl_text_addf(&error, "ERR %s '", what);
    acl_text_add(&error, name);
    acl_text_add(&error, BYTES("' not found"));
    reply_error_text(call->reply, &error);
}

static void acl_dryrun(struct call *call)
{
    struct request r = {.argc = call->argc - 3, .argv = call->argv + 3};
    const struct user *u = users_find(call->core->users, call->argv[2]);
    if (!u) return reply_not_found(call, "User", call->argv[2]);
    r.command = command_table_resolve(call->core->commands, r.argc, r.argv);
    bool no_such_subcommand = r.command && r.command->subcommand_count && r.argc > 1;
    if (!r.command || no_such_subcommand) return reply_not_found(call, "Command", r.argv[0]);
    int arity = r.command->row->arity;
    if (arity > 0 ? (int)r.argc != arity : (int)r.argc < -arity) {
        reply_errorf(call->reply, "ERR wrong number of arguments for '%s' command", r.command->full_name);
        return;
    }
    struct acl_denial denial = acl_check(u, r.command, r.argc, r.argv);
    if (denial.reason == ACL_ALLOWED) return reply_ok(call->reply);
    struct acl_text text = {0};
    acl_explain_denial(&text, u, &r, denial);
    reply_text(call->reply, &text);
}

static void acl_help(struct call *call)
{
    static const char *const lines[] = {
        "CAT [<category>]",
        "    List all commands that belong to <category>, or all command categories",
        "    when no category is specified.",
        "DELUSER <username> [<username> ...]",
        "    Delete a list of users.",
        "DRYRUN <username> <command> [<arg> ...]",
        "    Returns whether the user can execute the given command without executing the command.",
        "GETUSER <username>",
        "    Get the user's details.",
        "GENPASS [<bits>]",
        "    Generate a secure 256-bit user password. The optional `bits` argument can",
        "    be used to specify a different size.",
        "LIST",
        "    Show users details in config file format.",
        "LOAD",
        "    Reload users from the ACL file.",
        "LOG [<count> | RESET]",
        "    Show the ACL log entries.",
        "SAVE",
        "    Save the current config to the ACL file.",
        "SETUSER <username> <attribute> [<attribute> ...]",
        "    Create or modify a user with the specified attributes.",
        "USERS",
        "    List all the registered usernames.",
        "WHOAMI",
        "    Return the current connection username.",
        NULL};
    call_help(call, lines);
}

#define LOOKING (CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_SENTINEL)
#define ADMIN   (CMD_ADMIN | LOOKING)

static const struct command acl_subcommands[] = {
    {"cat", acl_cat, -2, LOOKING, 0},
    {"deluser", acl_deluser, -3, ADMIN, 0, .tips = TIP_REQUEST_ALL_NODES | TIP_RESPONSE_ALL_SUCCEEDED},
    {"dryrun", acl_dryrun, -4, ADMIN, 0},
    {"genpass", acl_genpass, -2, LOOKING, 0},
    {"getuser", acl_getuser, 3, ADMIN, 0},
    {"help", acl_help, 2, CMD_LOADING | CMD_STALE | CMD_SENTINEL, 0},
    {"list", acl_list, 2, ADMIN, 0},
    {"load", acl_load, 2, ADMIN, 0},
    {"log", acl_log, -2, ADMIN, 0},
    {"save", acl_save, 2, ADMIN, 0, .tips = TIP_REQUEST_ALL_NODES | TIP_RESPONSE_ALL_SUCCEEDED},
    {"setuser", acl_setuser, -3, ADMIN, 0, .tips = TIP_REQUEST_ALL_NODES | TIP_RESPONSE_ALL_SUCCEEDED},
    {"users", acl_users, 2, ADMIN, 0},
    {"whoami", acl_whoami, 2, LOOKING, 0},
    {.name = NULL},
};

const struct command acl_commands[] = {
    {"acl", call_unknown_subcommand, -2, CMD_SENTINEL, 0, .subcommands = acl_subcommands},
    {.name = NULL},
};
