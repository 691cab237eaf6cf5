/* aof/rewrite.h: the steps of a rewrite in every order, what a failure and a withdrawal make of it,
 * and when one is due. */
#include "server/aof/rewrite.h"

#include "server/base/random.h"

#include <criterion/criterion.h>

static struct rewrite w;

static void start(void)
{
    rewrite_init(&w);
}

TestSuite(rewrite, .init = start);

static enum rewrite_action step(enum rewrite_event event)
{
    return rewrite_step(&w, event, 1000);
}

static void go_to(enum rewrite_state state)
{
    static const enum rewrite_event events[] = {REWRITE_ASK, REWRITE_CLEAR, REWRITE_DONE, REWRITE_DONE, REWRITE_DONE};
    for (size_t i = 0; w.state != state; i++) {
        cr_assert_lt(i, sizeof events / sizeof *events);
        step(events[i]);
    }
}

Test(rewrite, goes_its_way)
{
    cr_assert_eq(step(REWRITE_ASK), REWRITE_NOTHING);
    cr_assert_eq(w.state, REWRITE_SCHEDULED);
    cr_assert_not(rewrite_is_under_way(&w));
    cr_assert_eq(step(REWRITE_CLEAR), REWRITE_OPEN);
    cr_assert(rewrite_is_under_way(&w));
    cr_assert_eq(step(REWRITE_DONE), REWRITE_FORK);
    cr_assert_eq(step(REWRITE_BUSY), REWRITE_NOTHING);
    cr_assert_eq(w.state, REWRITE_FORKING);
    cr_assert_eq(step(REWRITE_CLEAR), REWRITE_FORK);
    cr_assert_eq(step(REWRITE_DONE), REWRITE_NOTHING);
    cr_assert_eq(w.state, REWRITE_CHILD);
    cr_assert_eq(step(REWRITE_DONE), REWRITE_SWITCH);
    cr_assert_eq(rewrite_step(&w, REWRITE_DONE, 4500), REWRITE_FINISH);
    cr_assert_eq(w.state, REWRITE_IDLE);
    cr_assert_eq(w.completed, 1);
    cr_assert_eq(w.last_s, 3);
    cr_assert(w.last_ok);
}

Test(rewrite, a_failure_at_any_step_is_undone_and_counted)
{
    for (int state = REWRITE_OPENING; state <= REWRITE_SWITCHING; state++) {
        start();
        go_to(state);
        cr_assert_eq(step(REWRITE_FAILED), REWRITE_UNDO, "%s", rewrite_state_name(state));
        cr_assert_eq(w.state, REWRITE_IDLE);
        cr_assert_eq(w.failures, 1);
        cr_assert_not(w.last_ok);
        go_to(REWRITE_SWITCHING);
        step(REWRITE_DONE);
        cr_assert_eq(w.failures, 0);
        cr_assert(w.last_ok);
    }
}

Test(rewrite, withdrawn_it_has_not_failed)
{
    for (int state = REWRITE_SCHEDULED; state <= REWRITE_SWITCHING; state++) {
        static const enum rewrite_action actions[] = {[REWRITE_SCHEDULED] = REWRITE_NOTHING,
                                                      [REWRITE_OPENING] = REWRITE_NOTHING,
                                                      [REWRITE_FORKING] = REWRITE_UNDO,
                                                      [REWRITE_CHILD] = REWRITE_KILL,
                                                      [REWRITE_SWITCHING] = REWRITE_NOTHING};
        start();
        go_to(state);
        cr_assert_eq(step(REWRITE_WITHDRAW), actions[state], "%s", rewrite_state_name(state));
        if (state == REWRITE_OPENING) cr_assert_eq(step(REWRITE_DONE), REWRITE_UNDO, "the fork does not follow");
        if (state == REWRITE_CHILD)
            cr_assert_eq(step(REWRITE_DONE), REWRITE_UNDO, "it was through before it was killed");
        if (state == REWRITE_SWITCHING) cr_assert_eq(step(REWRITE_DONE), REWRITE_FINISH, "the manifest says so");
        cr_assert_eq(w.state, REWRITE_IDLE, "%s", rewrite_state_name(state));
        cr_assert_eq(w.failures, 0);
        cr_assert(w.last_ok);
    }
}

Test(rewrite, withdrawn_twice_kills_once)
{
    go_to(REWRITE_CHILD);
    cr_assert_eq(step(REWRITE_WITHDRAW), REWRITE_KILL);
    cr_assert_eq(step(REWRITE_WITHDRAW), REWRITE_NOTHING);
    cr_assert_eq(step(REWRITE_FAILED), REWRITE_UNDO);
}

Test(rewrite, one_after_a_withdrawn_one_is_wanted)
{
    go_to(REWRITE_CHILD);
    step(REWRITE_WITHDRAW);
    step(REWRITE_FAILED);
    go_to(REWRITE_SWITCHING);
    cr_assert_not(w.withdrawn);
}

/* No order of events leads anywhere else, or begins two things at once. */
Test(rewrite, any_events_in_any_order)
{
    struct random_state random;
    random_seed(&random, 1);
    for (int i = 0; i < 200000; i++) {
        enum rewrite_state before = w.state;
        enum rewrite_action action =
            rewrite_step(&w, (enum rewrite_event)random_below(&random, REWRITE_WITHDRAW + 1), i);
        if (action == REWRITE_OPEN) cr_assert_eq(w.state, REWRITE_OPENING);
        if (action == REWRITE_FORK) cr_assert_eq(w.state, REWRITE_FORKING);
        if (action == REWRITE_SWITCH) cr_assert_eq(w.state, REWRITE_SWITCHING);
        if (action == REWRITE_KILL) cr_assert(before == REWRITE_CHILD && w.state == REWRITE_CHILD);
        if (action == REWRITE_UNDO || action == REWRITE_FINISH) cr_assert_eq(w.state, REWRITE_IDLE);
    }
    cr_assert_gt(w.completed, 0);
}

/* --- when --- */

static bool is_due(uint64_t current, uint64_t base, int percentage, int64_t least)
{
    int64_t growth;
    return rewrite_is_due(&(struct rewrite_sizes){current, base}, percentage, least, &growth);
}

Test(rewrite, is_due_by_growth_beyond_the_least_size)
{
    int64_t growth;
    cr_assert(rewrite_is_due(&(struct rewrite_sizes){300, 100}, 100, 200, &growth));
    cr_assert_eq(growth, 200);
    cr_assert(is_due(200, 100, 100, 199));
    cr_assert_not(is_due(200, 100, 100, 200), "it has to be larger than that");
    cr_assert_not(is_due(199, 100, 100, 10));
    cr_assert_not(is_due(1000, 100, 0, 10), "0 turns it off");
    cr_assert(is_due(65, 0, 100, 64), "of nothing");
    cr_assert(is_due(UINT64_MAX, 1, 100, 64));
}

Test(rewrite, failures_in_a_row_make_it_wait)
{
    cr_assert_eq(rewrite_back_off_ms(0), 0);
    cr_assert_eq(rewrite_back_off_ms(2), 0);
    cr_assert_eq(rewrite_back_off_ms(3), 60000);
    cr_assert_eq(rewrite_back_off_ms(4), 120000);
    cr_assert_eq(rewrite_back_off_ms(8), 32 * 60000);
    cr_assert_eq(rewrite_back_off_ms(9), 60 * 60000);
    cr_assert_eq(rewrite_back_off_ms(1000000), 60 * 60000);
    for (int i = 0; i < 3; i++) {
        go_to(REWRITE_CHILD);
        step(REWRITE_FAILED);
    }
    cr_assert(rewrite_is_held_back(&w, 1000 + 59999));
    cr_assert_not(rewrite_is_held_back(&w, 1000 + 60000));
}
