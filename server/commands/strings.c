/* Strings: SET and GET and their families, counters, ranges. Server process. */
#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/number.h"
#include "server/commands/expiry_option.h"
#include "server/commands/lcs.h"
#include "server/commands/tables.h"
#include "server/core/core.h"
#include "server/core/run/call.h"
#include "server/core/session/session.h"
#include "server/core/settings.h"

#include <math.h>

static void string_written(struct call *call, struct bytes key, const char *event)
{
    call_key_modified(call, call->db, key);
    call_event(call, NOTIFY_STRING, event, call->db, key);
    call_changed(call, 1);
}

static void reply_string(struct call *call, const struct record *r)
{
    char scratch[I64_TEXT_MAX];
    if (r)
        reply_bulk(call->reply, record_string(r, scratch));
    else
        reply_null(call->reply);
}

static bool too_long(struct call *call, uint64_t len)
{
    if (len <= call->core->settings->net.max_bulk_bytes) return false;
    reply_error(call->reply, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
    return true;
}

/* --- GET --- */

static void get_command(struct call *call)
{
    struct record *r = call_find_read(call, 1);
    if (!call_wrong_type(call, r, TYPE_STRING)) reply_string(call, r);
}

static void strlen_command(struct call *call)
{
    struct record *r = call_find_read(call, 1);
    if (!call_wrong_type(call, r, TYPE_STRING)) reply_integer(call->reply, r ? (int64_t)record_string_len(r) : 0);
}

static void mget_command(struct call *call)
{
    reply_array(call->reply, call->argc - 1);
    for (uint32_t i = 1; i < call->argc; i++) {
        struct record *r = call_find_read(call, i);
        reply_string(call, r && record_type(r) == TYPE_STRING ? r : NULL);
    }
}

static void getrange_command(struct call *call)
{
    int64_t start, end;
    char scratch[I64_TEXT_MAX];
    if (!call_arg_i64(call, 2, &start, NULL) || !call_arg_i64(call, 3, &end, NULL)) return;
    struct record *r = call_find_read(call, 1);
    if (call_wrong_type(call, r, TYPE_STRING)) return;
    struct bytes text = r ? record_string(r, scratch) : (struct bytes){0};
    int64_t len = (int64_t)text.len;
    bool empty = start < 0 && end < 0 && start > end;
    if (start < 0) start = start + len < 0 ? 0 : start + len;
    if (end < 0) end = end + len < 0 ? 0 : end + len;
    if (end >= len) end = len - 1;
    if (empty || !len || start > end)
        reply_bulk(call->reply, BYTES(""));
    else
        reply_bulk(call->reply, bytes_make(text.ptr + start, (size_t)(end - start + 1)));
}

/* --- SET --- */

struct set_options {
    bool if_absent, if_present, get, keep_ttl;
    uint32_t compare_arg; /* of what IFEQ or IFNE compares with; 0: neither */
    bool if_equal;        /* IFEQ */
    struct expiry_option expiry;
};

#define SET_WORDS_MOST 8 /* without an expiry: the command, key and value, and options that may be repeated */

/* GET is for the caller, and a comparison is decided. */
static void propagate_plainly(struct call *call, const struct set_options *o)
{
    struct bytes room[SET_WORDS_MOST], *argv = room;
    uint32_t argc = 0;
    if (call->argc > SET_WORDS_MOST) argv = mem_alloc(call->argc * sizeof *argv);
    for (uint32_t i = 0; i < call->argc; i++)
        if (o->compare_arg && (i == o->compare_arg - 1 || i == o->compare_arg))
            continue;
        else if (i < 3 || !call_arg_is(call, i, "get"))
            argv[argc++] = call->argv[i];
    call_rewrite(call, call->db, argc, argv);
    if (argv != room) mem_free(argv);
}

/* IFEQ since Valkey 8.1 and Redis 8.4, IFNE since Redis 8.4. Beside NX or XX they make no sense. */
static bool take_comparison(struct call *call, uint32_t *i, struct set_options *o)
{
    bool equal = call_arg_is(call, *i, "ifeq");
    if (o->compare_arg || o->if_absent || o->if_present || *i + 1 >= call->argc) return false;
    if (!equal && !call_arg_is(call, *i, "ifne")) return false;
    o->if_equal = equal;
    call_passes_on(call, WORDS_OF_VALKEY_9);
    o->compare_arg = ++*i;
    return true;
}

static bool read_set_options(struct call *call, struct set_options *o)
{
    for (uint32_t i = 3; i < call->argc; i++) {
        if (call_arg_is(call, i, "nx") && !o->if_present && !o->compare_arg) {
            o->if_absent = true;
        } else if (call_arg_is(call, i, "xx") && !o->if_absent && !o->compare_arg) {
            o->if_present = true;
        } else if (call_arg_is(call, i, "get")) {
            o->get = true;
        } else if (call_arg_is(call, i, "keepttl") && !o->expiry.given) {
            o->keep_ttl = true;
        } else if (!o->keep_ttl && expiry_option_take(call, &i, &o->expiry)) {
            continue;
        } else if (take_comparison(call, &i, o)) {
            continue;
        } else {
            call_syntax_error(call);
            return false;
        }
    }
    return expiry_option_resolve(call, &o->expiry);
}

/* An expiry that has passed already: the key goes at once, and its removal is what is propagated. */
static void set_expired_value(struct call *call)
{
    struct bytes key = call->argv[1];
    bool lazy = call->core->settings->keyspace.lazyfree_lazy_expire;
    if (database_delete(call->db, key, call_key_hash(call, 1), lazy)) {
        call_key_modified(call, call->db, key);
        call_event(call, NOTIFY_GENERIC, "del", call->db, key);
        call_rewrite_removal(call, key, lazy);
        call_changed(call, 1);
    }
}

/* A relative expiry travels as an absolute one: a replica must not count from its own now. */
static void set_with_expiry(struct call *call, struct bytes value, int64_t expire_ms)
{
    if (expire_ms <= call->now_ms && !call->from_master && call->session->kind != SESSION_LOADER) {
        set_expired_value(call);
        return;
    }
    char text[I64_TEXT_MAX];
    struct bytes argv[5] = {BYTES("SET"), call->argv[1], value, BYTES("PXAT"),
                            bytes_make(text, format_i64(text, expire_ms))};
    struct record *r = database_set_string(call->db, call->argv[1], call_key_hash(call, 1), value, false);
    database_set_expiry(call->db, r, expire_ms);
    string_written(call, call->argv[1], "set");
    call_event(call, NOTIFY_GENERIC, "expire", call->db, call->argv[1]);
    call_rewrite(call, call->db, 5, argv);
}

/* IFNE makes a key that is not there, IFEQ does not. */
static bool comparison_holds(const struct call *call, const struct set_options *o, const struct record *r)
{
    char scratch[I64_TEXT_MAX];
    if (!o->compare_arg) return true;
    if (!r) return !o->if_equal;
    return bytes_equal(record_string(r, scratch), call->argv[o->compare_arg]) == o->if_equal;
}

static void set_command(struct call *call)
{
    if (likely(call->argc == 3)) { /* nearly every SET there is */
        database_set_string(call->db, call->argv[1], call_key_hash(call, 1), call->argv[2], false);
        string_written(call, call->argv[1], "set");
        reply_ok(call->reply);
        return;
    }
    struct set_options o = {0};
    if (!read_set_options(call, &o)) return;
    if (o.get && o.if_absent) call_passes_on(call, WORDS_OF_7_0);
    struct record *r = NULL;
    if (o.get)
        r = call_find_read_to_write(call, 1);
    else if (o.if_absent || o.if_present || o.keep_ttl || o.compare_arg)
        r = call_find_write(call, 1);
    if ((o.get || o.compare_arg) && call_wrong_type(call, r, TYPE_STRING)) return;
    if (o.get) reply_string(call, r);
    if ((o.if_absent && r) || (o.if_present && !r) || !comparison_holds(call, &o, r)) {
        if (!o.get) reply_null(call->reply);
        return;
    }
    if (o.expiry.given) {
        set_with_expiry(call, call->argv[2], o.expiry.at_ms);
    } else {
        database_set_string(call->db, call->argv[1], call_key_hash(call, 1), call->argv[2], o.keep_ttl);
        string_written(call, call->argv[1], "set");
        if (o.get || o.compare_arg) propagate_plainly(call, &o);
    }
    if (!o.get) reply_ok(call->reply);
}

static void setnx_command(struct call *call)
{
    if (call_find_write(call, 1)) {
        reply_integer(call->reply, 0);
        return;
    }
    database_set_string(call->db, call->argv[1], call_key_hash(call, 1), call->argv[2], false);
    string_written(call, call->argv[1], "set");
    reply_integer(call->reply, 1);
}

static void set_for(struct call *call, enum expiry_unit unit)
{
    struct expiry_option o = {.given = true, .unit = unit, .value = call->argv[2]};
    if (!expiry_option_resolve(call, &o)) return;
    set_with_expiry(call, call->argv[3], o.at_ms);
    reply_ok(call->reply);
}

static void setex_command(struct call *call)
{
    set_for(call, EXPIRY_EX);
}

static void psetex_command(struct call *call)
{
    set_for(call, EXPIRY_PX);
}

static void getset_command(struct call *call)
{
    struct record *r = call_find_read_to_write(call, 1);
    if (call_wrong_type(call, r, TYPE_STRING)) return;
    reply_string(call, r);
    database_set_string(call->db, call->argv[1], call_key_hash(call, 1), call->argv[2], false);
    string_written(call, call->argv[1], "set");
    struct bytes argv[3] = {BYTES("SET"), call->argv[1], call->argv[2]};
    call_rewrite(call, call->db, 3, argv);
}

static void getdel_command(struct call *call)
{
    struct record *r = call_find_read_to_write(call, 1);
    if (call_wrong_type(call, r, TYPE_STRING)) return;
    reply_string(call, r);
    if (!r) return;
    bool lazy = call->core->settings->keyspace.lazyfree_lazy_user_del;
    database_delete(call->db, call->argv[1], call_key_hash(call, 1), lazy);
    call_rewrite_removal(call, call->argv[1], lazy);
    call_key_modified(call, call->db, call->argv[1]);
    call_event(call, NOTIFY_GENERIC, "del", call->db, call->argv[1]);
    call_changed(call, 1);
}

static void getex_set_expiry(struct call *call, struct record *r, int64_t at_ms)
{
    struct bytes key = call->argv[1];
    if (at_ms <= call->now_ms && !call->from_master && call->session->kind != SESSION_LOADER) {
        set_expired_value(call);
        return;
    }
    char text[I64_TEXT_MAX];
    struct bytes argv[3] = {BYTES("PEXPIREAT"), key, bytes_make(text, format_i64(text, at_ms))};
    database_set_expiry(call->db, r, at_ms);
    call_rewrite(call, call->db, 3, argv);
    call_key_modified(call, call->db, key);
    call_event(call, NOTIFY_GENERIC, "expire", call->db, key);
    call_changed(call, 1);
}

static void getex_command(struct call *call)
{
    struct expiry_option o = {.may_persist = true};
    for (uint32_t i = 2; i < call->argc; i++)
        if (!expiry_option_take(call, &i, &o)) return call_syntax_error(call);
    struct record *r = call_find_read(call, 1);
    if (!r) return reply_null(call->reply);
    if (call_wrong_type(call, r, TYPE_STRING) || !expiry_option_resolve(call, &o)) return;
    reply_string(call, r);
    if (o.persist && record_expire_ms(r) != RECORD_NO_EXPIRY) {
        struct bytes argv[2] = {BYTES("PERSIST"), call->argv[1]};
        database_set_expiry(call->db, r, RECORD_NO_EXPIRY);
        call_rewrite(call, call->db, 2, argv);
        call_key_modified(call, call->db, call->argv[1]);
        call_event(call, NOTIFY_GENERIC, "persist", call->db, call->argv[1]);
        call_changed(call, 1);
    } else if (o.given && !o.persist) {
        getex_set_expiry(call, r, o.at_ms);
    }
}

static void mset(struct call *call, bool only_if_none)
{
    if (call->argc % 2 == 0) {
        reply_errorf(call->reply, "ERR wrong number of arguments for '%s' command", only_if_none ? "msetnx" : "mset");
        return;
    }
    if (only_if_none)
        for (uint32_t i = 1; i < call->argc; i += 2)
            if (call_find_write(call, i)) {
                reply_integer(call->reply, 0);
                return;
            }
    for (uint32_t i = 1; i < call->argc; i += 2) {
        database_set_string(call->db, call->argv[i], call_key_hash(call, i), call->argv[i + 1], false);
        string_written(call, call->argv[i], "set");
    }
    if (only_if_none)
        reply_integer(call->reply, 1);
    else
        reply_ok(call->reply);
}

static void mset_command(struct call *call)
{
    mset(call, false);
}

static void msetnx_command(struct call *call)
{
    mset(call, true);
}

/* --- APPEND, SETRANGE --- */

static void append_command(struct call *call)
{
    struct record *r = call_find_write(call, 1);
    struct bytes more = call->argv[2];
    if (call_wrong_type(call, r, TYPE_STRING)) return;
    size_t len = r ? record_string_len(r) : 0;
    if (too_long(call, (uint64_t)len + more.len)) return;
    if (!r) {
        database_set_string(call->db, call->argv[1], call_key_hash(call, 1), more, false);
    } else {
        uint8_t *data;
        database_string_resize(call->db, r, len + more.len, &data);
        memcpy(data + len, more.ptr, more.len);
    }
    string_written(call, call->argv[1], "append");
    reply_integer(call->reply, (int64_t)(len + more.len));
}

static void setrange_command(struct call *call)
{
    int64_t offset;
    struct bytes patch = call->argv[3];
    if (!call_arg_i64(call, 2, &offset, NULL)) return;
    if (offset < 0) return reply_error(call->reply, "ERR offset is out of range");
    struct record *r = call_find_write(call, 1);
    if (call_wrong_type(call, r, TYPE_STRING)) return;
    size_t len = r ? record_string_len(r) : 0;
    if (!patch.len) return reply_integer(call->reply, (int64_t)len);
    if (too_long(call, (uint64_t)offset + patch.len)) return;
    size_t end = (size_t)offset + patch.len, needed = end > len ? end : len;
    uint8_t *data;
    if (!r) r = database_set_string_raw(call->db, call->argv[1], call_key_hash(call, 1), BYTES(""), false);
    database_string_resize(call->db, r, needed, &data);
    memcpy(data + offset, patch.ptr, patch.len);
    string_written(call, call->argv[1], "setrange");
    reply_integer(call->reply, (int64_t)needed);
}

/* --- counters --- */

/* false: answered. An absent key counts as 0. */
static bool counter_value(struct call *call, const struct record *r, int64_t *out)
{
    char scratch[I64_TEXT_MAX];
    *out = 0;
    if (!r) return true;
    if (record_is_integer(r)) {
        *out = record_integer(r);
        return true;
    }
    if (parse_i64(record_string(r, scratch), out) == 0) return true;
    reply_error(call->reply, "ERR value is not an integer or out of range");
    return false;
}

static void increment(struct call *call, int64_t by)
{
    int64_t value;
    struct record *r = call_find_write(call, 1);
    if (call_wrong_type(call, r, TYPE_STRING) || !counter_value(call, r, &value)) return;
    if (__builtin_add_overflow(value, by, &value))
        return reply_error(call->reply, "ERR increment or decrement would overflow");
    database_set_integer(call->db, call->argv[1], call_key_hash(call, 1), value, true);
    string_written(call, call->argv[1], "incrby");
    reply_integer(call->reply, value);
}

static void incr_command(struct call *call)
{
    increment(call, 1);
}

static void decr_command(struct call *call)
{
    increment(call, -1);
}

static void incrby_command(struct call *call)
{
    int64_t by;
    if (call_arg_i64(call, 2, &by, NULL)) increment(call, by);
}

static void decrby_command(struct call *call)
{
    int64_t by;
    if (!call_arg_i64(call, 2, &by, NULL)) return;
    if (by == INT64_MIN) return reply_error(call->reply, "ERR decrement would overflow");
    increment(call, -by);
}

/* The result travels, not the sum: floating point need not add up alike everywhere. */
static void incrbyfloat_command(struct call *call)
{
    struct record *r = call_find_write(call, 1);
    char scratch[I64_TEXT_MAX], text[LONG_DOUBLE_TEXT_MAX];
    long double value = 0, by;
    if (call_wrong_type(call, r, TYPE_STRING)) return;
    if ((r && parse_long_double(record_string(r, scratch), &value)) || parse_long_double(call->argv[2], &by))
        return reply_error(call->reply, "ERR value is not a valid float");
    value += by;
    if (isnan(value) || isinf(value)) return reply_error(call->reply, "ERR increment would produce NaN or Infinity");
    struct bytes sum = bytes_make(text, format_long_double(text, value));
    database_set_text(call->db, call->argv[1], call_key_hash(call, 1), sum, true);
    string_written(call, call->argv[1], "incrbyfloat");
    reply_bulk(call->reply, sum);
    struct bytes argv[4] = {BYTES("SET"), call->argv[1], sum, BYTES("KEEPTTL")};
    call_rewrite(call, call->db, 4, argv);
}

/* Only GET looks at what was there. */
static int set_find_keys(uint32_t argc, const struct bytes *argv, struct found_key *keys)
{
    keys[0] = (struct found_key){1, KEY_OW | KEY_UPDATE};
    for (uint32_t i = 3; i < argc; i++)
        if (bytes_equal_nocase(argv[i], "get")) keys[0].flags = KEY_RW | KEY_ACCESS | KEY_UPDATE;
    return 1;
}

const struct command strings_commands[] = {
    {"get", get_command, 2, CMD_READONLY | CMD_FAST, CAT_STRING, KEY_AT_1(KEY_RO | KEY_ACCESS)},
    {"set", set_command, -3, CMD_WRITE | CMD_DENYOOM, CAT_STRING,
     KEYS(KEY_AT_NOTED(1, KEY_RW | KEY_ACCESS | KEY_UPDATE | KEY_VARIABLE,
                       "RW and ACCESS due to the optional `GET` argument")),
     .find_keys = set_find_keys},
    {"setnx", setnx_command, 3, CMD_WRITE | CMD_DENYOOM | CMD_FAST, CAT_STRING, KEY_AT_1(KEY_OW | KEY_INSERT)},
    {"setex", setex_command, 4, CMD_WRITE | CMD_DENYOOM, CAT_STRING, KEY_AT_1(KEY_OW | KEY_UPDATE)},
    {"psetex", psetex_command, 4, CMD_WRITE | CMD_DENYOOM, CAT_STRING, KEY_AT_1(KEY_OW | KEY_UPDATE)},
    {"getset", getset_command, 3, CMD_WRITE | CMD_DENYOOM | CMD_FAST, CAT_STRING,
     KEY_AT_1(KEY_RW | KEY_ACCESS | KEY_UPDATE)},
    {"getdel", getdel_command, 2, CMD_WRITE | CMD_FAST, CAT_STRING, KEY_AT_1(KEY_RW | KEY_ACCESS | KEY_DELETE)},
    {"getex", getex_command, -2, CMD_WRITE | CMD_FAST, CAT_STRING,
     KEYS(KEY_AT_NOTED(1, KEY_RW | KEY_ACCESS | KEY_UPDATE, "RW and UPDATE because it changes the TTL"))},
    {"strlen", strlen_command, 2, CMD_READONLY | CMD_FAST, CAT_STRING, KEY_AT_1(KEY_RO)},
    {"mget", mget_command, -2, CMD_READONLY | CMD_FAST, CAT_STRING, KEYS(KEY_RANGE(1, -1, 1, KEY_RO | KEY_ACCESS)),
     .tips = TIP_REQUEST_MULTI_SHARD},
    {"mset", mset_command, -3, CMD_WRITE | CMD_DENYOOM, CAT_STRING, KEYS(KEY_RANGE(1, -1, 2, KEY_OW | KEY_UPDATE)),
     .tips = TIP_REQUEST_MULTI_SHARD | TIP_RESPONSE_ALL_SUCCEEDED},
    {"msetnx", msetnx_command, -3, CMD_WRITE | CMD_DENYOOM, CAT_STRING, KEYS(KEY_RANGE(1, -1, 2, KEY_OW | KEY_INSERT))},
    {"append", append_command, 3, CMD_WRITE | CMD_DENYOOM | CMD_FAST, CAT_STRING, KEY_AT_1(KEY_RW | KEY_INSERT)},
    {"getrange", getrange_command, 4, CMD_READONLY, CAT_STRING, KEY_AT_1(KEY_RO | KEY_ACCESS)},
    {"substr", getrange_command, 4, CMD_READONLY, CAT_STRING, KEY_AT_1(KEY_RO | KEY_ACCESS)},
    {"setrange", setrange_command, 4, CMD_WRITE | CMD_DENYOOM, CAT_STRING, KEY_AT_1(KEY_RW | KEY_UPDATE)},
    {"incr", incr_command, 2, CMD_WRITE | CMD_DENYOOM | CMD_FAST, CAT_STRING,
     KEY_AT_1(KEY_RW | KEY_ACCESS | KEY_UPDATE)},
    {"decr", decr_command, 2, CMD_WRITE | CMD_DENYOOM | CMD_FAST, CAT_STRING,
     KEY_AT_1(KEY_RW | KEY_ACCESS | KEY_UPDATE)},
    {"incrby", incrby_command, 3, CMD_WRITE | CMD_DENYOOM | CMD_FAST, CAT_STRING,
     KEY_AT_1(KEY_RW | KEY_ACCESS | KEY_UPDATE)},
    {"decrby", decrby_command, 3, CMD_WRITE | CMD_DENYOOM | CMD_FAST, CAT_STRING,
     KEY_AT_1(KEY_RW | KEY_ACCESS | KEY_UPDATE)},
    {"incrbyfloat", incrbyfloat_command, 3, CMD_WRITE | CMD_DENYOOM | CMD_FAST, CAT_STRING,
     KEY_AT_1(KEY_RW | KEY_ACCESS | KEY_UPDATE)},
    {"lcs", lcs_command, -3, CMD_READONLY, CAT_STRING, KEYS(KEY_RANGE(1, 1, 1, KEY_RO | KEY_ACCESS))},
    {.name = NULL},
};
