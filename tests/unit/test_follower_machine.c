/* repl/follower_machine.h: the ways a follower can go, what is told of it, and that no event breaks the order. */
#include "repl/follower_machine.h"

#include "server/base/random.h"

#include <criterion/criterion.h>
#include <string.h>

struct bench {
    struct follower_machine_settings settings;
    struct follower_machine machine;
    struct follower_actions actions;
    int64_t now_ms;
};

static void start(struct bench *b, enum follower_wish wish, bool by_mark)
{
    *b = (struct bench){.settings = {.beat_ms = 10000}, .now_ms = 1000};
    follower_machine_init(&b->machine, &b->settings, "10.0.0.1:6379", b->now_ms);
    b->machine.wish = wish;
    b->machine.by_mark = by_mark;
}

static void send_event(struct bench *b, struct follower_event event)
{
    follower_machine_step(&b->machine, &event, b->now_ms, &b->actions);
}

static void send_kind(struct bench *b, enum follower_event_kind kind)
{
    send_event(b, (struct follower_event){.kind = kind, .text = "why"});
}

static bool did(const struct bench *b, enum follower_action_kind kind)
{
    for (int i = 0; i < b->actions.count; i++)
        if (b->actions.list[i].kind == kind) return true;
    return false;
}

static bool said(const struct bench *b, const char *text)
{
    for (int i = 0; i < b->actions.count; i++)
        if (strstr(b->actions.list[i].text, text)) return true;
    return false;
}

static const struct follower_row *row(const struct bench *b)
{
    return follower_row(b->machine.state);
}

/* Up to the snapshot under way. */
static void receive_snapshot(struct bench *b, bool by_mark)
{
    start(b, FOLLOWER_FULL, by_mark);
    send_event(b, (struct follower_event){.kind = FOLLOWER_EVENT_ARRIVED, .ready = true});
    send_kind(b, FOLLOWER_EVENT_BEGUN);
}

Test(follower_machine, every_row_is_filled_in_and_ends_in_gone)
{
    for (int from = 0; from < FOLLOWER_STATES; from++) {
        const struct follower_row *r = follower_row(from);
        cr_assert_not_null(r->name);
        cr_assert(!r->online || (r->linked && strcmp(r->info_word, "online") == 0), "%s", r->name);
        cr_assert_eq(r->successors == 0, from == FOLLOWER_GONE, "%s", r->name);
        cr_assert_not(follower_transition_legal(from, from), "%s", r->name);
        cr_assert_not(follower_transition_legal(from, FOLLOWER_COMING), "%s", r->name);
    }
}

Test(follower_machine, a_continued_history_is_online_at_once)
{
    struct bench b;
    start(&b, FOLLOWER_CONTINUES, true);
    cr_assert_str_eq(row(&b)->info_word, "wait_bgsave");
    b.now_ms = 2000;
    send_event(&b, (struct follower_event){.kind = FOLLOWER_EVENT_ARRIVED, .ready = true});
    cr_assert(did(&b, FOLLOWER_ACTION_GIVE));
    cr_assert_eq(b.machine.state, FOLLOWER_ONLINE);
    cr_assert_eq(b.machine.online_ms, 2000);
}

Test(follower_machine, a_full_synchronisation_from_the_queue_on)
{
    struct bench b;
    start(&b, FOLLOWER_FULL, true);
    send_kind(&b, FOLLOWER_EVENT_ARRIVED);
    cr_assert_eq(b.machine.state, FOLLOWER_QUEUED);
    cr_assert_eq(b.actions.count, 0);
    b.now_ms += 9999;
    send_kind(&b, FOLLOWER_EVENT_TICK);
    cr_assert_not(did(&b, FOLLOWER_ACTION_BEAT));
    b.now_ms++;
    send_kind(&b, FOLLOWER_EVENT_TICK);
    cr_assert(did(&b, FOLLOWER_ACTION_BEAT));
    send_kind(&b, FOLLOWER_EVENT_SERVED);
    cr_assert(did(&b, FOLLOWER_ACTION_GIVE));
    cr_assert_str_eq(row(&b)->info_word, "wait_bgsave");
    send_kind(&b, FOLLOWER_EVENT_BEGUN);
    cr_assert_str_eq(row(&b)->info_word, "send_bulk");
    cr_assert_not(row(&b)->online);
    send_kind(&b, FOLLOWER_EVENT_STREAMS);
    cr_assert(did(&b, FOLLOWER_ACTION_DETACH) && did(&b, FOLLOWER_ACTION_PROVEN));
    cr_assert(said(&b, "Synchronization with replica 10.0.0.1:6379 succeeded"));
    cr_assert(row(&b)->online);
}

/* The first news may be the last: nobody looked while the snapshot left. */
Test(follower_machine, a_snapshot_whose_beginning_nobody_saw)
{
    struct bench b;
    start(&b, FOLLOWER_FULL, true);
    send_event(&b, (struct follower_event){.kind = FOLLOWER_EVENT_ARRIVED, .ready = true});
    send_kind(&b, FOLLOWER_EVENT_STREAMS);
    cr_assert_eq(b.machine.state, FOLLOWER_ONLINE);
}

Test(follower_machine, with_length_framing_only_its_own_word_is_proof)
{
    struct bench b;
    receive_snapshot(&b, false);
    b.now_ms = 5000;
    send_kind(&b, FOLLOWER_EVENT_STREAMS);
    cr_assert_eq(b.machine.state, FOLLOWER_UNPROVEN);
    cr_assert(row(&b)->online);
    cr_assert_not(did(&b, FOLLOWER_ACTION_PROVEN));
    b.now_ms = 6000;
    send_kind(&b, FOLLOWER_EVENT_ACKNOWLEDGED);
    cr_assert_eq(b.machine.state, FOLLOWER_ONLINE);
    cr_assert(did(&b, FOLLOWER_ACTION_PROVEN));
    cr_assert_eq(b.machine.online_ms, 5000, "it came online before");
}

Test(follower_machine, going_away_from_a_snapshot_is_a_refusal)
{
    static const struct {
        enum follower_wish wish;
        bool by_mark, streams, acknowledged, refused;
    } cases[] = {
        {FOLLOWER_FULL, true, false, false, true},     {FOLLOWER_FULL, false, false, false, true},
        {FOLLOWER_FULL, true, true, false, false},     {FOLLOWER_FULL, false, true, false, true},
        {FOLLOWER_FULL, false, true, true, false},     {FOLLOWER_COPIES, true, false, false, false},
        {FOLLOWER_COPIES, false, false, false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bench b;
        receive_snapshot(&b, cases[i].by_mark);
        b.machine.wish = cases[i].wish;
        if (cases[i].streams) send_kind(&b, FOLLOWER_EVENT_STREAMS);
        if (cases[i].acknowledged) send_kind(&b, FOLLOWER_EVENT_ACKNOWLEDGED);
        send_kind(&b, FOLLOWER_EVENT_LET_GO);
        cr_assert_eq(did(&b, FOLLOWER_ACTION_REFUSED), cases[i].refused, "case %zu", i);
        cr_assert(did(&b, FOLLOWER_ACTION_RELEASE));
        cr_assert(said(&b, "Connection with replica 10.0.0.1:6379 lost: why"));
        cr_assert_eq(b.machine.state, FOLLOWER_GONE);
    }
}

Test(follower_machine, who_leaves_before_its_snapshot_began_has_refused_nothing)
{
    struct bench b;
    start(&b, FOLLOWER_FULL, true);
    send_event(&b, (struct follower_event){.kind = FOLLOWER_EVENT_ARRIVED, .ready = true});
    send_kind(&b, FOLLOWER_EVENT_LET_GO);
    cr_assert_not(did(&b, FOLLOWER_ACTION_REFUSED));
}

/* Its descriptor is on the way and must not meet freed memory. */
Test(follower_machine, dropped_while_it_comes_it_stays_until_it_has_come)
{
    struct bench b;
    start(&b, FOLLOWER_FULL, true);
    send_kind(&b, FOLLOWER_EVENT_UNWANTED);
    cr_assert(did(&b, FOLLOWER_ACTION_DOOM) && did(&b, FOLLOWER_ACTION_DETACH));
    cr_assert_eq(b.machine.state, FOLLOWER_REJECTED);
    cr_assert_null(row(&b)->info_word);
    send_kind(&b, FOLLOWER_EVENT_LINK_DIED);
    cr_assert_eq(b.machine.state, FOLLOWER_REJECTED, "the link never had it");
    send_kind(&b, FOLLOWER_EVENT_ARRIVED);
    cr_assert(did(&b, FOLLOWER_ACTION_RELEASE));
    cr_assert_eq(b.machine.state, FOLLOWER_GONE);
}

Test(follower_machine, dropped_while_linked_it_stays_until_the_link_lets_go)
{
    struct bench b;
    receive_snapshot(&b, true);
    send_kind(&b, FOLLOWER_EVENT_UNWANTED);
    cr_assert(said(&b, "Disconnecting replica 10.0.0.1:6379: why"));
    cr_assert(did(&b, FOLLOWER_ACTION_DOOM));
    cr_assert_not(did(&b, FOLLOWER_ACTION_RELEASE));
    cr_assert_eq(b.machine.state, FOLLOWER_DROPPED);
    cr_assert_not(row(&b)->online);
    cr_assert_str_eq(follower_shown(&b.machine)->info_word, "send_bulk", "it is shown until it is gone");
    send_kind(&b, FOLLOWER_EVENT_UNWANTED);
    cr_assert_eq(b.actions.count, 0, "it is dropped once");
    send_event(&b, (struct follower_event){.kind = FOLLOWER_EVENT_LET_GO, .text = "the server gave it up"});
    cr_assert(said(&b, "lost: why"), "our own reason is the one to tell");
    cr_assert_not(did(&b, FOLLOWER_ACTION_REFUSED));
    cr_assert_eq(b.machine.state, FOLLOWER_GONE);
    cr_assert_null(follower_shown(&b.machine));
}

Test(follower_machine, dropped_in_the_queue_it_goes_at_once)
{
    struct bench b;
    start(&b, FOLLOWER_FULL, true);
    send_kind(&b, FOLLOWER_EVENT_ARRIVED);
    send_kind(&b, FOLLOWER_EVENT_UNWANTED);
    cr_assert(did(&b, FOLLOWER_ACTION_RELEASE));
    cr_assert_eq(b.machine.state, FOLLOWER_GONE);
}

Test(follower_machine, a_link_that_cannot_take_it)
{
    struct bench b;
    start(&b, FOLLOWER_CONTINUES, false);
    send_event(&b, (struct follower_event){.kind = FOLLOWER_EVENT_ARRIVED, .ready = true});
    send_kind(&b, FOLLOWER_EVENT_NOT_TAKEN);
    cr_assert(said(&b, "Can't hand replica 10.0.0.1:6379 to the link process: why"));
    cr_assert(did(&b, FOLLOWER_ACTION_RELEASE));
}

static void lag(struct bench *b, int64_t now_ms, uint64_t bytes)
{
    b->now_ms = now_ms;
    send_event(b, (struct follower_event){.kind = FOLLOWER_EVENT_TICK, .lag_bytes = bytes});
}

Test(follower_machine, the_soft_limit_counts_time_without_a_break)
{
    struct bench b;
    start(&b, FOLLOWER_CONTINUES, false);
    b.settings.soft_limit_bytes = 100;
    b.settings.soft_limit_ms = 5000;
    send_event(&b, (struct follower_event){.kind = FOLLOWER_EVENT_ARRIVED, .ready = true});
    lag(&b, 1000, 101);
    lag(&b, 6000, 101);
    lag(&b, 6001, 100);
    lag(&b, 7000, 101);
    lag(&b, 12000, 101);
    cr_assert_eq(b.machine.state, FOLLOWER_ONLINE);
    lag(&b, 12001, 102);
    cr_assert(said(&b, "It is 102 bytes behind, the soft limit is 100."));
    cr_assert(did(&b, FOLLOWER_ACTION_DOOM) && did(&b, FOLLOWER_ACTION_LIMITED));
    cr_assert_eq(b.machine.state, FOLLOWER_DROPPED);
    lag(&b, 20000, 1000);
    cr_assert_eq(b.actions.count, 0);
}

Test(follower_machine, the_backlog_dooms_by_itself)
{
    struct bench b;
    receive_snapshot(&b, true);
    send_event(&b, (struct follower_event){.kind = FOLLOWER_EVENT_DOOMED, .lag_bytes = 9, .limit_bytes = 8});
    cr_assert(said(&b, "It is 9 bytes behind, the hard limit is 8."));
    cr_assert(did(&b, FOLLOWER_ACTION_LIMITED));
    cr_assert_not(did(&b, FOLLOWER_ACTION_DOOM), "its slot is doomed already");
    send_kind(&b, FOLLOWER_EVENT_LET_GO);
    cr_assert(said(&b, "lost: it was 9 bytes behind"));
    receive_snapshot(&b, true);
    send_kind(&b, FOLLOWER_EVENT_DOOMED);
    cr_assert(said(&b, "no memory or no descriptor"));
    cr_assert_not(did(&b, FOLLOWER_ACTION_LIMITED));
}

/* Illegal transitions and too many actions end the program; and whoever is released is released once. */
Test(follower_machine, any_order_of_events_is_survived)
{
    struct random_state random;
    random_seed(&random, 11);
    for (int run = 0; run < 20000; run++) {
        struct bench b;
        int released = 0;
        start(&b, random_below(&random, FOLLOWER_COPIES + 1), random_below(&random, 2));
        b.settings.soft_limit_bytes = 100;
        for (int i = 0; i < 30; i++) {
            b.now_ms += (int64_t)random_below(&random, 4000);
            send_event(&b, (struct follower_event){.kind = random_below(&random, FOLLOWER_EVENT_TICK + 1),
                                                   .ready = random_below(&random, 2),
                                                   .text = "why",
                                                   .lag_bytes = random_below(&random, 200),
                                                   .limit_bytes = random_below(&random, 2)});
            released += did(&b, FOLLOWER_ACTION_RELEASE);
            cr_assert_eq(released, b.machine.state == FOLLOWER_GONE);
        }
    }
}

/* --- time-outs --- */

/* One second goes by, and the slot says this. */
static void pass_second(struct bench *b, enum shm_peer_debt owes, uint64_t sent_bytes, uint64_t received_bytes)
{
    b->now_ms += 1000;
    send_event(b, (struct follower_event){.kind = FOLLOWER_EVENT_TICK, .slot = {owes, sent_bytes, received_bytes}});
}

Test(follower_machine, who_does_not_take_its_snapshot_times_out)
{
    struct bench b;
    receive_snapshot(&b, true);
    b.settings.timeout_ms = 5000;
    for (int i = 0; i < 20; i++) pass_second(&b, OWES_TAKING, (uint64_t)i, 0); /* slow is not silent */
    for (int i = 0; i < 20; i++) pass_second(&b, OWES_NOTHING, 19, 0);         /* the child writes nothing */
    cr_assert_eq(b.machine.state, FOLLOWER_SNAPSHOT);
    for (int i = 0; i < 5; i++) pass_second(&b, OWES_TAKING, 19, 0);
    cr_assert_eq(b.machine.state, FOLLOWER_SNAPSHOT);
    pass_second(&b, OWES_TAKING, 19, 7); /* words are not what it owes */
    cr_assert(did(&b, FOLLOWER_ACTION_DOOM));
    cr_assert(said(&b, "Disconnecting timedout replica (full sync): 10.0.0.1:6379: it does not take the snapshot"));
    cr_assert_eq(b.machine.state, FOLLOWER_DROPPED);
}

Test(follower_machine, who_says_nothing_times_out)
{
    struct bench b;
    start(&b, FOLLOWER_CONTINUES, true);
    send_event(&b, (struct follower_event){.kind = FOLLOWER_EVENT_ARRIVED, .ready = true});
    b.settings.timeout_ms = 5000;
    for (int i = 0; i < 20; i++) pass_second(&b, OWES_WORD, 0, (uint64_t)i);
    cr_assert_eq(b.machine.state, FOLLOWER_ONLINE);
    for (int i = 0; i < 5; i++) pass_second(&b, OWES_WORD, (uint64_t)i, 19);
    cr_assert(did(&b, FOLLOWER_ACTION_DOOM));
    cr_assert(said(&b, "Disconnecting timedout replica (streaming sync): 10.0.0.1:6379: nothing was heard of it"));
    cr_assert_eq(b.machine.state, FOLLOWER_DROPPED);
}

Test(follower_machine, without_a_timeout_silence_is_borne)
{
    struct bench b;
    start(&b, FOLLOWER_CONTINUES, true);
    send_event(&b, (struct follower_event){.kind = FOLLOWER_EVENT_ARRIVED, .ready = true});
    for (int i = 0; i < 100000; i++) pass_second(&b, OWES_WORD, 0, 0);
    cr_assert_eq(b.machine.state, FOLLOWER_ONLINE);
}

Test(follower_machine, a_backup_that_is_through_is_closed_some_time_after)
{
    struct bench b;
    start(&b, FOLLOWER_COPIES, true);
    send_event(&b, (struct follower_event){.kind = FOLLOWER_EVENT_ARRIVED, .ready = true});
    send_kind(&b, FOLLOWER_EVENT_BEGUN);
    for (int i = 0; i < 20; i++) pass_second(&b, OWES_CLOSE, 100, 0);
    cr_assert_eq(b.machine.state, FOLLOWER_SNAPSHOT);
    pass_second(&b, OWES_CLOSE, 100, 0);
    cr_assert(said(&b, "the snapshot was delivered"));
    cr_assert_eq(b.machine.state, FOLLOWER_DROPPED);
}
