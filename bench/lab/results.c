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

void result_command(const struct result *r, char out[512])
{
    const struct cell *c = &r->cell;
    char length[24], rate[24], backlog[24], value[24];
    grid_time_text(c->length_ms, length);
    grid_size_text((int64_t)c->bytes_per_s, rate);
    grid_size_text((int64_t)c->backlog_bytes, backlog);
    grid_size_text(c->value_bytes, value);
    snprintf(out, 512,
             "--pairs %s:%s --fault %s --length %s --rate %s --backlog %s --keys %ld --value %s --timeout %d "
             "--try-seed %" PRIu64,
             c->master->name, c->replica->name, c->fault->name, length, rate, backlog, c->keys, value, c->timeout_s,
             r->got.seed);
}
