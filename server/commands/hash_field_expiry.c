/* Expiry of a hash's fields: HEXPIRE, HTTL and their families, HPERSIST. Server process. Replicas get absolute times,
 * of those fields alone for which the condition held. */
#include "server/commands/hash_fields.h"
#include "server/commands/tables.h"
#include "server/core/command/command_table.h"

enum { FIELD_ABSENT = -2, FIELD_NO_EXPIRY = -1, FIELD_UNCHANGED = 0, FIELD_CHANGED = 1, FIELD_DELETED = 2 };

#define BAD_COUNT "ERR Number of fields must be a positive integer"

static void reply_all_absent(struct call *call, const struct field_args *fields)
{
    reply_array(call->reply, fields->count);
    for (uint32_t i = 0; i < fields->count; i++) reply_integer(call->reply, FIELD_ABSENT);
}

/* --- HEXPIRE --- */

enum conditions { IF_NONE = 1, IF_ANY = 2, IF_LATER = 4, IF_SOONER = 8 };

static unsigned condition_at(const struct call *call, uint32_t arg)
{
    static const char *const words[] = {"nx", "xx", "gt", "lt"};
    for (unsigned i = 0; i < sizeof words / sizeof *words; i++)
        if (call_arg_is(call, arg, words[i])) return 1u << i;
    return 0;
}

/* From argv[3] on; returns what stands behind them. Redis takes one alone; a Valkey that is our master may send two. */
static uint32_t read_conditions(const struct call *call, unsigned *conditions)
{
    uint32_t at = 3;
    unsigned one;
    *conditions = 0;
    while (at < call->argc && (at == 3 || call->from_master) && (one = condition_at(call, at))) {
        *conditions |= one;
        at++;
    }
    return at;
}

/* No expiry counts as infinitely late. */
static bool conditions_hold(unsigned c, int64_t current_ms, int64_t at_ms)
{
    bool has = current_ms != HASH_NO_EXPIRY;
    if ((c & IF_NONE) && has) return false;
    if ((c & IF_ANY) && !has) return false;
    if ((c & IF_LATER) && (!has || at_ms <= current_ms)) return false;
    return !(c & IF_SOONER) || !has || at_ms < current_ms;
}

static int expire_field(struct hash *h, struct bytes field, unsigned conditions, int64_t at_ms, bool passed)
{
    struct packed_value value;
    if (!hash_get(h, field, &value)) return FIELD_ABSENT;
    if (!conditions_hold(conditions, hash_expiry(h, field), at_ms)) return FIELD_UNCHANGED;
    if (passed)
        hash_delete(h, field);
    else
        hash_set_expiry(h, field, at_ms);
    return passed ? FIELD_DELETED : FIELD_CHANGED;
}

static void expire(struct call *call, enum expiry_unit unit)
{
    int64_t at_ms;
    unsigned conditions;
    struct field_args fields;
    fields_come(call);
    struct record *r = call_find_write(call, 1);
    if (!hash_expected(call, &r)) return;
    if (!field_expiry_read(call, call->argv[2], unit, &at_ms)) return;
    if (!field_args_read(call, read_conditions(call, &conditions), "ERR Parameter `numFields` should be greater than 0",
                         &fields))
        return;
    if (!r) return reply_all_absent(call, &fields);
    struct open_hash o;
    struct touched touched;
    bool passed = field_expiry_has_passed(call, at_ms);
    open_hash(call, &o, r);
    touched_start(&touched, call);
    reply_array(call->reply, fields.count);
    for (uint32_t i = fields.first; i < call->argc; i++) {
        int what = expire_field(&o.hash, call->argv[i], conditions, at_ms, passed);
        if (what > FIELD_UNCHANGED) touched_add(&touched, call->argv[i]);
        reply_integer(call->reply, what);
    }
    if (passed)
        fields_deleted(call, &o, &touched);
    else
        fields_expire_at(call, &o, &touched, at_ms);
    touched_end(&touched);
}

static void hexpire_command(struct call *call)
{
    expire(call, EXPIRY_EX);
}

static void hpexpire_command(struct call *call)
{
    expire(call, EXPIRY_PX);
}

static void hexpireat_command(struct call *call)
{
    expire(call, EXPIRY_EXAT);
}

static void hpexpireat_command(struct call *call)
{
    expire(call, EXPIRY_PXAT);
}

/* --- HTTL --- */

static int64_t in_unit(int64_t at_ms, enum expiry_unit unit, int64_t now_ms)
{
    int64_t ms = expiry_unit_is_absolute(unit) ? at_ms : at_ms - now_ms;
    return expiry_unit_is_seconds(unit) ? (ms + 999) / 1000 : ms;
}

static void reply_ttls(struct call *call, enum expiry_unit unit)
{
    struct record *r;
    struct hash h;
    struct field_args fields;
    if (!find_hash(call, &r, &h) || !field_args_read(call, 2, BAD_COUNT, &fields)) return;
    if (!r) return reply_all_absent(call, &fields);
    reply_array(call->reply, fields.count);
    for (uint32_t i = fields.first; i < call->argc; i++) {
        struct packed_value value;
        int64_t at_ms = hash_expiry(&h, call->argv[i]);
        if (!hash_get(&h, call->argv[i], &value))
            reply_integer(call->reply, FIELD_ABSENT);
        else if (at_ms == HASH_NO_EXPIRY)
            reply_integer(call->reply, FIELD_NO_EXPIRY);
        else
            reply_integer(call->reply, in_unit(at_ms, unit, call->now_ms));
    }
}

static void httl_command(struct call *call)
{
    reply_ttls(call, EXPIRY_EX);
}

static void hpttl_command(struct call *call)
{
    reply_ttls(call, EXPIRY_PX);
}

static void hexpiretime_command(struct call *call)
{
    reply_ttls(call, EXPIRY_EXAT);
}

static void hpexpiretime_command(struct call *call)
{
    reply_ttls(call, EXPIRY_PXAT);
}

/* --- HPERSIST --- */

static int persist_field(struct hash *h, struct bytes field)
{
    struct packed_value value;
    if (!hash_get(h, field, &value)) return FIELD_ABSENT;
    if (hash_expiry(h, field) == HASH_NO_EXPIRY) return FIELD_NO_EXPIRY;
    hash_set_expiry(h, field, HASH_NO_EXPIRY);
    return FIELD_CHANGED;
}

static void hpersist_command(struct call *call)
{
    struct field_args fields;
    fields_come(call);
    struct record *r = call_find_write(call, 1);
    if (!hash_expected(call, &r) || !field_args_read(call, 2, BAD_COUNT, &fields)) return;
    if (!r) return reply_all_absent(call, &fields);
    struct open_hash o;
    uint64_t changed = 0;
    open_hash(call, &o, r);
    reply_array(call->reply, fields.count);
    for (uint32_t i = fields.first; i < call->argc; i++) {
        int what = persist_field(&o.hash, call->argv[i]);
        changed += what == FIELD_CHANGED;
        reply_integer(call->reply, what);
    }
    keep_hash(call, &o);
    if (!changed) return;
    call_says(call, WORDS_OF_FIELD_EXPIRY);
    hash_written(call, "hpersist", changed);
}

#define EXPIRES CMD_WRITE | CMD_FAST, CAT_HASH, KEY_AT_1(KEY_RW | KEY_UPDATE)
#define TELLS   CMD_READONLY | CMD_FAST, CAT_HASH, KEY_AT_1(KEY_RO | KEY_ACCESS)

const struct command hash_expiry_commands[] = {
    {"hexpire", hexpire_command, -6, EXPIRES},
    {"hpexpire", hpexpire_command, -6, EXPIRES},
    {"hexpireat", hexpireat_command, -6, EXPIRES},
    {"hpexpireat", hpexpireat_command, -6, EXPIRES},
    {"httl", httl_command, -5, TELLS, .tips = TIP_NONDETERMINISTIC_OUTPUT},
    {"hpttl", hpttl_command, -5, TELLS, .tips = TIP_NONDETERMINISTIC_OUTPUT},
    {"hexpiretime", hexpiretime_command, -5, TELLS},
    {"hpexpiretime", hpexpiretime_command, -5, TELLS},
    {"hpersist", hpersist_command, -5, EXPIRES},
    {.name = NULL},
};
