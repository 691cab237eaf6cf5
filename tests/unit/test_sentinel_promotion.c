/* server/sentinel/: how several Sentinels replace a master that has died, or hand over from one that lives: whom they
 * promote, how soon, and what they do when the chosen one fails them. */
#include "tests/unit/test_sentinel_world.h"

/* The median of the times from the kill to the promotion is what users wait for. */
Test(sentinel_promotion, a_dead_master_is_replaced_by_the_replica_with_the_most_data)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        build(seed, 3, 4, 2, 10000);
        run_ms(5000 + (int64_t)seed * 37);
        w.server[2].offset = 500;
        run_ms(10000);
        w.server[0].alive = false;
        run_ms(5000);
        cr_assert(w.server[2].is_master, "seed %" PRIu64 "\n%s", seed, log_lines);
        for (int s = 0; s < 3; s++) {
            cr_assert_eq(masters_port(s), SERVER_PORT + 2, "seed %" PRIu64 " S%d\n%s", seed, s, log_lines);
            cr_assert_eq(w.said_switch[s], 1);
        }
        cr_assert(!w.server[1].is_master && w.server[1].master == 2, "%s", log_lines);
        w.server[0].alive = true;
        run_ms(30000);
        cr_assert(!w.server[0].is_master && w.server[0].master == 2, "it comes back, and follows\n%s", log_lines);
        cr_assert_eq(living_masters(), 1);
        finish();
    }
}

/* 1 has replaced 0, and dies; `restarts`: it has restarted before. 2 has followed it, and 3 has more of another
 * history. */
static void let_second_master_die(int history_of_3, bool follows, bool restarts)
{
    build(15, 3, 4, 2, 10000);
    for (int i = 0; i < 4; i++) w.server[i].history = 0xa1;
    run_ms(15000);
    w.server[1].offset = 500;
    w.server[0].alive = false;
    run_ms(5000);
    cr_assert_eq(w.server[1].promotions, 1, "%s", log_lines);
    w.server[2].history = 0xb2; /* as 1 has now */
    w.server[2].offset = 600;
    w.server[3] = (struct fake_server){.alive = true,
                                       .master = 1,
                                       .offset = 900,
                                       .history = history_of_3,
                                       .held_back = !follows,
                                       .lost_ms = follows ? 0 : -1};
    run_ms(15000);
    if (restarts) {
        come_back(1);
        w.server[1].left = w.server[1].history;
        w.server[1].history = 0xd4;
        run_ms(15000);
    }
    w.server[1].alive = false;
    run_ms(5000);
}

/* The new master dies before one has followed it that has more of the former's history than the new one went on from,
 * or of one before that. */
Test(sentinel_promotion, who_has_not_followed_the_last_master_stands_behind)
{
    static const int histories[] = {0xa1, 0x77};
    for (int i = 0; i < 4; i++) {
        let_second_master_die(histories[i % 2], false, i >= 2);
        cr_assert(w.server[2].promotions == 1 && w.server[3].promotions == 0, "%s", log_lines);
        cr_assert(strstr(log_lines, "it has not followed the last master"), "%s", log_lines);
        finish();
    }
    let_second_master_die(0xb2, false, true);
    cr_assert_eq(w.server[3].promotions, 1, "what a restart has left counts, too\n%s", log_lines);
    finish();
    let_second_master_die(0xc3, true, false);
    cr_assert_eq(w.server[3].promotions, 1, "a restart that nobody has noticed may have left what 2 has\n%s",
                 log_lines);
    finish();
}

/* Nobody can be promoted when the master dies; a minute of failover-timeout is not waited for who comes back. */
Test(sentinel_promotion, a_replica_that_comes_back_is_promoted_soon)
{
    build_and_settle(14, 3, 3, 2, 60000);
    for (int i = 0; i < 3; i++) w.server[i].alive = false;
    run_ms(10000);
    int aborted = w.said_abort;
    cr_assert(aborted > 0 && strstr(log_lines, "-failover-abort-no-good-slave"), "%s", log_lines);
    run_ms(10000);
    cr_assert_eq(w.said_abort, aborted, "nothing is tried without anybody\n%s", log_lines);
    w.server[2].alive = true;
    run_ms(6000);
    cr_assert_eq(w.server[2].promotions, 1, "%s", log_lines);
    for (int s = 0; s < 3; s++) cr_assert_eq(masters_port(s), SERVER_PORT + 2, "%s", log_lines);
    finish();
}

/* The best one dies of it: others are there, and failover-timeout is a minute. */
Test(sentinel_promotion, one_that_dies_before_it_is_a_master_is_not_waited_for)
{
    for (int comes_back = 0; comes_back < 2; comes_back++) {
        build_and_settle(13, 3, 4, 2, 60000);
        w.server[2].offset = 500;
        w.server[2].dies_of_promotion = true;
        run_ms(10000);
        w.server[0].alive = false;
        for (int i = 0; i < 30 && w.server[2].alive; i++) run_ms(100);
        cr_assert(!w.server[2].alive, "%s", log_lines);
        if (comes_back) {
            come_back(2);
            w.server[2].offset = 0;
        }
        run_ms(6000);
        cr_assert_eq(w.server[1].promotions + w.server[3].promotions, 1, "%s", log_lines);
        for (int s = 0; s < 3; s++) cr_assert_neq(masters_port(s), SERVER_PORT, "%s", log_lines);
        finish();
    }
}

/* The new one dies at once: that the former's fail-over was a moment ago delays nothing. */
Test(sentinel_promotion, a_new_master_that_dies_is_replaced_as_soon)
{
    build_and_settle(11, 3, 4, 2, 60000);
    for (int round = 0; round < 3; round++) {
        int master = masters_port(0) - SERVER_PORT;
        w.server[master].alive = false;
        run_ms(6000);
        for (int s = 0; s < 3; s++) cr_assert_neq(masters_port(s), SERVER_PORT + master, "%s", log_lines);
        cr_assert_eq(living_masters(), 1, "%s", log_lines);
        if (round == 0) w.server[master].alive = true;
    }
    finish();
}

/* All stand still while one is about to be promoted, and none has the order yet: by the end of TILT things may be
 * different, so it begins anew. */
Test(sentinel_promotion, what_nobody_was_told_before_tilt_is_given_up)
{
    struct sentinel_actions out = {0};
    build_and_settle(17, 3, 3, 2, 60000);
    w.server[0].alive = false;
    for (int i = 0; i < 400 && !strstr(log_lines, "+try-failover"); i++) run_ms(10);
    cr_assert(strstr(log_lines, "+try-failover") && !strstr(log_lines, "+selected-slave"), "%s", log_lines);
    w.now_ms += 5000;
    for (int s = 0; s < 3; s++) {
        const char *error = sentinel_failover(&w.sentinel[s], w.sentinel[s].masters[0], w.now_ms, &out);
        cr_assert(error && strstr(error, "TILT"), "%s", error);
        carry_out(s, &out);
        cr_assert_not(watched_in_failover(w.sentinel[s].masters[0]), "%s", log_lines);
    }
    sentinel_actions_free(&out);
    cr_assert(strstr(log_lines, "is given up, in state"), "%s", log_lines);
    run_ms(25000);
    cr_assert_eq(promotions(), 0, "%s", log_lines);
    run_ms(15000);
    cr_assert_eq(promotions(), 1, "%s", log_lines);
    finish();
}

Test(sentinel_promotion, a_hand_over_asks_the_living_master)
{
    struct sentinel_actions out = {0};
    build(5, 3, 3, 2, 10000);
    run_ms(5000);
    cr_assert_null(sentinel_failover(&w.sentinel[0], w.sentinel[0].masters[0], w.now_ms, &out));
    carry_out(0, &out);
    cr_assert_str_eq(sentinel_failover(&w.sentinel[0], w.sentinel[0].masters[0], w.now_ms, &out),
                     "INPROG Failover already in progress");
    sentinel_actions_free(&out);
    run_ms(20000);
    cr_assert_eq(w.server[0].hand_overs, 1, "%s", log_lines);
    cr_assert_eq(promotions(), 0, "SLAVEOF NO ONE was not needed\n%s", log_lines);
    cr_assert_eq(living_masters(), 1);
    for (int s = 0; s < 3; s++) cr_assert_neq(masters_port(s), SERVER_PORT, "%s", log_lines);
    finish();
}

/* A replica that does not catch up in time: it is promoted without the master's help, and the master follows. */
Test(sentinel_promotion, a_hand_over_that_is_given_up_goes_on_without_the_master)
{
    build_and_settle(6, 3, 3, 2, 10000);
    w.server[0].gives_up_ms = 3000;
    ask_to_fail_over(0);
    run_ms(2500);
    cr_assert_eq(promotions(), 0, "it is at it\n%s", log_lines);
    run_ms(3000);
    cr_assert_eq(promotions(), 1, "%s", log_lines);
    cr_assert(strstr(log_lines, "has given up handing over"), "%s", log_lines);
    run_ms(30000);
    cr_assert_eq(living_masters(), 1, "%s", log_lines);
    finish();
}

/* The one that the master waits for comes back with less than another has. */
Test(sentinel_promotion, a_hand_over_that_is_given_up_goes_to_who_has_most_by_then)
{
    build_and_settle(6, 3, 3, 2, 10000);
    w.server[0].gives_up_ms = 3000;
    w.server[2].offset = 500;
    ask_to_fail_over(0);
    run_ms(2500);
    cr_assert_eq(w.server[0].hand_overs, 1, "%s", log_lines);
    cr_assert(strstr(log_lines, "is asked to hand over to 10.0.0.1:7002"), "%s", log_lines);
    come_back(2);
    w.server[2].offset = 5;
    run_ms(3000);
    cr_assert_eq(w.server[1].promotions, 1, "%s", log_lines);
    cr_assert_eq(w.server[2].promotions, 0, "%s", log_lines);
    finish();
}
