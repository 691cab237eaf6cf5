/* The load generator against a peer in a thread that answers as it is told: what is sent, counted and timed. Times have
 * lower bounds only. */
#include "bench/load/generator.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS 4
#define MS          1000000ll

struct peer {
    int mine[CONNECTIONS], theirs[CONNECTIONS];
    pthread_t threads[CONNECTIONS];
    const char *reply;
    long requests[CONNECTIONS];
    long stall_at, stall_ms; /* connection 0 waits once before this request is answered */
    long close_at;           /* connection 0 is closed then; 0: never */
};

struct line {
    struct peer *peer;
    int number;
};

static void *answer(void *arg)
{
    struct line l = *(struct line *)arg;
    struct peer *p = l.peer;
    struct counter counter = {0};
    char bytes[4096];
    free(arg);
    for (ssize_t n; (n = recv(p->theirs[l.number], bytes, sizeof bytes, 0)) > 0;) {
        for (long values = counter_take(&counter, bytes, (size_t)n); values > 0; values--) {
            long request = ++p->requests[l.number];
            struct timespec stall = {p->stall_ms / 1000, p->stall_ms % 1000 * MS};
            if (l.number == 0 && request == p->stall_at) nanosleep(&stall, NULL);
            if (l.number == 0 && request == p->close_at) {
                shutdown(p->theirs[0], SHUT_RDWR);
                return NULL;
            }
            if (send(p->theirs[l.number], p->reply, strlen(p->reply), MSG_NOSIGNAL) < 0) return NULL;
        }
    }
    return NULL;
}

static void peer_start(struct peer *p)
{
    for (int i = 0; i < CONNECTIONS; i++) {
        int pair[2];
        struct line *l = malloc(sizeof *l);
        *l = (struct line){p, i};
        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        p->mine[i] = pair[0];
        p->theirs[i] = pair[1];
        pthread_create(&p->threads[i], NULL, answer, l);
    }
}

static long peer_end(struct peer *p)
{
    long requests = 0;
    for (int i = 0; i < CONNECTIONS; i++) {
        shutdown(p->mine[i], SHUT_RDWR);
        pthread_join(p->threads[i], NULL);
        close(p->mine[i]);
        close(p->theirs[i]);
        requests += p->requests[i];
    }
    return requests;
}

static struct request_source source;
static struct mix mix;
static struct load_result *result;
static char error[256];

static void begin(void)
{
    struct keys keys;
    struct sizes sizes;
    cr_assert_eq(keys_parse(&keys, "uniform", 1000), 0);
    cr_assert_eq(sizes_parse(&sizes, "8-64"), 0);
    cr_assert_eq(request_source_init(&source, &keys, &sizes, 1), 0);
    cr_assert_eq(mix_add(&mix, "3:SET key:{key} {value}", &source), 0);
    cr_assert_eq(mix_add(&mix, "GET key:{key}", &source), 0);
    cr_assert_eq(mix_add(&mix, "0:GET x", &source), -1, "a weight is above 0");
    result = malloc(sizeof *result);
}

static void end(void)
{
    mix_free(&mix);
    request_source_free(&source);
    free(result);
}

static struct load_plan plan_for(const struct peer *p)
{
    return (struct load_plan){.sockets = p->mine,
                              .connections = CONNECTIONS,
                              .mix = &mix,
                              .source = &source,
                              .pipeline = 1,
                              .duration_ns = 20000 * MS,
                              .silence_ns = 20000 * MS};
}

TestSuite(load_generator, .init = begin, .fini = end, .timeout = 60);

Test(load_generator, a_closed_loop_sends_whole_pipelines_and_gets_all_replies)
{
    static struct peer p = {.reply = "$3\r\nabc\r\n"};
    peer_start(&p);
    struct load_plan plan = plan_for(&p);
    plan.pipeline = 10;
    plan.requests = 20000;
    cr_assert_eq(load_run(&plan, result, error), 0, "%s", error);
    cr_expect_geq(result->replies, 20000);
    cr_expect_lt(result->replies, 20000 + 10 * CONNECTIONS);
    cr_expect_eq(result->latency.total, result->replies);
    cr_expect_eq(result->late.total, 0);
    cr_expect_eq(result->errors, 0);
    cr_expect_eq((uint64_t)peer_end(&p), result->replies);
}

Test(load_generator, an_open_loop_sends_what_is_due_and_times_all_that_a_stall_hits)
{
    static struct peer p = {.reply = "+OK\r\n", .stall_at = 50, .stall_ms = 200};
    peer_start(&p);
    struct load_plan plan = plan_for(&p);
    plan.rate_per_s = 4000;
    plan.duration_ns = 500 * MS;
    plan.slice_ns = 100 * MS;
    cr_assert_eq(load_run(&plan, result, error), 0, "%s", error);
    cr_expect_eq(result->replies, 2000, "%lu", result->replies);
    cr_expect_eq(result->latency.total, 2000);
    cr_expect_geq(result->late.total, 1, "lateness is kept for what the socket would have taken");
    cr_expect_eq(peer_end(&p), 2000);
    cr_expect_geq(result->latency.max, 200 * MS);
    /* While connection 0 stood still, 200 more requests were due on it: half of them waited for 100 ms and more. */
    cr_expect_geq(histogram_percentile(&result->latency, 96), 90 * MS);
    cr_expect_geq(result->slice_count, 5);
}

Test(load_generator, a_closed_loop_ends_with_something_measured)
{
    static struct peer p = {.reply = "+OK\r\n", .stall_at = 1, .stall_ms = 50};
    peer_start(&p);
    struct load_plan plan = plan_for(&p);
    plan.connections = 1;
    plan.duration_ns = 1;
    cr_assert_eq(load_run(&plan, result, error), 0, "%s", error);
    cr_expect_geq(result->replies, 1);
    cr_expect_geq(result->latency.max, 50 * MS);
    peer_end(&p);
}

static int struck;

static void strike(void *context)
{
    struck += *(int *)context;
}

Test(load_generator, a_warm_up_is_not_measured_and_events_strike_in_order)
{
    static struct peer p = {.reply = "+OK\r\n"};
    int one = 1, ten = 10;
    struct load_event events[] = {{0, strike, &one}, {50 * MS, strike, &ten}};
    peer_start(&p);
    struct load_plan plan = plan_for(&p);
    plan.rate_per_s = 2000;
    plan.warm_up_ns = 100 * MS;
    plan.duration_ns = 100 * MS;
    plan.events = events;
    plan.event_count = 2;
    cr_assert_eq(load_run(&plan, result, error), 0, "%s", error);
    cr_expect_eq(struck, 11);
    cr_expect_eq(result->replies, 200);
    cr_expect_eq(peer_end(&p), 400);
}

Test(load_generator, errors_are_counted_and_the_first_is_kept)
{
    static struct peer p = {.reply = "-ERR no\r\n"};
    peer_start(&p);
    struct load_plan plan = plan_for(&p);
    plan.requests = 100;
    cr_assert_eq(load_run(&plan, result, error), 0, "%s", error);
    cr_expect_eq(result->errors, result->replies);
    cr_expect_str_eq(result->first_error, "ERR no");
    peer_end(&p);
}

Test(load_generator, a_closed_connection_and_silence_end_a_run)
{
    static struct peer p = {.reply = "+OK\r\n", .close_at = 20}, silent = {.reply = ""};
    peer_start(&p);
    struct load_plan plan = plan_for(&p);
    cr_assert_eq(load_run(&plan, result, error), -1);
    cr_expect_str_eq(error, "connection 0: closed by the server");
    peer_end(&p);
    peer_start(&silent);
    plan = plan_for(&silent);
    plan.silence_ns = 100 * MS;
    cr_assert_eq(load_run(&plan, result, error), -1);
    cr_expect_neq(strstr(error, "no reply for"), NULL, "%s", error);
    peer_end(&silent);
}

Test(load_generator, more_replies_than_requests_are_noticed)
{
    static struct peer p = {.reply = "+OK\r\n+OK\r\n"};
    peer_start(&p);
    struct load_plan plan = plan_for(&p);
    cr_assert_eq(load_run(&plan, result, error), -1);
    cr_expect_neq(strstr(error, "more replies than requests"), NULL, "%s", error);
    peer_end(&p);
}
