/* Strings written or removed on a condition, as later servers have it: MSETEX (Redis 8.4, Valkey 9.1), DELIFEQ (Valkey
 * 9.0), DELEX (Redis 8.4). SET's own conditions stand with SET. Server process.
 *
 * What is propagated is the effect, in words that every version knows since 6.2: a condition was decided here. */
#include "server/base/alloc.h"
#include "server/base/number.h"
#include "server/commands/expiry_option.h"
#include "server/commands/tables.h"
#include "server/core/core.h"
#include "server/core/run/call.h"
#include "server/core/session/session.h"
#include "server/core/settings.h"

/* --- MSETEX --- */

struct msetex {
    uint32_t count; /* of pairs, from argument 2 on */
    bool if_absent, if_present, keep_ttl;
    struct expiry_option expiry;
};

static bool read_options(struct call *call, struct msetex *m)
{
    int64_t count;
    if (!call_arg_range(call, 1, 1, INT32_MAX, &count, "ERR invalid numkeys value or out of range")) return false;
    bool fits = (uint64_t)count <= (call->argc - 2) / 2;
    m->count = (uint32_t)count;
    for (uint32_t i = 2 + 2 * m->count; fits && i < call->argc; i++) {
        if (call_arg_is(call, i, "nx") && !m->if_present)
            m->if_absent = true;
        else if (call_arg_is(call, i, "xx") && !m->if_absent)
            m->if_present = true;
        else if (call_arg_is(call, i, "keepttl") && !m->expiry.given)
            m->keep_ttl = true;
        else
            fits = !m->keep_ttl && expiry_option_take(call, &i, &m->expiry);
    }
    if (!fits) call_syntax_error(call);
    return fits && expiry_option_resolve(call, &m->expiry);
}

static bool condition_holds(struct call *call, const struct msetex *m)
{
    if (!m->if_absent && !m->if_present) return true;
    for (uint32_t i = 0; i < m->count; i++)
        if ((call_find_write(call, 2 + 2 * i) != NULL) != m->if_present) return false;
    return true;
}

/* Its time has passed already: what there is goes. */
static void remove_one(struct call *call, uint32_t arg)
{
    bool lazy = call->core->settings->keyspace.lazyfree_lazy_expire;
    if (!call_delete_key(call, call->argv[arg], call_key_hash(call, arg), lazy)) return;
    call_rewrite_removal(call, call->argv[arg], lazy);
    call_changed(call, 1);
}

static void set_one(struct call *call, const struct msetex *m, uint32_t arg)
{
    struct bytes key = call->argv[arg], value = call->argv[arg + 1];
    char time[I64_TEXT_MAX];
    struct bytes argv[5] = {BYTES("SET"), key, value};
    uint32_t argc = 3;
    struct record *r = database_set_string(call->db, key, call_key_hash(call, arg), value, m->keep_ttl);
    call_key_modified(call, call->db, key);
    call_event(call, NOTIFY_STRING, "set", call->db, key);
    call_changed(call, 1);
    if (m->expiry.given) {
        database_set_expiry(call->db, r, m->expiry.at_ms);
        call_event(call, NOTIFY_GENERIC, "expire", call->db, key);
        argv[argc++] = BYTES("PXAT");
        argv[argc++] = bytes_make(time, format_i64(time, m->expiry.at_ms));
    } else if (m->keep_ttl) {
        argv[argc++] = BYTES("KEEPTTL");
    }
    call_rewrite(call, call->db, argc, argv);
}

static void msetex_command(struct call *call)
{
    struct msetex m = {0};
    call_passes_on(call, WORDS_OF_VALKEY_9);
    if (!read_options(call, &m)) return;
    if (!condition_holds(call, &m)) return reply_integer(call->reply, 0);
    bool passed = m.expiry.given && m.expiry.at_ms <= call->now_ms && !session_is_obeyed(call->session);
    call_rewrite_nothing(call);
    for (uint32_t i = 0; i < m.count; i++) {
        if (passed)
            remove_one(call, 2 + 2 * i);
        else
            set_one(call, &m, 2 + 2 * i);
    }
    reply_integer(call->reply, 1);
}

/* --- DELIFEQ, DELEX --- */

static void delete_it(struct call *call)
{
    bool lazy = call->core->settings->keyspace.lazyfree_lazy_user_del;
    call_delete_key(call, call->argv[1], call_key_hash(call, 1), lazy);
    call_rewrite_removal(call, call->argv[1], lazy);
    call_changed(call, 1);
    reply_integer(call->reply, 1);
}

static void delete_if(struct call *call, struct bytes value, bool equal)
{
    char scratch[I64_TEXT_MAX];
    struct record *r = call_find_write(call, 1);
    if (call_wrong_type(call, r, TYPE_STRING)) return;
    if (!r || bytes_equal(record_string(r, scratch), value) != equal) return reply_integer(call->reply, 0);
    delete_it(call);
}

static void delifeq_command(struct call *call)
{
    call_passes_on(call, WORDS_OF_VALKEY_9);
    delete_if(call, call->argv[2], true);
}

static void delex_command(struct call *call)
{
    if (call->argc == 2) {
        if (call_find_write(call, 1)) return delete_it(call);
        return reply_integer(call->reply, 0);
    }
    bool equal = call_arg_is(call, 2, "ifeq");
    if (call->argc != 4 || (!equal && !call_arg_is(call, 2, "ifne"))) return call_syntax_error(call);
    delete_if(call, call->argv[3], equal);
}

const struct command strings_conditional_commands[] = {
    {"delex", delex_command, -2, CMD_WRITE | CMD_FAST, CAT_STRING, KEY_AT_1(KEY_RM | KEY_DELETE)},
    {"delifeq", delifeq_command, 3, CMD_WRITE | CMD_FAST, CAT_STRING, KEY_AT_1(KEY_RM | KEY_DELETE)},
    {"msetex", msetex_command, -4, CMD_WRITE | CMD_DENYOOM, CAT_STRING,
     KEYS({.flags = KEY_OW | KEY_UPDATE, .index = 1, .find = FIND_KEYNUM, .first_key = 1, .step = 2}),
     .tips = TIP_REQUEST_MULTI_SHARD | TIP_RESPONSE_ALL_SUCCEEDED},
    {.name = NULL},
};
