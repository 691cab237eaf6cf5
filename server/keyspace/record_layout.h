/* The bytes of a record, for the parts of the keyspace that build and compare records. The table stands in record.c. */
#ifndef SLIPSTREAM_KEYSPACE_RECORD_LAYOUT_H
#define SLIPSTREAM_KEYSPACE_RECORD_LAYOUT_H

#include "server/keyspace/record.h"

enum record_flags { RECORD_EXPIRES = 1, RECORD_KEY_OUTSIDE = 2, RECORD_VALUE_OUTSIDE = 4, RECORD_COUNTS = 8 };

#define RECORD_FLAG_BITS 4 /* the others of that byte are the high ones of value_len */

struct record {
    uint8_t clock[3];  /* access clock, least significant byte first */
    uint8_t kind;      /* type, encoding << 4 */
    uint8_t flags;     /* and the high bits of value_len */
    uint8_t key_len;   /* of a key inside */
    uint8_t value_len; /* of a string or an object inside, the low eight bits */
    uint8_t body[];
};

/* What stands in an "outside" field: the memory and how much of it is in use (mem_size() tells how much there is). */
struct outside {
    uint8_t *ptr;
    uint64_t len;
};

/* One field of a record about to be written: the very bytes of the key's or the value's place, and what the header says
 * of them. `bytes` may point at `words`, so a part is not to be copied. */
struct record_part {
    struct bytes bytes;
    union {
        struct outside outside;
        int64_t integer;
        void *object;
    } words;
    uint16_t len;  /* of a key or value inside */
    uint8_t flags; /* RECORD_KEY_OUTSIDE or RECORD_VALUE_OUTSIDE, or 0 */
    uint8_t kind;  /* a value's */
};

static inline uint8_t record_kind(enum value_type type, enum value_encoding encoding)
{
    return (uint8_t)(type | encoding << 4);
}

static inline size_t record_expiry_size(const struct record *r)
{
    return r->flags & RECORD_EXPIRES ? sizeof(int64_t) : 0;
}

static inline const uint8_t *record_key_field(const struct record *r)
{
    return r->body + record_expiry_size(r);
}

static inline uint8_t *record_value_field(const struct record *r)
{
    size_t key_size = r->flags & RECORD_KEY_OUTSIDE ? sizeof(struct outside) : r->key_len;
    return (uint8_t *)record_key_field(r) + key_size;
}

static inline size_t record_value_len(const struct record *r)
{
    return (size_t)(r->flags >> RECORD_FLAG_BITS) << 8 | r->value_len;
}

/* A string's bytes, or those of an object, which are never none. */
static inline bool record_value_is_inside(const struct record *r)
{
    if ((r->kind & 15) != TYPE_STRING) return record_value_len(r) > 0;
    return r->kind != record_kind(TYPE_STRING, ENCODING_INT) && !(r->flags & RECORD_VALUE_OUTSIDE);
}

static inline size_t record_value_size(const struct record *r)
{
    if (record_value_is_inside(r)) return record_value_len(r);
    return r->flags & RECORD_VALUE_OUTSIDE ? sizeof(struct outside) : sizeof(int64_t);
}

/* Bytes of the record in the store. */
static inline size_t record_size(const struct record *r)
{
    return (size_t)(record_value_field(r) - (const uint8_t *)r) + record_value_size(r);
}

static inline struct outside record_outside(const uint8_t *field)
{
    struct outside o;
    memcpy(&o, field, sizeof(o));
    return o;
}

static inline bool record_key_is(const struct record *r, struct bytes key)
{
    if (!__builtin_expect(r->flags & RECORD_KEY_OUTSIDE, 0))
        return r->key_len == key.len && memcmp(record_key_field(r), key.ptr, key.len) == 0;
    return bytes_equal(record_key(r), key);
}

/* A hash whose fields expire. Its encodings are behind all others, so that one bit tells it from other hashes. */
static inline bool record_is_timed_hash(const struct record *r)
{
    return (r->kind & 15) == TYPE_HASH && r->kind >> 4 >= ENCODING_LISTPACK_TIMED;
}

static inline bool record_expired(const struct record *r, int64_t now_ms)
{
    return (r->flags & RECORD_EXPIRES) && now_ms > record_expire_ms(r);
}

static inline void record_set_access_clock(struct record *r, uint32_t clock)
{
    r->clock[0] = (uint8_t)clock;
    r->clock[1] = (uint8_t)(clock >> 8);
    r->clock[2] = (uint8_t)(clock >> 16);
    r->flags = (uint8_t)((r->flags & ~RECORD_COUNTS) | (clock & RECORD_CLOCK_COUNTS ? RECORD_COUNTS : 0));
}

/* Longest value that fits inside beside this key, with or without an expiry. */
size_t record_value_room(struct bytes key);

/* Parts. What is outside belongs to the part until a record is written from it, and then to the record. */
void record_part_key(struct record_part *p, struct bytes key); /* copies a long key */
/* `room`: what record_value_room says; a longer value is copied outside. */
void record_part_string(struct record_part *p, struct bytes value, enum value_encoding encoding, size_t room);
/* A raw string outside; takes the memory. */
void record_part_memory(struct record_part *p, uint8_t *memory, size_t len);
void record_part_integer(struct record_part *p, int64_t value);
/* `room` as above. True: the object is flat and its bytes go inside, so that the part only points at it, whose memory
 * stays the caller's; else the part takes it. */
bool record_part_object(struct record_part *p, enum value_type type, enum value_encoding encoding, void *object,
                        size_t room);
void record_part_same_key(struct record_part *p, const struct record *r); /* the fields of r as they are: who writes */
void record_part_same_value(struct record_part *p, const struct record *r); /* from them takes over what is outside */

size_t record_parts_size(const struct record_part *key, const struct record_part *value, bool expires);
void record_write(struct record *r, uint32_t clock, const struct record_part *key, const struct record_part *value,
                  int64_t expire_ms);
/* Writes another value into r, whose block is large enough; the old one is overwritten, not freed. */
void record_overwrite(struct record *r, const struct record_part *value);
void record_overwrite_expiry(struct record *r, int64_t expire_ms); /* of a record that has one */

#endif
