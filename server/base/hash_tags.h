/* The tags of a hash table's bucket: one byte of each slot's hash, all compared at once. Any process.
 *
 * Both hash tables, the keyspace's and the members', keep their buckets so: sixteen aligned bytes begin with the tags
 * and go on with whatever the bucket keeps beside them. Tag 0 marks a slot that holds no entry. */
#ifndef SLIPSTREAM_BASE_HASH_TAGS_H
#define SLIPSTREAM_BASE_HASH_TAGS_H

#include <stdint.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* 8 bits of the hash that no index uses; never 0. */
static inline uint8_t hash_tag(uint64_t hash)
{
    uint8_t tag = (uint8_t)hash;
    return tag ? tag : 1;
}

/* Bit i: tags[i] is `tag`, of the first `count`. */
static inline unsigned hash_tags_match(const uint8_t *tags, unsigned count, uint8_t tag)
{
#ifdef __SSE2__
    /* The load takes the tags and what stands behind them; the mask drops what that compares to. */
    __m128i equal = _mm_cmpeq_epi8(_mm_load_si128((const __m128i *)(const void *)tags), _mm_set1_epi8((char)tag));
    return (unsigned)_mm_movemask_epi8(equal) & ((1u << count) - 1);
#else
    unsigned mask = 0;
    for (unsigned i = 0; i < count; i++) mask |= (unsigned)(tags[i] == tag) << i;
    return mask;
#endif
}

#endif
