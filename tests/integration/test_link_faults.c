/* Faults around a replica that are nobody's network: a process that hangs, a clock that steps, peers that do not read
 * or take a file alone, snapshots that are refused. One fault a test. */
#include "tests/harness/port.h"
#include "tests/harness/proxy.h"
#include "tests/harness/raw.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Bytes on the wire are the stream's own. */
#define PLAIN "repl-lz4 no\n"

TestSuite(link_faults, .fini = server_finish_all, .timeout = 180);

static long long offset_of(struct server *s)
{
    return info_number(s, "replication", "master_repl_offset");
}

/* --- clocks --- */

/* Ends while the client waits for a key. A wait that is over before it has been seen is followed by another. */
static void begin_wait(struct server *s, int fd)
{
    for (;;) {
        bool waits;
        char byte;
        raw_send_text(fd, "BLPOP nothing 0.3\r\n");
        wait_until((waits = info_number(s, "clients", "blocked_clients") == 1) ||
                   recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1);
        if (waits) return;
        raw_expect(fd, "*-1\r\n");
    }
}

/* An hour back, then two hours forth: neither stops nor hurries anything that is counted in time passed. */
Test(link_faults, a_step_of_the_wall_clock_is_no_passing_of_time)
{
    struct server *master = server_start(OURS, "repl-ping-replica-period 1\nrepl-timeout 30\ntimeout 600");
    struct server *replica = server_start(OURS, "%s", "");
    follow(replica, master);
    wait_in_step(replica, master);
    static const int steps_ms[] = {-3600 * 1000, 7200 * 1000};
    for (int i = 0; i < 2; i++) {
        int waiting = raw_connect(master);
        begin_wait(master, waiting);
        long long lost = info_number(master, "stats", "total_connections_received");
        expect_ok(master, "DEBUG STEP-WALL-CLOCK %d", steps_ms[i]);
        expect_ok(replica, "DEBUG STEP-WALL-CLOCK %d", steps_ms[i]);
        long long before = offset_of(master);
        wait_until(offset_of(master) > before); /* a ping */
        raw_expect(waiting, "*-1\r\n");
        close(waiting);
        expect_ok(master, "CLIENT PAUSE 50 WRITE");
        expect_ok(master, "SET k %d", i); /* held, then done */
        expect_integer(master, 1, "WAIT 1 %d", PATIENCE_MS);
        long long idle_s = command_integer(master, "OBJECT IDLETIME k");
        cr_assert(idle_s >= 0 && idle_s < 600, "IDLETIME %lld", idle_s);
        wait_in_step(replica, master);
        cr_assert_eq(info_number(master, "stats", "total_connections_received"), lost, "a link was lost");
        cr_assert_lt(info_number(replica, "replication", "master_last_io_seconds_ago"), 600);
        cr_assert_geq(info_number(replica, "replication", "master_last_io_seconds_ago"), 0);
        const char *clients = command_text(master, "CLIENT LIST TYPE replica");
        cr_assert_lt(atoi(strstr(clients, "age=") + 4), 600);
    }
}

/* --- who waits for a key of a replica --- */

static const char unblocked[] = "-UNBLOCKED force unblock from blocking operation, instance state changed "
                                "(master -> replica?)\r\n";

/* Another master: whoever waits is told so and let go, as Debian's server does it. */
static void lets_waiting_clients_go(enum server_kind kind)
{
    struct server *first = server_start(OURS, "%s", ""), *second = server_start(OURS, "%s", "");
    struct server *replica = server_start(kind, "%s", "");
    follow(replica, first);
    wait_in_step(replica, first);
    int waiting = raw_connect(replica);
    raw_send_text(waiting, "XREAD BLOCK 0 STREAMS s 0\r\n");
    wait_until(info_number(replica, "clients", "blocked_clients") == 1);
    follow(replica, second);
    raw_expect(waiting, unblocked);
    wait_until(raw_is_closed(waiting));
    close(waiting);
}

Test(link_faults, another_master_lets_waiting_clients_go)
{
    lets_waiting_clients_go(OURS);
    lets_waiting_clients_go(DEBIAN);
}

/* The same master with other data: what it brings is served, once it is all there. */
static void serves_what_a_full_sync_brings(const char *replica_config)
{
    struct server *master = server_start(OURS, "repl-backlog-size 16kb");
    struct server *replica = server_start(OURS, "%s", replica_config);
    struct proxy *proxy = proxy_start(master->port);
    expect_ok(master, "SET old 1");
    follow_port(replica, proxy_port(proxy));
    wait_in_step(replica, master);
    int waiting = raw_connect(replica);
    raw_send_text(waiting, "XREAD BLOCK 0 STREAMS s 0\r\n");
    wait_until(info_number(replica, "clients", "blocked_clients") == 1);
    proxy_cut(proxy);
    wait_until(info_number(master, "replication", "connected_slaves") == 0);
    expect_string(master, "1-1", "XADD s 1-1 f v");
    fill(master, "overrun:", 500, 1000);
    proxy_heal(proxy);
    raw_expect(waiting, "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-1\r\n");
    expect_same_data(replica, master);
    cr_assert_eq(sync_counts(master).full, 2);
    close(waiting);
    proxy_stop(proxy);
}

Test(link_faults, a_full_sync_serves_who_waits_for_what_it_brings)
{
    serves_what_a_full_sync_brings("");
    serves_what_a_full_sync_brings("repl-diskless-load swapdb");
}

/* A client that watches a key and stands in MULTI. */
static int transaction_that_watches(struct server *s, const char *key)
{
    int fd = raw_connect(s);
    char *text = NULL;
    cr_assert_gt(asprintf(&text, "WATCH %s\r\nMULTI\r\nPING\r\n", key), 0);
    raw_send_text(fd, text);
    raw_expect(fd, "+OK\r\n+OK\r\n+QUEUED\r\n");
    free(text);
    return fd;
}

static void expect_exec(int fd, const char *answer)
{
    raw_send_text(fd, "EXEC\r\n");
    raw_expect(fd, answer);
    close(fd);
}

static void breaks_transactions(enum server_kind kind, const char *replica_config)
{
    struct server *master = server_start(kind, "%s", "");
    struct server *replica = server_start(kind, "%s", replica_config);
    expect_ok(master, "SET both 1");
    expect_ok(replica, "MSET both 1 old 1");
    int both = transaction_that_watches(replica, "both"), old = transaction_that_watches(replica, "old");
    int none = transaction_that_watches(replica, "none");
    follow(replica, master);
    wait_in_step(replica, master);
    expect_exec(both, "*-1\r\n");
    expect_exec(old, "*-1\r\n");
    expect_exec(none, "*1\r\n+PONG\r\n");
}

Test(link_faults, a_full_sync_breaks_transactions_that_watch_what_it_removes)
{
    breaks_transactions(OURS, "");
    breaks_transactions(OURS, "repl-diskless-load swapdb");
    breaks_transactions(DEBIAN, "");
}

/* --- a loader that is slowed down --- */

static void loads_slowly(int old_keys, const char *replica_config)
{
    struct server *master = server_start(OURS, "%s", "");
    struct server *replica = server_start(OURS, "key-load-delay 200\n%s", replica_config);
    fill(master, "key:", 2000, 100);
    if (old_keys) fill(replica, "old:", old_keys, 10);
    follow(replica, master);
    expect_same_data(replica, master);
    cr_assert_eq(sync_counts(master).full, 1);
}

Test(link_faults, a_slowed_down_load_comes_to_its_end)
{
    loads_slowly(10, "");
    loads_slowly(10, "repl-diskless-load swapdb");
    loads_slowly(0, "");
}

/* --- a link that hangs --- */

/* It is there and does nothing: replicas would look online for ever, and pin the stream. */
Test(link_faults, a_link_that_hangs_is_replaced)
{
    struct server *master = server_start(OURS, "client-output-buffer-limit replica 8mb 0 0\nrepl-lz4 no");
    struct server *replica = server_start(OURS, "%s", "");
    follow(replica, master);
    wait_in_step(replica, master);
    struct sync_counts counts = sync_counts(master);
    pid_t link = server_link_pid(master);
    kill(link, SIGSTOP);
    expect_ok(master, "SET k 1");
    server_wait_log(master, 0, "has stopped: no sign of life");
    wait_until(!process_alive(link));
    expect_same_data(replica, master);
    expect_syncs(master, counts, 0, 1);
}

/* Neither the stopped link nor the descriptors' end may abort the master or make it wait. */
Test(link_faults, a_link_that_hangs_and_no_descriptor_left)
{
    struct server *master = server_start(OURS, "repl-backlog-size 1mb\nclient-output-buffer-limit replica 0 0 0");
    struct server *replica = server_start(OURS, "repl-timeout 4");
    follow(replica, master);
    wait_in_step(replica, master);
    struct rlimit before, starved = {3, 3};
    cr_assert_eq(prlimit(master->pid, RLIMIT_NOFILE, NULL, &before), 0);
    starved.rlim_max = before.rlim_max;
    kill(server_link_pid(master), SIGSTOP);
    cr_assert_eq(prlimit(master->pid, RLIMIT_NOFILE, &starved, NULL), 0);
    fill(master, "key:", 30, 100000);
    cr_assert_eq(info_number(master, "replication", "connected_slaves"), 1);
    server_wait_log(master, 0, "The replication stream cannot be shared any more");
    wait_until(info_number(master, "replication", "connected_slaves") == 0);
    cr_assert_eq(prlimit(master->pid, RLIMIT_NOFILE, &before, NULL), 0);
    fill(master, "later:", 10, 1000);
    expect_same_data(replica, master);
}

/* --- the program's file --- */

/* A server of which somebody has replaced the file (an upgrade) or taken it away goes on with what it is. */
Test(link_faults, the_link_is_the_running_program_whatever_became_of_its_file)
{
    struct server *master = server_prepare(OURS, "%s", ""), *replica = server_start(OURS, "%s", "");
    char program[512], other[512];
    server_path(master, "redis-server", program);
    server_path(master, "other", other);
    const char *copy[] = {"/bin/cp", server_program(OURS, "redis-server"), program, NULL};
    cr_assert_eq(process_run(copy, NULL).exit_code, 0);
    master->program = program;
    server_launch(master);
    FILE *f = fopen(other, "w");
    fputs("#!/bin/sh\nexit 1\n", f);
    fclose(f);
    cr_assert_eq(rename(other, program), 0);
    follow(replica, master);
    expect_same_data(replica, master);
    cr_assert_eq(unlink(program), 0);
    kill(server_link_pid(master), SIGKILL);
    wait_until(sync_counts(master).partial > 0);
    expect_same_data(replica, master);
}

/* --- who takes a file alone --- */

/* redis-cli --rdb with a server; its file. */
static void take_file(struct server *s, struct server *into, const char *name)
{
    char port[16], path[512];
    snprintf(port, sizeof port, "%d", s->port);
    server_path(into, name, path);
    const char *argv[] = {server_program(DEBIAN, "redis-cli"), "-p", port, "--rdb", path, NULL};
    struct process_result result = process_run(argv, NULL);
    if (result.exit_code != 0) harness_fail("redis-cli --rdb: %s", result.output);
    free(result.output);
}

static long file_bytes(struct server *s, const char *name)
{
    char path[512];
    struct stat status;
    server_path(s, name, path);
    cr_assert_eq(stat(path, &status), 0);
    return (long)status.st_size;
}

/* A spool that was made for a replica is still there: what was written since must be in the backup all the same. */
static void backup_is_as_fresh_as_its_request(const char *config)
{
    struct server *master = server_start(OURS, "%s", config), *replica = server_start(OURS, "%s", "");
    follow(replica, master);
    wait_in_step(replica, master);
    expect_ok(master, "SET written-before-the-backup 1");
    struct server *restored = server_prepare(OURS, "%s", "");
    take_file(master, restored, "dump.rdb");
    server_launch(restored);
    expect_string(restored, "1", "GET written-before-the-backup");
    wait_in_step(replica, master);
    cr_assert_eq(sync_counts(master).full, 2);
}

Test(link_faults, a_backup_is_as_fresh_as_its_request)
{
    backup_is_as_fresh_as_its_request("");
    backup_is_as_fresh_as_its_request("repl-diskless-sync yes");
}

/* Reads until the text has come, whatever stands before it. */
static void expect_within(int fd, const char *text)
{
    static char kept[1 << 16];
    size_t len = 0, text_len = strlen(text);
    while (!memmem(kept, len, text, text_len)) {
        struct pollfd readable = {.fd = fd, .events = POLLIN};
        if (len == sizeof kept) {
            memmove(kept, kept + len - text_len, text_len);
            len = text_len;
        }
        if (poll(&readable, 1, PATIENCE_MS) != 1) harness_fail("waited in vain for '%s'", text);
        ssize_t got = recv(fd, kept + len, sizeof kept - len, 0);
        if (got <= 0) harness_fail("the connection ended before '%s'", text);
        len += (size_t)got;
    }
}

/* An older tool that knows no rdb-only asks with a bare SYNC. */
Test(link_faults, a_bare_sync_is_as_fresh_as_its_request)
{
    struct server *master = server_start(OURS, "%s", "");
    for (int i = 0; i < 2; i++) {
        char in_file[32];
        snprintf(in_file, sizeof in_file, "written-before-%d\xC0\x01", i); /* the number 1, as a file has it */
        expect_ok(master, "SET written-before-%d 1", i);
        int fd = raw_connect(master);
        raw_send_text(fd, "SYNC\r\n");
        expect_within(fd, in_file);
        close(fd);
    }
}

/* Nothing of the stream waits for one who takes the file alone, however slowly, so there is no limit for him to meet;
 * and the last spool is for those who follow. */
Test(link_faults, slow_backups_pin_nothing_and_keep_nobody_out)
{
    struct server *master = server_start(OURS, PLAIN "rdbcompression no\nrepl-backlog-size 64kb\n"
                                                     "client-output-buffer-limit replica 2mb 0 0");
    struct server *replica = server_start(OURS, "%s", "");
    enum { SLOW = 6 };
    int slow[SLOW];
    fill(master, "key:", 300, 100000); /* more than sockets hold */
    for (int i = 0; i < SLOW; i++) {
        slow[i] = raw_connect(master);
        raw_send_text(slow[i], "REPLCONF rdb-only 1\r\n");
        raw_expect(slow[i], "+OK\r\n");
        raw_send_text(slow[i], i % 2 ? "PSYNC ? -1\r\n" : "SYNC\r\n");
        wait_until(info_number(master, "replication", "connected_slaves") == i + 1);
    }
    follow(replica, master);
    expect_same_data(replica, master);
    for (int i = 0; i < 8; i++) {
        fill(master, "key:", 30, 20000);
        wait_in_step(replica, master); /* who follows is never far behind */
    }
    cr_assert_eq(info_number(master, "replication", "connected_slaves"), SLOW + 1);
    cr_assert_eq(info_number(master, "stats", "client_output_buffer_limit_disconnections"), 0);
    cr_assert_lt(info_number(master, "memory", "mem_replication_backlog"), 4 << 20);
    for (int i = 0; i < SLOW; i++) close(slow[i]);
    wait_until(info_number(master, "replication", "connected_slaves") == 1);
}

/* Files that are kept for whoever may come are given up for who is there. */
Test(link_faults, backups_in_a_row_do_not_wait_for_each_other)
{
    struct server *master = server_start(OURS, "repl-timeout 3600\n");
    for (int i = 0; i < 6; i++) {
        expect_ok(master, "SET k%d v", i);
        take_file(master, master, "backup.rdb");
    }
}

/* What redis-cli --rdb takes is packed as rdbcompression says. */
Test(link_faults, a_backup_is_compressed_as_configured)
{
    struct server *master = server_start(OURS, "%s", "");
    expect_ok(master, "SET packs-well %s",
              "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
    expect_integer(master, 1000000, "SETRANGE large 999999 x");
    take_file(master, master, "packed.rdb");
    cr_assert_lt(file_bytes(master, "packed.rdb"), 50000);
    expect_ok(master, "CONFIG SET rdbcompression no");
    take_file(master, master, "plain.rdb");
    cr_assert_gt(file_bytes(master, "plain.rdb"), 1000000);
}

/* As Redis does it: who has not read what he is owed becomes no replica, and pins nothing while he does not. */
static void refuses_to_sync_who_does_not_read(enum server_kind kind)
{
    struct server *s = server_start(kind, "%s", "");
    fill(s, "key:", 1, 1000000);
    int fd = raw_connect(s);
    for (int i = 0; i < 20; i++) raw_send_text(fd, "GET key:0\r\n");
    raw_send_text(fd, "PSYNC ? -1\r\nPING\r\n");
    expect_within(fd, "-ERR SYNC and PSYNC are invalid with pending output\r\n+PONG\r\n");
    cr_assert_eq(info_number(s, "replication", "connected_slaves"), 0);
    close(fd);
}

Test(link_faults, who_does_not_read_becomes_no_replica)
{
    refuses_to_sync_who_does_not_read(OURS);
    refuses_to_sync_who_does_not_read(DEBIAN);
}

/* --- WAIT for replicas that are not there yet --- */

/* Who is here has said that it has everything. */
static bool first_replica_is_done(struct server *master)
{
    char wanted[64];
    snprintf(wanted, sizeof wanted, ",offset=%lld,", info_number(master, "replication", "master_repl_offset"));
    return strstr(info_text(master, "replication", "slave0"), wanted) != NULL;
}

static void wait_counts_who_comes_later(struct server *master)
{
    int fd = raw_connect(master);
    for (int wanted = 1; wanted <= 2; wanted++) {
        char command[64], reply[32];
        snprintf(command, sizeof command, "SET key %d\r\nWAIT %d 0\r\n", wanted, wanted);
        snprintf(reply, sizeof reply, "+OK\r\n:%d\r\n", wanted);
        raw_send_text(fd, command);
        wait_until(info_number(master, "clients", "blocked_clients") == 1);
        if (wanted == 2) wait_until(first_replica_is_done(master));
        follow(server_start(OURS, "%s", ""), master);
        raw_expect(fd, reply);
    }
    close(fd);
}

Test(link_faults, wait_counts_replicas_that_come_later)
{
    wait_counts_who_comes_later(server_start(DEBIAN, "repl-diskless-sync-delay 0"));
    wait_counts_who_comes_later(server_start(OURS, PLAIN));
}

/* --- snapshots that are refused --- */

/* As an older replica does it that does not know our version: it sees the snapshot's head and is back at once. */
Test(link_faults, a_replica_that_refuses_its_snapshot_is_not_served_in_a_hurry)
{
    struct server *master = server_start(OURS, PLAIN);
    int64_t started_ms = clock_ms();
    enum { ATTEMPTS = 5 };
    for (int i = 0; i < ATTEMPTS; i++) {
        int fd = raw_connect(master);
        raw_send_text(fd, "REPLCONF listening-port 1234 capa eof capa psync2\r\n");
        raw_expect(fd, "+OK\r\n");
        raw_send_text(fd, "PSYNC ? -1\r\n");
        expect_within(fd, "REDIS00");
        close(fd);
        wait_until(info_number(master, "replication", "connected_slaves") == 0);
    }
    cr_assert_geq(clock_ms() - started_ms, 0 + 100 + 200 + 400, "it was served without a pause");
    server_wait_log(master, 0, "Replica 127.0.0.1:1234 has not taken over its snapshot in RDB version 9, of which");
    server_wait_log(master, 0, "Replica 127.0.0.1:1234 waits for its snapshot: it has not taken over the last ones");
    struct server *replica = server_start(OURS, "%s", ""); /* others are not meant */
    follow(replica, master);
    expect_same_data(replica, master);
}

static int listen_on(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)), 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(listen(fd, 8), 0);
    return fd;
}

/* A stream that breaks behind each full synchronisation would cost the master one after the other. */
Test(link_faults, our_replica_does_not_ask_for_a_broken_stream_in_a_hurry)
{
    static const char dataset[] = "$18\r\nREDIS0009\xff\0\0\0\0\0\0\0\0*broken\r\n";
    struct server *replica = server_start(OURS, "%s", "");
    int port = port_reserve(), listener = listen_on(port);
    int64_t started_ms = clock_ms();
    follow_port(replica, port);
    for (int i = 0; i < 3; i++) {
        size_t len;
        int fd = accept(listener, NULL, NULL);
        raw_send_text(fd, "+PONG\r\n+OK\r\n+OK\r\n+OK\r\n");
        expect_within(fd, "PSYNC");
        raw_send_text(fd, "+FULLRESYNC 0123456789012345678901234567890123456789 7\r\n");
        raw_send(fd, dataset, sizeof dataset - 1);
        free(raw_read_to_end(fd, &len));
        close(fd);
    }
    cr_assert_geq(clock_ms() - started_ms, 500 + 1000, "it came back without a pause");
    server_wait_log(replica, 0, "Our master's stream cannot be followed behind offset 7: protocol error");
    close(listener);
}

/* And our own replica says why it does not take what its master sends. */
Test(link_faults, our_replica_says_why_it_refuses_a_snapshot)
{
    struct server *replica = server_start(OURS, "%s", "");
    int port = port_reserve(), listener = listen_on(port);
    follow_port(replica, port);
    for (int i = 0; i < 2; i++) {
        size_t len;
        int fd = accept(listener, NULL, NULL);
        raw_send_text(fd, "+PONG\r\n+OK\r\n+OK\r\n+OK\r\n");
        expect_within(fd, "PSYNC");
        raw_send_text(fd, "+FULLRESYNC 0123456789012345678901234567890123456789 7\r\n$100\r\nREDIS0099");
        free(raw_read_to_end(fd, &len));
        close(fd);
    }
    server_wait_log(replica, 0, "Rejected RDB version 99 from MASTER after");
    close(listener);
}
