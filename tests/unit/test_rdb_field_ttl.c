/* Hashes whose fields expire in RDBs: the forms of Redis 8 and Valkey 9, as those wrote them, as we write them, and
 * damaged; and what is done where a form has no room for them. */
#include "tests/unit/test_rdb_bytes.h"

#include "rdb/dump.h"
#include "rdb/form.h"
#include "server/base/alloc.h"
#include "server/data/hash.h"

#include <errno.h>
#include <stdio.h>

TestSuite(rdb_field_ttl, .init = hash_register);

#define TIME_1 "d J\xa9\xd1\001\0\0" /* 2000000000100 */
#define TIME_2 "{ J\xa9\xd1\001\0\0" /* 2000000000123 */
#define NO_TTL "\xff\xff\xff\xff\xff\xff\xff\xff"

/* --- what is there --- */

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* "field=value@time " of each field, ordered by field. */
static const char *fields_of(struct keyspace *ks, const char *key)
{
    static char all[2048];
    char lines[16][64];
    size_t count = 0;
    const struct record *r = find(ks, 0, key);
    if (!r) return "none";
    struct hash h = {record_encoding(r), record_object(r), record_object_inside(r), 0};
    struct hash_walk w;
    struct hash_pair pair;
    int64_t expire_ms;
    hash_walk_start(&w, &h);
    while (hash_walk_next_timed(&w, &pair, &expire_ms)) {
        char field[I64_TEXT_MAX], value[I64_TEXT_MAX];
        struct bytes f = packed_text(&pair.field, field), v = packed_text(&pair.value, value);
        cr_assert_lt(count, 16);
        snprintf(lines[count++], sizeof *lines, "%.*s=%.*s@%lld ", (int)f.len, (const char *)f.ptr,
                 v.len < 20 ? (int)v.len : 3, (const char *)v.ptr, (long long)expire_ms);
    }
    qsort(lines, count, sizeof *lines, by_text);
    all[0] = '\0';
    for (size_t i = 0; i < count; i++) strcat(all, lines[i]);
    return all;
}

static enum value_encoding encoding_of(struct keyspace *ks, const char *key)
{
    return record_encoding(find(ks, 0, key));
}

/* --- files put together --- */

static struct rdb_bytes file_of(const char *header, const char *item, size_t len)
{
    struct rdb_bytes b = rdb_begin(header);
    add(&b, item, len);
    rdb_end(&b);
    return b;
}

#define REDIS  "REDIS0012"
#define VALKEY "VALKEY080"

static struct fed feed_value(const char *header, const char *item, size_t len, bool sanitize)
{
    struct rdb_bytes b = file_of(header, item, len);
    struct fed fed = sanitize ? feed_sanitized(b) : feed(b);
    free(b.data);
    return fed;
}

#define FEED(header, item)        feed_value(header, item, sizeof(item) - 1, false)
#define FEED_STRICT(header, item) feed_value(header, item, sizeof(item) - 1, true)

/* --- bytes that the two have written --- */

#define REDIS_PACKED                                                                                                   \
    "\x19\001h" TIME_1 ",,\0\0\0\t\0\x81"                                                                              \
    "c\2\3\1\xf4" TIME_1 "\t\x81"                                                                                      \
    "b\2\2\1\xf4" TIME_2 "\t\x81"                                                                                      \
    "a\2\1\1\0\1\xff"
#define REDIS_TABLE "\x18\001h" TIME_2 "\2\1\1b\xc0\2\0\1a\xc3\t@d\1xx\xe0W\0\1xx"
#define REDIS_PERSISTED                                                                                                \
    "\x19\001h" TIME_2 "\x0e\x0e\0\0\0\3\0\x81"                                                                        \
    "a\2\1\1\0\1\xff"
#define VALKEY_HASH "\x16\001h\3\1a\xc0\1" NO_TTL "\1b\xc0\2" TIME_2 "\1c\xc0\3" TIME_1

static void expect_fields(struct fed fed, const char *fields, enum value_encoding encoding)
{
    cr_assert_eq(fed.status, RDB_DONE, "%s", fed.error);
    cr_assert_str_eq(fields_of(fed.ks, "h"), fields);
    cr_assert_eq(encoding_of(fed.ks, "h"), encoding, "encoding %d", encoding_of(fed.ks, "h"));
    bool timed = encoding >= ENCODING_LISTPACK_TIMED;
    const struct record *r = find(fed.ks, 0, "h");
    struct hash h = {record_encoding(r), record_object(r), record_object_inside(r), 0};
    cr_assert_eq(hash_next_expiry(&h) != HASH_NO_EXPIRY, timed, "the next to expire stands first");
    cr_assert_eq(database_timed_hashes(keyspace_database(fed.ks, 0)), timed);
    cr_assert_eq(database_next_timed_hash(keyspace_database(fed.ks, 0)), timed ? find(fed.ks, 0, "h") : NULL);
    feed_free(&fed);
}

Test(rdb_field_ttl, files_of_redis_8_and_valkey_9)
{
    expect_fields(FEED_STRICT(REDIS, REDIS_PACKED), "a=1@0 b=2@2000000000123 c=3@2000000000100 ",
                  ENCODING_LISTPACK_TIMED);
    expect_fields(FEED_STRICT(REDIS, REDIS_TABLE), "a=xxx@0 b=2@2000000000123 ", ENCODING_HASHTABLE_TIMED);
    expect_fields(FEED_STRICT(REDIS, REDIS_PERSISTED), "a=1@0 ", ENCODING_LISTPACK);
    expect_fields(FEED_STRICT(VALKEY, VALKEY_HASH), "a=1@0 b=2@2000000000123 c=3@2000000000100 ",
                  ENCODING_LISTPACK_TIMED);
}

Test(rdb_field_ttl, windows_of_every_size)
{
    struct rdb_read_options options = {.now_ms = NOW_MS, .sanitize = true};
    struct {
        const char *header, *item;
        size_t len;
    } files[] = {{REDIS, REDIS_PACKED, sizeof REDIS_PACKED - 1},
                 {REDIS, REDIS_TABLE, sizeof REDIS_TABLE - 1},
                 {VALKEY, VALKEY_HASH, sizeof VALKEY_HASH - 1}};
    for (int i = 0; i < 3; i++) {
        struct rdb_bytes b = file_of(files[i].header, files[i].item, files[i].len);
        struct fed whole = feed(b);
        char fields[2048];
        snprintf(fields, sizeof fields, "%s", fields_of(whole.ks, "h"));
        feed_free(&whole);
        for (size_t step = 1; step < b.len; step++) {
            struct fed fed = feed_with(b, step, &options);
            cr_assert_eq(fed.status, RDB_DONE, "%s", fed.error);
            cr_assert_str_eq(fields_of(fed.ks, "h"), fields);
            feed_free(&fed);
        }
        free(b.data);
    }
}

/* --- our own --- */

/* `count` fields, of which each third expires; the times are in no order. */
static void make_hash(struct keyspace *ks, const char *key, int count)
{
    struct hash h = hash_new();
    for (int i = 0; i < count; i++) {
        char field[32], value[32];
        snprintf(field, sizeof field, "f%d", i);
        snprintf(value, sizeof value, "%d", i * 7);
        int64_t expire_ms = i % 3 ? HASH_NO_EXPIRY : NOW_MS + (i * 7919) % 1000;
        hash_set_with_expiry(&h, bytes_from_text(field), bytes_from_text(value), expire_ms);
    }
    struct bytes k = bytes_from_text(key);
    database_set_object(keyspace_database(ks, 0), k, key_hash(k), TYPE_HASH, h.encoding, h.object, false);
}

static bool same_fields(struct keyspace *a, struct keyspace *b, const char *key)
{
    const struct record *x = find(a, 0, key), *y = find(b, 0, key);
    if (!x || !y) return false;
    struct hash hx = {record_encoding(x), record_object(x), record_object_inside(x), 0};
    struct hash hy = {record_encoding(y), record_object(y), record_object_inside(y), 0};
    struct hash_walk w;
    struct hash_pair pair;
    struct packed_value found;
    int64_t expire_ms;
    char field[I64_TEXT_MAX], value[I64_TEXT_MAX], other[I64_TEXT_MAX];
    if (hash_length(&hx) != hash_length(&hy) || hx.encoding != hy.encoding) return false;
    hash_walk_start(&w, &hx);
    while (hash_walk_next_timed(&w, &pair, &expire_ms)) {
        struct bytes name = packed_text(&pair.field, field);
        if (!hash_get(&hy, name, &found) || hash_expiry(&hy, name) != expire_ms) return false;
        if (!bytes_equal(packed_text(&pair.value, value), packed_text(&found, other))) return false;
    }
    return true;
}

static struct rdb_bytes written_for(struct keyspace *ks, enum rdb_write_for write_for)
{
    struct rdb_bytes b = {0};
    struct rdb_aux aux = {.repl_stream_db = -1};
    struct rdb_write_options options = {.checksum = true, .compress = true, .write_for = write_for};
    cr_assert_eq(rdb_write_keyspace(ks, &aux, &options, collect, &b), 0);
    return b;
}

static void expect_round_trip(enum rdb_write_for write_for, const char *header)
{
    struct keyspace *ks = new_keyspace();
    make_hash(ks, "packed", 20);
    make_hash(ks, "table", 1000);
    make_hash(ks, "one", 1);
    struct rdb_bytes b = written_for(ks, write_for);
    cr_assert_eq(memcmp(b.data, header, strlen(header)), 0, "%.9s", (const char *)b.data);
    struct fed fed = feed_sanitized(b);
    cr_assert_eq(fed.status, RDB_DONE, "%s", fed.error);
    cr_assert(same_fields(ks, fed.ks, "packed") && same_fields(ks, fed.ks, "table") && same_fields(ks, fed.ks, "one"));
    cr_assert_eq(rdb_hashes_with_expiry(fed.ks), 3);
    feed_free(&fed);
    keyspace_free(ks);
    free(b.data);
}

Test(rdb_field_ttl, what_is_written_is_read)
{
    expect_round_trip(RDB_FOR_AUTO, REDIS);
    expect_round_trip(RDB_FOR_8, REDIS);
    expect_round_trip(RDB_FOR_VALKEY_9, VALKEY);
}

static void expect_payload(struct keyspace *ks, const char *key, enum rdb_write_for write_for, int type, int version)
{
    struct keyspace *other = new_keyspace();
    struct bytes k = bytes_from_text(key);
    struct rdb_restored restored;
    struct rdb_payload p = rdb_dump(find(ks, 0, key), true, write_for);
    cr_assert_eq(p.data[0], type);
    cr_assert_eq(p.data[p.len - 10], version);
    cr_assert(rdb_payload_intact(bytes_make(p.data, p.len), true));
    cr_assert(rdb_restore(bytes_make(p.data, p.len), true, &restored), "%s", restored.in.error);
    rdb_restored_store(&restored, keyspace_database(other, 0), k, key_hash(k));
    cr_assert(same_fields(ks, other, key));
    mem_free(p.data);
    keyspace_free(other);
}

Test(rdb_field_ttl, payloads)
{
    struct keyspace *ks = new_keyspace();
    make_hash(ks, "packed", 20);
    make_hash(ks, "table", 1000);
    expect_payload(ks, "packed", RDB_FOR_AUTO, 25, 12);
    expect_payload(ks, "table", RDB_FOR_8, 24, 12);
    expect_payload(ks, "packed", RDB_FOR_VALKEY_9, 22, 80);
    expect_payload(ks, "table", RDB_FOR_VALKEY_9, 22, 80);
    for (enum rdb_write_for form = RDB_FOR_6_2; form <= RDB_FOR_7_2; form++)
        cr_assert_null(rdb_dump(find(ks, 0, "packed"), true, form).data);
    keyspace_free(ks);
}

Test(rdb_field_ttl, a_form_without_room_is_not_written)
{
    struct keyspace *ks = new_keyspace();
    struct bytes key = BYTES("packed");
    make_hash(ks, "packed", 20);
    for (enum rdb_write_for form = RDB_FOR_6_2; form <= RDB_FOR_7_2; form++) {
        char why[RDB_FORM_WHY_BYTES];
        struct rdb_bytes b = {0};
        struct rdb_aux aux = {.repl_stream_db = -1};
        struct rdb_write_options options = {.write_for = form};
        cr_assert_not(rdb_form_holds(ks, form, why));
        cr_assert_str_eq(why, "1 hash with fields that expire ('packed' in DB 0), which it has no room for");
        errno = 0;
        cr_assert_eq(rdb_write_keyspace(ks, &aux, &options, collect, &b), -1);
        cr_assert_eq(errno, ENOTSUP);
        cr_assert_eq(b.len, 0);
    }
    database_delete(keyspace_database(ks, 0), key, key_hash(key), false);
    struct rdb_bytes b = written_for(ks, RDB_FOR_6_2);
    free(b.data);
    b = written_for(ks, RDB_FOR_VALKEY_9);
    cr_assert_eq(memcmp(b.data, "REDIS0009", 9), 0, "nothing needs a later one");
    free(b.data);
    keyspace_free(ks);
}

/* --- what was no writer's --- */

static void expect_refused(struct fed fed, const char *reason)
{
    cr_assert_eq(fed.status, RDB_BAD, "not refused: %s", reason);
    cr_assert(strstr(fed.error, reason), "%s, not: %s", fed.error, reason);
    feed_free(&fed);
}

#define FAR "\xff\xff\xff\xff\xff\xff\xff\x7f"

Test(rdb_field_ttl, times_that_cannot_be_are_refused)
{
    expect_refused(FEED(REDIS, "\x18\001h" NO_TTL "\1\1\1a\1b"), "least expiry is negative");
    expect_refused(FEED(REDIS, "\x18\001h" FAR "\1\2\1a\1b"), "expires beyond all times");
    expect_refused(FEED(REDIS, "\x18\001h" TIME_1 "\1\x81\xff\xff\xff\xff\xff\xff\xff\xff\1a\1b"), "beyond all times");
    expect_refused(FEED(VALKEY, "\x16\001h\1\1a\1b\xfe\xff\xff\xff\xff\xff\xff\xff"), "at a negative time");
    expect_refused(FEED(REDIS, "\x19\001h" TIME_1 "\x0f\x0f\0\0\0\3\0\x81"
                               "a\2\1\1\x81x\2\xff"),
                   "broken");
    expect_fields(FEED(REDIS, "\x18\001h" FAR "\1\1\1a\1b"), "a=b@9223372036854775807 ", ENCODING_LISTPACK_TIMED);
    expect_fields(FEED(REDIS, "\x18\001h\0\0\0\0\0\0\0\0\1\1\1a\1b"), "a=b@1 ", ENCODING_LISTPACK_TIMED);
    expect_fields(FEED(VALKEY, "\x16\001h\1\1a\1b\0\0\0\0\0\0\0\0"), "a=b@1 ", ENCODING_LISTPACK_TIMED);
}

/* Of two fields, the one without an expiry first. */
#define UNORDERED                                                                                                      \
    "\x19\001h" TIME_1 "\x1d\x1d\0\0\0\6\0\x81"                                                                        \
    "a\2\1\1\0\1\x81"                                                                                                  \
    "c\2\3\1\xf4" TIME_1 "\t\xff"
#define HALF                                                                                                           \
    "\x19\001h" TIME_1 "\x13\x13\0\0\0\5\0\x81"                                                                        \
    "a\2\1\1\0\1\x81"                                                                                                  \
    "c\2\3\1\xff"
#define TWICE                                                                                                          \
    "\x19\001h" TIME_1 "\x15\x15\0\0\0\6\0\x81"                                                                        \
    "a\2\1\1\5\1\x81"                                                                                                  \
    "a\2\3\1\6\1\xff"

Test(rdb_field_ttl, flaws_are_made_good_or_refused)
{
    expect_fields(FEED_STRICT(REDIS, UNORDERED), "a=1@0 c=3@2000000000100 ", ENCODING_LISTPACK_TIMED);
    expect_fields(FEED(REDIS, HALF), "a=1@0 ", ENCODING_LISTPACK);
    expect_refused(FEED_STRICT(REDIS, HALF), "ends within a field");
    expect_fields(FEED(REDIS, TWICE), "a=1@5 ", ENCODING_LISTPACK_TIMED);
    expect_refused(FEED_STRICT(REDIS, TWICE), "same field twice");
    expect_refused(FEED_STRICT(REDIS, "\x18\001h" TIME_1 "\2\1\1a\1b\0\1a\1c"), "same field twice");
    expect_refused(FEED_STRICT(VALKEY, "\x16\001h\2\1a\1b" TIME_1 "\1a\1c" NO_TTL), "same field twice");
}

Test(rdb_field_ttl, empty_ones_make_no_key)
{
    struct fed fed = FEED(REDIS, "\x18\001h" TIME_1 "\0\x19\1i" TIME_1 "\7\7\0\0\0\0\0\xff");
    cr_assert_eq(fed.status, RDB_DONE, "%s", fed.error);
    cr_assert_eq(fed.result.keys_empty, 2);
    feed_free(&fed);
    fed = FEED(VALKEY, "\x16\001h\0");
    cr_assert_eq(fed.result.keys_empty, 1);
    feed_free(&fed);
}

Test(rdb_field_ttl, an_announced_number_reserves_no_memory)
{
    struct fed fed = FEED(REDIS, "\x18\001h" TIME_1 "\x81\x7f\xff\xff\xff\xff\xff\xff\xff\1\1a\1b");
    cr_assert_neq(fed.status, RDB_DONE);
    feed_free(&fed);
}

static void damage(const char *header, const char *item, size_t len)
{
    char *copy = malloc(len);
    for (size_t i = 0; i < len * 8; i++) {
        memcpy(copy, item, len);
        copy[i / 8] = (char)(copy[i / 8] ^ 1 << i % 8);
        for (int strict = 0; strict < 2; strict++) {
            struct fed fed = feed_value(header, copy, len, strict);
            feed_free(&fed);
        }
    }
    free(copy);
}

Test(rdb_field_ttl, whatever_bit_is_wrong)
{
    damage(REDIS, REDIS_PACKED, sizeof REDIS_PACKED - 1);
    damage(REDIS, REDIS_TABLE, sizeof REDIS_TABLE - 1);
    damage(REDIS, UNORDERED, sizeof UNORDERED - 1);
    damage(VALKEY, VALKEY_HASH, sizeof VALKEY_HASH - 1);
}
