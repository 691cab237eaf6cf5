/* What a tool that starts servers leaves behind when it does not end by itself: nothing. */
#include "tests/harness/client.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(tools_end, .fini = server_finish_all, .timeout = 90);

/* How many paths the pattern, below this test's directory of temporary files, matches; the last number of the first. */
static size_t found(const char *pattern, int *port)
{
    char path[600];
    glob_t g;
    snprintf(path, sizeof path, "%s/%s", getenv("TMPDIR"), pattern);
    size_t count = glob(path, GLOB_NOSORT, NULL, &g) == 0 ? g.gl_pathc : 0;
    if (count && port) *port = atoi(strrchr(g.gl_pathv[0], '-') + 1);
    globfree(&g);
    return count;
}

static bool has_regions(int port)
{
    char pattern[64];
    glob_t g;
    snprintf(pattern, sizeof pattern, "/dev/shm/slipstream-%d-*", port);
    bool has = glob(pattern, GLOB_NOSORT, NULL, &g) == 0;
    globfree(&g);
    return has;
}

static void end_in_the_middle(const char *const *argv, int signal_number)
{
    char temporary[400];
    int port = 0;
    snprintf(temporary, sizeof temporary, "%.200s/%s-%d", harness_root(), harness_case(), signal_number);
    cr_assert_eq(mkdir(temporary, 0755), 0);
    setenv("TMPDIR", temporary, 1);
    pid_t pid = process_spawn(&(struct process_options){.argv = argv, .log = "/dev/null"});
    wait_until(found("*/*-replica-*/log", NULL) > 0 && found("*/*-master-*", &port) > 0 && has_regions(port));
    kill(pid, signal_number);
    cr_assert_neq(process_wait(pid, PATIENCE_MS), -1);
    wait_until(found("*", NULL) == 0);
    cr_expect(!has_regions(port));
    rmdir(temporary);
}

Test(tools_end, a_killed_or_interrupted_lab_leaves_no_servers_files_or_memory)
{
    char command[600];
    snprintf(command, sizeof command, "ours=%.400s --port {port} --dir {dir}", server_program(OURS, "redis-server"));
    const char *argv[] = {server_program(OURS, "slipstream-lab"),
                          "--server",
                          command,
                          "--fault",
                          "cut",
                          "--length",
                          "60s",
                          "--keys",
                          "10",
                          NULL};
    end_in_the_middle(argv, SIGKILL);
    end_in_the_middle(argv, SIGTERM);
}
