/* Fuzzes the manifest of an append-only file. An input is its text. One that is accepted must be the same after it was
 * written and read again, and after changes must be one that is accepted. */
#include <stdint.h>

#include "server/aof/manifest.h"
#include "server/base/alloc.h"
#include "server/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* NULL: refused. A fault has its words, and its line may be printed. */
static struct aof_manifest *parse(struct bytes text)
{
    struct aof_manifest_fault fault;
    struct aof_manifest *m = aof_manifest_parse(text, &fault);
    CHECK(m || (*fault.reason && memchr(fault.text, 0, sizeof fault.text)));
    return m;
}

static bool has_long_line(struct bytes text)
{
    while (text.len) {
        const uint8_t *end = memchr(text.ptr, '\n', text.len);
        CHECK(end);
        size_t len = (size_t)(end - text.ptr) + 1;
        if (len > AOF_MANIFEST_LINE_MAX_BYTES) return true;
        text = bytes_make(text.ptr + len, text.len - len);
    }
    return false;
}

static bool has_high_number(struct aof_files files)
{
    for (size_t i = 0; i < files.count; i++)
        if (files.file[i].seq > AOF_SEQ_MAX) return true;
    return false;
}

/* Names grow in quotes, maybe beyond what a line may have, and numbers with changes. */
static bool can_be_read(const struct aof_manifest *m, struct bytes text)
{
    const struct aof_file *base = aof_manifest_base(m);
    return text.len && !has_long_line(text) && !(base && base->seq > AOF_SEQ_MAX) &&
           !has_high_number(aof_manifest_history(m)) && !has_high_number(aof_manifest_incrementals(m));
}

static void check_written(const struct aof_manifest *m)
{
    struct bytes text = aof_manifest_format(m);
    if (can_be_read(m, text)) {
        struct aof_manifest *again = parse(text);
        CHECK(again);
        struct bytes same = aof_manifest_format(again);
        CHECK(bytes_equal(text, same));
        mem_free((void *)same.ptr);
        aof_manifest_free(again);
    }
    mem_free((void *)text.ptr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *text = mem_alloc(size + 1);
    memcpy(text + 1, data, size); /* its end is where the memory ends */
    struct aof_manifest *m = parse(bytes_make(text + 1, size));
    mem_free(text);
    if (!m) return 0;
    check_written(m);
    aof_manifest_add_incremental(m, "appendonly.aof");
    check_written(m);
    aof_manifest_replace_base(m, "appendonly.aof", size % 2 ? AOF_BASE_RDB : AOF_BASE_COMMANDS, 1);
    check_written(m);
    struct aof_manifest *copy = aof_manifest_copy(m);
    aof_manifest_forget_history(m);
    aof_manifest_replace_base(m, "a b", AOF_BASE_RDB, 0);
    check_written(m);
    check_written(copy);
    aof_manifest_free(copy);
    aof_manifest_free(m);
    return 0;
}
