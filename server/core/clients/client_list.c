/* CLIENT LIST's line about a client, or about our master. Server process. Field names and order are Redis's: tools
 * parse them. */
#include "server/core/clients/clients_parts.h"

#include "repl/replication.h"
#include "server/core/core.h"
#include "server/core/run/master_stream.h"
#include "server/core/session/pubsub.h"
#include "server/core/session/transaction.h"

#include <stdio.h>

struct line {
    const struct session *session;
    const struct address *peer, *local;
    int fd; /* -1: none of ours */
    int64_t age_ms, idle_ms;
    const char *flags, *events;
    size_t query_bytes, query_spare_bytes, argument_bytes, multi_bytes, total_bytes;
    struct outq_parts output;
    size_t output_peak_bytes;
};

static void flag_letters(const struct client *c, char out[16])
{
    const struct session *s = &c->session;
    size_t n = 0;
    if (list_contains(&s->monitoring)) out[n++] = 'O';
    if (c->follower) out[n++] = 'S';
    if (s->subscriptions) out[n++] = 'P';
    if (s->transaction) out[n++] = 'x';
    if (s->blocked) out[n++] = 'b';
    if (s->tracking) out[n++] = 't';
    if (s->tracking & TRACKING_BROKEN_REDIRECT) out[n++] = 'R';
    if (s->tracking & TRACKING_BCAST) out[n++] = 'B';
    if (s->watch_broken) out[n++] = 'd';
    if (c->close_after_reply) out[n++] = 'c';
    if (c->close_asap) out[n++] = 'A';
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

static void add_identity(const struct line *l, struct outq *out)
{
    char peer[ADDRESS_TEXT_MAX], local[ADDRESS_TEXT_MAX];
    address_text(l->peer, peer);
    address_text(l->local, local);
    add_number(out, "id=", (long long)l->session->id);
    add_text(out, " addr=", peer);
    add_text(out, " laddr=", local);
    add_number(out, " fd=", l->fd);
    add(out, " name=", l->session->name);
    add_number(out, " age=", l->age_ms / 1000);
    add_number(out, " idle=", l->idle_ms / 1000);
    add_text(out, " flags=", l->flags);
}

/* The stream's bytes that are kept for it, be they in the backlog or beyond. */
static size_t kept_for_replica(const struct client *c)
{
    struct follower_view view;
    return c->follower && follower_view(c->follower, &view) ? view.behind_bytes : 0;
}

static void add_line(const struct line *l, struct outq *out)
{
    const struct session *s = l->session;
    add_identity(l, out);
    add_number(out, " db=", database_index(s->db));
    add_number(out, " sub=", (long long)pubsub_session_count(s, PUBSUB_CHANNEL));
    add_number(out, " psub=", (long long)pubsub_session_count(s, PUBSUB_PATTERN));
    add_number(out, " ssub=", (long long)pubsub_session_count(s, PUBSUB_SHARD));
    add_number(out, " multi=", s->transaction ? (long long)transaction_length(s) : -1);
    add_number(out, " qbuf=", (long long)l->query_bytes);
    add_number(out, " qbuf-free=", (long long)l->query_spare_bytes);
    add_number(out, " argv-mem=", (long long)l->argument_bytes);
    add_number(out, " multi-mem=", (long long)l->multi_bytes);
    add_number(out, " rbs=", (long long)l->output.buffer_bytes);
    add_number(out, " rbp=", (long long)l->output_peak_bytes);
    add_number(out, " obl=", (long long)l->output.buffer_used);
    add_number(out, " oll=", (long long)l->output.list_chunks);
    add_number(out, " omem=", (long long)l->output.list_bytes);
    add_number(out, " tot-mem=", (long long)l->total_bytes);
    add_text(out, " events=", l->events);
    add_text(out, " cmd=", s->running_command ? s->running_command->full_name : "NULL");
    add(out, " user=", session_user_name(s));
    add_number(out, " redir=", s->tracking ? (long long)tracking_redirect(s) : -1);
    add_number(out, " resp=", s->reply.protocol);
    add(out, " lib-name=", s->lib_name);
    add(out, " lib-ver=", s->lib_ver);
    outq_append(out, "\n", 1);
}

void client_describe(struct client *c, struct outq *out)
{
    int64_t now_ms = loop_monotonic_ms(c->core->loop);
    size_t stream = kept_for_replica(c);
    size_t elsewhere = stream + (c->conn ? conn_lent_unsent(c->conn) : 0);
    struct outq_parts output = outq_parts(c->conn ? conn_output(c->conn) : &c->nowhere);
    output.list_bytes += elsewhere;
    output.list_chunks += elsewhere > 0; /* in one piece, whatever its size */
    bool writing = c->conn && conn_unsent(c->conn) > 0;
    /* As Redis counts: what is understood of a request that is still to come is no input any more. */
    size_t taken = c->query_len && !c->processing_len ? resp_request_taken(&c->request) : 0;
    char flags[16];
    flag_letters(c, flags);
    add_line(
        &(struct line){
            .session = &c->session,
            .peer = c->unix_socket ? &c->local : &c->peer,
            .local = &c->local,
            .fd = c->conn ? conn_fd(c->conn) : -1,
            .age_ms = now_ms - c->created_ms,
            .idle_ms = now_ms - c->last_interaction_ms,
            .flags = flags,
            .events = !c->conn  ? ""
                      : writing ? "rw"
                                : "r",
            .query_bytes = c->query_len + c->processing_len - taken,
            .query_spare_bytes = c->query_capacity - c->query_len,
            .argument_bytes = resp_request_memory(&c->request) + taken,
            .multi_bytes = transaction_memory(&c->session),
            .output = output,
            .output_peak_bytes = c->output_peak > output.buffer_used ? c->output_peak : output.buffer_used,
            .total_bytes = client_memory(c) + stream,
        },
        out);
}

bool clients_describe_master(const struct core *core, struct outq *out)
{
    struct master_link_view link;
    int64_t since_ms;
    if (!replication_master_link_view(core->replication, &link)) return false;
    const struct session *s = master_stream_session(core->master_stream, &since_ms);
    add_line(
        &(struct line){
            .session = s,
            .peer = &link.master,
            .local = &link.own,
            .fd = link.fd,
            .age_ms = loop_monotonic_ms(core->loop) - since_ms,
            .idle_ms = link.idle_s * 1000,
            .flags = "M",
            .events = link.unsent_bytes ? "rw" : "r",
            .query_bytes = link.unapplied_bytes,
            .output = {.list_bytes = link.unsent_bytes, .list_chunks = link.unsent_bytes > 0},
            .total_bytes = link.unapplied_bytes + link.unsent_bytes,
        },
        out);
    return true;
}
