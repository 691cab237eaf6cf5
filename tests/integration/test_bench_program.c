/* slipstream-bench as a program: the rows of short runs, what a failed run says and leaves, its null server. */
#include "tests/harness/client.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(bench_program, .fini = server_finish_all, .timeout = 120);

static char ours[4200];

static const char *command_of_ours(void)
{
    snprintf(ours, sizeof ours, "ours=%.3800s --port {port} --dir {dir}", server_program(OURS, "redis-server"));
    return ours;
}

/* Runs it with these words, the first of which is an option, in short rounds. */
static struct process_result bench(const char *const *words)
{
    static const char *const often[] = {"--rounds",   "1",   "--keys",    "500", "--clients", "4",
                                        "--duration", "100", "--warm-up", "10",  "--csv",     "-"};
    const char *argv[48] = {server_program(OURS, "slipstream-bench")};
    int argc = 1;
    for (size_t i = 0; i < sizeof often / sizeof *often; i++) argv[argc++] = often[i];
    for (int i = 0; words[i]; i++) argv[argc++] = words[i];
    return process_run_within(argv, NULL, 60000);
}

/* The median in the row of that name and server; -1: there is none. */
static double median_of(const char *csv, const char *name, const char *server)
{
    char row[200];
    snprintf(row, sizeof row, "\"throughput\",\"%s\",", name);
    for (const char *at = csv; (at = strstr(at, row)); at++) {
        char line[600], of[64];
        snprintf(line, sizeof line, "%.*s", (int)strcspn(at, "\n"), at);
        snprintf(of, sizeof of, ",\"%s\",", server);
        char *found = strstr(line, of), *samples = found ? strstr(found + strlen(of), "\",") : NULL;
        double median;
        if (samples && sscanf(samples, "\",%*d,%lf", &median) == 1) return median;
    }
    return -1;
}

Test(bench_program, rows_have_stable_names_for_each_server)
{
    char debian[600];
    snprintf(debian, sizeof debian, "debian=%.400s --port {port} --dir {dir}", server_program(DEBIAN, "redis-server"));
    const char *words[] = {"--server", command_of_ours(), "--server", debian, "--pipeline", "1,8", NULL};
    struct process_result r = bench(words);
    cr_assert_eq(r.exit_code, 0, "%s", r.output);
    static const char *const names[] = {"set.p1.requests", "set.p8.p50", "get.p1.p99", "get.p8.max",
                                        "get.p8.generator.cpu"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        cr_expect_gt(median_of(r.output, names[i], "ours"), 0, "%s: %s", names[i], r.output);
        cr_expect_gt(median_of(r.output, names[i], "debian"), 0, "%s: %s", names[i], r.output);
    }
    cr_expect_eq(median_of(r.output, "get.p8.generator.late.p99", "ours"), -1, "a closed loop is never late");
    free(r.output);
}

Test(bench_program, an_open_loop_of_mixed_requests_takes_its_time)
{
    const char *words[] = {"--server",
                           command_of_ours(),
                           "--request",
                           "3:GET key:{key}",
                           "--request",
                           "INCRBY counter:{key} 1",
                           "--rate",
                           "2000",
                           "--value",
                           "10-100",
                           "--distribution",
                           "zipf:0.99",
                           "--pipeline",
                           "1",
                           NULL};
    struct process_result r = bench(words);
    cr_assert_eq(r.exit_code, 0, "%s", r.output);
    double rate = median_of(r.output, "mix.p1.requests", "ours");
    cr_expect(rate > 0 && rate <= 2050, "%g: %s", rate, r.output);
    cr_expect_geq(median_of(r.output, "mix.p1.generator.late.p99", "ours"), 0, "%s", r.output);
    free(r.output);
}

Test(bench_program, snapshots_and_replicas_come_in_the_middle)
{
    static const char *const schedules[] = {"bgsave", "replica"};
    for (int i = 0; i < 2; i++) {
        const char *words[] = {"--server",   command_of_ours(), "--request",  "SET key:{key} {value}",
                               "--schedule", schedules[i],      "--pipeline", "1",
                               NULL};
        struct process_result r = bench(words);
        cr_assert_eq(r.exit_code, 0, "%s", r.output);
        cr_expect_gt(median_of(r.output, "mix.p1.requests", "ours"), 0, "%s", r.output);
        free(r.output);
    }
}

static size_t left_in(const char *dir)
{
    char path[600];
    glob_t g;
    snprintf(path, sizeof path, "%s/*", dir);
    size_t count = glob(path, GLOB_NOSORT, NULL, &g) == 0 ? g.gl_pathc : 0;
    globfree(&g);
    return count;
}

Test(bench_program, a_failed_run_says_why_and_leaves_nothing)
{
    char temporary[400];
    snprintf(temporary, sizeof temporary, "%.200s/%s", harness_root(), harness_case());
    const char *no_program[] = {"--server", "x=/nowhere/server --port {port}", NULL};
    const char *no_server[] = {"--server", command_of_ours(), "--server", "x=sh -c 'echo I am {port} no server'", NULL};
    const char *no_request[] = {"--server", command_of_ours(), "--request", "HGET key:{key} x", NULL};
    struct {
        const char *const *words, *says;
    } cases[] = {
        {no_program, "is no program"}, {no_server, "its last word: I am"}, {no_request, "the first: WRONGTYPE"}};
    cr_assert_eq(mkdir(temporary, 0755), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        setenv("TMPDIR", temporary, 1);
        struct process_result r = bench(cases[i].words);
        cr_expect_eq(r.exit_code, 1, "%s", r.output);
        cr_expect_neq(strstr(r.output, cases[i].says), NULL, "%s: %s", cases[i].says, r.output);
        cr_expect_eq(strstr(r.output, "\"throughput\""), NULL, "a failed run has no figures: %s", r.output);
        cr_expect_eq(left_in(temporary), 0);
        free(r.output);
    }
    rmdir(temporary);
}

Test(bench_program, the_command_line_is_checked)
{
    static const char *const wrong[][2] = {{"--rounds", "0"},       {"--pipeline", "1,x"}, {"--rate", "-1"},
                                           {"--schedule", "never"}, {"--nothing", "1"},    {"--server", "x=server"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const char *words[] = {wrong[i][0], wrong[i][1], NULL};
        struct process_result r = bench(words);
        cr_expect_eq(r.exit_code, 2, "%s %s: %s", wrong[i][0], wrong[i][1], r.output);
        free(r.output);
    }
}

Test(bench_program, the_generator_is_measured_against_a_server_that_does_nothing)
{
    char null[600];
    snprintf(null, sizeof null, "null=%.400s null-server {port}", server_program(OURS, "slipstream-bench"));
    const char *words[] = {"--server", null, "--pipeline", "16", NULL};
    struct process_result r = bench(words);
    cr_assert_eq(r.exit_code, 0, "%s", r.output);
    cr_expect_gt(median_of(r.output, "set.p16.generator.cpu", "null"), 0, "%s", r.output);
    free(r.output);
}
