/* Reading and writing the bytes of records. Server process; the snapshot child and the checker's loader read.
 *
 * Byte table. Fields follow one another without gaps; sizes in bytes:
 *
 *   offset  size      field
 *   0       3         access clock, little-endian: LRU seconds, or LFU minutes << 8 | counter
 *   3       1         type in the low four bits, encoding in the high four
 *   4       1         flags in the low four bits: EXPIRES 1, KEY_OUTSIDE 2, VALUE_OUTSIDE 4, COUNTS 8 (the clock is
 *                     LFU's); in the high four those of the length in byte 6
 *   5       1         length of a key inside (0..255)
 *   6       1         length of a string or an object inside, low eight bits of twelve
 *   7       0 or 8    with EXPIRES: Unix time in ms
 *   then    0..255    key inside
 *           or 16     with KEY_OUTSIDE: pointer and length (keys longer than 255)
 *   then    0..497    string inside
 *           or 8      encoding int: the integer
 *           or 16     with VALUE_OUTSIDE: pointer and length of a string; mem_size() is its capacity
 *           or 1..497 other types, with a length: the object's own bytes
 *           or 8      other types, length 0: pointer to the object
 *
 * So a key of 16 bytes with a string of 16 takes 39, in a block of 40; with an integer 31, in a block of 32. The
 * encoding of a string is what OBJECT ENCODING answers and says nothing of where it lies: "raw" may be inside. */
#include "server/keyspace/record_layout.h"

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/data/flat.h"
#include "server/keyspace/store.h"

_Static_assert(sizeof(struct record) == 7, "the header of a record is seven bytes");
_Static_assert(VALUE_TYPES <= 16 && VALUE_ENCODINGS <= 16, "type and encoding have four bits each");
_Static_assert(STORE_BLOCK_MAX < 1 << 12, "a length inside has twelve bits");

/* --- reading --- */

struct bytes record_key(const struct record *r)
{
    const uint8_t *field = record_key_field(r);
    if (!(r->flags & RECORD_KEY_OUTSIDE)) return bytes_make(field, r->key_len);
    struct outside o = record_outside(field);
    return bytes_make(o.ptr, o.len);
}

enum value_type record_type(const struct record *r)
{
    return (enum value_type)(r->kind & 15);
}

enum value_encoding record_encoding(const struct record *r)
{
    return (enum value_encoding)(r->kind >> 4);
}

int64_t record_expire_ms(const struct record *r)
{
    if (!(r->flags & RECORD_EXPIRES)) return RECORD_NO_EXPIRY;
    int64_t expire_ms;
    memcpy(&expire_ms, r->body, sizeof(expire_ms));
    return expire_ms;
}

bool record_is_expired(const struct record *r, int64_t now_ms)
{
    return record_expired(r, now_ms);
}

bool record_is_integer(const struct record *r)
{
    return r->kind == record_kind(TYPE_STRING, ENCODING_INT);
}

int64_t record_integer(const struct record *r)
{
    int64_t value;
    memcpy(&value, record_value_field(r), sizeof(value));
    return value;
}

struct bytes record_string(const struct record *r, char scratch[I64_TEXT_MAX])
{
    CHECK(record_type(r) == TYPE_STRING);
    if (record_is_integer(r)) return bytes_make(scratch, format_i64(scratch, record_integer(r)));
    const uint8_t *field = record_value_field(r);
    if (!(r->flags & RECORD_VALUE_OUTSIDE)) return bytes_make(field, record_value_len(r));
    struct outside o = record_outside(field);
    return bytes_make(o.ptr, o.len);
}

size_t record_string_len(const struct record *r)
{
    char scratch[I64_TEXT_MAX];
    return record_string(r, scratch).len;
}

bool record_object_inside(const struct record *r)
{
    return record_value_len(r) > 0;
}

void *record_object(const struct record *r)
{
    if (record_object_inside(r)) return record_value_field(r);
    void *object;
    memcpy(&object, record_value_field(r), sizeof(object));
    return object;
}

uint32_t record_access_clock(const struct record *r)
{
    uint32_t clock = r->clock[0] | (uint32_t)r->clock[1] << 8 | (uint32_t)r->clock[2] << 16;
    return r->flags & RECORD_COUNTS ? clock | RECORD_CLOCK_COUNTS : clock;
}

size_t record_memory_sampled(const struct record *r, size_t samples)
{
    size_t total = store_block_size(record_size(r));
    if (r->flags & RECORD_KEY_OUTSIDE) total += mem_size(record_outside(record_key_field(r)).ptr);
    if (r->flags & RECORD_VALUE_OUTSIDE) total += mem_size(record_outside(record_value_field(r)).ptr);
    const struct value_ops *ops = value_ops(record_type(r));
    if (ops && !record_value_is_inside(r)) total += ops->memory(record_object(r), record_encoding(r), samples);
    return total;
}

size_t record_memory(const struct record *r)
{
    return record_memory_sampled(r, VALUE_MEMORY_SAMPLES);
}

/* --- parts --- */

static size_t key_field_size(struct bytes key)
{
    return key.len <= UINT8_MAX ? key.len : sizeof(struct outside);
}

size_t record_value_room(struct bytes key)
{
    return STORE_BLOCK_MAX - sizeof(struct record) - sizeof(int64_t) - key_field_size(key);
}

static void part_outside(struct record_part *p, uint8_t *memory, size_t len, uint8_t flag)
{
    p->words.outside = (struct outside){memory, len};
    p->bytes = bytes_make(&p->words.outside, sizeof(struct outside));
    p->len = 0;
    p->flags = flag;
}

static uint8_t *copy_of(struct bytes data)
{
    return memcpy(mem_alloc(data.len), data.ptr, data.len);
}

static void part_inside(struct record_part *p, struct bytes data)
{
    p->bytes = data.len ? data : BYTES(""); /* an empty slice may have no address, and memcpy wants one */
    p->len = (uint16_t)data.len;
    p->flags = 0;
}

void record_part_key(struct record_part *p, struct bytes key)
{
    if (key.len <= UINT8_MAX)
        part_inside(p, key);
    else
        part_outside(p, copy_of(key), key.len, RECORD_KEY_OUTSIDE);
}

void record_part_string(struct record_part *p, struct bytes value, enum value_encoding encoding, size_t room)
{
    if (value.len <= room)
        part_inside(p, value);
    else
        part_outside(p, copy_of(value), value.len, RECORD_VALUE_OUTSIDE);
    p->kind = record_kind(TYPE_STRING, encoding);
}

void record_part_memory(struct record_part *p, uint8_t *memory, size_t len)
{
    part_outside(p, memory, len, RECORD_VALUE_OUTSIDE);
    p->kind = record_kind(TYPE_STRING, ENCODING_RAW);
}

void record_part_integer(struct record_part *p, int64_t value)
{
    p->words.integer = value;
    p->bytes = bytes_make(&p->words.integer, sizeof(value));
    p->len = 0;
    p->flags = 0;
    p->kind = record_kind(TYPE_STRING, ENCODING_INT);
}

bool record_part_object(struct record_part *p, enum value_type type, enum value_encoding encoding, void *object,
                        size_t room)
{
    size_t flat_bytes = flat_object_bytes(encoding, object);
    bool inside = flat_bytes > 0 && flat_bytes <= room;
    p->words.object = object;
    p->bytes = inside ? bytes_make(object, flat_bytes) : bytes_make(&p->words.object, sizeof(object));
    p->len = inside ? (uint16_t)flat_bytes : 0;
    p->flags = 0;
    p->kind = record_kind(type, encoding);
    return inside;
}

void record_part_same_key(struct record_part *p, const struct record *r)
{
    const uint8_t *field = record_key_field(r);
    p->bytes = bytes_make(field, (size_t)(record_value_field(r) - field));
    p->len = r->key_len;
    p->flags = r->flags & RECORD_KEY_OUTSIDE;
}

void record_part_same_value(struct record_part *p, const struct record *r)
{
    p->bytes = bytes_make(record_value_field(r), record_value_size(r));
    p->len = (uint16_t)record_value_len(r);
    p->flags = r->flags & RECORD_VALUE_OUTSIDE;
    p->kind = r->kind;
}

/* --- writing --- */

size_t record_parts_size(const struct record_part *key, const struct record_part *value, bool expires)
{
    return sizeof(struct record) + (expires ? sizeof(int64_t) : 0) + key->bytes.len + value->bytes.len;
}

void record_write(struct record *r, uint32_t clock, const struct record_part *key, const struct record_part *value,
                  int64_t expire_ms)
{
    uint8_t *p = r->body;
    r->flags = key->flags;
    record_set_access_clock(r, clock);
    r->key_len = (uint8_t)key->len;
    if (expire_ms != RECORD_NO_EXPIRY) {
        r->flags |= RECORD_EXPIRES;
        memcpy(p, &expire_ms, sizeof(expire_ms));
        p += sizeof(expire_ms);
    }
    memcpy(p, key->bytes.ptr, key->bytes.len);
    record_overwrite(r, value);
}

void record_overwrite(struct record *r, const struct record_part *value)
{
    r->kind = value->kind;
    r->value_len = (uint8_t)value->len;
    r->flags = (uint8_t)((r->flags & (RECORD_EXPIRES | RECORD_KEY_OUTSIDE | RECORD_COUNTS)) | value->flags |
                         value->len >> 8 << RECORD_FLAG_BITS);
    memmove(record_value_field(r), value->bytes.ptr, value->bytes.len);
}

void record_overwrite_expiry(struct record *r, int64_t expire_ms)
{
    memcpy(r->body, &expire_ms, sizeof(expire_ms));
}
