/* Sets in an RDB. Server process, snapshot child, checker. An intset is written as it is (0B), any other set member by
 * member (02): every Redis reads both. Read are
 *
 *   02  count(length) member(string)*
 *   0B  string: an intset
 *   14  string: a listpack of members
 *
 * A set is built up member by member and each may come but once; an intset or listpack that may stay one is taken as it
 * is, once it has been checked in depth. A member that comes twice in 0B or 14 is a flaw: the second is left out. */
#include "rdb/type_set.h"

#include "rdb/distinct.h"
#include "rdb/elements.h"
#include "rdb/format.h"
#include "rdb/packed_string.h"
#include "server/base/alloc.h"
#include "server/data/intset.h"
#include "server/data/listpack.h"
#include "server/data/set.h"
#include "server/data/settings.h"

/* --- save --- */

static uint8_t set_type(const struct record *r, enum rdb_write_for write_for)
{
    (void)write_for;
    return record_encoding(r) == ENCODING_INTSET ? RDB_TYPE_SET_INTSET : RDB_TYPE_SET;
}

static void set_save(struct rdb_encoder *out, const struct record *r)
{
    struct set s = {record_encoding(r), record_object(r), record_object_inside(r)};
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

#define MEMBER_GUESS_BYTES 10 /* what a short member takes in a listpack */

struct loading {
    struct set set;
    bool begun;                     /* the set has been made: its encoding goes by the first member */
    struct listpack_writer members; /* of a set that is a listpack from there on and still fits: it has no object yet */
    size_t expected, longest_bytes;
    struct distinct seen;  /* as long as the set is an intset or packed */
    struct rdb_cursor *in; /* while a listpack is checked, which stands at offset */
    uint64_t offset;
};

static void start(struct rdb_builder *builder, size_t expected)
{
    struct loading *l = mem_alloc(sizeof *l);
    l->begun = false;
    l->expected = expected;
    l->longest_bytes = 0;
    distinct_init(&l->seen);
    builder->object = l;
}

static bool is_written(const struct loading *l)
{
    return l->begun && !l->set.object;
}

static struct set *whole_set(struct loading *l)
{
    if (is_written(l)) l->set.object = listpack_write_end(&l->members);
    return &l->set;
}

static void begin_set(struct loading *l, const struct packed_value *first)
{
    l->begun = true;
    if (first->ptr && set_packed_fits(l->expected, 0, 0)) {
        l->set = (struct set){.encoding = ENCODING_LISTPACK};
        listpack_write_begin(&l->members, l->expected * MEMBER_GUESS_BYTES);
    } else {
        l->set = set_new(first, l->expected);
    }
}

/* False: the member has come before. */
static bool add_member(void *arg, struct packed_value member)
{
    struct loading *l = arg;
    if (!l->begun) begin_set(l, &member);
    if (l->set.encoding == ENCODING_HASHTABLE) return set_add(&l->set, &member);
    if (!distinct_add(&l->seen, member)) return false;
    size_t bytes =
        member.ptr ? member.len : I64_TEXT_MAX; /* of a number at most: it is judged exactly where it is added */
    if (is_written(l) && set_packed_fits(l->seen.count, bytes, listpack_written_bytes(&l->members) + bytes))
        listpack_write(&l->members, member);
    else
        set_add_new(whole_set(l), &member);
    return true;
}

static bool plain_begin(struct rdb_cursor *in, struct rdb_builder *builder)
{
    if (!rdb_read_count(in, builder)) return false;
    start(builder, rdb_believed_count(in, builder->remaining));
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
    builder->remaining = 1;
    start(builder, 0);
    return true;
}

/* Redis takes an intset without members for a broken one. */
static bool intset_element(struct rdb_cursor *in, struct rdb_builder *builder)
{
    struct loading *l = builder->object;
    uint64_t offset = rdb_cursor_offset(in);
    struct bytes intset;
    if (!rdb_read_bytes(in, &intset)) return false;
    in->payloads_checked++;
    if (!intset_is_framed(intset) || intset_count(intset.ptr) == 0)
        return rdb_bad(in, offset, "a set's intset is broken");
    size_t count = intset_count(intset.ptr);
    if (!intset_validate(intset)) {
        if (!rdb_flaw(in, offset, "a set's intset is not in ascending order")) return false;
        for (size_t i = 0; i < count; i++) add_member(l, packed_integer(intset_get(intset.ptr, i)));
        return true;
    }
    l->begun = true;
    if (count <= data_settings->set_max_intset_entries) {
        l->set = (struct set){.encoding = ENCODING_INTSET, .object = intset_copy(intset.ptr)};
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
    size_t bytes = packed_string_bytes(&member);
    if (bytes > l->longest_bytes) l->longest_bytes = bytes;
    return distinct_add(&l->seen, member) || rdb_flaw(l->in, l->offset, "a set has the same member twice");
}

static bool add_member_once(void *arg, struct packed_value member)
{
    add_member(arg, member);
    return true;
}

static bool listpack_element(struct rdb_cursor *in, struct rdb_builder *builder)
{
    struct loading *l = builder->object;
    struct rdb_elements listpack;
    l->in = in;
    l->offset = rdb_cursor_offset(in);
    if (!rdb_read_elements(in, listpack_validate, check_member, l, "a set's listpack", &listpack)) return false;
    size_t count = l->seen.count;
    builder->empty = count == 0;
    l->begun = true;
    bool fits = set_packed_fits(count, l->longest_bytes, listpack.packed.len);
    if (fits && !in->flaws) {
        l->set = (struct set){.encoding = ENCODING_LISTPACK, .object = rdb_listpack_of(&listpack)};
        return true;
    }
    distinct_free(&l->seen);
    distinct_init(&l->seen);
    l->set = fits ? (struct set){.encoding = ENCODING_LISTPACK, .object = listpack_new(0)} : set_new_table(count);
    rdb_take_elements_again(listpack.packed, add_member_once, l);
    return true;
}

static void loading_free(struct loading *l)
{
    distinct_free(&l->seen);
    mem_free(l);
}

static struct record *set_finish(struct rdb_builder *builder, struct database *db, struct bytes key, uint64_t hash)
{
    struct loading *l = builder->object;
    struct set loaded = *whole_set(l);
    loading_free(l);
    return database_set_object(db, key, hash, TYPE_SET, loaded.encoding, loaded.object, false);
}

static void set_abort(struct rdb_builder *builder)
{
    struct loading *l = builder->object;
    if (is_written(l))
        listpack_write_abort(&l->members);
    else if (l->begun)
        set_free(&l->set);
    loading_free(l);
}

const struct rdb_type_loader rdb_set_loader = {plain_begin, plain_element, set_finish, set_abort};
const struct rdb_type_loader rdb_set_intset_loader = {packed_begin, intset_element, set_finish, set_abort};
const struct rdb_type_loader rdb_set_listpack_loader = {packed_begin, listpack_element, set_finish, set_abort};
const struct rdb_type_saver rdb_set_saver = {set_type, set_save};
