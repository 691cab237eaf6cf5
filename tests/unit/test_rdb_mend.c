/* Values that Redis loads although something in them is wrong: mended, or refused where sanitizing is asked for. */
#include "tests/unit/test_rdb_bytes.h"

#include "rdb/format.h"
#include "server/data/hash.h"
#include "server/data/list.h"
#include "server/data/listpack.h"
#include "server/data/set.h"
#include "server/data/stream_group.h"
#include "server/data/stream_mend.h"
#include "server/data/zset.h"

static void register_types(void)
{
    hash_init();
    hash_register();
    list_register();
    set_register();
    zset_register();
    stream_register();
}

TestSuite(rdb_mend, .init = register_types, .timeout = 60);

/* --- values put together --- */

#define TEXT(literal) packed_string((const uint8_t *)(literal), sizeof(literal) - 1)
#define INT(number)   packed_integer(number)

static void add_blob(struct rdb_bytes *b, struct bytes bytes)
{
    uint8_t len[5] = {RDB_LENGTH_32_BITS, 0, 0, (uint8_t)(bytes.len >> 8), (uint8_t)bytes.len};
    add(b, len, sizeof len);
    add(b, bytes.ptr, bytes.len);
}

/* `raw` stands behind the values, before the end. The header says that there are `said` of them. */
static void add_listpack(struct rdb_bytes *b, const struct packed_value *values, size_t count, struct bytes raw,
                         uint16_t said)
{
    uint8_t *lp = listpack_append_several(listpack_new(0), values, count);
    size_t len = listpack_bytes(lp);
    struct rdb_bytes whole = {0};
    add(&whole, lp, len - 1);
    if (raw.len) add(&whole, raw.ptr, raw.len);
    ADD(&whole, "\xff");
    uint32_t total = (uint32_t)whole.len;
    memcpy(whole.data, &total, sizeof total);
    memcpy(whole.data + sizeof total, &said, sizeof said);
    add_blob(b, bytes_make(whole.data, whole.len));
    free(whole.data);
    listpack_free(lp);
}

/* A value of one listpack under "k", whose header says that it is empty: a flaw that each of these has in common. */
static struct rdb_bytes listpack_value(uint8_t type, const char *before, size_t before_len,
                                       const struct packed_value *values, size_t count, struct bytes raw)
{
    struct rdb_bytes b = rdb_begin("REDIS0012");
    add(&b, &type, 1);
    ADD(&b, "\001k");
    add(&b, before, before_len);
    add_listpack(&b, values, count, raw, 0);
    rdb_end(&b);
    return b;
}

#define COUNT(values) (sizeof(values) / sizeof *(values))
#define NOTHING       bytes_make(NULL, 0)
#define BROKEN        BYTES("\x84xx\x02") /* a text that is said to be longer than what is there */

/* Refused where sanitizing is asked for; else loaded with so many flaws' worth of a mended key. */
static struct fed expect_mended(struct rdb_bytes b)
{
    struct fed strict = feed_sanitized(b), fed = feed(b);
    cr_assert_eq(strict.status, RDB_BAD);
    cr_assert_null(find(strict.ks, 0, "k"));
    cr_assert_eq(fed.status, RDB_DONE, "%s", fed.error);
    cr_assert_eq(fed.result.keys_mended, 1);
    cr_assert(find(fed.ks, 0, "k"));
    feed_free(&strict);
    free(b.data);
    return fed;
}

/* --- hashes, sets, sorted sets, lists --- */

static void expect_hash(struct rdb_bytes b, size_t fields, const char *field, const char *value)
{
    struct fed fed = expect_mended(b);
    const struct record *r = find(fed.ks, 0, "k");
    struct hash h = {record_encoding(r), record_object(r), record_object_inside(r), 0};
    struct packed_value found;
    char scratch[I64_TEXT_MAX];
    cr_assert_eq(hash_length(&h), fields);
    cr_assert(hash_get(&h, bytes_from_text(field), &found));
    cr_assert(bytes_equal(packed_text(&found, scratch), bytes_from_text(value)));
    feed_free(&fed);
}

#define LISTPACK(type, values, raw) listpack_value(type, "", 0, values, COUNT(values), raw)

Test(rdb_mend, a_hash_keeps_the_first_of_two_fields_and_what_can_be_read)
{
    const struct packed_value twice[] = {TEXT("a"), INT(1), TEXT("b"), INT(2), TEXT("a"), INT(3)};
    const struct packed_value odd[] = {TEXT("a"), INT(1), TEXT("b")}, good[] = {TEXT("a"), INT(1)};
    expect_hash(LISTPACK(RDB_TYPE_HASH_LISTPACK, twice, NOTHING), 2, "a", "1");
    expect_hash(LISTPACK(RDB_TYPE_HASH_LISTPACK, odd, NOTHING), 1, "a", "1");
    expect_hash(LISTPACK(RDB_TYPE_HASH_LISTPACK, good, BROKEN), 1, "a", "1");
}

/* The long value makes a table of it. */
Test(rdb_mend, a_hash_of_single_fields_keeps_the_first_of_two)
{
    char text[70];
    memset(text, 'x', sizeof text);
    struct rdb_bytes b = rdb_begin("REDIS0012");
    ADD(&b, "\x04\001k\x03\001a\xc0\x01\001b\x40\x46");
    add(&b, text, sizeof text);
    ADD(&b, "\001a\xc0\x03");
    rdb_end(&b);
    expect_hash(b, 2, "a", "1");
}

Test(rdb_mend, a_set_has_each_member_once)
{
    const struct packed_value twice[] = {TEXT("a"), TEXT("b"), TEXT("a")};
    struct fed fed = expect_mended(LISTPACK(RDB_TYPE_SET_LISTPACK, twice, NOTHING));
    const struct record *r = find(fed.ks, 0, "k");
    struct set s = {record_encoding(r), record_object(r), record_object_inside(r)};
    cr_assert_eq(set_count(&s), 2);
    feed_free(&fed);
}

Test(rdb_mend, a_sorted_set_has_each_member_once_and_its_scores_are_numbers)
{
    const struct packed_value flawed[] = {TEXT("a"), INT(2), TEXT("b"), TEXT("nan"), TEXT("a"), INT(3), TEXT("c")};
    struct fed fed = expect_mended(LISTPACK(RDB_TYPE_ZSET_LISTPACK, flawed, NOTHING));
    const struct record *r = find(fed.ks, 0, "k");
    struct zset z = {record_encoding(r), record_object(r), record_object_inside(r)};
    const struct packed_value a = TEXT("a"), b = TEXT("b");
    double score;
    cr_assert_eq(zset_count(&z), 2);
    cr_assert(zset_score(&z, &a, &score));
    cr_assert_eq(score, 2);
    cr_assert(zset_score(&z, &b, &score));
    cr_assert_eq(score, 0);
    feed_free(&fed);
}

Test(rdb_mend, a_list_keeps_what_can_be_read)
{
    const struct packed_value good[] = {TEXT("a"), INT(7)};
    struct fed fed = expect_mended(listpack_value(RDB_TYPE_LIST_QUICKLIST_2, "\x01\x02", 2, good, 2, BROKEN));
    const struct record *r = find(fed.ks, 0, "k");
    struct list_value l = {record_encoding(r), record_object(r), record_object_inside(r)};
    cr_assert_eq(list_length(&l), 2);
    feed_free(&fed);
}

/* --- a stream's numbers --- */

static const struct stream *stream_in(const struct fed *fed)
{
    const struct record *r = find(fed->ks, 0, "k");
    cr_assert(r && record_type(r) == TYPE_STREAM);
    return record_object(r);
}

/* These are mended whether sanitizing is asked for or not. */
static void expect_numbers(const char *items, size_t len, uint64_t added, struct stream_id last)
{
    struct fed fed = feed_items(items, len), strict = feed_items_as(items, len, feed_sanitized);
    cr_assert_eq(fed.status, RDB_DONE, "%s", fed.error);
    cr_assert_eq(strict.status, RDB_DONE, "%s", strict.error);
    cr_assert_eq(fed.result.keys_mended, 1);
    const struct stream *s = stream_in(&fed);
    cr_assert_eq(s->length, 2);
    cr_assert_eq(s->entries_added, added);
    cr_assert_eq(stream_id_compare(s->last_id, last), 0);
    cr_assert(stream_has(s, (struct stream_id){1, 1}) && stream_has(s, (struct stream_id){2, 0}));
    feed_free(&fed);
    feed_free(&strict);
}

#define NUMBERS(items, ...) expect_numbers(items, sizeof(items) - 1, __VA_ARGS__)

Test(rdb_mend, a_streams_numbers_follow_from_its_entries)
{
    const struct stream_id second = {2, 0};
    NUMBERS("\x0f\001k\x01" STREAM_NODE "\x02\x01\x01\x00", 2, second);
    NUMBERS("\x13\001k\x01" STREAM_NODE "\x02\x02\x00\x01\x01\x00\x00\x01\x00", 2, second);
    NUMBERS("\x13\001k\x01" STREAM_NODE "\x02\x02\x00\x01\x01\x00\x00\x81\xff\xff\xff\xff\xff\xff\xff\xff\x00", 2,
            second);
    NUMBERS("\x13\001k\x01" STREAM_NODE "\x02\x02\x00\x01\x01\x05\x01\x07\x00", 7, ((struct stream_id){5, 1}));
    NUMBERS("\x13\001k\x01" STREAM_NODE "\x02\x02\x00\x01\x01\x00\x00\x02\x01\001g\x02\x00"
            "\x81\xff\xff\xff\xff\xff\xff\xff\xf0\x00\x00",
            2, second);
}

Test(rdb_mend, a_streams_length_is_the_number_of_its_entries)
{
    struct fed fed = FEED_ITEMS("\x0f\001k\x00\x05\x02\x00\x00");
    cr_assert_eq(fed.status, RDB_DONE, "%s", fed.error);
    cr_assert_eq(fed.result.keys_mended, 1);
    cr_assert_eq(stream_in(&fed)->length, 0);
    cr_assert_eq(stream_in(&fed)->entries_added, 0);
    feed_free(&fed);
}

/* Of a stream without entries that is said to have five. */
Test(rdb_mend, pending_entries_of_nobody_stay_to_be_claimed)
{
    struct rdb_bytes b = rdb_begin("REDIS0012");
    ADD(&b, "\x0f\001k\x00\x05\x02\x00\x01\001g\x02\x00\x01" ID_1_1 TIME "\x03\x01\001a" TIME "\x00");
    rdb_end(&b);
    struct fed fed = expect_mended(b);
    const struct stream_group *g = stream_group_find(stream_in(&fed), BYTES("g"));
    const struct stream_pending *p = stream_pending_find(g, (struct stream_id){1, 1});
    cr_assert(p && p->consumer);
    cr_assert(bytes_equal(stream_consumer_name(p->consumer), BYTES("unknown")));
    cr_assert_eq(p->consumer->pending.count, 1);
    cr_assert_eq(p->deliveries, 3);
    feed_free(&fed);
}

/* --- a stream's nodes --- */

/* Entries "f" -> "v" of the node 1-0. */
#define HEAD(alive, deleted)       INT(alive), INT(deleted), INT(1), TEXT("f"), INT(0)
#define ENTRY(flags, ms, elements) INT(flags), INT(ms), INT(0), TEXT("v"), INT(elements)
#define WHOLE(ms)                  ENTRY(2, ms, 4)

/* The node's listpack is said to have so many elements, and the stream so many entries. */
static struct rdb_bytes node_value(const struct packed_value *values, size_t count, uint16_t elements, uint8_t entries)
{
    struct rdb_bytes b = rdb_begin("REDIS0012");
    ADD(&b, "\x0f\001k\x01\x10\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0");
    add_listpack(&b, values, count, NOTHING, elements);
    add(&b, &entries, 1);
    ADD(&b, "\x3f\x00\x00");
    rdb_end(&b);
    return b;
}

/* The entries' milliseconds, each with one pair. */
static void expect_entries(struct rdb_bytes b, size_t count, const uint64_t *ms)
{
    struct fed fed = expect_mended(b);
    const struct stream *s = stream_in(&fed);
    struct stream_cursor c;
    cr_assert_eq(s->length, count);
    for (int backwards = 0; backwards < 2; backwards++) {
        stream_cursor_open(&c, s, STREAM_ID_LEAST, STREAM_ID_MOST, backwards);
        for (size_t i = 0; i < count; i++) {
            struct packed_value field, value;
            cr_assert(stream_cursor_next(&c));
            cr_assert_eq(c.id.ms, ms[backwards ? count - 1 - i : i]);
            cr_assert(stream_cursor_pair(&c, &field, &value));
            cr_assert(value.ptr && *value.ptr == 'v');
        }
        cr_assert_not(stream_cursor_next(&c));
        stream_cursor_close(&c);
    }
    feed_free(&fed);
}

#define ENTRIES(entries, ms, ...)                                                                                      \
    do {                                                                                                               \
        const struct packed_value values_[] = {__VA_ARGS__};                                                           \
        expect_entries(node_value(values_, COUNT(values_), COUNT(values_), entries), COUNT(ms), ms);                   \
    } while (0)

Test(rdb_mend, a_broken_node_keeps_the_entries_that_can_be_read)
{
    static const uint64_t both[] = {1, 2}, one[] = {1};
    ENTRIES(1, one, HEAD(1, 9), WHOLE(0), ENTRY(3, 1, 4));
    ENTRIES(1, one, HEAD(1, -1), WHOLE(0), ENTRY(3, 1, 4));
    ENTRIES(2, both, HEAD(2, 0), WHOLE(1), WHOLE(0));
    ENTRIES(2, one, HEAD(2, 0), WHOLE(0), WHOLE(0));
    ENTRIES(2, both, HEAD(2, 0), ENTRY(10, 0, 4), WHOLE(1));
    const struct packed_value sound[] = {HEAD(1, 0), WHOLE(0)};
    expect_entries(node_value(sound, COUNT(sound), 0, 1), 1, one);
    expect_entries(node_value(sound, COUNT(sound), 9, 1), 1, one);
}

static void expect_refused(const char *items, size_t len)
{
    struct fed fed = feed_items(items, len);
    cr_assert_eq(fed.status, RDB_BAD);
    feed_free(&fed);
}

#define REFUSE(items) expect_refused(items, sizeof(items) - 1)

/* One without elements, and one that does not end where it says. */
Test(rdb_mend, a_node_of_which_nothing_can_be_read_is_refused)
{
    REFUSE("\x0f\001k\x01\x10" ID_1_1 "\x07\x07\0\0\0\0\0\xff\x01\x3f\x00\x00");
    REFUSE("\x0f\001k\x01\x10" ID_1_1 "\x09\x4d\0\0\0\x01\0\x01\x01\xff\x01\x3f\x00\x00");
}
