/* See results.h. */
#include "bench/lab/results.h"

#include <inttypes.h>
#include <stdlib.h>

struct result *results_add(struct results *r)
{
    r->list = realloc(r->list, (size_t)(r->count + 1) * sizeof *r->list);
    return r->list[r->count++] = calloc(1, sizeof(struct result));
}

int results_findings(const struct results *r)
{
    int count = 0;
    for (int i = 0; i < r->count; i++) {
        enum verdict v = r->list[i]->got.verdict;
        count += v == VERDICT_FINDING || v == VERDICT_FAILED;
    }
    return count;
}

static size_t put_server(const struct contestant *c, char *out, size_t at)
{
    at += (size_t)snprintf(out + at, RESULT_COMMAND_BYTES - at, "--server '%s=", c->name);
    for (const char *t = c->command; *t && at + 64 < RESULT_COMMAND_BYTES; t++)
        at += (size_t)snprintf(out + at, RESULT_COMMAND_BYTES - at, *t == '\'' ? "'\\''" : "%c", *t);
    return at + (size_t)snprintf(out + at, RESULT_COMMAND_BYTES - at, "' ");
}

static size_t put_servers(const struct cell *c, char *out)
{
    if (c->master->host[0])
        return (size_t)snprintf(out, RESULT_COMMAND_BYTES, "--attach master=%s:%d,replica=%s:%d ", c->master->host,
                                c->master->port, c->replica->host, c->replica->port);
    size_t at = put_server(c->master, out, 0);
    if (c->replica != c->master) at = put_server(c->replica, out, at);
    return at +
           (size_t)snprintf(out + at, RESULT_COMMAND_BYTES - at, "--pairs %s:%s ", c->master->name, c->replica->name);
}

void result_command(const struct result *r, char out[RESULT_COMMAND_BYTES])
{
    const struct cell *c = &r->cell;
    char length[24], rate[24], backlog[24], value[24];
    grid_time_text(c->length_ms, length);
    grid_size_text((int64_t)c->bytes_per_s, rate);
    grid_size_text((int64_t)c->backlog_bytes, backlog);
    grid_size_text(c->value_bytes, value);
    size_t at = put_servers(c, out);
    snprintf(out + at, RESULT_COMMAND_BYTES - at,
             "--fault %s --length %s --rate %s --backlog %s --keys %ld --value %s --timeout %d --try-seed %" PRIu64,
             c->fault->name, length, rate, backlog, c->keys, value, c->timeout_s, r->got.seed);
}
