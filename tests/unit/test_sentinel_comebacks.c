/* server/sentinel/: a master that is up and yet not what it was: it has come back without its data, with less of them,
 * or as a replica, or somebody has made it one. */
#include "tests/unit/test_sentinel_world.h"

/* It is up all the time, but what it had is gone; who follows it loses the rest. */
Test(sentinel_comebacks, a_master_that_comes_back_empty_is_replaced)
{
    build_and_settle(7, 3, 3, 2, 10000);
    come_back(0);
    w.server[0].loading = true;
    w.server[0].empty = true;
    run_ms(12000);
    cr_assert_eq(promotions(), 0, "it may have data yet\n%s", log_lines);
    w.server[0].loading = false;
    run_ms(15000);
    cr_assert_eq(promotions(), 1, "%s", log_lines);
    cr_assert(strstr(log_lines, "it had 10 keys") && strstr(log_lines, "came back without data that replicas"));
    run_ms(30000);
    cr_assert(!w.server[0].is_master, "%s", log_lines);
    cr_assert_eq(living_masters(), 1);
    finish();
}

/* It is up all the time, and so it is told to follow at once: what it takes meanwhile is lost. */
Test(sentinel_comebacks, a_master_that_comes_back_with_less_is_replaced_by_who_has_most)
{
    build_and_settle(9, 3, 4, 2, 10000);
    come_back(0);
    w.server[0].ahead = 500;
    w.server[2].offset = 510;
    w.server[2].held_back = true;
    w.server[1].offset = 2000; /* what the master has streamed since */
    run_ms(13000);
    cr_assert_eq(w.server[2].promotions, 1, "%s", log_lines);
    cr_assert(!w.server[0].is_master && w.server[0].master == 2, "%s", log_lines);
    cr_assert(strstr(log_lines, "a replica has 500 bytes more of its history"), "%s", log_lines);
    cr_assert(strstr(log_lines, "it follows the master that came back with less"), "%s", log_lines);
    cr_assert(strstr(log_lines, "lives, and is told to follow"), "%s", log_lines);
    run_ms(30000);
    cr_assert_eq(living_masters(), 1, "%s", log_lines);
    for (int s = 0; s < 3; s++) cr_assert_eq(masters_port(s), SERVER_PORT + 2, "%s", log_lines);
    finish();
}

/* Whoever has more starts later than the rest: nobody else is taken for it. */
Test(sentinel_comebacks, who_has_more_than_a_master_that_came_back_is_waited_for)
{
    build_and_settle(9, 3, 3, 2, 10000);
    w.server[2].alive = false;
    come_back(0);
    w.server[0].ahead = 500;
    w.server[2].offset = 510;
    w.server[2].held_back = true;
    w.server[1].offset = 2000;
    run_ms(11000);
    cr_assert_eq(w.server[1].promotions, 0, "%s", log_lines);
    w.server[2].alive = true;
    run_ms(8000);
    cr_assert_eq(w.server[2].promotions, 1, "%s", log_lines);
    finish();
}

/* Nobody has more than it: it stays the master. */
Test(sentinel_comebacks, a_master_that_comes_back_empty_among_empty_ones_stays)
{
    build_and_settle(8, 3, 3, 2, 10000);
    come_back(0);
    for (int i = 0; i < 3; i++) w.server[i].empty = true;
    run_ms(40000);
    cr_assert_eq(promotions(), 0, "%s", log_lines);
    cr_assert(w.server[0].is_master);
    finish();
}

/* Its replicas have followed it, and then there are keys again: they are its own, though its replicas may be the first
 * to say so. */
Test(sentinel_comebacks, a_master_that_came_back_empty_may_get_new_data)
{
    for (uint64_t seed = 1; seed <= 8; seed++) {
        build_and_settle(seed, 3, 3, 2, 10000);
        come_back(0);
        for (int i = 0; i < 3; i++) w.server[i].empty = true;
        run_ms(12000 + 700 * (int64_t)seed);
        for (int i = 0; i < 3; i++) w.server[i].empty = false;
        run_ms(30000);
        cr_assert_eq(promotions(), 0, "%s", log_lines);
        finish();
    }
}

/* Its configuration is that of before the last fail-over, as in a container that starts anew: it follows who follows
 * it, and nobody is the master. */
Test(sentinel_comebacks, a_master_that_comes_back_as_a_replica_is_replaced_at_once)
{
    build_and_settle(9, 3, 3, 2, 10000);
    come_back(0);
    begin_to_follow(0, 1);
    run_ms(14000); /* the next INFO of the master, down-after, an election */
    cr_assert_eq(promotions(), 1, "%s", log_lines);
    run_ms(30000);
    cr_assert_eq(living_masters(), 1, "%s", log_lines);
    finish();
}

/* With what its file says: the addresses of the replicas, and nothing that they have said. */
static void restart_only_sentinel(void)
{
    struct sentinel_address master = {HOST, SERVER_PORT};
    sentinel_free(&w.sentinel[0]);
    for (int i = 0; i < w.message_end; i++) w.messages[i].used = false;
    start_sentinel(0, &master, 1);
    for (int i = 1; i < w.servers; i++)
        sentinel_know_replica(w.sentinel[0].masters[0], &(struct sentinel_address){HOST, SERVER_PORT + i}, w.now_ms);
}

/* All have been down, the Sentinel as well; of two that have more than the master the one with most is there last. */
Test(sentinel_comebacks, who_has_most_may_be_the_last_that_comes_back)
{
    build(9, 1, 3, 1, 10000);
    run_ms(15000);
    w.server[2].alive = false;
    w.server[0].restarts++;
    w.server[0].ahead = 500;
    for (int i = 1; i < 3; i++) {
        w.server[i].offset = 500 * i;
        w.server[i].held_back = true;
    }
    restart_only_sentinel();
    for (int ms = 0; ms < 5000 && !strstr(log_lines, "+elected-leader"); ms += 10) run_ms(10);
    run_ms(500);
    cr_assert_eq(w.server[1].promotions, 0, "%s", log_lines);
    w.server[2].alive = true;
    run_ms(5000);
    cr_assert_eq(w.server[2].promotions, 1, "%s", log_lines);
    finish();
}

/* The same while the Sentinel restarts, too, and knows no other run id of it. That it has come back shows by its age;
 * one that runs for long has been moved. */
Test(sentinel_comebacks, a_sentinel_that_restarts_sees_that_the_master_has_come_back_as_a_replica)
{
    for (int moved = 0; moved < 2; moved++) {
        build(9, 1, 3, 1, 10000);
        run_ms(60000);
        come_back(0);
        begin_to_follow(0, 1);
        w.server[0].started_ms = moved ? 10 : w.now_ms;
        restart_only_sentinel();
        run_ms(8000);
        cr_assert_eq(w.server[1].promotions + w.server[2].promotions, !moved, "%s", log_lines);
        run_ms(25000);
        cr_assert_eq(w.server[1].promotions + w.server[2].promotions, 1, "%s", log_lines);
        finish();
    }
}

/* The same by somebody's REPLICAOF is waited for longer: he may be at it. By then its replicas have been without a
 * master for much longer than it counts as down, and are good enough all the same: nobody has more. */
Test(sentinel_comebacks, a_master_that_became_a_replica_is_replaced_by_those_it_left)
{
    build_and_settle(10, 3, 3, 2, 10000);
    begin_to_follow(0, 1);
    for (int i = 0; i < 3; i++) w.server[i].lost_ms = w.now_ms;
    run_ms(14000);
    cr_assert_eq(promotions(), 0, "%s", log_lines);
    run_ms(25000);
    cr_assert_eq(promotions(), 1, "%s", log_lines);
    run_ms(30000);
    cr_assert_eq(living_masters(), 1, "%s", log_lines);
    finish();
}

/* The same, and the one that it follows is a master: that has what the former one had, and more. */
Test(sentinel_comebacks, a_master_that_became_a_masters_replica_is_replaced_by_that_one)
{
    build_and_settle(16, 3, 4, 2, 10000);
    begin_to_follow(0, 1);
    w.server[1].is_master = true;
    w.server[1].offset = 500;
    w.server[2].offset = 400;
    run_ms(60000);
    cr_assert_eq(w.server[2].promotions + w.server[3].promotions, 0, "%s", log_lines);
    for (int s = 0; s < 3; s++) cr_assert_eq(masters_port(s), SERVER_PORT + 1, "%s", log_lines);
    for (int i = 2; i < 4; i++) cr_assert_eq(w.server[i].master, 1, "%s", log_lines);
    finish();
}
