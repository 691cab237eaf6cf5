/* A broken node of a stream, read as far as it goes. Server process and redis-check-rdb.
 *
 * Much of a node is said twice: its counts of entries, and behind each entry how many elements it had. Those are not
 * asked here; entries are read from the first on, up to where no entry can be made of what stands there, put in order,
 * and written anew, so that everything said twice is right. Deleted ones go. The master's fields are kept as they are,
 * so that what is written is not longer than what was read but for the counts. */
#include "server/data/stream_mend.h"

#include <stdlib.h>

#include "server/base/alloc.h"
#include "server/data/listpack.h"

#define HEAD_VALUES 5 /* of an entry, besides its data: flags, two differences, field count, element count */
/* No node that a server makes on its own is larger; each of its elements takes some of our memory meanwhile. */
#define MEND_MAX_BYTES ((size_t)16 * 1024 * 1024)

enum place {
    AT_COUNTS, /* two */
    AT_MASTER_COUNT = 2,
    AT_MASTER_FIELDS,
    AT_MASTER_END,
    AT_FLAGS,
    AT_MS,
    AT_SEQ,
    AT_FIELD_COUNT,
    AT_DATA,
    AT_ELEMENT_COUNT,
};

struct entry {
    struct stream_id id;
    size_t first, count; /* of its values */
    bool same_fields;
};

struct mending {
    struct stream_id node_id;
    int place;
    uint64_t left, most_fields;
    size_t master_count;
    int64_t flags;
    struct entry next; /* being read */
    struct packed_value *values;
    size_t value_count, value_capacity;
    struct entry *entries;
    size_t entry_count, entry_capacity;
};

static void keep_value(struct mending *m, struct packed_value v)
{
    if (m->value_count == m->value_capacity) {
        m->value_capacity = m->value_capacity ? 2 * m->value_capacity : 64;
        m->values = mem_realloc(m->values, m->value_capacity * sizeof *m->values);
    }
    m->values[m->value_count++] = v.ptr ? packed_from(bytes_make(v.ptr, v.len)) : v;
}

static void keep_entry(struct mending *m)
{
    m->next.count = m->value_count - m->next.first;
    if (m->flags & STREAM_ENTRY_DELETED) {
        m->value_count = m->next.first;
        return;
    }
    if (m->entry_count == m->entry_capacity) {
        m->entry_capacity = m->entry_capacity ? 2 * m->entry_capacity : 16;
        m->entries = mem_realloc(m->entries, m->entry_capacity * sizeof *m->entries);
    }
    m->entries[m->entry_count++] = m->next;
}

/* False: no entry has so many fields. */
static bool expect_data(struct mending *m, int64_t fields, unsigned values_each)
{
    if (fields < 1 || (uint64_t)fields > m->most_fields) return false;
    m->left = (uint64_t)fields * values_each;
    return true;
}

static bool take_head(struct mending *m, int64_t number)
{
    switch (m->place++) {
    case AT_COUNTS:
    case AT_COUNTS + 1: return true;
    case AT_MASTER_COUNT: m->master_count = (size_t)number; return expect_data(m, number, 1);
    case AT_MASTER_END: return number == 0;
    case AT_FLAGS: m->flags = number; return true;
    case AT_MS: m->next.id.ms = m->node_id.ms + (uint64_t)number; return true;
    case AT_SEQ:
        m->next.id.seq = m->node_id.seq + (uint64_t)number;
        m->next.first = m->value_count;
        m->next.same_fields = m->flags & STREAM_ENTRY_SAME_FIELDS;
        if (!m->next.same_fields) return true;
        m->place = AT_DATA;
        return expect_data(m, (int64_t)m->master_count, 1);
    case AT_FIELD_COUNT: return expect_data(m, number, 2);
    default: m->place = AT_FLAGS; return true; /* AT_ELEMENT_COUNT */
    }
}

static bool visit(void *arg, struct packed_value v)
{
    struct mending *m = arg;
    if (m->place != AT_MASTER_FIELDS && m->place != AT_DATA) return !v.ptr && take_head(m, v.integer);
    keep_value(m, v);
    if (--m->left) return true;
    if (m->place == AT_DATA) keep_entry(m);
    m->place++;
    return true;
}

/* Of two with one id, the one that came first stands first. */
static int by_id(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int order = stream_id_compare(x->id, y->id);
    return order ? order : x->first < y->first ? -1 : 1;
}

static uint8_t *append_entry(const struct mending *m, uint8_t *lp, const struct entry *e, struct stream_id node_id)
{
    struct packed_value *values = mem_alloc((e->count + HEAD_VALUES) * sizeof *values);
    size_t n = 0;
    values[n++] = packed_integer(e->same_fields ? STREAM_ENTRY_SAME_FIELDS : 0);
    values[n++] = packed_integer((int64_t)(e->id.ms - node_id.ms));
    values[n++] = packed_integer((int64_t)(e->id.seq - node_id.seq));
    if (!e->same_fields) values[n++] = packed_integer((int64_t)e->count / 2);
    memcpy(values + n, m->values + e->first, e->count * sizeof *values);
    n += e->count;
    values[n] = packed_integer((int64_t)n);
    lp = listpack_append_several(lp, values, n + 1);
    mem_free(values);
    return lp;
}

static void write_node(struct mending *m, struct stream_mended *out)
{
    if (!m->entry_count) return;
    qsort(m->entries, m->entry_count, sizeof *m->entries, by_id);
    out->node_id = m->entries[0].id;
    uint8_t *lp = listpack_new(0);
    lp = listpack_append(lp, packed_integer(0));
    lp = listpack_append(lp, packed_integer(0));
    lp = listpack_append(lp, packed_integer((int64_t)m->master_count));
    lp = listpack_append_several(lp, m->values, m->master_count);
    lp = listpack_append(lp, packed_integer(0));
    for (size_t i = 0; i < m->entry_count; i++) {
        if (i && stream_id_compare(m->entries[i].id, m->entries[i - 1].id) == 0) continue;
        lp = append_entry(m, lp, &m->entries[i], out->node_id);
        out->facts.alive++;
        out->facts.last_id = m->entries[i].id;
    }
    uint8_t *alive = listpack_first(lp);
    out->listpack = listpack_shrink(listpack_replace(lp, &alive, packed_integer((int64_t)out->facts.alive)));
}

bool stream_node_mend(struct bytes listpack, struct stream_id node_id, struct stream_mended *out)
{
    struct mending m = {.node_id = node_id, .most_fields = listpack.len};
    *out = (struct stream_mended){.node_id = node_id, .facts.last_id = node_id};
    if (listpack.len > MEND_MAX_BYTES) return false;
    bool whole = listpack_validate(listpack, visit, &m) && m.place == AT_FLAGS;
    bool readable = whole || m.entry_count;
    if (readable) write_node(&m, out);
    mem_free(m.values);
    mem_free(m.entries);
    return readable;
}
