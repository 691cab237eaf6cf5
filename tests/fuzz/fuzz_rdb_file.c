/* Fuzzes the loading of a whole RDB, as the server does it at start. An input is the file without its last opcode and
 * checksum: the end and a checksum of zero, which says that there is none, are put behind it.
 *
 * The file is read from a descriptor in the server's large windows, and again in windows of a few bytes, each in memory
 * of exactly its size. Both must come to the same end with the same keys; and what was read from a file that is good
 * must be written to one that is read again. */
#include "tests/fuzz/exercise.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "rdb/format.h"
#include "rdb/snapshot.h"
#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/file.h"
#include "server/data/digest.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int file;
static char path[64]; /* of file */

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    fuzz_set_up();
    file = memfd_create("fuzz.rdb", MFD_CLOEXEC);
    CHECK(file >= 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    return 0;
}

static struct bytes finish_file(const uint8_t *data, size_t size)
{
    uint8_t *whole = mem_calloc(1, size + 1 + RDB_CHECKSUM_BYTES);
    memcpy(whole, data, size);
    whole[size] = RDB_OPCODE_END;
    return bytes_make(whole, size + 1 + RDB_CHECKSUM_BYTES);
}

static void note_bytes(void *context, struct bytes bytes)
{
    size_t *noted = context;
    *noted += bytes.len;
}

static void note_aux(void *context, struct bytes name, struct bytes value)
{
    note_bytes(context, name);
    note_bytes(context, value);
}

static struct rdb_read_options options_of(bool verify_only, size_t *noted)
{
    return (struct rdb_read_options){
        .now_ms = FUZZ_NOW_MS,
        .verify_only = verify_only,
        .aux = note_aux,
        .context = noted,
    };
}

/* 0: the file is good. */
static int load_file(struct keyspace *ks, struct bytes whole, struct rdb_read_result *result)
{
    size_t noted = 0;
    bool missing;
    struct rdb_read_options options = options_of(false, &noted);
    CHECK(ftruncate(file, 0) == 0 && pwrite(file, whole.ptr, whole.len, 0) == (ssize_t)whole.len);
    return rdb_load_file(ks, path, &options, NULL, NULL, result, &missing);
}

/* The window grows by `step` bytes a call. ks NULL: the file is only checked. */
static int load_in_windows(struct keyspace *ks, struct bytes whole, size_t step, struct rdb_read_result *result)
{
    size_t noted = 0, start = 0, end = 0;
    struct rdb_read_options options = options_of(ks == NULL, &noted);
    options.total_bytes = whole.len;
    struct rdb_reader *reader = rdb_reader_new(ks, &options);
    enum rdb_status status = RDB_MORE;
    while (status == RDB_MORE && end < whole.len) {
        size_t consumed, wanted = rdb_reader_wanted(reader);
        end = end - start < wanted ? start + wanted : end + step;
        if (end > whole.len || end < start) end = whole.len;
        uint8_t *window = mem_alloc(end - start);
        memcpy(window, whole.ptr + start, end - start);
        status = rdb_reader_feed(reader, window, end - start, 0, &consumed);
        mem_free(window);
        start += consumed;
    }
    *result = *rdb_reader_result(reader);
    rdb_reader_free(reader);
    return status == RDB_DONE ? 0 : -1;
}

static int append(void *context, const uint8_t *data, size_t len)
{
    struct bytes *whole = context;
    uint8_t *longer = mem_realloc((void *)whole->ptr, whole->len + len);
    memcpy(longer + whole->len, data, len);
    *whole = bytes_make(longer, whole->len + len);
    return 0;
}

static int count_incomparable(void *arg, struct record *r)
{
    size_t *incomparable = arg;
    *incomparable += !fuzz_comparable(r);
    return 0;
}

static bool all_comparable(struct keyspace *ks)
{
    size_t incomparable = 0;
    for (int i = 0; i < FUZZ_DATABASES; i++) database_walk(keyspace_database(ks, i), count_incomparable, &incomparable);
    return incomparable == 0;
}

static void check_same(struct keyspace *a, struct keyspace *b)
{
    uint8_t x[DIGEST_BYTES], y[DIGEST_BYTES];
    keyspace_digest(a, x);
    keyspace_digest(b, y);
    CHECK(!all_comparable(a) || !all_comparable(b) || memcmp(x, y, DIGEST_BYTES) == 0);
}

static void save_and_load_again(struct keyspace *ks)
{
    static const struct rdb_write_options options = {.compress = true, .checksum = true};
    static const struct rdb_aux aux = {.repl_stream_db = -1};
    struct keyspace *again = fuzz_keyspace_new();
    struct rdb_read_result result;
    struct bytes written = {0};
    CHECK(rdb_write_keyspace(ks, &aux, &options, append, &written) == 0);
    CHECK(load_file(again, written, &result) == 0);
    check_same(ks, again);
    mem_free((void *)written.ptr);
    keyspace_free(again);
}

static int exercise(void *spare, struct record *r)
{
    fuzz_exercise(r, spare);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes whole = finish_file(data, size);
    struct keyspace *ks = fuzz_keyspace_new(), *in_windows = fuzz_keyspace_new(), *spare = fuzz_keyspace_new();
    struct rdb_read_result result, same, checked;

    fuzz_use_thresholds(FUZZ_DEFAULT_THRESHOLDS);
    int status = load_file(ks, whole, &result);
    fuzz_use_thresholds(FUZZ_TIGHT_THRESHOLDS);
    CHECK(load_in_windows(in_windows, whole, 1 + size % 40, &same) == status);
    if (status == 0) {
        CHECK(result.keys_loaded == same.keys_loaded);
        CHECK(load_in_windows(NULL, whole, whole.len, &checked) == 0 && checked.keys_loaded == result.keys_loaded);
        check_same(ks, in_windows);
        save_and_load_again(ks);
    }
    for (int i = 0; i < FUZZ_DATABASES; i++)
        database_walk(keyspace_database(ks, i), exercise, keyspace_database(spare, 0));

    keyspace_free(ks);
    keyspace_free(in_windows);
    keyspace_free(spare);
    mem_free((void *)whole.ptr);
    return 0;
}
