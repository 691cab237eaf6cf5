/* DEBUG DIGEST's two building blocks, so that two servers of any make can be compared by 20 bytes.
 *
 * Found by experiment against a real Redis. With zero = 20 zero bytes and be32 = four bytes, big-endian:
 *
 *   value    d = given; mix be32(Redis's type number); mix the content; xor "!!expire!!" when the key has an expiry
 *   key      d = zero; mix the key's bytes; then the value into the same d
 *   dataset  d = zero; for each database that is not empty: mix be32(its index), then xor every key's digest
 *
 * A string's content is its bytes, an integer's its decimal text. A list mixes its elements in order; a set xors each
 * member; a hash and a sorted set xor, for each pair, 20 bytes made from zero by mixing field and value, or member and
 * score as text; a stream mixes, for each entry, its id as "ms.seq" and then every field and value. DEBUG DIGEST-VALUE
 * is `value` over zero. */
#ifndef SLIPSTREAM_DATA_DIGEST_H
#define SLIPSTREAM_DATA_DIGEST_H

#include "server/base/bytes.h"
#include "server/data/value.h"

#define DIGEST_BYTES 20

void digest_xor(uint8_t digest[DIGEST_BYTES], struct bytes data); /* digest ^= SHA1(data): order does not matter */
/* digest = SHA1(digest ^ SHA1(data)): the order matters. */
void digest_mix(uint8_t digest[DIGEST_BYTES], struct bytes data);
void digest_mix_u32(uint8_t digest[DIGEST_BYTES], uint32_t number);       /* mixes be32(number) */
void digest_mix_type(uint8_t digest[DIGEST_BYTES], enum value_type type); /* mixes be32 of Redis's number of the type */

#endif
