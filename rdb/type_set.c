/* Sets. An intset is written as it is (0B), any other set member by member (02): every Redis reads both. Read are
 *
 *   02  count(length) member(string)*
 *   0B  string: an intset
 *   14  string: a listpack of members
 *
 * A set is built up member by member and each may come but once; an intset or listpack that may stay one is taken as it
 * is, once it has been checked in depth. */
#include "rdb/type_set.h"

#include "rdb/distinct.h"
#include "rdb/format.h"
#include "rdb/packed_string.h"
#include "server/base/alloc.h"
#include "server/data/intset.h"
#include "server/data/listpack.h"
#include "server/data/set.h"
#include "server/data/settings.h"

/* The file's word for how many members will come is believed up to here. */
#define RESERVE_MOST ((uint64_t)64 * 1024)

/* --- save --- */

static uint8_t set_type_byte(const struct record *r)
{
    return record_encoding(r) == ENCODING_INTSET ? RDB_TYPE_SET_INTSET : RDB_TYPE_SET;
}

static void set_save(struct rdb_encoder *out, const struct record *r)
{
    struct set s = {record_encoding(r), record_object(r)};
    struct set_walk w;
    struct packed_value member;
    if (s.encoding == ENCODING_INTSET) {
        rdb_put_string(out, bytes_make(s.object, intset_bytes(s.object)));
        return;
    }
    rdb_put_length(out, set_count(&s));
    set_walk_start(&w, &s);
    while (set_walk_next(&w, &member)) rdb_put_packed(out, &member);
}

/* --- load --- */

struct loading {
    struct set set;
    bool begun; /* the set has been made: its encoding goes by the first member */
    uint64_t expected;
    size_t longest_bytes;
    struct distinct seen; /* as long as the set is packed */
};

static void start(struct rdb_builder *builder, uint64_t pieces, uint64_t expected)
{
    struct loading *l = mem_alloc(sizeof *l);
    l->begun = false;
    l->expected = expected < RESERVE_MOST ? expected : RESERVE_MOST;
    l->longest_bytes = 0;
    distinct_init(&l->seen);
    builder->remaining = pieces;
    builder->object = l;
}

/* False: the member has come before. */
static bool add_member(void *arg, struct packed_value member)
{
    struct loading *l = arg;
    if (!l->begun) l->set = set_new(&member, l->expected);
    l->begun = true;
    if (l->set.encoding != ENCODING_LISTPACK) return set_add(&l->set, &member);
    if (!distinct_add(&l->seen, member)) return false;
    set_add_new(&l->set, &member);
    return true;
}

static bool plain_begin(struct rdb_cursor *in, struct rdb_builder *builder)
{
    uint64_t offset = rdb_cursor_offset(in), count;
    if (!rdb_read_length(in, &count)) return false;
    if (count == 0) return rdb_bad(in, offset, "a set without members");
    start(builder, count, count);
    return true;
}

static bool plain_element(struct rdb_cursor *in, struct rdb_builder *builder)
{
    uint64_t offset = rdb_cursor_offset(in);
    struct packed_value member;
    if (!rdb_read_packed(in, &member)) return false;
    return add_member(builder->object, member) || rdb_bad(in, offset, "a set has the same member twice");
}

static bool packed_begin(struct rdb_cursor *in, struct rdb_builder *builder)
{
    (void)in;
    start(builder, 1, 0);
    return true;
}

static bool intset_element(struct rdb_cursor *in, struct rdb_builder *builder)
{
    struct loading *l = builder->object;
    uint64_t offset = rdb_cursor_offset(in);
    struct bytes intset;
    if (!rdb_read_bytes(in, &intset)) return false;
    if (!intset_validate(intset)) return rdb_bad(in, offset, "a set's intset is broken");
    size_t count = intset_count(intset.ptr);
    if (count == 0) return rdb_bad(in, offset, "a set without members");
    l->begun = true;
    if (count <= data_settings->set_max_intset_entries) {
        l->set = (struct set){ENCODING_INTSET, intset_copy(intset.ptr)};
        return true;
    }
    l->set = set_new_table(count);
    for (size_t i = 0; i < count; i++) {
        struct packed_value member = packed_integer(intset_get(intset.ptr, i));
        set_add_new(&l->set, &member);
    }
    return true;
}

/* Checks a member without taking it. */
static bool check_member(void *arg, struct packed_value member)
{
    struct loading *l = arg;
    if (member.len > l->longest_bytes) l->longest_bytes = member.len;
    return distinct_add(&l->seen, member);
}

static bool listpack_element(struct rdb_cursor *in, struct rdb_builder *builder)
{
    struct loading *l = builder->object;
    uint64_t offset = rdb_cursor_offset(in);
    struct bytes listpack;
    if (!rdb_read_bytes(in, &listpack)) return false;
    if (!listpack_validate(listpack, check_member, l)) return rdb_bad(in, offset, "a set's listpack is broken");
    size_t count = l->seen.count;
    if (count == 0) return rdb_bad(in, offset, "a set without members");
    l->begun = true;
    if (set_packed_fits(count, l->longest_bytes, listpack.len)) {
        l->set = (struct set){ENCODING_LISTPACK, listpack_copy(listpack.ptr)};
        return true;
    }
    l->set = set_new_table(count);
    return listpack_validate(listpack, add_member, l);
}

static void loading_free(struct loading *l)
{
    distinct_free(&l->seen);
    mem_free(l);
}

static struct record *set_finish(struct rdb_builder *builder, struct database *db, struct bytes key, uint64_t hash)
{
    struct loading *l = builder->object;
    struct set loaded = l->set;
    loading_free(l);
    return database_set_object(db, key, hash, TYPE_SET, loaded.encoding, loaded.object, false);
}

static void set_abort(struct rdb_builder *builder)
{
    struct loading *l = builder->object;
    if (l->begun) set_free(&l->set);
    loading_free(l);
}

const struct rdb_type_loader rdb_set_loader = {plain_begin, plain_element, set_finish, set_abort};
const struct rdb_type_loader rdb_set_intset_loader = {packed_begin, intset_element, set_finish, set_abort};
const struct rdb_type_loader rdb_set_listpack_loader = {packed_begin, listpack_element, set_finish, set_abort};
const struct rdb_type_saver rdb_set_saver = {set_type_byte, set_save};
