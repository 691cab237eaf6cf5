/* A set of small numbers as bits, with bits above them that say which words below have any. Server process. */
#include "server/keyspace/mark_tree.h"

#include <string.h>

#include "server/base/alloc.h"
#include "server/base/check.h"

#define WORD_BITS 64

static size_t words_for(size_t bits)
{
    return (bits + WORD_BITS - 1) / WORD_BITS;
}

static void lay_out(struct mark_tree *t, size_t size)
{
    size_t words = 0, offsets[MARK_TREE_LEVELS];
    t->level_count = 0;
    for (size_t bits = size;; bits = words_for(bits)) {
        CHECK(t->level_count < MARK_TREE_LEVELS);
        t->bits[t->level_count] = bits;
        offsets[t->level_count++] = words;
        words += words_for(bits);
        if (bits <= WORD_BITS) break;
    }
    uint64_t *block = mem_calloc(words, sizeof(*block));
    for (unsigned i = 0; i < t->level_count; i++) t->levels[i] = block + offsets[i];
}

void mark_tree_free(struct mark_tree *t)
{
    mem_free(t->levels[0]);
    memset(t, 0, sizeof(*t));
}

size_t mark_tree_memory(const struct mark_tree *t)
{
    return t->levels[0] ? mem_size(t->levels[0]) : 0;
}

static void add(struct mark_tree *t, size_t number)
{
    CHECK(number < t->bits[0]);
    for (unsigned i = 0; i < t->level_count; i++, number /= WORD_BITS)
        t->levels[i][number / WORD_BITS] |= 1ull << number % WORD_BITS;
}

void mark_tree_add(struct mark_tree *t, size_t number, size_t size)
{
    if (!t->levels[0]) lay_out(t, size);
    CHECK(t->bits[0] == size);
    add(t, number);
}

void mark_tree_remove(struct mark_tree *t, size_t number)
{
    CHECK(number < t->bits[0]);
    for (unsigned i = 0; i < t->level_count; i++, number /= WORD_BITS) {
        uint64_t *word = &t->levels[i][number / WORD_BITS];
        *word &= ~(1ull << number % WORD_BITS);
        if (*word) return;
    }
}

bool mark_tree_has(const struct mark_tree *t, size_t number)
{
    return number < t->bits[0] && t->levels[0][number / WORD_BITS] >> number % WORD_BITS & 1;
}

/* Up from `from` until a word has something at or behind it, then down to its first bit. */
size_t mark_tree_next(const struct mark_tree *t, size_t from)
{
    size_t bit = from;
    for (unsigned level = 0; level < t->level_count; level++, bit = bit / WORD_BITS + 1) {
        if (bit >= t->bits[level]) return MARK_TREE_NONE;
        size_t word = bit / WORD_BITS;
        uint64_t rest = t->levels[level][word] >> bit % WORD_BITS << bit % WORD_BITS;
        if (!rest) continue;
        for (;; level--) {
            bit = word * WORD_BITS + (size_t)__builtin_ctzll(rest);
            if (level == 0) return bit;
            word = bit;
            rest = t->levels[level - 1][word];
        }
    }
    return MARK_TREE_NONE;
}

void mark_tree_scale(struct mark_tree *t, int left)
{
    if (!t->levels[0]) return;
    struct mark_tree was = *t;
    lay_out(t, left > 0 ? was.bits[0] << left : was.bits[0] >> -left);
    for (size_t i = mark_tree_next(&was, 0); i != MARK_TREE_NONE; i = mark_tree_next(&was, i + 1))
        add(t, left > 0 ? i << left : i >> -left);
    mark_tree_free(&was);
}
