/* What I/O threads do with a client's input: requests are parsed, their commands found, their keys hashed. Server
 * process; io_thread_read() on the I/O threads, the rest on the loop's.
 *
 * What is read here depends on the bytes alone, and on tables that do not change while there are clients. Whatever
 * needs more, a limit, an error, the rest of a request, is left to the loop, which reads those bytes itself. */
#include "server/core/clients/io_threads.h"

#include "server/base/alloc.h"
#include "server/base/machine.h"
#include "server/core/core.h"
#include "server/core/run/request_batch.h"
#include "server/core/settings.h"
#include "server/net/pool/pool.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Nothing as long as the least limit there is comes in one piece. */
static const struct resp_limits limits = {
    .max_bulk_bytes = INT32_MAX, .max_multibulk = INT32_MAX, .max_inline_bytes = (size_t)64 * 1024};

_Static_assert(offsetof(struct request_batch, prepared[1]) <= POOL_READING_HOT_BYTES, "the first request is not far");

static void init(void *reading)
{
    request_batch_init(reading);
}

static void free_reading(void *reading)
{
    struct request_batch *b = reading;
    for (int i = 0; i < REQUEST_BATCH; i++) resp_request_free(&b->requests[i]);
}

static void rest(void *reading)
{
    request_batch_rest(reading);
}

/* What does not fit into a batch, or ends in the middle of a request, the loop goes on with behind it. */
static void io_thread_read(void *context, void *reading, void **memo, const uint8_t *data, size_t len)
{
    struct request_batch *b = reading;
    struct resp_request partial;
    resp_request_init(&partial);
    request_batch_parse(b, &partial, &limits, bytes_make(data, len), REQUEST_BATCH);
    resp_request_free(&partial);
    request_batch_resolve(b, context, (struct command_entry **)memo);
    b->status = RESP_COMPLETE;
}

/* For tests: so many threads, and they work without load, too: "4:always". */
static const char *wanted_by_tests(void)
{
    const char *text = getenv("SLIPSTREAM_IO_THREADS");
    return text && *text ? text : NULL;
}

/* Those that would have to wait for a processor only add wake-ups. */
static unsigned worth_using(unsigned threads)
{
    unsigned processors = machine_processors();
    if (threads <= processors) return threads;
    log_notice("Connections go to %u of the %u I/O threads: there are no more processors for this process", processors,
               threads);
    return processors;
}

int io_threads_start(struct core *core)
{
    const char *tests = wanted_by_tests();
    int threads = tests ? atoi(tests) : core->settings->server.io_threads;
    if (threads <= 1) return 0;
    struct pool_settings settings = {
        .threads = (unsigned)threads - 1,
        .working = worth_using((unsigned)threads - 1),
        .always = tests && strstr(tests, ":always"),
        .host = {.context = core->commands,
                 .reading_bytes = sizeof(struct request_batch),
                 .init = init,
                 .free = free_reading,
                 .rest = rest,
                 .read = io_thread_read},
    };
    core->io_threads = pool_new(core->loop, &settings);
    return core->io_threads ? 0 : -1;
}

void io_threads_stop(struct core *core)
{
    if (core->io_threads) pool_stop(core->io_threads);
}
