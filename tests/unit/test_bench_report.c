/* What a benchmark's report says of samples: order statistics, the interval of a ratio, and the rows' forms. */
#include "bench/report/rows.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void harness_fail_at(const char *file, int line, const char *format, ...);
_Noreturn void harness_fail_at(const char *file, int line, const char *format, ...)
{
    (void)file, (void)line, (void)format;
    abort();
}

static struct samples of(int count, double first, double step)
{
    struct samples s = {.count = 0};
    for (int i = 0; i < count; i++) samples_add(&s, first + step * ((i * 7) % count)); /* in no order */
    return s;
}

Test(bench_report, a_summary_has_the_order_statistics)
{
    struct samples five = of(5, 1, 1), four = of(4, 1, 1), none = {.count = 0};
    struct summary s = samples_summary(&five);
    cr_expect(s.min == 1 && s.quartile_low == 2 && s.median == 3 && s.quartile_high == 4 && s.max == 5);
    cr_expect_eq(samples_summary(&four).median, 2.5);
    cr_expect(isnan(samples_summary(&none).median));
}

Test(bench_report, the_interval_of_a_ratio_is_drawn_alike_and_holds_the_ratio)
{
    struct samples slow = of(10, 200, 1), fast = of(10, 100, 1), few = of(2, 1, 1), zero = of(5, 0, 0);
    struct interval i = samples_ratio(&slow, &fast), again = samples_ratio(&slow, &fast);
    cr_expect(i.low == again.low && i.high == again.high);
    cr_expect(i.low > 1.85 && i.low < 204.5 / 104.5 && i.high > 204.5 / 104.5 && i.high < 2.1, "%g %g", i.low, i.high);
    struct interval same = samples_ratio(&fast, &fast);
    cr_expect(same.low < 1 && same.high > 1);
    cr_expect(isnan(samples_ratio(&few, &fast).low), "two samples say nothing");
    cr_expect(isnan(samples_ratio(&fast, &zero).low));
}

static char *written(const struct rows *r, void (*report)(const struct rows *r, FILE *out))
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    report(r, out);
    fclose(out);
    return text;
}

static int lines_of(const char *text)
{
    int lines = 0;
    for (; *text; text++) lines += *text == '\n';
    return lines;
}

Test(bench_report, rows_are_found_again_and_written_in_three_forms)
{
    struct rows r = {.servers = {{"a \"b\"", "Redis 7"}, {"c", "Valkey 9"}}, .server_count = 2, .seed = 7};
    for (int i = 0; i < 5; i++) {
        rows_add(&r, 0, "part", "x.p1.requests", "1/s", MORE_IS_BETTER, 100 + i);
        rows_add(&r, 1, "part", "x.p1.requests", "1/s", MORE_IS_BETTER, 200 + i);
        rows_add(&r, 0, "part", "x.p1.p99", "us", LESS_IS_BETTER, 50 + i);
        rows_add(&r, 1, "part", "x.p1.p99", "us", LESS_IS_BETTER, 50 + i);
    }
    rows_add(&r, 1, "part", "x.p1.cpu.c/io", "us/req", NEITHER_IS_BETTER, 1);
    cr_assert_eq(r.count, 3);
    char *json = written(&r, rows_json), *csv = written(&r, rows_csv), *table = written(&r, rows_table);
    cr_expect_eq(lines_of(json), 5, "%s", json);
    cr_expect_neq(strstr(json, "\"server\": \"a \\\"b\\\"\""), NULL, "%s", json);
    cr_expect_neq(strstr(json, "\"ratio_low\": null"), NULL, "what has no baseline has no ratio: %s", json);
    cr_expect_eq(strstr(json, "nan"), NULL, "%s", json);
    cr_expect_eq(lines_of(csv), 6, "%s", csv);
    cr_expect_neq(strstr(csv, "\"a \"\"b\"\"\""), NULL, "%s", csv);
    cr_expect_neq(strstr(table, "] better\n"), NULL, "%s", table);
    cr_expect_neq(strstr(table, "no difference that this run can show"), NULL, "%s", table);
    free(json);
    free(csv);
    free(table);
    rows_free(&r);
}
