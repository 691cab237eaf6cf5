/* Payloads of DUMP and RESTORE: there and back, and every byte of damage is noticed before anything is stored. */
#include "tests/unit/test_rdb_bytes.h"

#include "rdb/dump.h"
#include "server/base/alloc.h"
#include "server/base/random.h"
#include "server/data/hash.h"
#include "server/data/list.h"
#include "server/data/set.h"
#include "server/data/stream.h"
#include "server/data/zset.h"

static void set_up(void)
{
    list_register();
    set_register();
    zset_register();
    hash_register();
    stream_register();
}

TestSuite(dump, .init = set_up, .timeout = 60);

static struct record *put(struct keyspace *ks, const char *key, struct bytes value)
{
    struct bytes k = bytes_from_text(key);
    return database_set_string(keyspace_database(ks, 0), k, key_hash(k), value, false);
}

static bool store(struct keyspace *ks, const char *key, struct bytes payload)
{
    struct rdb_restored restored;
    struct bytes k = bytes_from_text(key);
    if (!rdb_payload_intact(payload, true) || !rdb_restore(payload, true, &restored)) return false;
    rdb_restored_store(&restored, keyspace_database(ks, 0), k, key_hash(k));
    return true;
}

/* The body with a version and the right checksum, in memory of its exact size. */
static struct bytes seal(const char *body, size_t len, unsigned version)
{
    uint8_t *data = malloc(len + 10);
    memcpy(data, body, len);
    data[len] = (uint8_t)version;
    data[len + 1] = (uint8_t)(version >> 8);
    uint64_t sum = crc64(0, data, len + 2);
    memcpy(data + len + 2, &sum, sizeof sum);
    return bytes_make(data, len + 10);
}

Test(dump, strings_come_back)
{
    static const char *const values[] = {
        "", "a", "12", "-99999", "123456789012", "0012", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    struct keyspace *ks = new_keyspace();
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct bytes value = bytes_from_text(values[i]);
        struct rdb_payload p = rdb_dump(put(ks, "from", value), i % 2, RDB_FOR_7_0);
        cr_assert(store(ks, "to", bytes_make(p.data, p.len)));
        cr_assert(holds(ks, 0, "to", value));
        mem_free(p.data);
    }
    keyspace_free(ks);
}

/* As redis-server 7.0.15 answers DUMP for SET k hello, and for RPUSH k a b. */
Test(dump, payloads_of_redis_load)
{
    static const char string
        [] = "\000\005\150\145\154\154\157\012\000\143\162\337\166\145\064\040\012",
  list[] =
        "\022\001\002\015\015\000\000\000\002\000\201\141\002\201\142\002\377\012\000\150\353\012\211\023\101\273\261";
    struct keyspace *ks = new_keyspace();
    cr_assert(store(ks, "s", bytes_make(string, sizeof string - 1)));
    cr_assert(holds(ks, 0, "s", BYTES("hello")));
    cr_assert(store(ks, "l", bytes_make(list, sizeof list - 1)));
    const struct record *r = find(ks, 0, "l");
    struct list_value l = {record_encoding(r), record_object(r), record_object_inside(r)};
    cr_assert_eq(list_length(&l), 2);
    keyspace_free(ks);
}

Test(dump, the_lowest_version_is_written)
{
    struct keyspace *ks = new_keyspace();
    struct rdb_payload p = rdb_dump(put(ks, "k", BYTES("v")), true, RDB_FOR_7_0);
    cr_assert_eq(p.data[p.len - 10], 9);
    cr_assert_eq(p.data[p.len - 9], 0);
    mem_free(p.data);
    keyspace_free(ks);
}

Test(dump, every_flipped_bit_is_noticed)
{
    struct keyspace *ks = new_keyspace();
    struct rdb_payload p = rdb_dump(put(ks, "k", BYTES("some text that is long enough")), true, RDB_FOR_7_0);
    for (size_t bit = 0; bit < 8 * p.len; bit++) {
        p.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        cr_assert_not(rdb_payload_intact(bytes_make(p.data, p.len), true));
        p.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t len = 0; len < p.len; len++) cr_assert_not(rdb_payload_intact(bytes_make(p.data, len), true));
    mem_free(p.data);
    keyspace_free(ks);
}

#define EXPECT_REFUSED(body)                                                                                           \
    do {                                                                                                               \
        struct bytes payload = seal(body, sizeof(body) - 1, 9);                                                        \
        struct rdb_restored restored;                                                                                  \
        cr_assert(rdb_payload_intact(payload, true));                                                                  \
        cr_assert_not(rdb_restore(payload, true, &restored));                                                          \
        free((void *)payload.ptr);                                                                                     \
    } while (0)

Test(dump, sealed_nonsense_is_refused)
{
    EXPECT_REFUSED("");
    EXPECT_REFUSED("\x00");
    EXPECT_REFUSED("\x00\x04"
                   "abc");
    EXPECT_REFUSED("\x00\x02"
                   "abc");
    EXPECT_REFUSED("\x01\x00");
    EXPECT_REFUSED("\x01\x02\x01"
                   "a");
    EXPECT_REFUSED("\x63\x01");
    EXPECT_REFUSED("\x02\x00");
    EXPECT_REFUSED("\x04\x00");
    EXPECT_REFUSED("\x05\x00");
    EXPECT_REFUSED("\x10\x07\x07\0\0\0\0\0\xff");
    EXPECT_REFUSED("\x02\x80\0\x10\0\0\1a");
    EXPECT_REFUSED("\xff");
}

/* A list of many strings, each of which LZF has packed to a few bytes. */
Test(dump, unpacked_strings_do_not_pile_up)
{
    static const char zeros[1000];
    struct keyspace *ks = new_keyspace();
    struct list_value l = list_new();
    for (int i = 0; i < 5000; i++) list_push(&l, LIST_TAIL, bytes_make(zeros, sizeof zeros));
    struct bytes key = BYTES("k");
    struct record *r =
        database_set_object(keyspace_database(ks, 0), key, key_hash(key), TYPE_LIST, l.encoding, l.object, false);
    struct rdb_payload p = rdb_dump(r, true, RDB_FOR_7_0);
    struct rdb_restored restored;
    cr_assert_lt(p.len, 200000);
    cr_assert(rdb_restore(bytes_make(p.data, p.len), true, &restored));
    cr_assert_lt(restored.in.arena_bytes, 2 * 1024 * 1024);
    rdb_restored_drop(&restored);
    mem_free(p.data);
    keyspace_free(ks);
}

Test(dump, versions_from_the_future_are_refused)
{
    struct bytes now = seal("\x00\x01"
                            "a",
                            3, 12),
                 later = seal("\x00\x01"
                              "a",
                              3, 13);
    cr_assert(rdb_payload_intact(now, true));
    cr_assert_not(rdb_payload_intact(later, true));
    free((void *)now.ptr);
    free((void *)later.ptr);
}

/* Any bytes behind any type byte: refused, or a whole value; never a step outside. */
Test(dump, random_bodies_do_no_harm)
{
    struct random_state random;
    struct keyspace *ks = new_keyspace();
    random_seed(&random, 1);
    for (int round = 0; round < 100000; round++) {
        char body[64];
        size_t len = 1 + random_below(&random, sizeof body - 1);
        for (size_t i = 0; i < len; i++) body[i] = (char)random_below(&random, i < 3 ? 26 : 256);
        struct bytes payload = seal(body, len, 9);
        store(ks, "k", payload);
        free((void *)payload.ptr);
    }
    keyspace_free(ks);
}
