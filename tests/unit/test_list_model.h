/* The plainest list of strings there could be, to hold real structures against, and random values to fill both. */
#ifndef SLIPSTREAM_TEST_LIST_MODEL_H
#define SLIPSTREAM_TEST_LIST_MODEL_H

#include "server/base/alloc.h"
#include "server/base/number.h"
#include "server/base/random.h"

#define MODEL_MAX 4096

struct model {
    struct bytes items[MODEL_MAX]; /* owned */
    size_t count;
};

static inline void model_insert(struct model *m, size_t at, struct bytes text)
{
    uint8_t *copy = mem_alloc(text.len);
    if (text.len) memcpy(copy, text.ptr, text.len);
    memmove(&m->items[at + 1], &m->items[at], (m->count - at) * sizeof *m->items);
    m->items[at] = bytes_make(copy, text.len);
    m->count++;
}

static inline void model_remove(struct model *m, size_t at, size_t count)
{
    for (size_t i = at; i < at + count; i++) mem_free((void *)(uintptr_t)m->items[i].ptr);
    memmove(&m->items[at], &m->items[at + count], (m->count - at - count) * sizeof *m->items);
    m->count -= count;
}

static inline void model_clear(struct model *m)
{
    model_remove(m, 0, m->count);
}

/* Text in room: numbers of every width, short and long strings, at most max_len bytes. Few enough to come again. */
static inline struct bytes random_text(struct random_state *r, uint8_t *room, size_t max_len)
{
    uint64_t kind = random_below(r, 10);
    if (kind < 4) {
        int64_t number = (int64_t)(random_u64(r) >> random_below(r, 64));
        return bytes_make(room, format_i64((char *)room, random_below(r, 2) ? number : -number));
    }
    static const size_t lengths[] = {0, 1, 2, 3, 62, 63, 64, 126, 127, 128, 4095, 4096, 16378, 16379};
    size_t len = lengths[random_below(r, kind < 9 ? 5 : sizeof lengths / sizeof *lengths)];
    if (len > max_len) len = max_len;
    memset(room, (int)('a' + random_below(r, 3)), len);
    return bytes_make(room, len);
}

#endif
