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

#define PAIR_GUESS_BYTES 14 /* what a short member and its score take in a listpack */

/* What is being made. Files hold members in order, or from the last to the first: so a small set is written down as it
 * comes, until one turns out to be neither, or is no small one. */
enum making { WRITTEN, BUILT, TAKEN };

struct loading {
    enum making making;
    struct listpack_writer pairs; /* WRITTEN */
    bool ascending, descending;   /* they stand so; both: there is one at most */
    size_t last_at;               /* where in it the member before stands */
    double last_score;
    struct zset_builder builder; /* BUILT */
    struct zset zset;            /* TAKEN: a listpack as it was in the file */
    struct distinct seen;        /* but for BUILT */
    /* of a listpack's entries, while they are checked */
    bool in_order;
    struct bytes last_member;
    char last_room[I64_TEXT_MAX];
    size_t longest_bytes;
    struct rdb_cursor *in; /* while it is, which stands at offset */
    uint64_t offset;
};

/* announced: 0 where it is not. */
static void start(struct rdb_builder *builder, uint64_t announced, size_t believed)
{
    struct loading *l = mem_alloc(sizeof *l);
    l->ascending = l->descending = l->in_order = true;
    l->longest_bytes = 0;
    l->last_member = (struct bytes){0};
    distinct_init(&l->seen);
    l->making = zset_packed_fits(announced, 0, 0) ? WRITTEN : BUILT;
    if (l->making == WRITTEN)
        listpack_write_begin(&l->pairs, believed * PAIR_GUESS_BYTES);
    else
        zset_builder_init(&l->builder, believed);
    builder->object = l;
}

/* Below 0: before the entry that was written last. There is one. */
static int order_to_last(const struct loading *l, const struct packed_value *member, double score)
{
    char scratch[I64_TEXT_MAX], last_scratch[I64_TEXT_MAX];
    if (score != l->last_score) return score < l->last_score ? -1 : 1;
    struct packed_value last = listpack_get(l->pairs.lp + l->last_at);
    return bytes_compare(packed_text(member, scratch), packed_text(&last, last_scratch));
}

/* False: it would be out of order, or the set would no longer be small. A number is as long as one can be: the builder
 * judges exactly. */
static bool may_be_written(struct loading *l, const struct packed_value *member, double score)
{
    size_t bytes = member->ptr ? member->len : I64_TEXT_MAX;
    if (!zset_packed_fits(l->seen.count, bytes, listpack_written_bytes(&l->pairs) + bytes + DOUBLE_TEXT_MAX))
        return false;
    if (l->pairs.count == 0) return true;
    int order = order_to_last(l, member, score);
    l->ascending &= order > 0;
    l->descending &= order < 0;
    return l->ascending || l->descending;
}

/* Scores in it are numbers: we have written them. */
static void build_instead(struct loading *l)
{
    uint8_t *lp = listpack_write_end(&l->pairs);
    zset_builder_init(&l->builder, listpack_length(lp));
    for (const uint8_t *at = lp + LISTPACK_HEADER_BYTES; *at != LISTPACK_END;) {
        struct packed_value member, packed;
        double score = 0;
        at = listpack_read(listpack_read(at, &member), &packed);
        zset_unpack_score(&packed, &score);
        zset_builder_add(&l->builder, &member, score);
    }
    listpack_free(lp);
    l->making = BUILT;
}

/* False: the member has come before. */
static bool add_entry(struct loading *l, const struct packed_value *member, double score)
{
    char text[DOUBLE_TEXT_MAX];
    if (l->making == BUILT) return zset_builder_add(&l->builder, member, score);
    if (!distinct_add(&l->seen, *member)) return false;
    if (!may_be_written(l, member, score)) {
        build_instead(l);
        return zset_builder_add(&l->builder, member, score);
    }
    l->last_at = l->pairs.used;
    l->last_score = score;
    listpack_write(&l->pairs, *member);
    listpack_write(&l->pairs, zset_pack_score(score, text));
    return true;
}

static bool counted_begin(struct rdb_cursor *in, struct rdb_builder *builder)
{
    if (!rdb_read_count(in, builder)) return false;
    start(builder, builder->remaining, rdb_believed_count(in, builder->remaining));
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
    start(builder, 0, 0);
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
    builder->empty = (l->making == WRITTEN ? l->pairs.count : l->builder.count) == 0;
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
    switch (l->making) {
    case WRITTEN: listpack_write_abort(&l->pairs); break;
    case BUILT: zset_builder_free(&l->builder); break;
    case TAKEN: zset_free(&l->zset); break;
    }
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
    bool fits = zset_packed_fits(count, l->longest_bytes, listpack.packed.len);
    l->making = l->in_order && !in->flaws && fits ? TAKEN : BUILT;
    if (l->making == TAKEN) {
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

static struct zset whole_zset(struct loading *l)
{
    if (l->making == BUILT) return zset_builder_finish(&l->builder);
    if (l->making == TAKEN) return l->zset;
    uint8_t *lp = l->ascending ? listpack_write_end(&l->pairs) : listpack_write_end_reversed(&l->pairs);
    return (struct zset){.encoding = ENCODING_LISTPACK, .object = lp};
}

static struct record *zset_finish(struct rdb_builder *builder, struct database *db, struct bytes key, uint64_t hash)
{
    struct loading *l = builder->object;
    struct zset loaded = whole_zset(l);
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
