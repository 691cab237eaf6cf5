/* CLIENT LIST's line about a client. Server process. Field names and order are Redis's: tools parse them. */
#include "server/core/clients_parts.h"

#include "repl/replication.h"
#include "server/core/core.h"
#include "server/core/pubsub.h"
#include "server/core/transaction.h"

#include <stdio.h>

static void flag_letters(const struct client *c, char out[16])
{
    const struct session *s = &c->session;
    size_t n = 0;
    if (list_contains(&c->monitoring)) out[n++] = 'O';
    if (c->replica) out[n++] = 'S';
    if (s->subscriptions) out[n++] = 'P';
    if (s->transaction) out[n++] = 'x';
    if (s->blocked) out[n++] = 'b';
    if (s->watch_broken) out[n++] = 'd';
    if (c->close_after_reply) out[n++] = 'c';
    if (c->unix_socket) out[n++] = 'U';
    if (s->readonly) out[n++] = 'r';
    if (s->no_evict) out[n++] = 'e';
    if (s->no_touch) out[n++] = 'T';
    if (!n) out[n++] = 'N';
    out[n] = 0;
}

static void add(struct outq *out, const char *name, struct bytes value)
{
    outq_append(out, name, strlen(name));
    outq_append(out, value.ptr, value.len);
}

static void add_number(struct outq *out, const char *name, long long value)
{
    char text[64];
    int len = snprintf(text, sizeof text, "%s%lld", name, value);
    outq_append(out, text, (size_t)len);
}

static void add_text(struct outq *out, const char *name, const char *value)
{
    add(out, name, bytes_from_text(value));
}

static void add_identity(const struct client *c, struct outq *out, int64_t now_ms)
{
    char peer[ADDRESS_TEXT_MAX], local[ADDRESS_TEXT_MAX], flags[16];
    address_text(c->unix_socket ? &c->local : &c->peer, peer);
    address_text(&c->local, local);
    flag_letters(c, flags);
    add_number(out, "id=", (long long)c->session.id);
    add_text(out, " addr=", peer);
    add_text(out, " laddr=", local);
    add_number(out, " fd=", c->conn ? conn_fd(c->conn) : -1);
    add(out, " name=", c->session.name);
    add_number(out, " age=", (now_ms - c->created_ms) / 1000);
    add_number(out, " idle=", (now_ms - c->last_interaction_ms) / 1000);
    add_text(out, " flags=", flags);
}

/* The stream's bytes that are kept for it, be they in the backlog or beyond. */
static size_t kept_for_replica(const struct client *c)
{
    struct replica_view view;
    return c->replica && replica_handle_view(c->replica, &view) ? view.behind_bytes : 0;
}

void client_describe(struct client *c, struct outq *out)
{
    const struct session *s = &c->session;
    const struct outq *output = c->conn ? conn_output(c->conn) : &c->nowhere;
    size_t output_memory = outq_memory(output) + kept_for_replica(c);
    bool writing = c->conn && conn_unsent(c->conn) > 0;
    add_identity(c, out, loop_monotonic_ms(c->core->loop));
    add_number(out, " db=", database_index(s->db));
    add_number(out, " sub=", (long long)pubsub_session_count(s, PUBSUB_CHANNEL));
    add_number(out, " psub=", (long long)pubsub_session_count(s, PUBSUB_PATTERN));
    add_number(out, " ssub=", (long long)pubsub_session_count(s, PUBSUB_SHARD));
    add_number(out, " multi=", s->transaction ? (long long)transaction_length(s) : -1);
    add_number(out, " qbuf=", (long long)(c->query_len + c->processing_len));
    add_number(out, " qbuf-free=", (long long)(c->query_capacity - c->query_len));
    add_number(out, " argv-mem=", (long long)(c->request.capacity * sizeof(struct bytes)));
    add_number(out, " multi-mem=", 0);
    add_number(out, " rbs=", OUTQ_CHUNK_BYTES);
    add_number(out, " rbp=", 0);
    add_number(out, " obl=", 0);
    add_number(out, " oll=", (long long)(output_memory / OUTQ_CHUNK_BYTES));
    add_number(out, " omem=", (long long)output_memory);
    add_number(out, " tot-mem=", (long long)(sizeof *c + c->query_capacity + output_memory));
    add_text(out, " events=", !c->conn ? "" : writing ? "rw" : "r");
    add_text(out, " cmd=", s->running_command ? s->running_command->full_name : "NULL");
    add(out, " user=", s->user);
    add_number(out, " redir=", -1);
    add_number(out, " resp=", s->reply.protocol);
    add(out, " lib-name=", s->lib_name);
    add(out, " lib-ver=", s->lib_ver);
    outq_append(out, "\n", 1);
}
