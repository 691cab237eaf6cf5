/* Streams in an RDB. Server process, snapshot child, checker. Three versions (0F, 13, 15), each with all of the one
 * before:
 *
 *   stream    nodes(length) node* entries(length) last id [2: first id, greatest deleted id, added(length)]
 *             groups(length) group*
 *   node      id(string of 16 bytes, big-endian) listpack(string)
 *   group     name(string) last id [2: read(length)] pending(length) (id(16 bytes) delivered(8 bytes, ms)
 *             deliveries(length))* consumers(length) consumer*
 *   consumer  name(string) seen(8 bytes, ms) [3: active(8 bytes, ms)] pending(length) id(16 bytes)*
 *
 * Other ids are two lengths, milliseconds and number. Version 1 is written when what version 2 adds is what a reader
 * would take it for, or when Redis 6.2 must be able to read it; version 3 only for those who have 7.2, since no Redis
 * before it could: a consumer's last activity is else taken to be when it was last seen. A listpack is checked in depth
 * before it joins the stream.
 *
 * Releases of Redis have written streams whose numbers contradict each other, and load them. What follows from the rest
 * is therefore put right here: the length and the last id from the entries, counts that cannot be from the length.
 * A node that is broken inside, and an entry that is pending without consumer, are flaws: what can be read is kept, and
 * such entries are given to a consumer of their own. */
#include "rdb/type_stream.h"

#include "rdb/format.h"
#include "server/base/alloc.h"
#include "server/data/listpack.h"
#include "server/data/stream_group.h"
#include "server/data/stream_mend.h"

/* Has what was pending without consumer, so that XAUTOCLAIM finds it. */
#define LOST_CONSUMER BYTES("unknown")

/* --- save --- */

static bool version_1_suffices(const struct stream *s)
{
    struct radix_cursor c;
    bool same = s->entries_added == s->length && stream_id_is_zero(s->max_deleted_id);
    radix_cursor_init(&c, &s->groups);
    for (bool on = radix_cursor_first(&c); on && same; on = radix_cursor_next(&c)) {
        const struct stream_group *g = c.value;
        same = g->entries_read == stream_count_up_to(s, g->last_id);
    }
    radix_cursor_close(&c);
    return same;
}

static bool version_2_suffices(const struct stream *s)
{
    struct radix_cursor groups, consumers;
    bool same = true;
    radix_cursor_init(&groups, &s->groups);
    for (bool on = radix_cursor_first(&groups); on && same; on = radix_cursor_next(&groups)) {
        const struct stream_group *g = groups.value;
        radix_cursor_init(&consumers, &g->consumers);
        for (bool more = radix_cursor_first(&consumers); more && same; more = radix_cursor_next(&consumers)) {
            const struct stream_consumer *c = consumers.value;
            same = c->active_ms == c->seen_ms;
        }
        radix_cursor_close(&consumers);
    }
    radix_cursor_close(&groups);
    return same;
}

static int version_to_write(const struct stream *s, enum rdb_write_for write_for)
{
    bool has_3 = write_for == RDB_FOR_7_2 || write_for == RDB_FOR_8 || write_for == RDB_FOR_VALKEY_9;
    if (has_3 && !version_2_suffices(s)) return 3;
    return write_for == RDB_FOR_6_2 || version_1_suffices(s) ? 1 : 2;
}

static uint8_t stream_type(const struct record *r, enum rdb_write_for write_for)
{
    static const uint8_t types[] = {0, RDB_TYPE_STREAM_LISTPACKS, RDB_TYPE_STREAM_LISTPACKS_2,
                                    RDB_TYPE_STREAM_LISTPACKS_3};
    return types[version_to_write(record_object(r), write_for)];
}

static void put_id(struct rdb_encoder *out, struct stream_id id)
{
    rdb_put_length(out, id.ms);
    rdb_put_length(out, id.seq);
}

static void put_nodes(struct rdb_encoder *out, const struct stream *s)
{
    struct radix_cursor c;
    rdb_put_length(out, s->nodes.count);
    radix_cursor_init(&c, &s->nodes);
    for (bool on = radix_cursor_first(&c); on; on = radix_cursor_next(&c)) {
        rdb_put_string(out, c.key);
        rdb_put_string(out, bytes_make(c.value, listpack_bytes(c.value)));
    }
    radix_cursor_close(&c);
}

/* A group's pending entries with their particulars, a consumer's by their ids alone. */
static void put_pending(struct rdb_encoder *out, const struct radix_tree *pending, bool of_group)
{
    struct radix_cursor c;
    rdb_put_length(out, pending->count);
    radix_cursor_init(&c, pending);
    for (bool on = radix_cursor_first(&c); on; on = radix_cursor_next(&c)) {
        const struct stream_pending *p = c.value;
        rdb_put_raw(out, c.key.ptr, c.key.len);
        if (!of_group) continue;
        rdb_put_u64(out, (uint64_t)p->delivered_ms);
        rdb_put_length(out, p->deliveries);
    }
    radix_cursor_close(&c);
}

static void put_consumers(struct rdb_encoder *out, const struct stream_group *g, int version)
{
    struct radix_cursor c;
    rdb_put_length(out, g->consumers.count);
    radix_cursor_init(&c, &g->consumers);
    for (bool on = radix_cursor_first(&c); on; on = radix_cursor_next(&c)) {
        const struct stream_consumer *consumer = c.value;
        rdb_put_string(out, c.key);
        rdb_put_u64(out, (uint64_t)consumer->seen_ms);
        if (version >= 3) rdb_put_u64(out, (uint64_t)consumer->active_ms);
        put_pending(out, &consumer->pending, false);
    }
    radix_cursor_close(&c);
}

static void put_groups(struct rdb_encoder *out, const struct stream *s, int version)
{
    struct radix_cursor c;
    rdb_put_length(out, s->groups.count);
    radix_cursor_init(&c, &s->groups);
    for (bool on = radix_cursor_first(&c); on; on = radix_cursor_next(&c)) {
        const struct stream_group *g = c.value;
        rdb_put_string(out, c.key);
        put_id(out, g->last_id);
        if (version >= 2) rdb_put_length(out, (uint64_t)g->entries_read);
        put_pending(out, &g->pending, true);
        put_consumers(out, g, version);
    }
    radix_cursor_close(&c);
}

static void stream_save(struct rdb_encoder *out, const struct record *r)
{
    const struct stream *s = record_object(r);
    int version = version_to_write(s, out->write_for);
    put_nodes(out, s);
    rdb_put_length(out, s->length);
    put_id(out, s->last_id);
    if (version >= 2) {
        put_id(out, s->first_id);
        put_id(out, s->max_deleted_id);
        rdb_put_length(out, s->entries_added);
    }
    put_groups(out, s, version);
}

/* --- load --- */

/* What stands at the cursor. */
enum stage { AT_NODE, AT_TOTALS, AT_GROUP, AT_PENDING, AT_CONSUMERS, AT_CONSUMER, AT_CONSUMER_PENDING, AT_END };

struct loading {
    struct stream *stream;
    int version;
    enum stage stage;
    uint64_t nodes, groups, pending, consumers, consumer_pending; /* still to come */
    struct stream_id last_entry;                                  /* of the nodes so far */
    struct stream_group *group;
    struct stream_consumer *consumer;
    uint64_t owned; /* of the group's pending entries: those that have their consumer */
};

static bool read_id(struct rdb_cursor *in, struct stream_id *out)
{
    return rdb_read_length(in, &out->ms) && rdb_read_length(in, &out->seq);
}

static bool read_raw_id(struct rdb_cursor *in, struct stream_id *out)
{
    const uint8_t *key = rdb_take(in, STREAM_ID_KEY_BYTES);
    if (key) *out = stream_id_of_key(key);
    return key != NULL;
}

static bool read_time(struct rdb_cursor *in, int64_t *out_ms)
{
    uint64_t ms;
    if (!rdb_read_u64(in, &ms)) return false;
    *out_ms = (int64_t)ms;
    return true;
}

/* Passes over what has nothing left to come, up to where something stands. */
static void settle_stage(struct loading *l)
{
    if (l->stage == AT_NODE && !l->nodes) l->stage = AT_TOTALS;
    if (l->stage == AT_PENDING && !l->pending) l->stage = AT_CONSUMERS;
    if (l->stage == AT_CONSUMER_PENDING && !l->consumer_pending) l->stage = AT_CONSUMER;
    if (l->stage == AT_CONSUMER && !l->consumers) l->stage = AT_GROUP;
    if (l->stage == AT_GROUP && !l->groups) l->stage = AT_END;
}

static bool begin(struct rdb_cursor *in, struct rdb_builder *builder, int version)
{
    uint64_t nodes;
    if (!rdb_read_length(in, &nodes)) return false;
    struct loading *l = mem_alloc(sizeof *l);
    *l = (struct loading){.stream = stream_new(), .version = version, .nodes = nodes};
    settle_stage(l);
    builder->object = l;
    builder->remaining = 1;
    return true;
}

static bool begin_1(struct rdb_cursor *in, struct rdb_builder *builder)
{
    return begin(in, builder, 1);
}

static bool begin_2(struct rdb_cursor *in, struct rdb_builder *builder)
{
    return begin(in, builder, 2);
}

static bool begin_3(struct rdb_cursor *in, struct rdb_builder *builder)
{
    return begin(in, builder, 3);
}

/* A good listpack for a node of the stream, of its own; NULL: no entry is left. False: refused. */
static bool take_node(struct rdb_cursor *in, uint64_t offset, struct bytes listpack, struct stream_mended *node)
{
    if (stream_node_validate(listpack, node->node_id, &node->facts)) {
        node->listpack = listpack_copy(listpack.ptr);
        return true;
    }
    if (!listpack_is_framed(listpack)) return rdb_bad(in, offset, "a stream's listpack is broken");
    if (!rdb_flaw(in, offset, "a stream's listpack is broken")) return false;
    return stream_node_mend(listpack, node->node_id, node) || rdb_bad(in, offset, "a stream's listpack is broken");
}

static bool read_node(struct rdb_cursor *in, struct loading *l)
{
    uint64_t offset = rdb_cursor_offset(in);
    struct bytes key, listpack;
    if (!rdb_read_bytes(in, &key) || !rdb_read_bytes(in, &listpack)) return false;
    if (key.len != STREAM_ID_KEY_BYTES) return rdb_bad(in, offset, "a stream's node is not named by an id");
    in->payloads_checked++;
    struct stream_mended node = {.node_id = stream_id_of_key(key.ptr)};
    if (!take_node(in, offset, listpack, &node)) return false;
    l->nodes--;
    if (!node.listpack) return true;
    if (l->stream->nodes.count && stream_id_compare(node.node_id, l->last_entry) <= 0) {
        listpack_free(node.listpack);
        return rdb_bad(in, offset, "a stream's nodes are out of order");
    }
    stream_append_node(l->stream, node.node_id, node.listpack, node.facts.alive);
    l->last_entry = node.facts.last_id;
    return true;
}

/* What the totals say against the entries, or cannot mean. */
static void mend_totals(struct rdb_cursor *in, struct loading *l, uint64_t length, uint64_t added)
{
    struct stream *s = l->stream;
    if (length != s->length)
        rdb_mended(in, "a stream's length is said to be %llu, but it has %llu entries", (unsigned long long)length,
                   (unsigned long long)s->length);
    if (stream_id_compare(s->last_id, l->last_entry) < 0) {
        s->last_id = l->last_entry;
        rdb_mended(in, "a stream's last id is below its last entry's");
    }
    if (stream_id_compare(s->last_id, s->max_deleted_id) < 0) {
        s->last_id = s->max_deleted_id;
        rdb_mended(in, "a stream's last id is below that of an entry that was deleted");
    }
    s->entries_added = added;
    if (added >= s->length && added <= INT64_MAX) return;
    s->entries_added = s->length;
    rdb_mended(in, "a stream's count of entries added cannot be");
}

static bool read_totals(struct rdb_cursor *in, struct loading *l)
{
    uint64_t length, added = 0, groups;
    struct stream_id last, first, max_deleted = STREAM_ID_LEAST;
    struct stream *s = l->stream;
    if (!rdb_read_length(in, &length) || !read_id(in, &last)) return false;
    if (l->version >= 2 && (!read_id(in, &first) || !read_id(in, &max_deleted) || !rdb_read_length(in, &added)))
        return false;
    if (!rdb_read_length(in, &groups)) return false;
    s->last_id = last;
    s->max_deleted_id = max_deleted;
    mend_totals(in, l, length, l->version >= 2 ? added : s->length);
    s->first_id = stream_edge_id(s, false);
    l->groups = groups;
    l->stage = AT_GROUP;
    return true;
}

static bool read_group(struct rdb_cursor *in, struct loading *l)
{
    uint64_t offset = rdb_cursor_offset(in), read, pending;
    struct bytes name;
    struct stream_id last;
    if (!rdb_read_bytes(in, &name) || !read_id(in, &last)) return false;
    read = (uint64_t)stream_count_up_to(l->stream, last);
    if (l->version >= 2 && !rdb_read_length(in, &read)) return false;
    if (!rdb_read_length(in, &pending)) return false;
    if ((int64_t)read < STREAM_ENTRIES_READ_UNKNOWN) {
        read = (uint64_t)STREAM_ENTRIES_READ_UNKNOWN;
        rdb_mended(in, "a stream's group has read a number below zero");
    }
    l->group = stream_group_create(l->stream, name, last, (int64_t)read);
    if (!l->group) return rdb_bad(in, offset, "a stream has the same group twice");
    l->pending = pending;
    l->owned = 0;
    l->groups--;
    l->stage = AT_PENDING;
    return true;
}

static bool read_pending(struct rdb_cursor *in, struct loading *l)
{
    uint64_t offset = rdb_cursor_offset(in), deliveries;
    struct stream_id id;
    int64_t delivered_ms;
    if (!read_raw_id(in, &id) || !read_time(in, &delivered_ms) || !rdb_read_length(in, &deliveries)) return false;
    if (stream_pending_find(l->group, id)) return rdb_bad(in, offset, "a stream's group has an entry pending twice");
    stream_pending_add(l->group, id, NULL, delivered_ms, deliveries);
    l->pending--;
    return true;
}

static bool read_consumers(struct rdb_cursor *in, struct loading *l)
{
    if (!rdb_read_length(in, &l->consumers)) return false;
    l->stage = AT_CONSUMER;
    return true;
}

static bool read_consumer(struct rdb_cursor *in, struct loading *l)
{
    uint64_t offset = rdb_cursor_offset(in), pending;
    struct bytes name;
    int64_t seen_ms, active_ms;
    if (!rdb_read_bytes(in, &name) || !read_time(in, &seen_ms)) return false;
    active_ms = seen_ms;
    if (l->version >= 3 && !read_time(in, &active_ms)) return false;
    if (!rdb_read_length(in, &pending)) return false;
    if (stream_consumer_find(l->group, name)) return rdb_bad(in, offset, "a stream's group has a consumer twice");
    l->consumer = stream_consumer_create(l->group, name, seen_ms);
    l->consumer->active_ms = active_ms;
    l->consumer_pending = pending;
    l->consumers--;
    l->stage = AT_CONSUMER_PENDING;
    return true;
}

static bool read_consumer_pending(struct rdb_cursor *in, struct loading *l)
{
    uint64_t offset = rdb_cursor_offset(in);
    struct stream_id id;
    if (!read_raw_id(in, &id)) return false;
    struct stream_pending *p = stream_pending_find(l->group, id);
    if (!p || p->consumer) return rdb_bad(in, offset, "a stream's consumer has an entry pending that is not its own");
    stream_pending_give(p, id, l->consumer);
    l->owned++;
    l->consumer_pending--;
    return true;
}

static bool read_stage(struct rdb_cursor *in, struct loading *l)
{
    switch (l->stage) {
    case AT_NODE: return read_node(in, l);
    case AT_TOTALS: return read_totals(in, l);
    case AT_GROUP: return read_group(in, l);
    case AT_PENDING: return read_pending(in, l);
    case AT_CONSUMERS: return read_consumers(in, l);
    case AT_CONSUMER: return read_consumer(in, l);
    case AT_CONSUMER_PENDING: return read_consumer_pending(in, l);
    case AT_END: break;
    }
    return true;
}

/* What was delivered stays pending: who it was delivered to is lost, and somebody else can claim it. */
static void give_to_lost(struct stream_group *g)
{
    struct radix_cursor c;
    struct stream_consumer *lost = stream_consumer_find(g, LOST_CONSUMER);
    if (!lost) lost = stream_consumer_create(g, LOST_CONSUMER, 0);
    radix_cursor_init(&c, &g->pending);
    for (bool on = radix_cursor_first(&c); on; on = radix_cursor_next(&c)) {
        struct stream_pending *p = c.value;
        if (!p->consumer) stream_pending_give(p, stream_id_of_key(c.key.ptr), lost);
    }
    radix_cursor_close(&c);
}

/* However long a stream is, each of its pieces is an element of its own. */
static bool element(struct rdb_cursor *in, struct rdb_builder *builder)
{
    struct loading *l = builder->object;
    uint64_t offset = rdb_cursor_offset(in);
    if (!read_stage(in, l)) return false;
    settle_stage(l);
    bool group_ends = l->group && (l->stage == AT_GROUP || l->stage == AT_END);
    if (group_ends && l->owned != l->group->pending.count) {
        if (!rdb_flaw(in, offset, "a stream's group has an entry pending without consumer")) return false;
        give_to_lost(l->group);
        l->owned = l->group->pending.count;
    }
    if (l->stage != AT_END) builder->remaining++;
    return true;
}

static struct record *finish(struct rdb_builder *builder, struct database *db, struct bytes key, uint64_t hash)
{
    struct loading *l = builder->object;
    struct stream *s = l->stream;
    mem_free(l);
    return database_set_object(db, key, hash, TYPE_STREAM, ENCODING_STREAM, s, false);
}

static void abort_loading(struct rdb_builder *builder)
{
    struct loading *l = builder->object;
    stream_free(l->stream);
    mem_free(l);
}

const struct rdb_type_loader rdb_stream_loader = {begin_1, element, finish, abort_loading};
const struct rdb_type_loader rdb_stream_2_loader = {begin_2, element, finish, abort_loading};
const struct rdb_type_loader rdb_stream_3_loader = {begin_3, element, finish, abort_loading};
const struct rdb_type_saver rdb_stream_saver = {stream_type, stream_save};
