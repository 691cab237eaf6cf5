/* Lists in an RDB: every form that Redis has written, whole, in single bytes, and damaged. */
#include "tests/unit/test_rdb_bytes.h"

#include "rdb/writer.h"
#include "server/data/list.h"

static void set_up(void)
{
    list_register();
}

TestSuite(rdb_list, .init = set_up, .timeout = 60);

#define PLAIN                                                                                                          \
    "\x01\001k\x04\001a\x00\xc1\x2c\x01\x02"                                                                           \
    "12"
#define ZIPLIST "\x0a\001k\x13\x13\x00\x00\x00\x0f\x00\x00\x00\x03\x00\x00\001a\x03\x00\x02\xfe\x0c\xff"
#define QUICKLIST                                                                                                      \
    "\x0e\001k\x02\x0e\x0e\x00\x00\x00\x0a\x00\x00\x00\x01\x00\x00\001a\xff"                                           \
    "\x0f\x0f\x00\x00\x00\x0c\x00\x00\x00\x02\x00\x00\xf1\x02\xf2\xff"
#define QUICKLIST_2                                                                                                    \
    "\x12\001k\x03\x02\x0c\x0c\x00\x00\x00\x02\x00\x81\x61\x02\x7f\x01\xff"                                            \
    "\x01\x03xyz"                                                                                                      \
    "\x02\x09\x09\x00\x00\x00\x01\x00\x05\x01\xff"

static void expect_list(const struct fed *fed, const char *joined)
{
    cr_assert_eq(fed->status, RDB_DONE, "%s", fed->error);
    const struct record *r = find(fed->ks, 0, "k");
    cr_assert(r && record_type(r) == TYPE_LIST);
    struct list_value l = {record_encoding(r), record_object(r), record_object_inside(r)};
    struct list_cursor c;
    char got[256] = "", scratch[I64_TEXT_MAX];
    for (bool on = list_seek(&l, 0, &c); on; on = list_cursor_next(&c)) {
        struct packed_value v = list_cursor_value(&c);
        struct bytes text = packed_text(&v, scratch);
        strncat(got, (const char *)text.ptr, text.len);
        strcat(got, ",");
    }
    list_cursor_close(&c);
    cr_assert_str_eq(got, joined);
}

static void expect_at_every_step(const char *items, size_t len, const char *joined)
{
    struct rdb_bytes b = rdb_begin("REDIS0010");
    struct rdb_read_options options = {.now_ms = NOW_MS};
    add(&b, items, len);
    rdb_end(&b);
    for (size_t step = 1; step < 20; step++) {
        struct fed fed = feed_with(b, step, &options);
        expect_list(&fed, joined);
        feed_free(&fed);
    }
    free(b.data);
}

#define EXPECT(items, joined) expect_at_every_step(items, sizeof(items) - 1, joined)

Test(rdb_list, every_form_is_read)
{
    EXPECT(PLAIN, "a,,300,12,");
    EXPECT(ZIPLIST, "a,,12,");
    EXPECT(QUICKLIST, "a,0,1,");
    EXPECT(QUICKLIST_2, "a,127,xyz,5,");
}

Test(rdb_list, what_is_broken_is_refused)
{
    REFUSE_FOR("\x0a\001k\x0b\x0b\x00\x00\x00\x0b\x00\x00\x00\x00\x00\xff", "ziplist is broken");
    REFUSE_FOR("\x12\001k\x01\x02\x09\x0a\x00\x00\x00\x01\x00\x05\x01\xff", "listpack is broken");
    REFUSE_FOR("\x12\001k\x01\x03\x01x", "unknown list container 3");
}

static void expect_skipped(const char *items, size_t len)
{
    struct fed fed = feed_items(items, len);
    cr_assert_eq(fed.status, RDB_DONE, "%s", fed.error);
    cr_assert_eq(fed.result.keys_empty, 1);
    cr_assert_eq(fed.result.keys_loaded, 1);
    cr_assert(!find(fed.ks, 0, "k") && holds(fed.ks, 0, "other", BYTES("v")));
    feed_free(&fed);
}

#define OTHER         "\x00\005other\001v"
#define EMPTY_ZIPLIST "\x0b\x0b\x00\x00\x00\x0a\x00\x00\x00\x00\x00\xff"
#define SKIP(items)   expect_skipped(items OTHER, sizeof(items OTHER) - 1)

Test(rdb_list, empty_ones_are_skipped)
{
    SKIP("\x01\001k\x00");
    SKIP("\x0a\001k" EMPTY_ZIPLIST);
    SKIP("\x0e\001k\x00");
    SKIP("\x0e\001k\x02" EMPTY_ZIPLIST EMPTY_ZIPLIST);
    SKIP("\x12\001k\x00");
    SKIP("\x12\001k\x01\x02\x07\x07\x00\x00\x00\x00\x00\xff");
    EXPECT("\x0e\001k\x02\x0e\x0e\x00\x00\x00\x0a\x00\x00\x00\x01\x00\x00\001a\xff" EMPTY_ZIPLIST, "a,");
}

/* Text that should be an integer is one in our listpacks. */
Test(rdb_list, integers_as_text)
{
    struct fed fed = FEED_ITEMS("\x12\001k\x01\x02\x0a\x0a\x00\x00\x00\x01\x00\x81"
                                "5\x02\xff");
    cr_assert_eq(fed.status, RDB_DONE, "%s", fed.error);
    const struct record *r = find(fed.ks, 0, "k");
    struct list_value l = {record_encoding(r), record_object(r), record_object_inside(r)};
    struct packed_value v = list_at_end(&l, LIST_HEAD);
    cr_assert(!v.ptr && v.integer == 5);
    feed_free(&fed);
}

Test(rdb_list, no_damage_does_harm)
{
    damage_each_bit(PLAIN, sizeof PLAIN - 1);
    damage_each_bit(ZIPLIST, sizeof ZIPLIST - 1);
    damage_each_bit(QUICKLIST, sizeof QUICKLIST - 1);
    damage_each_bit(QUICKLIST_2, sizeof QUICKLIST_2 - 1);
}

Test(rdb_list, what_was_written_reads_back)
{
    struct fed fed = FEED_ITEMS(QUICKLIST_2);
    struct rdb_write_options options = {.checksum = true};
    struct rdb_aux aux = {.repl_stream_db = -1};
    struct rdb_bytes written = {0};
    cr_assert_eq(rdb_write_keyspace(fed.ks, &aux, &options, collect, &written), 0);
    cr_assert_eq(memcmp(written.data, "REDIS0009", 9), 0);
    struct fed again = feed(written);
    expect_list(&again, "a,127,xyz,5,");
    feed_free(&again);
    feed_free(&fed);
    free(written.data);
}
