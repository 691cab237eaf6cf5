/* redis-server --check-upgrade: what is found lacking, in files and in a running server, and what is not. */
#include "tests/harness/client.h"
#include "tests/harness/fake_master.h"
#include "tests/harness/port.h"
#include "tests/harness/process.h"
#include "tests/harness/raw.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(check_upgrade, .fini = server_finish_all, .timeout = 120);

/* What it says; the text is kept until the test ends. */
static const char *checked(const char *what, int expected_exit)
{
    const char *argv[] = {server_program(OURS, "redis-server"), "--check-upgrade", what, NULL};
    struct process_result result = process_run(argv, NULL);
    cr_assert_eq(result.exit_code, expected_exit, "%s: ends with %d\n%s", what, result.exit_code, result.output);
    return result.output;
}

static void expect_says(const char *said, const char *text)
{
    cr_expect(strstr(said, text), "it does not say '%s', but\n%s", text, said);
}

static void append(const struct server *s, const char *name, const char *data, size_t len)
{
    char path[512];
    server_path(s, name, path);
    FILE *f = fopen(path, "a");
    cr_assert(f && fwrite(data, 1, len, f) == len && fclose(f) == 0, "%s", path);
}

Test(check_upgrade, files_of_redis_load)
{
    struct server *s = server_start(DEBIAN, "appendonly yes");
    fill(s, "key:", 100, 10);
    expect_ok(s, "SET expires v EX 1000");
    expect_ok(s, "SAVE");
    server_stop(s);
    const char *said = checked(s->dir, 0);
    expect_says(said, "dump.rdb: RDB version 0010. 6.2 reads 9 at most");
    expect_says(said, "101 keys, 1 with an expiry: loads");
    expect_says(said, ".incr.aof: 10"); /* 102 commands, or a SELECT more */
    expect_says(said, "Nothing is lacking here");
}

#define UNKNOWN "*2\r\n$4\r\nVADD\r\n$1\r\nx\r\n"

Test(check_upgrade, a_file_with_a_command_that_is_lacking)
{
    struct server *s = server_start(DEBIAN, "appendonly yes");
    fill(s, "key:", 10, 10);
    server_stop(s);
    append(s, "appendonlydir/appendonly.aof.1.incr.aof", UNKNOWN UNKNOWN, sizeof UNKNOWN UNKNOWN - 1);
    const char *said = checked(s->dir, 1);
    expect_says(said, "has the command VADD, which this server does not know");
    expect_says(said, "1 of these things are lacking here");
    append(s, "appendonlydir/appendonly.aof.1.incr.aof", "*2\r\n$4\r\nVA", 11);
    expect_says(checked(s->dir, 1), "is cut or damaged behind offset");
}

Test(check_upgrade, a_file_that_does_not_load)
{
    static const char bad[] = "REDIS0009\xfe\x00\x63\001k\001v\xff"; /* there is no such type */
    struct server *s = server_prepare(OURS, "%s", "");
    append(s, "dump.rdb", bad, sizeof bad - 1);
    expect_says(checked(s->dir, 1), "dump.rdb does not load: ");
    append(s, "other.rdb", bad, 4);
    expect_says(checked(s->dir, 1), "2 of these things are lacking here");
}

Test(check_upgrade, a_server_that_has_nothing_more)
{
    struct server *s = server_start(DEBIAN, "requirepass secret");
    char where[64];
    snprintf(where, sizeof where, "127.0.0.1:%d", s->port);
    checked(where, 2);
    expect_ok(s, "AUTH secret");
    expect_ok(s, "SET k v");
    expect_string(s, "lib", "FUNCTION LOAD %s",
                  "#!lua name=lib\nredis.register_function('f', function() return 1 end)");
    setenv("REDISCLI_AUTH", "secret", 1);
    const char *said = checked(where, 0);
    expect_says(said, "Redis 7.0.15, standalone");
    expect_says(said, "would lose the function libraries");
    unsetenv("REDISCLI_AUTH");
}

/* Plays a server that has more; as Redis 8 tells it. */
Test(check_upgrade, a_server_that_has_more)
{
    static const char info[] = "# Server\r\nredis_version:8.0.6\r\nredis_mode:cluster\r\ncluster_enabled:1\r\n"
                               "cmdstat_vadd:calls=3,usec=1\r\ncmdstat_get:calls=3,usec=1\r\n"
                               "cmdstat_client|nosuch:calls=1,usec=1\r\ncmdstat_vrem:calls=0,usec=1\r\n";
    struct fake_master m;
    char where[64], reply[1024];
    fake_master_open(&m);
    pid_t child = fork();
    if (child == 0) {
        m.fd = accept(m.listener, NULL, NULL);
        raw_skip_past(m.fd, "LIST\r\n");
        raw_send_text(m.fd, "*0\r\n");
        raw_skip_past(m.fd, "LIST\r\n");
        raw_send_text(m.fd, "*1\r\n*4\r\n$4\r\nname\r\n$6\r\nsearch\r\n$3\r\nver\r\n:1\r\n");
        raw_skip_past(m.fd, "all\r\n");
        snprintf(reply, sizeof reply, "$%zu\r\n%s\r\n", sizeof info - 1, info);
        raw_send_text(m.fd, reply);
        free(raw_read_to_end(m.fd, &(size_t){0}));
        _exit(0);
    }
    snprintf(where, sizeof where, "127.0.0.1:%d", m.port);
    const char *said = checked(where, 1);
    expect_says(said, "the module search is loaded");
    expect_says(said, "it is a node of a cluster");
    expect_says(said, "the command vadd (calls=3)");
    expect_says(said, "the command client|nosuch (calls=1)");
    expect_says(said, "4 of these things are lacking here");
    waitpid(child, NULL, 0);
    fake_master_close(&m);
}
