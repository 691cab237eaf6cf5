/* The stream of our master: applied, relayed to our own replicas byte by byte, acknowledged. Server process of the
 * replica.
 *
 * Invariant: history.offset counts exactly what is in the dataset. The server's apply counts whole requests, and of a
 * transaction all or nothing; only what it counted goes into the backlog, so that a snapshot taken at any moment and
 * the stream behind it fit together.
 *
 * What cannot be applied (server/core/run/stream_fault.h says what that is) ends the stream in front of it: the link
 * goes down with a line in the log and a reason in INFO and ROLE; nothing behind it is applied, relayed or
 * acknowledged; our data stay and are read. It is tried again
 *   - by a full resync, after a wait that grows (replica_machine.h): the master's data may be such that we can hold
 *     them, and what it wrote in its own way is in a snapshot like anything else;
 *   - from where we stand, at once, when replica-unknown-command has become `ignore`, and when we are told to follow
 *     another master: that one may be of the same history and say it otherwise. */
#include "repl/replica_side.h"

#include "repl/wire.h"
#include "server/base/check.h"
#include "server/base/log.h"
#include "server/base/number.h"

#include <stdio.h>

/* Who asked waits, maybe for our disk: once that has what he asked for, it is said again. */
static void acknowledge(struct replica_side *s, bool asked)
{
    struct replication *r = s->r;
    char offset[I64_TEXT_MAX], durable[I64_TEXT_MAX];
    uint64_t applied = repl_stream_history(r->stream)->offset;
    uint64_t on_disk = r->host.durable_offset(r->host.context, asked ? applied : 0);
    struct bytes request[5] = {BYTES(WIRE_REPLCONF), BYTES(WIRE_ACK), bytes_make(offset, format_u64(offset, applied)),
                               BYTES(WIRE_FACK)};
    bool has_disk = on_disk != UINT64_MAX;
    if (has_disk) request[4] = bytes_make(durable, format_u64(durable, on_disk < applied ? on_disk : applied));
    s->ack_wanted = false;
    replica_send(s, has_disk ? 5 : 3, request);
}

void replica_ack(struct replica_side *s)
{
    acknowledge(s, false);
}

void replication_durable_moved(struct replication *r)
{
    struct replica_side *s = r->replica;
    if (s->streaming && !s->applying) acknowledge(s, false);
}

/* Asked for in the middle of the stream, it waits until what came before is counted. */
void replication_send_ack(struct replication *r)
{
    struct replica_side *s = r->replica;
    if (s->applying)
        s->ack_wanted = true;
    else if (s->streaming)
        acknowledge(s, true);
}

/* What comes next may not be passed over. Our data stay, and so does our place in the stream, for whoever lets it be
 * passed over after all; but for a transaction that has run in part: those data are of no history. */
static void refuse_stream(struct replica_side *s, const struct apply_result *result)
{
    struct replication *r = s->r;
    uint64_t offset = repl_stream_history(r->stream)->offset;
    bool inside = result->end == APPLY_ENDED_INSIDE;
    snprintf(s->refusal, sizeof s->refusal, "%s", result->why);
    s->refusals++;
    s->ask_anew = true;
    log_warning(
        "Our master's stream cannot be followed behind offset %llu: %s. %s; nothing behind it is applied, and the "
        "master will be asked for a full resynchronization (replica-unknown-command)",
        (unsigned long long)offset, s->refusal,
        inside ? "The data are those of that offset, and a part of the transaction that follows"
               : "The data stay as they were there");
    if (inside) {
        s->can_continue = false;
        repl_stream_replace(r->stream, NULL, offset);
    }
    replica_step(s, &(struct replica_event){.kind = EVENT_FAILED, .text = "", .unfollowable = true});
}

/* Returns the bytes applied; SIZE_MAX: the stream was refused, or was let go meanwhile. */
static size_t apply_and_relay(struct replica_side *s, const uint8_t *data, size_t len)
{
    struct replication *r = s->r;
    unsigned life = s->life;
    s->applying = true;
    struct apply_result result = r->host.apply(r->host.context, data, len);
    s->applying = false;
    if (s->life != life) return SIZE_MAX;
    repl_stream_append(r->stream, data, result.applied);
    if (likely(result.end == APPLY_GOES_ON)) return result.applied;
    refuse_stream(s, &result);
    return SIZE_MAX;
}

void replica_apply(struct replica_side *s, const uint8_t *data, size_t len)
{
    s->held_back = s->r->host.writes_paused(s->r->host.context);
    if (s->held_back) return inbox_append(&s->input, data, len);
    if (s->input.len) {
        inbox_append(&s->input, data, len);
        size_t applied = apply_and_relay(s, s->input.data, s->input.len);
        if (applied == SIZE_MAX) return;
        inbox_consume(&s->input, applied);
    } else {
        size_t applied = apply_and_relay(s, data, len);
        if (applied == SIZE_MAX) return;
        inbox_append(&s->input, data + applied, len - applied);
    }
    if (s->ack_wanted) acknowledge(s, true);
}

static void apply_waiting(struct replica_side *s)
{
    struct inbox waiting = s->input;
    s->input = (struct inbox){0};
    if (waiting.len) replica_apply(s, waiting.data, waiting.len);
    inbox_clear(&waiting);
}

void replica_apply_held_back(struct replica_side *s)
{
    const struct replication *r = s->r;
    if (!s->held_back || r->host.writes_paused(r->host.context)) return;
    s->held_back = false;
    if (s->streaming) apply_waiting(s);
}

void replica_begin_stream(struct replica_side *s)
{
    struct replication *r = s->r;
    unsigned life = s->life;
    repl_stream_open(r->stream);
    repl_stream_offer(r->stream);
    r->host.apply_reset(r->host.context, s->stream_db);
    s->streaming = true;
    s->refusal[0] = '\0';
    s->ask_anew = false;
    bool alive = replica_resume_reading(s);
    replica_ack(s);
    apply_waiting(s); /* what came while the snapshot was loaded */
    if (!alive && s->life == life) replica_failed(s, "Connection with master lost.");
}
