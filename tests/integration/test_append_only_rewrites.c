/* Rewrites of the append-only file: what they leave, under load as well, who may ask for one and when, and what those
 * cost that fail. Debian's redis-server is the judge of what stands there. */
#include "tests/harness/append_only.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(append_only_rewrites, .fini = server_finish_all, .timeout = 180);

Test(append_only_rewrites, a_rewrite_leaves_one_base_and_one_incremental)
{
    struct server *s = server_start(OURS, "appendonly yes");
    fill(s, "key:", 100, 20);
    aof_rewrite(s);
    expect_ok(s, "SET behind 1");
    expect_aof_manifest(s,
                        "file appendonly.aof.2.base.rdb seq 2 type b\nfile appendonly.aof.2.incr.aof seq 2 type i\n");
    cr_expect_eq(server_count_files(s, "appendonlydir"), 3);
    cr_expect(info_is(s, "persistence", "aof_last_bgrewrite_status", "ok"));
    expect_debian_loads_the_same(s);
}

Test(append_only_rewrites, history_stays_where_it_is_wanted)
{
    struct server *s = server_start(OURS, "appendonly yes\naof-disable-auto-gc yes");
    aof_rewrite(s);
    cr_expect_eq(server_count_files(s, "appendonlydir"), 5);
    expect_aof_manifest(s,
                        "file appendonly.aof.2.base.rdb seq 2 type b\nfile appendonly.aof.1.incr.aof seq 1 type h\n"
                        "file appendonly.aof.1.base.rdb seq 1 type h\nfile appendonly.aof.2.incr.aof seq 2 type i\n");
    expect_ok(s, "SET a 1");
    expect_debian_loads_the_same(s);
}

struct load {
    struct server *server;
    pthread_t thread;
    _Atomic bool stop;
};

static void *write_on(void *arg)
{
    struct load *l = arg;
    redisContext *c = server_connect(l->server);
    for (int i = 0; c && !c->err && !atomic_load(&l->stop); i++) {
        for (int k = 0; k < 20; k++) redisAppendCommand(c, "INCR load:%d", (i + k) % 500);
        redisAppendCommand(c, "MULTI");
        redisAppendCommand(c, "INCR first");
        redisAppendCommand(c, "INCR second");
        redisAppendCommand(c, "EXEC");
        for (int k = 0; k < 24; k++) {
            void *reply = NULL;
            if (redisGetReply(c, &reply) != REDIS_OK) break;
            freeReplyObject(reply);
        }
    }
    redisFree(c);
    return NULL;
}

static struct load *begin_load(struct server *s)
{
    struct load *l = calloc(1, sizeof *l);
    l->server = s;
    cr_assert_eq(pthread_create(&l->thread, NULL, write_on, l), 0);
    return l;
}

static void end_load(struct load *l)
{
    atomic_store(&l->stop, true);
    pthread_join(l->thread, NULL);
    free(l);
}

/* Each INCR counts once, whichever side of the rewrite it is on. */
Test(append_only_rewrites, rewrites_under_load_lose_and_double_nothing)
{
    struct server *s = server_start(OURS, "appendonly yes");
    fill(s, "key:", 2000, 50);
    struct load *l = begin_load(s);
    for (int i = 0; i < 4; i++) {
        expect_ok(s, "CONFIG SET aof-use-rdb-preamble %s", i % 2 ? "no" : "yes");
        aof_rewrite(s);
    }
    end_load(l);
    expect_debian_loads_the_same(s);
}

Test(append_only_rewrites, a_rewrite_asked_for_in_a_transaction_waits_for_its_end)
{
    struct server *s = server_start(OURS, "appendonly yes");
    expect_ok(s, "MULTI");
    expect_status(s, "QUEUED", "INCR counter");
    expect_status(s, "QUEUED", "BGREWRITEAOF");
    expect_status(s, "QUEUED", "INCR counter");
    redisReply *r = command(s, "EXEC");
    cr_assert_eq(r->elements, 3);
    cr_expect_str_eq(r->element[1]->str, "Background append only file rewriting scheduled");
    freeReplyObject(r);
    wait_until(info_number(s, "persistence", "aof_rewrites") == 1 && aof_is_idle(s));
    expect_string(s, "2", "GET counter");
    expect_debian_loads_the_same(s);
}

Test(append_only_rewrites, one_child_at_a_time)
{
    struct server *s = server_start(OURS, "appendonly yes\nrdb-key-save-delay 10000000");
    expect_ok(s, "SET a 1");
    expect_status(s, "Background append only file rewriting started", "BGREWRITEAOF");
    expect_error(s, "ERR Background append only file rewriting already in progress", "BGREWRITEAOF");
    wait_until(server_log_has(s, 0, "Background append only file rewriting started by pid"));
    cr_expect(info_is(s, "persistence", "aof_rewrite_in_progress", "1"));
    cr_expect(info_is(s, "persistence", "rdb_bgsave_in_progress", "0"));
    expect_error(s, "ERR Another child process is active (AOF?): can't BGSAVE right now.", "BGSAVE");
    expect_status(s, "Background saving scheduled", "BGSAVE SCHEDULE");
    expect_ok(s, "CONFIG SET rdb-key-save-delay 0");
    kill(server_snapshot_pid(s), SIGKILL);
    wait_until(info_number(s, "persistence", "rdb_saves") == 1);
    expect_ok(s, "CONFIG SET rdb-key-save-delay 10000000");
    expect_status(s, "Background saving started", "BGSAVE");
    expect_status(s, "Background append only file rewriting scheduled", "BGREWRITEAOF");
    cr_expect(info_is(s, "persistence", "aof_rewrite_scheduled", "1"));
    expect_ok(s, "CONFIG SET rdb-key-save-delay 0");
    kill(server_snapshot_pid(s), SIGKILL);
    wait_until(info_number(s, "persistence", "aof_rewrites") == 1 && aof_is_idle(s));
}

Test(append_only_rewrites, a_rewrite_that_fails_costs_nothing)
{
    struct server *s = server_start(OURS, "appendonly yes\nrdb-key-save-delay 10000000");
    expect_ok(s, "SET a 1");
    for (int i = 1; i <= 2; i++) {
        long mark = server_log_end(s);
        expect_status(s, "Background append only file rewriting started", "BGREWRITEAOF");
        server_wait_log(s, mark, "Background append only file rewriting started by pid");
        expect_integer(s, i, "RPUSH list %d", i);
        kill(server_snapshot_pid(s), SIGKILL);
        server_wait_log(s, mark, "Background AOF rewrite terminated by signal 9");
        wait_until(aof_is_idle(s));
        cr_expect(info_is(s, "persistence", "aof_last_bgrewrite_status", "err"));
    }
    wait_until(server_count_files(s, "") == server_count_files(s, ".")); /* the temporary files go aside */
    expect_integer(s, 3, "RPUSH list 3");
    expect_ok(s, "CONFIG SET rdb-key-save-delay 0");
    expect_debian_loads_the_same(s);
}

#define CANNOT_BEGIN "ERR Can't execute an AOF background rewriting. Please check the server logs for more information."

/* A directory in the place of a file that a step is to make. */
static void rewrite_into_an_obstacle(const char *obstacle, bool begins)
{
    struct server *s = server_start(OURS, "appendonly yes");
    char path[512];
    server_path(s, obstacle, path);
    cr_assert_eq(mkdir(path, 0755), 0);
    expect_ok(s, "SET before 1");
    if (begins)
        expect_status(s, "Background append only file rewriting started", "BGREWRITEAOF");
    else
        expect_error(s, CANNOT_BEGIN, "BGREWRITEAOF");
    wait_until(info_is(s, "persistence", "aof_last_bgrewrite_status", "err"));
    cr_expect_eq(info_number(s, "persistence", "aof_rewrites_consecutive_failures"), 1);
    expect_ok(s, "SET behind 1");
    cr_assert_eq(rmdir(path), 0);
    freeReplyObject(command(s, "WAITAOF 1 0 0"));
    struct server *debian = loaded_by_debian(s); /* the files are good at any time */
    expect_string(debian, "1", "GET before");
    aof_rewrite(s);
    expect_ok(s, "SET at:last 1");
    cr_expect_eq(info_number(s, "persistence", "aof_rewrites_consecutive_failures"), 0);
    expect_debian_loads_the_same(s);
}

Test(append_only_rewrites, a_manifest_that_cannot_be_written_before_the_fork)
{
    rewrite_into_an_obstacle("appendonlydir/temp-appendonly.aof.manifest", false);
}

Test(append_only_rewrites, an_incremental_that_cannot_be_made)
{
    rewrite_into_an_obstacle("appendonlydir/appendonly.aof.2.incr.aof", false);
}

Test(append_only_rewrites, a_base_that_cannot_be_renamed)
{
    rewrite_into_an_obstacle("appendonlydir/appendonly.aof.2.base.rdb", true);
}

/* The answer waits for what a worker does, and whoever has asked may say more meanwhile, or leave. */
Test(append_only_rewrites, who_asks_for_a_rewrite_hears_whether_it_begins)
{
    static const enum server_kind kinds[] = {OURS, DEBIAN};
    for (int i = 0; i < 2; i++) {
        struct server *s = server_start(kinds[i], "appendonly yes");
        char path[512];
        server_path(s, "appendonlydir/appendonly.aof.2.incr.aof", path);
        cr_assert_eq(mkdir(path, 0755), 0);
        redisAppendCommand(connection(s), "BGREWRITEAOF");
        redisAppendCommand(connection(s), "PING");
        redisReply *answer = receive(s), *pong = receive(s);
        cr_expect_eq(answer->type, REDIS_REPLY_ERROR);
        cr_expect_str_eq(answer->str, CANNOT_BEGIN);
        cr_expect_str_eq(pong->str, "PONG");
        freeReplyObject(answer);
        freeReplyObject(pong);
        cr_expect(info_is(s, "persistence", "aof_last_bgrewrite_status", "err"));
        cr_assert_eq(rmdir(path), 0);
        redisContext *leaves = server_connect(s);
        redisAppendCommand(leaves, "BGREWRITEAOF");
        int done = 0;
        while (!done) cr_assert_eq(redisBufferWrite(leaves, &done), REDIS_OK);
        redisFree(leaves);
        wait_until(info_number(s, "persistence", "aof_rewrites") == 1);
        cr_expect(info_is(s, "clients", "blocked_clients", "0"));
    }
}

Test(append_only_rewrites, growth_starts_a_rewrite)
{
    struct server *s = server_start(OURS, "appendonly yes\nauto-aof-rewrite-min-size 20kb\nauto-aof-rewrite-percentage "
                                          "100");
    char value[2000];
    memset(value, 'v', sizeof value);
    for (int i = 0; i < 30; i++) freeReplyObject(command(s, "SET key %b", value, sizeof value));
    server_wait_log(s, 0, "Starting automatic rewriting of AOF on ");
    wait_until(info_number(s, "persistence", "aof_rewrites") == 1 && aof_is_idle(s));
    cr_expect_lt(info_number(s, "persistence", "aof_base_size"), 20000);
    expect_debian_loads_the_same(s);
}

Test(append_only_rewrites, rewriting_without_append_only_leaves_a_base)
{
    struct server *s = server_start(OURS, "appendonly no");
    expect_ok(s, "SET a 1");
    aof_rewrite(s);
    expect_aof_manifest(s, "file appendonly.aof.1.base.rdb seq 1 type b\n");
    expect_debian_loads_the_same(s);
}
