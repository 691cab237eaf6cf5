/* kill -9, and the next server of the same directory: what had been acknowledged is there, once, and the history goes
 * on. Where what was left does not lead on from the file, it is left alone, and that is said. */
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(adoption, .fini = server_finish_all, .timeout = 180);

static const char adopted[] = "Adopted the stream that a killed server";
static const char not_adopted[] = "is not adopted: ";

static void expect_adopted(const struct server *s, long mark)
{
    cr_assert(server_log_has(s, mark, adopted));
}

static void expect_not_adopted(const struct server *s, long mark, const char *reason)
{
    cr_assert(!server_log_has(s, mark, adopted));
    cr_assert(server_log_has(s, mark, not_adopted));
    cr_assert(server_log_has(s, mark, reason));
}

static long restart(struct server *s)
{
    server_kill(s);
    long mark = server_log_end(s);
    server_launch(s);
    wait_until(info_is(s, "persistence", "loading", "0"));
    return mark;
}

/* --- nothing is lost --- */

#define WRITERS     4
#define WINDOW      16
#define ANSWERS_MAX 4000

struct writer {
    redisContext *connection;
    long long sent, acknowledged; /* elements of its list, and transactions: element i is i */
};

static void send_more(struct writer *w, int number)
{
    for (; w->sent < w->acknowledged + WINDOW; w->sent++) {
        long long i = w->sent;
        redisAppendCommand(w->connection, "RPUSH list:%d %lld", number, i);
        redisAppendCommand(w->connection, "MULTI");
        redisAppendCommand(w->connection, "SELECT %d", (int)(i % 3));
        redisAppendCommand(w->connection, "INCR one:%d", number);
        redisAppendCommand(w->connection, "SELECT 0");
        redisAppendCommand(w->connection, "INCR two:%d", number);
        redisAppendCommand(w->connection, "EXEC");
    }
}

/* False: the server is gone. */
static bool hear(struct writer *w)
{
    for (int i = 0; i < 7; i++) {
        redisReply *reply = NULL;
        if (redisGetReply(w->connection, (void **)&reply) != REDIS_OK || !reply) return false;
        cr_assert_neq(reply->type, REDIS_REPLY_ERROR, "%s", reply->str);
        freeReplyObject(reply);
    }
    w->acknowledged++;
    return true;
}

/* As soon as the pipe has told of so many answers. From another process, so that we may be waiting for the next one by
 * then. With its journal, if it has one. */
static pid_t kill_behind(const struct server *s, unsigned answers, const int told[2])
{
    pid_t journal = server_journal_pid(s), pid = fork();
    char one;
    cr_assert_geq(pid, 0);
    if (pid) return pid;
    close(told[1]); /* the pipe's end comes with the test's */
    while (answers-- > 0 && read(told[0], &one, 1) == 1) continue;
    if (journal) kill(journal, SIGKILL);
    kill(s->pid, SIGKILL);
    _exit(0);
}

static void write_until_killed(struct server *s, struct writer *writers, unsigned answers, unsigned saves)
{
    int told[2];
    cr_assert_eq(pipe2(told, O_CLOEXEC), 0);
    for (int i = 0; i < WRITERS; i++) {
        writers[i].connection = server_connect(s);
        cr_assert_eq(writers[i].connection->err, 0);
        send_more(&writers[i], i);
    }
    pid_t killer = kill_behind(s, answers, told);
    bool alive = true;
    for (unsigned round = 0; alive; round++) {
        for (int i = 0; i < WRITERS && alive; i++) {
            alive = hear(&writers[i]);
            if (!alive) break;
            cr_assert_eq(write(told[1], "", 1), 1);
            send_more(&writers[i], i);
        }
        if (saves && alive && round % saves == 0) {
            redisContext *other = server_connect(s);
            freeReplyObject(redisCommand(other, "BGSAVE"));
            redisFree(other);
        }
    }
    close(told[1]);
    waitpid(killer, NULL, 0);
    close(told[0]);
    for (int i = 0; i < WRITERS; i++) redisFree(writers[i].connection);
    server_kill(s);
}

static long long number_at(struct server *s, int db, const char *name, int writer)
{
    redisReply *reply;
    freeReplyObject(command(s, "SELECT %d", db));
    reply = command(s, "GET %s:%d", name, writer);
    long long value = reply->type == REDIS_REPLY_STRING ? atoll(reply->str) : 0;
    freeReplyObject(reply);
    freeReplyObject(command(s, "SELECT 0"));
    return value;
}

/* All that was acknowledged, each once, and nothing that was not sent. What is there counts as
 * acknowledged from now on. */
static void expect_all(struct server *s, struct writer *writers, unsigned seed)
{
    for (int i = 0; i < WRITERS; i++) {
        struct writer *w = &writers[i];
        redisReply *list = command(s, "LRANGE list:%d 0 -1", i);
        long long there = (long long)list->elements;
        cr_assert_geq(there, w->acknowledged, "seed %u: %lld of %lld", seed, there, w->acknowledged);
        cr_assert_leq(there, w->sent, "seed %u", seed);
        for (size_t n = 0; n < list->elements; n++)
            cr_assert_eq(atoll(list->element[n]->str), (long long)n, "seed %u: element %zu", seed, n);
        freeReplyObject(list);
        long long one = 0, two = number_at(s, 0, "two", i);
        for (int db = 0; db < 3; db++) one += number_at(s, db, "one", i);
        cr_assert_eq(one, two, "seed %u: a transaction is torn", seed);
        cr_assert(two == there || two == there - 1, "seed %u: %lld transactions, %lld elements", seed, two, there);
        /* Half of a pair may have run: make it whole, so that the next round begins even. */
        if (two < there) {
            freeReplyObject(command(s, "SELECT %d", (int)(two % 3)));
            freeReplyObject(command(s, "INCR one:%d", i));
            freeReplyObject(command(s, "SELECT 0"));
            freeReplyObject(command(s, "INCR two:%d", i));
        }
        w->sent = w->acknowledged = there;
    }
}

static void kill_again_and_again(const char *config, unsigned seed, int rounds, unsigned saves)
{
    struct writer writers[WRITERS] = {{0}};
    struct server *s = server_start(OURS, "%s", config);
    for (int round = 0; round < rounds; round++) {
        seed = seed * 1103515245 + 12345;
        write_until_killed(s, writers, 1 + (seed >> 8) % ANSWERS_MAX, saves);
        long mark = server_log_end(s);
        server_launch(s);
        wait_until(info_is(s, "persistence", "loading", "0"));
        expect_adopted(s, mark);
        expect_all(s, writers, seed);
    }
}

static unsigned seed_of_this_run(void)
{
    const char *given = getenv("SLIPSTREAM_TEST_SEED");
    unsigned seed = given ? (unsigned)atol(given) : (unsigned)clock_us();
    fprintf(stderr, "SLIPSTREAM_TEST_SEED=%u\n", seed);
    return seed;
}

Test(adoption, what_was_acknowledged_survives_without_any_file)
{
    kill_again_and_again("repl-backlog-size 64mb", seed_of_this_run(), 5, 0);
}

Test(adoption, what_was_acknowledged_survives_beside_snapshots)
{
    kill_again_and_again("repl-backlog-size 64mb\nsave 1 100000000", seed_of_this_run(), 5, 40);
}

/* The server and its journal at once: what had not come to the file is in the stream. */
Test(adoption, what_was_acknowledged_survives_with_half_of_it_in_the_append_only_file)
{
    kill_again_and_again("repl-backlog-size 64mb\nappendonly yes\nappendfsync no", seed_of_this_run(), 5, 0);
}

/* --- the append-only file --- */

Test(adoption, the_journal_writes_what_it_had_not_come_to)
{
    struct server *s = server_start(OURS, "appendonly yes\nappendfsync no");
    expect_ok(s, "SET written 1");
    expect_ok(s, "SELECT 3");
    expect_ok(s, "SET written 3");
    wait_until(info_is(s, "persistence", "aof_buffer_length", "0"));
    pid_t journal = server_wait_journal(s);
    cr_assert_gt(journal, 0);
    kill(journal, SIGSTOP);
    expect_ok(s, "SET unwritten 3");
    expect_ok(s, "SELECT 0");
    fill(s, "more:", 100, 100);
    char digest[64];
    snprintf(digest, sizeof digest, "%s", command_text(s, "DEBUG DIGEST"));
    kill(journal, SIGKILL);
    long mark = restart(s);
    expect_adopted(s, mark);
    cr_assert_str_eq(command_text(s, "DEBUG DIGEST"), digest);
    expect_ok(s, "SET behind 1");
    snprintf(digest, sizeof digest, "%s", command_text(s, "DEBUG DIGEST"));
    server_stop(s);
    server_launch(s); /* from the file alone */
    cr_assert_str_eq(command_text(s, "DEBUG DIGEST"), digest);
}

/* --- the history goes on --- */

static struct server *start_saved(const char *config)
{
    struct server *s = server_start(OURS, "%s", config);
    expect_ok(s, "SET saved 1");
    expect_ok(s, "SAVE");
    expect_ok(s, "SET later 2");
    return s;
}

Test(adoption, replicas_come_back_by_a_partial_resync)
{
    struct server *master = start_saved(""), *replica = server_start(OURS, "replicaof 127.0.0.1 %d", master->port);
    wait_in_step(replica, master);
    char id[64];
    snprintf(id, sizeof id, "%s", info_text(master, "replication", "master_replid"));
    for (int i = 0; i < 3; i++) {
        expect_ok(master, "SET round %d", i);
        long mark = restart(master);
        expect_adopted(master, mark);
        cr_assert_str_eq(info_text(master, "replication", "master_replid"), id);
        char text[12];
        snprintf(text, sizeof text, "%d", i);
        expect_string(master, text, "GET round");
        /* A replica that has not noticed yet that its master is gone is in step with its heir, too. */
        wait_until(sync_counts(master).partial + sync_counts(master).full > 0);
        expect_same_data(replica, master);
        cr_assert_eq(sync_counts(master).full, 0);
        cr_assert_eq(sync_counts(master).partial, 1);
    }
}

Test(adoption, a_replica_goes_on_where_it_was)
{
    struct server *master = start_saved(""), *replica = server_start(OURS, "replicaof 127.0.0.1 %d", master->port);
    wait_in_step(replica, master);
    expect_ok(replica, "SAVE");
    fill(master, "more:", 100, 100);
    wait_in_step(replica, master);
    struct sync_counts before = sync_counts(master);
    long mark = restart(replica);
    expect_adopted(replica, mark);
    expect_integer(replica, 100 + 2, "DBSIZE");
    expect_same_data(replica, master);
    expect_syncs(master, before, 0, 1);
}

/* It may not write on in its master's history. */
Test(adoption, a_replica_that_comes_back_as_a_master_has_a_history_of_its_own)
{
    struct server *master = start_saved(""), *replica = server_start(OURS, "%s", "");
    follow(replica, master);
    wait_in_step(replica, master);
    expect_ok(replica, "SAVE");
    expect_ok(master, "SET more 3");
    wait_in_step(replica, master);
    char id[64];
    snprintf(id, sizeof id, "%s", info_text(master, "replication", "master_replid"));
    long mark = restart(replica); /* REPLICAOF was given at run time alone */
    expect_adopted(replica, mark);
    expect_string(replica, "3", "GET more");
    cr_assert_str_eq(info_text(replica, "replication", "role"), "master");
    cr_assert_str_neq(info_text(replica, "replication", "master_replid"), id);
    cr_assert_str_eq(info_text(replica, "replication", "master_replid2"), id);
}

/* --- what the stream says is what counts --- */

Test(adoption, a_key_whose_time_is_over_may_have_been_told_to_stay)
{
    struct server *s = server_start(OURS, "%s", "");
    expect_ok(s, "DEBUG STEP-WALL-CLOCK -7200000"); /* by the next one's clock their time is over */
    expect_ok(s, "SET stays 1 EX 3600");
    expect_ok(s, "SET goes 1 EX 3600");
    expect_ok(s, "SAVE");
    expect_integer(s, 1, "PERSIST stays");
    server_kill(s);
    long mark = server_log_end(s);
    server_launch(s);
    expect_adopted(s, mark);
    expect_string(s, "1", "GET stays");
    expect_nil(s, "GET goes");
}

Test(adoption, a_flush_is_not_undone)
{
    struct server *s = start_saved("");
    expect_ok(s, "FLUSHALL");
    expect_ok(s, "SET after 1");
    expect_adopted(s, restart(s));
    expect_integer(s, 1, "DBSIZE");
}

Test(adoption, the_database_that_was_selected_is_selected)
{
    struct server *s = server_start(OURS, "%s", "");
    expect_ok(s, "SELECT 5");
    expect_ok(s, "SET a 1");
    expect_ok(s, "SAVE");
    expect_ok(s, "SET b 2");
    server_kill(s);
    server_launch(s);
    expect_ok(s, "SELECT 5");
    expect_string(s, "1", "GET a");
    expect_string(s, "2", "GET b");
    expect_ok(s, "SELECT 0");
    expect_integer(s, 0, "DBSIZE");
}

/* --- what is not adopted --- */

Test(adoption, a_clean_end_leaves_nothing)
{
    struct server *s = start_saved("");
    server_stop(s);
    long mark = server_log_end(s);
    server_launch(s);
    cr_assert(!server_log_has(s, mark, adopted));
    cr_assert(!server_log_has(s, mark, not_adopted));
    expect_nil(s, "GET later"); /* with save "", as it was asked for */
}

Test(adoption, it_can_be_turned_off)
{
    struct server *s = start_saved("adopt-backlog no");
    long mark = restart(s);
    cr_assert(!server_log_has(s, mark, adopted));
    expect_string(s, "1", "GET saved");
    expect_nil(s, "GET later");
}

Test(adoption, what_does_not_reach_back_to_the_file_is_refused)
{
    struct server *s = start_saved("repl-backlog-size 16kb");
    fill(s, "key:", 1000, 1000);
    expect_not_adopted(s, restart(s), "bytes are missing");
    expect_integer(s, 1, "DBSIZE");
    expect_ok(s, "SET on 1");
    expect_ok(s, "SAVE"); /* from here on it does again */
    expect_ok(s, "SET more 1");
    expect_adopted(s, restart(s));
    expect_string(s, "1", "GET more");
}

Test(adoption, a_file_of_another_history_is_refused)
{
    struct server *other = start_saved(""), *s = start_saved("");
    server_kill(s);
    server_copy_file(other, s, "dump.rdb");
    long mark = server_log_end(s);
    server_launch(s);
    expect_not_adopted(s, mark, "Replication ID mismatch");
    expect_nil(s, "GET later");
}

Test(adoption, a_file_that_names_no_history_is_refused)
{
    struct server *debian = server_start(DEBIAN, "%s", ""), *s = start_saved("");
    expect_ok(debian, "SET theirs 1");
    expect_ok(debian, "SAVE");
    server_kill(s);
    server_copy_file(debian, s, "dump.rdb");
    long mark = server_log_end(s);
    server_launch(s);
    expect_not_adopted(s, mark, "does not say which history it is of");
    expect_string(s, "1", "GET theirs");
    expect_integer(s, 1, "DBSIZE");
}

Test(adoption, a_lost_file_is_refused_where_the_stream_did_not_begin_with_nothing)
{
    struct server *s = start_saved("");
    char path[512];
    server_stop(s);
    server_launch(s); /* this one begins with the file */
    expect_ok(s, "SET later 3");
    server_kill(s);
    server_path(s, "dump.rdb", path);
    cr_assert_eq(unlink(path), 0);
    long mark = server_log_end(s);
    server_launch(s);
    expect_not_adopted(s, mark, "there is no file to begin with");
    expect_integer(s, 0, "DBSIZE");
}

/* --- a region that is not what it should be --- */

/* The name of the backlog that this process wrote: others may have left theirs with the same port. */
static void find_left(const char *output, pid_t writer, char name[128])
{
    char wanted[32];
    snprintf(wanted, sizeof wanted, "pid %d,", (int)writer);
    const char *at = strstr(output, wanted);
    cr_assert_not_null(at, "%s", output);
    while (at > output && strncmp(at, "Backlog /", strlen("Backlog /")) != 0) at--;
    cr_assert_eq(sscanf(at, "Backlog /%127s", name), 1, "%s", output);
}

/* The control region of a server that is dead. */
static uint8_t *map_left(const struct server *s, pid_t writer, size_t bytes)
{
    char port[16], name[128], path[160];
    snprintf(port, sizeof port, "%d", s->port);
    const char *const argv[] = {server_program(OURS, "redis-server"), "--inspect-backlog", port, NULL};
    struct process_result r = process_run(argv, NULL);
    find_left(r.output, writer, name);
    free(r.output);
    snprintf(path, sizeof path, "/dev/shm/%s", name);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    cr_assert_geq(fd, 0);
    uint8_t *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    cr_assert_neq(base, MAP_FAILED);
    close(fd);
    return base;
}

#define CONTROL_BYTES 21504

/* Offsets are those of shm/layout.h. */
static void launch_with(struct server *s, size_t offset, uint64_t value, const char *reason)
{
    pid_t writer = s->pid;
    server_kill(s);
    uint8_t *base = map_left(s, writer, CONTROL_BYTES);
    memcpy(base + offset, &value, sizeof value);
    munmap(base, CONTROL_BYTES);
    long mark = server_log_end(s);
    server_launch(s);
    expect_not_adopted(s, mark, reason);
    expect_string(s, "1", "GET saved");
    expect_nil(s, "GET later");
}

Test(adoption, a_region_that_is_not_understood_is_refused)
{
    launch_with(start_saved(""), 8, (uint64_t)CONTROL_BYTES << 32 | 99, "its layout has version 99");
    launch_with(start_saved(""), 0, 0, "is no backlog");
    launch_with(start_saved(""), 128, 3, "its history was being changed");
    launch_with(start_saved(""), 280, UINT64_C(1) << 40, "bytes are missing"); /* all of it was overwritten */
    launch_with(start_saved(""), 264, 2, "but our history ends at 1");         /* the file is newer */
    launch_with(start_saved(""), 512 + 24, UINT64_C(1) << 50,
                "bytes are missing");                                /* a ring that is larger than it is */
    launch_with(start_saved(""), 512 + 32, 77, "bytes are missing"); /* a ring that is not there */
}

Test(adoption, what_kills_those_who_apply_it_is_given_up)
{
    launch_with(start_saved(""), 296, UINT64_C(3) << 32, "have died of it");
}

/* A command that nobody can apply: the start fails, and the file and the region stay for those who know better. */
Test(adoption, a_command_that_is_unknown_ends_the_start)
{
    struct server *s = start_saved("");
    server_kill(s);
    server_add_config(s, "rename-command SET \"\"");
    for (int i = 0; i < 3; i++) {
        long mark = server_log_end(s);
        cr_assert_eq(server_launch_in_vain(s), 1);
        cr_assert(server_log_has(s, mark, "Unknown command 'SET' reading what a killed server left"));
        cr_assert(server_log_has(s, mark, "adopt-backlog no"));
    }
    long mark = server_log_end(s);
    server_launch(s);
    expect_not_adopted(s, mark, "have died of it");
    expect_string(s, "1", "GET saved");
}
