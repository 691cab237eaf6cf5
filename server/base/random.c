/* Randomness: xoshiro256** (Blackman and Vigna) for sampling, seeded through splitmix64 as its authors advise, and the
 * kernel's generator where a guess would be a weakness. Any process. */
#include "server/base/random.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/random.h>

#include "server/base/check.h"

static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

void random_seed(struct random_state *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++) r->s[i] = splitmix64(&seed);
}

static inline uint64_t rotate_left(uint64_t x, int bits)
{
    return (x << bits) | (x >> (64 - bits));
}

uint64_t random_u64(struct random_state *r)
{
    uint64_t *s = r->s;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t random_below(struct random_state *r, uint64_t bound)
{
    CHECK(bound > 0);
    unsigned __int128 product = (unsigned __int128)random_u64(r) * bound;
    if ((uint64_t)product < bound) { /* Lemire: the few low products that would favour some results are drawn again */
        uint64_t uneven = -bound % bound;
        while ((uint64_t)product < uneven) product = (unsigned __int128)random_u64(r) * bound;
    }
    return (uint64_t)(product >> 64);
}

static struct random_state replayed;
static bool is_replayed;

void random_replay(uint64_t seed)
{
    random_seed(&replayed, seed);
    is_replayed = true;
}

static void replay(uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len; i++) out[i] = (uint8_t)(random_u64(&replayed) >> 56);
}

void random_from_kernel(void *out, size_t len)
{
    uint8_t *at = out;
    if (is_replayed) {
        replay(out, len);
        return;
    }
    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);
        CHECK(got > 0 || errno == EINTR);
        if (got < 0) continue;
        at += got;
        len -= (size_t)got;
    }
}

void random_hex(char *out, size_t digits)
{
    random_from_kernel(out, digits);
    for (size_t i = 0; i < digits; i++) out[i] = "0123456789abcdef"[out[i] & 15];
}
