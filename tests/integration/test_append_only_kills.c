/* What is there again after a kill, compared with what had been acknowledged: at random points under load, with
 * rewrites in between, for each appendfsync. The seed is told, so that a run can be repeated (SLIPSTREAM_TEST_SEED). */
#include "tests/harness/client.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

TestSuite(append_only_kills, .fini = server_finish_all, .timeout = 180);

enum { WRITERS = 4, ROUNDS = 4, PIPELINE = 8 };

/* Each counts up a counter of its own, and a pair in a transaction. */
struct writer {
    struct server *server;
    pthread_t thread;
    int number;
    long long acknowledged, pairs; /* the counters' highest values that it was told */
};

static unsigned seed_of_run(void)
{
    const char *given = getenv("SLIPSTREAM_TEST_SEED");
    unsigned seed = given && *given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL) ^ (unsigned)getpid();
    fprintf(stderr, "SLIPSTREAM_TEST_SEED=%u\n", seed);
    return seed;
}

static bool write_some(struct writer *w, redisContext *c)
{
    for (int i = 0; i < PIPELINE; i++) redisAppendCommand(c, "INCR counter:%d", w->number);
    redisAppendCommand(c, "MULTI");
    redisAppendCommand(c, "INCR one:%d", w->number);
    redisAppendCommand(c, "INCR other:%d", w->number);
    redisAppendCommand(c, "EXEC");
    for (int i = 0; i < PIPELINE + 4; i++) {
        redisReply *r = NULL;
        if (redisGetReply(c, (void **)&r) != REDIS_OK) return false;
        bool is_count = r->type == REDIS_REPLY_INTEGER, is_pair = r->type == REDIS_REPLY_ARRAY;
        if (is_count) w->acknowledged = r->integer;
        if (is_pair) w->pairs = r->element[1]->integer;
        freeReplyObject(r);
    }
    return true;
}

static void *write_until_killed(void *arg)
{
    struct writer *w = arg;
    redisContext *c = server_connect(w->server);
    while (c && !c->err && write_some(w, c)) continue;
    redisFree(c);
    return NULL;
}

static void start_writers(struct writer *writers, struct server *s)
{
    for (int i = 0; i < WRITERS; i++) {
        writers[i].server = s;
        writers[i].number = i;
        cr_assert_eq(pthread_create(&writers[i].thread, NULL, write_until_killed, &writers[i]), 0);
    }
}

static void join_writers(struct writer *writers)
{
    for (int i = 0; i < WRITERS; i++) pthread_join(writers[i].thread, NULL);
}

static long long counter(struct server *s, const char *name, int number)
{
    redisReply *r = command(s, "GET %s:%d", name, number);
    long long value = r->type == REDIS_REPLY_STRING ? strtoll(r->str, NULL, 10) : 0;
    freeReplyObject(r);
    return value;
}

static void expect_all_that_was_acknowledged(struct server *s, struct writer *writers, const char *label)
{
    for (int i = 0; i < WRITERS; i++) {
        long long there = counter(s, "counter", i), one = counter(s, "one", i), other = counter(s, "other", i);
        /* What was under way may have come or not; but no more than one batch was. */
        cr_assert(there >= writers[i].acknowledged && there <= writers[i].acknowledged + PIPELINE,
                  "%s: writer %d was told %lld, and there is %lld", label, i, writers[i].acknowledged, there);
        cr_assert_eq(one, other, "%s: half a transaction: %lld, %lld", label, one, other);
        cr_assert(one >= writers[i].pairs && one <= writers[i].pairs + 1, "%s: %lld pairs of %lld", label, one,
                  writers[i].pairs);
        writers[i].acknowledged = there;
        writers[i].pairs = one;
    }
}

/* both: the journal goes first, so that nobody is left who could write on. */
static void kill_again_and_again(const char *policy, bool both)
{
    unsigned seed = seed_of_run();
    struct writer writers[WRITERS] = {0};
    struct server *s = server_start(OURS,
                                    "appendonly yes\nappendfsync %s\nauto-aof-rewrite-min-size 64kb\n"
                                    "auto-aof-rewrite-percentage 50",
                                    policy);
    for (int round = 0; round < ROUNDS; round++) {
        char label[64];
        snprintf(label, sizeof label, "appendfsync %s, round %d", policy, round);
        start_writers(writers, s);
        sleep_us(20000 + rand_r(&seed) % 250000);
        if (rand_r(&seed) % 2) freeReplyObject(try_command(s, "BGREWRITEAOF"));
        sleep_us(rand_r(&seed) % 20000);
        if (both) {
            kill(s->pid, SIGSTOP);
            kill(server_wait_journal(s), SIGKILL);
        }
        server_kill(s);
        join_writers(writers);
        server_launch(s);
        wait_until(info_is_if_there(s, "persistence", "loading", "0"));
        expect_all_that_was_acknowledged(s, writers, label);
    }
    server_stop(s);
}

Test(append_only_kills, the_server_with_always)
{
    kill_again_and_again("always", false);
}

Test(append_only_kills, the_server_with_everysec)
{
    kill_again_and_again("everysec", false);
}

Test(append_only_kills, the_server_with_no)
{
    kill_again_and_again("no", false);
}

/* What had been written stands in the kernel's pages, and what was acknowledged had been written. */
Test(append_only_kills, server_and_journal_with_always)
{
    kill_again_and_again("always", true);
}

/* What the journal had not read yet stands in shared memory, and the next server goes on with it. */
Test(append_only_kills, server_and_journal_with_everysec)
{
    kill_again_and_again("everysec", true);
}

Test(append_only_kills, server_and_journal_with_no)
{
    kill_again_and_again("no", true);
}

/* The journal alone: another one goes on, and no byte is missing or twice. */
Test(append_only_kills, the_journal)
{
    unsigned seed = seed_of_run();
    struct writer writers[WRITERS] = {0};
    struct server *s = server_start(OURS, "appendonly yes");
    start_writers(writers, s);
    for (int i = 0; i < 3; i++) {
        sleep_us(rand_r(&seed) % 100000);
        pid_t journal = server_wait_journal(s);
        if (i == 1) freeReplyObject(command(s, "BGREWRITEAOF"));
        kill(journal, SIGKILL);
        wait_until(server_journal_pid(s) != 0 && server_journal_pid(s) != journal);
    }
    server_kill(s);
    join_writers(writers);
    server_launch(s);
    wait_until(info_is_if_there(s, "persistence", "loading", "0"));
    expect_all_that_was_acknowledged(s, writers, "the journal");
}

/* A restarted master goes on with its history: its replicas need no full resync. */
Test(append_only_kills, replicas_of_a_restarted_master_go_on)
{
    struct server *master = server_start(OURS, "appendonly yes"), *replica = server_start(OURS, "appendonly yes");
    fill(master, "key:", 500, 50);
    follow(replica, master);
    expect_ok(master, "SET a 1");
    wait_in_step(replica, master);
    /* What a full sync brought is in its files once a first rewrite is through; no server ends before that. */
    wait_until(info_is(replica, "persistence", "aof_rewrite_in_progress", "0") &&
               info_is(replica, "persistence", "aof_rewrite_scheduled", "0"));
    server_stop(master);
    server_launch(master);
    wait_until(link_is_up(replica));
    expect_ok(master, "SET b 1");
    expect_same_data(replica, master);
    struct sync_counts counts = sync_counts(master);
    cr_expect_eq(counts.full, 0);
    cr_expect_eq(counts.partial, 1);
    /* And the other way round. */
    server_stop(replica);
    expect_ok(master, "SET c 1");
    server_add_config(replica, "replicaof 127.0.0.1 %d", master->port);
    server_launch(replica);
    wait_until(link_is_up(replica));
    expect_same_data(replica, master);
    counts = sync_counts(master);
    cr_expect_eq(counts.full, 0);
    cr_expect_eq(counts.partial, 2);
}

/* A change of a key leaves its expiry in force, also when the time has come before the change is loaded. */
static void write_what_expires(struct server *s, long long at_ms, bool rewritten)
{
    static const char *const changes[] = {
        "INCRBY string 5",     "INCRBYFLOAT string 0.5", "SET string 7 KEEPTTL", "APPEND string 1",
        "SETRANGE string 1 9", "SETBIT bits 9 1",        "RPUSH list b",         "SADD set b",
        "HINCRBY hash n 2",    "ZINCRBY zset 2 a",       "XADD stream 2-1 a b",  "PFADD log b",
        "RENAME old new",      "COPY one other",
    };
    static const char *const keys[] = {"string", "bits", "list", "set", "hash", "zset", "stream", "log", "old", "one"};
    expect_ok(s, "MSET string 1 old 1 one 1");
    expect_integer(s, 0, "SETBIT bits 3 1");
    expect_integer(s, 1, "RPUSH list a");
    expect_integer(s, 1, "SADD set a");
    expect_integer(s, 1, "HSET hash n 1");
    expect_integer(s, 1, "ZADD zset 1 a");
    expect_string(s, "1-1", "XADD stream 1-1 a b");
    expect_integer(s, 1, "PFADD log a");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        freeReplyObject(command(s, "PEXPIREAT %s %lld", keys[i], at_ms));
    if (rewritten) {
        expect_status(s, "Background append only file rewriting started", "BGREWRITEAOF");
        wait_until(info_is(s, "persistence", "aof_rewrite_in_progress", "0"));
    }
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) freeReplyObject(command(s, changes[i]));
}

static long long count_keys(struct server *s)
{
    redisReply *r = command(s, "DBSIZE");
    long long count = r->integer;
    freeReplyObject(r);
    return count;
}

static long long wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

Test(append_only_kills, what_expired_meanwhile_does_not_come_back)
{
    struct server *s = server_start(OURS, "appendonly yes\nadopt-backlog no");
    for (int rewritten = 0; rewritten < 2; rewritten++) {
        expect_ok(s, "SET stays 1");
        long long at_ms = wall_ms() + 1000;
        write_what_expires(s, at_ms, rewritten);
        server_kill(s);
        wait_until(wall_ms() > at_ms);
        server_launch(s);
        wait_until(info_is_if_there(s, "persistence", "loading", "0"));
        wait_until(count_keys(s) == 1);
        expect_string(s, "1", "GET stays");
    }
}
