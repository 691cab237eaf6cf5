/* Sampling a member table. Server process.
 *
 * A few members of many are drawn one by one, and drawn again when they come a second time; when it is more than a part
 * of them, one walk that takes each with the right probability is cheaper. */
#include "server/data/sample.h"

#include "server/base/alloc.h"

#define WALK_ABOVE(members) ((members) / 4)

static bool note_new(const struct member **seen, size_t mask, const struct member *m)
{
    size_t i = ((uintptr_t)m >> 4) * 0x9e3779b97f4a7c15ull >> 20 & mask;
    for (; seen[i]; i = (i + 1) & mask)
        if (seen[i] == m) return false;
    seen[i] = m;
    return true;
}

void member_table_draw(const struct member_table *t, size_t count, struct random_state *random,
                       bool (*takes)(const void *arg, const struct member *m),
                       void (*visit)(void *arg, struct member *m), void *arg)
{
    size_t capacity = 16;
    while (capacity < count * 2) capacity *= 2;
    const struct member **seen = mem_calloc(capacity, sizeof *seen);
    while (count > 0) {
        struct member *m = member_table_random(t, random);
        if ((takes && !takes(arg, m)) || !note_new(seen, capacity - 1, m)) continue;
        visit(arg, m);
        count--;
    }
    mem_free(seen);
}

void member_table_sample(const struct member_table *t, size_t count, struct random_state *random,
                         void (*visit)(void *arg, struct member *m), void *arg)
{
    if (count <= WALK_ABOVE(t->count)) {
        member_table_draw(t, count, random, NULL, visit, arg);
        return;
    }
    struct sampler s = {count < t->count ? count : t->count, t->count};
    struct member_walk w;
    struct member *m;
    member_walk_start(&w, t);
    while (s.wanted > 0 && (m = member_walk_next(&w)))
        if (sampler_takes(&s, random)) visit(arg, m);
}
