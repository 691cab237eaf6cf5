/* What the tests of the link process share: it is driven as the server drives it, a real process on a real channel,
 * with peers at the other end of socket pairs, a stream in a real backlog, and snapshots of known bytes. */
#ifndef SLIPSTREAM_TEST_LINK_RIG_H
#define SLIPSTREAM_TEST_LINK_RIG_H

#include "repl/link_handle.h"
#include "server/base/clock.h"
#include "server/base/lz4_stream.h"
#include "tests/unit/test_own_process.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define DEADLINE_MS 5000
#define REST_BYTES  (64 * 1024)
#define NO_SPOOL    (-1)
#define PREAMBLE    "+CONTINUE\r\n"

int main(int argc, char **argv)
{
    return run_process_or_tests(argc, argv, LINK_ARGUMENT, link_main);
}

/* --- the server's side --- */

struct rig {
    struct loop *loop;
    struct backlog *backlog;
    struct link_handle *link;
    bool online[BACKLOG_PEERS_MAX];
    char gone[BACKLOG_PEERS_MAX][256];
    int died, dooms;
};

static inline void on_online(void *context, int slot)
{
    ((struct rig *)context)->online[slot] = true;
}

static inline void on_gone(void *context, int slot, const char *reason)
{
    struct rig *rig = context;
    snprintf(rig->gone[slot], sizeof(rig->gone[slot]), "%s", reason);
    backlog_peer_free(rig->backlog, slot);
}

static inline void on_died(void *context)
{
    ((struct rig *)context)->died++;
}

static inline void on_doom(void *context, int slot, uint64_t lag, uint64_t limit)
{
    (void)slot, (void)lag, (void)limit;
    ((struct rig *)context)->dooms++;
}

static inline void set_up(struct rig *rig, enum loop_engine engine, uint64_t hard_bytes)
{
    char name[64];
    hide_from_test_library();
    *rig = (struct rig){.loop = loop_or_skip(engine)};
    snprintf(name, sizeof(name), "/slipstream-test-link-%d", getpid());
    rig->backlog = backlog_open(name, 1, &(struct backlog_limits){.rest_bytes = REST_BYTES, .hard_bytes = hard_bytes},
                                &(struct backlog_events){.context = rig, .peer_doomed = on_doom});
    cr_assert_not_null(rig->backlog);
    rig->link = link_handle_new(
        rig->loop, "/proc/self/exe",
        &(struct link_events){.context = rig, .peer_online = on_online, .peer_gone = on_gone, .died = on_died});
    cr_assert_eq(link_handle_ensure(rig->link, rig->backlog), 0);
}

static inline void tear_down(struct rig *rig)
{
    pid_t link = link_handle_pid(rig->link);
    link_handle_free(rig->link);
    if (link) cr_assert_eq(kill(link, 0), -1, "the process has ended and is reaped");
    backlog_close(rig->backlog);
    loop_free(rig->loop);
}

static inline uint8_t byte_at(uint64_t offset)
{
    uint64_t x = offset * UINT64_C(0x9e3779b97f4a7c15);
    return offset % 5 == 0 ? (uint8_t)(x >> 56) : (uint8_t)('a' + offset % 7);
}

static inline void write_stream(struct rig *rig, size_t len)
{
    uint8_t *data = malloc(len);
    uint64_t offset = backlog_end(rig->backlog);
    for (size_t i = 0; i < len; i++) data[i] = byte_at(offset + i);
    backlog_append(rig->backlog, data, len);
    backlog_publish(rig->backlog);
    free(data);
}

/* --- a replica --- */

struct replica {
    int fd, slot;
    struct lz4_decoder *decoder; /* NULL: plain */
    uint8_t *got;                /* everything received behind the preamble, unpacked */
    size_t len, capacity, preamble_left;
    bool ended;
};

static inline void attach(struct rig *rig, struct replica *r, struct link_peer *peer)
{
    int pair[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    *r = (struct replica){.fd = pair[0], .preamble_left = strlen(PREAMBLE)};
    if (peer->lz4) r->decoder = lz4_decoder_new();
    r->slot = peer->slot = backlog_peer_claim(rig->backlog, peer->from);
    rig->gone[r->slot][0] = '\0';
    peer->preamble = BYTES(PREAMBLE);
    cr_assert_eq(link_give_peer(rig->link, peer, pair[1]), 0);
}

static inline void follow(struct rig *rig, struct replica *r, uint64_t from)
{
    attach(rig, r, &(struct link_peer){.mode = LINK_CONTINUE, .from = from, .spool = NO_SPOOL});
}

static inline void keep(struct replica *r, struct bytes input)
{
    for (bool more = true; more;) {
        if (r->capacity - r->len < 64 * 1024 + input.len) {
            r->capacity = 2 * r->capacity + 64 * 1024 + input.len;
            r->got = realloc(r->got, r->capacity);
        }
        size_t room = r->capacity - r->len, n = input.len;
        if (r->decoder) {
            ptrdiff_t unpacked = lz4_decoder_unpack(r->decoder, &input, r->got + r->len, room);
            cr_assert_geq(unpacked, 0);
            n = (size_t)unpacked;
        } else {
            memcpy(r->got + r->len, input.ptr, n);
            input.len = 0;
        }
        r->len += n;
        more = input.len > 0 || n == room;
    }
}

static inline void receive(struct replica *r)
{
    uint8_t data[64 * 1024];
    ssize_t n;
    while ((n = recv(r->fd, data, sizeof(data), 0)) > 0) {
        size_t skip = (size_t)n < r->preamble_left ? (size_t)n : r->preamble_left;
        cr_assert_eq(memcmp(data, PREAMBLE + strlen(PREAMBLE) - r->preamble_left, skip), 0);
        r->preamble_left -= skip;
        keep(r, bytes_make(data + skip, (size_t)n - skip));
    }
    if (n == 0 || errno != EAGAIN) r->ended = true;
}

static inline void say(struct replica *r, const char *text)
{
    cr_assert_eq(send(r->fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static inline void acknowledge(struct replica *r, uint64_t offset)
{
    char text[128], number[32];
    int digits = snprintf(number, sizeof(number), "%llu", (unsigned long long)offset);
    snprintf(text, sizeof(text), "*3\r\n$8\r\nREPLCONF\r\n$3\r\nACK\r\n$%d\r\n%s\r\n", digits, number);
    say(r, text);
}

static inline void hang_up(struct replica *r)
{
    lz4_decoder_free(r->decoder);
    free(r->got);
    close(r->fd);
}

/* Turns the server's loop and lets the replicas read until the condition holds. */
#define UNTIL(rig, replicas, count, condition)                                                                         \
    do {                                                                                                               \
        int64_t until_ms = clock_monotonic_ms() + DEADLINE_MS;                                                         \
        while (!(condition)) {                                                                                         \
            cr_assert(clock_monotonic_ms() < until_ms, "waited in vain for: %s", #condition);                          \
            loop_turn((rig)->loop, 1);                                                                                 \
            for (int i_ = 0; i_ < (count); i_++) receive(&(replicas)[i_]);                                             \
        }                                                                                                              \
    } while (0)

static inline struct backlog_peer_view view(struct rig *rig, const struct replica *r)
{
    struct backlog_peer_view v;
    backlog_peer_view(rig->backlog, r->slot, &v);
    return v;
}

static inline bool is_stream(const struct replica *r, size_t at, uint64_t from)
{
    for (size_t i = at; i < r->len; i++)
        if (r->got[i] != byte_at(from + i - at)) return false;
    return true;
}

/* --- a snapshot --- */

struct snapshot {
    int slot, fd;
    uint64_t bytes;
};

static inline uint8_t snapshot_byte(uint64_t at)
{
    return byte_at(at + 1000 * 1000 * 1000);
}

static inline void grow(struct rig *rig, struct snapshot *s, size_t len)
{
    uint8_t *data = malloc(len);
    for (size_t i = 0; i < len; i++) data[i] = snapshot_byte(s->bytes + i);
    cr_assert_eq(write(s->fd, data, len), (ssize_t)len);
    free(data);
    s->bytes += len;
    backlog_spool_advance(rig->backlog, s->slot, s->bytes);
}

static inline void begin_snapshot(struct rig *rig, struct snapshot *s)
{
    *s = (struct snapshot){.slot = backlog_spool_claim(rig->backlog), .fd = memfd_create("snapshot", MFD_CLOEXEC)};
    cr_assert_eq(link_give_spool(rig->link, s->slot, s->fd, false), 0);
}

static inline void end_snapshot(struct rig *rig, struct snapshot *s)
{
    link_free_spool(rig->link, s->slot);
    backlog_spool_free(rig->backlog, s->slot);
    close(s->fd);
}

/* Where the snapshot's bytes begin behind its header and any keep-alives; 0: not there yet. */
static inline size_t snapshot_at(const struct replica *r)
{
    size_t at = 0;
    while (at < r->len && r->got[at] == '\n') at++;
    const uint8_t *line_end = at < r->len ? memchr(r->got + at, '\n', r->len - at) : NULL;
    return line_end ? (size_t)(line_end - r->got) + 1 : 0;
}

static inline bool has_snapshot(const struct replica *r, uint64_t bytes)
{
    size_t at = snapshot_at(r);
    if (at == 0 || r->len < at + bytes) return false;
    for (uint64_t i = 0; i < bytes; i++)
        if (r->got[at + i] != snapshot_byte(i)) return false;
    return true;
}

/* With eof framing: the mark of the header again, behind the snapshot. */
static inline bool has_marked_snapshot(const struct replica *r, uint64_t bytes)
{
    size_t at = snapshot_at(r);
    if (at < 47 || r->len < at + bytes + 40 || memcmp(r->got + at - 47, "$EOF:", 5) != 0) return false;
    return has_snapshot(r, bytes) && memcmp(r->got + at - 42, r->got + at + bytes, 40) == 0;
}

#endif
