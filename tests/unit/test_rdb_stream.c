/* Streams in an RDB: every version, whole, in single bytes, and damaged. */
#include "tests/unit/test_rdb_bytes.h"

#include "rdb/dump.h"
#include "rdb/writer.h"
#include "server/base/alloc.h"
#include "server/data/stream_group.h"

static void set_up(void)
{
    stream_register();
}

TestSuite(rdb_stream, .init = set_up, .timeout = 60);

#define STREAM_1                                                                                                       \
    "\x0f\001k\x01" STREAM_NODE "\x02\x02\x00\x01\001g\x01\x01\x01" ID_1_1 TIME "\x03\x02\001a" TIME "\x01" ID_1_1     \
    "\001b" TIME "\x00"
#define STREAM_2                                                                                                       \
    "\x13\001k\x01" STREAM_NODE "\x02\x05\x00\x01\x01\x04\x00\x05\x01\001g\x01\x01\x02\x01" ID_1_1 TIME                \
    "\x03\x01\001a" TIME "\x01" ID_1_1
#define STREAM_3                                                                                                       \
    "\x15\001k\x01" STREAM_NODE "\x02\x05\x00\x01\x01\x04\x00\x05\x01\001g\x01\x01\x02\x01" ID_1_1 TIME                \
    "\x03\x01\001a" TIME "\x11\x27\0\0\0\0\0\0\x01" ID_1_1
#define EMPTY "\x0f\001k\x00\x00\x07\x08\x00"

static struct stream *loaded(const struct fed *fed)
{
    cr_assert_eq(fed->status, RDB_DONE, "%s", fed->error);
    const struct record *r = find(fed->ks, 0, "k");
    cr_assert(r && record_type(r) == TYPE_STREAM);
    return record_object(r);
}

static void expect_stream(const struct fed *fed, uint64_t added, int64_t read, int64_t active_ms)
{
    const struct stream *s = loaded(fed);
    const struct stream_group *g = stream_group_find(s, BYTES("g"));
    cr_assert_eq(s->length, 2);
    cr_assert(stream_has(s, (struct stream_id){1, 1}) && stream_has(s, (struct stream_id){2, 0}));
    cr_assert_eq(s->entries_added, added);
    cr_assert(g);
    cr_assert_eq(g->entries_read, read);
    const struct stream_consumer *a = stream_consumer_find(g, BYTES("a"));
    const struct stream_pending *p = stream_pending_find(g, (struct stream_id){1, 1});
    cr_assert(a && p && p->consumer == a);
    cr_assert_eq(p->deliveries, 3);
    cr_assert_eq(p->delivered_ms, 10000);
    cr_assert_eq(a->active_ms, active_ms);
}

static void expect_at_every_step(const char *items, size_t len, uint64_t added, int64_t read, int64_t active_ms)
{
    struct rdb_bytes b = rdb_begin("REDIS0011");
    struct rdb_read_options options = {.now_ms = NOW_MS};
    add(&b, items, len);
    rdb_end(&b);
    for (size_t step = 1; step < 40; step++) {
        struct fed fed = feed_with(b, step, &options);
        expect_stream(&fed, added, read, active_ms);
        feed_free(&fed);
    }
    free(b.data);
}

#define EXPECT(items, ...) expect_at_every_step(items, sizeof(items) - 1, __VA_ARGS__)

Test(rdb_stream, every_version_is_read)
{
    EXPECT(STREAM_1, 2, 1, 10000);
    EXPECT(STREAM_2, 5, 2, 10000);
    EXPECT(STREAM_3, 5, 2, 10001);
    struct fed fed = FEED_ITEMS(EMPTY);
    cr_assert_eq(loaded(&fed)->length, 0);
    cr_assert_eq(loaded(&fed)->last_id.seq, 8);
    feed_free(&fed);
}

Test(rdb_stream, what_is_broken_is_refused)
{
    REFUSE_FOR("\x0f\001k\x01\x03xyz\x01x", "not named by an id");
    REFUSE_FOR("\x0f\001k\x02" STREAM_NODE STREAM_NODE, "out of order");
    REFUSE_FOR("\x0f\001k\x00\x00\x00\x00\x02\001g\x00\x00\x00\x00\001g\x00\x00\x00\x00", "same group twice");
    REFUSE_FOR("\x0f\001k\x00\x00\x00\x00\x01\001g\x00\x00\x00\x02\001a" TIME "\x00\001a" TIME "\x00",
               "consumer twice");
    REFUSE_FOR("\x0f\001k\x00\x00\x00\x00\x01\001g\x00\x00\x00\x01\001a" TIME "\x01" ID_1_1, "not its own");
    REFUSE_FOR("\x0f\001k\x00\x05\x00\x00\x01\001g\x00\x00\x01" ID_1_1 TIME "\x03\x00", "without consumer");
    REFUSE_FOR("\x0f\001k\x00\x00\x00\x00\x01\001g\x00\x00\x02" ID_1_1 TIME "\x03" ID_1_1 TIME "\x03", "pending twice");
}

Test(rdb_stream, no_damage_does_harm)
{
    damage_each_bit(STREAM_1, sizeof STREAM_1 - 1);
    damage_each_bit(STREAM_2, sizeof STREAM_2 - 1);
    damage_each_bit(STREAM_3, sizeof STREAM_3 - 1);
}

static struct rdb_bytes written_for(const struct fed *fed, enum rdb_write_for write_for)
{
    struct rdb_write_options options = {.checksum = true, .write_for = write_for};
    struct rdb_aux aux = {.repl_stream_db = -1};
    struct rdb_bytes b = {0};
    cr_assert_eq(rdb_write_keyspace(fed->ks, &aux, &options, collect, &b), 0);
    return b;
}

static struct rdb_bytes written(const struct fed *fed)
{
    return written_for(fed, RDB_FOR_7_0);
}

static bool has_item(struct rdb_bytes b, const char *item, size_t len)
{
    return memmem(b.data, b.len, item, len) != NULL;
}

/* The version at the end of the payload of the stream under "k". */
static unsigned dumped_version(const struct fed *fed)
{
    struct rdb_payload p = rdb_dump(find(fed->ks, 0, "k"), true, RDB_FOR_7_0);
    unsigned version = p.data[p.len - 10] | (unsigned)p.data[p.len - 9] << 8;
    mem_free(p.data);
    return version;
}

Test(rdb_stream, a_payload_says_which_version_it_needs)
{
    struct fed first = FEED_ITEMS(STREAM_1), second = FEED_ITEMS(STREAM_2);
    cr_assert_eq(dumped_version(&first), 9);
    cr_assert_eq(dumped_version(&second), 10);
    feed_free(&first);
    feed_free(&second);
}

Test(rdb_stream, the_lowest_version_that_suffices_is_written)
{
    struct fed first = FEED_ITEMS(STREAM_1), second = FEED_ITEMS(STREAM_3);
    struct rdb_bytes one = written(&first), two = written(&second);
    cr_assert(has_item(one, STREAM_1, sizeof STREAM_1 - 1));
    cr_assert(has_item(two, STREAM_2, sizeof STREAM_2 - 1));
    cr_assert_eq(memcmp(one.data, "REDIS0009", 9), 0);
    cr_assert_eq(memcmp(two.data, "REDIS0010", 9), 0);
    struct fed again = feed(two);
    expect_stream(&again, 5, 2, 10000);
    feed_free(&again);
    feed_free(&first);
    feed_free(&second);
    free(one.data);
    free(two.data);
}

/* STREAM_3 has entries that were deleted, a group that has read more than is there, and a consumer's activity. */
Test(rdb_stream, what_an_older_redis_has_no_room_for_is_left_out)
{
    struct fed fed = FEED_ITEMS(STREAM_3);
    struct rdb_bytes old = written_for(&fed, RDB_FOR_6_2), newest = written_for(&fed, RDB_FOR_7_2);
    cr_assert_eq(memcmp(old.data, "REDIS0009", 9), 0);
    cr_assert_eq(memcmp(newest.data, "REDIS0011", 9), 0);
    cr_assert(has_item(newest, STREAM_3, sizeof STREAM_3 - 1));
    struct fed from_old = feed(old), from_newest = feed(newest);
    expect_stream(&from_old, 2, 1, 10000);
    expect_stream(&from_newest, 5, 2, 10001);
    feed_free(&from_old);
    feed_free(&from_newest);
    feed_free(&fed);
    free(old.data);
    free(newest.data);
}

Test(rdb_stream, no_later_version_is_written_than_needed)
{
    struct fed first = FEED_ITEMS(STREAM_1), second = FEED_ITEMS(STREAM_2);
    struct rdb_bytes one = written_for(&first, RDB_FOR_7_0), two = written_for(&second, RDB_FOR_7_2);
    cr_assert_eq(memcmp(one.data, "REDIS0009", 9), 0);
    cr_assert_eq(memcmp(two.data, "REDIS0010", 9), 0);
    feed_free(&first);
    feed_free(&second);
    free(one.data);
    free(two.data);
}
