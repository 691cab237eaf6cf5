/* The payload of a hash's member in a table: its value behind the value's length. hash.c has the layout. */
#ifndef SLIPSTREAM_DATA_HASH_PAYLOAD_H
#define SLIPSTREAM_DATA_HASH_PAYLOAD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define HASH_LONG_VALUE 255

static inline size_t hash_payload_head(size_t len)
{
    return 1 + (len < HASH_LONG_VALUE ? 0 : sizeof(uint64_t));
}

static inline void hash_payload_write_head(uint8_t *payload, uint64_t len)
{
    payload[0] = len < HASH_LONG_VALUE ? (uint8_t)len : HASH_LONG_VALUE;
    if (len >= HASH_LONG_VALUE) memcpy(payload + 1, &len, sizeof len);
}

#endif
