/* The replica's state machine: scripts of events with the actions they must cause, and random events under a seed. */
#include "repl/replica_machine.h"

#include <criterion/criterion.h>
#include <string.h>

#define ID "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

struct bench {
    struct replica_machine m;
    struct replica_machine_settings settings;
    struct replica_actions out;
    int64_t now_ms;
};

static void set_up(struct bench *b, bool auth, bool announce)
{
    b->settings = (struct replica_machine_settings){.timeout_ms = 60000, .auth = auth, .announce_ip = announce};
    b->now_ms = 1000;
    replica_machine_init(&b->m, &b->settings, 42);
}

static void step(struct bench *b, struct replica_event event)
{
    replica_machine_step(&b->m, &event, b->now_ms, &b->out);
}

static void happens(struct bench *b, enum replica_event_kind kind)
{
    step(b, (struct replica_event){.kind = kind, .text = "it failed"});
}

static void line(struct bench *b, const char *text)
{
    step(b, (struct replica_event){.kind = EVENT_LINE, .line = bytes_from_text(text)});
}

static const struct replica_action *done(const struct bench *b, enum replica_action_kind kind)
{
    for (int i = 0; i < b->out.count; i++)
        if (b->out.list[i].kind == kind) return &b->out.list[i];
    return NULL;
}

#define EXPECT_STATE(b, wanted)    cr_assert_eq((b)->m.state, wanted, "state is %s", replica_state_name((b)->m.state))
#define EXPECT_DONE(b, action)     cr_assert(done((b), (action)), #action " is missing")
#define EXPECT_NOT_DONE(b, action) cr_assert_not(done((b), (action)), #action " is unexpected")

static void come_to_handshake(struct bench *b)
{
    happens(b, EVENT_FOLLOW);
    EXPECT_DONE(b, ACTION_RESOLVE);
    happens(b, EVENT_RESOLVED);
    EXPECT_DONE(b, ACTION_CONNECT);
    happens(b, EVENT_CONNECTED);
    EXPECT_DONE(b, ACTION_GREET);
    EXPECT_STATE(b, REPLICA_HANDSHAKE);
}

static void come_to_psync(struct bench *b)
{
    come_to_handshake(b);
    if (b->settings.auth) line(b, "+OK");
    line(b, "+PONG");
    line(b, "+OK");
    if (b->settings.announce_ip) line(b, "+OK");
    line(b, "+OK");
    EXPECT_NOT_DONE(b, ACTION_PSYNC);
    line(b, "-ERR Unrecognized REPLCONF option: version");
    EXPECT_NOT_DONE(b, ACTION_NOTE); /* no Redis knows it */
    EXPECT_DONE(b, ACTION_PSYNC);
}

static void come_to_connected(struct bench *b)
{
    come_to_psync(b);
    line(b, "+CONTINUE");
    EXPECT_STATE(b, REPLICA_CONNECTED);
}

Test(replica_machine, every_row_is_filled_in)
{
    for (int state = 0; state < REPLICA_STATES; state++) {
        const struct replica_row *row = replica_row(state);
        cr_assert_not_null(row->name);
        cr_assert_not_null(row->role_word);
        cr_assert(!row->timeout || row->connection, "%s", row->name);
        cr_assert(row->beat == ACTION_NONE || row->connection, "%s", row->name);
        cr_assert(replica_transition_legal(state, state == REPLICA_NONE ? REPLICA_RESOLVING : REPLICA_NONE));
        cr_assert_not(replica_transition_legal(state, state));
    }
}

Test(replica_machine, full_resync)
{
    struct bench b;
    set_up(&b, true, true);
    come_to_psync(&b);
    line(&b, ""); /* the master is preparing */
    EXPECT_STATE(&b, REPLICA_HANDSHAKE);
    line(&b, "+FULLRESYNC " ID " 777");
    EXPECT_STATE(&b, REPLICA_TRANSFER);
    const struct replica_action *transfer = done(&b, ACTION_TRANSFER);
    cr_assert(transfer);
    cr_expect_str_eq(transfer->id, ID);
    cr_expect_eq(transfer->offset, 777);
    cr_expect_eq(transfer->reach, 777);
    happens(&b, EVENT_TRANSFERRED);
    EXPECT_DONE(&b, ACTION_LOAD);
    happens(&b, EVENT_LOADED);
    EXPECT_DONE(&b, ACTION_STREAM);
    EXPECT_STATE(&b, REPLICA_CONNECTED);
}

Test(replica_machine, a_full_resync_reaches_no_less_than_its_snapshot)
{
    static const struct {
        const char *line;
        uint64_t reach;
    } said[] = {
        {"+FULLRESYNC " ID " 777 800", 800}, {"+FULLRESYNC " ID " 777 777", 777},  {"+FULLRESYNC " ID " 777 5", 777},
        {"+FULLRESYNC " ID " 777 -5", 777},  {"+FULLRESYNC " ID " 777 more", 777},
    };
    for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
        struct bench b;
        set_up(&b, true, true);
        come_to_psync(&b);
        line(&b, said[i].line);
        const struct replica_action *transfer = done(&b, ACTION_TRANSFER);
        cr_assert(transfer);
        cr_expect_eq(transfer->offset, 777);
        cr_expect_eq(transfer->reach, said[i].reach, "%s", said[i].line);
    }
}

Test(replica_machine, partial_resync_with_and_without_a_new_id)
{
    struct bench b;
    set_up(&b, false, false);
    come_to_psync(&b);
    line(&b, "+CONTINUE " ID);
    cr_expect_str_eq(done(&b, ACTION_CONTINUE)->id, ID);
    EXPECT_DONE(&b, ACTION_STREAM);
    happens(&b, EVENT_FAILED);
    happens(&b, EVENT_STOP);
    come_to_psync(&b);
    line(&b, "+CONTINUE");
    cr_expect_str_eq(done(&b, ACTION_CONTINUE)->id, "");
}

Test(replica_machine, a_master_without_psync_is_asked_with_sync)
{
    struct bench b;
    set_up(&b, false, false);
    come_to_psync(&b);
    line(&b, "-ERR unknown command 'PSYNC'");
    EXPECT_STATE(&b, REPLICA_TRANSFER);
    EXPECT_DONE(&b, ACTION_SYNC);
    cr_expect_str_eq(done(&b, ACTION_TRANSFER)->id, "");
}

Test(replica_machine, refusals_of_the_moment_are_tried_again)
{
    static const char *const replies[] = {"-NOMASTERLINK Can't SYNC while not connected with my master",
                                          "-LOADING Redis is loading the dataset in memory",
                                          "-ERR max number of replicas",
                                          "+FULLRESYNC short 1",
                                          "+FULLRESYNC " ID " x",
                                          "+CONTINUE short",
                                          "+WHAT",
                                          ":1"};
    for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
        struct bench b;
        set_up(&b, false, false);
        come_to_psync(&b);
        line(&b, replies[i]);
        EXPECT_DONE(&b, ACTION_CLOSE);
        EXPECT_STATE(&b, REPLICA_WAITING);
    }
}

static int64_t wait_of(const struct bench *b)
{
    return replica_machine_deadline_ms(&b->m) - b->now_ms;
}

/* Nobody else's work is disturbed by a replica without rights, and once it has them it need not wait for long. */
Test(replica_machine, a_master_that_does_not_let_us_in_is_asked_once_a_second)
{
    static const char *const replies[] = {"-NOPERM User replica has no permissions to run the 'psync' command",
                                          "-NOAUTH Authentication required.", "-ERR operation not permitted"};
    for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
        struct bench b;
        set_up(&b, false, false);
        for (int attempt = 0; attempt < 8; attempt++) {
            come_to_psync(&b);
            line(&b, replies[i]);
            EXPECT_STATE(&b, REPLICA_WAITING);
            cr_expect(wait_of(&b) >= 500 && wait_of(&b) <= 1000, "%s: %lld ms", replies[i], (long long)wait_of(&b));
            b.now_ms += wait_of(&b);
            happens(&b, EVENT_STOP);
        }
        come_to_psync(&b);
        line(&b, "-LOADING Redis is loading the dataset in memory");
        cr_expect_leq(wait_of(&b), 10, "a moment's refusal is another matter");
    }
    struct bench b;
    set_up(&b, true, false);
    come_to_handshake(&b);
    line(&b, "-WRONGPASS invalid username-password pair or user is disabled.");
    cr_expect(wait_of(&b) >= 500 && wait_of(&b) <= 1000);
    happens(&b, EVENT_FOLLOW);
    EXPECT_STATE(&b, REPLICA_RESOLVING);
}

Test(replica_machine, handshake_replies_that_matter_and_those_that_do_not)
{
    struct bench b;
    set_up(&b, true, false);
    come_to_handshake(&b);
    line(&b, "-WRONGPASS invalid username-password pair");
    EXPECT_DONE(&b, ACTION_CLOSE);

    set_up(&b, false, false);
    come_to_handshake(&b);
    line(&b, "-NOAUTH Authentication required.");
    EXPECT_NOT_DONE(&b, ACTION_CLOSE);
    line(&b, "-ERR Unrecognized REPLCONF option: listening-port");
    EXPECT_NOT_DONE(&b, ACTION_CLOSE);
    line(&b, "-ERR Unrecognized REPLCONF option: capa");
    EXPECT_DONE(&b, ACTION_NOTE);
    line(&b, "-ERR Unrecognized REPLCONF option: version");
    EXPECT_DONE(&b, ACTION_PSYNC);

    set_up(&b, false, false);
    come_to_handshake(&b);
    line(&b, "-MASTERDOWN Link with MASTER is down");
    EXPECT_DONE(&b, ACTION_CLOSE);
}

Test(replica_machine, fail_over_ends_with_the_answer)
{
    struct bench b;
    set_up(&b, false, false);
    step(&b, (struct replica_event){.kind = EVENT_FOLLOW, .failover = true});
    happens(&b, EVENT_FAILED); /* a lost connection is no answer */
    EXPECT_NOT_DONE(&b, ACTION_FAILOVER_END);
    for (bool accepted = false;; accepted = true) {
        step(&b, (struct replica_event){.kind = EVENT_FOLLOW, .failover = true});
        happens(&b, EVENT_RESOLVED);
        happens(&b, EVENT_CONNECTED);
        line(&b, "+PONG");
        line(&b, "+OK");
        line(&b, "+OK");
        line(&b, "+OK");
        line(&b, accepted ? "+CONTINUE " ID : "-ERR PSYNC FAILOVER replid must match my replid.");
        EXPECT_DONE(&b, ACTION_FAILOVER_END);
        cr_expect_eq(b.out.list[b.out.count - 1].kind, ACTION_FAILOVER_END);
        cr_expect_eq(b.out.list[b.out.count - 1].good, accepted);
        if (accepted) break;
    }
}

Test(replica_machine, comes_back_at_once_then_with_growing_delays)
{
    struct bench b;
    set_up(&b, false, false);
    come_to_connected(&b);
    b.now_ms += 5000;
    happens(&b, EVENT_FAILED);
    cr_expect_eq(replica_machine_deadline_ms(&b.m), b.now_ms, "the first attempt comes at once");
    int64_t lost_ms = b.now_ms;
    for (int i = 0; i < 200; i++) {
        b.now_ms = replica_machine_deadline_ms(&b.m);
        happens(&b, EVENT_TICK);
        EXPECT_STATE(&b, REPLICA_RESOLVING);
        happens(&b, EVENT_FAILED);
        int64_t delay = replica_machine_deadline_ms(&b.m) - b.now_ms, most = (b.now_ms - lost_ms) / 16;
        most = most < 10 ? 10 : most > 1000 ? 1000 : most;
        cr_expect(delay >= most / 2 && delay <= most, "attempt %d waits %lld ms, not %lld", i, (long long)delay,
                  (long long)most);
    }
    cr_expect_gt(b.now_ms - lost_ms, 16000, "the longest delay was reached");
}

Test(replica_machine, a_link_that_does_not_hold_is_not_retried_in_a_hurry)
{
    struct bench b;
    set_up(&b, false, false);
    for (int i = 0; i < 150; i++) {
        if (b.m.state == REPLICA_NONE) happens(&b, EVENT_FOLLOW);
        b.now_ms = b.m.state == REPLICA_WAITING ? replica_machine_deadline_ms(&b.m) : b.now_ms;
        happens(&b, EVENT_TICK);
        happens(&b, EVENT_RESOLVED);
        happens(&b, EVENT_CONNECTED);
        line(&b, "+PONG");
        line(&b, "+OK");
        line(&b, "+OK");
        line(&b, "+OK");
        line(&b, "+CONTINUE");
        EXPECT_STATE(&b, REPLICA_CONNECTED);
        happens(&b, EVENT_FAILED);
    }
    cr_expect_geq(replica_machine_deadline_ms(&b.m) - b.now_ms, 500);
}

/* What it costs is the master's fork. */
Test(replica_machine, a_snapshot_that_was_refused_is_not_asked_for_in_a_hurry)
{
    struct bench b;
    set_up(&b, false, false);
    int64_t most = 1000;
    for (int i = 0; i < 8; i++) {
        if (b.m.state == REPLICA_NONE) happens(&b, EVENT_FOLLOW);
        happens(&b, EVENT_TICK);
        happens(&b, EVENT_RESOLVED);
        happens(&b, EVENT_CONNECTED);
        line(&b, "+PONG");
        line(&b, "+OK");
        line(&b, "+OK");
        line(&b, "+OK");
        line(&b, "+FULLRESYNC " ID " 0");
        step(&b, (struct replica_event){.kind = EVENT_FAILED, .text = "Rejected", .refused = true});
        int64_t delay = replica_machine_deadline_ms(&b.m) - b.now_ms;
        cr_expect(delay >= most / 2 && delay <= most, "attempt %d waits %lld ms", i, (long long)delay);
        if (most < 16000) most *= 2;
        b.now_ms = replica_machine_deadline_ms(&b.m);
    }
    happens(&b, EVENT_FOLLOW);
    happens(&b, EVENT_FAILED);
    cr_expect_leq(replica_machine_deadline_ms(&b.m) - b.now_ms, 10, "another master is another matter");
}

/* Nor is one whose stream may not be followed: it was taken over, and may have gone well for long. */
Test(replica_machine, a_stream_that_cannot_be_followed_is_asked_for_less_and_less_often)
{
    struct bench b;
    set_up(&b, false, false);
    struct replica_event refused = {.kind = EVENT_FAILED, .text = "", .unfollowable = true};
    int64_t most = 1000;
    come_to_connected(&b);
    for (int i = 0; i < 14; i++) {
        step(&b, refused);
        int64_t delay = replica_machine_deadline_ms(&b.m) - b.now_ms;
        cr_expect(delay >= most / 2 && delay <= most, "attempt %d waits %lld ms", i, (long long)delay);
        most = most * 2 < 300000 ? most * 2 : 300000;
        b.now_ms = replica_machine_deadline_ms(&b.m);
        happens(&b, EVENT_TICK);
        happens(&b, EVENT_RESOLVED);
        happens(&b, EVENT_CONNECTED);
        line(&b, "+PONG");
        line(&b, "+OK");
        line(&b, "+OK");
        line(&b, "+OK");
        line(&b, "+FULLRESYNC " ID " 0");
        happens(&b, EVENT_TRANSFERRED);
        happens(&b, EVENT_LOADED);
        EXPECT_STATE(&b, REPLICA_CONNECTED);
        b.now_ms += 60000; /* a minute without one is not yet a good stream */
    }
    b.now_ms += 600000;
    step(&b, refused);
    cr_expect_leq(replica_machine_deadline_ms(&b.m) - b.now_ms, 1000);
    happens(&b, EVENT_FOLLOW);
    EXPECT_STATE(&b, REPLICA_RESOLVING);
}

Test(replica_machine, silence_ends_a_link_and_any_byte_keeps_it)
{
    struct bench b;
    set_up(&b, false, false);
    come_to_connected(&b);
    for (int second = 0; second < 200; second++) {
        b.now_ms += 1000;
        if (second % 50 == 0) happens(&b, EVENT_HEARD);
        happens(&b, EVENT_TICK);
        EXPECT_DONE(&b, ACTION_ACK);
    }
    for (int second = 0; second < 60 && b.m.state == REPLICA_CONNECTED; second++) {
        b.now_ms += 1000;
        happens(&b, EVENT_TICK);
    }
    EXPECT_STATE(&b, REPLICA_WAITING);
    EXPECT_DONE(&b, ACTION_CLOSE);
}

Test(replica_machine, loading_may_take_long_and_keeps_the_master_informed)
{
    struct bench b;
    set_up(&b, false, false);
    come_to_psync(&b);
    line(&b, "+FULLRESYNC " ID " 0");
    happens(&b, EVENT_TRANSFERRED);
    for (int second = 0; second < 300; second++) {
        b.now_ms += 1000;
        cr_assert_leq(replica_machine_deadline_ms(&b.m), b.now_ms);
        happens(&b, EVENT_TICK);
        EXPECT_DONE(&b, ACTION_KEEP_ALIVE);
    }
    EXPECT_STATE(&b, REPLICA_LOADING);
}

/* --- anything, in any order --- */

static struct replica_event random_event(struct random_state *random)
{
    static const char *const lines[] = {"+PONG",
                                        "+OK",
                                        "+CONTINUE",
                                        "+CONTINUE " ID,
                                        "+FULLRESYNC " ID " 5",
                                        "-ERR no",
                                        "-ERR unknown command",
                                        "-NOAUTH",
                                        "",
                                        "+",
                                        "-",
                                        "x",
                                        "+FULLRESYNC",
                                        "$5"};
    struct replica_event e = {.kind = (enum replica_event_kind)random_below(random, EVENT_TICK + 1)};
    e.failover = random_below(random, 4) == 0;
    e.line = bytes_from_text(lines[random_below(random, sizeof lines / sizeof *lines)]);
    e.text = "random";
    /* What only ends things is made rare, so that deep states are reached. */
    bool ending = e.kind == EVENT_STOP || e.kind == EVENT_FOLLOW || e.kind == EVENT_FAILED;
    if (ending && random_below(random, 8)) e.kind = EVENT_LINE;
    return e;
}

/* A connection exists between CONNECT and CLOSE, and never two at a time. */
static void check_actions(const struct replica_actions *out, bool *connected)
{
    for (int i = 0; i < out->count; i++) {
        const struct replica_action *a = &out->list[i];
        if (a->kind == ACTION_CONNECT) {
            cr_assert_not(*connected);
            *connected = true;
        } else if (a->kind == ACTION_CLOSE) {
            *connected = false;
        } else if (a->kind == ACTION_GREET || a->kind == ACTION_PSYNC || a->kind == ACTION_STREAM ||
                   a->kind == ACTION_ACK) {
            cr_assert(*connected);
        }
    }
}

Test(replica_machine, random_events_cause_legal_transitions_only)
{
    bool seen[REPLICA_STATES] = {false};
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct random_state random;
        struct bench b;
        bool connected = false;
        random_seed(&random, seed);
        set_up(&b, seed & 1, seed & 2);
        for (int i = 0; i < 2000; i++) {
            enum replica_state before = b.m.state;
            struct replica_event e = random_event(&random);
            b.now_ms += (int64_t)random_below(&random, 300);
            step(&b, e);
            check_actions(&b.out, &connected);
            seen[b.m.state] = true;
            bool restarted = e.kind == EVENT_FOLLOW && b.m.state == REPLICA_RESOLVING;
            cr_assert(before == b.m.state || restarted || replica_transition_legal(before, b.m.state),
                      "seed %llu: %s to %s", (unsigned long long)seed, replica_state_name(before),
                      replica_state_name(b.m.state));
            cr_assert_eq(connected, b.m.state >= REPLICA_CONNECTING, "seed %llu", (unsigned long long)seed);
        }
    }
    for (int state = 0; state < REPLICA_STATES; state++)
        cr_expect(seen[state], "never came to %s", replica_state_name(state));
}

/* A Redis forgets an acknowledgement that comes too early for it, and sends no stream before it has one. */
Test(replica_machine, acknowledgements_are_close_together_at_first)
{
    struct bench b;
    set_up(&b, false, false);
    come_to_psync(&b);
    line(&b, "+CONTINUE");
    EXPECT_STATE(&b, REPLICA_CONNECTED);
    int in_first_second = 0;
    int64_t begun_ms = b.now_ms, last_gap_ms = 0;
    for (int beats = 0; beats < 20; beats++) {
        int64_t before_ms = b.now_ms;
        b.now_ms = replica_machine_deadline_ms(&b.m);
        last_gap_ms = b.now_ms - before_ms;
        in_first_second += b.now_ms - begun_ms < 1000;
        happens(&b, EVENT_TICK);
        EXPECT_DONE(&b, ACTION_ACK);
    }
    cr_assert(in_first_second >= 5 && in_first_second <= 10, "%d", in_first_second);
    cr_assert_eq(last_gap_ms, 1000);
}
