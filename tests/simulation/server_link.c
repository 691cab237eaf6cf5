/* The link process of a server, one follower at a time, as repl/link/peer.c is: what is sent comes from where it lies
 * in the backlog, by the real reader. The simulator. */
#include "tests/simulation/plan.h"
#include "tests/simulation/server.h"

#include "repl/wire.h"
#include "server/base/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define SOCKET_BYTES 65536 /* what a connection takes before its other end has any of it */
#define PIECE_BYTES  4096
#define FILE_PIECES  4 /* a snapshot leaves in so many, and takes as long as it took to write */

/* --- the process --- */

static void ring_opened(void *context, int ring, int fd, uint64_t size)
{
    struct server *s = context;
    CHECK(reader_add_ring(s->reader, (uint64_t)ring, dup(fd), size) == 0);
}

static void start(struct server *s)
{
    struct backlog *b = repl_stream_backlog(s->stream);
    if (s->reader) return;
    s->reader = reader_attach(SHM_LINK, dup(backlog_control_fd(b)), dup(backlog_bell(b, SHM_LINK)),
                              dup(backlog_server_bell(b)));
    CHECK(s->reader);
    backlog_on_ring(b, SHM_LINK, ring_opened, s);
}

void link_detach(struct server *s)
{
    if (!s->reader) return;
    backlog_on_ring(repl_stream_backlog(s->stream), SHM_LINK, NULL, NULL);
    reader_detach(s->reader);
    s->reader = NULL;
}

/* All peers' sockets go with it. */
void link_died(struct server *s)
{
    if (!s->reader) return;
    link_detach(s);
    for (int i = 0; i < FOLLOWERS_MAX; i++) {
        struct follower *f = &s->followers[i];
        if (!f->used || f->phase == PHASE_NONE) continue;
        network_close(s->w, s->id, f->conn);
        f->phase = PHASE_NONE;
        follower_step(s, f, &(struct follower_event){.kind = FOLLOWER_EVENT_LINK_DIED});
    }
    server_turn_ends(s);
}

/* --- a peer's end --- */

static void gone(struct server *s, struct follower *f, const char *why)
{
    if (f->phase != PHASE_NONE) reader_peer_let_go(s->reader, f->slot);
    f->phase = PHASE_NONE;
    network_close(s->w, s->id, f->conn);
    uint64_t offset;
    follower_is_shown(s, f, &offset); /* what the slot says is looked at before */
    follower_step(s, f, &(struct follower_event){.kind = FOLLOWER_EVENT_LET_GO, .text = why});
}

void link_lost(struct server *s, struct follower *f, const char *why)
{
    if (f->phase != PHASE_NONE) {
        gone(s, f, why);
        return;
    }
    follower_step(
        s, f,
        &(struct follower_event){.kind = FOLLOWER_EVENT_UNWANTED, .text = "it left while it waited for its snapshot"});
}

/* --- a peer's beginning --- */

int link_give(struct server *s, struct follower *f)
{
    char answer[128];
    const struct history *h = repl_stream_history(s->stream);
    bool full = f->machine.wish == FOLLOWER_FULL;
    start(s);
    reader_peer_open(s->reader, f->slot);
    f->phase = full ? PHASE_WAITING : PHASE_STREAM;
    f->offset = f->from;
    f->snapshot_sent = 0;
    f->sending = false;
    if (!full) reader_peer_set_state(s->reader, f->slot, PEER_ONLINE);
    if (full)
        snprintf(answer, sizeof answer, WIRE_FULLRESYNC " %s %" PRIu64, h->id, f->from - 1);
    else
        snprintf(answer, sizeof answer, WIRE_CONTINUE " %s", h->id);
    server_send_text(s, f->conn, SAYS_LINES, answer);
    return 0;
}

/* --- sending --- */

static struct follower *find(struct server *s, uint64_t arg)
{
    return follower_find(s, (conn_id)arg);
}

static void send_piece(struct world *w, int node, uint64_t arg)
{
    struct server *s = server_of(w, node);
    struct follower *f = find(s, arg);
    if (!f || f->phase != PHASE_SNAPSHOT || !f->snapshot) return;
    const struct data *d = &f->snapshot->data;
    size_t len = d->len / FILE_PIECES + 1, left = d->len - f->snapshot_sent;
    if (len > left) len = left;
    bool last = len == left;
    f->sending = false;
    uint64_t number[4] = {last, d->len};
    server_send(s, f->conn, SAYS_SNAPSHOT, number, d->bytes + f->snapshot_sent, len);
    f->snapshot_sent += len;
    if (last) f->phase = PHASE_LOADING;
    server_turn_ends(s);
}

static void pump_snapshot(struct server *s, struct follower *f)
{
    if (!f->snapshot || f->snapshot->state == SNAPSHOT_FAILED) {
        gone(s, f, "the snapshot failed");
        return;
    }
    if (f->phase == PHASE_WAITING && f->snapshot->state == SNAPSHOT_COMPLETE) {
        reader_peer_set_state(s->reader, f->slot, PEER_SENDING_SNAPSHOT);
        f->phase = PHASE_SNAPSHOT;
    }
    if (f->phase != PHASE_SNAPSHOT || f->sending) return;
    if (network_unsent_bytes(s->w, s->id, f->conn) >= SOCKET_BYTES) return;
    f->sending = true;
    world_after(s->w, s->w->plan->snapshot_ms / FILE_PIECES, s->id, send_piece, f->conn);
}

static void pump_stream(struct server *s, struct follower *f)
{
    while (network_unsent_bytes(s->w, s->id, f->conn) < SOCKET_BYTES) {
        struct bytes run = reader_next_run(s->reader, f->slot, f->offset, PIECE_BYTES);
        if (!run.len) return;
        server_send(s, f->conn, SAYS_STREAM, NULL, run.ptr, run.len);
        f->offset += run.len;
        reader_peer_moved(s->reader, f->slot, f->offset);
        reader_peer_count(s->reader, f->slot, run.len, 0);
    }
}

static void pump(struct server *s, struct follower *f)
{
    if (f->phase == PHASE_NONE) return;
    if (reader_peer_is_doomed(s->reader, f->slot))
        gone(s, f, "the server gave it up");
    else if (f->phase == PHASE_STREAM)
        pump_stream(s, f);
    else
        pump_snapshot(s, f);
}

void link_pump_all(struct server *s)
{
    if (!s->reader) return;
    for (int i = 0; i < FOLLOWERS_MAX; i++)
        if (s->followers[i].used) pump(s, &s->followers[i]);
}

/* --- what it says --- */

static void acknowledged(struct server *s, struct follower *f, uint64_t offset)
{
    if (f->phase == PHASE_LOADING) {
        f->phase = PHASE_STREAM;
        reader_peer_set_state(s->reader, f->slot, PEER_ONLINE);
        follower_step(s, f, &(struct follower_event){.kind = FOLLOWER_EVENT_STREAMS});
    }
    if (f->phase != PHASE_STREAM) return;
    reader_peer_acked(s->reader, f->slot, offset, 0, server_now_ms(s));
    commands_acks_moved(s);
}

void link_received(struct server *s, struct follower *f, const struct packet *packet)
{
    if (f->phase == PHASE_NONE) return;
    reader_peer_count(s->reader, f->slot, 0, 1);
    if (packet->what == SAYS_ACK)
        acknowledged(s, f, packet->number[0]);
    else
        reader_peer_alive(s->reader, f->slot, server_now_ms(s));
}

void link_tick(struct server *s, struct follower *f)
{
    if (f->phase == PHASE_NONE) return;
    bool unsent = network_unsent_bytes(s->w, s->id, f->conn) > 0;
    bool snapshot = f->phase == PHASE_WAITING || f->phase == PHASE_SNAPSHOT;
    if (f->phase == PHASE_WAITING) server_send(s, f->conn, SAYS_ALIVE, NULL, NULL, 0);
    reader_peer_set_debt(s->reader, f->slot, !snapshot ? OWES_WORD : unsent ? OWES_TAKING : OWES_NOTHING);
}
