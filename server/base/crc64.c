/* CRC-64 (Jones) for RDB files and DUMP payloads: a checksum over gigabytes, so speed counts. Server process, snapshot
 * child, checker.
 *
 * Eight tables take eight bytes a step. Where the processor multiplies without carries, four lanes of 16 bytes are
 * folded instead: a lane is a polynomial of degree 127, its two halves times (x^n mod P) stand n bits further on, and
 * only the last 16 bytes go through the tables. Bits are reflected: the lowest bit of the first byte is the highest
 * power. All tables and factors are computed from the polynomial at start. */
#include "server/base/crc64.h"

#include <stdbool.h>
#include <string.h>

#ifdef __x86_64__
#include <immintrin.h>
#endif

#define POLYNOMIAL_REFLECTED 0x95ac9329ac4bc9b5 /* 0xad93d23594c935a9, bits reversed */

static uint64_t tables[8][256];

static uint64_t times_x(uint64_t p)
{
    return (p >> 1) ^ (p & 1 ? POLYNOMIAL_REFLECTED : 0);
}

static uint64_t crc_by_tables(uint64_t crc, const uint8_t *at, size_t len)
{
    for (; len >= 8; at += 8, len -= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        crc ^= word;
        crc = tables[7][crc & 0xff] ^ tables[6][(crc >> 8) & 0xff] ^ tables[5][(crc >> 16) & 0xff] ^
              tables[4][(crc >> 24) & 0xff] ^ tables[3][(crc >> 32) & 0xff] ^ tables[2][(crc >> 40) & 0xff] ^
              tables[1][(crc >> 48) & 0xff] ^ tables[0][crc >> 56];
    }
    for (; len > 0; at++, len--) crc = tables[0][(crc ^ *at) & 0xff] ^ (crc >> 8);
    return crc;
}

static void init_tables(void)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        uint64_t crc = byte;
        for (int bit = 0; bit < 8; bit++) crc = times_x(crc);
        tables[0][byte] = crc;
    }
    for (unsigned byte = 0; byte < 256; byte++) {
        for (int t = 1; t < 8; t++) {
            uint64_t before = tables[t - 1][byte];
            tables[t][byte] = tables[0][before & 0xff] ^ (before >> 8);
        }
    }
}

#ifdef __x86_64__

#define FOLD_LEAST_BYTES 256 /* below this the tables are as fast */

static bool can_fold;
static uint64_t fold_512[2], fold_128[2]; /* factors of the earlier and the later half of a lane */

/* x^n mod P. A carry-less product of reflected operands comes out one power too low: ask for n - 1. */
static uint64_t power_of_x(unsigned n)
{
    uint64_t p = (uint64_t)1 << 63; /* x^0 */
    for (; n > 0; n--) p = times_x(p);
    return p;
}

static void init_folding(void)
{
    can_fold = __builtin_cpu_supports("pclmul");
    fold_512[0] = power_of_x(512 + 64 - 1);
    fold_512[1] = power_of_x(512 - 1);
    fold_128[0] = power_of_x(128 + 64 - 1);
    fold_128[1] = power_of_x(128 - 1);
}

__attribute__((target("pclmul"))) static inline __m128i fold(__m128i lane, __m128i factors, __m128i next)
{
    __m128i earlier = _mm_clmulepi64_si128(lane, factors, 0x00);
    __m128i later = _mm_clmulepi64_si128(lane, factors, 0x11);
    return _mm_xor_si128(_mm_xor_si128(earlier, later), next);
}

/* len is at least 64. */
__attribute__((target("pclmul"))) static uint64_t crc_by_folding(uint64_t crc, const uint8_t *at, size_t len)
{
    const __m128i by_512 = _mm_loadu_si128((const __m128i *)fold_512);
    const __m128i by_128 = _mm_loadu_si128((const __m128i *)fold_128);
    __m128i lanes[4];
    for (int i = 0; i < 4; i++) lanes[i] = _mm_loadu_si128((const __m128i *)at + i);
    lanes[0] = _mm_xor_si128(lanes[0], _mm_cvtsi64_si128((long long)crc));
    for (at += 64, len -= 64; len >= 64; at += 64, len -= 64) {
        for (int i = 0; i < 4; i++) lanes[i] = fold(lanes[i], by_512, _mm_loadu_si128((const __m128i *)at + i));
    }
    __m128i lane = lanes[0];
    for (int i = 1; i < 4; i++) lane = fold(lane, by_128, lanes[i]);
    uint8_t rest[16];
    _mm_storeu_si128((__m128i *)rest, lane);
    return crc_by_tables(crc_by_tables(0, rest, sizeof(rest)), at, len);
}

#endif

__attribute__((constructor)) static void crc64_init(void)
{
    init_tables();
#ifdef __x86_64__
    init_folding();
#endif
}

uint64_t crc64(uint64_t crc, const void *data, size_t len)
{
#ifdef __x86_64__
    if (can_fold && len >= FOLD_LEAST_BYTES) return crc_by_folding(crc, data, len);
#endif
    return crc_by_tables(crc, data, len);
}
