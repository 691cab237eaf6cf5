/* Consumer groups. Server process; the snapshot child reads. */
#include "server/data/stream_group.h"

#include "server/base/alloc.h"

/* --- groups --- */

static void consumer_free(void *consumer)
{
    struct stream_consumer *c = consumer;
    radix_tree_clear(&c->pending, NULL);
    mem_free(c);
}

static void group_free(void *group)
{
    struct stream_group *g = group;
    radix_tree_clear(&g->consumers, consumer_free);
    radix_tree_clear(&g->pending, mem_free);
    mem_free(g);
}

struct stream_group *stream_group_find(const struct stream *s, struct bytes name)
{
    return radix_tree_find(&s->groups, name);
}

struct stream_group *stream_group_create(struct stream *s, struct bytes name, struct stream_id last_id,
                                         int64_t entries_read)
{
    if (stream_group_find(s, name)) return NULL;
    struct stream_group *g = mem_alloc(sizeof *g);
    *g = (struct stream_group){.last_id = last_id, .entries_read = entries_read};
    radix_tree_set(&s->groups, name, g);
    return g;
}

bool stream_group_destroy(struct stream *s, struct bytes name)
{
    struct stream_group *g = radix_tree_remove(&s->groups, name);
    if (g) group_free(g);
    return g != NULL;
}

void stream_groups_free(struct stream *s)
{
    radix_tree_clear(&s->groups, group_free);
}

/* --- how far a group has read --- */

bool stream_group_lag(const struct stream *s, const struct stream_group *g, int64_t *out)
{
    int64_t read = g->entries_read;
    *out = 0;
    if (!s->length) return true;
    if (stream_all_behind(s, g->last_id)) { /* what was trimmed away unread is no longer waited for */
        *out = (int64_t)s->length;
        return true;
    }
    if (read == STREAM_ENTRIES_READ_UNKNOWN || stream_has_tombstones(s, g->last_id))
        read = stream_count_up_to(s, g->last_id);
    *out = (int64_t)s->entries_added - read;
    return read >= 0;
}

void stream_group_advance(const struct stream *s, struct stream_group *g, struct stream_id id)
{
    bool counted = g->entries_read != STREAM_ENTRIES_READ_UNKNOWN && !stream_has_tombstones(s, g->last_id);
    if (counted && !stream_all_behind(s, g->last_id))
        g->entries_read++;
    else if (s->entries_added)
        g->entries_read = stream_count_up_to(s, id);
    g->last_id = id;
}

/* --- consumers --- */

struct stream_consumer *stream_consumer_find(const struct stream_group *g, struct bytes name)
{
    return radix_tree_find(&g->consumers, name);
}

struct stream_consumer *stream_consumer_create(struct stream_group *g, struct bytes name, int64_t now_ms)
{
    struct stream_consumer *c = mem_alloc(sizeof *c + name.len);
    *c = (struct stream_consumer){.seen_ms = now_ms, .active_ms = -1, .name_len = name.len};
    if (name.len) memcpy(c->name, name.ptr, name.len);
    radix_tree_set(&g->consumers, name, c);
    return c;
}

void stream_consumer_delete(struct stream_group *g, struct stream_consumer *c)
{
    struct radix_cursor pending;
    radix_cursor_init(&pending, &c->pending);
    for (bool on = radix_cursor_first(&pending); on; on = radix_cursor_next(&pending))
        mem_free(radix_tree_remove(&g->pending, pending.key));
    radix_cursor_close(&pending);
    radix_tree_remove(&g->consumers, stream_consumer_name(c));
    consumer_free(c);
}

/* --- pending entries --- */

struct stream_pending *stream_pending_find(const struct stream_group *g, struct stream_id id)
{
    uint8_t key[STREAM_ID_KEY_BYTES];
    return radix_tree_find(&g->pending, stream_id_key(id, key));
}

struct stream_pending *stream_pending_add(struct stream_group *g, struct stream_id id, struct stream_consumer *consumer,
                                          int64_t delivered_ms, uint64_t deliveries)
{
    uint8_t key[STREAM_ID_KEY_BYTES];
    struct stream_pending *p = mem_alloc(sizeof *p);
    *p = (struct stream_pending){consumer, delivered_ms, deliveries};
    stream_id_key(id, key);
    radix_tree_set(&g->pending, bytes_make(key, sizeof key), p);
    if (consumer) radix_tree_set(&consumer->pending, bytes_make(key, sizeof key), p);
    return p;
}

void stream_pending_give(struct stream_pending *p, struct stream_id id, struct stream_consumer *consumer)
{
    uint8_t key[STREAM_ID_KEY_BYTES];
    struct bytes k = stream_id_key(id, key);
    if (p->consumer == consumer) return;
    if (p->consumer) radix_tree_remove(&p->consumer->pending, k);
    radix_tree_set(&consumer->pending, k, p);
    p->consumer = consumer;
}

bool stream_pending_remove(struct stream_group *g, struct stream_id id)
{
    uint8_t key[STREAM_ID_KEY_BYTES];
    struct bytes k = stream_id_key(id, key);
    struct stream_pending *p = radix_tree_remove(&g->pending, k);
    if (!p) return false;
    if (p->consumer) radix_tree_remove(&p->consumer->pending, k);
    mem_free(p);
    return true;
}

/* --- what every type can do --- */

static void group_copy(struct stream *to, struct bytes name, const struct stream_group *from)
{
    struct stream_group *g = stream_group_create(to, name, from->last_id, from->entries_read);
    struct radix_cursor c;
    radix_cursor_init(&c, &from->consumers);
    for (bool on = radix_cursor_first(&c); on; on = radix_cursor_next(&c)) {
        const struct stream_consumer *old = c.value;
        stream_consumer_create(g, c.key, old->seen_ms)->active_ms = old->active_ms;
    }
    radix_cursor_close(&c);
    radix_cursor_init(&c, &from->pending);
    for (bool on = radix_cursor_first(&c); on; on = radix_cursor_next(&c)) {
        const struct stream_pending *p = c.value;
        stream_pending_add(g, stream_id_of_key(c.key.ptr), stream_consumer_find(g, stream_consumer_name(p->consumer)),
                           p->delivered_ms, p->deliveries);
    }
    radix_cursor_close(&c);
}

void stream_groups_copy(struct stream *to, const struct stream *from)
{
    struct radix_cursor c;
    radix_cursor_init(&c, &from->groups);
    for (bool on = radix_cursor_first(&c); on; on = radix_cursor_next(&c)) group_copy(to, c.key, c.value);
    radix_cursor_close(&c);
}

static size_t group_memory(const struct stream_group *g)
{
    size_t bytes = mem_size(g) + g->pending.bytes + g->consumers.bytes;
    struct radix_cursor c;
    radix_cursor_init(&c, &g->pending);
    if (radix_cursor_first(&c)) bytes += g->pending.count * mem_size(c.value);
    radix_cursor_close(&c);
    radix_cursor_init(&c, &g->consumers);
    for (bool on = radix_cursor_first(&c); on; on = radix_cursor_next(&c)) {
        const struct stream_consumer *consumer = c.value;
        bytes += mem_size(consumer) + consumer->pending.bytes;
    }
    radix_cursor_close(&c);
    return bytes;
}

size_t stream_groups_memory(const struct stream *s)
{
    size_t bytes = s->groups.bytes;
    struct radix_cursor c;
    radix_cursor_init(&c, &s->groups);
    for (bool on = radix_cursor_first(&c); on; on = radix_cursor_next(&c)) bytes += group_memory(c.value);
    radix_cursor_close(&c);
    return bytes;
}
