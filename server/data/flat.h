/* Flat objects: values that are one block without an address in it, so that they may stand anywhere, in a record of the
 * keyspace for one. Listpacks and intsets are. */
#ifndef SLIPSTREAM_DATA_FLAT_H
#define SLIPSTREAM_DATA_FLAT_H

#include "server/base/alloc.h"
#include "server/base/prefetch.h"
#include "server/data/intset.h"
#include "server/data/listpack.h"
#include "server/data/value.h"

#define FLAT_SPARE_BYTES   64 /* room for the change that a copy is taken for */
#define FLAT_FETCHED_BYTES (3 * CACHE_LINE_BYTES)

/* 0: the object is not flat. */
static inline size_t flat_object_bytes(enum value_encoding encoding, const void *object)
{
    if (encoding == ENCODING_LISTPACK) return listpack_bytes(object);
    if (encoding == ENCODING_INTSET) return intset_bytes(object);
    return encoding == ENCODING_LISTPACK_TIMED ? listpack_bytes(object) : 0;
}

/* Most flat objects lie within a few lines. */
static inline void flat_object_prefetch(const void *object)
{
    prefetch_bytes(object, FLAT_FETCHED_BYTES);
}

/* A copy of its own (mem_free), with room to grow by so many bytes. */
static inline void *flat_object_copy(enum value_encoding encoding, const void *object, size_t spare_bytes)
{
    size_t bytes = flat_object_bytes(encoding, object);
    return memcpy(mem_alloc(bytes + spare_bytes), object, bytes);
}

/* May this value take the place of a listpack's element where that stands, even inside a record? */
static inline bool flat_value_fits(const uint8_t *element, struct packed_value value)
{
    struct packed_value was;
    return listpack_read(element, &was) == element + listpack_element_bytes(value);
}

/* Makes the object one's own, to be changed: one inside a record is copied. Returns where in it `place` is now; NULL
 * for NULL. */
static inline uint8_t *flat_object_own(enum value_encoding encoding, void **object, bool *inside, const uint8_t *place)
{
    const uint8_t *was = *object;
    if (*inside) *object = flat_object_copy(encoding, was, FLAT_SPARE_BYTES);
    *inside = false;
    return place ? (uint8_t *)*object + (place - was) : NULL;
}

#endif
