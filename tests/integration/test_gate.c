/* What is asked before a command may run, and what others see of it: transactions that may not run, pauses, the memory
 * limit without a command, MONITOR. */
#include "tests/harness/client.h"
#include "tests/harness/raw.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

TestSuite(gate, .fini = server_finish_all, .timeout = 120);

/* --- transactions --- */

/* Another client changes the server's state between the queueing and EXEC. */
static void expect_aborted(struct server *s, const char *queued, const char *change, const char *undo,
                           const char *reason)
{
    char wanted[256];
    int fd = raw_connect(s);
    raw_send_text(fd, "MULTI\r\n");
    raw_expect(fd, "+OK\r\n");
    raw_send_text(fd, queued);
    raw_expect(fd, "+QUEUED\r\n");
    expect_ok(s, change);
    raw_send_text(fd, "EXEC\r\n");
    snprintf(wanted, sizeof wanted, "-EXECABORT Transaction discarded because of: %s\r\n", reason);
    raw_expect(fd, wanted);
    raw_send_text(fd, "EXEC\r\n");
    raw_expect(fd, "-ERR EXEC without MULTI\r\n");
    expect_ok(s, undo);
    close(fd);
}

Test(gate, a_transaction_that_may_not_run_is_discarded)
{
    struct server *s = server_start(OURS, "replica-serve-stale-data no\nmaxmemory-policy noeviction");
    expect_ok(s, "SET n 1");
    expect_aborted(s, "INCR n\r\n", "CONFIG SET min-replicas-to-write 2", "CONFIG SET min-replicas-to-write 0",
                   "NOREPLICAS Not enough good replicas to write.");
    expect_aborted(s, "SET n 2\r\n", "CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0",
                   "OOM command not allowed when used memory > 'maxmemory'.");
    expect_aborted(s, "INCR n\r\n", "REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE",
                   "READONLY You can't write against a read only replica.");
    expect_aborted(s, "GET n\r\n", "REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE",
                   "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.");
    expect_string(s, "1", "GET n");
    expect_ok(s, "MULTI");
    expect_error(s, "EXECABORT Transaction discarded because of: wrong number of arguments for 'exec'", "EXEC now");
    expect_error(s, "ERR DISCARD without MULTI", "DISCARD");
}

Test(gate, a_transaction_runs_on_what_all_its_commands_may)
{
    struct server *s = server_start(OURS, "replica-serve-stale-data no");
    int fd = raw_connect(s);
    raw_send_text(fd, "MULTI\r\nINFO nothing\r\n");
    raw_expect(fd, "+OK\r\n+QUEUED\r\n");
    expect_ok(s, "REPLICAOF 127.0.0.1 1");
    raw_send_text(fd, "EXEC\r\n");
    raw_expect(fd, "*1\r\n$0\r\n\r\n");
    close(fd);
}

Test(gate, queueing_stops_when_memory_is_over_its_limit)
{
    struct server *s = server_start(OURS, "maxmemory-policy noeviction");
    expect_ok(s, "MULTI");
    int fd = raw_connect(s);
    raw_send_text(fd, "CONFIG SET maxmemory 1\r\n");
    raw_expect(fd, "+OK\r\n");
    expect_error(s, "OOM command not allowed when used memory > 'maxmemory'.", "GET n");
    expect_error(s, "EXECABORT Transaction discarded because of previous errors.", "EXEC");
    expect_nil(s, "GET n");
    close(fd);
}

Test(gate, subscribing_is_allowed_inside_a_transaction)
{
    struct server *s = server_start(OURS, "%s", "");
    int fd = raw_connect(s);
    raw_send_text(fd, "MULTI\r\nSUBSCRIBE news\r\nEXEC\r\n");
    raw_expect(fd, "+OK\r\n+QUEUED\r\n*1\r\n*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n");
    close(fd);
}

/* --- pauses --- */

Test(gate, a_pause_of_writes_holds_what_may_replicate)
{
    static const char *const held[] = {"SET k v\r\n", "PFCOUNT h\r\n", "PUBLISH news x\r\n"};
    static const char *const answers[] = {"+OK\r\n", ":2\r\n", ":0\r\n"};
    struct server *s = server_start(OURS, "%s", "");
    int fds[3];
    expect_integer(s, 1, "PFADD h a b");
    expect_ok(s, "CLIENT PAUSE 100000 WRITE");
    for (int i = 0; i < 3; i++) {
        fds[i] = raw_connect(s);
        raw_send_text(fds[i], held[i]);
        wait_until(info_number(s, "clients", "blocked_clients") == i + 1);
    }
    expect_nil(s, "GET k");
    expect_ok(s, "CLIENT UNPAUSE");
    for (int i = 0; i < 3; i++) {
        raw_expect(fds[i], answers[i]);
        close(fds[i]);
    }
}

Test(gate, nothing_expires_or_is_evicted_during_a_pause)
{
    struct server *s = server_start(OURS, "maxmemory-policy allkeys-random");
    expect_ok(s, "DEBUG SET-ACTIVE-EXPIRE 0"); /* until the pause has begun */
    expect_ok(s, "SET short-lived v PX 20");
    expect_ok(s, "SET k v");
    expect_ok(s, "CLIENT PAUSE 100000 WRITE");
    expect_ok(s, "DEBUG SET-ACTIVE-EXPIRE 1");
    expect_ok(s, "CONFIG SET maxmemory 1");
    wait_until(command_integer(s, "EXISTS short-lived") == 0);
    expect_integer(s, 2, "DBSIZE");
    cr_assert_eq(info_number(s, "stats", "expired_keys"), 0);
    expect_string(s, "v", "GET k");
    expect_ok(s, "CONFIG SET maxmemory 0");
    expect_ok(s, "CLIENT UNPAUSE");
    wait_until(info_number(s, "stats", "expired_keys") == 1);
}

/* --- the memory limit --- */

Test(gate, a_lower_memory_limit_evicts_at_once)
{
    struct server *s = server_start(OURS, "maxmemory-policy allkeys-lru\nnotify-keyspace-events Ee");
    int fd = raw_connect(s);
    expect_ok(s, "SET k v");
    raw_send_text(fd, "SUBSCRIBE __keyevent@0__:evicted\r\n");
    raw_expect(fd, "*3\r\n$9\r\nsubscribe\r\n$22\r\n__keyevent@0__:evicted\r\n:1\r\n");
    expect_ok(s, "CONFIG SET maxmemory 1");
    /* No command was needed for it. */
    raw_expect(fd, "*3\r\n$7\r\nmessage\r\n$22\r\n__keyevent@0__:evicted\r\n$1\r\nk\r\n");
    close(fd);
}

/* --- MONITOR --- */

/* The next line, which begins with a time and an address. */
static void expect_shown(int fd, const char *words)
{
    char line[512];
    size_t len = 0, wanted = strlen(words);
    do {
        cr_assert_lt(len, sizeof line - 1);
        cr_assert_eq(read(fd, line + len, 1), 1);
    } while (line[len++] != '\n');
    line[len - 2] = 0;
    cr_assert(len - 2 > wanted && strcmp(line + len - 2 - wanted, words) == 0, "%s, not %s", line, words);
}

Test(gate, monitors_see_commands_in_the_order_of_their_effects_and_no_secrets)
{
    struct server *s = server_start(OURS, "%s", "");
    int fd = raw_connect(s), other = raw_connect(s);
    raw_send_text(fd, "MONITOR\r\n");
    raw_expect(fd, "+OK\r\n");
    raw_send_text(other, "AUTH default hidden\r\nHELLO 2 AUTH default hidden SETNAME me\r\n"
                         "MIGRATE 127.0.0.1 1 k 0 100 AUTH2 me hidden\r\n"
                         "MULTI\r\nSET k v\r\nEXEC\r\nEXEC now\r\n");
    expect_shown(fd, "\"AUTH\" \"(redacted)\" \"(redacted)\"");
    expect_shown(fd, "\"HELLO\" \"2\" \"AUTH\" \"(redacted)\" \"(redacted)\" \"SETNAME\" \"me\"");
    expect_shown(fd, "\"100\" \"AUTH2\" \"(redacted)\" \"(redacted)\"");
    expect_shown(fd, "\"MULTI\"");
    expect_shown(fd, "\"SET\" \"k\" \"v\"");
    expect_shown(fd, "\"EXEC\"");
    expect_shown(fd, "\"EXEC\" \"now\"");
    raw_send_text(fd, "RESET\r\n");
    raw_expect(fd, "+RESET\r\n");
    close(fd);
    close(other);
}
