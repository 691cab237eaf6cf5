/* Reading pipelined requests in batches. Server process. */
#include "server/core/run/request_batch.h"

#include "server/core/core.h"
#include "server/core/session/session.h"

void request_batch_init(struct request_batch *b)
{
    for (int i = 0; i < REQUEST_BATCH; i++) resp_request_init(&b->requests[i]);
    b->count = 0;
    b->has_large = false;
}

void request_batch_drop_excess(struct request_batch *b)
{
    for (size_t i = 0; i < b->count; i++) resp_request_rest(&b->requests[i]);
    b->has_large = false;
}

static void swap_requests(struct resp_request *a, struct resp_request *b)
{
    struct resp_request t = *a;
    *a = *b;
    *b = t;
}

void request_batch_parse(struct request_batch *b, struct resp_request *partial, const struct resp_limits *limits,
                         struct bytes input, size_t most)
{
    struct resp_request *r = b->requests;
    struct request *p = b->prepared;
    size_t at = 0;
    request_batch_rest(b);
    b->input = input;
    b->count = 0;
    b->records_fetched = false;
    swap_requests(r, partial);
    do {
        b->status = resp_request_read(r, input.ptr + at, input.len - at, limits, &p->taken);
        if (b->status != RESP_COMPLETE) {
            swap_requests(r, partial);
            break;
        }
        p->argc = r->argc;
        p->argv = r->argv;
        p->raw = r->raw;
        p->first_key_index = 0;
        b->has_large |= resp_request_is_large(r);
        at += p->taken;
        r++;
        p++;
    } while (++b->count < most && at < input.len);
}

void request_batch_look_up(struct request_batch *b, struct core *core, struct session *session)
{
    request_batch_resolve(b, core->commands, &session->last_command);
    request_batch_fetch_buckets(b, session);
}

void request_batch_resolve(struct request_batch *b, const struct command_table *commands, struct command_entry **last)
{
    for (size_t i = 0; i < b->count; i++)
        if (b->prepared[i].argc) request_resolve(&b->prepared[i], commands, last);
}

void request_batch_fetch_buckets(const struct request_batch *b, const struct session *session)
{
    /* Each kind in a loop of its own, as those below: a prefetch is held up by its address's translation, and only
     * those that stand close together are translated at the same time. */
    for (size_t i = 0; i < b->count; i++)
        if (b->prepared[i].first_key_index) database_prefetch_bucket(session->db, b->prepared[i].first_key_hash);
}

void request_batch_fetch_records(struct request_batch *b, const struct session *session)
{
    if (b->records_fetched) return;
    for (size_t i = 0; i < b->count; i++)
        if (b->prepared[i].first_key_index) database_prefetch_record(session->db, b->prepared[i].first_key_hash);
    b->records_fetched = true;
}

/* What a command touches inside its key's value, a hash's field for one, is fetched ahead as keys are: step by step,
 * and each step for all of them. */
void request_batch_fetch_elements(const struct request_batch *b, const struct session *session)
{
    struct {
        const struct value_ops *ops;
        const struct record *record;
        uint64_t hash;
    } ahead[REQUEST_BATCH];
    size_t count = 0;
    if (b->count == 1) return; /* it will look itself, and nobody else gains by it */
    for (size_t i = 0; i < b->count; i++) {
        const struct request *p = &b->prepared[i];
        uint32_t element = p->first_key_index ? p->command->row->element : 0;
        if (!element || element >= p->argc) continue;
        const struct record *r = database_peek(session->db, p->argv[p->first_key_index], p->first_key_hash);
        const struct value_ops *ops = r ? value_ops(record_type(r)) : NULL;
        if (!ops || !ops->prefetch) continue;
        ahead[count].ops = ops;
        ahead[count].record = r;
        ahead[count++].hash = hash_bytes(p->argv[element]);
    }
    for (unsigned step = 0; count; step++) {
        size_t before = count;
        count = 0;
        for (size_t i = 0; i < before; i++) {
            const struct record *r = ahead[i].record;
            if (ahead[i].ops->prefetch(record_object(r), record_encoding(r), ahead[i].hash, step))
                ahead[count++] = ahead[i];
        }
    }
}
