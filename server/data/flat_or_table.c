/* The operations that hashes and sets share. Server process; the snapshot child walks their tables. */
#include "server/data/flat_or_table.h"

void *flat_or_table_new_table(size_t members)
{
    struct member_table *t = mem_alloc(sizeof *t);
    member_table_init(t);
    member_table_reserve(t, members);
    return t;
}

void flat_or_table_free(void *object, enum value_encoding encoding)
{
    if (encoding == ENCODING_HASHTABLE) member_table_free(object);
    mem_free(object);
}

void *flat_or_table_copy(const void *object, enum value_encoding encoding,
                         size_t (*payload_bytes)(const struct member *m))
{
    if (encoding != ENCODING_HASHTABLE) return flat_object_copy(encoding, object, 0);
    const struct member_table *from = object;
    struct member_table *copy = flat_or_table_new_table(from->count);
    struct member_walk w;
    const struct member *m;
    member_walk_start(&w, from);
    while ((m = member_walk_next(&w))) {
        struct bytes key = member_key(m);
        size_t payload = payload_bytes(m);
        memcpy(member_payload(member_table_insert(copy, member_hash(key), key, payload)), member_payload(m), payload);
    }
    return copy;
}

size_t flat_or_table_memory(const void *object, enum value_encoding encoding, size_t samples)
{
    return mem_size(object) + (encoding == ENCODING_HASHTABLE ? member_table_memory(object, samples) : 0);
}

size_t flat_or_table_free_effort(const void *object, enum value_encoding encoding)
{
    return encoding == ENCODING_HASHTABLE ? ((const struct member_table *)object)->count : 1;
}

bool flat_or_table_prefetch(const void *object, enum value_encoding encoding, uint64_t hash, unsigned step)
{
    if (encoding == ENCODING_HASHTABLE) return member_table_prefetch(object, hash, step);
    flat_object_prefetch(object);
    return false;
}
