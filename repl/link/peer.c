/* One replica, as the link serves it. Runs in the link process.
 *
 * A plain peer has at most one piece under way, sent from where it lies: the snapshot's piece buffer, then the ring
 * itself. An LZ4 peer's bytes are packed into its connection's output, a bounded amount ahead of the socket: the
 * snapshot by an encoder of its own, the stream once for all (packing.h). Nothing here waits for a peer: each goes on
 * when its own output has left (`drained`) or when the bell tells of something new. */
#include "repl/link/peer.h"

#include "repl/link/drain.h"
#include "repl/link/link.h"
#include "repl/wire.h"
#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/crash.h"
#include "server/base/log.h"
#include "server/base/lz4_stream.h"
#include "server/base/number.h"
#include "server/base/random.h"
#include "server/net/conn.h"
#include "server/net/kernel_tls.h"
#include "server/resp/reader.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define STREAM_PIECE_BYTES (256 * 1024) /* of the ring in one send: what it pins stays small */
#define PACKED_AHEAD_BYTES (256 * 1024) /* an LZ4 peer's output beyond the socket's own buffer */

enum phase {
    PHASE_WAITING, /* for the snapshot to begin, or (without eof framing) to be complete */
    PHASE_SNAPSHOT,
    PHASE_LOADING, /* has the snapshot up to its end mark: its first acknowledgement starts the stream */
    PHASE_STREAM,
    PHASE_DELIVERED /* wanted no more than the snapshot */
};

#define TO(phase) (1u << PHASE_##phase)

static const struct {
    const char *name;
    enum shm_peer_phase slot; /* what the server reads of it */
    unsigned successors;
} phases[] = {
    [PHASE_WAITING] = {"waiting for the snapshot", PEER_WAITING, TO(SNAPSHOT) | TO(STREAM)},
    [PHASE_SNAPSHOT] = {"snapshot", PEER_SENDING_SNAPSHOT, TO(LOADING) | TO(STREAM) | TO(DELIVERED)},
    [PHASE_LOADING] = {"loading", PEER_SENDING_SNAPSHOT, TO(STREAM)},
    [PHASE_STREAM] = {"stream", PEER_ONLINE, 0},
    [PHASE_DELIVERED] = {"snapshot delivered", PEER_SENDING_SNAPSHOT, 0},
};

struct peer {
    struct link *link;
    int slot;
    struct conn *conn;
    enum phase phase;
    bool eof_framing, rdb_only;
    bool kernel_tls;             /* the connection's */
    struct lz4_encoder *encoder; /* NULL: plain */

    int spool; /* -1: needs none (any more) */
    char mark[WIRE_MARK_BYTES];
    uint8_t *piece_buffer;   /* SPOOL_PIECE_BYTES, while a file is sent */
    uint64_t snapshot_bytes; /* read from the file so far */
    uint64_t pieces;         /* taken from the pipe so far */
    bool piece_in_flight;    /* the pipe's current piece is being sent */

    uint64_t offset;         /* of the stream: what is to be sent next, or is in flight */
    size_t stream_in_flight; /* bytes from offset on, sent in place */

    uint64_t handed_bytes, sent_bytes; /* to the connection, by the connection */
    uint64_t heard_bytes;
    int64_t ping_us;
    struct drain drain; /* once the server is gone */

    struct resp_request request;
    uint8_t *input; /* the beginning of an incomplete request */
    size_t input_bytes, input_capacity;
};

static int64_t now_us(const struct peer *p)
{
    return loop_monotonic_us(p->link->loop);
}

static bool past(const struct peer *p, int64_t since_us, int seconds)
{
    return seconds > 0 && now_us(p) - since_us >= seconds * INT64_C(1000000);
}

static void enter(struct peer *p, enum phase phase)
{
    CHECK(phases[p->phase].successors & (1u << phase));
    if (phases[phase].slot != phases[p->phase].slot)
        reader_peer_set_state(p->link->reader, p->slot, phases[phase].slot);
    p->phase = phase;
}

static void tell(struct link *link, enum message_kind kind, int slot, const char *reason)
{
    if (!link->channel) return;
    message_send(link->channel, &(struct message){.kind = kind, .index = slot}, bytes_from_text(reason), NULL, 0);
}

/* --- the end --- */

static void leave_spool(struct peer *p)
{
    if (p->spool < 0) return;
    struct spool *s = &p->link->spools[p->spool];
    spool_leave(s, !p->piece_in_flight && p->pieces == s->pieces);
    p->spool = -1;
}

/* The socket is shut first: from then on the kernel sends nothing more of the ring or the piece buffer, whatever was
 * under way, and the slot can be let go. */
static void end(struct peer *p, const char *reason, bool close_connection)
{
    struct link *link = p->link;
    int slot = p->slot;
    /* Not to who lacks something that was under way: it would look complete. */
    if (p->kernel_tls && conn_unsent(p->conn) == 0) (void)kernel_tls_say_end(conn_fd(p->conn));
    shutdown(conn_fd(p->conn), SHUT_RDWR);
    if (close_connection) conn_close(p->conn);
    leave_spool(p);
    reader_peer_let_go(link->reader, slot);
    link->peers[slot] = NULL;
    tell(link, MESSAGE_GONE, slot, reason); /* the reason may be the request's own text */
    lz4_encoder_free(p->encoder);
    resp_request_free(&p->request);
    mem_free(p->input);
    mem_free(p->piece_buffer);
    mem_free(p);
}

void peer_close(struct peer *p, const char *reason)
{
    end(p, reason, true);
}

/* What the peer's kernel has not confirmed. */
static int under_way_bytes(const struct peer *p)
{
    int bytes = 0;
    return ioctl(conn_fd(p->conn), SIOCOUTQ, &bytes) == 0 ? bytes : 0;
}

/* All that the peer is to have. The kernel's TLS may hold a record back until TCP has room, and a socket that is shut
 * gives it none: there, TCP has to have got rid of everything. */
static bool is_handed_over(const struct peer *p)
{
    if (conn_unsent(p->conn) > 0 || (p->kernel_tls && under_way_bytes(p) > 0)) return false;
    return p->phase == PHASE_DELIVERED || (p->phase == PHASE_STREAM && p->offset >= reader_end(p->link->reader));
}

/* Without a server, the log is the only place to say it. A replica has got all when its close answers ours: one that
 * goes before, or with an error, may have left bytes unread. Who wanted the snapshot alone knows its end. */
static void note_end(const struct peer *p, int error, const char *reason)
{
    if (p->link->channel) return;
    if (!error && (p->drain.end_said || p->phase == PHASE_DELIVERED)) {
        p->link->drained++;
        return;
    }
    log_warning("The replica in slot %d may not have got all that its master had published (%s, next offset %llu of "
                "%llu): %s",
                p->slot, phases[p->phase].name, (unsigned long long)p->offset,
                (unsigned long long)reader_end(p->link->reader), reason);
}

static void closed(struct conn *conn, int error)
{
    struct peer *p = conn_owner(conn);
    const char *reason = error ? strerror(error) : "the replica closed the connection";
    note_end(p, error, reason);
    end(p, p->phase == PHASE_DELIVERED ? "the snapshot was delivered" : reason, false);
}

/* --- sending --- */

static bool has_room(const struct peer *p)
{
    size_t unsent = conn_unsent(p->conn);
    return p->encoder ? unsent < PACKED_AHEAD_BYTES : unsent == 0;
}

/* The connection had `before` bytes to send, and now has more. */
static void handed(struct peer *p, size_t before)
{
    p->handed_bytes += conn_unsent(p->conn) - before;
    conn_flush(p->conn);
}

/* Framing and keep-alives: short, and visible to the peer without delay. */
static void send_text(struct peer *p, struct bytes text)
{
    size_t before = conn_unsent(p->conn);
    if (p->encoder) {
        lz4_encoder_pack(p->encoder, text, conn_output(p->conn));
        lz4_encoder_flush(p->encoder, conn_output(p->conn));
    } else {
        outq_append(conn_output(p->conn), text.ptr, text.len);
    }
    handed(p, before);
}

/* Nothing more is at hand: what the encoder holds back becomes visible. */
static void flush_packed(struct peer *p)
{
    if (!p->encoder) return;
    size_t before = conn_unsent(p->conn);
    lz4_encoder_flush(p->encoder, conn_output(p->conn));
    handed(p, before);
}

/* A plain peer's bytes stay untouched until they have left; an LZ4 peer is done with them at once. */
static void send_run(struct peer *p, struct bytes run)
{
    size_t before = conn_unsent(p->conn);
    if (p->encoder)
        lz4_encoder_pack(p->encoder, run, conn_output(p->conn));
    else
        conn_send_in_place(p->conn, run.ptr, run.len);
    handed(p, before);
}

static void note_progress(struct peer *p)
{
    uint64_t sent = p->handed_bytes - conn_unsent(p->conn);
    if (sent == p->sent_bytes) return;
    reader_peer_count(p->link->reader, p->slot, sent - p->sent_bytes, 0);
    p->sent_bytes = sent;
    if (p->stream_in_flight == 0) return;
    uint64_t left = conn_in_place_left(p->conn);
    p->offset += p->stream_in_flight - left;
    p->stream_in_flight = left;
    reader_peer_moved(p->link->reader, p->slot, p->offset);
}

/* --- steps: each sends one thing. True: look again, there may be more. False: nothing now, or the peer is gone. --- */

static bool nothing_now(struct peer *p)
{
    struct reader *reader = p->link->reader;
    flush_packed(p);
    if (p->link->pacing && !reader_acks_are_watched(reader)) return false; /* the next beat looks again */
    return reader_arm_bell(reader);
}

static bool give_up(struct peer *p, const char *reason)
{
    peer_close(p, reason);
    return false;
}

static void start_stream(struct peer *p)
{
    enter(p, PHASE_STREAM);
}

static bool finish_snapshot(struct peer *p)
{
    if (p->eof_framing) send_text(p, bytes_make(p->mark, WIRE_MARK_BYTES));
    leave_spool(p);
    mem_free(p->piece_buffer);
    p->piece_buffer = NULL;
    if (p->rdb_only) {
        enter(p, PHASE_DELIVERED);
    } else if (p->eof_framing) {
        enter(p, PHASE_LOADING);
    } else {
        start_stream(p);
        tell(p->link, MESSAGE_ONLINE, p->slot, "");
    }
    return true;
}

static bool snapshot_is_lost(const struct peer *p)
{
    enum shm_spool_state state = reader_spool_state(p->link->reader, p->spool);
    return state == SPOOL_FAILED || state == SPOOL_FREE;
}

/* With eof framing the head of a growing snapshot can leave; without it the length must be known. Where there is one
 * processor only, the child has it until it is through: sending meanwhile would lengthen its copy-on-write window. */
static bool snapshot_may_begin(const struct peer *p, bool complete, uint64_t bytes)
{
    const struct spool *s = &p->link->spools[p->spool];
    if (s->is_pipe) return s->pieces > 0 || s->ended;
    bool growing_will_do = p->eof_framing && bytes > 0 && !p->link->one_processor;
    return s->fd >= 0 && (complete || growing_will_do);
}

static bool step_waiting(struct peer *p)
{
    struct reader *r = p->link->reader;
    bool complete = reader_spool_state(r, p->spool) == SPOOL_COMPLETE;
    uint64_t bytes = reader_spool_bytes(r, p->spool);
    char header[64];

    if (snapshot_is_lost(p)) return give_up(p, "the snapshot failed");
    if (!snapshot_may_begin(p, complete, bytes)) return nothing_now(p);
    if (p->eof_framing) {
        random_hex(p->mark, WIRE_MARK_BYTES);
        snprintf(header, sizeof(header), WIRE_MARK_HEADER, WIRE_MARK_BYTES, p->mark);
    } else {
        snprintf(header, sizeof(header), WIRE_LENGTH_HEADER, (unsigned long long)bytes);
    }
    send_text(p, bytes_from_text(header));
    enter(p, PHASE_SNAPSHOT);
    return true;
}

static bool step_file(struct peer *p)
{
    struct reader *r = p->link->reader;
    bool complete = reader_spool_state(r, p->spool) == SPOOL_COMPLETE; /* before its bytes: then they are all */
    uint64_t left = reader_spool_bytes(r, p->spool) - p->snapshot_bytes;
    if (snapshot_is_lost(p)) return give_up(p, "the snapshot failed");
    if (left == 0) return complete ? finish_snapshot(p) : nothing_now(p);
    if (!p->piece_buffer) p->piece_buffer = mem_alloc(SPOOL_PIECE_BYTES);
    ptrdiff_t n = spool_read_file(&p->link->spools[p->spool], p->snapshot_bytes, p->piece_buffer,
                                  left < SPOOL_PIECE_BYTES ? left : SPOOL_PIECE_BYTES);
    if (n < 0) return give_up(p, "the snapshot's file cannot be read");
    p->snapshot_bytes += (uint64_t)n;
    send_run(p, bytes_make(p->piece_buffer, (size_t)n));
    return true;
}

static bool step_pipe(struct peer *p)
{
    struct spool *s = &p->link->spools[p->spool];
    bool complete = reader_spool_state(p->link->reader, p->spool) == SPOOL_COMPLETE;
    if (snapshot_is_lost(p)) return give_up(p, "the snapshot failed");
    if (p->pieces < s->pieces) {
        p->pieces = s->pieces;
        p->piece_in_flight = true;
        send_run(p, bytes_make(s->piece, s->piece_len));
        if (!p->encoder) return false;
    }
    if (p->piece_in_flight) {
        p->piece_in_flight = false;
        flush_packed(p);
        spool_piece_done(s);
    }
    if (!s->ended) return false; /* the pipe's next piece wakes its readers */
    return complete ? finish_snapshot(p) : nothing_now(p);
}

/* The peer is done with a packed piece of the ring at once. */
static void send_packed(struct peer *p, struct bytes run)
{
    size_t before = conn_unsent(p->conn);
    const struct packed_piece *piece = packing_piece(&p->link->packing, p->offset, run);
    lz4_encoder_adopt(p->encoder, bytes_make(piece->blocks, piece->len), conn_output(p->conn));
    handed(p, before);
    p->offset += piece->run_bytes;
    reader_peer_moved(p->link->reader, p->slot, p->offset);
}

static bool step_stream(struct peer *p)
{
    size_t room = p->encoder ? PACKING_PIECE_BYTES : STREAM_PIECE_BYTES;
    struct bytes run = reader_next_run(p->link->reader, p->slot, p->offset, room);
    if (run.len == 0) return nothing_now(p);
    if (p->encoder) {
        send_packed(p, run);
    } else {
        send_run(p, run);
        p->stream_in_flight = run.len;
    }
    return true;
}

static bool step(struct peer *p)
{
    switch (p->phase) {
    case PHASE_WAITING: return step_waiting(p);
    case PHASE_SNAPSHOT: return p->link->spools[p->spool].is_pipe ? step_pipe(p) : step_file(p);
    case PHASE_STREAM: return step_stream(p);
    case PHASE_LOADING:
    case PHASE_DELIVERED: return nothing_now(p);
    }
    UNREACHABLE();
}

static void pump(struct peer *p)
{
    if (reader_peer_is_doomed(p->link->reader, p->slot)) {
        peer_close(p, "the server gave it up");
        return;
    }
    while (has_room(p) && step(p)) continue;
}

static void drained(struct conn *conn)
{
    struct peer *p = conn_owner(conn);
    note_progress(p);
    pump(p);
}

void peers_pump_all(struct link *link)
{
    for (int slot = 0; slot < BACKLOG_PEERS_MAX; slot++)
        if (link->peers[slot]) pump(link->peers[slot]);
}

/* --- what the peer says --- */

static void acknowledged(struct peer *p, const struct resp_request *r)
{
    uint64_t acked, fack = 0;
    if (parse_u64(r->argv[2], &acked) != 0) return;
    if (r->argc >= 5 && bytes_equal_nocase(r->argv[3], WIRE_FACK)) (void)parse_u64(r->argv[4], &fack);
    if (p->phase == PHASE_LOADING) {
        start_stream(p);
        tell(p->link, MESSAGE_ONLINE, p->slot, "");
    }
    if (p->phase == PHASE_STREAM)
        reader_peer_acked(p->link->reader, p->slot, acked, fack, loop_monotonic_ms(p->link->loop));
}

/* Whatever is no acknowledgement is only a sign of life: a loading replica sends bare line ends. */
static void heard(struct peer *p, const struct resp_request *r)
{
    bool is_ack =
        r->argc >= 3 && bytes_equal_nocase(r->argv[0], WIRE_REPLCONF) && bytes_equal_nocase(r->argv[1], WIRE_ACK);
    if (is_ack)
        acknowledged(p, r);
    else
        reader_peer_alive(p->link->reader, p->slot, loop_monotonic_ms(p->link->loop));
}

/* Bytes understood; -1 when the peer broke the protocol and is gone. */
static ptrdiff_t read_requests(struct peer *p, struct bytes input)
{
    static const struct resp_limits limits = {
        .max_bulk_bytes = 16 * 1024, .max_multibulk = 64, .max_inline_bytes = 16 * 1024};
    size_t at = 0, consumed;
    while (at < input.len) {
        enum resp_status status = resp_request_read(&p->request, input.ptr + at, input.len - at, &limits, &consumed);
        if (status == RESP_NEED_MORE) break;
        if (status == RESP_ERROR) {
            peer_close(p, p->request.error);
            return -1;
        }
        at += consumed;
        heard(p, &p->request);
    }
    return (ptrdiff_t)at;
}

static void keep_input(struct peer *p, struct bytes rest)
{
    if (rest.len > p->input_capacity) {
        p->input_capacity = rest.len;
        p->input = mem_realloc(p->input, rest.len);
    }
    if (rest.len > 0) memmove(p->input, rest.ptr, rest.len);
    p->input_bytes = rest.len;
}

static void append_input(struct peer *p, struct bytes more)
{
    size_t before = p->input_bytes;
    if (before + more.len > p->input_capacity) {
        p->input_capacity = before + more.len;
        p->input = mem_realloc(p->input, p->input_capacity);
    }
    memcpy(p->input + before, more.ptr, more.len);
    p->input_bytes = before + more.len;
}

static void take_input(struct peer *p, struct bytes input)
{
    reader_peer_count(p->link->reader, p->slot, 0, input.len);
    p->heard_bytes += input.len;
    if (p->input_bytes > 0) {
        append_input(p, input);
        input = bytes_make(p->input, p->input_bytes);
    }
    ptrdiff_t understood = read_requests(p, input);
    if (understood < 0) return;
    keep_input(p, bytes_make(input.ptr + understood, input.len - (size_t)understood));
    pump(p);
}

static void data(struct conn *conn, const uint8_t *bytes, size_t len)
{
    take_input(conn_owner(conn), bytes_make(bytes, len));
}

/* --- the beginning --- */

static bool comes_too_late(const struct link *link, int spool)
{
    const struct spool *s = &link->spools[spool];
    return s->is_pipe && (s->pieces > 0 || s->ended);
}

void peer_open(struct link *link, const struct message *m, struct bytes body, int fd)
{
    static const struct conn_events events = {.data = data, .closed = closed, .drained = drained};
    CHECK(m->index >= 0 && m->index < BACKLOG_PEERS_MAX && !link->peers[m->index] &&
          m->peer.spool < BACKLOG_SPOOLS_MAX);
    struct peer *p = mem_calloc(1, sizeof(*p));
    *p = (struct peer){.link = link,
                       .slot = m->index,
                       .eof_framing = m->peer.eof_framing,
                       .rdb_only = m->peer.rdb_only,
                       .kernel_tls = kernel_tls_is_on(fd),
                       .encoder = m->peer.lz4 ? lz4_encoder_new() : NULL,
                       .spool = -1,
                       .offset = m->peer.from};
    link->peers[p->slot] = p;
    reader_peer_open(link->reader, p->slot);
    packing_forget(&link->packing); /* a history that began anew has let all earlier peers go */
    p->ping_us = now_us(p);
    p->conn = conn_open(link->loop, fd, &events, p);
    conn_set_nodelay(p->conn, m->peer.nodelay);
    resp_request_init(&p->request);
    outq_append(conn_output(p->conn), body.ptr, m->peer.preamble_bytes);
    p->handed_bytes = m->peer.preamble_bytes;
    conn_flush(p->conn);
    if (m->peer.spool < 0) {
        start_stream(p);
    } else if (comes_too_late(link, m->peer.spool)) {
        peer_close(p, "the snapshot's stream has begun without it");
        return;
    } else {
        p->spool = m->peer.spool;
        spool_join(&link->spools[p->spool]);
    }
    take_input(p, bytes_make(body.ptr + m->peer.preamble_bytes, body.len - m->peer.preamble_bytes));
}

/* --- now and then --- */

static void keep_alive(struct peer *p)
{
    if (p->phase != PHASE_WAITING || conn_unsent(p->conn) > 0 || !past(p, p->ping_us, p->link->ping_period_s)) return;
    p->ping_us = now_us(p);
    send_text(p, BYTES(WIRE_ALIVE));
}

static enum shm_peer_debt owes(const struct peer *p)
{
    bool unsent = conn_unsent(p->conn) > 0;
    switch (p->phase) {
    case PHASE_WAITING:
    case PHASE_SNAPSHOT: return unsent ? OWES_TAKING : OWES_NOTHING;
    case PHASE_LOADING:
    case PHASE_STREAM: return OWES_WORD;
    case PHASE_DELIVERED: return unsent ? OWES_TAKING : OWES_CLOSE;
    }
    UNREACHABLE();
}

static void tick(struct peer *p)
{
    note_progress(p);
    keep_alive(p);
    reader_peer_set_debt(p->link->reader, p->slot, owes(p));
}

void peers_tick(struct link *link)
{
    for (int slot = 0; slot < BACKLOG_PEERS_MAX; slot++)
        if (link->peers[slot]) tick(link->peers[slot]);
}

void peers_leave_spool(struct link *link, int spool, const char *reason)
{
    for (int slot = 0; slot < BACKLOG_PEERS_MAX; slot++)
        if (link->peers[slot] && link->peers[slot]->spool == spool) peer_close(link->peers[slot], reason);
}

/* --- the server is gone --- */

static bool lacks_its_snapshot(const struct peer *p)
{
    if (p->phase != PHASE_WAITING && p->phase != PHASE_SNAPSHOT) return false;
    const struct spool *s = &p->link->spools[p->spool];
    return reader_spool_state(p->link->reader, p->spool) != SPOOL_COMPLETE || (s->fd < 0 && !s->ended);
}

/* Under TLS, what is under way is a little longer than what was handed over: the sum changes all the same. */
static uint64_t moved_bytes(const struct peer *p)
{
    return p->handed_bytes - conn_unsent(p->conn) - (uint64_t)under_way_bytes(p) + p->heard_bytes;
}

static void say_end(const struct peer *p)
{
    if (p->kernel_tls) (void)kernel_tls_say_end(conn_fd(p->conn));
    shutdown(conn_fd(p->conn), SHUT_WR);
}

static void give_up_drain(struct peer *p, const char *reason)
{
    note_end(p, ETIMEDOUT, reason);
    peer_close(p, reason);
}

static void drain(struct peer *p)
{
    struct drain_view view = {
        .out_of_reach = lacks_its_snapshot(p), .handed_over = is_handed_over(p), .moved_bytes = moved_bytes(p)};
    switch (drain_step(&p->drain, &view, loop_monotonic_ms(p->link->loop))) {
    case DRAIN_WAIT: break;
    case DRAIN_SAY_END: say_end(p); break;
    case DRAIN_OUT_OF_REACH: give_up_drain(p, "its snapshot ended with the server"); break;
    case DRAIN_STALLED: give_up_drain(p, "it takes nothing more"); break;
    case DRAIN_LATE: give_up_drain(p, "it takes too long"); break;
    }
}

void peers_begin_drain(struct link *link)
{
    for (int slot = 0; slot < BACKLOG_PEERS_MAX; slot++)
        if (link->peers[slot]) drain_begin(&link->peers[slot]->drain, loop_monotonic_ms(link->loop));
    peers_pump_all(link);
}

bool peers_drain(struct link *link)
{
    bool any = false;
    for (int slot = 0; slot < BACKLOG_PEERS_MAX; slot++) {
        if (link->peers[slot]) drain(link->peers[slot]);
        any = any || link->peers[slot];
    }
    return any;
}

void peers_report(void *arg)
{
    const struct link *link = arg;
    for (int slot = 0; slot < BACKLOG_PEERS_MAX; slot++) {
        const struct peer *p = link->peers[slot];
        if (p)
            crash_print("slot=%d phase=%s lz4=%d snapshot_bytes=%llu offset=%llu sent_bytes=%llu\n", slot,
                        phases[p->phase].name, p->encoder != NULL, (unsigned long long)p->snapshot_bytes,
                        (unsigned long long)p->offset, (unsigned long long)p->sent_bytes);
    }
}
