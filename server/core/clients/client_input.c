/* From a client's bytes to running commands, in the server process.
 *
 * Bytes are parsed where the loop received them; only what does not end a request is kept. Pipelined requests are taken
 * in batches (core/run/request_batch.h). While one client's batch runs, those of the next ones whose input the loop
 * announces are read already, and what they name is on its way from memory.
 *
 * Invariant: c->request is fresh, or holds the progress of the one request that c->query begins with, or of the one at
 * the end of c->ahead's input. c->query and c->ahead are never there both. */
#include "server/core/clients/clients_parts.h"

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/log.h"
#include "server/core/command/stats.h"
#include "server/core/core.h"
#include "server/core/run/dispatch.h"
#include "server/core/run/run.h"
#include "server/core/session/blocking.h"
#include "server/core/settings.h"

/* Before AUTH: the largest request that is allowed then, and some of what came behind it. */
#define STRANGER_INPUT_BYTES ((size_t)256 * 1024)
/* Kept requests run in pieces of about this size, one a turn, as what arrives does; more than a turn can bring. */
#define KEPT_BYTES_EACH_TURN ((size_t)128 * 1024)
#define KEEP_EXACT_BYTES     (32 * 1024) /* a bulk larger than this gets a buffer of just its size */

bool client_may_run(const struct client *c)
{
    return !c->close_asap && !c->close_after_reply && !c->handed_over && !c->session.blocked;
}

static struct resp_limits limits_of(const struct client *c)
{
    const struct net_settings *net = &c->core->settings->net;
    bool trusted = c->session.user != NULL;
    return (struct resp_limits){
        .max_bulk_bytes = net->max_bulk_bytes,
        .max_multibulk = trusted ? INT32_MAX : 10,
        .max_unauth_bulk = trusted ? 0 : 16384, /* with their headers they stay below STRANGER_INPUT_BYTES */
        .max_inline_bytes = 64 * 1024,
    };
}

static void protocol_error(struct client *c, const char *error)
{
    log_verbose("Protocol error (%s) from client id %llu", error, (unsigned long long)c->session.id);
    reply_errorf(&c->session.reply, "ERR %s", error);
    session_count_error(&c->session, c->core->stats, NULL);
    client_close_after_reply(c);
}

static bool held(const struct session *s)
{
    return s->blocked && s->blocked->kind == BLOCKED_PAUSE;
}

/* Before a request runs, and makes room for itself by evicting keys. Whoever holds too much may be this client. */
static bool may_run_next(struct client *c, struct clients *all)
{
    if (unlikely(all->memory_limit > 0)) {
        client_account_now(c);
        clients_keep_memory(all);
    }
    return client_may_run(c);
}

/* Runs parsed requests in order; returns the bytes of those that ran. */
static size_t run_batch(struct client *c, struct request_batch *batch)
{
    size_t done = 0;
    run_chain_start();
    for (size_t i = 0; i < batch->count && may_run_next(c, c->core->clients); i++) {
        if (batch->prepared[i].argc) {
            dispatch_request(c->core, &c->session, &batch->prepared[i]);
            if (held(&c->session)) break; /* the request itself is what waits */
            if (!c->session.blocked) session_command_done(&c->session);
        }
        done += batch->prepared[i].taken;
    }
    return done;
}

/* --- batches: each runs one client's input or was read from input to come --- */

static struct request_batch *batch_take(struct clients *all)
{
    struct request_batch *b = all->free_batches;
    if (b) {
        all->free_batches = b->next_free;
    } else {
        b = mem_calloc(1, sizeof *b);
        request_batch_init(b);
    }
    return b;
}

static void batch_give(struct clients *all, struct request_batch *b)
{
    request_batch_rest(b);
    b->next_free = all->free_batches;
    all->free_batches = b;
}

static void forget_progress(struct client *c)
{
    resp_request_free(&c->request);
    resp_request_init(&c->request);
}

static void drop_ahead(struct client *c)
{
    if (!c->ahead) return;
    if (!c->batch_lent) batch_give(c->core->clients, c->ahead);
    c->ahead = NULL;
    forget_progress(c);
}

static void batch_read(struct request_batch *b, struct client *c, const uint8_t *input, size_t len)
{
    struct resp_limits limits = limits_of(c);
    size_t most = c->session.user ? REQUEST_BATCH : 1; /* the limits change with AUTH */
    request_batch_parse(b, &c->request, &limits, bytes_make(input, len), most);
    request_batch_look_up(b, c->core, &c->session);
}

/* What it names is not promised: somebody may change it or close the client before the input comes. */
void client_announced(struct client *c, const uint8_t *data, size_t len, bool near)
{
    if (near) {
        if (c->ahead) request_batch_fetch_records(c->ahead, &c->session);
        return;
    }
    if (c->ahead || c->query || c->running || !client_may_run(c)) return;
    c->ahead = batch_take(c->core->clients);
    c->batch_lent = false;
    batch_read(c->ahead, c, data, len);
}

/* Limits that a thread does not know are asked for where a stranger speaks: it is read again. */
void client_prepared(struct client *c, struct request_batch *batch)
{
    if (c->ahead || c->query || c->running || !c->session.user || !client_may_run(c)) return;
    c->ahead = batch;
    c->batch_lent = true;
    request_batch_fetch_buckets(batch, &c->session);
}

/* Returns the bytes consumed: whole requests that ran, no more of them when `most` bytes are reached. */
static size_t process(struct client *c, const uint8_t *input, size_t len, size_t most)
{
    struct clients *all = c->core->clients;
    size_t at = 0;
    if (c->ahead && c->ahead->input.ptr != input) drop_ahead(c); /* more input is announced, behind this */
    struct request_batch *batch = c->ahead;
    c->ahead = NULL;
    if (!batch) {
        batch = batch_take(all);
        c->batch_lent = false;
        batch_read(batch, c, input, len);
    }
    c->running = true;
    c->processing_len = len;
    for (;;) {
        request_batch_fetch_records(batch, &c->session);
        request_batch_fetch_elements(batch, &c->session);
        at += run_batch(c, batch);
        if (at >= most || at == len || batch->status != RESP_COMPLETE || !client_may_run(c)) break;
        batch_read(batch, c, input + at, len - at);
    }
    c->running = false;
    c->processing_len = 0;
    if (batch->status == RESP_ERROR && client_may_run(c)) protocol_error(c, c->request.error);
    if (!c->batch_lent) batch_give(all, batch);
    if (at < len && !client_may_run(c)) forget_progress(c); /* stopped early: what was read ahead is read again later */
    return at;
}

/* --- kept input --- */

struct kept {
    uint8_t *bytes; /* NULL: none */
    size_t at, len, capacity;
};

static struct kept take_kept(struct client *c)
{
    struct kept k = {c->query, c->query_at, c->query_len, c->query_capacity};
    c->query = NULL;
    c->query_at = c->query_len = c->query_capacity = 0;
    return k;
}

static void put_kept(struct client *c, struct kept k)
{
    c->query = k.bytes;
    c->query_at = k.at;
    c->query_len = k.len;
    c->query_capacity = k.capacity;
}

static size_t capacity_for(const struct client *c, size_t needed)
{
    size_t wanted = c->request.wanted;
    return wanted > needed && wanted > KEEP_EXACT_BYTES ? wanted : needed * 2;
}

/* Kept bytes are moved to the front only over as many that are done with. */
static void make_room(struct client *c, size_t len)
{
    size_t needed = c->query_len + len;
    if (c->query_at + needed <= c->query_capacity) return;
    if (c->query_at == 0) {
        c->query_capacity = capacity_for(c, needed);
        c->query = mem_realloc(c->query, c->query_capacity);
        return;
    }
    struct kept old = take_kept(c);
    bool fits = needed <= old.capacity && old.at >= old.len;
    size_t capacity = fits ? old.capacity : capacity_for(c, needed);
    uint8_t *to = fits ? old.bytes : mem_alloc(capacity);
    memcpy(to, old.bytes + old.at, old.len);
    if (!fits) mem_free(old.bytes);
    put_kept(c, (struct kept){to, 0, old.len, capacity});
}

static void keep(struct client *c, const uint8_t *data, size_t len)
{
    if (!len) return;
    make_room(c, len);
    memcpy(c->query + c->query_at + c->query_len, data, len);
    c->query_len += len;
    if (c->query_len > c->query_peak) c->query_peak = c->query_len;
}

/* What arrived inside a command belongs behind the rest of the input that the command stood in. */
static void keep_later(struct client *c, struct kept later)
{
    keep(c, later.bytes + later.at, later.len);
    mem_free(later.bytes);
}

static bool over_limit(struct client *c)
{
    size_t most = c->session.user ? c->core->settings->net.query_buffer_limit_bytes : STRANGER_INPUT_BYTES;
    if (likely(c->query_len <= most)) return false;
    log_warning("Closing client that reached max query buffer length: id=%llu qbuf=%zu",
                (unsigned long long)c->session.id, c->query_len);
    c->core->stats->client_query_buffer_limit_disconnections++;
    client_close(c);
    return true;
}

static bool may_run_kept(const struct client *c)
{
    return c->query && !c->running && client_may_run(c);
}

/* A running command may read more of this client's bytes meanwhile, so the buffer being parsed is taken out first. */
void client_run_kept(struct client *c)
{
    if (!may_run_kept(c)) return;
    struct kept k = take_kept(c);
    size_t done = process(c, k.bytes + k.at, k.len, KEPT_BYTES_EACH_TURN);
    if (c->close_asap || done == k.len) {
        mem_free(k.bytes);
    } else {
        struct kept later = take_kept(c);
        put_kept(c, (struct kept){k.bytes, k.at + done, k.len - done, k.capacity});
        keep_later(c, later);
    }
    if (c->close_asap) return;
    client_wrote(c);
    if (done >= KEPT_BYTES_EACH_TURN && may_run_kept(c)) client_wake_later(c);
}

/* Of a first arrival that is no request yet: the beginning of a TLS handshake, whose client would wait for ever. */
static bool refused_tls(struct client *c, const uint8_t *data, size_t len)
{
    bool hello = c->net_in == len && len >= 3 && data[0] == 0x16 && data[1] == 3 && data[2] <= 4;
    if (likely(!hello)) return false;
    c->core->stats->tls_on_plain_port++;
    clients_log_stranger(c->core, &c->peer, conn_is_secure(c->conn) ? "TLS inside TLS" : "TLS on a port without TLS");
    client_close(c);
    return true;
}

void client_received(struct client *c, const uint8_t *data, size_t len)
{
    if (c->close_asap || c->close_after_reply) return;
    c->net_in += len;
    c->core->stats->net_input_bytes += len;
    c->last_interaction_ms = loop_monotonic_ms(c->core->loop);
    if (c->query || c->running || !client_may_run(c)) {
        drop_ahead(c);
        keep(c, data, len);
        client_account(c, c->core->clients);
        if (!over_limit(c) && !c->woken) client_run_kept(c);
        return;
    }
    size_t done = process(c, data, len, SIZE_MAX);
    if (c->close_asap || (unlikely(done == 0) && refused_tls(c, data, len))) return;
    if (unlikely(c->query != NULL)) {
        struct kept later = take_kept(c);
        keep(c, data + done, len - done);
        keep_later(c, later);
    } else {
        keep(c, data + done, len - done);
    }
    if (!over_limit(c)) client_wrote(c);
}

void client_input_free(struct client *c)
{
    drop_ahead(c);
    mem_free(take_kept(c).bytes);
    resp_request_free(&c->request);
}
