/* The link process: peers that follow, snapshots and the stream behind them, peers that misbehave, and its own end. */
#include "repl/link/messages.h"
#include "tests/unit/test_link_rig.h"

#include <sys/wait.h>

#define ENGINES(name) ON_BOTH_ENGINES(link, name, 60)

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
    backlog_peer_doom(rig.backlog, r.slot);
    UNTIL(&rig, &r, 1, rig.gone[r.slot][0] && r.ended);
    cr_assert_str_eq(rig.gone[r.slot], "the server gave it up");
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
