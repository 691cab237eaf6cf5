/* Sorted sets in an RDB. Server process, snapshot child, checker. Written member by member, highest score first (05):
 * every Redis since 4.0 reads that, and inserts always at the head. Read are
 *
 *   03  count(length) (member(string) score)*         score: length(1) and as many bytes of text, or FD: not a number,
 *                                                     FE: +inf, FF: -inf
 *   05  count(length) (member(string) score)*         score: 8 bytes, a little-endian double
 *   0C  string: a ziplist of members and scores in turn
 *   11  string: a listpack of members and scores in turn
 *
 * The order in the file is not relied upon, and each member may come but once. A listpack in good order that may stay
 * one is taken as it is, once it has been checked in depth. In 11, a member that comes twice and a score that is no
 * number are flaws: the second member is left out, and the score is 0. */
#include "rdb/type_zset.h"

#include "rdb/distinct.h"
#include "rdb/elements.h"
#include "rdb/format.h"
#include "rdb/packed_string.h"
#include "server/base/alloc.h"
#include "server/data/listpack.h"
#include "server/data/ziplist.h"
#include "server/data/zset_builder.h"

#include <math.h>

enum score_text { SCORE_NAN = 253, SCORE_POSITIVE_INFINITY = 254, SCORE_NEGATIVE_INFINITY = 255 };

/* --- save --- */

static uint8_t zset_type(const struct record *r, enum rdb_write_for write_for)
{
    (void)r, (void)write_for;
    return RDB_TYPE_ZSET_2;
}

static void zset_save(struct rdb_encoder *out, const struct record *r)
{
    struct zset z = {record_encoding(r), record_object(r), record_object_inside(r)};
    struct zset_walk w;
    struct zset_entry e;
    size_t count = zset_count(&z);
    rdb_put_length(out, count);
    for (zset_walk_start(&w, &z, count - 1, true); zset_walk_next(&w, &e);) {
        uint64_t bits;
        memcpy(&bits, &e.score, sizeof bits);
        rdb_put_packed(out, &e.member);
        rdb_put_u64(out, bits);
    }
}

/* --- load --- */

struct loading {
    bool small; /* expected to stay a listpack: zset and seen are in use, else the builder */
    struct zset zset;
    struct distinct seen;
    struct zset_builder builder;
    /* of a listpack's entries, while they are checked */
    bool in_order;
    double last_score;
    struct bytes last_member;
    char last_room[I64_TEXT_MAX];
    size_t longest_bytes;
    struct rdb_cursor *in; /* while it is, which stands at offset */
    uint64_t offset;
};

static void start(struct rdb_builder *builder, bool small, size_t members)
{
    struct loading *l = mem_alloc(sizeof *l);
    l->small = small;
    l->in_order = true;
    l->longest_bytes = 0;
    l->last_member = (struct bytes){0};
    distinct_init(&l->seen);
    if (l->small)
        l->zset = zset_new(0);
    else
        zset_builder_init(&l->builder, members);
    builder->object = l;
}

/* False: the member has come before. */
static bool add_entry(struct loading *l, const struct packed_value *member, double score)
{
    if (!l->small) return zset_builder_add(&l->builder, member, score);
    if (!distinct_add(&l->seen, *member)) return false;
    zset_add_new(&l->zset, member, score);
    return true;
}

static bool counted_begin(struct rdb_cursor *in, struct rdb_builder *builder)
{
    if (!rdb_read_count(in, builder)) return false;
    start(builder, zset_packed_fits(builder->remaining, 0, 0), rdb_believed_count(in, builder->remaining));
    return true;
}

static bool read_text_score(struct rdb_cursor *in, double *score)
{
    uint64_t offset = rdb_cursor_offset(in);
    uint8_t len;
    if (!rdb_read_u8(in, &len)) return false;
    *score = len == SCORE_NAN ? NAN : len == SCORE_POSITIVE_INFINITY ? INFINITY : -INFINITY;
    if (len >= SCORE_NAN) return true;
    const uint8_t *text = rdb_take(in, len);
    if (!text) return false;
    return parse_double(bytes_make(text, len), score) == 0 || rdb_bad(in, offset, "a score is no number");
}

static bool read_binary_score(struct rdb_cursor *in, double *score)
{
    uint64_t bits;
    if (!rdb_read_u64(in, &bits)) return false;
    memcpy(score, &bits, sizeof bits);
    return true;
}

static bool read_entry(struct rdb_cursor *in, struct rdb_builder *builder,
                       bool (*read_score)(struct rdb_cursor *in, double *score))
{
    uint64_t offset = rdb_cursor_offset(in);
    struct packed_value member;
    double score;
    if (!rdb_read_packed(in, &member) || !read_score(in, &score)) return false;
    if (isnan(score)) return rdb_bad(in, offset, "a sorted set has a score that is not a number");
    return add_entry(builder->object, &member, score) || rdb_bad(in, offset, "a sorted set has the same member twice");
}

static bool text_element(struct rdb_cursor *in, struct rdb_builder *builder)
{
    return read_entry(in, builder, read_text_score);
}

static bool binary_element(struct rdb_cursor *in, struct rdb_builder *builder)
{
    return read_entry(in, builder, read_binary_score);
}

static bool packed_begin(struct rdb_cursor *in, struct rdb_builder *builder)
{
    (void)in;
    builder->remaining = 1;
    start(builder, zset_packed_fits(1, 0, 0), 1);
    return true;
}

static bool add_pair(void *arg, const struct packed_value *member, const struct packed_value *packed_score)
{
    double score;
    return zset_unpack_score(packed_score, &score) && add_entry(arg, member, score);
}

static bool ziplist_element(struct rdb_cursor *in, struct rdb_builder *builder)
{
    struct loading *l = builder->object;
    struct rdb_elements ziplist;
    if (!rdb_read_pairs(in, ziplist_walk, add_pair, l, "a sorted set's ziplist", &ziplist)) return false;
    builder->empty = (l->small ? zset_count(&l->zset) : l->builder.count) == 0;
    return true;
}

/* Checks a pair without taking it, and notes whether it stands where it belongs. */
static bool check_pair(void *arg, const struct packed_value *packed_member, const struct packed_value *packed_score)
{
    struct loading *l = arg;
    double score;
    char scratch[I64_TEXT_MAX];
    if (!zset_unpack_score(packed_score, &score)) {
        if (!rdb_flaw(l->in, l->offset, "a sorted set has a score that is no number")) return false;
        score = 0;
    }
    if (!distinct_add(&l->seen, *packed_member))
        return rdb_flaw(l->in, l->offset, "a sorted set has the same member twice");
    struct bytes member = packed_text(packed_member, scratch);
    if (l->last_member.ptr &&
        (score < l->last_score || (score == l->last_score && bytes_compare(l->last_member, member) > 0)))
        l->in_order = false;
    if (member.len > l->longest_bytes) l->longest_bytes = member.len;
    l->last_score = score;
    l->last_member = member;
    if (!packed_member->ptr) l->last_member.ptr = memcpy(l->last_room, scratch, member.len);
    return true;
}

/* Of a listpack that has been checked: with a flaw, too. */
static bool add_pair_once(void *arg, const struct packed_value *member, const struct packed_value *packed_score)
{
    double score;
    if (!zset_unpack_score(packed_score, &score)) score = 0;
    add_entry(arg, member, score);
    return true;
}

static void drop_members(struct loading *l)
{
    if (l->small)
        zset_free(&l->zset);
    else
        zset_builder_free(&l->builder);
}

static bool listpack_element(struct rdb_cursor *in, struct rdb_builder *builder)
{
    struct loading *l = builder->object;
    struct rdb_elements listpack;
    l->in = in;
    l->offset = rdb_cursor_offset(in);
    if (!rdb_read_pairs(in, listpack_validate, check_pair, l, "a sorted set's listpack", &listpack)) return false;
    size_t count = l->seen.count;
    builder->empty = count == 0;
    drop_members(l);
    l->small = l->in_order && !in->flaws && zset_packed_fits(count, l->longest_bytes, listpack.packed.len);
    if (l->small) {
        l->zset = (struct zset){.encoding = ENCODING_LISTPACK, .object = rdb_listpack_of(&listpack)};
    } else {
        zset_builder_init(&l->builder, count);
        rdb_take_pairs_again(listpack.packed, add_pair_once, l);
    }
    return true;
}

static void loading_free(struct loading *l)
{
    distinct_free(&l->seen);
    mem_free(l);
}

static struct record *zset_finish(struct rdb_builder *builder, struct database *db, struct bytes key, uint64_t hash)
{
    struct loading *l = builder->object;
    struct zset loaded = l->small ? l->zset : zset_builder_finish(&l->builder);
    loading_free(l);
    return database_set_object(db, key, hash, TYPE_ZSET, loaded.encoding, loaded.object, false);
}

static void zset_abort(struct rdb_builder *builder)
{
    struct loading *l = builder->object;
    drop_members(l);
    loading_free(l);
}

const struct rdb_type_loader rdb_zset_loader = {counted_begin, text_element, zset_finish, zset_abort};
const struct rdb_type_loader rdb_zset_2_loader = {counted_begin, binary_element, zset_finish, zset_abort};
const struct rdb_type_loader rdb_zset_ziplist_loader = {packed_begin, ziplist_element, zset_finish, zset_abort};
const struct rdb_type_loader rdb_zset_listpack_loader = {packed_begin, listpack_element, zset_finish, zset_abort};
const struct rdb_type_saver rdb_zset_saver = {zset_type, zset_save};
