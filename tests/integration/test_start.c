/* Starting: which configurations a server starts with and which it refuses, where it listens, whom it tells that it is
 * there, which signals end it. */
#include "tests/harness/client.h"
#include "tests/harness/raw.h"
#include "tests/harness/wait.h"
#include "tests/integration/known_directives.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
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
        {"cluster-enabled yes", "'cluster-enabled': cluster mode is not supported yet"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        expect_refused(server_prepare(OURS, "%s", refused[i][0]), refused[i][1]);
}

Test(start, setting_what_has_no_effect_is_said)
{
    struct server *s = server_start(OURS, "%s", "");
    long mark = server_log_end(s);
    expect_ok(s, "CONFIG SET activerehashing no");
    cr_expect(server_log_has(s, mark, "Directive 'activerehashing' is accepted but has no effect here"));
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
        if (signal == SIGALRM) continue; /* as 7.2 does, ours says where it is */
        cr_expect_eq(signal_is_in("SigIgn", ours->pid, signal), signal_is_in("SigIgn", debians->pid, signal), "%d",
                     signal);
    }
    for (size_t i = 0; i < sizeof caught / sizeof *caught; i++)
        cr_expect(signal_is_in("SigCgt", ours->pid, caught[i]), "%d", caught[i]);
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) kill(ours->pid, ignored[i]);
    expect_status(ours, "PONG", "PING");
}

/* --- the command line, and other people's configurations --- */

Test(start, every_directive_of_6_2_and_7_2_is_known)
{
    struct server *s = server_start(OURS, "%s", known_directives);
    expect_status(s, "PONG", "PING");
    expect_error(s, "ERR unknown command", "FLUSHALL");
    expect_refused(server_prepare(OURS, "sentinel monitor main 127.0.0.1 6379 2"),
                   "sentinel directive while not in sentinel mode");
}

/* Runs a program in the server's place: its arguments, and what stands on its standard input. */
static void launch_as(struct server *s, const char *const *argv, const char *input)
{
    struct process_options options = {.argv = argv, .dir = s->dir, .log = s->log, .input = input};
    s->pid = process_spawn(&options);
    cr_assert_gt(s->pid, 0);
}

Test(start, standard_input_may_come_first_or_last)
{
    struct server *s = server_prepare(OURS, "maxclients 100");
    const char *program = server_program(OURS, "redis-server"), *file = s->config_file;
    char input[256];
    snprintf(input, sizeof input, "port %d\nbind 127.0.0.1\nmaxclients 200\nhz 20\n", s->port);
    const struct {
        const char *argv[8];
        const char *maxclients, *hz;
    } forms[] = {
        {{program, "-"}, "200", "20"},
        {{program, "-", "--hz", "30"}, "200", "30"},
        {{program, "--hz", "30", "-"}, "200", "30"},
        {{program, "-", "--maxclients", "300", "-"}, "300", "20"},
        {{program, file, "-"}, "200", "20"},
        {{program, file, "--hz", "30", "-"}, "200", "30"},
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        long mark = server_log_end(s);
        launch_as(s, forms[i].argv, input);
        server_wait_log(s, mark, "Ready to accept connections");
        cr_expect_str_eq(config_get(s, "maxclients"), forms[i].maxclients, "form %zu", i);
        cr_expect_str_eq(config_get(s, "hz"), forms[i].hz, "form %zu", i);
        server_kill(s);
    }
    launch_as(s, (const char *const[]){program, file, "-", "--hz", "30", NULL}, input);
    cr_expect_eq(WEXITSTATUS(process_wait(s->pid, PATIENCE_MS)), 1);
    s->pid = 0;
}

Test(start, questions_are_answered_whatever_follows)
{
    const char *program = server_program(OURS, "redis-server");
    struct process_result version = process_run((const char *const[]){program, "-v", "redis.conf", NULL}, NULL);
    cr_expect_eq(version.exit_code, 0);
    cr_expect(strstr(version.output, "Redis server v=7.2.4"), "%s", version.output);
    free(version.output);
    struct process_result help = process_run((const char *const[]){program, "--help", NULL}, NULL);
    cr_expect_eq(help.exit_code, 1);
    cr_expect(strstr(help.output, "Usage: ./redis-server"), "%s", help.output);
    free(help.output);
}

/* --- as Sentinel --- */

Test(start, as_sentinel_by_option_and_by_name)
{
    struct server *s = server_prepare(OUR_SENTINEL, "%s", "");
    const char *by_option[] = {server_program(OURS, "redis-server"), s->config_file, "--sentinel", NULL};
    const char *by_first_option[] = {
        server_program(OURS, "redis-server"), s->config_file, "--sentinel", "--loglevel", "verbose", NULL};
    const char *by_name[] = {server_program(OURS, "redis-sentinel"), s->config_file, NULL};
    const char *const *starts[] = {by_option, by_first_option, by_name};
    for (int i = 0; i < 3; i++) {
        long from = server_log_end(s);
        launch_as(s, starts[i], NULL);
        server_wait_log(s, from, "Sentinel ID is");
        cr_expect(info_is(s, "server", "redis_mode", "sentinel"));
        server_stop(s);
    }
}

/* --- who supervises --- */

struct manager {
    int fd;
    struct sockaddr_un address;
    socklen_t len;
};

/* A service manager's socket, "@..." being an abstract one; NOTIFY_SOCKET names it. */
static struct manager manager_open(const char *name)
{
    struct manager m = {.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), .address.sun_family = AF_UNIX};
    struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
    cr_assert_geq(m.fd, 0);
    cr_assert_lt(strlen(name), sizeof m.address.sun_path);
    memcpy(m.address.sun_path, name, strlen(name));
    if (name[0] == '@') m.address.sun_path[0] = '\0';
    m.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
    cr_assert_eq(bind(m.fd, (struct sockaddr *)&m.address, m.len), 0, "%s: %s", name, strerror(errno));
    setsockopt(m.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    cr_assert_eq(setenv("NOTIFY_SOCKET", name, 1), 0);
    return m;
}

static void expect_told(const struct manager *m, const char *state)
{
    char text[512];
    ssize_t got = recv(m->fd, text, sizeof text - 1, 0);
    cr_assert_gt(got, 0, "%s", state);
    text[got] = '\0';
    cr_expect_str_eq(text, state);
}

Test(start, systemd_is_told_how_the_server_is)
{
    char path[128];
    struct server *master = server_start(OURS, "%s", "");
    expect_ok(master, "SET k v");
    snprintf(path, sizeof path, "/tmp/slipstream-notify-%d", master->port);
    struct manager m = manager_open(path);
    struct server *s = server_start(OURS, "supervised systemd\ndaemonize yes\nreplicaof 127.0.0.1 %d", master->port);
    expect_told(&m, "STATUS=Redis is loading...\n");
    expect_told(&m, "STATUS=Ready to accept connections in read-only mode. Waiting for MASTER <-> REPLICA sync\n");
    expect_told(&m, "READY=1\n");
    expect_told(&m, "STATUS=MASTER <-> REPLICA sync: Finished with success. "
                    "Ready to accept connections in read-write mode.\n");
    wait_until(info_is(s, "replication", "master_link_status", "up"));
    expect_integer(s, 1, "CLIENT KILL TYPE master");
    expect_told(&m,
                "STATUS=MASTER <-> REPLICA sync: Partial Resynchronization accepted. Ready to accept connections in "
                "read-write mode.\n");
    expect_ok(s, "CONFIG SET save %s", "1000 1000");
    server_stop(s);
    expect_told(&m, "STOPPING=1\n");
    expect_told(&m, "STATUS=Saving the final RDB snapshot\n");
    close(m.fd);
    unlink(path);
}

Test(start, a_manager_is_found_by_itself)
{
    char name[128];
    struct server *s = server_prepare(OURS, "supervised auto");
    snprintf(name, sizeof name, "@slipstream-notify-%d", s->port);
    struct manager m = manager_open(name);
    server_launch(s);
    expect_told(&m, "STATUS=Redis is loading...\n");
    expect_told(&m, "STATUS=Ready to accept connections\n");
    expect_told(&m, "READY=1\n");
    server_stop(s);
    expect_told(&m, "STOPPING=1\n");
    close(m.fd);
    unsetenv("NOTIFY_SOCKET");
    server_launch(s);
    server_stop(s);
    server_add_config(s, "supervised systemd");
    server_launch(s);
    cr_expect(server_log_has(s, 0, "systemd supervision error: NOTIFY_SOCKET not found!"));
}

/* Stops itself as its sign of readiness, and is continued. */
Test(start, upstart_sees_the_server_stop_itself)
{
    int status;
    struct server *s = server_prepare(OURS, "supervised upstart");
    cr_assert_eq(setenv("UPSTART_JOB", "redis", 1), 0);
    launch_as(s, (const char *const[]){server_program(OURS, "redis-server"), s->config_file, NULL}, NULL);
    cr_assert_eq(waitpid(s->pid, &status, WUNTRACED), s->pid);
    cr_expect(WIFSTOPPED(status));
    cr_expect(server_log_has(s, 0, "supervised by upstart, will stop to signal readiness."));
    kill(s->pid, SIGCONT);
    server_wait_log(s, 0, "Ready to accept connections");
}

/* --- where it listens --- */

static bool is_open(const struct server *s, const char *ip)
{
    int fd = raw_try_connect(ip, s->port);
    if (fd < 0) cr_expect_eq(errno, ECONNREFUSED, "%s: %s", ip, strerror(errno));
    if (fd >= 0) close(fd);
    return fd >= 0;
}

Test(start, bind_takes_names_and_short_forms)
{
    static const char *const forms[] = {"localhost", "127.1", "-localhost", "* -::*", "127.0.0.1 -192.0.2.1"};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct server *s = server_start(OURS, "bind %s", forms[i]);
        cr_expect(is_open(s, "127.0.0.1"), "%s", forms[i]);
        cr_expect_str_eq(config_get(s, "bind"), forms[i]);
    }
    /* Not a name that a name server would be asked for. */
    struct server *s = server_prepare(OURS, "bind 127.0.0.1 -[::1]");
    cr_expect_eq(server_launch_in_vain(s), 1);
    cr_expect(server_log_has(s, 0, "Warning: Could not create server TCP listening socket [::1]:"));
    cr_expect(server_log_has(s, 0, "Name or service not known"));
}

static void expect_doors(const struct server *s, bool first, bool second, bool third, const char *after)
{
    cr_expect_eq(is_open(s, "127.0.0.1"), first, "%s", after);
    cr_expect_eq(is_open(s, "127.0.0.2"), second, "%s", after);
    cr_expect_eq(is_open(s, "127.0.0.3"), third, "%s", after);
}

/* A listener of ours on 127.0.0.9 and the server's port. */
static int take_address(const struct server *s)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)s->port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    cr_assert_eq(inet_pton(AF_INET, "127.0.0.9", &at.sin_addr), 1);
    cr_assert_eq(bind(fd, (struct sockaddr *)&at, sizeof at), 0, "%s", strerror(errno));
    cr_assert_eq(listen(fd, 1), 0);
    return fd;
}

Test(start, bind_moves_only_what_differs)
{
    char path[512], title[512], wanted[64];
    struct server *s = server_prepare(OURS, "%s", "");
    server_path(s, "socket", path);
    server_add_config(s, "unixsocket %s", path);
    s->unix_socket = path;
    server_launch(s);
    const struct {
        const char *bind;
        bool open[3];
    } moves[] = {
        {"127.0.0.1 127.0.0.2", {true, true, false}}, {"127.0.0.2 127.0.0.1", {true, true, false}},
        {"127.0.0.2", {false, true, false}},          {"* -::*", {true, true, true}},
        {"127.0.0.3 localhost", {true, false, true}}, {"", {false, false, false}},
        {"127.0.0.2", {false, true, false}},
    };
    for (size_t i = 0; i < sizeof moves / sizeof *moves; i++) {
        expect_ok(s, "CONFIG SET bind %s", moves[i].bind);
        expect_doors(s, moves[i].open[0], moves[i].open[1], moves[i].open[2], moves[i].bind);
    }
    process_command_line(s->pid, title, sizeof title);
    snprintf(wanted, sizeof wanted, "127.0.0.2:%d", s->port);
    cr_expect(strstr(title, wanted), "%s", title);

    int other = take_address(s);
    static const char *const refused[] = {"*", "127.0.0.1 127.0.0.1", "127.0.0.3 192.0.2.1", "127.0.0.1 127.0.0.9"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        expect_error(s, "ERR CONFIG SET failed (possibly related to argument 'bind') - Failed to bind",
                     "CONFIG SET bind %s", refused[i]);
        expect_doors(s, false, true, false, refused[i]);
        cr_expect_str_eq(config_get(s, "bind"), "127.0.0.2");
    }
    close(other);
}
