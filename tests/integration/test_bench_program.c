/* slipstream-bench as a program: the rows of short runs, what a failed run says and leaves, its null server. */
#include "tests/harness/browser.h"
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

Test(bench_program, latency_is_told_for_before_meanwhile_and_after)
{
    static const char *const schedules[] = {"bgsave", "replica"};
    for (int i = 0; i < 2; i++) {
        char took[64];
        const char *words[] = {"--server",   command_of_ours(),
                               "--request",  "SET key:{key} {value}",
                               "--schedule", schedules[i],
                               "--pipeline", "1",
                               "--rounds",   "2",
                               NULL};
        struct process_result r = bench(words);
        cr_assert_eq(r.exit_code, 0, "%s", r.output);
        snprintf(took, sizeof took, "mix.p1.%s.took", schedules[i]);
        cr_expect_gt(median_of(r.output, "mix.p1.requests", "ours"), 0, "%s", r.output);
        cr_expect_gt(median_of(r.output, "mix.p1.before.p99", "ours"), 0, "%s", r.output);
        cr_expect_gt(median_of(r.output, "mix.p1.meanwhile.p99", "ours"), 0, "%s", r.output);
        cr_expect_gt(median_of(r.output, took, "ours"), 0, "%s", r.output);
        free(r.output);
    }
}

/* Parts start servers in another way, with a configuration file. */
Test(bench_program, parts_have_rows_of_their_own)
{
    const char *words[] = {"--server", command_of_ours(), "--parts", "reconnect", NULL};
    struct process_result r = bench(words);
    cr_assert_eq(r.exit_code, 0, "%s", r.output);
    cr_expect(strstr(r.output, "\n\"reconnect\",\"caught-up\",\"ms\",\"less\",\"ours\",\"Redis 7"), "%s", r.output);
    cr_expect_eq(strstr(r.output, "\n\"throughput\""), NULL, "%s", r.output);
    free(r.output);
}

static int count(const char *text, const char *what)
{
    int found = 0;
    for (const char *at = text; (at = strstr(at, what)); at += strlen(what)) found++;
    return found;
}

/* That of its first start, and of the part's master and replica. */
Test(bench_program, servers_of_parts_have_the_runs_directives)
{
    char log[400], directive[420], text[8192] = "";
    snprintf(log, sizeof log, "%.200s/%s.log", harness_root(), harness_case());
    snprintf(directive, sizeof directive, "logfile %s", log);
    const char *words[] = {"--server", command_of_ours(), "--config", directive,   "--config", "no-such-directive 1",
                           "--parts",  "reconnect",       "--csv",    "/dev/null", NULL};
    struct process_result r = bench(words);
    cr_assert_eq(r.exit_code, 0, "%s", r.output);
    cr_expect(strstr(r.output, "ours: without no-such-directive\n"), "%s", r.output);
    free(r.output);
    FILE *file = fopen(log, "r");
    cr_assert_neq(file, NULL);
    cr_assert_gt(fread(text, 1, sizeof text - 1, file), 0);
    fclose(file);
    cr_expect_geq(count(text, "eady to accept connections"), 3, "%s", text);
}

Test(bench_program, a_server_that_runs_already_is_measured_and_left_running)
{
    struct server *s = server_start(OURS, "save 3600 1");
    char attached[64];
    snprintf(attached, sizeof attached, "mine=127.0.0.1:%d", s->port);
    const char *words[] = {"--attach", attached, "--pipeline", "1", NULL};
    struct process_result r = bench(words);
    cr_assert_eq(r.exit_code, 0, "%s", r.output);
    cr_expect_gt(median_of(r.output, "get.p1.requests", "mine"), 0, "%s", r.output);
    cr_expect_eq(median_of(r.output, "get.p1.cpu", "mine"), -1, "it may be another machine's: %s", r.output);
    free(r.output);
    cr_expect_eq(command_integer(s, "DBSIZE"), 500);
    redisReply *save = command(s, "CONFIG GET save");
    cr_expect_str_eq(save->element[1]->str, "3600 1");
    freeReplyObject(save);
    const char *part[] = {"--attach", attached, "--parts", "memory", NULL};
    r = bench(part);
    cr_expect_eq(r.exit_code, 2, "%s", r.output);
    free(r.output);
}

/* 300 of each 700 ms the server stands still, and a round is long enough to hold one such time as a whole. */
Test(bench_program, a_stall_is_not_hidden_from_an_open_loop)
{
    char stalls[1200];
    snprintf(
        stalls, sizeof stalls,
        "stalls=sh -c '%.800s null-server {port} & while kill -CONT $!; do sleep 0.4; kill -STOP $!; sleep 0.3; done'",
        server_program(OURS, "slipstream-bench"));
    const char *words[] = {"--server", stalls, "--request",  "PING", "--pipeline", "1",
                           "--rate",   "1000", "--duration", "1100", NULL};
    struct process_result r = bench(words);
    cr_assert_eq(r.exit_code, 0, "%s", r.output);
    cr_expect_geq(median_of(r.output, "mix.p1.max", "stalls"), 290000, "%s", r.output);
    cr_expect_geq(median_of(r.output, "mix.p1.p99", "stalls"), 250000, "one of a hundred waited so long: %s", r.output);
    free(r.output);
}

Test(bench_program, an_unknown_directive_is_left_out_and_told)
{
    const char *words[] = {"--server",   command_of_ours(),
                           "--config",   "no-such-directive 1",
                           "--config",   "maxmemory 100mb",
                           "--config",   "Nor-This yes",
                           "--pipeline", "1",
                           "--csv",      "/dev/null",
                           NULL};
    struct process_result r = bench(words);
    cr_assert_eq(r.exit_code, 0, "%s", r.output);
    cr_expect(strstr(r.output, "ours: without no-such-directive, Nor-This\n"), "%s", r.output);
    free(r.output);
    const char *bad_value[] = {"--server", command_of_ours(), "--config", "maxmemory much", NULL};
    r = bench(bad_value);
    cr_expect_eq(r.exit_code, 1, "a bad value is a fault: %s", r.output);
    cr_expect(strstr(r.output, "does not answer"), "%s", r.output);
    free(r.output);
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
    static const char *const wrong[][2] = {{"--rounds", "0"},
                                           {"--pipeline", "1,x"},
                                           {"--rate", "-1"},
                                           {"--schedule", "never"},
                                           {"--nothing", "1"},
                                           {"--server", "x=server"},
                                           {"--config", "alone"},
                                           {"--attach", "host:6379"},
                                           {"--attach", "x=host"},
                                           {"--parts", "memory,all,some"},
                                           {"--targets", "/nowhere/targets"}};
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

/* --- targets, comparisons, the page --- */

static const char *path_of(const char *what)
{
    static char path[600];
    snprintf(path, sizeof path, "%.300s/%.100s.%s", harness_root(), harness_case(), what);
    return path;
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    cr_assert_neq(file, NULL);
    fputs(text, file);
    fclose(file);
}

Test(bench_program, targets_are_met_or_missed)
{
    char path[600];
    snprintf(path, sizeof path, "%s", path_of("targets"));
    const char *words[] = {"--server", command_of_ours(), "--pipeline", "1", "--targets",
                           path,       "--csv",           "/dev/null",  NULL};
    struct {
        const char *targets, *says;
        int exit_code;
    } cases[] = {
        {"# ours\nours throughput set.p1.p99 value >= 0 # easy\n", "value >= 0: met", 0},
        {"ours throughput get.p1.p50 value <= 0\n", "value <= 0: MISSED", 1},
        {"ours throughput get.p1.p50 value <= 0\n", "1 target missed", 1},
        {"theirs throughput get.p1.p50 value <= 0\nours storm forks value <= 1\n", "", 0},
        {"ours throughput get.p1.p50 ratio <= 0.5\n", "", 0}, /* it is the baseline itself */
        {"ours throughput get.p1.p50 value <= little\n", "line 1: this is no SERVER PART ROW", 2},
        {"\nours throughput get.p1.p50 value = 1\n", "line 2: this is no SERVER PART ROW", 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_file(path, cases[i].targets);
        struct process_result r = bench(words);
        cr_expect_eq(r.exit_code, cases[i].exit_code, "%s: %s", cases[i].targets, r.output);
        cr_expect(strstr(r.output, cases[i].says), "'%s' for %s: %s", cases[i].says, cases[i].targets, r.output);
        free(r.output);
    }
}

#define ROW(name, better, values)                                                                                      \
    "{\"part\": \"p\", \"name\": \"" name "\", \"unit\": \"us\", \"better\": \"" better                                \
    "\", \"server\": \"s\", \"version\": \"Redis 7\", \"median\": 1, \"values\": [" values "]}\n"
#define CURVE "{\"part\": \"p\", \"curves\": \"w\", \"server\": \"s\", \"p50\": [1, null]}\n"

Test(bench_program, a_comparison_says_what_became_slower)
{
    char old[600], new[600];
    snprintf(old, sizeof old, "%s", path_of("old"));
    snprintf(new, sizeof new, "%s", path_of("new"));
    write_file(old, ROW("latency", "less", "10, 11, 12") ROW("rate", "more", "10, 11, 12")
                        ROW("same", "less", "10, 20, 30") CURVE ROW("nearly", "less", "1000, 1001, 1002"));
    write_file(new, ROW("latency", "less", "20, 21, 22") ROW("rate", "more", "20, 21, 22")
                        ROW("same", "less", "11, 19, 31") ROW("nearly", "less", "1010, 1011, 1012")
                            ROW("added", "less", "1, 2, 3") ROW("mark", "neither", "1, 2, 3"));
    const char *argv[] = {server_program(OURS, "slipstream-bench"), "compare", old, new, NULL, NULL};
    struct process_result r = process_run(argv, NULL);
    cr_assert_eq(r.exit_code, 1, "%s", r.output);
    const char *worse = strstr(r.output, "\nworse:\n"), *better = strstr(r.output, "\nbetter:\n");
    cr_assert(worse && better && worse < better, "%s", r.output);
    const char *latency = strstr(worse, " latency "), *rate = strstr(better, " rate ");
    cr_expect(latency && latency < better && rate, "%s", r.output);
    cr_expect(strstr(r.output, "1 worse, 1 better; 1 surely differ by less than 5 percent; 1 show no difference"), "%s",
              r.output);
    cr_expect(strstr(r.output, "1 are in the newer run alone"), "%s", r.output);
    free(r.output);
    argv[4] = "200";
    r = process_run(argv, NULL);
    cr_expect_eq(r.exit_code, 0, "nothing is three times as slow: %s", r.output);
    free(r.output);
    write_file(new, ROW("latency", "less", "20, \"much\", 22"));
    r = process_run(argv, NULL);
    cr_expect_eq(r.exit_code, 2, "%s", r.output);
    cr_expect(strstr(r.output, "line 1: this is no row of a report"), "%s", r.output);
    free(r.output);
}

Test(bench_program, a_report_is_compared_with_itself)
{
    char json[600];
    snprintf(json, sizeof json, "%s", path_of("json"));
    const char *words[] = {"--server", command_of_ours(), "--pipeline", "1", "--rounds", "3", "--json", json, NULL};
    struct process_result r = bench(words);
    cr_assert_eq(r.exit_code, 0, "%s", r.output);
    free(r.output);
    const char *argv[] = {server_program(OURS, "slipstream-bench"), "compare", json, json, NULL};
    r = process_run(argv, NULL);
    cr_expect_eq(r.exit_code, 0, "%s", r.output);
    cr_expect(strstr(r.output, "\n0 worse, 0 better; 0 surely differ"), "%s", r.output);
    free(r.output);
}

/* Asks the page itself, once it is laid out: is it wider than the screen, are its lines drawn, where are the bars? */
static const char question[] =
    "<script>addEventListener('load',()=>{const d=document,w=d.documentElement;"
    "const lines=[...d.querySelectorAll('figure path')],flat=lines.filter(p=>p.getBBox().width<100);"
    "const wild=lines.filter(p=>{const b=p.getBBox();return b.x<0||b.y<0||b.x+b.width>640||b.y+b.height>230});"
    "const out=d.createElement('p');out.textContent=`ASKED width ${w.scrollWidth<=innerWidth?'fits':'overflows'} lines "
    "${lines.length} flat ${flat.length} outside ${wild.length} bars ${d.querySelectorAll('line.e').length} tables "
    "${d.querySelectorAll('table').length} outer ${d.querySelectorAll('[src],link').length}`;"
    "d.body.append(out)})</script>";

Test(bench_program, the_page_is_drawn_by_a_browser)
{
    char page[600], again[4200];
    if (!browser_program()) cr_skip_test("no Chromium is installed (tools/deps.sh browser)");
    snprintf(page, sizeof page, "%s", path_of("html"));
    snprintf(again, sizeof again, "again%.4000s", strchr(command_of_ours(), '='));
    const char *words[] = {"--server",   command_of_ours(), "--server", again,        "--pipeline",
                           "1",          "--rounds",        "3",        "--duration", "300",
                           "--schedule", "bgsave",          "--html",   page,         NULL};
    struct process_result r = bench(words);
    cr_assert_eq(r.exit_code, 0, "%s", r.output);
    free(r.output);
    FILE *file = fopen(page, "a");
    fputs(question, file);
    fclose(file);
    char *dom = browser_show(page);
    /* Two works, each with the thick and thin lines of two servers, and their percentiles. Of a round's course a busy
     * machine may leave little. */
    int flat = -1;
    const char *asked = strstr(dom, "ASKED width fits lines 12 flat ");
    cr_assert(asked && sscanf(asked, "ASKED width fits lines 12 flat %d ", &flat) == 1, "%s",
              strstr(dom, "ASKED") ? strstr(dom, "ASKED") : dom);
    cr_expect(strstr(asked, " outside 0 bars 4 tables 2 outer 0"), "%s", asked);
    cr_expect_leq(flat, 4, "most lines are drawn: %s", asked);
    static const char *const words_on_it[] = {"set.p1", "get.p1", "the baseline of ratios", "bgsave goes on", ">90%"};
    for (size_t i = 0; i < sizeof words_on_it / sizeof *words_on_it; i++)
        cr_expect(strstr(dom, words_on_it[i]), "%s", words_on_it[i]);
    free(dom);
}
