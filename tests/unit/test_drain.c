/* When a replica has got what a dead server had published, and when it is given up: the decision alone. */
#include "repl/link/drain.h"

#include <criterion/criterion.h>

#define BEGAN_MS 1000

static enum drain_step at(struct drain *d, int64_t ms, uint64_t moved_bytes, bool handed_over)
{
    struct drain_view view = {.handed_over = handed_over, .moved_bytes = moved_bytes};
    return drain_step(d, &view, BEGAN_MS + ms);
}

static struct drain begun(void)
{
    struct drain d;
    drain_begin(&d, BEGAN_MS);
    return d;
}

Test(drain, the_end_is_said_once_and_only_behind_the_last_byte)
{
    struct drain d = begun();
    cr_assert_eq(at(&d, 0, 0, false), DRAIN_WAIT);
    cr_assert_eq(at(&d, 5, 100, false), DRAIN_WAIT);
    cr_assert_eq(at(&d, 10, 100, true), DRAIN_SAY_END);
    cr_assert_eq(at(&d, 15, 200, true), DRAIN_WAIT, "its own close is waited for");
}

Test(drain, who_moves_is_waited_for_and_who_does_not_is_given_up)
{
    struct drain d = begun();
    for (int turn = 1; turn <= 3; turn++)
        cr_assert_eq(at(&d, turn * (DRAIN_STALL_MS - 1), (uint64_t)turn, false), DRAIN_WAIT);
    int64_t moved_ms = 3 * (DRAIN_STALL_MS - 1);
    cr_assert_eq(at(&d, moved_ms + DRAIN_STALL_MS - 1, 3, false), DRAIN_WAIT);
    cr_assert_eq(at(&d, moved_ms + DRAIN_STALL_MS, 3, false), DRAIN_STALLED);
}

Test(drain, who_has_heard_the_end_and_does_not_close_is_given_up)
{
    struct drain d = begun();
    cr_assert_eq(at(&d, DRAIN_STALL_MS - 1, 0, true), DRAIN_SAY_END);
    cr_assert_eq(at(&d, 2 * DRAIN_STALL_MS - 2, 0, true), DRAIN_WAIT);
    cr_assert_eq(at(&d, 2 * DRAIN_STALL_MS - 1, 0, true), DRAIN_STALLED);
}

Test(drain, it_ends_in_any_case)
{
    struct drain d = begun();
    for (int64_t ms = 0; ms < DRAIN_MOST_MS; ms += 1000) cr_assert_eq(at(&d, ms, (uint64_t)ms, false), DRAIN_WAIT);
    cr_assert_eq(at(&d, DRAIN_MOST_MS, DRAIN_MOST_MS, false), DRAIN_LATE);
    d = begun();
    cr_assert_eq(at(&d, DRAIN_MOST_MS, 1, true), DRAIN_LATE, "also who could still be told");
}

Test(drain, what_nobody_will_bring_is_not_waited_for)
{
    struct drain d = begun();
    struct drain_view view = {.out_of_reach = true, .moved_bytes = 1};
    cr_assert_eq(drain_step(&d, &view, BEGAN_MS), DRAIN_OUT_OF_REACH);
}
