/* Bitmaps: strings whose bits are set, counted, searched and combined. BITFIELD stands in bitfield.c. Server
 * process. */
#include "server/base/alloc.h"
#include "server/commands/bit_key.h"
#include "server/commands/tables.h"
#include "server/core/core.h"
#include "server/core/run/call.h"
#include "server/core/settings.h"
#include "server/data/bitmap.h"

/* --- shared with BITFIELD --- */

bool bit_offset_argument(struct call *call, uint32_t arg, unsigned number_bits, uint64_t *out)
{
    static const char error[] = "ERR bit offset is not an integer or out of range";
    struct bytes text = call->argv[arg];
    bool counts_numbers = number_bits && text.len && text.ptr[0] == '#';
    if (counts_numbers) text = bytes_make(text.ptr + 1, text.len - 1);
    int64_t offset;
    bool bad = parse_i64(text, &offset) != 0 || offset < 0 ||
               (counts_numbers && __builtin_mul_overflow(offset, (int64_t)number_bits, &offset));
    if (bad || (!call->from_master && (uint64_t)offset / 8 >= call->core->settings->net.max_bulk_bytes)) {
        reply_error(call->reply, error);
        return false;
    }
    *out = (uint64_t)offset;
    return true;
}

bool bit_key_reach(struct call *call, struct record *r, uint64_t bit, uint8_t **data)
{
    size_t len = r ? record_string_len(r) : 0, needed = bit / 8 + 1;
    if (!r) r = database_set_string_raw(call->db, call->argv[1], call_key_hash(call, 1), BYTES(""), false);
    database_string_resize(call->db, r, needed > len ? needed : len, data);
    return needed > len;
}

void bit_key_written(struct call *call, struct bytes key, const char *event, uint64_t changes)
{
    call_key_modified(call, call->db, key);
    call_event(call, NOTIFY_STRING, event, call->db, key);
    call_changed(call, changes);
}

/* --- one bit --- */

static void setbit_command(struct call *call)
{
    uint64_t offset;
    int64_t bit;
    uint8_t *data;
    if (!bit_offset_argument(call, 2, 0, &offset) ||
        !call_arg_range(call, 3, 0, 1, &bit, "ERR bit is not an integer or out of range"))
        return;
    struct record *r = call_find_write(call, 1);
    if (call_wrong_type(call, r, TYPE_STRING)) return;
    bool grown = bit_key_reach(call, r, offset, &data);
    bool before = bitmap_get_number(data, offset, 1);
    if (grown || before != bit) {
        bitmap_set_number(data, offset, 1, (uint64_t)bit);
        bit_key_written(call, call->argv[1], "setbit", 1);
    }
    reply_integer(call->reply, before);
}

static void getbit_command(struct call *call)
{
    uint64_t offset;
    char scratch[I64_TEXT_MAX];
    if (!bit_offset_argument(call, 2, 0, &offset)) return;
    struct record *r = call_find_read(call, 1);
    if (call_wrong_type(call, r, TYPE_STRING)) return;
    struct bytes text = r ? record_string(r, scratch) : BYTES("");
    reply_integer(call->reply, offset / 8 < text.len ? (int64_t)bitmap_get_number(text.ptr, offset, 1) : 0);
}

/* --- ranges --- */

/* [start [end [BYTE|BIT]]]; negative ones count from the string's end. */
struct range_arguments {
    int64_t start, end;
    bool bits;
};

static bool read_unit(struct call *call, uint32_t arg, struct range_arguments *a)
{
    a->bits = call_arg_is(call, arg, "bit");
    if (a->bits || call_arg_is(call, arg, "byte")) return true;
    call_syntax_error(call);
    return false;
}

/* Within a string of len bytes. false: it is empty. */
static bool resolve_range(const struct range_arguments *a, size_t len, struct bit_range *out)
{
    int64_t start = a->start, end = a->end, units = (int64_t)(a->bits ? 8 * len : len);
    if (start < 0) start = start + units < 0 ? 0 : start + units;
    if (end < 0) end = end + units < 0 ? 0 : end + units;
    if (end >= units) end = units - 1;
    if (start > end) return false;
    out->first = (uint64_t)(a->bits ? start : 8 * start);
    out->last = (uint64_t)(a->bits ? end : 8 * end + 7);
    return true;
}

static void bitcount_command(struct call *call)
{
    char scratch[I64_TEXT_MAX];
    struct range_arguments given = {.end = -1};
    struct bit_range range;
    struct record *r = call_find_read(call, 1);
    if (!r) return reply_integer(call->reply, 0);
    if (call_wrong_type(call, r, TYPE_STRING)) return;
    if (call->argc == 3 || call->argc > 5) return call_syntax_error(call);
    if (call->argc > 3 && (!call_arg_i64(call, 2, &given.start, NULL) || !call_arg_i64(call, 3, &given.end, NULL)))
        return;
    /* Two negative ends in the wrong order are no range, even where both come to stand at the first bit. BITPOS does
     * not know that. */
    if (given.start < 0 && given.end < 0 && given.start > given.end) return reply_integer(call->reply, 0);
    if (call->argc > 4 && !read_unit(call, 4, &given)) return;
    struct bytes text = record_string(r, scratch);
    bool found = resolve_range(&given, text.len, &range);
    reply_integer(call->reply, found ? (int64_t)bitmap_count_range(text, range) : 0);
}

static void bitpos_command(struct call *call)
{
    char scratch[I64_TEXT_MAX];
    struct range_arguments given = {.end = -1};
    struct bit_range range;
    int64_t bit;
    if (!call_arg_i64(call, 2, &bit, NULL)) return;
    if (bit != 0 && bit != 1) return reply_error(call->reply, "ERR The bit argument must be 1 or 0.");
    struct record *r = call_find_read(call, 1);
    if (!r) return reply_integer(call->reply, bit ? -1 : 0);
    if (call_wrong_type(call, r, TYPE_STRING)) return;
    if (call->argc > 6) return call_syntax_error(call);
    if (call->argc > 3 && !call_arg_i64(call, 3, &given.start, NULL)) return;
    if (call->argc > 5 && !read_unit(call, 5, &given)) return;
    if (call->argc > 4 && !call_arg_i64(call, 4, &given.end, NULL)) return;
    struct bytes text = record_string(r, scratch);
    if (!resolve_range(&given, text.len, &range)) return reply_integer(call->reply, -1);
    int64_t position = bitmap_find(text, range, bit);
    bool open_end = call->argc < 5; /* then the string is followed by zeros without end */
    if (position < 0 && !bit && open_end) position = (int64_t)text.len * 8;
    reply_integer(call->reply, position);
}

/* --- BITOP --- */

static bool read_operation(struct call *call, enum bitmap_operation *out)
{
    static const char *const names[] = {"and", "or", "xor", "not", "diff", "diff1", "andor", "one"};
    static const char *const upper_names[] = {"AND", "OR", "XOR", "NOT", "DIFF", "DIFF1", "ANDOR", "ONE"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!call_arg_is(call, 1, names[i])) continue;
        *out = (enum bitmap_operation)i;
        if (*out > BITMAP_NOT) call_passes_on_redis_8_2(call);
        if (*out >= BITMAP_DIFF && *out <= BITMAP_ANDOR && call->argc < 5) {
            reply_errorf(call->reply, "ERR BITOP %s must be called with at least two source keys.", upper_names[i]);
            return false;
        }
        if (*out != BITMAP_NOT || call->argc == 4) return true;
        reply_error(call->reply, "ERR BITOP NOT must be called with a single source key.");
        return false;
    }
    call_syntax_error(call);
    return false;
}

/* An integer's text is kept beside the slice that shows it. */
struct source_text {
    char digits[I64_TEXT_MAX];
};

/* Finds the sources, the longest's length included. false: one is no string, answered. */
static bool read_sources(struct call *call, struct bytes *sources, struct source_text *texts, size_t *longest)
{
    *longest = 0;
    for (uint32_t i = 3; i < call->argc; i++) {
        struct record *r = call_find_read(call, i);
        if (call_wrong_type(call, r, TYPE_STRING)) return false;
        struct bytes text = r ? record_string(r, texts[i - 3].digits) : BYTES("");
        if (text.len > *longest) *longest = text.len;
        sources[i - 3] = text;
    }
    return true;
}

/* What older replicas do not know is propagated as what it has come to. */
static void store_combined(struct call *call, enum bitmap_operation operation, const struct bytes *sources, size_t len)
{
    struct bytes key = call->argv[2];
    if (len) {
        uint8_t *combined = mem_alloc(len);
        bitmap_combine(operation, sources, call->argc - 3, combined, len);
        database_set_string_raw(call->db, key, call_key_hash(call, 2), bytes_make(combined, len), false);
        bit_key_written(call, key, "set", 1);
        if (operation > BITMAP_NOT)
            call_rewrite(call, call->db, 3, (struct bytes[]){BYTES("SET"), key, bytes_make(combined, len)});
        mem_free(combined);
    } else if (call_find_write(call, 2)) {
        call_delete_key(call, key, call_key_hash(call, 2), false);
        call_changed(call, 1);
        if (operation > BITMAP_NOT) call_rewrite_removal(call, key, false);
    }
    reply_integer(call->reply, (int64_t)len);
}

static void bitop_command(struct call *call)
{
    enum bitmap_operation operation;
    if (!read_operation(call, &operation)) return;
    size_t count = call->argc - 3, longest;
    struct bytes *sources = mem_alloc(count * sizeof *sources);
    struct source_text *texts = mem_alloc(count * sizeof *texts);
    if (read_sources(call, sources, texts, &longest)) store_combined(call, operation, sources, longest);
    mem_free(texts);
    mem_free(sources);
}

const struct command bitmaps_commands[] = {
    {"setbit", setbit_command, 4, CMD_WRITE | CMD_DENYOOM, CAT_BITMAP, KEY_AT_1(KEY_RW | KEY_ACCESS | KEY_UPDATE)},
    {"getbit", getbit_command, 3, CMD_READONLY | CMD_FAST, CAT_BITMAP, KEY_AT_1(KEY_RO | KEY_ACCESS)},
    {"bitcount", bitcount_command, -2, CMD_READONLY, CAT_BITMAP, KEY_AT_1(KEY_RO | KEY_ACCESS)},
    {"bitpos", bitpos_command, -3, CMD_READONLY, CAT_BITMAP, KEY_AT_1(KEY_RO | KEY_ACCESS)},
    {"bitop", bitop_command, -4, CMD_WRITE | CMD_DENYOOM, CAT_BITMAP,
     KEYS(KEY_AT(2, KEY_OW | KEY_UPDATE), KEY_RANGE(3, -1, 1, KEY_RO | KEY_ACCESS))},
    {"bitfield", bitfield_command, -2, CMD_WRITE | CMD_DENYOOM, CAT_BITMAP,
     KEYS(KEY_AT_NOTED(1, KEY_RW | KEY_ACCESS | KEY_UPDATE | KEY_VARIABLE,
                       "This command allows both access and modification of the key")),
     .find_keys = bitfield_find_keys},
    {"bitfield_ro", bitfield_ro_command, -2, CMD_READONLY | CMD_FAST, CAT_BITMAP, KEY_AT_1(KEY_RO | KEY_ACCESS)},
    {.name = NULL},
};
