/* How a server ends that was not asked to: what it says, and what it leaves behind. */
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

TestSuite(crash, .fini = server_finish_all, .timeout = 120);

/* --- what is left of a killed server --- */

static unsigned long long shared_bytes(const struct server *s)
{
    char pattern[64];
    unsigned long long bytes = 0;
    glob_t found;
    snprintf(pattern, sizeof pattern, "/dev/shm/slipstream-%d-*", s->port);
    if (glob(pattern, GLOB_NOSORT, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++) {
            struct stat st;
            if (stat(found.gl_pathv[i], &st) == 0) bytes += (unsigned long long)st.st_blocks * 512;
        }
    globfree(&found);
    return bytes;
}

Test(crash, the_next_start_gives_back_the_shared_memory_of_a_killed_server)
{
    struct server *master = server_start(OURS, "repl-lz4 no"), *replica = server_start(OURS, "%s", "");
    follow(replica, master);
    wait_in_step(replica, master);
    server_freeze(replica);
    fill(master, "key:", 200, 100000); /* 20 MB that the replica has not taken */
    cr_assert_gt(shared_bytes(master), 5000000);
    server_kill(master);
    cr_assert_gt(shared_bytes(master), 5000000);
    server_launch(master);
    wait_until(shared_bytes(master) < 5000000); /* a backlog of its usual size */
    server_thaw(replica);
    expect_same_data(replica, master);
}

/* --- what a server says --- */

static struct server *start_crashing(const char *config)
{
    struct server *s = server_prepare(OURS, "%s", config);
    s->may_crash = true;
    server_launch(s);
    return s;
}

static void expect_lines(const struct server *s, const char *const *lines)
{
    for (; *lines; lines++) cr_assert(server_log_has(s, 0, *lines), "no line with '%s' in %s", *lines, s->log);
}

static void expect_end_by(struct server *s, int signal)
{
    int status = server_wait_end(s);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == signal, "wait status %d", status);
}

static void end_in(struct server *s, const char *command_line)
{
    redisReply *r = try_command(s, command_line);
    cr_assert_null(r, "it answers");
}

Test(crash, fault)
{
    struct server *s = start_crashing("");
    fill(s, "key:", 10, 10);
    expect_ok(s, "MULTI");
    expect_status(s, "QUEUED", "SET inside transaction");
    expect_status(s, "QUEUED", "DEBUG SEGFAULT %s", "a \"quoted\" \x01 argument");
    end_in(s, "EXEC");
    expect_end_by(s, SIGSEGV);
    expect_lines(
        s, (const char *const[]){"BUG REPORT START", "crashed by signal: 11, si_code: 2", "Accessing address: 0x",
                                 "This is the server", "STACK TRACE", "(debug_segfault+", "(run_command+", "REGISTERS",
                                 "CURRENT CLIENT INFO", "cmd=debug argc=3", "argv[1]: '\"SEGFAULT\"'",
                                 "argv[2]: '\"a \\\"quoted\\\" \\x01 argument\"'", "(exec_transaction+",
                                 "flags=", "redis_version:", "db0:keys=11", "link_process_id", "BUG REPORT END", NULL});
}

/* What a client may send is long, and what is in it may be secret. */
Test(crash, arguments_are_clipped)
{
    struct server *s = start_crashing("");
    char value[3000];
    memset(value, 'x', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    redisAppendCommand(connection(s),
                       "DEBUG SEGFAULT %s 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 "
                       "26 27 28 29 30 31 32 33 34",
                       value);
    cr_assert_neq(redisGetReply(connection(s), &(void *){NULL}), REDIS_OK);
    expect_end_by(s, SIGSEGV);
    expect_lines(s, (const char *const[]){"(and 2871 bytes more)", "argv[31]", "... and 3 arguments more",
                                          "BUG REPORT END", NULL});
    cr_assert(!server_log_has(s, 0, "argv[32]"));
}

Test(crash, failed_check_panic_and_no_memory)
{
    static const struct {
        const char *command, *lines[4];
    } ends[] = {
        {"DEBUG ASSERT", {"=== ASSERTION FAILED ===", "debug_crash.c:", "(debug_assert+"}},
        {"DEBUG PANIC", {"Guru Meditation: DEBUG PANIC called at Unix time", "(debug_panic+"}},
        {"DEBUG OOM", {"Out Of Memory allocating 9223372036854775807 bytes!", "(debug_oom+"}},
    };
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        struct server *s = start_crashing("");
        end_in(s, ends[i].command);
        expect_end_by(s, SIGABRT);
        expect_lines(s, ends[i].lines);
        expect_lines(s, (const char *const[]){"STACK TRACE", "(run_command+", "redis_version:", "CLIENT LIST OUTPUT",
                                              "CONFIG DEBUG OUTPUT", "list-compress-depth 0", "BUG REPORT END", NULL});
    }
}

/* Sent by somebody, in the middle of nothing. */
Test(crash, fatal_signal_from_outside)
{
    static const int signals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct server *s = start_crashing("");
        char line[64];
        kill(s->pid, signals[i]);
        expect_end_by(s, signals[i]);
        snprintf(line, sizeof line, "crashed by signal: %d, si_code: 0", signals[i]);
        expect_lines(s, (const char *const[]){line, "Killed by PID: ", "(loop_run+", "No command was running",
                                              "redis_version:", "BUG REPORT END", NULL});
        bool has_address = signals[i] == SIGSEGV || signals[i] == SIGBUS;
        cr_expect_eq(server_log_has(s, 0, "Accessing address: "), has_address, "signal %d", signals[i]);
    }
}

Test(crash, an_alarm_ends_nobody)
{
    struct server *s = server_start(OURS, "%s", "");
    kill(s->pid, SIGALRM);
    expect_status(s, "PONG", "PING");
}

Test(crash, without_a_report)
{
    struct server *s = start_crashing("crash-log-enabled no");
    end_in(s, "DEBUG SEGFAULT");
    expect_end_by(s, SIGSEGV);
    cr_assert(!server_log_has(s, 0, "BUG REPORT"));
    server_launch(s);
    expect_ok(s, "CONFIG SET crash-log-enabled yes");
    expect_ok(s, "CONFIG SET crash-log-enabled no");
    end_in(s, "DEBUG ASSERT");
    expect_end_by(s, SIGABRT);
    cr_assert(server_log_has(s, 0, "ASSERTION FAILED"));
    cr_assert(!server_log_has(s, 0, "STACK TRACE"));
}

Test(crash, an_exit_instead_of_an_abort)
{
    struct server *s = start_crashing("");
    expect_ok(s, "CONFIG SET use-exit-on-panic yes");
    end_in(s, "DEBUG PANIC");
    int status = server_wait_end(s);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1, "wait status %d", status);
    expect_lines(s, (const char *const[]){"STACK TRACE", "redis_version:", "BUG REPORT END", NULL});
}

Test(crash, the_snapshot_child_says_who_it_is)
{
    struct server *s = start_crashing("rdb-key-save-delay 10000");
    fill(s, "key:", 5000, 10);
    expect_status(s, "Background saving started", "BGSAVE");
    pid_t child;
    wait_until((child = server_snapshot_pid(s)) != 0);
    wait_until(info_number(s, "persistence", "current_save_keys_processed") > 0);
    kill(child, SIGSEGV);
    wait_until(info_is(s, "persistence", "rdb_last_bgsave_status", "err"));
    expect_lines(s, (const char *const[]){"This is the snapshot child", "(rdb_save_file+",
                                          "redis_version:", "Background saving terminated by signal 11", NULL});
    expect_status(s, "PONG", "PING");
}

Test(crash, the_link_says_who_it_is)
{
    struct server *master = start_crashing(""), *replica = server_start(OURS, "%s", "");
    follow(replica, master);
    wait_in_step(replica, master);
    pid_t link = server_link_pid(master);
    kill(link, SIGSEGV);
    server_wait_log(master, 0, "was killed by signal 11");
    expect_lines(master, (const char *const[]){"This is the replication link", "(link_main+", "REPLICAS OF THE LINK",
                                               "slot=0 phase=", "BUG REPORT END", NULL});
    fill(master, "key:", 100, 10);
    expect_same_data(replica, master);
}
