/* Fuzzes the reader of an append-only file's records, as the tool and as the loader judge them. An input is the file.
 * It is read whole with its arguments, and again in windows of a few bytes without them, each in memory of exactly its
 * size: both must come to the same end at the same place. Records must follow one another without a gap, and what was
 * found valid must be whole by itself. */
#include <stdint.h>

#include "server/aof/annotation.h"
#include "server/aof/scan.h"
#include "server/base/alloc.h"
#include "server/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    enum aof_scan_status status;
    uint64_t valid, line, commands, annotations, arguments;
    struct aof_fault fault;
    struct aof_position position;    /* in the stream, as annotations tell it */
    char text[AOF_FAULT_TEXT_BYTES]; /* of the fault */
};

static void note(struct outcome *o, const struct aof_record *r, enum aof_scan_status status)
{
    int64_t seconds;
    if (status == AOF_SCAN_ANNOTATION) {
        o->annotations++;
        CHECK(r->raw.len > 0 && r->raw.ptr[0] == '#');
        aof_read_timestamp(r->raw, &seconds);
        aof_position_read(&o->position, r->raw);
        return;
    }
    aof_position_pass_command(&o->position, r->raw.len);
    o->commands++;
    o->arguments += r->argc;
    if (!r->argv) return;
    for (size_t i = 0; i < r->argc; i++)
        CHECK(r->argv[i].ptr > r->raw.ptr && r->argv[i].ptr + r->argv[i].len < r->raw.ptr + r->raw.len);
}

/* A window has `step` bytes more than are wanted. */
static struct outcome scan(const uint8_t *data, size_t size, size_t step, bool arguments, bool as_server)
{
    struct aof_scan_options options = {.size = size, .arguments = arguments, .as_server = as_server};
    struct aof_scan *s = aof_scan_new(&options);
    struct outcome o = {.status = AOF_SCAN_MORE};
    size_t start = 0, end = 0;
    uint64_t next = 0; /* where the next record must begin */
    for (bool over = false; !over;) {
        size_t consumed;
        uint8_t *window = mem_alloc(end - start + 1);
        memcpy(window + 1, data + start, end - start); /* its end is where the memory ends */
        o.status = aof_scan_feed(s, window + 1, end - start, &consumed);
        CHECK(consumed <= end - start);
        start += consumed;
        switch (o.status) {
        case AOF_SCAN_MORE:
            CHECK(aof_scan_wanted(s) > end - start && aof_scan_wanted(s) <= size - start);
            CHECK(arguments || aof_scan_wanted(s) <= AOF_ANNOTATION_MAX_BYTES);
            end = start + (size_t)aof_scan_wanted(s) + step;
            if (end > size) end = size;
            break;
        case AOF_SCAN_COMMAND:
        case AOF_SCAN_ANNOTATION:
            CHECK(aof_scan_record(s)->offset == next);
            next = start;
            note(&o, aof_scan_record(s), o.status);
            break;
        default: over = true;
        }
        mem_free(window);
    }
    o.valid = aof_scan_valid_offset(s);
    o.line = aof_scan_line(s);
    if (o.status != AOF_SCAN_END) {
        o.fault = *aof_scan_fault(s);
        aof_fault_text(&o.fault, "f", o.text, sizeof o.text);
    }
    CHECK(o.status != AOF_SCAN_END || (o.valid == size && next == size));
    aof_scan_free(s);
    return o;
}

static struct outcome scan_twice(const uint8_t *data, size_t size, bool as_server)
{
    struct outcome whole = scan(data, size, size, true, as_server), parts = scan(data, size, 3, false, as_server);
    CHECK(whole.status == parts.status && whole.valid == parts.valid && whole.line == parts.line);
    CHECK(whole.commands == parts.commands && whole.arguments == parts.arguments);
    CHECK(whole.annotations == parts.annotations);
    if (whole.status == AOF_SCAN_END) return whole;
    CHECK(whole.fault.kind == parts.fault.kind && whole.fault.offset == parts.fault.offset);
    CHECK(whole.fault.offset <= size && strcmp(whole.text, parts.text) == 0);
    struct outcome valid = scan(data, (size_t)whole.valid, 0, true, as_server);
    CHECK(valid.status == AOF_SCAN_END && valid.valid == whole.valid);
    return whole;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct outcome tool = scan_twice(data, size, false), server = scan_twice(data, size, true);
    /* What the tool finds whole is whole to the server, up to a command of nothing. */
    if (tool.status == AOF_SCAN_END)
        CHECK(server.status == AOF_SCAN_END || (server.status == AOF_SCAN_BAD && server.fault.kind == AOF_FAULT_TYPE));
    if (tool.status == AOF_SCAN_END && server.status == AOF_SCAN_END) CHECK(tool.commands == server.commands);
    return 0;
}
