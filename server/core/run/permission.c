/* See permission.h. Server process. */
#include "server/core/run/permission.h"

#include "server/base/alloc.h"
#include "server/base/outq.h"
#include "server/core/command/stats.h"
#include "server/core/core.h"
#include "server/core/session/session.h"
#include "server/core/settings.h"
#include "server/net/loop.h"

/* Requests with no more arguments have their keys looked for without an allocation. */
#define ARGUMENTS_ON_STACK 32

static uint8_t access_of(uint16_t key_flags)
{
    uint8_t access = key_flags & KEY_ACCESS ? KEY_READS : 0;
    return key_flags & (KEY_INSERT | KEY_DELETE | KEY_UPDATE) ? access | KEY_WRITES : access;
}

/* Of a spec that is one range: the last key's place, or 0 where the arguments end before. */
static inline uint32_t range_end(const struct key_spec *spec, uint32_t argc)
{
    int64_t last = spec->last >= 0 ? (int64_t)spec->index + spec->last : (int64_t)argc + spec->last;
    return last > 0 && last < argc ? (uint32_t)last : 0;
}

static size_t keys_in_range(const struct command_entry *e, uint32_t argc, struct acl_key *keys)
{
    const struct key_spec *spec = &e->row->keys[0];
    uint8_t access = access_of(spec->flags);
    size_t count = 0;
    uint32_t last = range_end(spec, argc);
    for (uint32_t i = (uint32_t)spec->index; i <= last; i += (uint32_t)spec->step)
        keys[count++] = (struct acl_key){.arg = i, .access = access};
    return count;
}

static size_t keys_searched(const struct command_entry *e, uint32_t argc, const struct bytes *argv,
                            struct found_key *found, struct acl_key *keys)
{
    int count = command_find_keys(e, argc, argv, found);
    for (int i = 0; i < count; i++)
        keys[i] = (struct acl_key){.arg = (uint32_t)found[i].index, .access = access_of(found[i].flags)};
    return count > 0 ? (size_t)count : 0;
}

static struct acl_denial check_keys_in_range(const struct user *u, const struct command_entry *e, struct acl_request *r,
                                             struct acl_key *keys)
{
    r->keys = keys;
    r->key_count = keys_in_range(e, r->argc, keys);
    return acl_permit(u, r);
}

static struct acl_denial check_keys_searched(const struct user *u, const struct command_entry *e, struct acl_request *r,
                                             struct acl_key *keys, struct found_key *found)
{
    r->keys = keys;
    r->key_count = keys_searched(e, r->argc, r->argv, found, keys);
    return acl_permit(u, r);
}

static __attribute__((noinline)) struct acl_denial check_many(const struct user *u, const struct command_entry *e,
                                                              struct acl_request *r)
{
    struct acl_key *keys = mem_alloc(r->argc * sizeof *keys);
    struct found_key *found = mem_alloc(r->argc * sizeof *found);
    struct acl_denial denial = e->key_finding == KEYS_IN_ONE_RANGE ? check_keys_in_range(u, e, r, keys)
                                                                   : check_keys_searched(u, e, r, keys, found);
    mem_free(keys);
    mem_free(found);
    return denial;
}

static void find_channels(const struct command *row, struct acl_request *r)
{
    r->patterns = row->channels == CHANNEL_PATTERNS_FROM_1;
    r->first_channel = 1;
    r->channels_end = row->channels == CHANNELS_AT_1 && r->argc > 2 ? 2 : r->argc;
}

static __attribute__((noinline)) struct acl_denial check_all_selectors(const struct user *u,
                                                                       const struct command_entry *e, uint32_t argc,
                                                                       const struct bytes *argv, bool any_key)
{
    struct acl_request r = {.command = e->id,
                            .for_everyone = (e->row->flags & CMD_NO_AUTH) != 0,
                            .any_key = any_key,
                            .argc = argc,
                            .argv = argv};
    if (e->row->channels) find_channels(e->row, &r);
    if (!u->minds_keys || e->key_finding == KEYS_NONE) return acl_permit(u, &r);
    if (argc > ARGUMENTS_ON_STACK) return check_many(u, e, &r);
    struct acl_key keys[ARGUMENTS_ON_STACK];
    if (e->key_finding == KEYS_IN_ONE_RANGE) return check_keys_in_range(u, e, &r, keys);
    struct found_key found[ARGUMENTS_ON_STACK];
    return check_keys_searched(u, e, &r, keys, found);
}

/* The commonest: the root allows the command, and its keys stand where its row says, each open to reading and writing.
 * false: has to be looked at closely. */
static bool root_allows_plainly(const struct selector *root, const struct command_entry *e, uint32_t argc,
                                const struct bytes *argv)
{
    if (!selector_has_command(root, e->id)) return false;
    if (e->row->channels && !(root->flags & SELECTOR_ALL_CHANNELS)) return false;
    if ((root->flags & SELECTOR_ALL_KEYS) || e->key_finding == KEYS_NONE) return true;
    if (e->key_finding == KEYS_SEARCHED) return false;
    const struct key_spec *spec = &e->row->keys[0];
    uint32_t last = range_end(spec, argc);
    for (uint32_t i = (uint32_t)spec->index; i <= last; i += (uint32_t)spec->step)
        if (!selector_opens_key(root, argv[i])) return false;
    return true;
}

struct acl_denial acl_check(const struct user *u, const struct command_entry *e, uint32_t argc,
                            const struct bytes *argv)
{
    if (u->unrestricted || root_allows_plainly(&u->selectors[0], e, argc, argv))
        return (struct acl_denial){ACL_ALLOWED, 0};
    return check_all_selectors(u, e, argc, argv, false);
}

bool acl_may_read_any_key(const struct user *u, const struct command_entry *e, uint32_t argc, const struct bytes *argv)
{
    return u->unrestricted || check_all_selectors(u, e, argc, argv, true).reason == ACL_ALLOWED;
}

/* --- what becomes of a refusal --- */

static struct bytes object_of(const struct request *r, struct acl_denial denial)
{
    return denial.reason == ACL_DENIED_COMMAND ? bytes_from_text(r->command->full_name) : r->argv[denial.arg];
}

static void count(struct stats *s, enum acl_reason reason)
{
    switch (reason) {
    case ACL_ALLOWED: break;
    case ACL_DENIED_COMMAND: s->acl_denied_command++; break;
    case ACL_DENIED_KEY: s->acl_denied_key++; break;
    case ACL_DENIED_AUTH: s->acl_denied_auth++; break;
    case ACL_DENIED_CHANNEL: s->acl_denied_channel++; break;
    }
}

/* The client's line as CLIENT LIST has it, in one piece and without its line feed. */
static void describe(const struct session *s, struct acl_text *out)
{
    struct outq line = {0};
    if (!s->owner) return;
    s->owner->describe(s, &line);
    for (const struct outq_chunk *chunk = line.head; chunk; chunk = chunk->next) {
        size_t filled = chunk == line.tail ? (size_t)(line.cursor - chunk->data) : chunk->filled;
        acl_text_add(out, bytes_make(chunk->data, filled));
    }
    if (out->len) out->len--;
    outq_clear(&line);
}

static void note(struct core *core, struct session *s, struct acl_refusal *refusal)
{
    struct acl_text client = {0};
    count(core->stats, refusal->reason);
    describe(s, &client);
    refusal->client = acl_text_bytes(&client);
    acl_log_add(core->acl_log, refusal, loop_wall_ms(core->loop), core->settings->acl.log_max_len);
    acl_text_free(&client);
}

void acl_note_denied(struct core *core, struct session *s, const struct request *r, struct acl_denial denial,
                     enum acl_context context)
{
    struct acl_refusal refusal = {
        .reason = denial.reason, .context = context, .object = object_of(r, denial), .username = session_user_name(s)};
    /* At the top it is the command that was asked for, though it never runs; inside EXEC or a script it is that one. */
    struct command_entry *running = s->running_command;
    if (context != ACL_LUA && !s->in_exec) s->running_command = r->command;
    note(core, s, &refusal);
    s->running_command = running;
}

void acl_note_login_denied(struct core *core, struct session *s, struct bytes command, struct bytes username)
{
    struct acl_refusal refusal = {.reason = ACL_DENIED_AUTH,
                                  .context = s->in_exec || s->transaction ? ACL_MULTI : ACL_TOPLEVEL,
                                  .object = command,
                                  .username = username};
    note(core, s, &refusal);
}

void acl_add_denial(struct acl_text *out, const struct user *u, const struct request *r, struct acl_denial denial)
{
    acl_text_add(out, BYTES("NOPERM "));
    if (denial.reason == ACL_DENIED_COMMAND)
        acl_explain_denial(out, u, r, denial);
    else
        acl_text_addf(out, "No permissions to access a %s", acl_reason_name(denial.reason));
    acl_text_add(out, bytes_make("", 1));
}

void acl_explain_denial(struct acl_text *out, const struct user *u, const struct request *r, struct acl_denial denial)
{
    acl_text_add(out, BYTES("User "));
    acl_text_add(out, u->name);
    if (denial.reason == ACL_DENIED_COMMAND) {
        acl_text_addf(out, " has no permissions to run the '%s' command", r->command->full_name);
        return;
    }
    acl_text_add(out, BYTES(" has no permissions to access the '"));
    acl_text_add(out, object_of(r, denial));
    acl_text_addf(out, "' %s", acl_reason_name(denial.reason));
}
