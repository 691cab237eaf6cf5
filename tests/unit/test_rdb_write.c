/* The RDB writer: the bytes it puts, that they are read back as they were, and its files. */
#include "tests/unit/test_rdb_bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rdb/encode.h"
#include "rdb/snapshot.h"
#include "server/base/alloc.h"
#include "server/base/file.h"

static void set(struct keyspace *ks, int db, struct bytes key, struct bytes value, int64_t expire_ms)
{
    struct database *d = keyspace_database(ks, db);
    struct record *r = database_set_string(d, key, key_hash(key), value, false);
    if (expire_ms != RECORD_NO_EXPIRY) database_set_expiry(d, r, expire_ms);
}

static const struct rdb_aux no_aux = {.repl_stream_db = -1};
static const struct rdb_write_options plain = {.compress = true, .checksum = true};

static struct rdb_bytes save(struct keyspace *ks, const struct rdb_aux *aux, const struct rdb_write_options *options)
{
    struct rdb_bytes b = {0};
    cr_assert_eq(rdb_write_keyspace(ks, aux, options, collect, &b), 0);
    return b;
}

static void put_one(struct rdb_bytes *b, struct bytes string, bool compress)
{
    struct rdb_encoder out;
    rdb_encoder_init(&out, compress, false, collect, b);
    rdb_put_string(&out, string);
    rdb_flush(&out);
    rdb_encoder_free(&out);
}

#define cr_put(string, expected)                                                                                       \
    do {                                                                                                               \
        struct rdb_bytes b = {0};                                                                                      \
        put_one(&b, BYTES(string), true);                                                                              \
        cr_assert_eq(b.len, sizeof(expected) - 1);                                                                     \
        cr_assert_arr_eq(b.data, expected, b.len);                                                                     \
        free(b.data);                                                                                                  \
    } while (0)

Test(rdb_write, strings_take_their_shortest_form)
{
    cr_put("", "\x00");
    cr_put("foo", "\003foo");
    cr_put("0", "\xc0\x00");
    cr_put("127", "\xc0\x7f");
    cr_put("-128", "\xc0\x80");
    cr_put("128", "\xc1\x80\x00");
    cr_put("-32768", "\xc1\x00\x80");
    cr_put("32768", "\xc2\x00\x80\x00\x00");
    cr_put("2147483647", "\xc2\xff\xff\xff\x7f");
    cr_put("-2147483648", "\xc2\x00\x00\x00\x80");
    cr_put("2147483648", "\0122147483648");
    cr_put("-0", "\x02-0");
    cr_put("012", "\003012");
    cr_put("+1", "\x02+1");
    cr_put("1 ", "\0021 ");
    cr_put("aaaaaaaaaaaaaaaaaaaa", "\024aaaaaaaaaaaaaaaaaaaa"); /* 20: not packed */
}

Test(rdb_write, long_strings_are_packed_when_asked)
{
    char text[200];
    memset(text, 'a', sizeof text);
    struct rdb_bytes packed = {0}, raw = {0};
    put_one(&packed, bytes_make(text, sizeof text), true);
    put_one(&raw, bytes_make(text, sizeof text), false);
    cr_assert_lt(packed.len, 30);
    cr_assert_eq(packed.data[0], 0xc3);
    cr_assert_eq(raw.len, 202);
    cr_assert_arr_eq(raw.data, "\x40\xc8", 2);
    free(packed.data);
    free(raw.data);
}

Test(rdb_write, length_forms)
{
    static const struct {
        uint64_t length;
        const char *bytes;
        size_t len;
    } cases[] = {
        {63, "\x3f", 1},
        {64, "\x40\x40", 2},
        {16383, "\x7f\xff", 2},
        {16384, "\x80\x00\x00\x40\x00", 5},
        {UINT32_MAX, "\x80\xff\xff\xff\xff", 5},
        {(uint64_t)UINT32_MAX + 1, "\x81\x00\x00\x00\x01\x00\x00\x00\x00", 9},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rdb_bytes b = {0};
        struct rdb_encoder out;
        rdb_encoder_init(&out, false, false, collect, &b);
        rdb_put_length(&out, cases[i].length);
        rdb_flush(&out);
        rdb_encoder_free(&out);
        cr_assert_eq(b.len, cases[i].len);
        cr_assert_arr_eq(b.data, cases[i].bytes, b.len);
        free(b.data);
    }
}

Test(rdb_write, a_small_file_byte_by_byte)
{
    struct keyspace *ks = new_keyspace();
    set(ks, 2, BYTES("k"), BYTES("12345"), 0x0102030405);
    struct rdb_aux aux = {.repl_id = "ebbbb474ac569fd4807b795738f00d4b0947ebeb",
                          .repl_offset = 50,
                          .repl_stream_db = 3,
                          .created_s = 1700000000,
                          .used_memory = 10000};
    struct rdb_bytes b = save(ks, &aux, &plain);
    struct rdb_bytes expected = rdb_begin("REDIS0009");
    ADD(&expected, "\xfa\x09redis-ver\0057.2.4\xfa\x0aredis-bits\xc0\x40");
    ADD(&expected, "\xfa\005ctime\xc2\x00\xf1\x53\x65\xfa\x08used-mem\xc1\x10\x27");
    ADD(&expected, "\xfa\x0erepl-stream-db\xc0\x03\xfa\x07repl-id\050ebbbb474ac569fd4807b795738f00d4b0947ebeb");
    ADD(&expected, "\xfa\x0brepl-offset\xc0\x32\xfa\010aof-base\xc0\x00");
    ADD(&expected, "\xfe\x02\xfb\x01\x01\xfc\x05\x04\x03\x02\x01\x00\x00\x00\x00\x01k\xc1\x39\x30");
    rdb_end(&expected);
    cr_assert_eq(b.len, expected.len);
    cr_assert_arr_eq(b.data, expected.data, b.len);
    free(b.data);
    free(expected.data);
    keyspace_free(ks);
}

Test(rdb_write, libraries_stand_before_the_keys_and_raise_the_version)
{
    char error[LIBRARY_ERROR_BYTES];
    struct keyspace *ks = new_keyspace(), *other = new_keyspace();
    set(ks, 0, BYTES("k"), BYTES("v"), RECORD_NO_EXPIRY);
    cr_assert_eq(libraries_add(keyspace_libraries(ks), BYTES("#!lua name=x"), error), 0);
    cr_assert_eq(libraries_add(keyspace_libraries(ks), BYTES("#!lua name=y"), error), 0);
    keyspace_flush(other, false);
    keyspace_exchange(ks, other);
    cr_assert_eq(keyspace_libraries(ks)->count, 0);
    keyspace_exchange(ks, other);
    struct rdb_write_options options = plain;
    for (int only = 0; only <= 1; only++) {
        static const char libraries[] = "\xf5\x0c#!lua name=x\xf5\x0c#!lua name=y";
        static const char keys[] = "\xfe\x00\xfb\x01\x00\x00\x01k\x01v";
        options.libraries_only = only;
        struct rdb_bytes b = save(ks, &no_aux, &options), expected = {0};
        cr_assert_arr_eq(b.data, "REDIS0010", 9);
        ADD(&expected, libraries);
        if (!only) ADD(&expected, keys);
        ADD(&expected, "\xff");
        cr_assert_arr_eq(b.data + b.len - 8 - expected.len, expected.data, expected.len);
        free(b.data);
        free(expected.data);
    }
    keyspace_flush(ks, false);
    cr_assert_eq(keyspace_libraries(ks)->count, 2);
    keyspace_free(ks);
    keyspace_free(other);
}

/* Keys and values of many lengths, packable and not, past the writer's buffer and into several databases. */
static void fill(struct keyspace *ks)
{
    struct random_state random;
    random_seed(&random, 7);
    size_t most = 700 * 1024;
    uint8_t *noise = malloc(most);
    for (size_t i = 0; i < most; i++) noise[i] = (uint8_t)random_u64(&random);
    static const size_t lengths[] = {0,   1,   10,    20,    21,    44,    45,     63,    64,
                                     255, 256, 16383, 16384, 65535, 65536, 300000, 700000};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        char key[64];
        snprintf(key, sizeof key, "noise:%zu", lengths[i]);
        set(ks, 0, bytes_from_text(key), bytes_make(noise, lengths[i]), RECORD_NO_EXPIRY);
        if (lengths[i] <= 100000) set(ks, 1, bytes_make(noise, lengths[i]), BYTES("long key"), RECORD_NO_EXPIRY);
    }
    memset(noise, 'z', most);
    set(ks, 15, BYTES("packed"), bytes_make(noise, most), NOW_MS + 1000);
    for (int64_t i = -40000; i < 40000; i++) {
        char key[32];
        struct bytes k = bytes_make(key, (size_t)snprintf(key, sizeof key, "%lld", (long long)i * 100003));
        set(ks, 3, k, k, i % 3 == 0 ? NOW_MS + i : RECORD_NO_EXPIRY);
    }
    free(noise);
}

Test(rdb_write, what_is_saved_is_loaded)
{
    struct keyspace *ks = new_keyspace();
    fill(ks);
    uint8_t expected[20], digest[20];
    keyspace_digest(ks, expected);
    for (int form = 0; form < 4; form++) {
        struct rdb_write_options options = {.compress = form & 1, .checksum = form & 2};
        struct rdb_bytes b = save(ks, &no_aux, &options);
        struct fed fed = feed(b);
        cr_assert_eq(fed.status, RDB_DONE, "%s", fed.error);
        keyspace_digest(fed.ks, digest);
        cr_assert_arr_eq(digest, expected, 20);
        cr_assert_eq(database_expiring(keyspace_database(fed.ks, 3)), database_expiring(keyspace_database(ks, 3)));
        feed_free(&fed);
        free(b.data);
    }
    keyspace_free(ks);
}

Test(rdb_write, what_eviction_goes_by_is_written)
{
    static struct keyspace_settings settings = {
        .active_expire_effort = 1, .maxmemory_samples = 5, .lfu_log_factor = 10};
    static const struct keyspace_hooks hooks;
    static const struct {
        enum eviction_policy policy;
        size_t more_bytes;
    } cases[] = {{EVICT_NONE, 0},
                 {EVICT_VOLATILE_TTL, 0},
                 {EVICT_ALLKEYS_LRU, 2},
                 {EVICT_VOLATILE_LRU, 2},
                 {EVICT_ALLKEYS_LFU, 2}};
    struct keyspace *ks = keyspace_new(1, &settings, &hooks);
    set(ks, 0, BYTES("k"), BYTES("v"), RECORD_NO_EXPIRY);
    size_t len = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        settings.maxmemory_policy = cases[i].policy;
        struct rdb_bytes b = save(ks, &no_aux, &plain);
        if (i == 0) len = b.len;
        cr_assert_eq(b.len, len + cases[i].more_bytes, "policy %d", (int)cases[i].policy);
        struct fed fed = feed(b);
        cr_assert_eq(fed.status, RDB_DONE);
        feed_free(&fed);
        free(b.data);
    }
    keyspace_free(ks);
}

static int full_after_a_block(void *context, const uint8_t *data, size_t len)
{
    (void)data;
    size_t *taken = context;
    if (*taken > 0) {
        errno = ENOSPC;
        return -1;
    }
    *taken += len;
    return 0;
}

static int stop_soon(void *context, uint64_t keys, uint64_t bytes)
{
    (void)bytes;
    *(uint64_t *)context = keys;
    return 1;
}

Test(rdb_write, failure_and_stopping)
{
    struct keyspace *ks = new_keyspace();
    fill(ks);
    size_t taken = 0;
    cr_assert_eq(rdb_write_keyspace(ks, &no_aux, &plain, full_after_a_block, &taken), -1);
    cr_assert_eq(errno, ENOSPC);
    uint64_t keys = 0;
    struct rdb_write_options options = {.progress = stop_soon, .progress_context = &keys};
    struct rdb_bytes b = {0};
    cr_assert_eq(rdb_write_keyspace(ks, &no_aux, &options, collect, &b), -1);
    cr_assert_eq(errno, ECANCELED);
    cr_assert_gt(keys, 0);
    cr_assert_lt(keys, 10000);
    free(b.data);
    keyspace_free(ks);
}

/* --- files --- */

static char directory[] = "/tmp/slipstream-rdb-XXXXXX";
static char path[64];

static void make_directory(void)
{
    cr_assert_not_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/dump.rdb", directory);
}

static void remove_directory(void)
{
    unlink(path);
    cr_assert_eq(rmdir(directory), 0, "a temporary file was left");
}

static int load(struct keyspace *ks, int (*turn)(void *, uint64_t, uint64_t), void *context, bool *missing)
{
    struct rdb_read_options options = {.now_ms = NOW_MS};
    struct rdb_read_result result;
    return rdb_load_file(ks, path, &options, turn, context, &result, missing);
}

static int count_turn(void *context, uint64_t loaded, uint64_t total)
{
    ++*(int *)context;
    cr_assert_leq(loaded, total);
    return 0;
}

static int stop_turn(void *context, uint64_t loaded, uint64_t total)
{
    (void)context, (void)loaded, (void)total;
    return 1;
}

TestSuite(rdb_file, .init = make_directory, .fini = remove_directory);

Test(rdb_file, saved_and_loaded)
{
    struct keyspace *ks = new_keyspace(), *other = new_keyspace();
    fill(ks);
    struct rdb_write_options options = {.compress = true, .checksum = true, .incremental_fsync = true};
    cr_assert_eq(rdb_save_file(ks, path, &no_aux, &options), 0);
    int turns = 0;
    bool missing;
    cr_assert_eq(load(other, count_turn, &turns, &missing), 0);
    cr_assert_geq(turns, 10);
    uint8_t expected[20], digest[20];
    keyspace_digest(ks, expected);
    keyspace_digest(other, digest);
    cr_assert_arr_eq(digest, expected, 20);
    keyspace_free(ks);
    keyspace_free(other);
}

Test(rdb_file, missing_short_and_stopped)
{
    struct keyspace *ks = new_keyspace(), *other = new_keyspace();
    bool missing;
    cr_assert_eq(load(other, NULL, NULL, &missing), -1);
    cr_assert(missing);
    fill(ks);
    cr_assert_eq(rdb_save_file(ks, path, &no_aux, &plain), 0);
    cr_assert_eq(load(other, stop_turn, NULL, &missing), -1);
    cr_assert_eq(errno, ECANCELED);
    keyspace_flush(other, false);
    struct stat status;
    cr_assert_eq(stat(path, &status), 0);
    cr_assert_eq(truncate(path, status.st_size / 2), 0);
    cr_assert_eq(load(other, NULL, NULL, &missing), -1);
    cr_assert(!missing);
    keyspace_free(ks);
    keyspace_free(other);
}

Test(rdb_file, a_failed_save_leaves_the_old_file)
{
    struct keyspace *ks = new_keyspace();
    cr_assert_eq(file_replace(path, "old", 3, 0644), 0);
    uint64_t keys = 0;
    fill(ks);
    struct rdb_write_options options = {.progress = stop_soon, .progress_context = &keys};
    cr_assert_eq(rdb_save_file(ks, path, &no_aux, &options), -1);
    cr_assert_eq(errno, ECANCELED);
    uint8_t *data;
    size_t len;
    cr_assert_eq(file_read_whole(path, &data, &len), 0);
    cr_assert(bytes_equal(bytes_make(data, len), BYTES("old")));
    mem_free(data);
    cr_assert_eq(rdb_save_file(ks, "/nonexistent/dump.rdb", &no_aux, &plain), -1);
    cr_assert_eq(errno, ENOENT);
    keyspace_free(ks);
}

static void note_total(void *context, uint64_t total)
{
    uint64_t *last = context;
    cr_assert_gt(total, *last);
    *last = total;
}

Test(rdb_file, the_growing_head_is_told)
{
    struct keyspace *ks = new_keyspace();
    fill(ks);
    int fd = open(path, O_CREAT | O_WRONLY, 0644);
    uint64_t total = 0;
    cr_assert_eq(rdb_save_fd(ks, fd, &no_aux, &plain, note_total, &total), 0);
    struct stat status;
    cr_assert_eq(fstat(fd, &status), 0);
    cr_assert_eq((uint64_t)status.st_size, total);
    close(fd);
    keyspace_free(ks);
}
