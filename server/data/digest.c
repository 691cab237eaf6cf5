/* SHA-1 mixing for DEBUG DIGEST. Server process only; never on a command's fast path. */
#include "server/data/digest.h"

#include <sha1.h>

static void sha1(struct bytes data, uint8_t out[DIGEST_BYTES])
{
    SHA1_CTX context;
    SHA1Init(&context);
    SHA1Update(&context, data.ptr, data.len);
    SHA1Final(out, &context);
}

void digest_xor(uint8_t digest[DIGEST_BYTES], struct bytes data)
{
    uint8_t hash[DIGEST_BYTES];
    sha1(data, hash);
    for (int i = 0; i < DIGEST_BYTES; i++) digest[i] ^= hash[i];
}

void digest_mix(uint8_t digest[DIGEST_BYTES], struct bytes data)
{
    uint8_t hash[DIGEST_BYTES];
    digest_xor(digest, data);
    sha1(bytes_make(digest, DIGEST_BYTES), hash);
    memcpy(digest, hash, DIGEST_BYTES);
}

void digest_mix_u32(uint8_t digest[DIGEST_BYTES], uint32_t number)
{
    uint8_t big_endian[4] = {number >> 24, number >> 16, number >> 8, number};
    digest_mix(digest, bytes_make(big_endian, sizeof(big_endian)));
}

void digest_mix_type(uint8_t digest[DIGEST_BYTES], enum value_type type)
{
    /* Redis numbers modules before streams; every other type stands where ours does. */
    static const uint32_t redis_numbers[VALUE_TYPES] = {
        [TYPE_STRING] = 0, [TYPE_LIST] = 1,   [TYPE_SET] = 2,    [TYPE_ZSET] = 3,
        [TYPE_HASH] = 4,   [TYPE_MODULE] = 5, [TYPE_STREAM] = 6,
    };
    digest_mix_u32(digest, redis_numbers[type]);
}
