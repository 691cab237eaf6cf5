/* Reading pipelined requests: bytes to slices, without a server around it. */
#include "server/base/alloc.h"
#include "server/core/run/request_batch.h"

#include <criterion/criterion.h>

static const struct resp_limits limits = {.max_bulk_bytes = 1024, .max_multibulk = 100, .max_inline_bytes = 1024};

static struct request_batch *batch_new(void)
{
    struct request_batch *b = mem_calloc(1, sizeof *b);
    request_batch_init(b);
    return b;
}

Test(request_batch, parses_without_a_server)
{
    struct request_batch *b = batch_new();
    struct resp_request partial;
    resp_request_init(&partial);
    struct bytes input = BYTES("*2\r\n$3\r\nGET\r\n$1\r\na\r\n\r\nPING\r\n*2\r\n$3\r\nGE");
    request_batch_parse(b, &partial, &limits, input, REQUEST_BATCH);
    cr_assert_eq(b->count, 3);
    cr_expect_eq(b->status, RESP_NEED_MORE);
    cr_expect_eq(b->prepared[0].argc, 2);
    cr_expect(bytes_equal_text(b->prepared[0].argv[1], "a"));
    cr_expect(b->prepared[0].argv[1].ptr >= input.ptr && b->prepared[0].argv[1].ptr < input.ptr + input.len);
    cr_expect_eq(b->prepared[1].argc, 0, "an empty line is no request");
    cr_expect(bytes_equal_text(b->prepared[2].argv[0], "PING"));
    for (size_t i = 0; i < b->count; i++) cr_expect_eq(b->prepared[i].first_key_index, 0, "nothing is looked up");
}

Test(request_batch, reads_as_many_as_it_may)
{
    struct request_batch *b = batch_new();
    struct resp_request partial;
    resp_request_init(&partial);
    request_batch_parse(b, &partial, &limits, BYTES("AUTH x\r\nPING\r\n"), 1);
    cr_expect_eq(b->count, 1);
    cr_expect_eq(b->prepared[0].taken, 8);
    cr_expect_eq(b->status, RESP_COMPLETE);
}
