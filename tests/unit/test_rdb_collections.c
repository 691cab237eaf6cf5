/* Hashes, sets and sorted sets from every form that RDBs have had, whole and damaged, in windows of every size. */
#include "tests/unit/test_rdb_bytes.h"

#include "rdb/format.h"
#include "server/base/alloc.h"
#include "server/data/digest.h"
#include "server/data/hash.h"
#include "server/data/intset.h"
#include "server/data/set.h"
#include "server/data/zset.h"

#include <math.h>
#include <stdio.h>

static void register_types(void)
{
    hash_init();
    hash_register();
    set_register();
    zset_register();
}

TestSuite(rdb_collections, .init = register_types);

/* --- values put together --- */

static void add_length(struct rdb_bytes *b, size_t len)
{
    uint8_t form[5] = {RDB_LENGTH_32_BITS, (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
                       (uint8_t)len};
    add(b, form, sizeof form);
}

static void add_string(struct rdb_bytes *b, struct bytes text)
{
    add_length(b, text.len);
    add(b, text.ptr, text.len);
}

/* An RDB with one value of this type under "k". */
static struct rdb_bytes rdb_of(uint8_t type, struct rdb_bytes value)
{
    struct rdb_bytes b = rdb_begin("REDIS0012");
    add(&b, &type, 1);
    ADD(&b, "\001k");
    add(&b, value.data, value.len);
    rdb_end(&b);
    free(value.data);
    return b;
}

static struct rdb_bytes blob(const void *data, size_t len)
{
    struct rdb_bytes b = {0};
    add_string(&b, bytes_make(data, len));
    return b;
}

#define BLOB(literal) blob(literal, sizeof(literal) - 1)

/* Elements as plain strings behind their number, divided by `per` (pairs are counted once). */
static struct rdb_bytes plain(const char *const *elements, size_t per)
{
    struct rdb_bytes b = {0};
    size_t count = 0;
    while (elements[count]) count++;
    add_length(&b, count / per);
    for (size_t i = 0; i < count; i++) add_string(&b, bytes_from_text(elements[i]));
    return b;
}

static struct rdb_bytes listpack_of(const char *const *elements)
{
    uint8_t *lp = listpack_new(0);
    for (; *elements; elements++) lp = listpack_append(lp, packed_from(bytes_from_text(*elements)));
    struct rdb_bytes b = blob(lp, listpack_bytes(lp));
    listpack_free(lp);
    return b;
}

/* Short strings and one-byte integers alone. */
static struct rdb_bytes ziplist_of(const char *const *elements)
{
    struct rdb_bytes z = {0};
    uint32_t tail = 10;
    uint16_t count = 0;
    size_t before = 0;
    ADD(&z, "\0\0\0\0\0\0\0\0\0\0");
    for (; *elements; elements++, count++) {
        uint8_t head[2] = {(uint8_t)before, 0xfe};
        int64_t integer;
        size_t begin = tail = (uint32_t)z.len;
        if (parse_i64(bytes_from_text(*elements), &integer) == 0 && integer > 12 && integer < 128) {
            int8_t byte = (int8_t)integer;
            add(&z, head, 2);
            add(&z, &byte, 1);
        } else {
            head[1] = (uint8_t)strlen(*elements);
            add(&z, head, 2);
            add(&z, *elements, head[1]);
        }
        before = z.len - begin;
    }
    ADD(&z, "\xff");
    uint32_t total = (uint32_t)z.len;
    memcpy(z.data, &total, 4);
    memcpy(z.data + 4, &tail, 4);
    memcpy(z.data + 8, &count, 2);
    struct rdb_bytes b = blob(z.data, z.len);
    free(z.data);
    return b;
}

/* --- checks --- */

static void digest_of(struct fed *fed, uint8_t out[DIGEST_BYTES])
{
    const struct record *r = find(fed->ks, 0, "k");
    cr_assert(r);
    record_digest_value(r, out);
}

static void refused(uint8_t type, struct rdb_bytes value)
{
    struct rdb_bytes b = rdb_of(type, value);
    struct fed fed = feed_sanitized(b);
    cr_assert_eq(fed.status, RDB_BAD, "type %d", type);
    cr_assert_null(find(fed.ks, 0, "k"));
    feed_free(&fed);
    free(b.data);
}

/* A collection without elements: the rest of the file is loaded, but no key is made of it. */
static void skipped(uint8_t type, struct rdb_bytes value)
{
    struct rdb_bytes b = rdb_of(type, value);
    struct fed fed = feed(b);
    cr_assert_eq(fed.status, RDB_DONE, "type %d: %s", type, fed.error);
    cr_assert_eq(database_size(keyspace_database(fed.ks, 0)), 0);
    cr_assert_eq(fed.result.keys_empty, 1);
    cr_assert_eq(fed.result.keys_loaded, 0);
    feed_free(&fed);
    free(b.data);
}

/* Loads in windows of several steps; the digest and the encoding do not depend on them. */
static void loaded(uint8_t type, struct rdb_bytes value, enum value_encoding encoding, uint8_t digest[DIGEST_BYTES])
{
    static const size_t steps[] = {1, 7, 64, 1 << 20};
    struct rdb_bytes b = rdb_of(type, value);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct rdb_read_options options = {.now_ms = NOW_MS};
        struct fed fed = feed_with(b, steps[i], &options);
        cr_assert_eq(fed.status, RDB_DONE, "type %d: %s", type, fed.error);
        cr_assert_eq(record_encoding(find(fed.ks, 0, "k")), encoding, "type %d", type);
        digest_of(&fed, digest);
        feed_free(&fed);
    }
    free(b.data);
}

/* The same value in several forms. */
static void same(uint8_t type, struct rdb_bytes value, enum value_encoding encoding,
                 const uint8_t expected[DIGEST_BYTES])
{
    uint8_t digest[DIGEST_BYTES];
    loaded(type, value, encoding, digest);
    cr_assert_arr_eq(digest, expected, DIGEST_BYTES, "type %d", type);
}

static const char *const pairs[] = {"a", "1", "field", "value", "17", "100", "", "empty", NULL};
static const char *const twice[] = {"a", "1", "b", "2", "a", "3", NULL};
static const char *const odd[] = {"a", "1", "b", NULL};
#define LONG "a value that is too long for a hash that is packed: it makes a table of it"
static const char *const twice_in_table[] = {"a", "1", "b", LONG, "a", "3", NULL};
static const char *const none[] = {NULL};

Test(rdb_collections, empty_ones_are_skipped)
{
    skipped(RDB_TYPE_HASH, plain(none, 2));
    skipped(RDB_TYPE_HASH_LISTPACK, listpack_of(none));
    skipped(RDB_TYPE_HASH_ZIPLIST, ziplist_of(none));
    skipped(RDB_TYPE_SET, plain(none, 1));
    skipped(RDB_TYPE_SET_LISTPACK, listpack_of(none));
    skipped(RDB_TYPE_ZSET, plain(none, 2));
    skipped(RDB_TYPE_ZSET_2, plain(none, 2));
    skipped(RDB_TYPE_ZSET_LISTPACK, listpack_of(none));
    skipped(RDB_TYPE_ZSET_ZIPLIST, ziplist_of(none));
}

/* --- hashes --- */

Test(rdb_collections, hash_in_every_form)
{
    uint8_t digest[DIGEST_BYTES];
    loaded(RDB_TYPE_HASH, plain(pairs, 2), ENCODING_LISTPACK, digest);
    same(RDB_TYPE_HASH_LISTPACK, listpack_of(pairs), ENCODING_LISTPACK, digest);
    same(RDB_TYPE_HASH_ZIPLIST, ziplist_of(pairs), ENCODING_LISTPACK, digest);
    static const char zipmap[] = "\004\001a\001\0001\005field\005\002value..\00217\003\000100\000\005\000empty\xff";
    same(RDB_TYPE_HASH_ZIPMAP, blob(zipmap, sizeof zipmap - 1), ENCODING_LISTPACK, digest);
}

Test(rdb_collections, damaged_hashes)
{
    refused(RDB_TYPE_HASH, plain(twice_in_table, 2));
    refused(RDB_TYPE_HASH_LISTPACK, BLOB("\007\0\0\0\0\0"));
    refused(RDB_TYPE_HASH_ZIPLIST, ziplist_of(twice));
    refused(RDB_TYPE_HASH_ZIPLIST, ziplist_of(odd));
    refused(RDB_TYPE_HASH_ZIPMAP, BLOB("\0\xff"));
    refused(RDB_TYPE_HASH_ZIPMAP, BLOB("\002\001a\001\0001\001a\001\0001\xff"));
}

Test(rdb_collections, large_hash)
{
    struct rdb_bytes b = {0};
    uint8_t digest[DIGEST_BYTES];
    add_length(&b, 5000);
    for (int i = 0; i < 5000; i++) {
        char text[32];
        add_string(&b, bytes_make(text, (size_t)snprintf(text, sizeof text, "field:%d", i)));
        add_string(&b, bytes_make(text, (size_t)snprintf(text, sizeof text, "%d", i * 7)));
    }
    struct rdb_bytes again = {0};
    add(&again, b.data, b.len);
    loaded(RDB_TYPE_HASH, b, ENCODING_HASHTABLE, digest);
    again.data[4] += 1; /* one more than there are: the end of the file stands where a field should */
    refused(RDB_TYPE_HASH, again);
}

/* --- sets --- */

static const char *const members[] = {"a", "17", "member", "", "100", NULL};
static const char *const same_member[] = {"a", "b", "a", NULL};
/* An intset turns into a listpack in between. */
static const char *const turned[] = {"300", "a", "300", NULL};
static const char *const turned_text[] = {"300", "", "", NULL};
static const char *const integers[] = {"1", "2", "300", "-5", NULL};

static struct rdb_bytes intset_of(const int64_t *values, size_t count)
{
    uint8_t *is = intset_new();
    bool added;
    for (size_t i = 0; i < count; i++) is = intset_add(is, values[i], &added);
    struct rdb_bytes b = blob(is, intset_bytes(is));
    intset_free(is);
    return b;
}

Test(rdb_collections, set_in_every_form)
{
    uint8_t digest[DIGEST_BYTES];
    static const int64_t values[] = {1, 2, 300, -5};
    loaded(RDB_TYPE_SET, plain(members, 1), ENCODING_LISTPACK, digest);
    same(RDB_TYPE_SET_LISTPACK, listpack_of(members), ENCODING_LISTPACK, digest);
    loaded(RDB_TYPE_SET, plain(integers, 1), ENCODING_INTSET, digest);
    same(RDB_TYPE_SET_INTSET, intset_of(values, 4), ENCODING_INTSET, digest);
    int64_t many[600];
    for (int i = 0; i < 600; i++) many[i] = i * 1000;
    loaded(RDB_TYPE_SET_INTSET, intset_of(many, 600), ENCODING_HASHTABLE, digest);
}

Test(rdb_collections, damaged_sets)
{
    refused(RDB_TYPE_SET, plain(same_member, 1));
    refused(RDB_TYPE_SET, plain(turned, 1));
    refused(RDB_TYPE_SET, plain(turned_text, 1));
    refused(RDB_TYPE_SET_LISTPACK, BLOB("\007\0\0\0\0\0"));
    refused(RDB_TYPE_SET_INTSET, intset_of(NULL, 0));
    refused(RDB_TYPE_SET_INTSET, BLOB("\002\0\0\0\003\0\0\0\001\0\002\0")); /* one is missing */
}

/* --- sorted sets --- */

static const char *const scored[] = {"b", "-1.5", "17", "0", "a", "1", "c", "100", NULL};
static const char *const disordered[] = {"c", "100", "b", "-1.5", "a", "1", "17", "0", NULL};
static const char *const no_number[] = {"a", "one", NULL};

static struct rdb_bytes zset_binary(const double *scores, size_t count)
{
    struct rdb_bytes b = {0};
    add_length(&b, count);
    for (size_t i = 0; i < count; i++) {
        char text[32];
        add_string(&b, bytes_make(text, (size_t)snprintf(text, sizeof text, "m%zu", i)));
        add(&b, &scores[i], sizeof scores[i]);
    }
    return b;
}

Test(rdb_collections, zset_in_every_form)
{
    uint8_t digest[DIGEST_BYTES];
    loaded(RDB_TYPE_ZSET_LISTPACK, listpack_of(scored), ENCODING_LISTPACK, digest);
    same(RDB_TYPE_ZSET_LISTPACK, listpack_of(disordered), ENCODING_LISTPACK, digest);
    same(RDB_TYPE_ZSET_ZIPLIST, ziplist_of(scored), ENCODING_LISTPACK, digest);
    struct rdb_bytes text = {0};
    ADD(&text, "\004\001b\004-1.5\00217\0010\001a\0011\001c\003100");
    same(RDB_TYPE_ZSET, text, ENCODING_LISTPACK, digest);
    struct rdb_bytes infinite = {0};
    ADD(&infinite, "\003\002m0\xff\002m1\xfe\002m2\0015");
    static const double scores[] = {-INFINITY, INFINITY, 5};
    loaded(RDB_TYPE_ZSET, infinite, ENCODING_LISTPACK, digest);
    same(RDB_TYPE_ZSET_2, zset_binary(scores, 3), ENCODING_LISTPACK, digest);
}

Test(rdb_collections, large_zset_in_any_order)
{
    static double scores[3000];
    uint8_t digest[DIGEST_BYTES];
    for (int shape = 0; shape < 3; shape++) {
        for (int i = 0; i < 3000; i++) scores[i] = shape == 0 ? i : shape == 1 ? -i : i * 7919 % 3001;
        loaded(RDB_TYPE_ZSET_2, zset_binary(scores, 3000), ENCODING_SKIPLIST, digest);
    }
}

/* Written down as it comes, until that cannot go on: in no order, an entry that is too long, too many of them. */
Test(rdb_collections, small_zset_in_any_order)
{
    static double scores[200];
    uint8_t expected[DIGEST_BYTES], digest[DIGEST_BYTES];
    for (int i = 0; i < 100; i++) scores[i] = i / 3;
    loaded(RDB_TYPE_ZSET_2, zset_binary(scores, 100), ENCODING_LISTPACK, expected);
    for (int from = 0; from < 100; from += 33) {
        struct rdb_bytes b = {0};
        add_length(&b, 100);
        for (int n = 0; n < 100; n++) {
            int i = from == 99 ? 99 - n : (n * 7 + from) % 100;
            char name[16];
            snprintf(name, sizeof name, "m%d", i);
            add_string(&b, bytes_from_text(name));
            add(&b, &scores[i], sizeof scores[i]);
        }
        same(RDB_TYPE_ZSET_2, b, ENCODING_LISTPACK, expected);
    }
    for (int i = 0; i < 129; i++) scores[i] = -i;
    loaded(RDB_TYPE_ZSET_2, zset_binary(scores, 128), ENCODING_LISTPACK, digest);
    loaded(RDB_TYPE_ZSET_2, zset_binary(scores, 129), ENCODING_SKIPLIST, digest);
    struct rdb_bytes with_long_one = {0};
    add_length(&with_long_one, 2);
    for (int i = 0; i < 2; i++) {
        add_string(&with_long_one, bytes_from_text(i ? LONG : "short"));
        add(&with_long_one, &scores[i], sizeof scores[i]);
    }
    loaded(RDB_TYPE_ZSET_2, with_long_one, ENCODING_SKIPLIST, digest);
}

Test(rdb_collections, damaged_zsets)
{
    static const double nan_score[] = {1, NAN};
    struct rdb_bytes text_nan = {0}, text_word = {0};
    ADD(&text_nan, "\001\001a\xfd");
    ADD(&text_word, "\001\001a\003one");
    refused(RDB_TYPE_ZSET, text_nan);
    refused(RDB_TYPE_ZSET, text_word);
    refused(RDB_TYPE_ZSET_2, zset_binary(nan_score, 2));
    refused(RDB_TYPE_ZSET_LISTPACK, listpack_of(no_number));
    refused(RDB_TYPE_ZSET_ZIPLIST, ziplist_of(twice));
    refused(RDB_TYPE_ZSET_ZIPLIST, ziplist_of(odd));
    refused(RDB_TYPE_ZSET_ZIPLIST, ziplist_of(no_number));
}

/* --- text that should be an integer --- */

/* Integers as a listpack never holds them when it is of Redis's making or ours: as text. */
static struct rdb_bytes listpack_of_texts(const char *const *elements)
{
    struct rdb_bytes lp = {0};
    uint16_t count = 0;
    ADD(&lp, "\0\0\0\0\0\0");
    for (; *elements; elements++, count++) {
        uint8_t len = (uint8_t)strlen(*elements), head = 0x80 | len, back = len + 1;
        add(&lp, &head, 1);
        add(&lp, *elements, len);
        add(&lp, &back, 1);
    }
    ADD(&lp, "\xff");
    uint32_t total = (uint32_t)lp.len;
    memcpy(lp.data, &total, sizeof total);
    memcpy(lp.data + 4, &count, sizeof count);
    struct rdb_bytes b = blob(lp.data, lp.len);
    free(lp.data);
    return b;
}

Test(rdb_collections, integers_as_text_are_found)
{
    struct rdb_bytes b = rdb_of(RDB_TYPE_HASH_LISTPACK, listpack_of_texts(pairs));
    struct fed fed = feed(b);
    cr_assert_eq(fed.status, RDB_DONE, "%s", fed.error);
    const struct record *r = find(fed.ks, 0, "k");
    struct hash h = {record_encoding(r), record_object(r), record_object_inside(r), 0};
    struct packed_value value;
    cr_assert(hash_get(&h, BYTES("17"), &value));
    feed_free(&fed);
    free(b.data);

    b = rdb_of(RDB_TYPE_SET_LISTPACK, listpack_of_texts(members));
    fed = feed(b);
    cr_assert_eq(fed.status, RDB_DONE, "%s", fed.error);
    r = find(fed.ks, 0, "k");
    struct set s = {record_encoding(r), record_object(r), record_object_inside(r)};
    struct packed_value member = packed_integer(17);
    cr_assert(set_contains(&s, &member));
    feed_free(&fed);
    free(b.data);

    uint8_t digest[DIGEST_BYTES];
    loaded(RDB_TYPE_ZSET_LISTPACK, listpack_of(scored), ENCODING_LISTPACK, digest);
    same(RDB_TYPE_ZSET_LISTPACK, listpack_of_texts(scored), ENCODING_LISTPACK, digest);
}

Test(rdb_collections, an_integer_and_its_text_are_the_same)
{
    struct rdb_bytes b = {0};
    ADD(&b, "\x02\xc0\x11\x02"
            "17");
    refused(RDB_TYPE_SET, b);
}

/* --- what a few bytes may cost --- */

Test(rdb_collections, an_announced_number_is_not_believed)
{
    static const uint8_t types[] = {RDB_TYPE_LIST,
                                    RDB_TYPE_SET,
                                    RDB_TYPE_ZSET,
                                    RDB_TYPE_HASH,
                                    RDB_TYPE_ZSET_2,
                                    RDB_TYPE_LIST_QUICKLIST,
                                    RDB_TYPE_LIST_QUICKLIST_2};
    for (size_t i = 0; i < sizeof types; i++) {
        struct rdb_bytes b = rdb_begin("REDIS0012");
        add(&b, &types[i], 1);
        ADD(&b, "\001k\x80\0\x10\0\0");
        struct rdb_read_options options = {.now_ms = NOW_MS};
        struct keyspace *ks = new_keyspace();
        struct rdb_reader *reader = rdb_reader_new(ks, &options);
        size_t consumed, before = mem_used();
        cr_assert_eq(rdb_reader_feed(reader, b.data, b.len, 0, &consumed), RDB_MORE);
        cr_assert_eq(consumed, b.len);
        cr_assert_lt(mem_used() - before, 8192, "type %d", types[i]);
        rdb_reader_free(reader);
        keyspace_free(ks);
        free(b.data);
    }
}
