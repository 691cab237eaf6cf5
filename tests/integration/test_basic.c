/* Starting, listening, letting in and turning away: what a user meets before the first real command. */
#include "tests/harness/client.h"
#include "tests/harness/raw.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <ifaddrs.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(basic, .fini = server_finish_all, .timeout = 120);

Test(basic, answers)
{
    struct server *s = server_start(OURS, "%s", "");
    expect_status(s, "PONG", "PING");
    expect_string(s, "hello", "PING hello");
    expect_nil(s, "GET key");
    expect_ok(s, "SET key value");
    expect_string(s, "value", "GET key");
    expect_integer(s, 1, "DEL key");
    expect_integer(s, 0, "DBSIZE");
    server_stop(s);
}

Test(basic, version)
{
    const char *argv[] = {server_program(OURS, "redis-server"), "--version", NULL};
    struct process_result r = process_run(argv, NULL);
    cr_assert_eq(r.exit_code, 0);
    cr_assert(strncmp(r.output, "Redis server v=", 15) == 0, "%s", r.output);
    free(r.output);
}

Test(basic, unknown_directive_stops_the_start)
{
    const char *argv[] = {server_program(OURS, "redis-server"), "-", NULL};
    struct process_result r = process_run(argv, "port 0\n\nno-such-directive 1\n");
    cr_assert_eq(r.exit_code, 1);
    cr_assert(strstr(r.output, "*** FATAL CONFIG FILE ERROR"), "%s", r.output);
    cr_assert(strstr(r.output, "at line 3"), "%s", r.output);
    cr_assert(strstr(r.output, ">>> 'no-such-directive 1'"), "%s", r.output);
    cr_assert(strstr(r.output, "Bad directive or wrong number of arguments"), "%s", r.output);
    free(r.output);
}

Test(basic, bad_value_stops_the_start)
{
    const char *argv[] = {server_program(OURS, "redis-server"), "--port", "99999", NULL};
    struct process_result r = process_run(argv, NULL);
    cr_assert_eq(r.exit_code, 1);
    cr_assert(strstr(r.output, ">>> 'port"), "%s", r.output);
    cr_assert(strstr(r.output, "argument must be between 0 and 65535 inclusive"), "%s", r.output);
    free(r.output);
}

Test(basic, renamed_commands)
{
    struct server *s = server_start(OURS, "rename-command FLUSHALL \"\"\nrename-command get fetch");
    expect_ok(s, "SET k v");
    expect_string(s, "v", "Fetch k");
    expect_error(s, "ERR unknown command 'get'", "get k");
    expect_error(s, "ERR unknown command 'FLUSHALL'", "FLUSHALL");
    expect_error(s, "ERR wrong number of arguments for 'get' command", "FETCH");
    static const char *const wrong[][2] = {{"nothing", "No such command in rename-command"},
                                           {"set", "Target command name already exists"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const char *argv[] = {server_program(OURS, "redis-server"), "--rename-command", wrong[i][0], "get", NULL};
        struct process_result r = process_run(argv, NULL);
        cr_assert_eq(r.exit_code, 1);
        cr_assert(strstr(r.output, wrong[i][1]), "%s", r.output);
        free(r.output);
    }
}

static int oom_score_of(pid_t pid)
{
    char path[64];
    int score;
    snprintf(path, sizeof path, "/proc/%d/oom_score_adj", (int)pid);
    FILE *file = fopen(path, "r");
    cr_assert(file && fscanf(file, "%d", &score) == 1, "%s", path);
    fclose(file);
    return score;
}

/* Only upwards: nobody but root may lower it. */
Test(basic, oom_score_follows_the_role)
{
    struct server *s = server_start(OURS, "oom-score-adj-values 10 20 30");
    int at_start = oom_score_of(s->pid);
    expect_ok(s, "CONFIG SET oom-score-adj yes");
    cr_assert_eq(oom_score_of(s->pid), at_start + 10);
    expect_ok(s, "REPLICAOF 127.0.0.1 1");
    cr_assert_eq(oom_score_of(s->pid), at_start + 20);
    expect_ok(s, "CONFIG SET rdb-key-save-delay 1000000");
    expect_ok(s, "CONFIG SET replica-read-only no");
    expect_ok(s, "SET k v");
    expect_status(s, "Background saving started", "BGSAVE");
    pid_t child = server_snapshot_pid(s);
    wait_until(oom_score_of(child) == at_start + 30);
}

Test(basic, missing_file_stops_the_start)
{
    const char *argv[] = {server_program(OURS, "redis-server"), "/no/such/redis.conf", NULL};
    struct process_result r = process_run(argv, NULL);
    cr_assert_eq(r.exit_code, 1);
    cr_assert(strstr(r.output, "Fatal error, can't open config file '/no/such/redis.conf'"), "%s", r.output);
    free(r.output);
}

Test(basic, arguments_override_the_file)
{
    struct server *s = server_prepare(OURS, "databases 4\nmaxclients 77");
    s->arguments = (const char *const[]){"--databases", "9", "--appendonly", "no", NULL};
    server_launch(s);
    cr_assert_str_eq(config_get(s, "databases"), "9");
    cr_assert_str_eq(config_get(s, "maxclients"), "77");
    expect_ok(s, "SELECT 8");
    expect_error(s, "ERR DB index is out of range", "SELECT 9");
}

Test(basic, include_reads_another_file)
{
    struct server *s = server_prepare(OURS, "%s", "");
    char path[512];
    server_path(s, "more.conf", path);
    FILE *more = fopen(path, "w");
    fputs("databases 3\n", more);
    fclose(more);
    server_add_config(s, "include %s", path);
    server_launch(s);
    cr_assert_str_eq(config_get(s, "databases"), "3");
}

Test(basic, configuration_from_standard_input)
{
    struct server *s = server_prepare(OURS, "%s", "");
    char text[512];
    snprintf(text, sizeof text, "port %d\nbind 127.0.0.1\nsave \"\"\ndatabases 5\n", s->port);
    const char *argv[] = {server_program(OURS, "redis-server"), "-", NULL};
    struct process_options o = {.argv = argv, .dir = s->dir, .log = s->log, .input = text};
    s->pid = process_spawn(&o);
    wait_until(server_log_has(s, 0, "Ready to accept connections"));
    cr_assert_str_eq(config_get(s, "databases"), "5");
}

Test(basic, unix_socket)
{
    struct server *s = server_prepare(OURS, "%s", "");
    char path[512];
    server_path(s, "s", path);
    server_add_config(s, "unixsocket %s\nunixsocketperm 700", path);
    server_launch(s);
    int fd = raw_connect_unix(path);
    cr_assert(fd >= 0);
    raw_send_text(fd, "PING\r\n");
    raw_expect(fd, "+PONG\r\n");
    close(fd);
    server_stop(s);
    cr_assert_neq(access(path, F_OK), 0, "the socket should go with its server");
}

/* As a device is, which a root's server must not remove; what a dead server left is in nobody's way. */
Test(basic, unix_socket_where_something_else_is)
{
    char path[512];
    struct stat found;
    struct server *s = server_prepare(OURS, "%s", "");
    server_path(s, "s", path);
    cr_assert_eq(mkfifo(path, 0600), 0);
    server_add_config(s, "unixsocket %s", path);
    cr_assert_eq(server_launch_in_vain(s), 1);
    cr_assert(server_log_has(s, 0, "Address already in use"));
    cr_assert(stat(path, &found) == 0 && S_ISFIFO(found.st_mode));
    unlink(path);
    server_launch(s);
    server_kill(s);
    cr_assert(stat(path, &found) == 0 && S_ISSOCK(found.st_mode));
    server_launch(s);
    int fd = raw_connect_unix(path);
    cr_assert_geq(fd, 0);
    close(fd);
}

Test(basic, port_0_listens_on_no_port)
{
    struct server *s = server_prepare(OURS, "%s", "");
    char path[512];
    server_path(s, "s", path);
    server_add_config(s, "port 0\nunixsocket %s", path);
    s->unix_socket = path;
    server_launch(s);
    expect_status(s, "PONG", "PING");
    cr_assert_lt(raw_try_connect("127.0.0.1", s->port), 0);
}

Test(basic, ipv6)
{
    struct server *s = server_start(OURS, "bind 127.0.0.1 -::1");
    int fd = raw_try_connect("::1", s->port);
    if (fd < 0) cr_skip_test("this machine has no ::1");
    raw_send_text(fd, "PING\r\n");
    raw_expect(fd, "+PONG\r\n");
    close(fd);
}

Test(basic, address_in_use_stops_the_start)
{
    struct server *first = server_start(OURS, "%s", ""), *second = server_prepare(OURS, "port %d", first->port);
    cr_assert_eq(server_launch_in_vain(second), 1);
    cr_assert(server_log_has(second, 0, "bind: Address already in use"));
    expect_status(first, "PONG", "PING");
}

Test(basic, password)
{
    struct server *s = server_start(OURS, "requirepass secret");
    expect_error(s, "NOAUTH Authentication required.", "GET key");
    expect_error(s, "WRONGPASS invalid username-password pair or user is disabled.", "AUTH wrong");
    expect_ok(s, "AUTH secret");
    expect_nil(s, "GET key");
    expect_ok(s, "AUTH default secret");
    expect_ok(s, "CONFIG SET requirepass \"\"");
}

/* An address of this machine that is not the loopback's; false: it has none. */
static bool outside_address(char out[INET_ADDRSTRLEN])
{
    struct ifaddrs *all;
    bool found = false;
    if (getifaddrs(&all) < 0) return false;
    for (struct ifaddrs *i = all; i && !found; i = i->ifa_next) {
        if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET) continue;
        struct in_addr a = ((struct sockaddr_in *)i->ifa_addr)->sin_addr;
        found = (ntohl(a.s_addr) >> 24) != 127 && inet_ntop(AF_INET, &a, out, INET_ADDRSTRLEN);
    }
    freeifaddrs(all);
    return found;
}

Test(basic, protected_mode)
{
    char address[INET_ADDRSTRLEN];
    if (!outside_address(address)) cr_skip_test("this machine has the loopback interface alone");
    struct server *s = server_start(OURS, "bind *");
    int fd = raw_try_connect(address, s->port);
    if (fd < 0) cr_skip_test("this machine cannot reach its own address");
    size_t len;
    char *said = raw_read_to_end(fd, &len);
    cr_assert(strncmp(said, "-DENIED Redis is running in protected mode", 42) == 0, "%s", said);
    free(said);
    close(fd);
    expect_ok(s, "CONFIG SET protected-mode no");
    fd = raw_try_connect(address, s->port);
    raw_send_text(fd, "PING\r\n");
    raw_expect(fd, "+PONG\r\n");
    close(fd);
}

Test(basic, maxclients)
{
    struct server *s = server_start(OURS, "maxclients 3");
    wait_until(info_number(s, "clients", "connected_clients") == 1); /* who asked whether it is there has left */
    int a = raw_connect(s), b = raw_connect(s);
    raw_send_text(a, "PING\r\n");
    raw_expect(a, "+PONG\r\n");
    raw_send_text(b, "PING\r\n");
    raw_expect(b, "+PONG\r\n");
    int one_too_many = raw_connect(s);
    size_t len;
    char *said = raw_read_to_end(one_too_many, &len);
    cr_assert_str_eq(said, "-ERR max number of clients reached\r\n");
    free(said);
    close(a);
    wait_until(info_number(s, "clients", "connected_clients") == 2);
    int welcome = raw_connect(s);
    raw_send_text(welcome, "PING\r\n");
    raw_expect(welcome, "+PONG\r\n");
    cr_assert_eq(info_number(s, "stats", "rejected_connections"), 1);
}

Test(basic, idle_clients_are_closed)
{
    struct server *s = server_start(OURS, "timeout 1");
    int idle = raw_connect(s), subscriber = raw_connect(s);
    raw_send_text(subscriber, "SUBSCRIBE news\r\n");
    raw_expect(subscriber, "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n");
    wait_until(raw_is_closed(idle));
    cr_assert(!raw_is_closed(subscriber), "a subscriber may be silent for ever");
}

Test(basic, daemon)
{
    struct server *s = server_prepare(OURS, "%s", "");
    char pidfile[512], logfile[512];
    server_path(s, "pid", pidfile);
    server_path(s, "daemon.log", logfile);
    server_add_config(s, "daemonize yes\npidfile %s\nlogfile %s", pidfile, logfile);
    cr_assert_eq(server_launch_in_vain(s), 0, "the starter should end at once");
    wait_until(access(pidfile, R_OK) == 0);
    FILE *file = fopen(pidfile, "r");
    pid_t pid = 0;
    wait_until((rewind(file), fscanf(file, "%d", &pid) == 1));
    fclose(file);
    char port[16];
    snprintf(port, sizeof port, "%d", s->port);
    wait_until(info_is_if_there(s, "server", "tcp_port", port));
    cr_assert_eq(info_number(s, "server", "process_id"), pid);
    kill(pid, SIGTERM);
    wait_until(!process_alive(pid));
    wait_until(access(pidfile, F_OK) < 0);
}

/* As /dev/null is, which a root's server must not remove. */
Test(basic, pidfile_that_is_no_file)
{
    struct server *s = server_prepare(OURS, "%s", "");
    char pidfile[512], text[32] = "";
    server_path(s, "pid", pidfile);
    cr_assert_eq(mkfifo(pidfile, 0600), 0);
    int fd = open(pidfile, O_RDWR | O_CLOEXEC);
    server_add_config(s, "pidfile %s", pidfile);
    server_launch(s);
    cr_assert(read(fd, text, sizeof text - 1) > 0);
    cr_assert_eq(atoi(text), info_number(s, "server", "process_id"));
    server_stop(s);
    struct stat info;
    cr_assert(stat(pidfile, &info) == 0 && S_ISFIFO(info.st_mode));
    close(fd);
}

Test(basic, engine_is_told)
{
    struct server *s = server_start(OURS, "%s", "");
    const char *forced = getenv("SLIPSTREAM_EVENT_LOOP"), *api = info_text(s, "server", "multiplexing_api");
    cr_assert(strcmp(api, "epoll") == 0 || strcmp(api, "io_uring") == 0, "multiplexing_api:%s", api);
    if (forced && strcmp(forced, "auto") != 0) cr_assert_str_eq(api, forced);
}
