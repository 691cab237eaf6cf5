/* BITFIELD: numbers of 1 to 64 bits at any bit of a string, read, set and added to, with a choice of what happens when
 * one overflows. All operations are read before the first is done: a mistake in the last changes nothing. Server
 * process. */
#include "server/base/alloc.h"
#include "server/commands/bit_key.h"
#include "server/data/bitmap.h"

enum overflow { OVERFLOW_WRAP, OVERFLOW_SATURATE, OVERFLOW_FAIL };
enum field_action { FIELD_GET, FIELD_SET, FIELD_ADD };

struct field {
    enum field_action action;
    enum overflow overflow;
    bool is_signed;
    unsigned bits;
    uint64_t offset;
    int64_t operand;
};

/* --- arguments --- */

static bool read_type(struct call *call, uint32_t arg, struct field *f)
{
    struct bytes text = call->argv[arg];
    int64_t bits;
    f->is_signed = text.len && text.ptr[0] == 'i';
    if (text.len && (f->is_signed || text.ptr[0] == 'u') &&
        parse_i64(bytes_make(text.ptr + 1, text.len - 1), &bits) == 0 && bits >= 1 &&
        bits <= (f->is_signed ? 64 : 63)) {
        f->bits = (unsigned)bits;
        return true;
    }
    reply_error(call->reply,
                "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.");
    return false;
}

static bool read_overflow(struct call *call, uint32_t arg, enum overflow *out)
{
    static const char *const names[] = {"wrap", "sat", "fail"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (call_arg_is(call, arg, names[i])) {
            *out = (enum overflow)i;
            return true;
        }
    reply_error(call->reply, "ERR Invalid OVERFLOW type specified");
    return false;
}

/* Which operation stands at argument i, and with how many arguments of its own; 0: none that is whole. */
static uint32_t operation_at(const struct call *call, uint32_t i, enum field_action *action)
{
    uint32_t rest = call->argc - i - 1;
    if (call_arg_is(call, i, "get") && rest >= 2) {
        *action = FIELD_GET;
        return 2;
    }
    bool set = call_arg_is(call, i, "set");
    if ((set || call_arg_is(call, i, "incrby")) && rest >= 3) {
        *action = set ? FIELD_SET : FIELD_ADD;
        return 3;
    }
    return 0;
}

/* Fills fields, of which there is room for one an argument; *count of them. false: answered. */
static bool read_fields(struct call *call, struct field *fields, size_t *count)
{
    enum overflow overflow = OVERFLOW_WRAP;
    *count = 0;
    for (uint32_t i = 2; i < call->argc;) {
        if (call_arg_is(call, i, "overflow") && i + 1 < call->argc) {
            if (!read_overflow(call, i + 1, &overflow)) return false;
            i += 2;
            continue;
        }
        struct field *f = &fields[*count];
        f->overflow = overflow;
        uint32_t arguments = operation_at(call, i, &f->action);
        if (arguments == 0) {
            call_syntax_error(call);
            return false;
        }
        if (!read_type(call, i + 1, f) || !bit_offset_argument(call, i + 2, f->bits, &f->offset)) return false;
        if (f->action != FIELD_GET && !call_arg_i64(call, i + 3, &f->operand, NULL)) return false;
        i += arguments + 1;
        ++*count;
    }
    return true;
}

/* --- numbers --- */

static __int128 sign_extend(const struct field *f, uint64_t number)
{
    unsigned unused = 64 - f->bits;
    return f->is_signed ? (__int128)((int64_t)(number << unused) >> unused) : (__int128)number;
}

/* Brings the exact result into the field's range. false: it does not fit, and the field is to stay as it is. */
static bool settle(const struct field *f, __int128 exact, __int128 *out)
{
    __int128 most = ((__int128)1 << (f->is_signed ? f->bits - 1 : f->bits)) - 1;
    __int128 least = f->is_signed ? -most - 1 : 0;
    *out = exact;
    if (exact >= least && exact <= most) return true;
    switch (f->overflow) {
    case OVERFLOW_WRAP: *out = sign_extend(f, (uint64_t)exact & (UINT64_MAX >> (64 - f->bits))); break;
    case OVERFLOW_SATURATE: *out = exact > most ? most : least; break;
    case OVERFLOW_FAIL: return false;
    }
    return true;
}

/* What SET stores, before overflow: a negative operand for an unsigned field counts as its 64 bits read unsigned. */
static __int128 set_operand(const struct field *f)
{
    return f->is_signed ? (__int128)f->operand : (__int128)(uint64_t)f->operand;
}

/* Sets or adds, answering with the value before or after. Returns whether it was done; *changed: to some effect. */
static bool change_field(struct call *call, const struct field *f, uint8_t *data, bool *changed)
{
    __int128 before = sign_extend(f, bitmap_get_number(data, f->offset, f->bits)), after;
    if (!settle(f, f->action == FIELD_SET ? set_operand(f) : before + f->operand, &after)) {
        reply_null(call->reply);
        return false;
    }
    reply_integer(call->reply, (int64_t)(f->action == FIELD_SET ? before : after));
    bitmap_set_number(data, f->offset, f->bits, (uint64_t)after);
    *changed = after != before;
    return true;
}

/* Bits beyond the string's end are zeros. */
static void get_field(struct call *call, const struct field *f, struct bytes text)
{
    uint8_t window[9] = {0};
    uint64_t first = f->offset / 8;
    if (first < text.len) {
        size_t rest = text.len - first;
        memcpy(window, text.ptr + first, rest < sizeof window ? rest : sizeof window);
    }
    reply_integer(call->reply, (int64_t)sign_extend(f, bitmap_get_number(window, f->offset % 8, f->bits)));
}

/* --- commands --- */

static void get_fields(struct call *call, const struct field *fields, size_t count)
{
    char scratch[I64_TEXT_MAX];
    struct record *r = call_find_read(call, 1);
    if (call_wrong_type(call, r, TYPE_STRING)) return;
    struct bytes text = r ? record_string(r, scratch) : BYTES("");
    reply_array(call->reply, count);
    for (size_t i = 0; i < count; i++) get_field(call, &fields[i], text);
}

static void change_fields(struct call *call, const struct field *fields, size_t count, uint64_t last_bit)
{
    struct record *r = call_find_write(call, 1);
    if (call_wrong_type(call, r, TYPE_STRING)) return;
    uint8_t *data;
    uint64_t changes = 0;
    size_t len = r ? record_string_len(r) : 0;
    bool grown = bit_key_reach(call, r, last_bit, &data);
    if (len < last_bit / 8 + 1) len = last_bit / 8 + 1;
    reply_array(call->reply, count);
    for (size_t i = 0; i < count; i++) {
        bool changed;
        if (fields[i].action == FIELD_GET)
            get_field(call, &fields[i], bytes_make(data, len));
        else if (change_field(call, &fields[i], data, &changed))
            changes += changed || grown;
    }
    if (changes) {
        bit_key_written(call, call->argv[1], "setbit", changes);
    } else if (grown) { /* the replicas' strings have to grow as well, though every operation failed */
        call_key_modified(call, call->db, call->argv[1]);
        call_changed(call, 1);
    }
}

static void run_fields(struct call *call, const struct field *fields, size_t count, bool may_write)
{
    bool writes = false;
    uint64_t last_bit = 0;
    for (size_t i = 0; i < count; i++) {
        if (fields[i].action == FIELD_GET) continue;
        uint64_t last = fields[i].offset + fields[i].bits - 1;
        if (last > last_bit) last_bit = last;
        writes = true;
    }
    if (!writes)
        get_fields(call, fields, count);
    else if (!may_write)
        reply_error(call->reply, "ERR BITFIELD_RO only supports the GET subcommand");
    else
        change_fields(call, fields, count, last_bit);
}

static void bitfield(struct call *call, bool may_write)
{
    size_t count;
    struct field *fields = mem_alloc(call->argc * sizeof *fields);
    if (read_fields(call, fields, &count)) run_fields(call, fields, count, may_write);
    mem_free(fields);
}

void bitfield_command(struct call *call)
{
    bitfield(call, true);
}

void bitfield_ro_command(struct call *call)
{
    bitfield(call, false);
}

/* It only reads unless something else than GET, or OVERFLOW without what it is for, stands there. */
int bitfield_find_keys(uint32_t argc, const struct bytes *argv, struct found_key *keys)
{
    keys[0] = (struct found_key){1, KEY_RO | KEY_ACCESS};
    for (uint32_t i = 2; i < argc; i++) {
        if (bytes_equal_nocase(argv[i], "get") && i + 2 < argc)
            i += 2;
        else if (bytes_equal_nocase(argv[i], "overflow") && i + 1 < argc)
            i++;
        else
            keys[0].flags = KEY_RW | KEY_ACCESS | KEY_UPDATE;
    }
    return 1;
}
