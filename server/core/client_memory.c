/* What INFO says of the clients' buffers, in the server process.
 *
 * Nobody goes through all clients for it: each is noted when cron comes by, about once a second, and the sum follows.
 */
#include "server/core/clients_parts.h"

#include "server/core/core.h"

void client_note_memory(struct client *c)
{
    const struct outq *output = c->conn ? conn_output(c->conn) : &c->nowhere;
    size_t now = sizeof *c + c->query_capacity + outq_memory(output);
    c->core->clients->memory += now - c->memory_noted;
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

size_t clients_output_memory(const struct clients *c, uint64_t *biggest_input, uint64_t *biggest_output)
{
    *biggest_input = *biggest_output = 0;
    for (int i = 0; i < BIGGEST_SECONDS; i++) {
        if (c->biggest[i].input > *biggest_input) *biggest_input = c->biggest[i].input;
        if (c->biggest[i].output > *biggest_output) *biggest_output = c->biggest[i].output;
    }
    return c->memory;
}
