/* Loaded values put through everything. Fuzz targets. */
#include "tests/fuzz/exercise.h"

#include <endian.h>
#include <math.h>

#include "rdb/dump.h"
#include "rdb/format.h"
#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/crc64.h"
#include "server/base/log.h"
#include "server/data/digest.h"
#include "server/data/hash.h"
#include "server/data/list.h"
#include "server/data/set.h"
#include "server/data/settings.h"
#include "server/data/stream.h"
#include "server/data/zset.h"

/* --- surroundings --- */

static struct data_settings thresholds[2];

void fuzz_set_up(void)
{
    log_set_level(LOG_NOTHING);
    list_register();
    set_register();
    zset_register();
    hash_register();
    stream_register();
    thresholds[FUZZ_DEFAULT_THRESHOLDS] = *data_settings;
    thresholds[FUZZ_TIGHT_THRESHOLDS] = (struct data_settings){
        .list_max_listpack_size = 2,
        .list_compress_depth = 1,
        .hash_max_listpack_entries = 2,
        .hash_max_listpack_value_bytes = 4,
        .set_max_intset_entries = 2,
        .set_max_listpack_entries = 2,
        .set_max_listpack_value_bytes = 4,
        .zset_max_listpack_entries = 2,
        .zset_max_listpack_value_bytes = 4,
        .hll_sparse_max_bytes = 16,
        .stream_node_max_bytes = 64,
        .stream_node_max_entries = 2,
    };
}

void fuzz_use_thresholds(enum fuzz_thresholds which)
{
    data_settings = &thresholds[which];
}

struct keyspace *fuzz_keyspace_new(void)
{
    static const struct keyspace_settings settings = {.active_expire_effort = 1, .maxmemory_samples = 5};
    static const struct keyspace_hooks hooks;
    struct keyspace *ks = keyspace_new(FUZZ_DATABASES, &settings, &hooks);
    keyspace_set_access_clock(ks, FUZZ_NOW_MS);
    return ks;
}

/* --- payloads --- */

struct bytes fuzz_seal(const uint8_t *body, size_t len)
{
    uint8_t *payload = mem_alloc(len + 2 + RDB_CHECKSUM_BYTES);
    memcpy(payload, body, len);
    bool valkey = len && (body[0] & 0xC0) == FUZZ_VALKEY_TYPE;
    if (valkey) payload[0] = (uint8_t)(body[0] - FUZZ_VALKEY_TYPE);
    payload[len] = valkey ? RDB_VERSION_VALKEY : RDB_VERSION_MOST;
    payload[len + 1] = 0;
    uint64_t checksum = htole64(crc64(0, payload, len + 2));
    memcpy(payload + len + 2, &checksum, sizeof checksum);
    return bytes_make(payload, len + 2 + RDB_CHECKSUM_BYTES);
}

struct record *fuzz_restore(struct database *db, struct bytes key, struct bytes payload)
{
    struct rdb_restored restored;
    CHECK(rdb_payload_intact(payload, true));
    if (!rdb_restore(payload, false, &restored)) return NULL;
    return rdb_restored_store(&restored, db, key, key_hash(key));
}

bool fuzz_passes_sanitizing(struct bytes payload)
{
    struct rdb_restored restored;
    if (!rdb_restore(payload, true, &restored)) return false;
    rdb_restored_drop(&restored);
    return true;
}

/* --- values --- */

static void remove_key(struct database *db, struct bytes key)
{
    CHECK(database_delete(db, key, key_hash(key), false));
}

bool fuzz_comparable(const struct record *r)
{
    if (record_type(r) != TYPE_ZSET) return true;
    struct zset z = {record_encoding(r), record_object(r), record_object_inside(r)};
    struct zset_walk w;
    struct zset_entry e;
    for (zset_walk_start(&w, &z, 0, false); zset_walk_next(&w, &e);)
        if (e.score == 0 && signbit(e.score)) return false;
    return true;
}

static bool same_digest(const struct record *a, const struct record *b)
{
    uint8_t x[DIGEST_BYTES], y[DIGEST_BYTES];
    record_digest_value(a, x);
    record_digest_value(b, y);
    return memcmp(x, y, DIGEST_BYTES) == 0;
}

/* The digest and the saver have walked forwards. */
static void walk_list_backwards(const struct record *r)
{
    struct list_value l = {record_encoding(r), record_object(r), record_object_inside(r)};
    struct list_cursor c;
    size_t met = 0;
    for (bool on = list_seek(&l, -1, &c); on; on = list_cursor_prev(&c)) met++;
    list_cursor_close(&c);
    CHECK(met == list_length(&l) && met > 0);
}

static void walk_stream_backwards(const struct record *r)
{
    const struct stream *s = record_object(r);
    struct stream_cursor c;
    struct packed_value field, value;
    uint64_t met = 0;
    stream_cursor_open(&c, s, STREAM_ID_LEAST, STREAM_ID_MOST, true);
    for (; stream_cursor_next(&c); met++)
        while (stream_cursor_pair(&c, &field, &value)) continue;
    stream_cursor_close(&c);
    CHECK(met == s->length);
}

/* What the walk shows is what look-ups find. */
static void look_up_fields(const struct record *r)
{
    struct hash h = {record_encoding(r), record_object(r), record_object_inside(r), 0};
    struct hash_walk w;
    struct hash_pair pair;
    struct packed_value found;
    char scratch[I64_TEXT_MAX];
    hash_walk_start(&w, &h);
    while (hash_walk_next(&w, &pair))
        CHECK(hash_get(&h, packed_text(&pair.field, scratch), &found) && packed_equal(&found, &pair.value));
}

/* As of a time at which the first of those that expire are dead: what is counted is walked over, and drawn from. */
static void draw_fields(const struct record *r)
{
    struct random_state random;
    struct hash h = {record_encoding(r), record_object(r), record_object_inside(r), 0};
    struct hash_walk w;
    struct hash_pair pair;
    struct packed_value found;
    char scratch[I64_TEXT_MAX];
    size_t living = 0;
    int64_t next_ms = hash_next_expiry(&h);
    if (next_ms == HASH_NO_EXPIRY || next_ms == INT64_MAX) return;
    h.now_ms = next_ms + 1;
    hash_walk_start(&w, &h);
    while (hash_walk_next(&w, &pair)) living++;
    CHECK(hash_living(&h) == living && hash_lives(&h) == (living > 0));
    random_seed(&random, 1);
    if (living == 0) return;
    hash_random(&h, &random, &pair);
    CHECK(hash_get(&h, packed_text(&pair.field, scratch), &found) && packed_equal(&found, &pair.value));
    struct hash_drawing drawing;
    hash_draw_begin(&drawing, &h);
    hash_draw(&drawing, &random, &pair);
    hash_draw_end(&drawing);
}

static void look_up_members(const struct record *r)
{
    struct set s = {record_encoding(r), record_object(r), record_object_inside(r)};
    struct set_walk w;
    struct packed_value member;
    set_walk_start(&w, &s);
    while (set_walk_next(&w, &member)) CHECK(set_contains(&s, &member));
}

static void look_up_ranks(const struct record *r)
{
    struct zset z = {record_encoding(r), record_object(r), record_object_inside(r)};
    struct zset_walk w;
    struct zset_entry e;
    size_t place = 0, rank;
    double score;
    char scratch[I64_TEXT_MAX];
    for (zset_walk_start(&w, &z, 0, false); zset_walk_next(&w, &e); place++)
        CHECK(zset_rank(&z, packed_text(&e.member, scratch), &rank, &score) && rank == place && score == e.score);
    CHECK(place == zset_count(&z));
}

static void read_value(const struct record *r)
{
    switch (record_type(r)) {
    case TYPE_LIST: walk_list_backwards(r); break;
    case TYPE_SET: look_up_members(r); break;
    case TYPE_ZSET: look_up_ranks(r); break;
    case TYPE_HASH:
        look_up_fields(r);
        draw_fields(r);
        break;
    case TYPE_STREAM: walk_stream_backwards(r); break;
    default: break;
    }
}

static void copy(struct record *r, struct database *spare)
{
    struct bytes key = BYTES("copy");
    CHECK(same_digest(r, database_copy(r, spare, key, key_hash(key))));
    remove_key(spare, key);
}

/* A digest has of a field that it expires, and not when. */
static bool same_times(const struct record *a, const struct record *b)
{
    if (record_type(a) != TYPE_HASH) return true;
    struct hash h = {record_encoding(a), record_object(a), record_object_inside(a), 0};
    struct hash other = {record_encoding(b), record_object(b), record_object_inside(b), 0};
    struct hash_walk w;
    struct hash_pair pair;
    int64_t expire_ms;
    char scratch[I64_TEXT_MAX];
    hash_walk_start(&w, &h);
    while (hash_walk_next_timed(&w, &pair, &expire_ms))
        if (hash_expiry(&other, packed_text(&pair.field, scratch)) != expire_ms) return false;
    return hash_next_expiry(&h) == hash_next_expiry(&other);
}

/* To a payload, back, and to a payload again. A stream's digest is of its entries alone, so its bytes must agree. */
static void dump_and_restore(const struct record *r, struct database *spare, bool compress, enum rdb_write_for form)
{
    struct bytes key = BYTES("restored");
    struct rdb_payload first = rdb_dump(r, compress, form);
    struct record *restored = fuzz_restore(spare, key, bytes_make(first.data, first.len));
    CHECK(restored);
    if (record_expire_ms(r) != RECORD_NO_EXPIRY) restored = database_set_expiry(spare, restored, record_expire_ms(r));
    CHECK(!fuzz_comparable(r) || same_digest(r, restored));
    CHECK(same_times(r, restored));
    struct rdb_payload second = rdb_dump(restored, compress, form);
    if (record_type(r) == TYPE_STREAM)
        CHECK(bytes_equal(bytes_make(first.data, first.len), bytes_make(second.data, second.len)));
    mem_free(first.data);
    mem_free(second.data);
    remove_key(spare, key);
}

void fuzz_exercise(struct record *r, struct database *spare)
{
    CHECK(record_memory(r) > 0);
    read_value(r);
    copy(r, spare);
    dump_and_restore(r, spare, false, RDB_FOR_8);
    dump_and_restore(r, spare, true, RDB_FOR_8);
    if (record_type(r) == TYPE_HASH) dump_and_restore(r, spare, true, RDB_FOR_VALKEY_9);
}
