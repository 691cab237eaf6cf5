/* Bits counted, searched and combined a word or a vector at a time. Server process. */
#include "server/data/bitmap.h"

#include "server/base/check.h"

/* --- counting --- */

static inline uint64_t load_word(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

static inline __attribute__((always_inline)) uint64_t count_words(const uint8_t *at, size_t len)
{
    uint64_t total[4] = {0}, tail = 0;
    for (; len >= 32; at += 32, len -= 32)
        for (int i = 0; i < 4; i++) total[i] += (uint64_t)__builtin_popcountll(load_word(at + 8 * i));
    for (; len >= 8; at += 8, len -= 8) total[0] += (uint64_t)__builtin_popcountll(load_word(at));
    memcpy(&tail, at, len);
    return total[0] + total[1] + total[2] + total[3] + (uint64_t)__builtin_popcountll(tail);
}

#ifdef __x86_64__
__attribute__((target("popcnt"))) static uint64_t count_by_instruction(const uint8_t *at, size_t len)
{
    return count_words(at, len);
}
#endif

static uint64_t count_bytes(struct bytes b)
{
    if (b.len == 0) return 0;
#ifdef __x86_64__
    if (__builtin_cpu_supports("popcnt")) return count_by_instruction(b.ptr, b.len);
#endif
    return count_words(b.ptr, b.len);
}

/* The bits of a byte from one of its bits on, or up to one. */
static inline uint8_t from_bit(uint64_t bit)
{
    return (uint8_t)(0xff >> (bit & 7));
}

static inline uint8_t up_to_bit(uint64_t bit)
{
    return (uint8_t)(0xff << (7 - (bit & 7)));
}

uint64_t bitmap_count_range(struct bytes b, struct bit_range range)
{
    uint64_t first = range.first / 8, last = range.last / 8;
    uint64_t total = count_bytes(bytes_make(b.ptr + first, last - first + 1));
    uint8_t before = (uint8_t)~from_bit(range.first) & b.ptr[first];
    uint8_t after = (uint8_t)~up_to_bit(range.last) & b.ptr[last];
    return total - (uint64_t)__builtin_popcount(before) - (uint64_t)__builtin_popcount(after);
}

/* --- searching --- */

int64_t bitmap_find(struct bytes b, struct bit_range range, bool bit)
{
    const uint64_t uniform = bit ? 0 : UINT64_MAX;
    uint64_t at = range.first / 8, last = range.last / 8;
    uint8_t wanted = from_bit(range.first); /* of the byte at hand: the bits inside the range */
    while (at <= last) {
        if (wanted == 0xff)
            while (last - at >= 8 && load_word(b.ptr + at) == uniform) at += 8;
        if (at == last) wanted &= up_to_bit(range.last);
        uint8_t found = (uint8_t)((b.ptr[at] ^ (uint8_t)uniform) & wanted);
        if (found) return (int64_t)(8 * at) + __builtin_clz(found) - 24;
        wanted = 0xff;
        at++;
    }
    return -1;
}

/* --- combining --- */

/* Sources are gone through a block at a time, so that the result's block stays in the cache. */
#define BLOCK_BYTES ((size_t)8 * 1024)

typedef uint64_t vector __attribute__((vector_size(32), aligned(1), may_alias));

#define COMBINE(out, in, len, operator)                                                                                \
    do {                                                                                                               \
        size_t i = 0;                                                                                                  \
        for (; i + sizeof(vector) <= (len); i += sizeof(vector))                                                       \
            *(vector *)((out) + i) operator##= *(const vector *)((in) + i);                                            \
        for (; i < (len); i++) (out)[i] operator##=(in)[i];                                                            \
    } while (0)

static void combine_block(enum bitmap_operation operation, uint8_t *out, const uint8_t *in, size_t len)
{
    switch (operation) {
    case BITMAP_AND: COMBINE(out, in, len, &); return;
    case BITMAP_OR: COMBINE(out, in, len, |); return;
    case BITMAP_XOR: COMBINE(out, in, len, ^); return;
    default: UNREACHABLE();
    }
}

/* The part of a source that falls into a block. */
static struct bytes part_of(struct bytes source, size_t at, size_t len)
{
    if (source.len <= at) return BYTES("");
    size_t rest = source.len - at;
    return bytes_make(source.ptr + at, rest < len ? rest : len);
}

static void combine_not(struct bytes source, uint8_t *out)
{
    static const uint8_t ones[BLOCK_BYTES] = {[0 ... BLOCK_BYTES - 1] = 0xff};
    for (size_t at = 0; at < source.len; at += BLOCK_BYTES) {
        struct bytes part = part_of(source, at, BLOCK_BYTES);
        memcpy(out + at, part.ptr, part.len);
        combine_block(BITMAP_XOR, out + at, ones, part.len);
    }
}

/* Those of one source and of another one are told apart from the bits of one alone. */
static void combine_one(const struct bytes *sources, size_t count, size_t at, uint8_t *out, size_t block)
{
    uint8_t several[BLOCK_BYTES] = {0};
    memset(out, 0, block);
    for (size_t i = 0; i < count; i++) {
        struct bytes part = part_of(sources[i], at, block);
        for (size_t b = 0; b < part.len; b++) several[b] |= out[b] & part.ptr[b];
        for (size_t b = 0; b < part.len; b++) out[b] |= part.ptr[b];
    }
    for (size_t b = 0; b < block; b++) out[b] &= (uint8_t)~several[b];
}

static void combine_with_first(enum bitmap_operation operation, const struct bytes *sources, size_t count, size_t at,
                               uint8_t *out, size_t block)
{
    uint8_t first[BLOCK_BYTES] = {0};
    struct bytes part = part_of(sources[0], at, block);
    memcpy(first, part.ptr, part.len);
    memset(out, 0, block);
    for (size_t i = 1; i < count; i++) {
        part = part_of(sources[i], at, block);
        for (size_t b = 0; b < part.len; b++) out[b] |= part.ptr[b];
    }
    for (size_t b = 0; b < block; b++) {
        uint8_t others = out[b];
        out[b] = (uint8_t)(operation == BITMAP_DIFF    ? first[b] & ~others
                           : operation == BITMAP_DIFF1 ? others & ~first[b]
                                                       : others & first[b]);
    }
}

void bitmap_combine(enum bitmap_operation operation, const struct bytes *sources, size_t count, uint8_t *out,
                    size_t len)
{
    if (operation == BITMAP_NOT) return combine_not(sources[0], out);
    for (size_t at = 0; at < len; at += BLOCK_BYTES) {
        size_t block = len - at < BLOCK_BYTES ? len - at : BLOCK_BYTES;
        if (operation == BITMAP_ONE) {
            combine_one(sources, count, at, out + at, block);
            continue;
        }
        if (operation > BITMAP_NOT) {
            combine_with_first(operation, sources, count, at, out + at, block);
            continue;
        }
        struct bytes part = part_of(sources[0], at, block);
        memcpy(out + at, part.ptr, part.len);
        memset(out + at + part.len, 0, block - part.len);
        for (size_t i = 1; i < count; i++) {
            part = part_of(sources[i], at, block);
            combine_block(operation, out + at, part.ptr, part.len);
            if (operation == BITMAP_AND) memset(out + at + part.len, 0, block - part.len);
        }
    }
}

/* --- numbers --- */

/* The up to nine bytes in which a number lies. */
struct number_place {
    uint8_t *first;
    size_t bytes;   /* 1 to 9 */
    unsigned shift; /* bits of the first byte that are not the number's */
};

static struct number_place number_place(const uint8_t *data, uint64_t at_bit, unsigned bits)
{
    unsigned shift = (unsigned)(at_bit % 8);
    return (struct number_place){(uint8_t *)data + at_bit / 8, (shift + bits + 7) / 8, shift};
}

static unsigned __int128 number_load(const struct number_place *p)
{
    unsigned __int128 wide = 0;
    for (size_t i = 0; i < p->bytes; i++) wide = wide << 8 | p->first[i];
    return wide;
}

uint64_t bitmap_get_number(const uint8_t *data, uint64_t at_bit, unsigned bits)
{
    struct number_place p = number_place(data, at_bit, bits);
    unsigned below = (unsigned)(8 * p.bytes) - p.shift - bits;
    return (uint64_t)(number_load(&p) >> below) & (UINT64_MAX >> (64 - bits));
}

void bitmap_set_number(uint8_t *data, uint64_t at_bit, unsigned bits, uint64_t number)
{
    struct number_place p = number_place(data, at_bit, bits);
    unsigned below = (unsigned)(8 * p.bytes) - p.shift - bits;
    uint64_t mask = UINT64_MAX >> (64 - bits);
    unsigned __int128 wide = number_load(&p) & ~((unsigned __int128)mask << below);
    wide |= (unsigned __int128)(number & mask) << below;
    for (size_t i = p.bytes; i-- > 0; wide >>= 8) p.first[i] = (uint8_t)wide;
}
