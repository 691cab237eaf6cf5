/* HGETDEL, HGETEX and HSETEX: values of a hash's fields, read or set together with what becomes of the fields. Server
 * process. Each leaves its effect in the stream: HDEL, HPEXPIREAT, HPERSIST; HSETEX only where HSET would not do. */
#include "server/base/number.h"
#include "server/commands/hash_fields.h"
#include "server/commands/packed_reply.h"
#include "server/commands/tables.h"
#include "server/core/command/command_table.h"

#define BAD_COUNT "ERR Number of fields must be a positive integer"

static void reply_nulls(struct call *call, const struct field_args *fields)
{
    reply_array(call->reply, fields->count);
    for (uint32_t i = 0; i < fields->count; i++) reply_null(call->reply);
}

/* False: the field is absent, and that is answered. */
static bool reply_value(struct call *call, const struct hash *h, struct bytes field)
{
    struct packed_value value;
    if (hash_get(h, field, &value)) return reply_packed(call->reply, &value), true;
    reply_null(call->reply);
    return false;
}

static void hgetdel_command(struct call *call)
{
    struct field_args fields;
    fields_come(call);
    struct record *r = call_find_write(call, 1);
    if (!hash_expected(call, &r) || !field_args_read(call, 2, BAD_COUNT, &fields)) return;
    if (!r) return reply_nulls(call, &fields);
    struct open_hash o;
    struct touched touched;
    open_hash(call, &o, r);
    touched_start(&touched, call);
    reply_array(call->reply, fields.count);
    for (uint32_t i = fields.first; i < call->argc; i++) {
        if (!reply_value(call, &o.hash, call->argv[i])) continue;
        hash_delete(&o.hash, call->argv[i]);
        touched_add(&touched, call->argv[i]);
    }
    fields_deleted(call, &o, &touched);
    touched_end(&touched);
}

/* --- HGETEX --- */

enum becoming { AS_THEY_ARE, PERSISTENT, EXPIRING };

/* EX, PX, EXAT or PXAT at argv[arg]. False: none of them. */
static bool unit_at(const struct call *call, uint32_t arg, enum expiry_unit *unit)
{
    static const char *const words[] = {"ex", "px", "exat", "pxat"};
    for (enum expiry_unit u = EXPIRY_EX; u <= EXPIRY_PXAT; u++) {
        *unit = u;
        if (call_arg_is(call, arg, words[u])) return true;
    }
    return false;
}

/* The option, if there is one; *at moves behind it. False: answered. */
static bool read_becoming(struct call *call, uint32_t *at, enum becoming *what, int64_t *at_ms)
{
    enum expiry_unit unit;
    *what = AS_THEY_ARE;
    if (call_arg_is(call, *at, "persist")) {
        *what = PERSISTENT;
        *at += 1;
    } else if (unit_at(call, *at, &unit)) {
        if (!field_expiry_read(call, call->argv[*at + 1], unit, at_ms)) return false;
        *what = EXPIRING;
        *at += 2;
    }
    return true;
}

static bool change_expiry(struct hash *h, struct bytes field, enum becoming what, int64_t at_ms, bool passed)
{
    if (passed) return hash_delete(h, field);
    if (what == PERSISTENT && hash_expiry(h, field) == HASH_NO_EXPIRY) return false;
    return hash_set_expiry(h, field, what == PERSISTENT ? HASH_NO_EXPIRY : at_ms);
}

static void fields_persist(struct call *call, struct open_hash *o, struct touched *t)
{
    keep_hash(call, o);
    if (t->count == 0) return;
    char count[I64_TEXT_MAX];
    struct bytes head[] = {BYTES("HPERSIST"), call->argv[1], BYTES("FIELDS"),
                           bytes_make(count, format_i64(count, t->count))};
    call_says(call, WORDS_OF_FIELD_EXPIRY);
    touched_propagate(t, call, head, 4);
    hash_written(call, "hpersist", t->count);
}

static void hgetex_command(struct call *call)
{
    uint32_t at = 2;
    int64_t at_ms = 0;
    enum becoming what;
    struct field_args fields;
    fields_come(call);
    struct record *r = call_find_write(call, 1);
    if (!hash_expected(call, &r) || !read_becoming(call, &at, &what, &at_ms)) return;
    if (!field_args_read(call, at, BAD_COUNT, &fields)) return;
    if (!r) return reply_nulls(call, &fields);
    struct open_hash o;
    struct touched touched;
    bool passed = what == EXPIRING && field_expiry_has_passed(call, at_ms);
    open_hash(call, &o, r);
    touched_start(&touched, call);
    reply_array(call->reply, fields.count);
    for (uint32_t i = fields.first; i < call->argc; i++) {
        if (!reply_value(call, &o.hash, call->argv[i]) || what == AS_THEY_ARE) continue;
        if (change_expiry(&o.hash, call->argv[i], what, at_ms, passed)) touched_add(&touched, call->argv[i]);
    }
    if (passed)
        fields_deleted(call, &o, &touched);
    else if (what == EXPIRING)
        fields_expire_at(call, &o, &touched, at_ms);
    else
        fields_persist(call, &o, &touched);
    touched_end(&touched);
}

/* --- HSETEX --- */

enum presence { PRESENT_OR_NOT, ALL_ABSENT, ALL_PRESENT };

struct hsetex {
    enum presence presence;
    bool keep, expires;
    int64_t at_ms;
    uint32_t first; /* the pairs: argv[first] ... */
};

static bool wrong_number(struct call *call)
{
    reply_errorf(call->reply, "ERR wrong number of arguments for '%s' command", call->command->row->name);
    return false;
}

/* FIELDS at argv[at]: the rest is pairs. */
static bool read_pairs(struct call *call, uint32_t at, struct hsetex *x)
{
    int64_t count;
    if (at + 1 >= call->argc) return wrong_number(call);
    if (parse_i64(call->argv[at + 1], &count) || count < 1 || count > INT32_MAX) {
        reply_error(call->reply, "ERR invalid number of fields");
        return false;
    }
    x->first = at + 2;
    uint32_t left = call->argc - x->first;
    return (left % 2 == 0 && count == left / 2) || wrong_number(call);
}

static bool read_presence(struct call *call, enum presence presence, struct hsetex *x)
{
    if (x->presence == PRESENT_OR_NOT) return x->presence = presence, true;
    reply_error(call->reply, "ERR Only one of FXX or FNX arguments can be specified");
    return false;
}

/* Valkey lets its clients give several, sends them all on, and goes by the last. */
static bool read_expiry(struct call *call, uint32_t *at, bool keep, enum expiry_unit unit, struct hsetex *x)
{
    if ((x->keep || x->expires) && !call->from_master) {
        reply_error(call->reply, "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified");
        return false;
    }
    x->keep = keep;
    x->expires = !keep;
    if (keep) return true;
    if (++*at >= call->argc) return wrong_number(call);
    return field_expiry_read(call, call->argv[*at], unit, &x->at_ms);
}

static bool read_hsetex(struct call *call, struct hsetex *x)
{
    *x = (struct hsetex){.presence = PRESENT_OR_NOT};
    for (uint32_t i = 2; i < call->argc; i++) {
        enum expiry_unit unit = EXPIRY_EX;
        bool keep = call_arg_is(call, i, "keepttl"), absent = call_arg_is(call, i, "fnx");
        if (call_arg_is(call, i, "fields")) return read_pairs(call, i, x);
        if (absent || call_arg_is(call, i, "fxx")) {
            if (!read_presence(call, absent ? ALL_ABSENT : ALL_PRESENT, x)) return false;
        } else if (keep || unit_at(call, i, &unit)) {
            if (!read_expiry(call, &i, keep, unit, x)) return false;
        } else {
            reply_errorf(call->reply, "ERR unknown argument: %.*s",
                         (int)(call->argv[i].len < 128 ? call->argv[i].len : 128), (const char *)call->argv[i].ptr);
            return false;
        }
    }
    return wrong_number(call);
}

static bool presence_holds(const struct call *call, const struct record *r, const struct hsetex *x)
{
    if (x->presence == PRESENT_OR_NOT) return true;
    if (!r) return x->presence == ALL_ABSENT;
    struct hash h = hash_at(call, r);
    for (uint32_t i = x->first; i < call->argc; i += 2) {
        struct packed_value value;
        if (hash_get(&h, call->argv[i], &value) != (x->presence == ALL_PRESENT)) return false;
    }
    return true;
}

/* What would not be set alike by a plain HSET: a field gets an expiry, or keeps one. */
static bool set_pairs(const struct call *call, struct hash *h, const struct hsetex *x)
{
    bool expiring = false;
    for (uint32_t i = x->first; i < call->argc; i += 2) {
        struct bytes field = call->argv[i], value = call->argv[i + 1];
        if (x->keep)
            hash_set_keeping_expiry(h, field, value);
        else
            hash_set_with_expiry(h, field, value, x->expires ? x->at_ms : HASH_NO_EXPIRY);
        expiring = expiring || (hash_is_timed(h) && hash_expiry(h, field) != HASH_NO_EXPIRY);
    }
    return expiring;
}

static void propagate_pairs(struct call *call, const struct hsetex *x, bool expiring)
{
    char ms[I64_TEXT_MAX], count[I64_TEXT_MAX];
    struct touched touched;
    touched_start(&touched, call);
    for (uint32_t i = x->first; i < call->argc; i++) touched_add(&touched, call->argv[i]);
    struct bytes pairs = bytes_make(count, format_i64(count, touched.count / 2));
    struct bytes plain[] = {BYTES("HSET"), call->argv[1]};
    struct bytes keeping[] = {BYTES("HSETEX"), call->argv[1], BYTES("KEEPTTL"), BYTES("FIELDS"), pairs};
    struct bytes timed[] = {BYTES("HSETEX"), call->argv[1], BYTES("PXAT"), bytes_make(ms, format_i64(ms, x->at_ms)),
                            BYTES("FIELDS"), pairs};
    if (expiring) call_says(call, WORDS_OF_FIELD_EXPIRY);
    if (!expiring)
        touched_propagate(&touched, call, plain, 2);
    else if (x->keep)
        touched_propagate(&touched, call, keeping, 5);
    else
        touched_propagate(&touched, call, timed, 6);
    touched_end(&touched);
}

/* The time given has passed: what has been set goes again, as Redis's events tell; replicas hear of its end alone. */
static void delete_pairs(struct call *call, struct open_hash *o, const struct hsetex *x)
{
    struct touched touched;
    touched_start(&touched, call);
    for (uint32_t i = x->first; i < call->argc; i += 2)
        if (hash_delete(&o->hash, call->argv[i])) touched_add(&touched, call->argv[i]);
    fields_deleted(call, o, &touched);
    touched_end(&touched);
}

static void hsetex_command(struct call *call)
{
    struct hsetex x;
    fields_come(call);
    if (!read_hsetex(call, &x)) return;
    struct record *r = call_find_write(call, 1);
    if (!hash_expected(call, &r)) return;
    if (!presence_holds(call, r, &x)) return reply_integer(call->reply, 0);
    bool passed = x.expires && field_expiry_has_passed(call, x.at_ms);
    struct open_hash o;
    if (passed) x.expires = false;
    hash_bury_named(call, &r, x.first, 2);
    open_hash(call, &o, r);
    bool expiring = set_pairs(call, &o.hash, &x);
    keep_hash(call, &o);
    hash_written(call, "hset", (call->argc - x.first) / 2);
    if (x.expires) call_event(call, NOTIFY_HASH, "hexpire", call->db, call->argv[1]);
    if (passed)
        delete_pairs(call, &o, &x);
    else
        propagate_pairs(call, &x, expiring);
    reply_integer(call->reply, 1);
}

const struct command hash_values_commands[] = {
    {"hgetdel", hgetdel_command, -5, CMD_WRITE | CMD_FAST, CAT_HASH, KEY_AT_1(KEY_RW | KEY_ACCESS | KEY_DELETE)},
    {"hgetex", hgetex_command, -5, CMD_WRITE | CMD_FAST, CAT_HASH, KEY_AT_1(KEY_RW | KEY_ACCESS | KEY_UPDATE)},
    {"hsetex", hsetex_command, -6, CMD_WRITE | CMD_DENYOOM | CMD_FAST, CAT_HASH, KEY_AT_1(KEY_RW | KEY_UPDATE)},
    {.name = NULL},
};
