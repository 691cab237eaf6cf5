/* Fuzzes what RESTORE does with a client's payload. An input is the payload without its version and checksum, which are
 * put behind it: the fuzzer need not guess them. A value that is let in must be sound; one that is refused must have
 * changed nothing; and both thresholds must judge alike. */
#include "tests/fuzz/exercise.h"

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/data/digest.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct keyspace *ks;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    fuzz_set_up();
    ks = fuzz_keyspace_new();
    return 0;
}

struct verdict {
    bool good, comparable;
    uint8_t digest[DIGEST_BYTES];
};

static struct verdict judge(struct bytes payload)
{
    struct verdict v = {0};
    struct database *db = keyspace_database(ks, 0);
    struct bytes key = BYTES("k");
    struct record *r = fuzz_restore(db, key, payload);
    CHECK(database_size(db) == (r != NULL));
    if (!r) return v;
    v.good = true;
    v.comparable = fuzz_comparable(r);
    record_digest_value(r, v.digest);
    fuzz_exercise(r, keyspace_database(ks, 1));
    CHECK(database_delete(db, key, key_hash(key), false));
    return v;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes payload = fuzz_seal(data, size);
    fuzz_use_thresholds(FUZZ_DEFAULT_THRESHOLDS);
    struct verdict packed = judge(payload);
    fuzz_use_thresholds(FUZZ_TIGHT_THRESHOLDS);
    struct verdict tight = judge(payload);
    CHECK(packed.good == tight.good);
    CHECK(packed.good || !fuzz_passes_sanitizing(payload));
    if (packed.comparable && tight.comparable) CHECK(memcmp(packed.digest, tight.digest, DIGEST_BYTES) == 0);
    mem_free((void *)payload.ptr);
    return 0;
}
