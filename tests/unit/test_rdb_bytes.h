/* What the RDB tests share: RDBs put together byte by byte, and keyspaces to load them into. */
#ifndef SLIPSTREAM_TESTS_UNIT_TEST_RDB_BYTES_H
#define SLIPSTREAM_TESTS_UNIT_TEST_RDB_BYTES_H

#include <criterion/criterion.h>
#include <stdlib.h>

#include "rdb/reader.h"
#include "server/base/crc64.h"
#include "server/base/log.h"
#include "tests/harness/stream_node.h"

#define NOW_MS ((int64_t)1700000000000)

struct rdb_bytes {
    uint8_t *data;
    size_t len;
};

static inline void add(struct rdb_bytes *b, const void *data, size_t len)
{
    b->data = realloc(b->data, b->len + len + 1);
    memcpy(b->data + b->len, data, len);
    b->len += len;
}

/* A literal with any bytes in it. */
#define ADD(b, literal) add(b, literal, sizeof(literal) - 1)

static inline struct rdb_bytes rdb_begin(const char *header)
{
    struct rdb_bytes b = {0};
    add(&b, header, strlen(header));
    return b;
}

/* The end opcode and the checksum. */
static inline void rdb_end(struct rdb_bytes *b)
{
    ADD(b, "\xff");
    uint64_t sum = crc64(0, b->data, b->len);
    add(b, &sum, sizeof sum);
}

static inline struct keyspace *new_keyspace(void)
{
    static const struct keyspace_settings settings = {.active_expire_effort = 1, .maxmemory_samples = 5};
    static const struct keyspace_hooks hooks;
    log_set_level(LOG_NOTHING);
    struct keyspace *ks = keyspace_new(16, &settings, &hooks);
    keyspace_set_access_clock(ks, NOW_MS);
    return ks;
}

static inline struct record *find(struct keyspace *ks, int db, const char *key)
{
    struct bytes k = bytes_from_text(key);
    return database_find(keyspace_database(ks, db), k, key_hash(k), NOW_MS,
                         LOOKUP_KEEP_EXPIRED | LOOKUP_NO_STATS | LOOKUP_NO_TOUCH);
}

static inline bool holds(struct keyspace *ks, int db, const char *key, struct bytes value)
{
    char scratch[I64_TEXT_MAX];
    const struct record *r = find(ks, db, key);
    return r && record_type(r) == TYPE_STRING && bytes_equal(record_string(r, scratch), value);
}

/* --- parts of a stream --- */

#define ID_1_1 "\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\1"
#define TIME   "\x10\x27\0\0\0\0\0\0"

/* --- feeding --- */

/* What came of feeding an RDB; feed_free() it. */
struct fed {
    struct keyspace *ks;
    struct rdb_reader *reader;
    enum rdb_status status;
    size_t consumed;
    struct rdb_read_result result;
    const char *error;
};

/* Feeds b with a window that grows by `step` bytes a call, and by what the reader wants. */
static inline struct fed feed_with(struct rdb_bytes b, size_t step, const struct rdb_read_options *options)
{
    struct fed fed = {.ks = new_keyspace(), .status = RDB_MORE};
    fed.reader = rdb_reader_new(fed.ks, options);
    size_t end = 0;
    while (fed.status == RDB_MORE && end < b.len) {
        end = b.len - end < step ? b.len : end + step;
        /* A window of its own, so that reading past its end shows. */
        size_t len = end - fed.consumed, consumed;
        uint8_t *window = malloc(len);
        memcpy(window, b.data + fed.consumed, len);
        fed.status = rdb_reader_feed(fed.reader, window, len, 0, &consumed);
        free(window);
        fed.consumed += consumed;
        if (fed.status != RDB_BAD) cr_assert_eq(rdb_reader_result(fed.reader)->bytes, fed.consumed);
        if (fed.status == RDB_MORE) cr_assert_gt(rdb_reader_wanted(fed.reader), end - fed.consumed);
    }
    fed.result = *rdb_reader_result(fed.reader);
    fed.error = rdb_reader_error(fed.reader);
    return fed;
}

static inline struct fed feed(struct rdb_bytes b)
{
    struct rdb_read_options options = {.now_ms = NOW_MS};
    return feed_with(b, b.len, &options);
}

/* What could be mended is refused. */
static inline struct fed feed_sanitized(struct rdb_bytes b)
{
    struct rdb_read_options options = {.now_ms = NOW_MS, .sanitize = true};
    return feed_with(b, b.len, &options);
}

static inline void feed_free(struct fed *fed)
{
    rdb_reader_free(fed->reader);
    keyspace_free(fed->ks);
}

/* The keys of one database between header and end, in one go. */
static inline struct fed feed_items_as(const char *items, size_t len, struct fed (*feed_as)(struct rdb_bytes b))
{
    struct rdb_bytes b = rdb_begin("REDIS0012");
    add(&b, items, len);
    rdb_end(&b);
    struct fed fed = feed_as(b);
    free(b.data);
    return fed;
}

static inline struct fed feed_items(const char *items, size_t len)
{
    return feed_items_as(items, len, feed);
}

#define FEED_ITEMS(literal) feed_items(literal, sizeof(literal) - 1)

/* For this reason, and nothing of it is kept. */
static inline void expect_refused_for(const char *items, size_t len, const char *reason)
{
    struct fed fed = feed_items_as(items, len, feed_sanitized);
    cr_assert_eq(fed.status, RDB_BAD);
    cr_assert(strstr(fed.error, reason), "%s", fed.error);
    cr_assert_eq(database_size(keyspace_database(fed.ks, 0)), 0);
    feed_free(&fed);
}

#define REFUSE_FOR(items, reason) expect_refused_for(items, sizeof(items) - 1, reason)

/* Whatever single bit is wrong: read or refused, never a step outside. */
static inline void damage_each_bit(const char *items, size_t len)
{
    char *copy = malloc(len);
    for (size_t i = 0; i < len * 8; i++) {
        memcpy(copy, items, len);
        copy[i / 8] = (char)(copy[i / 8] ^ 1 << i % 8);
        struct fed fed = feed_items(copy, len);
        feed_free(&fed);
    }
    free(copy);
}

/* For rdb_write_keyspace: context is a struct rdb_bytes. */
static inline int collect(void *context, const uint8_t *data, size_t len)
{
    add(context, data, len);
    return 0;
}

#endif
