/* What runs out when, as a radix tree of times and hashes, both with their high bytes first. Server process; the
 * snapshot child reads. */
#include "server/data/expiry_index.h"

#include <endian.h>

#define KEY_BYTES 16

static int present; /* the value of every key: a tree keeps no NULL */

static struct bytes key_of(uint8_t room[KEY_BYTES], int64_t when_ms, uint64_t hash)
{
    uint64_t words[] = {htobe64((uint64_t)when_ms), htobe64(hash)};
    memcpy(room, words, sizeof words);
    return bytes_make(room, KEY_BYTES);
}

static struct expiry_entry entry_of(struct bytes key)
{
    uint64_t words[2];
    memcpy(words, key.ptr, sizeof words);
    return (struct expiry_entry){(int64_t)be64toh(words[0]), be64toh(words[1])};
}

void expiry_index_init(struct expiry_index *x)
{
    *x = (struct expiry_index){0};
}

void expiry_index_clear(struct expiry_index *x)
{
    radix_tree_clear(&x->tree, NULL);
    expiry_index_init(x);
}

void expiry_index_add(struct expiry_index *x, int64_t when_ms, uint64_t hash)
{
    uint8_t room[KEY_BYTES];
    if (x->tree.count == 0 || when_ms < x->first_ms) x->first_ms = when_ms;
    size_t before = x->tree.count;
    radix_tree_set(&x->tree, key_of(room, when_ms, hash), &present);
    if (when_ms < x->counted_ms) x->counted += x->tree.count - before;
}

void expiry_index_remove(struct expiry_index *x, int64_t when_ms, uint64_t hash)
{
    uint8_t room[KEY_BYTES];
    struct expiry_entry first;
    if (!radix_tree_remove(&x->tree, key_of(room, when_ms, hash))) return;
    x->counted -= when_ms < x->counted_ms;
    if (when_ms == x->first_ms && expiry_index_first(x, &first)) x->first_ms = first.when_ms;
}

bool expiry_index_first(const struct expiry_index *x, struct expiry_entry *out)
{
    struct radix_cursor c;
    radix_cursor_init(&c, &x->tree);
    bool any = radix_cursor_first(&c);
    if (any) *out = entry_of(c.key);
    radix_cursor_close(&c);
    return any;
}

int64_t expiry_index_last_ms(const struct expiry_index *x)
{
    struct radix_cursor c;
    radix_cursor_init(&c, &x->tree);
    int64_t last_ms = radix_cursor_last(&c) ? entry_of(c.key).when_ms : 0;
    radix_cursor_close(&c);
    return last_ms;
}

static size_t count_between(const struct expiry_index *x, int64_t from_ms, int64_t to_ms)
{
    struct radix_cursor c;
    uint8_t room[KEY_BYTES];
    size_t n = 0;
    radix_cursor_init(&c, &x->tree);
    bool any = radix_cursor_seek(&c, RADIX_AT_LEAST, key_of(room, from_ms, 0));
    for (; any && entry_of(c.key).when_ms < to_ms; any = radix_cursor_next(&c)) n++;
    radix_cursor_close(&c);
    return n;
}

size_t expiry_index_before(struct expiry_index *x, int64_t when_ms)
{
    if (x->tree.count == 0 || x->first_ms >= when_ms) return 0;
    if (when_ms >= x->counted_ms)
        x->counted += count_between(x, x->counted_ms, when_ms);
    else
        x->counted -= count_between(x, when_ms, x->counted_ms); /* the clock was set back */
    x->counted_ms = when_ms;
    return x->counted;
}

size_t expiry_index_memory(const struct expiry_index *x)
{
    return x->tree.bytes;
}
