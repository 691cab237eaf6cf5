/* slipstream-lab as a program: what it says of servers that behave, and of one that does not; its command line; the
 * proxy by itself. */
#include "tests/harness/client.h"
#include "tests/harness/port.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(lab, .fini = server_finish_all, .timeout = 180);

static char ours[4200], output[512];

static const char *command_of_ours(const char *more)
{
    snprintf(ours, sizeof ours, "ours=%.3800s --port {port} --dir {dir} --enable-debug-command yes %.300s",
             server_program(OURS, "redis-server"), more);
    return ours;
}

/* Runs the lab with these words, the first of which is an option. */
static struct process_result lab(const char *const *words)
{
    const char *argv[32] = {server_program(OURS, "slipstream-lab")};
    for (int i = 0; words[i]; i++) argv[i + 1] = words[i];
    return process_run_within(argv, NULL, 120000);
}

static int count(const char *text, const char *what)
{
    int found = 0;
    for (const char *at = text; (at = strstr(at, what)); at += strlen(what)) found++;
    return found;
}

static const char *path_of(const char *name)
{
    snprintf(output, sizeof output, "%.200s/%s-%.100s", harness_root(), name, harness_case());
    return output;
}

Test(lab, faults_end_as_predicted)
{
    const char *words[] = {"--server", command_of_ours(""),
                           "--fault",  "cut,stall,cut-stream,link-killed",
                           "--length", "200ms",
                           "--keys",   "100",
                           "--seed",   "1",
                           "--json",   "-",
                           NULL};
    struct process_result r = lab(words);
    cr_assert_eq(r.exit_code, 0, "%s", r.output);
    cr_assert_eq(count(r.output, "\"verdict\": \"as predicted\""), 4, "%s", r.output);
    cr_assert_eq(count(r.output, "\"on_wire\": \"partial\""), 3, "%s", r.output);
    cr_assert_eq(count(r.output, "\"on_wire\": \"nothing\""), 1, "%s", r.output);
    cr_assert_eq(count(r.output, "\"data_equal\": 1"), 4, "%s", r.output);
    free(r.output);
}

Test(lab, a_grid_is_every_combination_of_its_lines)
{
    char grid[512], html[512];
    snprintf(grid, sizeof grid, "%s", path_of("grid"));
    snprintf(html, sizeof html, "%s", path_of("html"));
    FILE *file = fopen(grid, "w");
    fputs("fault cut   # one\nlength 100ms\nrate 4m\nbacklog 64k 4m\n\nkeys 100\n", file);
    fclose(file);
    const char *words[] = {"--server", command_of_ours(""), "--grid", grid, "--csv", "-", "--html", html, NULL};
    struct process_result r = lab(words);
    cr_assert_eq(r.exit_code, 0, "%s", r.output);
    cr_assert_eq(count(r.output, "\"ours\",\"ours\",\"cut\",100,4194304,65536,"), 1, "%s", r.output);
    cr_assert_eq(count(r.output, "\"ours\",\"ours\",\"cut\",100,4194304,4194304,"), 1, "%s", r.output);
    cr_assert_eq(count(r.output, "\"full\""), 3, "predicted, on the wire, and in INFO: %s", r.output);
    cr_assert_eq(access(html, R_OK), 0);
    free(r.output);
}

/* A replica that throws keys away by itself is in step, and has other data. */
Test(lab, data_that_differ_are_a_finding)
{
    const char *eviction = "--maxmemory 3mb --maxmemory-policy allkeys-random --replica-ignore-maxmemory no";
    const char *words[] = {"--server", command_of_ours(""),
                           "--server", NULL,
                           "--pairs",  "ours:forgetful",
                           "--length", "100ms",
                           "--keys",   "30000",
                           NULL};
    char forgetful[4200], first[4200];
    snprintf(first, sizeof first, "%s", command_of_ours(""));
    snprintf(forgetful, sizeof forgetful, "forgetful%.4000s", strchr(command_of_ours(eviction), '='));
    words[1] = first;
    words[3] = forgetful;
    struct process_result r = lab(words);
    cr_assert_eq(r.exit_code, 1, "%s", r.output);
    cr_assert(strstr(r.output, "FINDING"), "%s", r.output);
    cr_assert(strstr(r.output, "Offsets are equal and the data are not"), "%s", r.output);
    cr_assert(strstr(r.output, "--pairs ours:forgetful --fault cut"), "%s", r.output);
    free(r.output);
}

Test(lab, a_command_line_that_makes_no_sense_is_told)
{
    static const char *const wrong[][4] = {
        {"--fault", "cut", NULL, "no --server is named"},
        {"--server", "x", NULL, "--server wants NAME="},
        {"--server", "x=true", NULL, "does not say {port}"},
        {"--fault", "earthquake", NULL, "there is no fault 'earthquake'"},
        {"--backlog", "much", NULL, "'much' is no value of 'backlog'"},
        {"--colour", "red", NULL, "there is no option '--colour'"},
        {"--server", "x=/nowhere/server {port}", NULL, "'/nowhere/server' is no program"},
        {"--server", "x=/bin/false {port}", NULL, "does not answer"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct process_result r = lab(wrong[i]);
        cr_expect_eq(r.exit_code, 2, "%s", r.output);
        cr_expect(strstr(r.output, wrong[i][3]), "'%s' instead of '%s'", r.output, wrong[i][3]);
        free(r.output);
    }
}

/* --- the proxy --- */

Test(lab, the_proxy_removes_no_file_that_is_not_its_own)
{
    char path[512];
    snprintf(path, sizeof path, "%s", path_of("precious"));
    FILE *file = fopen(path, "w");
    fputs("precious", file);
    fclose(file);
    const char *words[] = {"proxy", "--listen", "1", "--to", "2", "--control", path, NULL};
    struct process_result r = lab(words);
    cr_expect_eq(r.exit_code, 1, "%s", r.output);
    cr_expect_eq(access(path, R_OK), 0);
    free(r.output);
    const char *help[] = {"proxy", "--help", NULL};
    r = lab(help);
    cr_expect_eq(r.exit_code, 0, "%s", r.output);
    free(r.output);
}

static void tell(const char *socket, const char *word, const char *more, const char *answer)
{
    const char *words[] = {"tell", socket, word, more, NULL};
    struct process_result r = lab(words);
    cr_assert_eq(strncmp(r.output, answer, strlen(answer)), 0, "%s: %s", word, r.output);
    free(r.output);
}

Test(lab, the_proxy_obeys_words)
{
    struct server *master = server_start(OURS, "%s", ""), *replica = server_start(OURS, "%s", "");
    char listen[16], to[16], socket[512];
    int port = port_reserve();
    snprintf(listen, sizeof listen, "%d", port);
    snprintf(to, sizeof to, "127.0.0.1:%d", master->port);
    snprintf(socket, sizeof socket, "%s/s", master->dir);
    const char *argv[] = {
        server_program(OURS, "slipstream-lab"), "proxy", "--listen", listen, "--to", to, "--control", socket, NULL};
    process_spawn(&(struct process_options){.argv = argv, .log = path_of("proxy")});
    wait_until(access(socket, F_OK) == 0);
    follow_port(replica, port);
    wait_in_step(replica, master);
    tell(socket, "cut", NULL, "ok");
    wait_until(!link_is_up(replica));
    tell(socket, "status", NULL, "cut, 0 connections");
    fill(master, "key:", 100, 100);
    tell(socket, "heal", NULL, "ok");
    expect_same_data(replica, master);
    tell(socket, "slow", "100k", "ok");
    tell(socket, "delay", "1", "ok");
    tell(socket, "status", NULL, "pass, slow 100k, delay 1 0, 1 connections");
    tell(socket, "delay", "soon", "error: 'delay' is not understood");
    tell(socket, "dance", NULL, "error: 'dance' is not understood");
    fill(master, "key:", 200, 100);
    expect_same_data(replica, master);
}
