/* Who waits for the append-only file's disk: WAITAOF, the answers that appendfsync always holds back, and everybody
 * where the disk is full or slow. */
#include "tests/harness/append_only.h"
#include "tests/harness/raw.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

TestSuite(append_only_disk, .fini = server_finish_all, .timeout = 180);

/* --- who waits --- */

Test(append_only_disk, waitaof_says_what_is_on_which_disk)
{
    struct server *s = server_start(OURS, "appendonly yes\nappendfsync everysec"),
                  *without = server_start(OURS, "appendonly no");
    expect_ok(s, "SET a 1");
    redisReply *r = command(s, "WAITAOF 1 0 0");
    cr_assert_eq(r->elements, 2);
    cr_expect_eq(r->element[0]->integer, 1);
    cr_expect_eq(r->element[1]->integer, 0);
    freeReplyObject(r);
    expect_error(s, "ERR value is out of range, value must between 0 and 1", "WAITAOF 2 0 0");
    expect_error(s, "ERR value is out of range, must be positive", "WAITAOF 1 -1 0");
    expect_error(s, "ERR timeout is negative", "WAITAOF 1 0 -1");
    expect_error(without, "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.",
                 "WAITAOF 1 0 0");
    r = command(without, "WAITAOF 0 1 20");
    cr_expect_eq(r->element[0]->integer, 0);
    cr_expect_eq(r->element[1]->integer, 0);
    freeReplyObject(r);
    follow(without, s);
    wait_in_step(without, s);
    expect_error(without, "ERR WAITAOF cannot be used with replica instances.", "WAITAOF 0 0 0");
}

Test(append_only_disk, waitaof_counts_the_disks_of_replicas)
{
    struct server *master = server_start(OURS, "appendonly yes"), *with = server_start(OURS, "appendonly yes");
    struct server *debian = server_start(DEBIAN, "appendonly yes");
    follow(with, master);
    wait_in_step(with, master);
    wait_until(info_number(with, "persistence", "aof_rewrites") >= 1 && aof_is_idle(with));
    expect_ok(master, "SET a 1");
    redisReply *r = command(master, "WAITAOF 1 1 20000");
    cr_expect_eq(r->element[0]->integer, 1);
    cr_expect_eq(r->element[1]->integer, 1);
    freeReplyObject(r);
    /* 7.0 says nothing of its disk. */
    follow(debian, master);
    wait_in_step(debian, master);
    expect_ok(master, "SET b 1");
    r = command(master, "WAITAOF 0 1 20000");
    cr_expect_eq(r->element[1]->integer, 1);
    freeReplyObject(r);
    r = command(master, "WAITAOF 0 2 100");
    cr_expect_eq(r->element[1]->integer, 1);
    freeReplyObject(r);
}

Test(append_only_disk, waitaof_ends_with_the_file)
{
    struct server *s = server_start(OURS, "appendonly yes\nappendfsync no");
    int fd = raw_connect(s);
    raw_send_text(fd, "SET a 1\r\nWAITAOF 1 1 0\r\n");
    raw_expect(fd, "+OK\r\n");
    wait_until(info_number(s, "clients", "blocked_clients") == 1);
    expect_ok(s, "CONFIG SET appendonly no");
    raw_expect(fd, "-ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.\r\n");
    close(fd);
}

static long long on_disks_of_replicas(struct server *master, int timeout_ms)
{
    redisReply *r = command(master, "WAITAOF 0 1 %d", timeout_ms);
    long long count = r->elements == 2 ? r->element[1]->integer : -1;
    freeReplyObject(r);
    return count;
}

/* The snapshot that one gets was begun for the one before, and so is older than what is waited for: the stream that
 * makes up for its age is the resync's, and not left to the policy. */
static void switch_masters(const char *fsync)
{
    struct server *masters[2], *replicas[2];
    for (int i = 0; i < 2; i++) {
        masters[i] = server_start(OURS, "appendonly yes\nappendfsync always");
        replicas[i] = server_start(OURS, "appendonly yes\nappendfsync always");
        follow(replicas[i], masters[i]);
        wait_in_step(replicas[i], masters[i]);
        freeReplyObject(command(replicas[i], "CONFIG SET appendfsync %s", fsync));
        freeReplyObject(command(masters[i], "SET of %d", i));
    }
    struct sync_counts before = sync_counts(masters[0]);
    for (int i = 0; i < 2; i++) follow(replicas[i], masters[1 - i]);
    for (int i = 0; i < 2; i++) wait_in_step(replicas[i], masters[1 - i]); /* who was there before is gone, too */
    for (int i = 0; i < 2; i++) cr_expect_eq(on_disks_of_replicas(masters[i], 20000), 1, "%s", fsync);
    expect_syncs(masters[0], before, 1, 0);
    expect_string(replicas[0], "1", "GET of");
    expect_string(replicas[1], "0", "GET of");
    expect_ok(masters[0], "SET behind 1");
    long long wanted = strcmp(fsync, "no") != 0;
    cr_expect_eq(on_disks_of_replicas(masters[0], wanted ? 20000 : 100), wanted, "%s", fsync);
}

Test(append_only_disk, a_full_resync_is_durable_with_always)
{
    switch_masters("always");
}

Test(append_only_disk, a_full_resync_is_durable_with_everysec)
{
    switch_masters("everysec");
}

Test(append_only_disk, a_full_resync_is_durable_with_no)
{
    switch_masters("no");
}

Test(append_only_disk, a_full_resync_is_durable_where_its_journal_dies)
{
    struct server *master = server_start(OURS, "appendonly yes"), *first = server_start(OURS, "appendonly no"),
                  *second = server_start(OURS, "appendonly yes\nappendfsync no");
    follow(first, master);
    wait_in_step(first, master);
    expect_ok(master, "SET a 1");
    follow(second, master);
    wait_in_step(second, master);
    pid_t journal = server_wait_journal(second);
    if (journal > 0) kill(journal, SIGKILL);
    cr_expect_eq(on_disks_of_replicas(master, 20000), 1);
}

/* The answer was held until the disk had it. */
Test(append_only_disk, appendfsync_counts_from_the_next_write_on)
{
    struct server *s = server_start(OURS, "appendonly yes\nappendfsync no");
    for (int i = 0; i < 5; i++) {
        expect_ok(s, "CONFIG SET appendfsync no");
        expect_ok(s, "SET a 1");
        expect_ok(s, "CONFIG SET appendfsync always");
        expect_ok(s, "SET a 2");
        expect_ok(s, "MULTI");
        freeReplyObject(command(s, "WAITAOF 1 0 0"));
        redisReply *r = command(s, "EXEC");
        cr_assert_eq(r->elements, 1);
        cr_assert_eq(r->element[0]->elements, 2);
        cr_expect_eq(r->element[0]->element[0]->integer, 1);
        freeReplyObject(r);
    }
}

/* --- a disk that does not keep up --- */

/* Stopped, so that nothing becomes durable until it is let go on. */
static pid_t freeze_journal(struct server *s)
{
    pid_t journal = server_wait_journal(s);
    cr_assert_gt(journal, 0);
    kill(journal, SIGSTOP);
    return journal;
}

static bool can_be_read(int fd)
{
    char byte;
    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

Test(append_only_disk, with_always_an_answer_waits_for_the_disk)
{
    struct server *s = server_start(OURS, "appendonly yes\nappendfsync always");
    int writer = raw_connect(s), reader = raw_connect(s), leaving = raw_connect(s);
    raw_send_text(writer, "SET a 1\r\n");
    raw_expect(writer, "+OK\r\n");
    raw_send_text(reader, "GET a\r\n");
    raw_expect(reader, "$1\r\n1\r\n");
    uint64_t commands = (uint64_t)info_number(s, "stats", "total_commands_processed");
    pid_t journal = freeze_journal(s);
    raw_send_text(writer, "SET a 2\r\nDEBUG LOG has-written\r\n");
    raw_send_text(leaving, "SET b 2\r\nQUIT\r\n");
    server_wait_log(s, 0, "has-written");
    /* The server runs them, and what others see of them waits as well. */
    raw_send_text(reader, "GET a\r\nDEBUG LOG has-read\r\n");
    server_wait_log(s, 0, "has-read");
    server_wait_log(s, 0, "The journal (pid ");
    cr_expect_not(can_be_read(writer));
    cr_expect_not(can_be_read(reader));
    cr_expect_not(can_be_read(leaving));
    kill(journal, SIGCONT);
    raw_expect(writer, "+OK\r\n+OK\r\n");
    raw_expect(reader, "$1\r\n2\r\n+OK\r\n");
    raw_expect(leaving, "+OK\r\n+OK\r\n");
    wait_until(raw_is_closed(leaving));
    cr_expect_geq((uint64_t)info_number(s, "stats", "total_commands_processed"), commands + 7);
    close(writer);
    close(reader);
    close(leaving);
    expect_debian_loads_the_same(s);
}

Test(append_only_disk, with_everysec_no_answer_waits)
{
    struct server *s = server_start(OURS, "appendonly yes");
    pid_t journal = freeze_journal(s);
    expect_ok(s, "SET a 1");
    expect_string(s, "1", "GET a");
    kill(journal, SIGCONT);
    expect_debian_loads_the_same(s);
}

Test(append_only_disk, answers_that_wait_leave_when_nothing_is_to_be_waited_for)
{
    struct server *s = server_start(OURS, "appendonly yes\nappendfsync always");
    int writer = raw_connect(s), admin = raw_connect(s);
    raw_send_text(writer, "SET a 1\r\n");
    raw_expect(writer, "+OK\r\n");
    pid_t journal = freeze_journal(s);
    raw_send_text(writer, "SET a 2\r\n");
    raw_send_text(admin, "CONFIG SET appendfsync everysec\r\n");
    raw_expect(writer, "+OK\r\n");
    raw_expect(admin, "+OK\r\n");
    kill(journal, SIGCONT);
    close(writer);
    close(admin);
    expect_debian_loads_the_same(s);
}

/* 100 KB of the letter v into k000 to k999. */
static void send_large_set(int fd, int number)
{
    static char value[100000];
    char head[64];
    memset(value, 'v', sizeof value);
    raw_send(fd, head, (size_t)sprintf(head, "*3\r\n$3\r\nSET\r\n$4\r\nk%03d\r\n$%zu\r\n", number, sizeof value));
    raw_send(fd, value, sizeof value);
    raw_send_text(fd, "\r\n");
}

Test(append_only_disk, writes_wait_for_a_journal_that_is_far_behind)
{
    struct server *s = server_start(OURS, "appendonly yes\nrepl-backlog-size 1mb\n"
                                          "client-output-buffer-limit replica 4mb 0 0");
    pid_t journal = freeze_journal(s);
    int writer = raw_connect(s);
    for (int i = 0; i < 100; i++) {
        send_large_set(writer, i);
        if (server_log_has(s, 0, "Writes wait: ")) break;
        command_text(s, "PING"); /* time passes for the server */
        sleep_us(5000);
    }
    server_wait_log(s, 0, "Writes wait: ");
    expect_string(s, "vvv", "GETRANGE k000 0 2"); /* readers do not */
    cr_expect_lt(info_number(s, "persistence", "aof_buffer_length"), 12 << 20);
    kill(journal, SIGCONT);
    server_wait_log(s, 0, "Writes go on: ");
    raw_send_text(writer, "SET last 1\r\n");
    wait_until(command_integer(s, "EXISTS last") == 1);
    close(writer);
    expect_debian_loads_the_same(s);
}

/* A disk of a few MiB: appendonlydir leads to a /dev/shm of the server's own, where something else lies, too. */
static struct server *start_on_small_disk(const char *policy, char other[600])
{
    struct server *s = server_prepare(OURS,
                                      "appendonly yes\nappendfsync %s\nrepl-backlog-size 64kb\n"
                                      "client-output-buffer-limit replica 64mb 0 0",
                                      policy);
    static const char bytes[3000000];
    char path[512];
    server_path(s, "appendonlydir", path);
    cr_assert_eq(symlink("/dev/shm", path), 0);
    s->limits.shm_bytes = 6 << 20;
    server_launch(s);
    snprintf(other, 600, "/proc/%d/root/dev/shm/other", (int)s->pid);
    FILE *f = fopen(other, "we");
    cr_assert_not_null(f, "%s", other);
    fwrite(bytes, 1, sizeof bytes, f);
    cr_assert_eq(fclose(f), 0);
    return s;
}

/* Many SETs, whose answers are not read. */
static void write_until_full(struct server *s, int fd)
{
    for (int i = 0; i < 100 && info_is(s, "persistence", "aof_last_write_status", "ok"); i++) {
        send_large_set(fd, i);
        sleep_us(5000);
    }
    wait_until(info_is(s, "persistence", "aof_last_write_status", "err"));
}

static void expect_debian_loads_the_same_from_small_disk(struct server *s)
{
    char path[600], digest[64], target[512];
    snprintf(digest, sizeof digest, "%s", command_text(s, "DEBUG DIGEST"));
    expect_ok(s, "CONFIG SET appendonly no");
    struct server *debian = server_prepare(DEBIAN, "appendonly yes");
    snprintf(path, sizeof path, "/proc/%d/root/dev/shm/.", (int)s->pid);
    server_path(debian, "appendonlydir", target);
    const char *argv[] = {"/bin/cp", "-r", path, target, NULL};
    struct process_result result = process_run(argv, NULL);
    cr_assert_eq(result.exit_code, 0, "%s", result.output);
    free(result.output);
    server_launch(debian);
    wait_until(info_is_if_there(debian, "persistence", "loading", "0"));
    cr_expect_str_eq(command_text(debian, "DEBUG DIGEST"), digest);
}

static void fill_disk_and_make_room(const char *policy)
{
    if (!process_can_have_own_shm()) cr_skip_test("needs a mount namespace");
    char other[600];
    struct server *s = start_on_small_disk(policy, other);
    int writer = raw_connect(s);
    write_until_full(s, writer);
    /* With always, too: who waits for nothing is answered. */
    expect_error(s, "MISCONF Errors writing to the AOF file: No space left on device", "SET refused 1");
    expect_error(s, "MISCONF Errors writing to the AOF file", "PING");
    expect_string(s, "vvv", "GETRANGE k000 0 2");
    cr_assert_eq(unlink(other), 0);
    wait_until(info_is(s, "persistence", "aof_last_write_status", "ok"));
    raw_send_text(writer, "SET accepted yes\r\nGET accepted\r\nQUIT\r\n");
    size_t len;
    char *answers = raw_read_to_end(writer, &len);
    cr_expect_not_null(strstr(answers, "+OK\r\n$3\r\nyes\r\n+OK\r\n"), "%.200s", answers);
    free(answers);
    close(writer);
    expect_debian_loads_the_same_from_small_disk(s);
}

Test(append_only_disk, a_full_disk_refuses_writes_until_it_has_room)
{
    fill_disk_and_make_room("everysec");
}

Test(append_only_disk, a_full_disk_with_always_holds_what_it_cannot_promise)
{
    fill_disk_and_make_room("always");
}

Test(append_only_disk, with_always_a_fsync_that_is_not_made_is_not_waited_for)
{
    struct server *s = server_start(OURS, "appendonly yes\nappendfsync always\nno-appendfsync-on-rewrite yes\n"
                                          "rdb-key-save-delay 10000000");
    expect_ok(s, "SET a 1");
    expect_status(s, "Background append only file rewriting started", "BGREWRITEAOF");
    server_wait_log(s, 0, "Background append only file rewriting started by pid");
    for (int i = 0; i < 30; i++) {
        expect_ok(s, "SET a %d", i);
        sleep_us(10000);
    }
    cr_expect(info_is(s, "persistence", "aof_rewrite_in_progress", "1"));
    expect_ok(s, "CONFIG SET appendonly no");
}

/* What is written meanwhile is not kept in memory for a failed fsync: else writes would wait for the rewrite's end. */
Test(append_only_disk, with_always_a_rewrite_without_fsync_holds_no_write_back)
{
    struct server *s = server_start(OURS, "appendonly yes\nappendfsync always\nno-appendfsync-on-rewrite yes\n"
                                          "repl-backlog-size 1mb\nclient-output-buffer-limit replica 4mb 0 0");
    static char value[100000];
    memset(value, 'v', sizeof value - 1);
    expect_ok(s, "SET a 1");
    expect_ok(s, "CONFIG SET rdb-key-save-delay 10000000");
    expect_status(s, "Background append only file rewriting started", "BGREWRITEAOF");
    server_wait_log(s, 0, "Background append only file rewriting started by pid");
    for (int i = 0; i < 100; i++) expect_ok(s, "SET key:%d %s", i, value);
    cr_expect(info_is(s, "persistence", "aof_rewrite_in_progress", "1")); /* it has not been waited for */
    expect_ok(s, "CONFIG SET appendonly no");
    expect_ok(s, "CONFIG SET appendonly yes");
    expect_ok(s, "SET b 1");
}

Test(append_only_disk, with_always_a_shutdown_leaves_no_answer_behind)
{
    struct server *s = server_start(OURS, "appendonly yes\nappendfsync always");
    size_t len;
    int fd = raw_connect(s);
    raw_send_text(fd, "SET a 1\r\nSHUTDOWN NOSAVE\r\n");
    char *answers = raw_read_to_end(fd, &len);
    cr_expect_str_eq(answers, "+OK\r\n");
    free(answers);
    close(fd);
    cr_assert_eq(server_wait_end(s), 0);
    cr_expect(server_log_has(s, 0, "Calling fsync() on the AOF file."));
    struct server *debian = loaded_by_debian(s);
    expect_string(debian, "1", "GET a");
}
