/* prometheus-redis-exporter, as Debian packages it: what it finds in our server, it finds in Debian's, and the other
 * way round. */
#include "tests/harness/port.h"
#include "tests/harness/raw.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(exporter, .fini = server_finish_all, .timeout = 120);

#define METRICS_MAX 512

struct metrics {
    char *names[METRICS_MAX];
    int count;
};

/* What one of the two has alone, and why. */
static const struct {
    const char *name, *why;
} expected_differences[] = {
    {"", "there is none"},
};

static bool has(const struct metrics *m, const char *name)
{
    for (int i = 0; i < m->count; i++)
        if (strcmp(m->names[i], name) == 0) return true;
    return false;
}

/* One sample a line: name{labels} value. */
static void read_metrics(char *page, struct metrics *out)
{
    out->count = 0;
    char *rest = NULL, *body = strstr(page, "\r\n\r\n");
    cr_assert_not_null(body, "%s", page);
    for (char *line = strtok_r(body, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (strncmp(line, "redis_", 6) != 0) continue;
        line[strcspn(line, "{ ")] = 0;
        if (has(out, line)) continue;
        cr_assert_lt(out->count, METRICS_MAX);
        out->names[out->count++] = strdup(line);
    }
}

static void scrape(int exporter_port, const struct server *s, struct metrics *out)
{
    char request[256];
    size_t len;
    int fd;
    wait_until((fd = raw_try_connect("127.0.0.1", exporter_port)) >= 0);
    snprintf(request, sizeof request, "GET /scrape?target=redis://127.0.0.1:%d HTTP/1.0\r\n\r\n", s->port);
    raw_send_text(fd, request);
    char *page = raw_read_to_end(fd, &len);
    read_metrics(page, out);
    free(page);
    close(fd);
}

static int start_exporter(pid_t *pid)
{
    static char address[64];
    static const char *argv[] = {NULL,
                                 "-web.listen-address",
                                 address,
                                 "-redis-only-metrics",
                                 "-include-system-metrics",
                                 "-export-client-list",
                                 "-include-config-metrics",
                                 "-check-single-keys",
                                 "string,hash",
                                 "-count-keys",
                                 "db0=h*",
                                 NULL};
    static char program[4200];
    snprintf(program, sizeof program, "%s", server_program(DEBIAN, "redis-server"));
    strcpy(strrchr(program, '/') + 1, "prometheus-redis-exporter");
    argv[0] = program;
    if (access(program, X_OK)) cr_skip_test("the exporter's package could not be had");
    int port = port_reserve();
    snprintf(address, sizeof address, "127.0.0.1:%d", port);
    struct process_options options = {.argv = argv, .log = "/dev/null"};
    *pid = process_spawn(&options);
    cr_assert_gt(*pid, 0);
    return port;
}

/* A server about which there is everything to tell. */
static struct server *start_busy(enum server_kind kind)
{
    struct server *s = server_start(kind, "latency-monitor-threshold 10"), *replica = server_start(kind, "%s", "");
    expect_ok(s, "SET string value");
    expect_ok(s, "SET fleeting value EX 1000");
    expect_integer(s, 1, "HSET hash field value");
    expect_error(s, "ERR", "NOSUCH");
    expect_ok(s, "DEBUG SLEEP 0.02");
    follow(replica, s);
    wait_in_step(replica, s);
    return s;
}

static int report_missing(const struct metrics *from, const struct metrics *in, const char *who)
{
    int missing = 0;
    for (int i = 0; i < from->count; i++) {
        bool expected = false;
        for (size_t k = 0; k < sizeof expected_differences / sizeof *expected_differences; k++)
            expected |= strcmp(expected_differences[k].name, from->names[i]) == 0;
        if (expected || has(in, from->names[i])) continue;
        fprintf(stderr, "%s has no %s\n", who, from->names[i]);
        missing++;
    }
    return missing;
}

Test(exporter, ours_and_debians_have_the_same_metrics)
{
    pid_t exporter;
    int port = start_exporter(&exporter);
    static struct metrics ours, theirs;
    scrape(port, start_busy(OURS), &ours);
    scrape(port, start_busy(DEBIAN), &theirs);
    kill(exporter, SIGKILL);
    cr_expect(has(&ours, "redis_up") && has(&ours, "redis_connected_slave_lag_seconds") &&
              has(&ours, "redis_latency_spike_last") && has(&ours, "redis_slowlog_length"));
    cr_expect_gt(theirs.count, 100);
    cr_expect_eq(report_missing(&theirs, &ours, "our server"), 0);
    cr_expect_eq(report_missing(&ours, &theirs, "Debian's server"), 0);
}
