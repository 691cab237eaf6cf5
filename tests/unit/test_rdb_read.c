/* The RDB reader, byte by byte: every opcode and encoding, windows of every size, and damage of every kind. */
#include "tests/unit/test_rdb_bytes.h"

#include <stdio.h>

#define cr_loaded(fed) cr_assert_eq((fed).status, RDB_DONE, "%s", (fed).error)
#define cr_refused(fed, text)                                                                                          \
    do {                                                                                                               \
        cr_assert_eq((fed).status, RDB_BAD);                                                                           \
        cr_assert(strstr((fed).error, text), "%s", (fed).error);                                                       \
    } while (0)

/* --- encodings --- */

Test(rdb_read, empty)
{
    struct fed fed = FEED_ITEMS("");
    cr_loaded(fed);
    cr_assert_eq(fed.result.version, 12);
    cr_assert_eq(fed.result.bytes, 9 + 1 + 8);
    cr_assert_eq(fed.result.keys_loaded, 0);
    cr_assert_eq(fed.result.aux.repl_stream_db, -1);
    feed_free(&fed);
}

Test(rdb_read, plain_and_integer_strings)
{
    struct fed fed = FEED_ITEMS("\xfe\x00"
                                "\x00\x01k\x03ray"
                                "\x00\x01l\x00"
                                "\x00\x01m\xc0\x80"
                                "\x00\x01n\xc1\x2c\x01"
                                "\x00\x01o\xc2\x00\x00\x00\x80"
                                "\x00\x01p\n5000000000"
                                "\x00\x01q\003012"
                                "\x00\xc0\x0c\xc0\xff");
    cr_loaded(fed);
    cr_assert_eq(fed.result.keys_loaded, 8);
    cr_assert(holds(fed.ks, 0, "k", BYTES("ray")));
    cr_assert(holds(fed.ks, 0, "l", BYTES("")));
    cr_assert(holds(fed.ks, 0, "m", BYTES("-128")));
    cr_assert(holds(fed.ks, 0, "n", BYTES("300")));
    cr_assert(holds(fed.ks, 0, "o", BYTES("-2147483648")));
    cr_assert(holds(fed.ks, 0, "p", BYTES("5000000000")));
    cr_assert(record_is_integer(find(fed.ks, 0, "p")));
    cr_assert(holds(fed.ks, 0, "q", BYTES("012")));
    cr_assert(!record_is_integer(find(fed.ks, 0, "q")));
    cr_assert(holds(fed.ks, 0, "12", BYTES("-1")));
    feed_free(&fed);
}

Test(rdb_read, every_length_form)
{
    char text[20000];
    memset(text, 'x', sizeof text);
    struct rdb_bytes b = rdb_begin("REDIS0009");
    ADD(&b, "\x00\001a\x3f");
    add(&b, text, 63);
    ADD(&b, "\x00\001b\x40\x40");
    add(&b, text, 64);
    ADD(&b, "\x00\001c\x7f\xff");
    add(&b, text, 16383);
    ADD(&b, "\x00\001d\x80\x00\x00\x40\x00");
    add(&b, text, 16384);
    ADD(&b, "\x00\001e\x81\x00\x00\x00\x00\x00\x00\x00\x03");
    add(&b, text, 3);
    rdb_end(&b);
    struct fed fed = feed(b);
    cr_loaded(fed);
    cr_assert(holds(fed.ks, 0, "a", bytes_make(text, 63)));
    cr_assert(holds(fed.ks, 0, "b", bytes_make(text, 64)));
    cr_assert(holds(fed.ks, 0, "c", bytes_make(text, 16383)));
    cr_assert(holds(fed.ks, 0, "d", bytes_make(text, 16384)));
    cr_assert(holds(fed.ks, 0, "e", bytes_make(text, 3)));
    feed_free(&fed);
    free(b.data);
}

/* The packed form of 200 times "a", as Redis 7.0.15 writes it. */
#define LZF_200_A "\xc3\x09\x40\xc8\001aa\xe0\xbb\x00\001aa"

Test(rdb_read, lzf_key_and_value)
{
    char text[201] = {0};
    memset(text, 'a', 200);
    struct fed fed = FEED_ITEMS("\x00\x01k" LZF_200_A "\x00" LZF_200_A "\x01v");
    cr_loaded(fed);
    cr_assert(holds(fed.ks, 0, "k", bytes_from_text(text)));
    cr_assert(holds(fed.ks, 0, text, BYTES("v")));
    feed_free(&fed);
}

Test(rdb_read, broken_lzf)
{
    struct fed fed = FEED_ITEMS("\x00\x01k\xc3\x09\x40\xc9\001aa"
                                "\xe0\xbb\x00\001aa");
    cr_refused(fed, "at offset 12: Invalid LZF compressed string");
    feed_free(&fed);
    /* Claims of growth that LZF cannot have are refused before anything is allocated. */
    fed = FEED_ITEMS("\x00\x01k\xc3\x03\x80\xff\xff\xff\377abc");
    cr_refused(fed, "3 bytes cannot unpack to 4294967295");
    feed_free(&fed);
    fed = FEED_ITEMS("\x00\x01k\xc3\x00\x00");
    cr_refused(fed, "cannot unpack");
    feed_free(&fed);
}

/* --- opcodes --- */

Test(rdb_read, databases_and_expiry)
{
    struct fed fed = FEED_ITEMS("\x00\x01k\0010"
                                "\xfe\x03\xfb\x02\x02"
                                "\xfd\x01\x00\x00\x00\x00\x01k\0011"
                                "\xfc\xff\xff\xff\xff\xff\x00\x00\x00\x00\x01l\0012"
                                "\x00\x01m\0013"
                                "\xfe\x0f\x00\x01k\0014");
    cr_loaded(fed);
    cr_assert(holds(fed.ks, 0, "k", BYTES("0")));
    cr_assert(holds(fed.ks, 3, "k", BYTES("1")));
    cr_assert(holds(fed.ks, 15, "k", BYTES("4")));
    cr_assert_eq(record_expire_ms(find(fed.ks, 3, "k")), 1000);
    cr_assert_eq(record_expire_ms(find(fed.ks, 3, "l")), 0xffffffffffll);
    cr_assert_eq(record_expire_ms(find(fed.ks, 3, "m")), RECORD_NO_EXPIRY);
    cr_assert_eq(database_expiring(keyspace_database(fed.ks, 3)), 2);
    cr_assert_eq(fed.result.keys_with_expiry, 2);
    feed_free(&fed);
    fed = FEED_ITEMS("\xfe\x10");
    cr_refused(fed, "at offset 9: DB 16");
    feed_free(&fed);
}

Test(rdb_read, a_master_drops_what_has_expired)
{
    struct rdb_bytes b = rdb_begin("REDIS0009");
    ADD(&b, "\xfc\x01\x00\x00\x00\x00\x00\x00\x00\x00\x03old\0011");
    ADD(&b, "\xfc\xff\xff\xff\xff\xff\xff\x00\x00\x00\x03new\0012");
    rdb_end(&b);
    struct rdb_read_options options = {.now_ms = NOW_MS, .drop_expired = true};
    struct fed fed = feed_with(b, b.len, &options);
    cr_loaded(fed);
    cr_assert_null(find(fed.ks, 0, "old"));
    cr_assert(holds(fed.ks, 0, "new", BYTES("2")));
    cr_assert_eq(fed.result.keys_loaded, 1);
    cr_assert_eq(fed.result.keys_expired, 1);
    cr_assert_eq(fed.result.keys_with_expiry, 2);
    feed_free(&fed);
    free(b.data);
}

struct told {
    int heads, expired, expired_db;
    int64_t offset;
    char key[8];
};

static void note_head(void *context, const struct rdb_aux *aux)
{
    struct told *told = context;
    cr_assert_eq(told->expired, 0);
    told->heads++;
    told->offset = aux->repl_offset;
}

static void note_expired(void *context, int db, struct bytes key)
{
    struct told *told = context;
    cr_assert_eq(told->heads, 1);
    told->expired++;
    told->expired_db = db;
    snprintf(told->key, sizeof told->key, "%.*s", (int)key.len, (const char *)key.ptr);
}

Test(rdb_read, the_head_is_told_before_what_is_dropped)
{
    static const char file[] = "REDIS0009\xfa\x0brepl-offset\xc0\x2a\xfe\x03\xfb\x02\x02"
                               "\xfc\x01\x00\x00\x00\x00\x00\x00\x00\x00\x03old\0011"
                               "\xfc\xff\xff\xff\xff\xff\xff\x00\x00\x00\x03new\0012\xff\0\0\0\0\0\0\0\0";
    static const struct keyspace_settings settings;
    log_set_level(LOG_NOTHING);
    for (size_t piece = 1; piece < sizeof file; piece++) {
        struct told told = {0};
        struct rdb_read_options options = {
            .now_ms = NOW_MS, .drop_expired = true, .head = note_head, .expired = note_expired, .context = &told};
        struct keyspace *ks = keyspace_new(16, &settings, NULL);
        struct rdb_reader *reader = rdb_reader_new(ks, &options);
        enum rdb_status status = RDB_MORE;
        for (size_t at = 0, end = 0, consumed; status == RDB_MORE && end < sizeof file - 1; at += consumed) {
            end = end + piece < sizeof file - 1 ? end + piece : sizeof file - 1;
            status = rdb_reader_feed(reader, (const uint8_t *)file + at, end - at, 0, &consumed);
        }
        cr_assert_eq(status, RDB_DONE, "%s", rdb_reader_error(reader));
        cr_assert(told.heads == 1 && told.offset == 42, "in pieces of %zu", piece);
        cr_assert(told.expired == 1 && told.expired_db == 3 && strcmp(told.key, "old") == 0, "in pieces of %zu", piece);
        rdb_reader_free(reader);
        keyspace_free(ks);
    }
}

Test(rdb_read, idle_and_frequency_belong_to_one_key)
{
    struct fed fed = FEED_ITEMS("\xf8\x40\x64\x00\001a\0011"
                                "\xf9\x07\x00\001b\0012"
                                "\x00\001c\0013");
    cr_loaded(fed);
    cr_assert_eq(fed.result.keys_loaded, 3);
    cr_assert_eq(keyspace_idle_s(fed.ks, find(fed.ks, 0, "a")), 100);
    cr_assert_eq(keyspace_idle_s(fed.ks, find(fed.ks, 0, "c")), 0);
    feed_free(&fed);
}

Test(rdb_read, frequency_counts_where_lfu_evicts)
{
    static const struct keyspace_settings settings = {.maxmemory_policy = EVICT_ALLKEYS_LFU, .lfu_log_factor = 10};
    static const char file[] = "REDIS0009\xf9\x07\x00\001a\0011\xf8\x05\x00\001b\0012\xff\0\0\0\0\0\0\0\0";
    log_set_level(LOG_NOTHING);
    struct keyspace *ks = keyspace_new(1, &settings, NULL);
    keyspace_set_access_clock(ks, NOW_MS);
    struct rdb_read_options options = {.now_ms = NOW_MS};
    struct rdb_reader *reader = rdb_reader_new(ks, &options);
    size_t consumed;
    cr_assert_eq(rdb_reader_feed(reader, (const uint8_t *)file, sizeof file - 1, 0, &consumed), RDB_DONE);
    cr_assert_eq(keyspace_lfu(ks, find(ks, 0, "a")), 7);
    cr_assert_neq(keyspace_lfu(ks, find(ks, 0, "b")), 7);
    rdb_reader_free(reader);
    keyspace_free(ks);
}

Test(rdb_read, aux_fields_and_functions)
{
    struct rdb_bytes b = rdb_begin("REDIS0011");
    ADD(&b, "\xfa\x09redis-ver\0057.2.4");
    ADD(&b, "\xfa\005ctime\xc2\x00\xf1\x53\x65");
    ADD(&b, "\xfa\x08used-mem\xc1\x10\x27");
    ADD(&b, "\xfa\x0erepl-stream-db\xc0\x02");
    ADD(&b, "\xfa\x07repl-id\050ebbbb474ac569fd4807b795738f00d4b0947ebeb");
    ADD(&b, "\xfa\x0brepl-offset\01312345678901");
    ADD(&b, "\xfa\010aof-base\xc0\x01");
    ADD(&b, "\xfa\x07unknown\x05thing");
    ADD(&b, "\xf5\x0c#!lua name=x");
    rdb_end(&b);
    struct fed fed = feed(b);
    cr_loaded(fed);
    const struct libraries *libraries = keyspace_libraries(fed.ks);
    cr_assert_eq(libraries->count, 1);
    cr_assert(bytes_equal(libraries->sources[0], BYTES("#!lua name=x")));
    const struct rdb_aux *aux = &fed.result.aux;
    cr_assert_eq(aux->created_s, 0x6553f100);
    cr_assert_eq(aux->used_memory, 10000);
    cr_assert_eq(aux->repl_stream_db, 2);
    cr_assert_str_eq(aux->repl_id, "ebbbb474ac569fd4807b795738f00d4b0947ebeb");
    cr_assert_eq(aux->repl_offset, 12345678901);
    cr_assert(aux->aof_base);
    feed_free(&fed);
    free(b.data);
}

Test(rdb_read, what_is_skipped_is_skipped_whole)
{
    struct fed fed = FEED_ITEMS("\xf7\x81\x00\x00\x00\x00\x00\x00\x00\x09" /* module id */
                                "\x02\x02"                                 /* unsigned: when */
                                "\x01\x80\x00\x01\x00\x00"                 /* signed */
                                "\x03\x01\x02\x03\x04"                     /* float */
                                "\x04\x01\x02\x03\x04\x05\x06\x07\x08"     /* double */
                                "\x05\x03\xff\xff\xff"                     /* string */
                                "\x05" LZF_200_A "\x00"                    /* end */
                                "\xf4\x01\x02\x03"                         /* slot info */
                                "\xf5\003fun"
                                "\x00\x01k\x01v");
    cr_loaded(fed);
    cr_assert(holds(fed.ks, 0, "k", BYTES("v")));
    feed_free(&fed);
    fed = FEED_ITEMS("\xf7\x09\x06\x00");
    cr_refused(fed, "at offset 11: unknown module item 6");
    feed_free(&fed);
}

Test(rdb_read, versions)
{
    struct fed fed;
    for (int version = 0; version <= 14; version++) {
        char header[32];
        snprintf(header, sizeof header, "REDIS%04d", version);
        struct rdb_bytes b = rdb_begin(header);
        ADD(&b, "\xfe\x00\x00\x01k\x01v");
        if (version < 5) {
            ADD(&b, "\xff");
        } else {
            rdb_end(&b);
        }
        fed = feed(b);
        if (version >= 1 && version <= 12) {
            cr_loaded(fed);
            cr_assert(holds(fed.ks, 0, "k", BYTES("v")));
            cr_assert_eq(fed.consumed, b.len);
        } else {
            cr_refused(fed, "at offset 5: Can't handle RDB format version");
        }
        feed_free(&fed);
        free(b.data);
    }
    struct rdb_bytes b = rdb_begin("REDIX0009");
    fed = feed(b);
    cr_refused(fed, "at offset 0: Wrong signature");
    feed_free(&fed);
    free(b.data);
}

Test(rdb_read, checksum)
{
    struct rdb_bytes b = rdb_begin("REDIS0009");
    ADD(&b, "\x00\x01k\x01v");
    rdb_end(&b);
    b.data[b.len - 1] ^= 1;
    struct fed fed = feed(b);
    cr_refused(fed, "at offset 15: RDB CRC error");
    feed_free(&fed);
    /* Zero: saved without one. */
    memset(b.data + b.len - 8, 0, 8);
    fed = feed(b);
    cr_loaded(fed);
    feed_free(&fed);
    free(b.data);
}

Test(rdb_read, what_follows_the_end_is_left)
{
    struct rdb_bytes b = rdb_begin("REDIS0009");
    rdb_end(&b);
    size_t len = b.len;
    ADD(&b, "*1\r\n$4\r\nPING\r\n");
    struct fed fed = feed(b);
    cr_loaded(fed);
    cr_assert_eq(fed.consumed, len);
    feed_free(&fed);
    free(b.data);
}

Test(rdb_read, refusals_name_offset_and_finding)
{
    static const struct {
        const char *items, *reason;
        size_t len;
    } cases[] = {
#define CASE(items, reason) {items, reason, sizeof(items) - 1}
        CASE("\x08\001a", "at offset 9: Invalid object type: 8"),
        CASE("\x63\001a", "at offset 9: Invalid object type: 99"),
        CASE("\x06\001a", "at offset 9: values of type 6 (module-value) are not supported"),
        CASE("\x07\001a", "at offset 9: values of type 7 (module-value-v2) are not supported"),
        CASE("\xf6\001a", "at offset 9: Pre-release function format"),
        CASE("\xfe\xc0\x00", "at offset 10: a length was expected"),
        CASE("\x00\001a\xc4", "at offset 12: Unknown RDB string encoding type 4"),
        CASE("\x00\001a\x82", "at offset 12: byte 0x82 is no length"),
        CASE("\x00\001a\x81\x00\x00\x00\x01\x00\x00\x00\x00", "longer than any"),
        CASE("\xf7\x09\x02\x02\x05\x02zz\x00" /* a module's data */
             "\x00\001a\0011"
             "\x00\001b\0011"
             "\x00\001a\0012",
             "at offset 28: RDB has duplicated key 'a' in DB 0"),
#undef CASE
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fed fed = feed_items(cases[i].items, cases[i].len);
        cr_refused(fed, cases[i].reason);
        /* A failure stays. */
        size_t consumed;
        cr_assert_eq(rdb_reader_feed(fed.reader, (const uint8_t *)"\xff", 1, 0, &consumed), RDB_BAD);
        feed_free(&fed);
    }
}

/* --- windows and damage --- */

/* A little of everything, with enough keys for several batches. */
static struct rdb_bytes sample(void)
{
    struct rdb_bytes b = rdb_begin("REDIS0010");
    ADD(&b, "\xfa\x09redis-ver\0067.0.15\xfa\x0aredis-bits\xc0\x40\xf5\003fun");
    ADD(&b, "\xf7\x09\x02\x02\x05\x02zz\x00");
    ADD(&b, "\xfe\x00\xfb\x40\x60\x01");
    for (int i = 0; i < 90; i++) {
        char key[32];
        int len = snprintf(key, sizeof key, "%ckey:%d", 0, i);
        key[0] = (char)(len - 1);
        ADD(&b, "\x00");
        add(&b, key, (size_t)len);
        ADD(&b, "\x05value");
    }
    ADD(&b, "\xfc\x00\x00\x00\x00\xff\x01\x00\x00\xf8\x05\x00\x01x" LZF_200_A);
    ADD(&b, "\x00" LZF_200_A "\x05under");
    ADD(&b, "\xfe\x02\xfd\xff\xff\xff\x7f\xf9\x20\x00\xc0\x11\xc1\x22\x33");
    rdb_end(&b);
    return b;
}

Test(rdb_read, windows_of_every_size)
{
    struct rdb_bytes b = sample();
    struct rdb_read_options options = {.now_ms = NOW_MS};
    struct fed whole = feed_with(b, b.len, &options);
    cr_loaded(whole);
    cr_assert_eq(whole.result.keys_loaded, 93);
    uint8_t expected[20], digest[20];
    keyspace_digest(whole.ks, expected);
    for (size_t step = 1; step < 80; step++) {
        struct fed fed = feed_with(b, step, &options);
        cr_loaded(fed);
        cr_assert_eq(fed.result.keys_loaded, 93);
        cr_assert_eq(fed.result.bytes, b.len);
        keyspace_digest(fed.ks, digest);
        cr_assert_arr_eq(digest, expected, 20);
        feed_free(&fed);
    }
    feed_free(&whole);
    free(b.data);
}

Test(rdb_read, every_truncation_asks_for_more)
{
    struct rdb_bytes b = sample();
    for (size_t len = 0; len < b.len; len++) {
        struct fed fed = feed((struct rdb_bytes){b.data, len});
        cr_assert_eq(fed.status, RDB_MORE, "%zu: %s", len, fed.error);
        feed_free(&fed);
    }
    free(b.data);
}

Test(rdb_read, every_flipped_bit_is_noticed)
{
    struct rdb_bytes b = sample();
    struct rdb_read_options options = {.now_ms = NOW_MS, .total_bytes = b.len};
    for (size_t at = 0; at < b.len * 8; at++) {
        b.data[at / 8] ^= (uint8_t)(1 << at % 8);
        struct fed fed = feed_with(b, b.len, &options);
        /* A version from before the checksum ends at the end opcode: the one flip that goes unseen, beside a shorter
         * end. */
        bool before_checksums = at / 8 == 8 && fed.result.version < 5;
        cr_assert(fed.status != RDB_DONE || before_checksums, "bit %zu", at);
        feed_free(&fed);
        b.data[at / 8] ^= (uint8_t)(1 << at % 8);
    }
    free(b.data);
}

Test(rdb_read, random_damage_never_harms)
{
    struct rdb_bytes b = sample();
    uint8_t *original = malloc(b.len);
    memcpy(original, b.data, b.len);
    struct random_state random;
    random_seed(&random, 20240229);
    struct rdb_read_options options = {.now_ms = NOW_MS, .total_bytes = b.len};
    for (int round = 0; round < 3000; round++) {
        memcpy(b.data, original, b.len);
        for (uint64_t hits = 1 + random_below(&random, 8); hits > 0; hits--) {
            b.data[9 + random_below(&random, b.len - 9)] ^= 1 + (uint8_t)random_below(&random, 255);
        }
        struct fed fed = feed_with(b, 1 + random_below(&random, b.len), &options);
        cr_assert_neq(fed.status, RDB_DONE);
        feed_free(&fed);
    }
    free(original);
    free(b.data);
}

Test(rdb_read, verifying_inserts_nothing)
{
    struct rdb_bytes b = sample();
    struct rdb_read_options options = {.now_ms = NOW_MS, .verify_only = true, .drop_expired = true};
    struct fed fed = feed_with(b, 7, &options);
    cr_loaded(fed);
    cr_assert_eq(fed.result.keys_loaded + fed.result.keys_expired, 93);
    for (int i = 0; i < 16; i++) cr_assert_eq(database_size(keyspace_database(fed.ks, i)), 0);
    feed_free(&fed);

    /* And needs no keyspace. */
    struct rdb_reader *reader = rdb_reader_new(NULL, &options);
    size_t consumed;
    cr_assert_eq(rdb_reader_feed(reader, b.data, b.len, 0, &consumed), RDB_DONE);
    rdb_reader_free(reader);
    free(b.data);
}

Test(rdb_read, stops_after_max_keys)
{
    struct rdb_bytes b = sample();
    struct rdb_read_options options = {.now_ms = NOW_MS};
    struct keyspace *ks = new_keyspace();
    struct rdb_reader *reader = rdb_reader_new(ks, &options);
    size_t at = 0, calls = 0;
    enum rdb_status status;
    do {
        size_t consumed;
        status = rdb_reader_feed(reader, b.data + at, b.len - at, 10, &consumed);
        at += consumed;
        calls++;
        cr_assert_eq(rdb_reader_wanted(reader), 0);
        cr_assert_leq(rdb_reader_result(reader)->keys_loaded, calls * 10);
    } while (status == RDB_MORE);
    cr_assert_eq(status, RDB_DONE);
    cr_assert_geq(calls, 10);
    cr_assert_eq(at, b.len);
    rdb_reader_free(reader);
    keyspace_free(ks);
    free(b.data);
}

Test(rdb_read, says_how_much_a_long_string_wants)
{
    struct rdb_bytes b = rdb_begin("REDIS0009");
    ADD(&b, "\x00\x01k\x80\x00\x10\x00\000begin");
    struct fed fed = feed(b);
    cr_assert_eq(fed.status, RDB_MORE);
    cr_assert_eq(fed.consumed, 12);
    cr_assert_eq(rdb_reader_wanted(fed.reader), 5 + (1 << 20));
    struct rdb_position position = rdb_reader_position(fed.reader);
    cr_assert_eq(position.offset, 12);
    cr_assert_eq(position.type, 0);
    cr_assert_str_eq(position.doing, "read-object-value");
    cr_assert(bytes_equal(position.key, BYTES("k")));
    feed_free(&fed);
    free(b.data);
}
