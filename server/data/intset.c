/* Intset. Server process, snapshot child, checker. */
#include "server/data/intset.h"

#include <endian.h>

#include "server/base/alloc.h"

static uint32_t header_word(const uint8_t *is, size_t offset)
{
    uint32_t word;
    memcpy(&word, is + offset, sizeof word);
    return le32toh(word);
}

static void set_header_word(uint8_t *is, size_t offset, size_t value)
{
    uint32_t word = htole32((uint32_t)value);
    memcpy(is + offset, &word, sizeof word);
}

static unsigned width_of(const uint8_t *is)
{
    return header_word(is, 0);
}

static unsigned width_for(int64_t value)
{
    if (value >= INT16_MIN && value <= INT16_MAX) return sizeof(int16_t);
    return value >= INT32_MIN && value <= INT32_MAX ? sizeof(int32_t) : sizeof(int64_t);
}

size_t intset_count(const uint8_t *is)
{
    return header_word(is, 4);
}

size_t intset_bytes(const uint8_t *is)
{
    return INTSET_HEADER_BYTES + intset_count(is) * width_of(is);
}

/* Copies of a fixed length are single instructions. */
static inline int64_t get(const uint8_t *is, unsigned width, size_t index)
{
    const uint8_t *place = is + INTSET_HEADER_BYTES + index * width;
    if (width == sizeof(uint16_t)) {
        uint16_t raw;
        memcpy(&raw, place, sizeof raw);
        return (int16_t)le16toh(raw);
    }
    if (width == sizeof(uint32_t)) {
        uint32_t raw;
        memcpy(&raw, place, sizeof raw);
        return (int32_t)le32toh(raw);
    }
    uint64_t raw;
    memcpy(&raw, place, sizeof raw);
    return (int64_t)le64toh(raw);
}

static void set(uint8_t *is, unsigned width, size_t index, int64_t value)
{
    uint64_t raw = htole64((uint64_t)value);
    memcpy(is + INTSET_HEADER_BYTES + index * width, &raw, width);
}

int64_t intset_get(const uint8_t *is, size_t index)
{
    return get(is, width_of(is), index);
}

uint8_t *intset_new(void)
{
    uint8_t *is = mem_alloc(INTSET_HEADER_BYTES);
    set_header_word(is, 0, sizeof(int16_t));
    set_header_word(is, 4, 0);
    return is;
}

void intset_free(uint8_t *is)
{
    mem_free(is);
}

uint8_t *intset_copy(const uint8_t *is)
{
    size_t bytes = intset_bytes(is);
    return memcpy(mem_alloc(bytes), is, bytes);
}

/* Index of the first member not below value. Sets are often filled in order, so the end is tried first. */
static size_t lower_bound(const uint8_t *is, int64_t value)
{
    unsigned width = width_of(is);
    size_t low = 0, high = intset_count(is);
    if (high && get(is, width, high - 1) < value) return high;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (get(is, width, middle) < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool member_at(const uint8_t *is, size_t index, int64_t value)
{
    return index < intset_count(is) && intset_get(is, index) == value;
}

bool intset_contains(const uint8_t *is, int64_t value)
{
    return member_at(is, lower_bound(is, value), value);
}

int64_t intset_random(const uint8_t *is, struct random_state *random)
{
    return intset_get(is, random_below(random, intset_count(is)));
}

static uint8_t *resize(uint8_t *is, unsigned width, size_t count)
{
    size_t bytes = INTSET_HEADER_BYTES + count * width;
    if (bytes > mem_size(is) || mem_size(is) > bytes * 2) is = mem_realloc(is, bytes);
    set_header_word(is, 0, width);
    set_header_word(is, 4, count);
    return is;
}

/* A value too wide for the members there are is below or above all of them. */
static uint8_t *widen_and_add(uint8_t *is, int64_t value)
{
    unsigned old_width = width_of(is), width = width_for(value);
    size_t count = intset_count(is), shift = value < 0;
    is = resize(is, width, count + 1);
    for (size_t i = count; i-- > 0;) set(is, width, i + shift, get(is, old_width, i));
    set(is, width, shift ? 0 : count, value);
    return is;
}

uint8_t *intset_add(uint8_t *is, int64_t value, bool *added)
{
    unsigned width = width_of(is);
    *added = true;
    if (width_for(value) > width) return widen_and_add(is, value);
    size_t count = intset_count(is), at = lower_bound(is, value);
    if (member_at(is, at, value)) {
        *added = false;
        return is;
    }
    is = resize(is, width, count + 1);
    uint8_t *place = is + INTSET_HEADER_BYTES + at * width;
    memmove(place + width, place, (count - at) * width);
    set(is, width, at, value);
    return is;
}

uint8_t *intset_remove(uint8_t *is, int64_t value, bool *removed)
{
    unsigned width = width_of(is);
    size_t count = intset_count(is), at = lower_bound(is, value);
    *removed = member_at(is, at, value);
    if (!*removed) return is;
    uint8_t *place = is + INTSET_HEADER_BYTES + at * width;
    memmove(place, place + width, (count - at - 1) * width);
    return resize(is, width, count - 1);
}

bool intset_is_framed(struct bytes bytes)
{
    if (bytes.len < INTSET_HEADER_BYTES) return false;
    unsigned width = width_of(bytes.ptr);
    if (width != sizeof(int16_t) && width != sizeof(int32_t) && width != sizeof(int64_t)) return false;
    return bytes.len - INTSET_HEADER_BYTES == (uint64_t)intset_count(bytes.ptr) * width;
}

bool intset_validate(struct bytes bytes)
{
    if (!intset_is_framed(bytes)) return false;
    const uint8_t *is = bytes.ptr;
    unsigned width = width_of(is);
    size_t count = intset_count(is);
    for (size_t i = 1; i < count; i++)
        if (get(is, width, i - 1) >= get(is, width, i)) return false;
    return true;
}
