/* Starting: which configurations a server starts with and which it refuses, where it listens, whom it tells that it is
 * there, which signals end it. */
#include "tests/harness/client.h"
#include "tests/harness/raw.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(start, .fini = server_finish_all, .timeout = 120);

/* --- what is refused, because its loss would hurt --- */

static void expect_refused(struct server *s, const char *complaint)
{
    cr_expect_eq(server_launch_in_vain(s), 1, "%s", complaint);
    cr_expect(server_log_has(s, 0, "*** FATAL CONFIG FILE ERROR (Redis 7.2.4) ***"), "%s", complaint);
    cr_expect(server_log_has(s, 0, complaint), "%s", complaint);
}

Test(start, what_would_be_open_without_its_part_is_refused)
{
    static const char *const refused[][2] = {
        {"aclfile users.acl", "'aclfile': users and their rules (ACL) are not supported yet"},
        {"user alice on >secret ~* +@all", "users and their rules (ACL) are not supported yet"},
        {"user default off", "users and their rules (ACL) are not supported yet"},
        {"user default on >secret ~* &* +@all", "'user': users and their rules (ACL) are not supported yet"},
        {"requirepass secret\nuser default on nopass ~* &* +@all", "another password than 'requirepass'"},
        {"tls-port 1", "'tls-port': TLS is not supported yet"},
        {"tls-replication yes", "'tls-replication': TLS is not supported yet"},
        {"cluster-enabled yes", "'cluster-enabled': cluster mode is not supported yet"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        expect_refused(server_prepare(OURS, "%s", refused[i][0]), refused[i][1]);
}

/* Redis writes such lines into each file that it rewrites. */
Test(start, a_user_line_that_says_what_holds_anyway_is_fine)
{
    struct server *open = server_start(OURS, "user default on nopass sanitize-payload ~* &* +@all");
    expect_status(open, "PONG", "PING");
    struct server *closed = server_start(OURS, "%s",
                                         "user default on "
                                         "#2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b "
                                         "~* &* +@all\nrequirepass secret");
    expect_error(closed, "NOAUTH", "PING");
    expect_ok(closed, "AUTH secret");
    expect_ok(closed, "CONFIG SET requirepass another");
    expect_ok(closed, "CONFIG REWRITE");
    server_restart(closed);
    expect_ok(closed, "AUTH another");
}

static void make_file(const struct server *s, const char *name)
{
    char path[512];
    server_path(s, name, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    cr_assert_geq(fd, 0);
    close(fd);
}

Test(start, append_only_file_that_would_not_be_loaded_stops_the_start)
{
    static const char complaint[] = "'appendonly': there is an append only file, and this server can't load one yet";
    struct server *old = server_prepare(OURS, "appendonly yes");
    make_file(old, "appendonly.aof");
    expect_refused(old, complaint);
    struct server *s = server_prepare(OURS, "appenddirname files\nappendfilename writes.aof");
    char directory[512];
    server_path(s, "files", directory);
    cr_assert_eq(mkdir(directory, 0755), 0);
    make_file(s, "files/writes.aof.manifest");
    server_launch(s);
    expect_error(s, "ERR CONFIG SET failed (possibly related to argument 'appendonly') - there is an append only file",
                 "CONFIG SET appendonly yes");
    cr_assert_str_eq(config_get(s, "appendonly"), "no");
    server_kill(s);
    server_add_config(s, "appendonly yes");
    expect_refused(s, complaint);
    struct server *none = server_start(OURS, "appendonly yes");
    cr_expect(server_log_has(none, 0, "Directive 'appendonly' is accepted but has no effect here"));
}

Test(start, setting_what_is_missing_is_refused_or_said)
{
    struct server *s = server_start(OURS, "%s", "");
    expect_error(s, "ERR CONFIG SET failed (possibly related to argument 'tls-port') - TLS is not supported yet",
                 "CONFIG SET maxclients 99 tls-port 1");
    expect_error(s, "ERR CONFIG SET failed (possibly related to argument 'tls-replication') - TLS is not supported yet",
                 "CONFIG SET tls-replication yes");
    cr_assert_str_eq(config_get(s, "tls-port"), "0");
    cr_assert_str_eq(config_get(s, "maxclients"), "10000");
    long mark = server_log_end(s);
    expect_ok(s, "CONFIG SET appendonly yes activedefrag yes");
    cr_expect(server_log_has(s, mark, "Directive 'appendonly' is accepted but has no effect here"));
    cr_expect(server_log_has(s, mark, "Directive 'activedefrag' is accepted but has no effect here"));
}

/* --- doors that are shut unless somebody opens them --- */

Test(start, nobody_may_debug_or_move_files_unless_told)
{
    struct server *s = server_start(OURS, "enable-debug-command no");
    expect_error(s, "ERR DEBUG command not allowed.", "DEBUG SLEEP 0");
    expect_error(s, "ERR CONFIG SET failed (possibly related to argument 'dir') - can't set protected config",
                 "CONFIG SET dir /tmp");
    expect_error(s, "ERR CONFIG SET failed (possibly related to argument 'dbfilename') - can't set protected config",
                 "CONFIG SET dbfilename root.rdb");
    struct server *told = server_start(OURS, "enable-debug-command local\nenable-protected-configs local");
    expect_ok(told, "DEBUG SLEEP 0");
    expect_ok(told, "CONFIG SET dbfilename other.rdb");
}

/* --- signals --- */

/* Whether /proc says so of a set of signals ("SigIgn", "SigCgt") of the process. */
static bool signal_is_in(const char *set, pid_t pid, int signal)
{
    char path[64], line[256];
    unsigned long long mask = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *status = fopen(path, "r");
    cr_assert(status);
    while (fgets(line, sizeof line, status)) {
        if (strncmp(line, set, strlen(set)) == 0) mask = strtoull(line + strlen(set) + 1, NULL, 16);
    }
    fclose(status);
    return mask >> (signal - 1) & 1;
}

Test(start, signals_mean_what_they_mean_to_debians)
{
    static const int ignored[] = {SIGHUP, SIGPIPE, SIGALRM}, caught[] = {SIGINT, SIGTERM};
    struct server *ours = server_start(OURS, "%s", ""), *debians = server_start(DEBIAN, "%s", "");
    for (int signal = 1; signal <= SIGSYS; signal++) {
        cr_expect_eq(signal_is_in("SigIgn", ours->pid, signal), signal_is_in("SigIgn", debians->pid, signal), "%d",
                     signal);
    }
    for (size_t i = 0; i < sizeof caught / sizeof *caught; i++)
        cr_expect(signal_is_in("SigCgt", ours->pid, caught[i]), "%d", caught[i]);
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) kill(ours->pid, ignored[i]);
    expect_status(ours, "PONG", "PING");
}
