/* The slow log and the latency monitor by themselves. */
#include "server/base/alloc.h"
#include "server/core/command/secrets.h"
#include "server/core/observe/latency.h"
#include "server/core/observe/latency_text.h"
#include "server/core/observe/slow_log.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- slow log --- */

static void add(struct slow_log *l, uint32_t argc, const struct bytes *argv, uint64_t secrets, uint64_t max_len)
{
    slow_log_add(l,
                 &(struct slow_command){.at_s = 1000,
                                        .took_us = 42,
                                        .argc = argc,
                                        .argv = argv,
                                        .secrets = secrets,
                                        .address = "127.0.0.1:1",
                                        .client_name = BYTES("somebody")},
                 max_len);
}

static void add_ping(struct slow_log *l, uint64_t max_len)
{
    add(l, 1, (struct bytes[]){BYTES("PING")}, 0, max_len);
}

static void expect_bytes(struct bytes b, const char *text)
{
    cr_expect(bytes_equal_text(b, text), "'%.*s' is not '%s'", (int)b.len, (const char *)b.ptr, text);
}

Test(slow_log, newest_first_and_no_id_twice)
{
    struct slow_log *l = slow_log_new();
    cr_expect_null(slow_log_next(l, NULL));
    for (int i = 0; i < 10; i++) add_ping(l, 3);
    cr_assert_eq(slow_log_length(l), 3);
    uint64_t id = 9;
    for (const struct slow_entry *e = slow_log_next(l, NULL); e; e = slow_log_next(l, e)) cr_expect_eq(e->id, id--);
    cr_expect_eq(id, 6);
    slow_log_reset(l);
    cr_expect_eq(slow_log_length(l), 0);
    add_ping(l, 3);
    cr_expect_eq(slow_log_next(l, NULL)->id, 10);
    add_ping(l, 0);
    cr_expect_eq(slow_log_length(l), 0);
    add_ping(l, 1);
    cr_expect_eq(slow_log_next(l, NULL)->id, 12);
}

Test(slow_log, an_entry_is_a_copy)
{
    struct slow_log *l = slow_log_new();
    char text[] = "value";
    add(l, 3, (struct bytes[]){BYTES("SET"), {0}, bytes_make(text, 5)}, 0, 128);
    memset(text, 'x', 5);
    const struct slow_entry *e = slow_log_next(l, NULL);
    cr_assert_eq(e->argc, 3);
    expect_bytes(e->argv[0], "SET");
    expect_bytes(e->argv[1], "");
    expect_bytes(e->argv[2], "value");
    expect_bytes(e->address, "127.0.0.1:1");
    expect_bytes(e->client_name, "somebody");
    cr_expect_eq(e->at_s, 1000);
    cr_expect_eq(e->took_us, 42);
}

Test(slow_log, long_arguments_and_long_lists_are_clipped)
{
    struct slow_log *l = slow_log_new();
    char longer[130], expected[160];
    memset(longer, 'A', sizeof longer);
    memset(expected, 'A', 128);
    strcpy(expected + 128, "... (2 more bytes)");
    add(l, 3, (struct bytes[]){BYTES("SET"), bytes_make(longer, 128), bytes_make(longer, 130)}, 0, 128);
    const struct slow_entry *e = slow_log_next(l, NULL);
    cr_expect_eq(e->argv[1].len, 128);
    expect_bytes(e->argv[2], expected);
    struct bytes many[40];
    for (int i = 0; i < 40; i++) many[i] = bytes_make(longer, 130);
    add(l, 32, many, 0, 128);
    cr_expect_eq(slow_log_next(l, NULL)->argc, 32);
    expect_bytes(slow_log_next(l, NULL)->argv[31], expected);
    add(l, 33, many, 0, 128);
    cr_expect_eq(slow_log_next(l, NULL)->argc, 32);
    expect_bytes(slow_log_next(l, NULL)->argv[30], expected);
    expect_bytes(slow_log_next(l, NULL)->argv[31], "... (2 more arguments)");
}

Test(slow_log, secrets_are_not_kept)
{
    struct slow_log *l = slow_log_new();
    char password[300];
    memset(password, 'p', sizeof password);
    add(l, 3, (struct bytes[]){BYTES("AUTH"), BYTES("u"), bytes_make(password, sizeof password)}, secrets_with(0, 2),
        128);
    const struct slow_entry *e = slow_log_next(l, NULL);
    expect_bytes(e->argv[1], "u");
    expect_bytes(e->argv[2], "(redacted)");
}

/* --- latency --- */

static const int64_t ms = 1000;

Test(latency, what_is_faster_is_not_noted)
{
    struct latency_monitor *m = latency_monitor_new();
    latency_note(m, LATENCY_FORK, 1000 * ms, 1);
    cr_expect(!latency_is_on(m));
    cr_expect_null(latency_series(m, LATENCY_FORK));
    latency_set_threshold_ms(m, 10);
    latency_note(m, LATENCY_FORK, 10 * ms - 1, 1);
    cr_expect_null(latency_series(m, LATENCY_FORK));
    latency_note(m, LATENCY_FORK, 10 * ms, 1);
    cr_assert_not_null(latency_series(m, LATENCY_FORK));
    cr_expect(!latency_reset(m, LATENCY_COMMAND));
    cr_expect(latency_reset(m, LATENCY_FORK));
    cr_expect_null(latency_series(m, LATENCY_FORK));
}

Test(latency, a_second_has_its_worst)
{
    struct latency_monitor *m = latency_monitor_new();
    latency_set_threshold_ms(m, 1);
    static const int took_ms[] = {20, 70, 30};
    for (int i = 0; i < 3; i++) latency_note(m, LATENCY_COMMAND, took_ms[i] * ms, 100);
    latency_note(m, LATENCY_COMMAND, 5 * ms, 101);
    const struct latency_series *s = latency_series(m, LATENCY_COMMAND);
    cr_assert_eq(s->count, 2);
    cr_expect_eq(latency_sample(s, 0)->ms, 70);
    cr_expect_eq(latency_sample(s, 1)->ms, 5);
    cr_expect_eq(s->max_ms, 70);
}

Test(latency, a_series_is_a_ring)
{
    struct latency_monitor *m = latency_monitor_new();
    latency_set_threshold_ms(m, 1);
    for (int i = 0; i < LATENCY_SAMPLES + 10; i++) latency_note(m, LATENCY_COMMAND, (1000 - i) * ms, i);
    const struct latency_series *s = latency_series(m, LATENCY_COMMAND);
    cr_assert_eq(s->count, LATENCY_SAMPLES);
    for (unsigned i = 0; i < s->count; i++) cr_expect_eq(latency_sample(s, i)->at_s, i + 10);
    cr_expect_eq(s->max_ms, 1000, "it is remembered though its sample is gone");
}

Test(latency, names_lead_back_to_their_events)
{
    for (enum latency_event e = 0; e < LATENCY_EVENTS; e++)
        cr_expect_eq(latency_event_by_name(bytes_from_text(latency_event_name(e))), e);
    cr_expect_eq(latency_event_by_name(BYTES("nosuch")), LATENCY_EVENTS);
}

static char *text_of(struct outq *out)
{
    size_t len = outq_pending(out), at = 0;
    char *text = calloc(1, len + 1);
    while (!outq_empty(out)) {
        struct bytes front = outq_front(out);
        memcpy(text + at, front.ptr, front.len);
        at += front.len;
        outq_consume(out, front.len);
    }
    return text;
}

static struct latency_monitor *with_samples(const int *took_ms, int count)
{
    struct latency_monitor *m = latency_monitor_new();
    latency_set_threshold_ms(m, 1);
    for (int i = 0; i < count; i++) latency_note(m, LATENCY_COMMAND, took_ms[i] * ms, 100 + i);
    return m;
}

Test(latency, summary)
{
    struct latency_monitor *m = with_samples((const int[]){20, 50, 30}, 3);
    struct latency_summary sum = latency_summarize(latency_series(m, LATENCY_COMMAND), 103);
    cr_expect_eq(sum.spikes, 3);
    cr_expect_eq(sum.least_ms, 20);
    cr_expect_eq(sum.most_ms, 50);
    cr_expect_eq(sum.average_ms, 33);
    cr_expect_eq(sum.mean_deviation_ms, 11);
    cr_expect_float_eq(sum.period_s, 1.0, 0.001);
    sum = latency_summarize(latency_series(m, LATENCY_COMMAND), 50);
    cr_expect_float_eq(sum.period_s, 1.0 / 3, 0.001, "a clock that was set back");
}

/* As Debian's server has drawn these samples. */
Test(latency, graph)
{
    static const int took_ms[] = {74, 37, 77, 75, 34, 60, 30, 47, 77, 93, 85, 51};
    struct latency_monitor *m = with_samples(took_ms, 12);
    struct outq out = {0};
    latency_graph("command", latency_series(m, LATENCY_COMMAND), 112, &out);
    cr_expect_str_eq(text_of(&out), "command - high 93 ms, low 30 ms (all time high 93 ms)\n"
                                    "--------------------------------------------------------------------------------\n"
                                    "         #o \n"
                                    "# ##    #|| \n"
                                    "| || # _|||o\n"
                                    "|o||_|_|||||\n"
                                    "            \n"
                                    "111987654321\n"
                                    "210sssssssss\n"
                                    "sss         \n");
}

Test(latency, graph_of_equal_samples_and_of_long_ago)
{
    static const int took_ms[] = {20};
    static const struct {
        int64_t ago_s;
        const char *labels;
    } cases[] = {{0, "0\ns\n"},    {59, "5\n9\ns\n"},    {60, "1\nm\n"},    {3599, "5\n9\nm\n"},
                 {3600, "1\nh\n"}, {86399, "2\n3\nh\n"}, {86400, "1\nd\n"}, {-5, "0\ns\n"}};
    struct latency_monitor *m = with_samples(took_ms, 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct outq out = {0};
        char expected[256];
        latency_graph("command", latency_series(m, LATENCY_COMMAND), 100 + cases[i].ago_s, &out);
        char *drawn = strstr(text_of(&out), "-\n") + 2;
        snprintf(expected, sizeof expected, " \n \n \n_\n \n%s", cases[i].labels);
        cr_expect_str_eq(drawn, expected);
    }
}

Test(latency, a_wide_graph_comes_in_pieces)
{
    int took_ms[LATENCY_SAMPLES];
    for (int i = 0; i < LATENCY_SAMPLES; i++) took_ms[i] = 10 + i;
    struct latency_monitor *m = with_samples(took_ms, 81);
    struct outq out = {0};
    latency_graph("command", latency_series(m, LATENCY_COMMAND), 181, &out);
    char *text = text_of(&out), *last = strstr(text, "\n\n");
    cr_assert_not_null(last);
    cr_expect_str_eq(last, "\n\n#\n|\n|\n|\n \n1\ns\n");
}

Test(latency, doctor)
{
    struct latency_circumstances c = {.slowlog_slower_than_us = 10000, .hz = 10};
    struct latency_monitor *m = latency_monitor_new();
    struct outq out = {0};
    latency_doctor(m, &c, 100, &out);
    cr_expect(strstr(text_of(&out), "Latency monitoring is disabled"));
    latency_set_threshold_ms(m, c.threshold_ms = 1);
    latency_doctor(m, &c, 100, &out);
    cr_expect(strstr(text_of(&out), "no latency spike was observed"));
    latency_note(m, LATENCY_WHILE_BLOCKED_CRON, 5 * ms, 100);
    latency_doctor(m, &c, 100, &out);
    cr_expect(strstr(text_of(&out), "not able to suggest any easy fix"));
    latency_note(m, LATENCY_COMMAND, 5 * ms, 100);
    latency_note(m, LATENCY_EXPIRE_CYCLE, 5 * ms, 100);
    latency_note(m, LATENCY_FORK, 5 * ms, 100);
    c.fork_gb_per_s = 3;
    latency_doctor(m, &c, 100, &out);
    char *text = text_of(&out);
    cr_expect(strstr(text, "1. command: 1 latency spikes (average 5ms, mean deviation 0ms, period 1.00 sec). Worst all "
                           "time event 5ms.\n"));
    cr_expect(strstr(text, "Fork rate is 3.00 GB/sec (terrible).\n"));
    cr_expect(strstr(text, "'CONFIG SET slowlog-log-slower-than 1000'"));
    cr_expect(strstr(text, "'CONFIG SET hz 100'"));
    c.slowlog_slower_than_us = -1;
    latency_doctor(m, &c, 100, &out);
    cr_expect(strstr(text_of(&out), "Try to enable the Slow Log"));
}
