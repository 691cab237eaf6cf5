/* What waits to leave for a client, and how much of it may, in the server process. */
#include "server/core/clients/clients_parts.h"

#include "server/base/check.h"
#include "server/base/log.h"
#include "server/core/command/stats.h"
#include "server/core/core.h"
#include "server/core/settings.h"

#define LIMITS_LOOK_BYTES OUTQ_CHUNK_BYTES /* output below this is never over a limit worth looking at */

#define STRANGER_OUTPUT_BYTES OUTQ_CHUNK_BYTES /* who has not said who he is may be owed so many bytes */

/* The first chunk is what Redis writes into the client itself: neither omem nor a limit counts it. */
static bool over_output_limit(struct client *c, size_t unsent)
{
    const struct output_limit *limit = &c->core->settings->net.output_limits[client_class(c)];
    size_t listed = unsent > OUTQ_CHUNK_BYTES ? unsent - OUTQ_CHUNK_BYTES : 0;
    if (unlikely(!c->session.user) && unsent > STRANGER_OUTPUT_BYTES) return true;
    if (limit->hard_bytes && listed > limit->hard_bytes) return true;
    if (!limit->soft_bytes || listed <= limit->soft_bytes) {
        c->soft_limit_since_ms = 0;
        return false;
    }
    int64_t now_ms = loop_monotonic_ms(c->core->loop);
    if (!c->soft_limit_since_ms) c->soft_limit_since_ms = now_ms;
    return now_ms - c->soft_limit_since_ms > (int64_t)limit->soft_s * 1000;
}

bool client_output_within_limit(struct client *c, size_t unsent)
{
    client_note_buffers(c, 0, unsent);
    if (unsent > c->output_peak) c->output_peak = unsent;
    if (!over_output_limit(c, unsent)) return true;
    log_warning("Client id=%llu scheduled to be closed ASAP for overcoming of output buffer limits: %zu bytes unsent.",
                (unsigned long long)c->session.id, unsent);
    c->core->stats->client_output_buffer_limit_disconnections++;
    client_close(c);
    return false;
}

/* In the middle of a command, too: neither it nor the requests behind it write more than the limit has room for. What
 * waits where it writes is not all there is: some is encrypted already, or with an I/O thread; and of a push that is
 * held back, all else. */
bool client_output_may_grow(struct reply_guard *guard, size_t waiting_bytes)
{
    struct client *c = list_entry(guard, struct client, guard);
    size_t whole = c->conn ? conn_unsent(c->conn) : 0, queued = c->conn ? outq_pending(conn_output(c->conn)) : 0;
    size_t unsent = waiting_bytes + whole - queued;
    return client_output_within_limit(c, unsent > whole ? unsent : whole);
}

void client_wrote(struct client *c)
{
    if (!c->conn || c->close_asap) return;
    if (c->close_after_reply) {
        struct conn *conn = c->conn;
        client_cut_off(c);
        conn_close_after_flush(conn);
        client_close(c);
        return;
    }
    conn_flush(c->conn);
    client_account(c, c->core->clients);
    if (conn_unsent(c->conn) > LIMITS_LOOK_BYTES) client_output_within_limit(c, conn_unsent(c->conn));
}

void client_wake_later(struct client *c)
{
    if (c->woken) return;
    c->woken = true;
    list_push_back(&c->core->clients->woken, &c->pending);
}

void client_wake(struct client *c)
{
    if (c->close_asap || c->running) return;
    client_wrote(c);
    if (c->query && !c->close_asap) client_wake_later(c);
}
