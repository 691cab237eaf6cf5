/* The link process when the server is killed: what had been published still leaves, and nothing else does. */
#include "shm/adopt.h"
#include "tests/unit/test_link_rig.h"

#include <sys/wait.h>

#define ENGINES(name) ON_BOTH_ENGINES(link_deaths, name, 60)

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
