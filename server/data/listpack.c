/* Listpack. Server process, snapshot child, checker.
 *
 * Every change is one splice: so many bytes at an offset are replaced by room for others. Spare room is what the
 * allocator's size class leaves, so a small value costs no byte more than it needs, and growing element by element
 * still copies only when a class is full. */
#include "server/data/listpack.h"

#include "server/base/alloc.h"
#include "server/base/check.h"

#define SPARE_MOST_BYTES 128 /* spare room that is not worth giving back, besides as much as is in use */

#define WRITE_MARGIN_BYTES 6 /* behind an element's body: its length at most, and the end */

enum head {
    HEAD_INT7 = 0x00,
    HEAD_STRING6 = 0x80,
    HEAD_INT13 = 0xc0,
    HEAD_STRING12 = 0xe0,
    HEAD_STRING32 = 0xf0,
    HEAD_INT16 = 0xf1,
    HEAD_INT24 = 0xf2,
    HEAD_INT32 = 0xf3,
    HEAD_INT64 = 0xf4,
};

/* --- header --- */

static void set_total(uint8_t *lp, size_t total)
{
    CHECK(total <= UINT32_MAX);
    uint32_t stored = htole32((uint32_t)total);
    memcpy(lp, &stored, sizeof stored);
}

static size_t stored_count(const uint8_t *lp)
{
    return (size_t)lp[4] | (size_t)lp[5] << 8;
}

static void set_count(uint8_t *lp, size_t count)
{
    if (count > LISTPACK_COUNT_UNKNOWN) count = LISTPACK_COUNT_UNKNOWN;
    lp[4] = (uint8_t)count;
    lp[5] = (uint8_t)(count >> 8);
}

static void add_to_count(uint8_t *lp, ptrdiff_t delta)
{
    size_t count = stored_count(lp);
    if (count != LISTPACK_COUNT_UNKNOWN) set_count(lp, count + (size_t)delta);
}

/* --- reading an element --- */

/* The numbers at which `back` grows by a byte are one less than it could hold: that is how Redis writes it. */
static inline size_t back_bytes(size_t body)
{
    if (likely(body <= 127)) return 1;
    if (body < (1 << 14) - 1) return 2;
    if (body < (1 << 21) - 1) return 3;
    if (body < (1 << 28) - 1) return 4;
    return 5;
}

static inline int64_t read_integer(const uint8_t *p, unsigned bytes)
{
    uint64_t raw = 0;
    memcpy(&raw, p, bytes);
    unsigned unused_bits = 64 - bytes * 8;
    return (int64_t)(le64toh(raw) << unused_bits) >> unused_bits;
}

static inline size_t string_len_12(const uint8_t *p)
{
    return (size_t)(p[0] & 15) << 8 | p[1];
}

static inline size_t string_len_32(const uint8_t *p)
{
    uint32_t len;
    memcpy(&len, p + 1, sizeof len);
    return le32toh(len);
}

/* Reads head and data; returns how many bytes they take. */
static inline size_t read_body(const uint8_t *p, struct packed_value *out)
{
    uint8_t head = p[0];
    if (head < HEAD_STRING6) {
        *out = packed_integer(head);
        return 1;
    }
    if (head < HEAD_INT13) {
        *out = packed_string(p + 1, head & 63);
        return 1 + out->len;
    }
    if (head < HEAD_STRING12) {
        int64_t raw = (int64_t)(head & 31) << 8 | p[1];
        *out = packed_integer(raw < 4096 ? raw : raw - 8192);
        return 2;
    }
    if (head < HEAD_STRING32) {
        *out = packed_string(p + 2, string_len_12(p));
        return 2 + out->len;
    }
    switch (head) {
    case HEAD_STRING32: *out = packed_string(p + 5, string_len_32(p)); return 5 + out->len;
    case HEAD_INT16: *out = packed_integer(read_integer(p + 1, 2)); return 3;
    case HEAD_INT24: *out = packed_integer(read_integer(p + 1, 3)); return 4;
    case HEAD_INT32: *out = packed_integer(read_integer(p + 1, 4)); return 5;
    default: *out = packed_integer(read_integer(p + 1, 8)); return 9;
    }
}

/* The same without the value: head and data, and the whole element. */
static inline size_t body_bytes(const uint8_t *p)
{
    struct packed_value ignored;
    return read_body(p, &ignored);
}

static inline size_t element_bytes_at(const uint8_t *p)
{
    size_t body = body_bytes(p);
    return body + back_bytes(body);
}

const uint8_t *listpack_read(const uint8_t *element, struct packed_value *out)
{
    size_t body = read_body(element, out);
    return element + body + back_bytes(body);
}

struct packed_value listpack_get(const uint8_t *element)
{
    struct packed_value value;
    read_body(element, &value);
    return value;
}

/* --- walking --- */

static inline uint8_t *writable(const uint8_t *p)
{
    return (uint8_t *)(uintptr_t)p;
}

static inline const uint8_t *end_of(const uint8_t *lp)
{
    return lp + listpack_bytes(lp) - 1;
}

/* From the address behind an element back to it. */
static const uint8_t *step_back(const uint8_t *p)
{
    size_t body = 0;
    unsigned shift = 0;
    const uint8_t *at = p;
    do {
        body |= (size_t)(*--at & 127) << shift;
        shift += 7;
    } while (*at & 128);
    return at - body;
}

uint8_t *listpack_first(const uint8_t *lp)
{
    return lp[LISTPACK_HEADER_BYTES] == LISTPACK_END ? NULL : writable(lp + LISTPACK_HEADER_BYTES);
}

uint8_t *listpack_last(const uint8_t *lp)
{
    return listpack_prev(lp, end_of(lp));
}

uint8_t *listpack_next(const uint8_t *lp, const uint8_t *element)
{
    (void)lp;
    const uint8_t *next = element + element_bytes_at(element);
    return *next == LISTPACK_END ? NULL : writable(next);
}

uint8_t *listpack_prev(const uint8_t *lp, const uint8_t *element)
{
    return element == lp + LISTPACK_HEADER_BYTES ? NULL : writable(step_back(element));
}

static uint8_t *seek_forward(const uint8_t *lp, size_t index)
{
    const uint8_t *p = lp + LISTPACK_HEADER_BYTES;
    for (; *p != LISTPACK_END; p += element_bytes_at(p))
        if (index-- == 0) return writable(p);
    return NULL;
}

static uint8_t *seek_backward(const uint8_t *lp, size_t from_end) /* 0: the last */
{
    const uint8_t *first = lp + LISTPACK_HEADER_BYTES, *p = end_of(lp);
    while (p != first) {
        p = step_back(p);
        if (from_end-- == 0) return writable(p);
    }
    return NULL;
}

uint8_t *listpack_seek(const uint8_t *lp, int64_t index)
{
    size_t count = stored_count(lp);
    if (count == LISTPACK_COUNT_UNKNOWN)
        return index >= 0 ? seek_forward(lp, (size_t)index) : seek_backward(lp, (size_t)(-index - 1));
    if (index < 0) index += (int64_t)count;
    if (index < 0 || index >= (int64_t)count) return NULL;
    size_t from_start = (size_t)index, from_end = count - 1 - from_start;
    return from_start <= from_end ? seek_forward(lp, from_start) : seek_backward(lp, from_end);
}

size_t listpack_length(const uint8_t *lp)
{
    size_t count = stored_count(lp);
    if (likely(count != LISTPACK_COUNT_UNKNOWN)) return count;
    count = 0;
    for (const uint8_t *p = lp + LISTPACK_HEADER_BYTES; *p != LISTPACK_END; p += element_bytes_at(p)) count++;
    return count;
}

/* The last eight bytes of a text as one word, or all of a shorter one. The word may begin up to seven bytes before the
 * text: in a listpack a header and the element's head stand there. */
static inline uint64_t tail_word(const uint8_t *text, size_t len)
{
    uint64_t word;
    memcpy(&word, text + len - sizeof word, sizeof word);
    return len >= sizeof word ? word : le64toh(word) >> 8 * (sizeof word - len);
}

/* A string that stands behind a head of one byte. Names that are alike are alike at their beginning mostly, so it is
 * the end that is compared first. */
static const uint8_t *find_short(const uint8_t *from, const uint8_t *text, size_t len, unsigned skip)
{
    uint8_t room[sizeof(uint64_t) + 64] = {0};
    uint8_t head = (uint8_t)(HEAD_STRING6 | len);
    memcpy(room + sizeof(uint64_t), text, len);
    uint64_t tail = tail_word(room + sizeof(uint64_t), len);
    size_t rest = len > sizeof tail ? len - sizeof tail : 0;
    for (const uint8_t *p = from; *p != LISTPACK_END;) {
        if (*p == head && tail_word(p + 1, len) == tail && (!rest || memcmp(p + 1, text, rest) == 0)) return p;
        p += element_bytes_at(p);
        for (unsigned i = 0; i < skip && *p != LISTPACK_END; i++) p += element_bytes_at(p);
    }
    return NULL;
}

bool listpack_string_is_shortest(const struct packed_value *string)
{
    if (string->len < 64) return string->ptr[-1] == (HEAD_STRING6 | string->len);
    return true;
}

uint8_t *listpack_find(const uint8_t *lp, const uint8_t *from, struct packed_value value, unsigned skip)
{
    (void)lp;
    if (!from) return NULL;
    if (value.ptr && value.len > 0 && value.len < 64) return writable(find_short(from, value.ptr, value.len, skip));
    for (const uint8_t *p = from; *p != LISTPACK_END;) {
        struct packed_value one;
        const uint8_t *next = listpack_read(p, &one);
        if (packed_equal(&one, &value)) return writable(p);
        for (unsigned i = 0; i < skip && *next != LISTPACK_END; i++) next += element_bytes_at(next);
        p = next;
    }
    return NULL;
}

size_t listpack_walk(const uint8_t *element, size_t most, void (*visit)(void *context, struct packed_value value),
                     void *context)
{
    size_t count = 0;
    for (const uint8_t *p = element; count < most && *p != LISTPACK_END; count++) {
        struct packed_value value;
        size_t body = read_body(p, &value);
        visit(context, value);
        p += body + back_bytes(body);
    }
    return count;
}

/* --- writing an element --- */

/* Head and data of an integer, which stands in its head alone when it is small. */
static inline size_t integer_body(int64_t v)
{
    if (v >= 0 && v <= 127) return 1;
    if (v >= -4096 && v <= 4095) return 2;
    if (v >= INT16_MIN && v <= INT16_MAX) return 3;
    if (v >= -(1 << 23) && v < 1 << 23) return 4;
    return v >= INT32_MIN && v <= INT32_MAX ? 5 : 9;
}

static inline size_t string_head(size_t len)
{
    if (likely(len < 64)) return 1;
    return len < 4096 ? 2 : 5;
}

static inline size_t body_of(const struct packed_value *v)
{
    return v->ptr ? string_head(v->len) + v->len : integer_body(v->integer);
}

size_t listpack_element_bytes(struct packed_value value)
{
    size_t body = body_of(&value);
    return body + back_bytes(body);
}

static inline void write_integer(uint8_t *p, int64_t v, size_t body)
{
    uint64_t raw = htole64((uint64_t)v);
    switch (body) {
    case 1: p[0] = (uint8_t)v; return;
    case 2:
        p[0] = (uint8_t)(HEAD_INT13 | ((uint64_t)v >> 8 & 31));
        p[1] = (uint8_t)v;
        return;
    case 3: p[0] = HEAD_INT16; break;
    case 4: p[0] = HEAD_INT24; break;
    case 5: p[0] = HEAD_INT32; break;
    default: p[0] = HEAD_INT64;
    }
    memcpy(p + 1, &raw, body - 1);
}

static inline void write_string(uint8_t *p, const uint8_t *ptr, size_t len)
{
    size_t head = string_head(len);
    uint32_t stored = htole32((uint32_t)len);
    if (likely(head == 1)) {
        p[0] = (uint8_t)(HEAD_STRING6 | len);
    } else if (head == 2) {
        p[0] = (uint8_t)(HEAD_STRING12 | len >> 8);
        p[1] = (uint8_t)len;
    } else {
        p[0] = HEAD_STRING32;
        memcpy(p + 1, &stored, sizeof stored);
    }
    memcpy(p + head, ptr, len);
}

/* Returns where the next one goes. */
static uint8_t *write_element(uint8_t *p, const struct packed_value *v)
{
    size_t body = body_of(v), bytes = back_bytes(body);
    if (v->ptr)
        write_string(p, v->ptr, v->len);
    else
        write_integer(p, v->integer, body);
    p += body;
    *p++ = body >> 7 * (bytes - 1) & 127;
    for (size_t i = 1; i < bytes; i++) *p++ = (uint8_t)((body >> 7 * (bytes - 1 - i) & 127) | 128);
    return p;
}

/* --- the whole --- */

uint8_t *listpack_new(size_t capacity_bytes)
{
    uint8_t *lp = mem_alloc(capacity_bytes > LISTPACK_EMPTY_BYTES ? capacity_bytes : LISTPACK_EMPTY_BYTES);
    set_total(lp, LISTPACK_EMPTY_BYTES);
    set_count(lp, 0);
    lp[LISTPACK_HEADER_BYTES] = LISTPACK_END;
    return lp;
}

void listpack_free(uint8_t *lp)
{
    mem_free(lp);
}

uint8_t *listpack_copy(const uint8_t *lp)
{
    size_t total = listpack_bytes(lp);
    return memcpy(mem_alloc(total), lp, total);
}

uint8_t *listpack_shrink(uint8_t *lp)
{
    return mem_realloc(lp, listpack_bytes(lp));
}

/* --- from front to back --- */

void listpack_write_begin(struct listpack_writer *w, size_t room_bytes)
{
    uint8_t *lp = mem_alloc(room_bytes > LISTPACK_EMPTY_BYTES ? room_bytes : LISTPACK_EMPTY_BYTES);
    *w = (struct listpack_writer){.lp = lp, .used = LISTPACK_HEADER_BYTES, .room = mem_size(lp)};
}

static void write_grow(struct listpack_writer *w, size_t more)
{
    w->lp = mem_realloc(w->lp, w->room * 2 > w->used + more ? w->room * 2 : w->used + more);
    w->room = mem_size(w->lp);
}

void listpack_write(struct listpack_writer *w, struct packed_value value)
{
    size_t more = body_of(&value) + WRITE_MARGIN_BYTES;
    if (unlikely(w->room - w->used < more)) write_grow(w, more);
    w->used = (size_t)(write_element(w->lp + w->used, &value) - w->lp);
    w->count++;
}

uint8_t *listpack_write_end(struct listpack_writer *w)
{
    uint8_t *lp = w->lp;
    lp[w->used] = LISTPACK_END;
    set_total(lp, w->used + 1);
    set_count(lp, w->count);
    w->lp = NULL;
    return w->room > w->used + SPARE_MOST_BYTES ? listpack_shrink(lp) : lp;
}

uint8_t *listpack_write_end_reversed(struct listpack_writer *w)
{
    uint8_t *reversed = mem_alloc(w->used + 1), *to = reversed + LISTPACK_HEADER_BYTES;
    const uint8_t *first = w->lp + LISTPACK_HEADER_BYTES;
    for (const uint8_t *end = w->lp + w->used, *pair; end != first; end = pair) {
        pair = step_back(step_back(end));
        memcpy(to, pair, (size_t)(end - pair));
        to += end - pair;
    }
    memcpy(reversed, w->lp, LISTPACK_HEADER_BYTES);
    mem_free(w->lp);
    w->lp = reversed;
    w->room = 0; /* none is spare */
    return listpack_write_end(w);
}

void listpack_write_abort(struct listpack_writer *w)
{
    mem_free(w->lp);
    w->lp = NULL;
}

/* --- changing --- */

/* `removed` bytes at `at` give way to `added` bytes not yet written. */
static uint8_t *splice(uint8_t *lp, size_t at, size_t removed, size_t added)
{
    size_t before = listpack_bytes(lp), total = before - removed + added;
    if (total > before && total > mem_size(lp)) lp = mem_realloc(lp, total);
    if (total != before) {
        memmove(lp + at + added, lp + at + removed, before - at - removed);
        set_total(lp, total);
    }
    if (total < before && mem_size(lp) > total * 2 + SPARE_MOST_BYTES) lp = mem_realloc(lp, total);
    return lp;
}

static uint8_t *put(uint8_t *lp, size_t at, size_t removed, struct packed_value value)
{
    lp = splice(lp, at, removed, listpack_element_bytes(value));
    write_element(lp + at, &value);
    if (!removed) add_to_count(lp, 1);
    return lp;
}

uint8_t *listpack_append(uint8_t *lp, struct packed_value value)
{
    return put(lp, listpack_bytes(lp) - 1, 0, value);
}

uint8_t *listpack_append_several(uint8_t *lp, const struct packed_value *values, size_t count)
{
    size_t at = listpack_bytes(lp) - 1, added = 0;
    for (size_t i = 0; i < count; i++) added += listpack_element_bytes(values[i]);
    lp = splice(lp, at, 0, added);
    uint8_t *end = lp + at;
    for (size_t i = 0; i < count; i++) end = write_element(end, &values[i]);
    add_to_count(lp, (ptrdiff_t)count);
    return lp;
}

uint8_t *listpack_prepend(uint8_t *lp, struct packed_value value)
{
    return put(lp, LISTPACK_HEADER_BYTES, 0, value);
}

uint8_t *listpack_insert_before(uint8_t *lp, uint8_t **element, struct packed_value value)
{
    size_t at = (size_t)(*element - lp), total = listpack_bytes(lp);
    lp = put(lp, at, 0, value);
    *element = lp + at + (listpack_bytes(lp) - total);
    return lp;
}

uint8_t *listpack_insert_after(uint8_t *lp, uint8_t **element, struct packed_value value)
{
    size_t at = (size_t)(*element - lp);
    lp = put(lp, at + element_bytes_at(*element), 0, value);
    *element = lp + at;
    return lp;
}

uint8_t *listpack_replace(uint8_t *lp, uint8_t **element, struct packed_value value)
{
    size_t at = (size_t)(*element - lp);
    lp = put(lp, at, element_bytes_at(*element), value);
    *element = lp + at;
    return lp;
}

uint8_t *listpack_delete(uint8_t *lp, uint8_t **element)
{
    return listpack_delete_run(lp, element, 1);
}

uint8_t *listpack_delete_run(uint8_t *lp, uint8_t **element, size_t count)
{
    size_t at = (size_t)(*element - lp), deleted = 0;
    const uint8_t *end = *element;
    for (; deleted < count && *end != LISTPACK_END; deleted++) end += element_bytes_at(end);
    lp = splice(lp, at, (size_t)(end - *element), 0);
    add_to_count(lp, -(ptrdiff_t)deleted);
    *element = lp[at] == LISTPACK_END ? NULL : lp + at;
    return lp;
}

uint8_t *listpack_delete_range(uint8_t *lp, int64_t index, size_t count)
{
    uint8_t *element = count ? listpack_seek(lp, index) : NULL;
    return element ? listpack_delete_run(lp, &element, count) : lp;
}

uint8_t *listpack_append_all(uint8_t *lp, const uint8_t *other)
{
    size_t at = listpack_bytes(lp) - 1, added = listpack_bytes(other) - LISTPACK_EMPTY_BYTES;
    size_t count = stored_count(lp), more = stored_count(other);
    bool known = count != LISTPACK_COUNT_UNKNOWN && more != LISTPACK_COUNT_UNKNOWN;
    lp = splice(lp, at, 0, added);
    memcpy(lp + at, other + LISTPACK_HEADER_BYTES, added);
    set_count(lp, known ? count + more : LISTPACK_COUNT_UNKNOWN);
    return lp;
}

uint8_t *listpack_split(uint8_t **lp, const uint8_t *element)
{
    size_t at = (size_t)(element - *lp), moved_bytes = (size_t)(end_of(*lp) - element), moved = 0;
    uint8_t *tail = mem_alloc(moved_bytes + LISTPACK_EMPTY_BYTES);
    memcpy(tail + LISTPACK_HEADER_BYTES, element, moved_bytes + 1);
    set_total(tail, moved_bytes + LISTPACK_EMPTY_BYTES);
    for (const uint8_t *p = element; *p != LISTPACK_END; p += element_bytes_at(p)) moved++;
    set_count(tail, moved);
    *lp = splice(*lp, at, moved_bytes, 0);
    add_to_count(*lp, -(ptrdiff_t)moved);
    return tail;
}

/* --- bytes from elsewhere --- */

/* The bytes of head and data when they lie before `end`, 0 when they do not or are not an element. */
static size_t checked_body(const uint8_t *p, const uint8_t *end)
{
    size_t room = (size_t)(end - p), head;
    uint8_t first = p[0];
    if (first < HEAD_INT13)
        head = 1;
    else if (first < HEAD_STRING32)
        head = 2;
    else if (first <= HEAD_INT64)
        head = (size_t[]){5, 3, 4, 5, 9}[first - HEAD_STRING32];
    else
        return 0;
    if (head > room) return 0;
    size_t body = body_bytes(p);
    return body <= room ? body : 0;
}

static bool back_is_right(const uint8_t *p, const uint8_t *end, size_t body)
{
    size_t bytes = back_bytes(body);
    if ((size_t)(end - p) < bytes) return false;
    for (size_t i = 0; i < bytes; i++) {
        uint8_t seven_bits = body >> 7 * (bytes - 1 - i) & 127;
        if (p[i] != (i ? seven_bits | 128 : seven_bits)) return false;
    }
    return true;
}

bool listpack_is_framed(struct bytes bytes)
{
    return bytes.len >= LISTPACK_EMPTY_BYTES && listpack_bytes(bytes.ptr) == bytes.len &&
           bytes.ptr[bytes.len - 1] == LISTPACK_END;
}

bool listpack_validate(struct bytes bytes, bool (*visit)(void *context, struct packed_value value), void *context)
{
    const uint8_t *lp = bytes.ptr;
    if (!listpack_is_framed(bytes)) return false;
    const uint8_t *end = lp + bytes.len - 1, *p = lp + LISTPACK_HEADER_BYTES;
    size_t count = 0;
    for (; p < end; count++) {
        size_t body = checked_body(p, end);
        if (!body || !back_is_right(p + body, end, body)) return false;
        if (visit && !visit(context, listpack_get(p))) return false;
        p += body + back_bytes(body);
    }
    return stored_count(lp) == LISTPACK_COUNT_UNKNOWN || stored_count(lp) == count;
}
