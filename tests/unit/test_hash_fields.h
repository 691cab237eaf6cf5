/* Fields and values that the tests of hashes make of numbers. */
#ifndef SLIPSTREAM_TEST_HASH_FIELDS_H
#define SLIPSTREAM_TEST_HASH_FIELDS_H

#include "server/base/bytes.h"

#include <stdio.h>
#include <string.h>

/* Every fifth field is an integer to a listpack. */
static inline struct bytes field_of(unsigned i, char room[32])
{
    return bytes_make(room, (size_t)snprintf(room, 32, i % 5 ? "field:%u" : "%u", i));
}

/* Some are long enough that a table is needed, and for the long form of a member's payload. */
static inline struct bytes value_of(int value, char room[400])
{
    size_t len = (size_t)snprintf(room, 400, "%d", value);
    if (value % 1000 == 999) {
        memset(room + len, 'v', 300);
        len += 300;
    }
    return bytes_make(room, len);
}

#endif
