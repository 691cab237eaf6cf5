/* When a link counts as dead, and when another may be started. */
#include "server/net/process_watch.h"

#include <criterion/criterion.h>

Test(process_watch, a_link_that_beats_lives)
{
    struct process_watch w = {0};
    int64_t now_ms = 1000;
    process_watch_started(&w, 0, now_ms);
    for (uint64_t beat = 1; beat < 100; beat++)
        for (int look = 0; look < 5; look++) cr_assert_not(process_watch_hangs(&w, beat, now_ms += 100));
}

Test(process_watch, silence_for_some_seconds_is_death)
{
    struct process_watch w = {0};
    int64_t now_ms = 1000;
    process_watch_started(&w, 7, now_ms);
    int looks = 1;
    while (!process_watch_hangs(&w, 7, now_ms += 100)) looks++;
    cr_assert_eq(looks, 50);
    cr_assert_eq(process_watch_silence_ms(&w), 5000);
}

/* The machine slept, or we were stopped: the link has had no time to beat either. */
Test(process_watch, what_we_slept_ourselves_is_no_silence)
{
    struct process_watch w = {0};
    int64_t now_ms = 1000;
    process_watch_started(&w, 0, now_ms);
    cr_assert_not(process_watch_hangs(&w, 1, now_ms += 100));
    cr_assert_not(process_watch_hangs(&w, 1, now_ms += 3600 * 1000));
    cr_assert_not(process_watch_hangs(&w, 1, now_ms += 100));
    cr_assert_not(process_watch_hangs(&w, 2, now_ms += 100));
    cr_assert_eq(process_watch_silence_ms(&w), 0);
}

Test(process_watch, one_death_is_an_accident_and_more_cost_time)
{
    struct process_watch w = {0};
    int64_t now_ms = 1000, before_ms = 0;
    cr_assert(process_watch_may_start(&w, now_ms));
    process_watch_started(&w, 0, now_ms);
    cr_assert_eq(process_watch_failed(&w, now_ms), 0);
    cr_assert(process_watch_may_start(&w, now_ms));
    for (int i = 0; i < 10; i++) {
        int64_t delay_ms = process_watch_failed(&w, now_ms);
        cr_assert(delay_ms >= before_ms && delay_ms >= 100 && delay_ms <= 5000);
        cr_assert_not(process_watch_may_start(&w, now_ms + delay_ms - 1));
        cr_assert(process_watch_may_start(&w, now_ms += delay_ms));
        before_ms = delay_ms;
    }
    process_watch_started(&w, 0, now_ms);
    cr_assert_eq(process_watch_failed(&w, now_ms + 60 * 1000), 0, "one that lived long was a good one");
}
