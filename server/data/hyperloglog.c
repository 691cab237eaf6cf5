/* HyperLogLog's two encodings, and the estimate. Server process. */
#include "server/data/hyperloglog.h"

#include <endian.h>
#include <math.h>

#include "server/base/check.h"

#define MAGIC      "HYLL"
#define HASH_SEED  0xadc83b19ULL
#define INDEX_BITS 14
/* Of a hash, so many bits are left for the run of zeros: a register is at most one more. */
#define RUN_BITS     (64 - INDEX_BITS)
#define REGISTER_MAX (RUN_BITS + 1)

enum encoding { ENCODING_DENSE, ENCODING_SPARSE };

#define ENCODING_AT    4
#define COUNT_AT       8
#define OUT_OF_DATE    0x80 /* in the count's last byte */
#define REGISTERS_AT   HLL_HEADER_BYTES
#define ZERO_RUN_MOST  64
#define VALUE_RUN_MOST 4
#define VALUE_MOST     32 /* that a sparse one can hold */

/* --- the header --- */

bool hll_recognized(struct bytes b)
{
    if (b.len < HLL_HEADER_BYTES || memcmp(b.ptr, MAGIC, strlen(MAGIC)) != 0) return false;
    return b.ptr[ENCODING_AT] == ENCODING_SPARSE || (b.ptr[ENCODING_AT] == ENCODING_DENSE && b.len == HLL_DENSE_BYTES);
}

bool hll_is_dense(struct bytes b)
{
    return b.ptr[ENCODING_AT] == ENCODING_DENSE;
}

bool hll_cached_count(struct bytes b, uint64_t *count)
{
    uint64_t stored;
    memcpy(&stored, b.ptr + COUNT_AT, sizeof stored);
    *count = le64toh(stored);
    return !(b.ptr[COUNT_AT + 7] & OUT_OF_DATE);
}

void hll_cache_count(uint8_t *data, uint64_t count)
{
    uint64_t stored = htole64(count);
    memcpy(data + COUNT_AT, &stored, sizeof stored);
}

void hll_forget_count(uint8_t *data)
{
    data[COUNT_AT + 7] |= OUT_OF_DATE;
}

static void write_header(uint8_t *data, enum encoding encoding)
{
    memset(data, 0, HLL_HEADER_BYTES);
    memcpy(data, MAGIC, strlen(MAGIC));
    data[ENCODING_AT] = (uint8_t)encoding;
}

/* --- runs of a sparse one --- */

/* false: there is no whole run at `at`. */
static inline bool read_run(const uint8_t *at, const uint8_t *end, struct hll_run *run)
{
    if (at >= end) return false;
    uint8_t head = *at;
    if (head & 0x80) {
        *run = (struct hll_run){HLL_RUN_VALUE, (head >> 2 & 31) + 1u, (head & 3) + 1u, 1};
        return true;
    }
    if (!(head & 0x40)) {
        *run = (struct hll_run){HLL_RUN_ZERO, 0, (head & 63) + 1u, 1};
        return true;
    }
    if (end - at < 2) return false;
    *run = (struct hll_run){HLL_RUN_LONG_ZERO, 0, ((head & 63u) << 8 | at[1]) + 1u, 2};
    return true;
}

/* The shortest form; a value's run has at most VALUE_RUN_MOST registers. Returns the address behind it. */
static uint8_t *write_run(uint8_t *at, unsigned value, unsigned length)
{
    if (value) {
        *at++ = (uint8_t)(0x80 | (value - 1) << 2 | (length - 1));
    } else if (length <= ZERO_RUN_MOST) {
        *at++ = (uint8_t)(length - 1);
    } else {
        *at++ = (uint8_t)(0x40 | (length - 1) >> 8);
        *at++ = (uint8_t)(length - 1);
    }
    return at;
}

bool hll_walk_runs(struct bytes sparse, void (*visit)(void *arg, const struct hll_run *run), void *arg)
{
    const uint8_t *at = sparse.ptr + REGISTERS_AT, *end = sparse.ptr + sparse.len;
    struct hll_run run;
    unsigned registers = 0;
    while (read_run(at, end, &run)) {
        registers += run.length;
        if (registers > HLL_REGISTERS) return false;
        visit(arg, &run);
        at += run.bytes;
    }
    return at == end && registers == HLL_REGISTERS;
}

/* --- registers of a dense one --- */

static unsigned dense_get(const uint8_t *registers, unsigned index)
{
    const uint8_t *at = registers + index * 6 / 8;
    unsigned shift = index * 6 % 8;
    unsigned pair = at[0] | (shift > 2 ? (unsigned)at[1] << 8 : 0);
    return pair >> shift & 63;
}

static void dense_set(uint8_t *registers, unsigned index, unsigned value)
{
    uint8_t *at = registers + index * 6 / 8;
    unsigned shift = index * 6 % 8;
    at[0] = (uint8_t)((at[0] & ~(63u << shift)) | value << shift);
    if (shift > 2) at[1] = (uint8_t)((at[1] & ~(63u >> (8 - shift))) | value >> (8 - shift));
}

static enum hll_outcome dense_raise(struct hll *h, unsigned index, unsigned value)
{
    uint8_t *registers = h->data + REGISTERS_AT;
    if (dense_get(registers, index) >= value) return HLL_SAME;
    dense_set(registers, index, value);
    return HLL_CHANGED;
}

struct unpacking {
    uint8_t *registers; /* dense */
    unsigned index;
};

static void unpack_run(void *arg, const struct hll_run *run)
{
    struct unpacking *u = arg;
    for (unsigned i = 0; run->value && i < run->length; i++) dense_set(u->registers, u->index + i, run->value);
    u->index += run->length;
}

bool hll_make_dense(struct hll *h)
{
    uint8_t dense[HLL_DENSE_BYTES] = {0};
    struct unpacking u = {.registers = dense + REGISTERS_AT};
    if (hll_is_dense(bytes_make(h->data, h->len))) return true;
    if (!hll_walk_runs(bytes_make(h->data, h->len), unpack_run, &u)) return false;
    memcpy(dense, h->data, HLL_HEADER_BYTES);
    dense[ENCODING_AT] = ENCODING_DENSE;
    memcpy(h->data, dense, HLL_DENSE_BYTES);
    h->len = HLL_DENSE_BYTES;
    return true;
}

/* --- changing a sparse one --- */

static enum hll_outcome raise_as_dense(struct hll *h, unsigned index, unsigned value)
{
    return hll_make_dense(h) ? dense_raise(h, index, value) : HLL_BROKEN;
}

/* The run that holds a register. */
struct found_run {
    struct hll_run run;
    uint8_t *at, *previous; /* previous: NULL for the first */
    unsigned first;         /* its first register */
};

static bool find_run(const struct hll *h, unsigned index, struct found_run *found)
{
    uint8_t *at = h->data + REGISTERS_AT, *end = h->data + h->len;
    found->previous = NULL;
    found->first = 0;
    while (read_run(at, end, &found->run)) {
        found->at = at;
        if (index < found->first + found->run.length) return true;
        found->first += found->run.length;
        found->previous = at;
        at += found->run.bytes;
    }
    return false;
}

/* Joins neighbouring runs of the same value, where one can hold both. A change can only have made such neighbours close
 * by, so only a few runs are looked at. */
static void join_runs(struct hll *h, uint8_t *at)
{
    uint8_t *end = h->data + h->len;
    struct hll_run run, next;
    for (int looked_at = 0; looked_at < 5 && read_run(at, end, &run); looked_at++) {
        bool joins = run.value && read_run(at + 1, end, &next) && next.value == run.value &&
                     run.length + next.length <= VALUE_RUN_MOST;
        if (!joins) {
            at += run.bytes;
            continue;
        }
        write_run(at + 1, run.value, run.length + next.length);
        memmove(at, at + 1, (size_t)(end - at - 1));
        end--;
    }
    h->len = (size_t)(end - h->data);
}

/* Puts the runs before, at and behind the register into the place of the one that held it. false: too long. */
static bool split_run(struct hll *h, const struct found_run *found, unsigned index, unsigned value,
                      uint64_t sparse_max_bytes)
{
    uint8_t parts[5], *part = parts;
    unsigned before = index - found->first, after = found->run.length - before - 1;
    if (before) part = write_run(part, found->run.value, before);
    part = write_run(part, value, 1);
    if (after) part = write_run(part, found->run.value, after);
    size_t len = (size_t)(part - parts), grown_len = h->len + len - found->run.bytes;
    if (grown_len > h->len && (grown_len > sparse_max_bytes || grown_len > HLL_ROOM_BYTES)) return false;
    uint8_t *behind = found->at + found->run.bytes;
    memmove(found->at + len, behind, (size_t)(h->data + h->len - behind));
    memcpy(found->at, parts, len);
    h->len = grown_len;
    return true;
}

static enum hll_outcome sparse_raise(struct hll *h, unsigned index, unsigned value, uint64_t sparse_max_bytes)
{
    struct found_run found;
    if (value > VALUE_MOST) return raise_as_dense(h, index, value);
    if (!find_run(h, index, &found)) return HLL_BROKEN;
    if (found.run.value >= value) return HLL_SAME;
    if (!split_run(h, &found, index, value, sparse_max_bytes)) return raise_as_dense(h, index, value);
    join_runs(h, found.previous ? found.previous : h->data + REGISTERS_AT);
    return HLL_CHANGED;
}

/* --- the whole --- */

void hll_init(struct hll *h)
{
    write_header(h->data, ENCODING_SPARSE);
    h->len = (size_t)(write_run(h->data + REGISTERS_AT, 0, HLL_REGISTERS) - h->data);
}

enum hll_outcome hll_raise(struct hll *h, unsigned index, unsigned value, uint64_t sparse_max_bytes)
{
    CHECK(index < HLL_REGISTERS && value <= REGISTER_MAX);
    if (hll_is_dense(bytes_make(h->data, h->len))) return dense_raise(h, index, value);
    return sparse_raise(h, index, value, sparse_max_bytes);
}

static uint64_t murmur_64a(struct bytes b)
{
    const uint64_t m = 0xc6a4a7935bd1e995;
    uint64_t hash = HASH_SEED ^ b.len * m;
    const uint8_t *at = b.ptr;
    for (size_t words = b.len / 8; words > 0; words--, at += 8) {
        uint64_t k;
        memcpy(&k, at, sizeof k);
        k = le64toh(k) * m;
        hash = (hash ^ (k ^ k >> 47) * m) * m;
    }
    uint64_t rest = 0;
    for (size_t i = b.len % 8; i-- > 0;) rest = rest << 8 | at[i];
    if (b.len % 8) hash = (hash ^ rest) * m;
    hash = (hash ^ hash >> 47) * m;
    return hash ^ hash >> 47;
}

enum hll_outcome hll_add(struct hll *h, struct bytes element, uint64_t sparse_max_bytes)
{
    uint64_t hash = murmur_64a(element);
    unsigned index = hash & (HLL_REGISTERS - 1);
    uint64_t above = hash >> INDEX_BITS | (uint64_t)1 << RUN_BITS;
    return hll_raise(h, index, (unsigned)__builtin_ctzll(above) + 1, sparse_max_bytes);
}

/* --- reading all registers --- */

struct merging {
    uint8_t *registers; /* one a byte */
    unsigned index;
};

static void merge_run(void *arg, const struct hll_run *run)
{
    struct merging *m = arg;
    for (unsigned i = 0; run->value && i < run->length; i++) {
        uint8_t *one = &m->registers[m->index + i];
        if (*one < run->value) *one = (uint8_t)run->value;
    }
    m->index += run->length;
}

/* Eight registers stand in six bytes. */
static void merge_dense(uint8_t *registers, const uint8_t *packed)
{
    for (unsigned i = 0; i < HLL_REGISTERS; i += 8, packed += 6) {
        uint64_t group = 0;
        memcpy(&group, packed, 6);
        group = le64toh(group);
        for (unsigned k = 0; k < 8; k++, group >>= 6) {
            uint8_t value = group & 63;
            if (registers[i + k] < value) registers[i + k] = value;
        }
    }
}

bool hll_merge(uint8_t registers[HLL_REGISTERS], struct bytes b)
{
    struct merging m = {.registers = registers};
    if (!hll_is_dense(b)) return hll_walk_runs(b, merge_run, &m);
    merge_dense(registers, b.ptr + REGISTERS_AT);
    return true;
}

/* --- the estimate: Ertl's algorithm 6, his names --- */

static double sigma(double x)
{
    if (x == 1) return INFINITY;
    double z = x, y = 1, before;
    do {
        x *= x;
        before = z;
        z += x * y;
        y += y;
    } while (z != before);
    return z;
}

static double tau(double x)
{
    if (x == 0 || x == 1) return 0;
    double z = 1 - x, y = 1, before;
    do {
        x = sqrt(x);
        before = z;
        y *= 0.5;
        z -= (1 - x) * (1 - x) * y;
    } while (z != before);
    return z / 3;
}

uint64_t hll_estimate(const uint8_t registers[HLL_REGISTERS])
{
    static const double alpha = 0.721347520444481703680; /* 1 / (2 ln 2) */
    const double m = HLL_REGISTERS;
    unsigned multiplicity[64] = {0};
    for (unsigned i = 0; i < HLL_REGISTERS; i++) multiplicity[registers[i] & 63]++;
    double z = m * tau((m - multiplicity[REGISTER_MAX]) / m);
    for (unsigned k = RUN_BITS; k >= 1; k--) {
        z += multiplicity[k];
        z *= 0.5;
    }
    z += m * sigma(multiplicity[0] / m);
    return (uint64_t)llround(alpha * m * m / z);
}
