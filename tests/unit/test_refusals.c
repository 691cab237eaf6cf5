/* Who went away from his snapshot waits longer each time, and is not confused with others. */
#include "repl/refusals.h"

#include <criterion/criterion.h>
#include <stdio.h>

Test(refusals, the_first_is_an_accident_and_each_further_one_doubles_the_wait)
{
    static struct refusals r;
    static const int64_t waits_ms[] = {0, 100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000};
    int64_t now_ms = 5000;
    cr_assert_eq(refusals_again_ms(&r, "a:1"), 0);
    for (unsigned i = 0; i < sizeof waits_ms / sizeof *waits_ms; i++) {
        cr_assert_eq(refusals_note(&r, "a:1", 0, false, now_ms), i + 1);
        cr_assert_eq(refusals_again_ms(&r, "a:1"), now_ms + waits_ms[i]);
        cr_assert_eq(refusals_again_ms(&r, "a:2"), 0);
        now_ms += waits_ms[i] + 10;
    }
    refusals_forget(&r, "a:1");
    cr_assert_eq(refusals_note(&r, "a:1", 0, false, now_ms), 1);
}

Test(refusals, what_was_long_ago_is_forgotten)
{
    static struct refusals r;
    refusals_note(&r, "a:1", 0, false, 1000);
    refusals_note(&r, "a:1", 0, false, 1000);
    cr_assert_eq(refusals_note(&r, "a:1", 0, false, 1000 + 100 + 60000), 3);
    cr_assert_eq(refusals_note(&r, "a:1", 0, false, 300000), 1);
}

Test(refusals, the_list_is_finite_and_keeps_the_latest)
{
    static struct refusals r;
    char name[REFUSALS_NAME_BYTES];
    for (int i = 0; i < 3 * REFUSALS_MAX; i++) {
        snprintf(name, sizeof name, "host:%d", i);
        refusals_note(&r, name, 0, false, 1000 + i);
        refusals_note(&r, name, 0, false, 1000 + i);
    }
    cr_assert_gt(refusals_again_ms(&r, name), 0);
    cr_assert_eq(refusals_again_ms(&r, "host:0"), 0);
    refusals_forget(&r, "host:0");
}

/* Else who cannot read a version would get it again and again, at once. */
Test(refusals, many_that_are_merely_here_do_not_make_one_that_refused_forgotten)
{
    static struct refusals r;
    char name[REFUSALS_NAME_BYTES];
    refusals_note(&r, "a:1", 10, false, 1000);
    refusals_note(&r, "a:1", 10, false, 1100);
    refusals_note_astray(&r, "a:2", 1100);
    for (int i = 0; i < 3 * REFUSALS_MAX; i++) {
        snprintf(name, sizeof name, "host:%d", i);
        if (i % 2)
            refusals_note_read(&r, name, 10, 70, 2000 + i);
        else
            refusals_note_unproven(&r, name, 2000 + i);
    }
    cr_assert_eq(refusals_read(&r, name, 71, 2100), 10);
    cr_assert_eq(refusals_version(&r, "a:1", 3000), 10);
    cr_assert_gt(refusals_again_ms(&r, "a:1"), 0);
    cr_assert(refusals_is_astray(&r, "a:2"));
}

Test(refusals, a_version_is_known_once_it_was_had_whole_or_given_twice)
{
    static struct refusals r;
    refusals_note(&r, "a:1", 10, false, 1000);
    cr_assert_eq(refusals_version(&r, "a:1", 1000), 0);
    refusals_note(&r, "a:1", 10, false, 1100);
    cr_assert_eq(refusals_version(&r, "a:1", 1100), 10);
    refusals_note(&r, "a:2", 12, true, 1200);
    cr_assert_eq(refusals_version(&r, "a:2", 1200), 12);
    refusals_forget(&r, "a:2"); /* it has taken over another */
    cr_assert_eq(refusals_version(&r, "a:2", 1300), 12);
    cr_assert_eq(refusals_again_ms(&r, "a:2"), 0);
    cr_assert_eq(refusals_version(&r, "a:2", 1200 + (int64_t)25 * 60 * 60 * 1000), 0);
}

Test(refusals, a_refused_request_is_told_once_a_minute_for_each_replica)
{
    static struct refusals r;
    cr_assert(refusals_tell(&r, "a:1", 1000));
    cr_assert(refusals_tell(&r, "a:2", 1001));
    cr_assert_not(refusals_tell(&r, "a:1", 60999));
    cr_assert(refusals_tell(&r, "a:1", 61000));
    cr_assert_not(refusals_tell(&r, "a:2", 61000));
    cr_assert_eq(refusals_again_ms(&r, "a:1"), 0, "it waits for nothing");
}

Test(refusals, who_strayed_is_astray_until_it_has_taken_a_snapshot)
{
    static struct refusals r;
    cr_assert_not(refusals_is_astray(&r, "a:1"));
    refusals_note_astray(&r, "a:1", 1000);
    cr_assert(refusals_is_astray(&r, "a:1"));
    cr_assert_not(refusals_is_astray(&r, "a:2"));
    cr_assert_eq(refusals_again_ms(&r, "a:1"), 1000, "the first costs nothing");
    refusals_forget(&r, "a:1");
    cr_assert_not(refusals_is_astray(&r, "a:1"));
    refusals_note_astray(&r, "a:1", 2000);
    cr_assert_eq(refusals_again_ms(&r, "a:1"), 2100, "it took a snapshot, and the same came again");
    refusals_note_astray(&r, "a:1", 2200);
    cr_assert_eq(refusals_again_ms(&r, "a:1"), 2400);
    refusals_note_astray(&r, "a:1", 70000);
    cr_assert_eq(refusals_again_ms(&r, "a:1"), 70000);
}

Test(refusals, what_was_read_is_known_for_a_day_or_until_it_is_refused)
{
    static struct refusals r;
    const int64_t day_ms = (int64_t)24 * 60 * 60 * 1000;
    cr_assert_eq(refusals_read(&r, "a:1", 77, 1000), 0);
    refusals_note_read(&r, "a:1", 12, 70, 1000);
    cr_assert_eq(refusals_read(&r, "a:1", 77, 1000 + day_ms), 12);
    cr_assert_eq(refusals_read(&r, "a:1", 77, 1001 + day_ms), 0);
    refusals_note_read(&r, "a:1", 12, 0, 5000);
    cr_assert_eq(refusals_read(&r, "a:1", 77, 5000 + day_ms), 12, "it was there for longer");
    refusals_note(&r, "a:1", 12, true, 6000);
    cr_assert_eq(refusals_read(&r, "a:1", 77, 6000), 0);
}

Test(refusals, what_was_read_in_another_history_says_nothing)
{
    static struct refusals r;
    refusals_note(&r, "a:1", 12, true, 900);
    refusals_note_read(&r, "a:1", 10, 70, 1000);
    refusals_forget_reads(&r);
    cr_assert_eq(refusals_read(&r, "a:1", 1000000, 1100), 0);
    cr_assert_eq(refusals_version(&r, "a:1", 1100), 12);
    refusals_note_read(&r, "a:1", 10, 1000010, 1200);
    cr_assert_eq(refusals_read(&r, "a:1", 1000011, 1200), 10);
}

Test(refusals, what_was_read_is_not_believed_of_another_with_that_name)
{
    static struct refusals r;
    const int64_t day_ms = (int64_t)24 * 60 * 60 * 1000;
    refusals_note_unproven(&r, "a:1", 900);
    refusals_note_read(&r, "a:1", 10, 70, 1000);
    cr_assert_eq(refusals_read(&r, "a:1", 71, 1000), 10, "it had not shown it before");
    cr_assert_eq(refusals_read(&r, "a:1", 70, 1000), 0, "of an older file, or nothing came behind its snapshot");
    cr_assert_eq(refusals_read(&r, "a:1", -1, 1000), 0, "it begins anew");
    refusals_note_unproven(&r, "a:1", 1100);
    refusals_note_read(&r, "a:1", 10, 0, 1200);
    cr_assert_eq(refusals_read(&r, "a:1", 71, 1200), 0, "two are here");
    refusals_note_read(&r, "a:1", 10, 0, 1100 + day_ms);
    cr_assert_eq(refusals_read(&r, "a:1", 71, 1100 + day_ms), 0);
    cr_assert_eq(refusals_read(&r, "a:1", 71, 1101 + day_ms), 10);
    refusals_note_read(&r, "a:1", 12, 80, 1200 + day_ms);
    cr_assert_eq(refusals_read(&r, "a:1", 81, 1200 + day_ms), 12);
    refusals_note_read(&r, "a:1", 10, 0, 1300 + day_ms);
    cr_assert_eq(refusals_read(&r, "a:1", 81, 1300 + day_ms), 0, "the one that has read 10 is still here, too");
}
