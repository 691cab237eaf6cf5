/* Counters: latency histograms, rates, error kinds. */
#include "server/base/alloc.h"
#include "server/base/clock.h"
#include "server/core/command/command_table.h"
#include "server/core/command/stats.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

/* As many ticks as take about ns, whatever a tick is on this machine. */
static uint64_t ticks_of(uint64_t ns)
{
    const uint64_t many = 1ull << 30;
    return (uint64_t)((double)ns * (double)many / (double)clock_ticks_to_ns(many));
}

Test(stats, percentiles_are_exact_to_one_percent)
{
    clock_init();
    struct command_entry e = {0};
    for (uint64_t i = 1; i <= 1000; i++) stats_count_latency(&e, ticks_of(i * 1000));
    static const double percentiles[] = {0, 1, 50, 90, 99, 99.9, 100};
    static const double expected_us[] = {1, 10, 500, 900, 990, 999, 1000};
    for (int i = 0; i < 7; i++) {
        double us = stats_latency_percentile_us(e.latency_us, percentiles[i]);
        cr_expect(fabs(us - expected_us[i]) <= expected_us[i] * 0.015, "p%g: %g", percentiles[i], us);
    }
    mem_free(e.latency_us);
}

Test(stats, every_latency_has_a_slot)
{
    clock_init();
    struct command_entry e = {0};
    uint64_t calls = 0;
    for (uint64_t ns = 1; ns < 1ull << 40; ns += ns / 64 + 1, calls++) stats_count_latency(&e, ticks_of(ns));
    uint64_t counted = 0;
    for (int i = 0; i < LATENCY_SLOTS; i++) counted += e.latency_us[i];
    cr_expect_eq(counted, calls);
    double most_us = stats_latency_percentile_us(e.latency_us, 100);
    cr_expect(most_us >= 1e6 && most_us < 1.01e6, "a second is the most: %g", most_us);
    mem_free(e.latency_us);
}

Test(stats, a_rate_is_the_mean_of_the_last_samples)
{
    struct stats_rate rate = {0};
    int64_t now_us = 5000000;
    for (uint64_t i = 0; i <= STATS_SAMPLES; i++, now_us += 100000) stats_sample(&rate, i * 50, now_us);
    cr_expect_float_eq(stats_rate_per_s(&rate), 500, 0.001);
    stats_sample(&rate, 0, now_us); /* the counter was reset: nothing happened, not 2^64 things */
    cr_expect_float_eq(stats_rate_per_s(&rate), 500.0 * (STATS_SAMPLES - 1) / STATS_SAMPLES, 0.001);
}

Test(stats, error_kinds_are_bounded_and_reset)
{
    struct stats s = {.memory_at_start = 7};
    for (int i = 0; i < 1000; i++) {
        char prefix[16];
        snprintf(prefix, sizeof prefix, "E%d", i);
        stats_count_error(&s, prefix);
        stats_count_error(&s, "ERR");
    }
    cr_expect_eq(s.total_error_replies, 2000);
    cr_expect(s.errors.count < 200);
    cr_expect_eq((uintptr_t)map_get(&s.errors, BYTES("ERR")), 1000);
    stats_reset(&s);
    cr_expect_eq(s.total_error_replies, 0);
    cr_expect_eq(s.errors.count, 0u);
    cr_expect_eq(s.memory_at_start, 7);
}

/* The times that Redis's LATENCY HISTOGRAM has. */
Test(stats, buckets_of_a_histogram)
{
    static const uint64_t expected_us[LATENCY_BUCKETS] = {1,     2,     4,     8,      16,     33,     66,
                                                          132,   264,   528,   1056,   2113,   4227,   8454,
                                                          16908, 33816, 67633, 135266, 270532, 541065, 1082130};
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++) cr_expect_eq(stats_latency_bucket_us(i), expected_us[i], "%u", i);
    clock_init();
    struct command_entry e = {0};
    uint64_t upto[LATENCY_BUCKETS];
    stats_count_latency(&e, 0);
    stats_count_latency(&e, ticks_of(900));
    stats_count_latency(&e, ticks_of(3000));
    stats_count_latency(&e, ticks_of(20ull * 1000 * 1000 * 1000));
    stats_latency_buckets(e.latency_us, upto);
    cr_expect_eq(upto[0], 2);
    cr_expect_eq(upto[1], 2);
    cr_expect_eq(upto[2], 3);
    cr_expect_eq(upto[LATENCY_BUCKETS - 2], 3);
    cr_expect_eq(upto[LATENCY_BUCKETS - 1], 4, "what takes longer than a second counts as one");
    mem_free(e.latency_us);
}
