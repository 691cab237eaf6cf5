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
    radix_tree_set(&x->tree, key_of(room, when_ms, hash), &present);
}

void expiry_index_remove(struct expiry_index *x, int64_t when_ms, uint64_t hash)
{
    uint8_t room[KEY_BYTES];
    struct expiry_entry first;
    if (!radix_tree_remove(&x->tree, key_of(room, when_ms, hash)) || when_ms != x->first_ms) return;
    if (expiry_index_first(x, &first)) x->first_ms = first.when_ms;
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

size_t expiry_index_before(const struct expiry_index *x, int64_t when_ms)
{
    struct radix_cursor c;
    size_t n = 0;
    if (x->tree.count == 0 || x->first_ms >= when_ms) return 0;
    radix_cursor_init(&c, &x->tree);
    for (bool any = radix_cursor_first(&c); any && entry_of(c.key).when_ms < when_ms; any = radix_cursor_next(&c)) n++;
    radix_cursor_close(&c);
    return n;
}

size_t expiry_index_memory(const struct expiry_index *x)
{
    return x->tree.bytes;
}
