/* The link process, driven as the server drives it: a real process on a real channel, peers at the other end of socket
 * pairs. */
#include "repl/link_handle.h"
#include "repl/link/messages.h"
#include "server/base/clock.h"
#include "server/base/lz4_stream.h"
#include "shm/adopt.h"
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
#include <sys/wait.h>
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

static void on_online(void *context, int slot)
{
    ((struct rig *)context)->online[slot] = true;
}

static void on_gone(void *context, int slot, const char *reason)
{
    struct rig *rig = context;
    snprintf(rig->gone[slot], sizeof(rig->gone[slot]), "%s", reason);
    backlog_peer_free(rig->backlog, slot);
}

static void on_died(void *context)
{
    ((struct rig *)context)->died++;
}

static void on_doom(void *context, int slot, uint64_t lag, uint64_t limit)
{
    (void)slot, (void)lag, (void)limit;
    ((struct rig *)context)->dooms++;
}

static void set_up(struct rig *rig, enum loop_engine engine, uint64_t hard_bytes)
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

static void tear_down(struct rig *rig)
{
    pid_t link = link_handle_pid(rig->link);
    link_handle_free(rig->link);
    if (link) cr_assert_eq(kill(link, 0), -1, "the process has ended and is reaped");
    backlog_close(rig->backlog);
    loop_free(rig->loop);
}

#define ENGINES(name) ON_BOTH_ENGINES(link, name, 60)

static uint8_t byte_at(uint64_t offset)
{
    uint64_t x = offset * UINT64_C(0x9e3779b97f4a7c15);
    return offset % 5 == 0 ? (uint8_t)(x >> 56) : (uint8_t)('a' + offset % 7);
}

static void write_stream(struct rig *rig, size_t len)
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

static void attach(struct rig *rig, struct replica *r, struct link_peer *peer)
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

static void follow(struct rig *rig, struct replica *r, uint64_t from)
{
    attach(rig, r, &(struct link_peer){.mode = LINK_CONTINUE, .from = from, .spool = NO_SPOOL});
}

static void keep(struct replica *r, struct bytes input)
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

static void receive(struct replica *r)
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

static void say(struct replica *r, const char *text)
{
    cr_assert_eq(send(r->fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static void acknowledge(struct replica *r, uint64_t offset)
{
    char text[128], number[32];
    int digits = snprintf(number, sizeof(number), "%llu", (unsigned long long)offset);
    snprintf(text, sizeof(text), "*3\r\n$8\r\nREPLCONF\r\n$3\r\nACK\r\n$%d\r\n%s\r\n", digits, number);
    say(r, text);
}

static void hang_up(struct replica *r)
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

static struct backlog_peer_view view(struct rig *rig, const struct replica *r)
{
    struct backlog_peer_view v;
    backlog_peer_view(rig->backlog, r->slot, &v);
    return v;
}

static bool is_stream(const struct replica *r, size_t at, uint64_t from)
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

static uint8_t snapshot_byte(uint64_t at)
{
    return byte_at(at + 1000 * 1000 * 1000);
}

static void grow(struct rig *rig, struct snapshot *s, size_t len)
{
    uint8_t *data = malloc(len);
    for (size_t i = 0; i < len; i++) data[i] = snapshot_byte(s->bytes + i);
    cr_assert_eq(write(s->fd, data, len), (ssize_t)len);
    free(data);
    s->bytes += len;
    backlog_spool_advance(rig->backlog, s->slot, s->bytes);
}

static void begin_snapshot(struct rig *rig, struct snapshot *s)
{
    *s = (struct snapshot){.slot = backlog_spool_claim(rig->backlog), .fd = memfd_create("snapshot", MFD_CLOEXEC)};
    cr_assert_eq(link_give_spool(rig->link, s->slot, s->fd, false), 0);
}

static void end_snapshot(struct rig *rig, struct snapshot *s)
{
    link_free_spool(rig->link, s->slot);
    backlog_spool_free(rig->backlog, s->slot);
    close(s->fd);
}

/* Where the snapshot's bytes begin behind its header and any keep-alives; 0: not there yet. */
static size_t snapshot_at(const struct replica *r)
{
    size_t at = 0;
    while (at < r->len && r->got[at] == '\n') at++;
    const uint8_t *line_end = at < r->len ? memchr(r->got + at, '\n', r->len - at) : NULL;
    return line_end ? (size_t)(line_end - r->got) + 1 : 0;
}

static bool has_snapshot(const struct replica *r, uint64_t bytes)
{
    size_t at = snapshot_at(r);
    if (at == 0 || r->len < at + bytes) return false;
    for (uint64_t i = 0; i < bytes; i++)
        if (r->got[at + i] != snapshot_byte(i)) return false;
    return true;
}

/* With eof framing: the mark of the header again, behind the snapshot. */
static bool has_marked_snapshot(const struct replica *r, uint64_t bytes)
{
    size_t at = snapshot_at(r);
    if (at < 47 || r->len < at + bytes + 40 || memcmp(r->got + at - 47, "$EOF:", 5) != 0) return false;
    return has_snapshot(r, bytes) && memcmp(r->got + at - 42, r->got + at + bytes, 40) == 0;
}

/* --- following --- */

ENGINES(continues_from_an_offset_and_hears_acknowledgements)
{
    struct rig rig;
    struct replica r;
    set_up(&rig, engine, 0);
    write_stream(&rig, 5000);
    follow(&rig, &r, 1234);
    UNTIL(&rig, &r, 1, r.len == 5001 - 1234);
    for (int i = 0; i < 500; i++) write_stream(&rig, 777);
    UNTIL(&rig, &r, 1, r.len == backlog_end(rig.backlog) - 1234);
    cr_assert(is_stream(&r, 0, 1234));
    UNTIL(&rig, &r, 1, view(&rig, &r).next_offset == backlog_end(rig.backlog));
    cr_assert_eq(view(&rig, &r).state, PEER_ONLINE);
    cr_assert_eq(view(&rig, &r).sent_bytes, r.len + strlen(PREAMBLE));
    cr_assert_eq(view(&rig, &r).heard_ms, 0);
    acknowledge(&r, 4711);
    UNTIL(&rig, &r, 1, view(&rig, &r).acked_offset == 4711);
    cr_assert_gt(view(&rig, &r).heard_ms, 0);
    say(&r, "*5\r\n$8\r\nREPLCONF\r\n$3\r\nACK\r\n$4\r\n48");
    say(&r, "00\r\n$4\r\nFACK\r\n$4\r\n4799\r\n*1\r\n$4\r\nPING\r\n\r\n");
    UNTIL(&rig, &r, 1, view(&rig, &r).acked_offset == 4800);
    cr_assert_eq(view(&rig, &r).fack_offset, 4799);
    hang_up(&r);
    UNTIL(&rig, &r, 0, rig.gone[r.slot][0]);
    cr_assert_str_eq(rig.gone[r.slot], "the replica closed the connection");
    tear_down(&rig);
}

ENGINES(packs_the_stream_for_one_of_ours)
{
    struct rig rig;
    struct replica r;
    set_up(&rig, engine, 0);
    write_stream(&rig, 50000);
    attach(&rig, &r, &(struct link_peer){.mode = LINK_CONTINUE, .from = 1, .lz4 = true});
    UNTIL(&rig, &r, 1, r.len == 50000);
    for (int i = 0; i < 20; i++) {
        write_stream(&rig, 10 + (size_t)i * 997);
        UNTIL(&rig, &r, 1, r.len == backlog_end(rig.backlog) - 1);
    }
    cr_assert(is_stream(&r, 0, 1));
    cr_assert_lt(view(&rig, &r).sent_bytes, r.len * 9 / 10);
    hang_up(&r);
    tear_down(&rig);
}

ENGINES(input_that_came_with_the_request_is_heard)
{
    struct rig rig;
    struct replica r;
    set_up(&rig, engine, 0);
    attach(&rig, &r,
           &(struct link_peer){
               .mode = LINK_CONTINUE, .from = 1, .rest = BYTES("*3\r\n$8\r\nreplconf\r\n$3\r\nack\r\n$2\r\n4")});
    say(&r, "2\r\n");
    UNTIL(&rig, &r, 1, view(&rig, &r).acked_offset == 42);
    hang_up(&r);
    tear_down(&rig);
}

/* --- snapshots --- */

ENGINES(streams_a_growing_snapshot_and_then_waits_for_the_acknowledgement)
{
    struct rig rig;
    struct snapshot s;
    struct replica r[3];
    set_up(&rig, engine, 0);
    write_stream(&rig, 100);
    begin_snapshot(&rig, &s);
    struct link_peer full = {.mode = LINK_FULL, .from = 101, .spool = s.slot, .eof_framing = true};
    attach(&rig, &r[0], &full);
    full.lz4 = true;
    attach(&rig, &r[1], &full);
    grow(&rig, &s, 10);
    UNTIL(&rig, r, 2, has_snapshot(&r[0], 10) && r[0].len == snapshot_at(&r[0]) + 10);
    cr_assert_eq(view(&rig, &r[0]).state, PEER_SENDING_SNAPSHOT);
    for (int i = 0; i < 30; i++) {
        grow(&rig, &s, 100 * 1000);
        write_stream(&rig, 1000);
        loop_turn(rig.loop, 0);
    }
    full.lz4 = false;
    attach(&rig, &r[2], &full);
    backlog_spool_finish(rig.backlog, s.slot, true);
    for (int i = 0; i < 3; i++) UNTIL(&rig, r, 3, has_marked_snapshot(&r[i], s.bytes));
    acknowledge(&r[0], 100);
    UNTIL(&rig, r, 3, rig.online[r[0].slot]);
    size_t snapshot_len = snapshot_at(&r[0]) + s.bytes + 40;
    UNTIL(&rig, r, 3, r[0].len == snapshot_len + backlog_end(rig.backlog) - 101);
    cr_assert(is_stream(&r[0], snapshot_len, 101));
    cr_assert_eq(r[2].len, snapshot_len, "no stream before the acknowledgement");
    cr_assert_not(rig.online[r[2].slot]);
    acknowledge(&r[1], 100);
    acknowledge(&r[2], 100);
    UNTIL(&rig, r, 3, r[1].len == r[0].len && r[2].len == r[0].len);
    cr_assert(is_stream(&r[1], snapshot_len, 101) && is_stream(&r[2], snapshot_len, 101));
    end_snapshot(&rig, &s);
    write_stream(&rig, 10);
    UNTIL(&rig, r, 3, r[2].len == snapshot_len + backlog_end(rig.backlog) - 101);
    for (int i = 0; i < 3; i++) hang_up(&r[i]);
    tear_down(&rig);
}

ENGINES(without_eof_framing_the_length_comes_first_and_the_stream_follows)
{
    struct rig rig;
    struct snapshot s;
    struct replica r;
    set_up(&rig, engine, 0);
    link_set_ping_period(rig.link, 1);
    begin_snapshot(&rig, &s);
    grow(&rig, &s, 300 * 1000);
    attach(&rig, &r, &(struct link_peer){.mode = LINK_FULL, .from = 1, .spool = s.slot});
    UNTIL(&rig, &r, 1, r.len > 0);
    cr_assert_eq(r.got[0], '\n', "kept alive meanwhile");
    grow(&rig, &s, 1);
    write_stream(&rig, 500);
    backlog_spool_finish(rig.backlog, s.slot, true);
    UNTIL(&rig, &r, 1, has_snapshot(&r, s.bytes) && r.len == snapshot_at(&r) + s.bytes + 500);
    cr_assert_eq(memcmp(r.got + snapshot_at(&r) - 9, "$300001\r\n", 9), 0);
    cr_assert(is_stream(&r, snapshot_at(&r) + s.bytes, 1));
    UNTIL(&rig, &r, 1, rig.online[r.slot]);
    end_snapshot(&rig, &s);
    hang_up(&r);
    tear_down(&rig);
}

ENGINES(who_wants_only_the_snapshot_gets_only_that)
{
    struct rig rig;
    struct snapshot s;
    struct replica r;
    set_up(&rig, engine, 0);
    begin_snapshot(&rig, &s);
    grow(&rig, &s, 1000);
    backlog_spool_finish(rig.backlog, s.slot, true);
    attach(&rig, &r,
           &(struct link_peer){.mode = LINK_FULL, .from = 1, .spool = s.slot, .eof_framing = true, .rdb_only = true});
    write_stream(&rig, 100);
    UNTIL(&rig, &r, 1, has_marked_snapshot(&r, 1000));
    acknowledge(&r, 0);
    hang_up(&r);
    UNTIL(&rig, &r, 0, rig.gone[r.slot][0]);
    cr_assert_str_eq(rig.gone[r.slot], "the snapshot was delivered");
    cr_assert_not(rig.online[r.slot]);
    tear_down(&rig);
}

ENGINES(a_failed_snapshot_ends_its_peers)
{
    struct rig rig;
    struct snapshot s;
    struct replica r[2];
    set_up(&rig, engine, 0);
    begin_snapshot(&rig, &s);
    struct link_peer full = {.mode = LINK_FULL, .from = 1, .spool = s.slot, .eof_framing = true};
    attach(&rig, &r[0], &full);
    full.eof_framing = false;
    attach(&rig, &r[1], &full);
    grow(&rig, &s, 1000);
    backlog_spool_finish(rig.backlog, s.slot, false);
    UNTIL(&rig, r, 2, rig.gone[r[0].slot][0] && rig.gone[r[1].slot][0]);
    cr_assert_str_eq(rig.gone[r[0].slot], "the snapshot failed");
    cr_assert(r[0].ended || (receive(&r[0]), r[0].ended));
    cr_assert_eq(snapshot_at(&r[1]), 0);
    hang_up(&r[0]);
    hang_up(&r[1]);
    tear_down(&rig);
}

/* Writes what the pipe takes; the rest later. */
static void write_pipe(struct snapshot *s, uint64_t until)
{
    uint8_t data[4096];
    while (s->bytes < until) {
        size_t len = until - s->bytes < sizeof(data) ? until - s->bytes : sizeof(data);
        for (size_t i = 0; i < len; i++) data[i] = snapshot_byte(s->bytes + i);
        ssize_t n = write(s->fd, data, len);
        if (n <= 0) return;
        s->bytes += (uint64_t)n;
    }
}

ENGINES(a_pipe_feeds_a_group_in_step)
{
    enum { BYTES_IN_ALL = 2 * 1000 * 1000 };
    struct rig rig;
    struct replica r[4], late;
    int pipe_fds[2];
    set_up(&rig, engine, 0);
    cr_assert_eq(pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK), 0);
    struct snapshot s = {.slot = backlog_spool_claim(rig.backlog), .fd = pipe_fds[1]};
    struct link_peer full = {.mode = LINK_FULL, .from = 1, .spool = s.slot, .eof_framing = true};
    attach(&rig, &r[0], &full);
    write_pipe(&s, 1000);
    cr_assert_eq(link_give_spool(rig.link, s.slot, pipe_fds[0], true), 0);
    close(pipe_fds[0]);
    for (int i = 1; i < 4; i++) {
        full.lz4 = i == 1;
        attach(&rig, &r[i], &full);
    }
    UNTIL(&rig, r, 4, has_snapshot(&r[0], 1000) && has_snapshot(&r[1], 1) && has_snapshot(&r[3], 1000));
    attach(&rig, &late, &full);
    UNTIL(&rig, r, 4, rig.gone[late.slot][0]);
    cr_assert_str_eq(rig.gone[late.slot], "the snapshot's stream has begun without it");
    hang_up(&r[3]);
    UNTIL(&rig, r, 3, (write_pipe(&s, BYTES_IN_ALL), s.bytes == BYTES_IN_ALL));
    close(s.fd);
    UNTIL(&rig, r, 3, has_snapshot(&r[0], s.bytes) && has_snapshot(&r[2], s.bytes));
    backlog_spool_finish(rig.backlog, s.slot, true);
    for (int i = 0; i < 3; i++) UNTIL(&rig, r, 3, has_marked_snapshot(&r[i], s.bytes));
    link_free_spool(rig.link, s.slot);
    backlog_spool_free(rig.backlog, s.slot);
    acknowledge(&r[1], 0);
    UNTIL(&rig, r, 3, rig.online[r[1].slot]);
    for (int i = 0; i < 3; i++) hang_up(&r[i]);
    hang_up(&late);
    tear_down(&rig);
}

/* Who made it learns that its readers have gone, and stops who writes it. */
ENGINES(a_pipe_without_readers_is_read_no_further)
{
    struct rig rig;
    struct replica r;
    int pipe_fds[2];
    signal(SIGPIPE, SIG_IGN);
    set_up(&rig, engine, 0);
    cr_assert_eq(pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK), 0);
    int spool = backlog_spool_claim(rig.backlog);
    attach(&rig, &r, &(struct link_peer){.mode = LINK_FULL, .from = 1, .spool = spool, .eof_framing = true});
    cr_assert_eq(link_give_spool(rig.link, spool, pipe_fds[0], true), 0);
    close(pipe_fds[0]);
    cr_assert_eq(write(pipe_fds[1], "x", 1), 1);
    UNTIL(&rig, &r, 1, snapshot_at(&r) > 0);
    hang_up(&r);
    UNTIL(&rig, &r, 0, rig.gone[r.slot][0]);
    while (write(pipe_fds[1], "x", 1) == 1) continue;
    cr_assert_eq(errno, EAGAIN);
    link_free_spool(rig.link, spool);
    UNTIL(&rig, &r, 0, write(pipe_fds[1], "x", 1) < 0 && errno == EPIPE);
    tear_down(&rig);
}

/* --- peers that misbehave --- */

/* How long it may take for what it owes, the server judges. */
static enum shm_peer_debt debt(const struct rig *rig, const struct replica *r)
{
    struct backlog_peer_view view;
    backlog_peer_view(rig->backlog, r->slot, &view);
    return view.owes;
}

ENGINES(who_follows_the_stream_owes_a_word)
{
    struct rig rig;
    struct replica r;
    set_up(&rig, engine, 0);
    follow(&rig, &r, 1);
    UNTIL(&rig, &r, 1, debt(&rig, &r) == OWES_WORD);
    hang_up(&r);
    tear_down(&rig);
}

ENGINES(who_does_not_take_the_snapshot_owes_that)
{
    struct rig rig;
    struct snapshot s;
    struct replica r;
    set_up(&rig, engine, 0);
    begin_snapshot(&rig, &s);
    grow(&rig, &s, 8 * 1000 * 1000);
    attach(&rig, &r, &(struct link_peer){.mode = LINK_FULL, .from = 1, .spool = s.slot, .eof_framing = true});
    UNTIL(&rig, &r, 0, debt(&rig, &r) == OWES_TAKING);
    UNTIL(&rig, &r, 1, debt(&rig, &r) == OWES_NOTHING); /* it has all that there is of it */
    hang_up(&r);
    tear_down(&rig);
}

ENGINES(nonsense_ends_the_connection)
{
    struct rig rig;
    struct replica r;
    set_up(&rig, engine, 0);
    follow(&rig, &r, 1);
    say(&r, "*1\r\n$x\r\n");
    UNTIL(&rig, &r, 1, rig.gone[r.slot][0] && r.ended);
    cr_assert(strstr(rig.gone[r.slot], "Protocol error"), "%s", rig.gone[r.slot]);
    hang_up(&r);
    tear_down(&rig);
}

ENGINES(the_server_can_drop_a_peer)
{
    struct rig rig;
    struct replica r;
    set_up(&rig, engine, 0);
    follow(&rig, &r, 1);
    link_drop_peer(rig.link, r.slot, "because");
    UNTIL(&rig, &r, 1, rig.gone[r.slot][0] && r.ended);
    cr_assert_str_eq(rig.gone[r.slot], "because");
    hang_up(&r);
    tear_down(&rig);
}

ENGINES(one_that_stops_reading_holds_nobody_and_is_dropped_at_the_limit)
{
    enum { COUNT = 12 };
    struct rig rig;
    struct replica r[COUNT], stopped;
    set_up(&rig, engine, 4 * 1024 * 1024);
    follow(&rig, &stopped, 1);
    for (int i = 0; i < COUNT; i++) attach(&rig, &r[i], &(struct link_peer){.from = 1, .lz4 = i % 3 == 0});
    for (int round = 0; round < 60; round++) {
        write_stream(&rig, 100 * 1000);
        for (int i = 0; i < COUNT; i++) UNTIL(&rig, r, COUNT, r[i].len == backlog_end(rig.backlog) - 1);
    }
    cr_assert_eq(rig.dooms, 1);
    UNTIL(&rig, r, COUNT, rig.gone[stopped.slot][0]);
    cr_assert_str_eq(rig.gone[stopped.slot], "the server gave it up");
    UNTIL(&rig, &stopped, 1, stopped.ended);
    cr_assert(is_stream(&stopped, 0, 1), "until its end it got nothing but the stream");
    for (int i = 0; i < COUNT; i++) cr_assert(is_stream(&r[i], 0, 1));
    for (int i = 0; i < 10; i++) backlog_cron(rig.backlog);
    write_stream(&rig, REST_BYTES);
    for (int i = 0; i < COUNT; i++) UNTIL(&rig, r, COUNT, view(&rig, &r[i]).next_offset == backlog_end(rig.backlog));
    backlog_cron(rig.backlog);
    cr_assert_eq(backlog_memory(rig.backlog), REST_BYTES);
    for (int i = 0; i < COUNT; i++) hang_up(&r[i]);
    hang_up(&stopped);
    tear_down(&rig);
}

/* Some take all at once and some now and then: places and pieces differ, and every one still gets the one stream. */
ENGINES(peers_at_different_places_share_what_is_packed)
{
    enum { COUNT = 4 };
    struct rig rig;
    struct replica r[COUNT];
    set_up(&rig, engine, 0);
    for (int i = 0; i < COUNT; i++) attach(&rig, &r[i], &(struct link_peer){.from = 1, .lz4 = true});
    for (int round = 0; round < 100; round++) {
        write_stream(&rig, 1 + (size_t)round * 997 % 20000);
        int reading = 1 + round % COUNT;
        for (int i = 0; i < reading; i++) UNTIL(&rig, r, reading, r[i].len == backlog_end(rig.backlog) - 1);
    }
    for (int i = 0; i < COUNT; i++) UNTIL(&rig, r, COUNT, r[i].len == backlog_end(rig.backlog) - 1);
    for (int i = 0; i < COUNT; i++) cr_assert(is_stream(&r[i], 0, 1));
    for (int i = 0; i < COUNT; i++) hang_up(&r[i]);
    tear_down(&rig);
}

ENGINES(every_slot_can_be_taken)
{
    struct rig rig;
    struct replica r[BACKLOG_PEERS_MAX];
    set_up(&rig, engine, 0);
    for (int i = 0; i < BACKLOG_PEERS_MAX; i++) follow(&rig, &r[i], 1);
    write_stream(&rig, 10000);
    for (int i = 0; i < BACKLOG_PEERS_MAX; i++) UNTIL(&rig, r, BACKLOG_PEERS_MAX, r[i].len == 10000);
    for (int i = 0; i < BACKLOG_PEERS_MAX; i++) hang_up(&r[i]);
    for (int i = 0; i < BACKLOG_PEERS_MAX; i++) UNTIL(&rig, r, 0, rig.gone[i][0]);
    tear_down(&rig);
}

/* --- processes --- */

ENGINES(a_killed_link_is_noticed_and_replaced)
{
    struct rig rig;
    struct replica r;
    set_up(&rig, engine, 0);
    follow(&rig, &r, 1);
    write_stream(&rig, 100);
    UNTIL(&rig, &r, 1, r.len == 100);
    pid_t killed = link_handle_pid(rig.link);
    kill(killed, SIGKILL);
    UNTIL(&rig, &r, 1, rig.died == 1 && r.ended);
    cr_assert_eq(link_handle_pid(rig.link), 0);
    UNTIL(&rig, &r, 1, kill(killed, 0) == -1);
    backlog_peer_free(rig.backlog, r.slot);
    hang_up(&r);
    write_stream(&rig, 2 * REST_BYTES);
    cr_assert_eq(link_handle_ensure(rig.link, rig.backlog), 0);
    uint64_t from = backlog_first(rig.backlog);
    follow(&rig, &r, from);
    UNTIL(&rig, &r, 1, r.len == REST_BYTES);
    cr_assert(is_stream(&r, 0, from));
    cr_assert_eq(rig.died, 1);
    hang_up(&r);
    tear_down(&rig);
}

/* A server of another version is refused, whatever it would say. */
Test(link, another_protocol_is_refused, .timeout = 60)
{
    char protocol[LINK_PROTOCOL_BYTES];
    int status = 0;
    link_protocol(protocol);
    protocol[0]++;
    hide_from_test_library();
    pid_t link = fork();
    if (link == 0) {
        execl("/proc/self/exe", "link", LINK_ARGUMENT, protocol, "epoll", "4", "", "crash-report", NULL);
        _exit(127);
    }
    cr_assert_eq(waitpid(link, &status, 0), link);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1);
}

ENGINES(what_was_published_leaves_before_the_end)
{
    struct rig rig;
    struct replica r;
    set_up(&rig, engine, 0);
    follow(&rig, &r, 1);
    UNTIL(&rig, &r, 1, r.preamble_left == 0);
    write_stream(&rig, 50 * 1000);
    tear_down(&rig);
    while (!r.ended) receive(&r);
    cr_assert_eq(r.len, 50 * 1000);
    hang_up(&r);
}

/* --- the server is killed --- */

/* A process that plays the server, of one peer whose other end is `replica`, and is killed. */
struct killed {
    pid_t link;
    char name[64]; /* of the backlog, which is still there: the next server of that name replaces it */
};

/* In the child: the peer is served up to `before`, then the link is stopped, and `after` more bytes are published. */
static _Noreturn void play_server(enum loop_engine engine, int told, struct link_peer *peer, int fd, size_t before,
                                  size_t after, bool stop_link)
{
    struct rig rig;
    set_up(&rig, engine, 0);
    struct killed k = {.link = link_handle_pid(rig.link)};
    snprintf(k.name, sizeof(k.name), "/slipstream-test-link-%d", getpid());
    struct replica r = {.slot = backlog_peer_claim(rig.backlog, peer->from)};
    peer->slot = r.slot;
    peer->preamble = BYTES(PREAMBLE);
    if (link_give_peer(rig.link, peer, fd) != 0) _exit(1);
    write_stream(&rig, before);
    while (view(&rig, &r).sent_bytes < strlen(PREAMBLE) + (peer->lz4 ? 1 : before)) loop_turn(rig.loop, 1);
    if (stop_link) {
        kill(k.link, SIGSTOP);
        for (siginfo_t info; waitid(P_PID, (id_t)k.link, &info, WSTOPPED | WNOWAIT) != 0;) continue;
    }
    write_stream(&rig, after);
    backlog_append(rig.backlog, "unpublished", 11);
    if (write(told, &k, sizeof(k)) != sizeof(k)) _exit(1);
    for (;;) pause();
}

/* Serves the replica, and is killed while the link has `after` bytes yet to send. */
static struct killed kill_server(enum loop_engine engine, struct replica *r, bool lz4, size_t before, size_t after,
                                 bool stop_link)
{
    int told[2], pair[2];
    struct killed k = {0};
    cr_assert_eq(pipe2(told, 0), 0);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    *r = (struct replica){.fd = pair[0], .preamble_left = strlen(PREAMBLE)};
    if (lz4) r->decoder = lz4_decoder_new();
    struct link_peer peer = {.mode = LINK_CONTINUE, .from = 1, .spool = NO_SPOOL, .lz4 = lz4};
    pid_t server = fork();
    if (server == 0) {
        close(pair[0]);
        close(told[0]);
        play_server(engine, told[1], &peer, pair[1], before, after, stop_link);
    }
    close(pair[1]);
    close(told[1]);
    if (read(told[0], &k, sizeof(k)) != sizeof(k)) cr_skip_test("the engine is refused here");
    close(told[0]);
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    return k;
}

static bool is_gone(pid_t pid)
{
    char path[64], state[256];
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    FILE *stat = fopen(path, "r");
    bool gone = !stat || !fgets(state, sizeof(state), stat) || strstr(state, ") Z ");
    if (stat) fclose(stat);
    return gone;
}

#define SOON(condition)                                                                                                \
    do {                                                                                                               \
        int64_t until_ms = clock_monotonic_ms() + DEADLINE_MS;                                                         \
        while (!(condition)) cr_assert(clock_monotonic_ms() < until_ms, "waited in vain for: %s", #condition);         \
    } while (0)

static void remove_objects(const struct killed *k)
{
    char ring[80];
    shm_unlink(k->name);
    for (int number = 1; number <= 8; number++) {
        snprintf(ring, sizeof(ring), "%s.%d", k->name, number);
        shm_unlink(ring);
    }
}

static void expect_all_of_it(enum loop_engine engine, bool lz4)
{
    struct replica r;
    struct killed k = kill_server(engine, &r, lz4, 1000, 2 * 1000 * 1000, true);
    kill(k.link, SIGCONT);
    SOON((receive(&r), r.ended)); /* only behind the last byte */
    cr_assert_eq(r.len, 1000 + 2 * 1000 * 1000, "%zu bytes", r.len);
    cr_assert(is_stream(&r, 0, 1));
    hang_up(&r);
    SOON(is_gone(k.link));
    remove_objects(&k);
}

ENGINES(what_was_published_outlives_the_server)
{
    expect_all_of_it(engine, false);
}

ENGINES(what_was_published_outlives_the_server_packed)
{
    expect_all_of_it(engine, true);
}

/* The last word of a peer that goes on talking must not reset the connection in front of the last bytes. */
ENGINES(an_acknowledgement_on_its_way_costs_no_bytes)
{
    struct replica r;
    struct killed k = kill_server(engine, &r, false, 1000, 500 * 1000, true);
    acknowledge(&r, 1000);
    kill(k.link, SIGCONT);
    size_t heard = 0;
    SOON((receive(&r), r.len > heard ? (heard = r.len, r.ended || send(r.fd, "\n", 1, MSG_NOSIGNAL) < 0) : r.ended));
    SOON((receive(&r), r.ended));
    cr_assert_eq(r.len, 501 * 1000);
    hang_up(&r);
    SOON(is_gone(k.link));
    remove_objects(&k);
}

ENGINES(a_link_with_nothing_left_to_send_ends_with_its_server)
{
    struct replica r;
    struct killed k = kill_server(engine, &r, false, 1000, 0, false);
    SOON((receive(&r), r.ended));
    cr_assert_eq(r.len, 1000);
    hang_up(&r);
    SOON(is_gone(k.link));
    remove_objects(&k);
}

/* The next server of the name goes on with the stream meanwhile, and overwrites what it likes. */
ENGINES(the_next_server_and_the_dead_ones_link_do_not_meet)
{
    struct replica r;
    char reason[ADOPT_REASON_BYTES];
    struct killed k = kill_server(engine, &r, false, 1000, 30 * 1000, true);
    struct adoption *left = adopt_find(k.name, reason);
    cr_assert_not_null(left, "%s", reason);
    struct backlog *next =
        backlog_adopt(left, &(struct backlog_limits){.rest_bytes = REST_BYTES}, &(struct backlog_events){0});
    cr_assert_not_null(next);
    int slot = backlog_peer_claim(next, 10 * 1000);
    cr_assert_eq(slot, 0, "the slot of before");
    static const uint8_t other[8 * 1000] = {0};
    for (int i = 0; i < 2; i++) backlog_append(next, other, sizeof(other));
    backlog_publish(next);
    kill(k.link, SIGCONT);
    SOON((receive(&r), r.ended));
    cr_assert_eq(r.len, 31 * 1000);
    cr_assert(is_stream(&r, 0, 1));
    hang_up(&r);
    SOON(is_gone(k.link));
    struct backlog_peer_view now;
    backlog_peer_view(next, slot, &now);
    cr_assert_eq(now.sent_bytes, 0, "the dead server's link has written into a new peer's line");
    backlog_peer_free(next, slot);
    backlog_close(next);
    remove_objects(&k);
}
