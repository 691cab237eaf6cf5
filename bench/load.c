/* Load and data for the benchmark: filling servers, driving them with pipelines, placing them on processors. */
#include "bench/load.h"

#include "tests/harness/client.h"
#include "tests/harness/fail.h"
#include "tests/harness/raw.h"
#include "tests/harness/wait.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ARGUMENTS_MAX 32
#define BATCH         5000
#define BOUND_MS      120000 /* for a load */

static int usable(int cpu)
{
    return cpu <= sysconf(_SC_NPROCESSORS_ONLN) ? cpu : 0;
}

void pin_load(void)
{
    cpu_set_t set;
    if (!usable(LOAD_CPU)) return;
    CPU_ZERO(&set);
    CPU_SET(LOAD_CPU - 1, &set);
    sched_setaffinity(0, sizeof set, &set);
}

struct server *start_on(int cpu, enum server_kind kind, const char *config)
{
    struct server *s = server_prepare(kind, "%s", config);
    s->limits.cpu = usable(cpu);
    server_launch(s);
    return s;
}

/* A field of the last line of --csv output, from 1 on: requests per second, and behind it, in milliseconds, the average,
 * minimum, median, p95, p99 and maximum of what a request took. */
static double field_of(const char *csv, int number)
{
    const char *line = csv, *at = csv;
    while ((at = strchr(at, '\n')) && at[1]) line = ++at;
    while (line && number--) {
        line = strstr(line, "\",\"");
        if (line) line += 3;
    }
    return line ? atof(line) : 0;
}

double run_redis_benchmark(const struct server *s, long requests, const char *arguments)
{
    double p99_ms;
    return run_redis_benchmark_p99(s, requests, arguments, &p99_ms);
}

double run_redis_benchmark_p99(const struct server *s, long requests, const char *arguments, double *p99_ms)
{
    char port[16], count[24], line[256];
    const char *argv[ARGUMENTS_MAX + 8] = {server_program(DEBIAN, "redis-benchmark"), "-p", port, "-n", count, "--csv"};
    int argc = 6;
    snprintf(port, sizeof port, "%d", s->port);
    snprintf(count, sizeof count, "%ld", requests);
    snprintf(line, sizeof line, "%s", arguments);
    for (char *word = strtok(line, " "); word && argc < ARGUMENTS_MAX; word = strtok(NULL, " ")) argv[argc++] = word;
    struct process_result r = process_run_within(argv, NULL, 600000);
    double rate = r.exit_code == 0 ? field_of(r.output, 1) : 0;
    if (rate <= 0) harness_fail("redis-benchmark %s: %s", arguments, r.output);
    *p99_ms = field_of(r.output, 6);
    free(r.output);
    return rate;
}

double cpu_us_per_request(const struct server *s, long requests, const char *arguments)
{
    int64_t before_us = process_tree_cpu_us(s->pid);
    run_redis_benchmark(s, requests, arguments);
    return (double)(process_tree_cpu_us(s->pid) - before_us) / (double)requests;
}

void fill_each(struct server *s, long first, long end, const char *format)
{
    for (long at = first; at < end;) {
        long batch = end - at < BATCH ? end - at : BATCH;
        for (long i = 0; i < batch; i++, at++) redisAppendCommand(connection(s), format, at, at);
        for (long i = 0; i < batch; i++) {
            redisReply *r = receive(s);
            if (r->type == REDIS_REPLY_ERROR) harness_fail("%s: %s", format, r->str);
            freeReplyObject(r);
        }
    }
}

void fill_keys(const struct server *s, long first, long end, int value_bytes)
{
    char *batch = malloc(BATCH * (64 + (size_t)value_bytes)), *value = malloc(value_bytes + 1), replies[65536];
    int fd = raw_connect(s);
    memset(value, 'v', value_bytes);
    value[value_bytes] = '\0';
    for (long at = first; at < end;) {
        size_t len = 0, due = 0;
        for (int i = 0; i < BATCH && at < end; i++, at++, due += strlen("+OK\r\n"))
            len +=
                sprintf(batch + len, "*3\r\n$3\r\nSET\r\n$16\r\nkey:%012ld\r\n$%d\r\n%s\r\n", at, value_bytes, value);
        raw_send(fd, batch, len);
        while (due) {
            ssize_t got = recv(fd, replies, due < sizeof replies ? due : sizeof replies, 0);
            if (got <= 0) harness_fail("filling port %d: the connection broke", s->port);
            due -= got;
        }
    }
    close(fd);
    free(batch);
    free(value);
}

static double seconds_since(int64_t start_us)
{
    return (double)(clock_us() - start_us) / 1e6;
}

double save_seconds(struct server *s)
{
    int64_t start_us = clock_us();
    expect_ok(s, "SAVE");
    return seconds_since(start_us);
}

double load_seconds(struct server *s)
{
    server_kill(s);
    int64_t start_us = clock_us();
    server_launch(s);
    wait_until_within(BOUND_MS, info_is(s, "persistence", "loading", "0"));
    return seconds_since(start_us);
}
