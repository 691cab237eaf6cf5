/* What INFO says of the clients' buffers, in the server process.
 *
 * Nobody goes through all clients for it: each is noted when cron comes by, about once a second; the sum follows. */
#include "server/core/clients/clients_parts.h"

#include "server/base/alloc.h"
#include "server/core/core.h"
#include "server/core/session/session_memory.h"
#include "server/core/tracking/tracking.h"

static size_t *sum_with(struct client *c)
{
    struct clients *all = c->core->clients;
    return c->handed_over ? &all->replica_memory : &all->memory;
}

void client_leave_bucket(struct client *c)
{
    if (c->bucket) list_remove(c->bucket, &c->in_bucket);
    c->bucket = NULL;
}

void client_leave_accounts(struct client *c)
{
    client_leave_bucket(c);
    *sum_with(c) -= c->memory_noted;
    c->memory_noted = 0;
}

#define SMALL_OUTPUT_BYTES 4096

/* A few answers leave with the turn, and their chunk serves the next client: a limit must not see clients come and go
 * with them. */
static size_t output_memory(const struct outq *output)
{
    return outq_pending(output) < SMALL_OUTPUT_BYTES ? 0 : outq_memory(output);
}

size_t client_heap_memory(const struct client *c)
{
    const struct outq *output = c->conn ? conn_output(c->conn) : &c->nowhere;
    size_t input = (c->query ? mem_size(c->query) : 0) + resp_request_memory(&c->request);
    return sizeof *c + input + output_memory(output) + session_memory(&c->session) + tracking_memory(&c->session);
}

size_t client_memory(const struct client *c)
{
    return client_heap_memory(c) + (c->conn ? conn_lent_unsent(c->conn) : 0);
}

void client_note_memory(struct client *c)
{
    size_t now = client_memory(c);
    *sum_with(c) += now - c->memory_noted;
    c->memory_noted = now;
}

/* The seconds gone by since the last note are empty ones. */
static struct biggest_buffers *this_second(struct clients *all)
{
    int64_t second = loop_monotonic_us(all->core->loop) / 1000000;
    if (second - all->biggest_second > BIGGEST_SECONDS) all->biggest_second = second - BIGGEST_SECONDS;
    while (all->biggest_second < second)
        all->biggest[++all->biggest_second % BIGGEST_SECONDS] = (struct biggest_buffers){0};
    return &all->biggest[second % BIGGEST_SECONDS];
}

void client_note_buffers(struct client *c, uint64_t input, uint64_t output)
{
    struct biggest_buffers *biggest = this_second(c->core->clients);
    if (input > biggest->input) biggest->input = input;
    if (output > biggest->output) biggest->output = output;
}

size_t clients_memory(const struct clients *c, size_t *replicas)
{
    *replicas = c->replica_memory;
    return c->memory;
}

void clients_recent_peaks(const struct clients *c, uint64_t *input_bytes, uint64_t *output_bytes)
{
    *input_bytes = *output_bytes = 0;
    for (int i = 0; i < BIGGEST_SECONDS; i++) {
        if (c->biggest[i].input > *input_bytes) *input_bytes = c->biggest[i].input;
        if (c->biggest[i].output > *output_bytes) *output_bytes = c->biggest[i].output;
    }
}
