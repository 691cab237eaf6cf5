/* What tests of the keyspace share: settings, an object type that counts its objects, and short words for keys. */
#ifndef SLIPSTREAM_TEST_KEYSPACE_RIG_H
#define SLIPSTREAM_TEST_KEYSPACE_RIG_H

#include "server/base/alloc.h"
#include "server/base/workers.h"
#include "server/keyspace/keyspace.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static struct keyspace_settings settings;

/* --- a type of our own: an object that counts itself --- */

struct thing {
    int payload;
    size_t effort;
};

static _Atomic int things_alive;

static inline struct thing *thing_new(int payload, size_t effort)
{
    struct thing *t = mem_alloc(sizeof(*t));
    *t = (struct thing){payload, effort};
    things_alive++;
    return t;
}

static inline void thing_free(void *object, enum value_encoding encoding)
{
    (void)encoding;
    things_alive--;
    mem_free(object);
}

static inline void *thing_copy(const void *object, enum value_encoding encoding)
{
    (void)encoding;
    const struct thing *t = object;
    return thing_new(t->payload, t->effort);
}

static inline size_t thing_memory(const void *object, enum value_encoding encoding, size_t samples)
{
    (void)encoding, (void)samples;
    return mem_size(object);
}

static inline size_t thing_free_effort(const void *object, enum value_encoding encoding)
{
    (void)encoding;
    return ((const struct thing *)object)->effort;
}

static const struct value_ops thing_ops = {
    .free = thing_free, .copy = thing_copy, .memory = thing_memory, .free_effort = thing_free_effort};

static inline void set_up(void)
{
    hash_seed = 12345;
    settings = (struct keyspace_settings){.maxmemory_samples = 5,
                                          .maxmemory_eviction_tenacity = 100,
                                          .lfu_log_factor = 10,
                                          .lfu_decay_time_min = 1,
                                          .active_expire_effort = 1};
    workers_start();
    value_ops_register(TYPE_LIST, &thing_ops);
}

/* --- keys by their names --- */

static inline struct bytes text(const char *s)
{
    return bytes_from_text(s);
}

static inline struct record *find(struct database *db, struct bytes key, int64_t now_ms)
{
    return database_find(db, key, key_hash(key), now_ms, LOOKUP_READ);
}

static inline struct record *set(struct database *db, struct bytes key, struct bytes value)
{
    return database_set_string(db, key, key_hash(key), value, false);
}

static inline bool remove_key(struct database *db, struct bytes key)
{
    return database_delete(db, key, key_hash(key), false);
}

static inline struct bytes numbered(char out[32], size_t i)
{
    return bytes_make(out, (size_t)snprintf(out, 32, "key:%zu", i));
}

static inline void expect_string(const struct record *r, struct bytes want)
{
    char scratch[I64_TEXT_MAX];
    cr_assert_not_null(r);
    cr_assert(bytes_equal(record_string(r, scratch), want));
    cr_assert_eq(record_string_len(r), want.len);
}

#endif
