/* A record: one key, its expiry and its value, in one piece of the record store.
 *
 *   byte 0..2   access clock (24 bits: LRU seconds, or LFU minutes and counter)
 *   byte 3      type (low 4 bits) and encoding (high 4 bits)
 *   byte 4      flags: has an expiry, key outside, value outside, LFU clock; and the high bits of byte 6
 *   byte 5, 6   length of the key and of the value, where they are inside
 *   then        expiry (8 bytes, if there is one), key, value: bytes, integer, or pointer
 *
 * Short strings stand inside, and so do small objects that are one flat block (data/flat.h): a hash of ten fields is
 * its record and nothing else. Who wants to change such an object takes a copy and gives that to the keyspace again.
 *
 * The exact table stands in record.c. A record's address changes when its expiry or value changes size: never keep a
 * `struct record *` across a mutation; every mutating function returns the new one. Fields may be unaligned: use the
 * accessors only. */
#ifndef SLIPSTREAM_KEYSPACE_RECORD_H
#define SLIPSTREAM_KEYSPACE_RECORD_H

#include "server/base/bytes.h"
#include "server/base/number.h"
#include "server/data/value.h"

struct record;

#define RECORD_NO_EXPIRY (-1)

struct bytes record_key(const struct record *r);
enum value_type record_type(const struct record *r);
enum value_encoding record_encoding(const struct record *r);
int64_t record_expire_ms(const struct record *r); /* wall clock ms, or RECORD_NO_EXPIRY */
bool record_is_expired(const struct record *r, int64_t now_ms);
bool record_is_integer(const struct record *r); /* a string kept as a 64-bit integer */
int64_t record_integer(const struct record *r);

/* The string's bytes; an integer is formatted into scratch. Valid until the next mutation of the keyspace. */
struct bytes record_string(const struct record *r, char scratch[I64_TEXT_MAX]);
size_t record_string_len(const struct record *r);
void *record_object(const struct record *r); /* of every other type */
/* The object is a part of the record: it keeps its size, and lasts no longer than the record does. */
bool record_object_inside(const struct record *r);

/* 24 bits of seconds, or RECORD_CLOCK_COUNTS and 24 bits of minutes and counter. */
uint32_t record_access_clock(const struct record *r);
#define RECORD_CLOCK_COUNTS (1u << 24)
size_t record_memory(const struct record *r); /* record, key and value outside; of a large value about */
/* The same, with so many elements of a large value measured; 0: all. MEMORY USAGE */
size_t record_memory_sampled(const struct record *r, size_t samples);

#endif
