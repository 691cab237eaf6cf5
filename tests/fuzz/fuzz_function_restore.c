/* Fuzzes FUNCTION RESTORE: an input is the payload without its version and checksum. What is let in must come out of a
 * dump again and be let in by another server; what is refused must have changed nothing. The libraries' code is run as
 * it is when they are loaded. */
#include "rdb/function_payload.h"
#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/core/core.h"
#include "server/core/settings.h"
#include "server/script/functions.h"
#include "server/script/scripts.h"
#include "tests/fuzz/exercise.h"

/* LuaJIT keeps tags in its pointers, so a block that it holds may look lost to the leak check. */
const char *__lsan_default_suppressions(void)
{
    return "leak:lj_mem_realloc";
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TIMEOUT_MS 50

static struct settings settings;
static struct core core = {.settings = &settings};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    fuzz_set_up();
    settings.keyspace.maxmemory_bytes = 1; /* the least heap that scripts are given */
    core.keyspace = fuzz_keyspace_new();
    core.scripts = scripts_new(&core);
    return 0;
}

static int restore(struct libraries *l, struct bytes payload, enum functions_restore policy)
{
    char error[LIBRARY_ERROR_BYTES];
    return functions_restore(core.scripts->engine, l, payload, policy, TIMEOUT_MS, error);
}

static void expect_sound(struct libraries *l)
{
    struct function_memory m;
    libraries_measure(l, &m);
    CHECK(m.libraries == l->count && m.functions >= m.libraries);
}

/* A second time: over the first, then beside it, which the same names forbid. */
static void go_round(struct libraries *l)
{
    struct rdb_payload dump = rdb_dump_libraries(l, true);
    struct bytes payload = bytes_make(dump.data, dump.len);
    size_t count = l->count;
    CHECK(rdb_payload_intact(payload, true));
    CHECK(restore(l, payload, RESTORE_REPLACE) == 0 && l->count == count);
    CHECK((restore(l, payload, RESTORE_APPEND) == 0) == (count == 0) && l->count == count);
    CHECK(restore(l, payload, RESTORE_FLUSH) == 0 && l->count == count);
    expect_sound(l);
    mem_free(dump.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes payload = fuzz_seal(data, size);
    struct libraries *l = keyspace_libraries(core.keyspace);
    if (restore(l, payload, RESTORE_APPEND) == 0) {
        expect_sound(l);
        go_round(l);
    } else {
        CHECK(l->count == 0);
    }
    functions_flush(l, false);
    mem_free((void *)payload.ptr);
    return 0;
}
