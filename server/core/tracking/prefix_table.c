/* See prefix_table.h. Server process. */
#include "server/core/tracking/prefix_table.h"

#include "server/base/alloc.h"

struct prefix_length {
    size_t len, prefixes;
};

void prefix_table_init(struct prefix_table *t)
{
    *t = (struct prefix_table){0};
    list_init(&t->waiting);
}

/* --- lengths --- */

static size_t length_place(const struct prefix_table *t, size_t len)
{
    size_t at = 0;
    while (at < t->length_count && t->lengths[at].len < len) at++;
    return at;
}

static void length_comes(struct prefix_table *t, size_t len)
{
    size_t at = length_place(t, len);
    if (at < t->length_count && t->lengths[at].len == len) {
        t->lengths[at].prefixes++;
        return;
    }
    if (t->length_count == t->length_capacity) {
        t->length_capacity = t->length_capacity ? t->length_capacity * 2 : 8;
        t->lengths = mem_realloc(t->lengths, t->length_capacity * sizeof *t->lengths);
    }
    memmove(&t->lengths[at + 1], &t->lengths[at], (t->length_count - at) * sizeof *t->lengths);
    t->lengths[at] = (struct prefix_length){len, 1};
    t->length_count++;
}

static void length_goes(struct prefix_table *t, size_t len)
{
    size_t at = length_place(t, len);
    if (--t->lengths[at].prefixes) return;
    t->length_count--;
    memmove(&t->lengths[at], &t->lengths[at + 1], (t->length_count - at) * sizeof *t->lengths);
}

/* --- members --- */

static struct prefix *prefix_for(struct prefix_table *t, struct bytes text)
{
    struct prefix *p = map_get(&t->prefixes, text);
    if (p) return p;
    p = mem_calloc(1, sizeof *p);
    p->text = bytes_make(bytes_to_text(text), text.len);
    list_init(&p->members);
    *map_slot(&t->prefixes, text) = p;
    length_comes(t, text.len);
    return p;
}

void prefix_table_join(struct prefix_table *t, struct list *prefixes, void *member, struct bytes text)
{
    list_each(prefixes, node)
    {
        const struct prefix_member *m = list_entry(node, struct prefix_member, of_member);
        if (bytes_equal(m->prefix->text, text)) return;
    }
    struct prefix_member *m = mem_calloc(1, sizeof *m);
    m->prefix = prefix_for(t, text);
    m->member = member;
    list_push_back(&m->prefix->members, &m->in_prefix);
    list_push_back(prefixes, &m->of_member);
}

static void prefix_remove(struct prefix_table *t, struct prefix *p)
{
    prefix_forget_changed(t, p);
    length_goes(t, p->text.len);
    map_remove(&t->prefixes, p->text);
    mem_free((void *)(uintptr_t)p->text.ptr);
    mem_free(p);
}

void prefix_table_leave_all(struct prefix_table *t, struct list *prefixes)
{
    list_each(prefixes, node)
    {
        struct prefix_member *m = list_entry(node, struct prefix_member, of_member);
        list_remove(prefixes, node);
        list_remove(&m->prefix->members, &m->in_prefix);
        if (!m->prefix->members.count) prefix_remove(t, m->prefix);
        mem_free(m);
    }
}

/* --- changed keys --- */

static void note(struct prefix_table *t, struct prefix *p, struct bytes key, uint64_t by)
{
    void **place = map_slot(&p->places, key);
    if (*place) {
        p->changed[(uintptr_t)*place - 1].by = by;
        return;
    }
    if (p->changed_count == p->changed_capacity) {
        p->changed_capacity = p->changed_capacity ? p->changed_capacity * 2 : 8;
        p->changed = mem_realloc(p->changed, p->changed_capacity * sizeof *p->changed);
    }
    struct map_entry *e = list_entry(place, struct map_entry, value);
    p->changed[p->changed_count++] = (struct changed_key){e->key, by};
    *place = (void *)(uintptr_t)p->changed_count;
    if (!list_contains(&p->waiting)) list_push_back(&t->waiting, &p->waiting);
}

void prefix_table_changed(struct prefix_table *t, struct bytes key, uint64_t by)
{
    for (size_t i = 0; i < t->length_count && t->lengths[i].len <= key.len; i++) {
        struct prefix *p = map_get(&t->prefixes, bytes_make(key.ptr, t->lengths[i].len));
        if (p) note(t, p, key, by);
    }
}

void prefix_forget_changed(struct prefix_table *t, struct prefix *p)
{
    if (list_contains(&p->waiting)) list_remove(&t->waiting, &p->waiting);
    map_clear(&p->places);
    mem_free(p->changed);
    p->changed = NULL;
    p->changed_count = p->changed_capacity = 0;
}
