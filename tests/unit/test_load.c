/* The load generator's pure parts: which key, how long a value, what a request looks like, how many replies have come,
 * and how latencies are kept. Random ones draw from a fixed seed. */
#include "bench/load/counter.h"
#include "bench/load/histogram.h"
#include "bench/load/request.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DRAWS 400000

/* --- the histogram --- */

Test(load, percentiles_are_off_by_less_than_one_percent)
{
    static const double percents[] = {0.1, 1, 50, 90, 99, 99.9, 100};
    struct histogram *h = calloc(1, sizeof *h);
    for (uint64_t scale = 1; scale <= 1000000; scale *= 1000) {
        memset(h, 0, sizeof *h);
        for (uint64_t i = 1; i <= 10000; i++) histogram_record(h, i * scale);
        for (size_t i = 0; i < sizeof percents / sizeof *percents; i++) {
            double exact = percents[i] * 100 * (double)scale, got = (double)histogram_percentile(h, percents[i]);
            cr_expect(got >= exact && got <= exact * 1.01, "p%g: %g instead of %g", percents[i], got, exact);
        }
    }
    free(h);
}

Test(load, every_value_has_a_bucket_and_order_is_kept)
{
    unsigned before = 0;
    for (unsigned bit = 2; bit < 42; bit++) {
        for (int step = -1; step <= 1; step++) {
            uint64_t value = (1ull << bit) + (uint64_t)(int64_t)step;
            unsigned bucket = histogram_bucket(value);
            cr_assert_lt(bucket, HISTOGRAM_BUCKETS);
            cr_assert_geq(bucket, before);
            before = bucket;
        }
    }
    cr_assert_lt(histogram_bucket(HISTOGRAM_MAX), HISTOGRAM_BUCKETS);
}

Test(load, histograms_add_up)
{
    struct histogram *h = calloc(3, sizeof *h);
    cr_expect_eq(histogram_percentile(&h[0], 99), 0, "nothing was recorded");
    histogram_record(&h[0], 10);
    histogram_record(&h[1], 1000000);
    histogram_record(&h[1], UINT64_MAX);
    histogram_add(&h[2], &h[0]);
    histogram_add(&h[2], &h[1]);
    cr_expect_eq(h[2].total, 3);
    cr_expect_eq(h[2].min, 10);
    cr_expect_eq(h[2].max, HISTOGRAM_MAX, "what is larger counts as the largest");
    cr_expect_eq(histogram_percentile(&h[2], 1), 10);
    cr_expect_eq(histogram_percentile(&h[2], 100), HISTOGRAM_MAX);
    free(h);
}

/* --- keys --- */

static uint64_t *draw(const char *text, uint64_t count)
{
    struct keys keys;
    struct random_state random;
    uint64_t *seen = calloc(count, sizeof *seen);
    random_seed(&random, 1);
    cr_assert_eq(keys_parse(&keys, text, count), 0, "%s", text);
    for (int i = 0; i < DRAWS; i++) {
        uint64_t key = keys_next(&keys, &random);
        cr_assert_lt(key, count, "%s", text);
        seen[key]++;
    }
    return seen;
}

/* Within five standard deviations of a binomial count. */
static void expect_share(const char *what, uint64_t seen, double share)
{
    double expected = share * DRAWS, spread = 5 * sqrt(DRAWS * share * (1 - share));
    cr_expect(fabs((double)seen - expected) <= spread, "%s: %g instead of %g +- %g", what, (double)seen, expected,
              spread);
}

Test(load, zipf_draws_each_key_by_its_rank)
{
    static const double exponents[] = {0.5, 0.99, 1, 2.5};
    for (size_t e = 0; e < sizeof exponents / sizeof *exponents; e++) {
        char text[32];
        double sum = 0;
        snprintf(text, sizeof text, "zipf:%g", exponents[e]);
        for (int k = 1; k <= 1000; k++) sum += pow(k, -exponents[e]);
        uint64_t *seen = draw(text, 1000), tail = 0;
        double tail_share = 0;
        for (int k = 1; k <= 20; k++) expect_share(text, seen[k - 1], pow(k, -exponents[e]) / sum);
        for (int k = 501; k <= 1000; k++) {
            tail += seen[k - 1];
            tail_share += pow(k, -exponents[e]) / sum;
        }
        expect_share(text, tail, tail_share);
        free(seen);
    }
}

Test(load, uniform_and_hot_keys_have_their_shares)
{
    uint64_t *seen = draw("uniform", 10), hot = 0;
    for (int k = 0; k < 10; k++) expect_share("uniform", seen[k], 0.1);
    free(seen);
    seen = draw("hot:0.01:0.9", 1000);
    for (int k = 0; k < 10; k++) hot += seen[k];
    expect_share("hot keys", hot, 0.9);
    expect_share("one of the others", seen[500], 0.1 / 990);
    free(seen);
    seen = draw("zipf:0.99", 1);
    cr_expect_eq(seen[0], DRAWS, "one key gets all");
    free(seen);
}

Test(load, what_names_no_distribution_is_refused)
{
    static const char *const wrong[] = {"",        "zipf",    "zipf:0",    "zipf:-1", "zipf:1x",
                                        "hot:0.1", "hot:0:1", "hot:1:0.5", "even"};
    struct keys keys;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_expect_neq(keys_parse(&keys, wrong[i], 10), 0, "%s", wrong[i]);
    cr_expect_neq(keys_parse(&keys, "uniform", 0), 0, "no keys at all");
}

/* --- sizes --- */

Test(load, sizes_follow_their_weights)
{
    struct sizes sizes;
    struct random_state random;
    uint64_t small = 0, range[3] = {0};
    random_seed(&random, 1);
    cr_assert_eq(sizes_parse(&sizes, "64*3,10-12"), 0);
    cr_expect_eq(sizes_largest(&sizes), 64);
    cr_expect(!sizes_are_fixed(&sizes));
    for (int i = 0; i < DRAWS; i++) {
        uint32_t size = sizes_next(&sizes, &random);
        cr_assert(size == 64 || (size >= 10 && size <= 12), "%u", size);
        if (size == 64)
            small++;
        else
            range[size - 10]++;
    }
    expect_share("64", small, 0.75);
    for (int i = 0; i < 3; i++) expect_share("one of the range", range[i], 0.25 / 3);
    cr_assert_eq(sizes_parse(&sizes, "100"), 0);
    cr_expect(sizes_are_fixed(&sizes));
}

Test(load, what_names_no_sizes_is_refused)
{
    static const char *const wrong[] = {"", "x", "-1", "10-", "10-9", "10*0", "10*", "10,", "10*x", "99999999999"};
    struct sizes sizes;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_expect_neq(sizes_parse(&sizes, wrong[i]), 0, "%s", wrong[i]);
}

/* --- requests --- */

static void prepare_source(struct request_source *source, const char *values)
{
    struct keys keys;
    struct sizes sizes;
    cr_assert_eq(keys_parse(&keys, "uniform", 1), 0);
    cr_assert_eq(sizes_parse(&sizes, values), 0);
    cr_assert_eq(request_source_init(source, &keys, &sizes, 1), 0);
}

static void expect_request(const char *text, const char *values, const char *format, int letters)
{
    struct request_source source;
    struct request q;
    char out[512], expected[512];
    prepare_source(&source, values);
    cr_assert_eq(request_parse(&q, text, &source), 0);
    snprintf(expected, sizeof expected, format, letters, source.letters);
    size_t len = request_put(&q, &source, out);
    cr_expect_leq(len, request_room(&q, &source));
    cr_expect(len == strlen(expected) && memcmp(out, expected, len) == 0, "%.*s instead of %s", (int)len, out,
              expected);
    request_free(&q);
    request_source_free(&source);
}

Test(load, a_request_has_its_numbers_and_its_value)
{
    expect_request("PING", "3", "*1\r\n$4\r\nPING\r\n", 0);
    expect_request("SET key:{key} {value}", "3", "*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000000\r\n$3\r\n%.*s\r\n", 3);
    /* Two sizes that are the same: the value's length counts as varying. */
    expect_request("SET a{key} {value}", "3,3", "*3\r\n$3\r\nSET\r\n$13\r\na000000000000\r\n$3\r\n%.*s\r\n", 3);
    expect_request("HSET h {value} __rand_int__", "3,3",
                   "*4\r\n$4\r\nHSET\r\n$1\r\nh\r\n$3\r\n%.*s\r\n$12\r\n000000000000\r\n", 3);
}

Test(load, numbers_are_written_with_all_their_digits)
{
    struct request_source source;
    struct request q;
    struct random_state same;
    char out[64], expected[32];
    prepare_source(&source, "1");
    source.keys.count = 999999999999;
    cr_assert_eq(request_parse(&q, "GET {key}", &source), 0);
    for (int i = 0; i < 1000; i++) {
        same = source.random;
        snprintf(expected, sizeof expected, "%012llu", (unsigned long long)keys_next(&source.keys, &same));
        size_t len = request_put(&q, &source, out);
        cr_assert_eq(memcmp(out + len - 14, expected, 12), 0, "%.12s instead of %s", out + len - 14, expected);
    }
    request_free(&q);
    request_source_free(&source);
}

Test(load, what_is_no_request_is_refused)
{
    struct request_source source;
    struct request q;
    prepare_source(&source, "1,2");
    cr_expect_neq(request_parse(&q, "", &source), 0);
    cr_expect_neq(request_parse(&q, "MSET a {value} b {value}", &source), 0, "one value alone may vary");
    cr_expect_neq(
        request_parse(&q, "MGET {key}{key}{key}{key}{key}{key}{key}{key}{key}{key}{key}{key}{key}{key}{key}{key}{key}",
                      &source),
        0);
    request_source_free(&source);
}

/* --- replies --- */

Test(load, replies_are_counted_wherever_they_are_cut)
{
    static const char stream[] = "+OK\r\n:1\r\n$5\r\nab\r\nc\r\n$-1\r\n*-1\r\n*0\r\n$0\r\n\r\n-ERR no\r\n-ERR more\r\n"
                                 "*3\r\n$1\r\nx\r\n*2\r\n:1\r\n*0\r\n$-1\r\n%1\r\n+k\r\n*1\r\n:2\r\n~2\r\n:1\r\n:2\r\n"
                                 "_\r\n,1.5\r\n#t\r\n(123\r\n=7\r\ntxt:abc\r\n!3\r\nERR\r\n>2\r\n+a\r\n+b\r\n";
    for (size_t piece = 1; piece < sizeof stream; piece++) {
        struct counter c = {0};
        long values = 0;
        for (size_t at = 0; at < sizeof stream - 1; at += piece) {
            size_t left = sizeof stream - 1 - at;
            long more = counter_take(&c, stream + at, left < piece ? left : piece);
            cr_assert_geq(more, 0);
            values += more;
        }
        cr_expect_eq(values, 19, "%ld in pieces of %zu", values, piece);
        cr_expect_eq(c.errors, 3);
        cr_expect_str_eq(c.first_error, "ERR no");
    }
}

Test(load, what_is_no_reply_is_told_and_long_lines_are_cut)
{
    struct counter c = {0};
    char line[400] = "-";
    cr_expect_eq(counter_take(&c, "HTTP/1.1 400\r\n", 14), -1);
    memset(&c, 0, sizeof c);
    memset(line + 1, 'e', sizeof line - 3);
    cr_expect_eq(counter_take(&c, line, 200), 0);
    cr_expect_eq(counter_take(&c, line + 200, 100), 0);
    cr_expect_eq(counter_take(&c, "\r\n+OK\r\n", 7), 2);
    cr_expect_eq(c.errors, 1);
    cr_expect_eq(strlen(c.first_error), COUNTER_LINE - 1, "what fits");
}
