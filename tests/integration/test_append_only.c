/* The append-only file as the server keeps it: its files and their layout, rewrites, appendonly turned on and off, who
 * waits for the disk, and Debian's redis-server as the judge of what stands there. */
#include "tests/harness/client.h"
#include "tests/harness/raw.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(append_only, .fini = server_finish_all, .timeout = 180);

/* --- what there is --- */

static bool is_idle(struct server *s)
{
    return info_is(s, "persistence", "aof_rewrite_in_progress", "0") &&
           info_is(s, "persistence", "aof_rewrite_scheduled", "0");
}

static void rewrite(struct server *s)
{
    long long before = info_number(s, "persistence", "aof_rewrites");
    expect_status(s, "Background append only file rewriting started", "BGREWRITEAOF");
    wait_until(info_number(s, "persistence", "aof_rewrites") == before + 1 && is_idle(s));
}

static void expect_manifest(const struct server *s, const char *text)
{
    char path[512], found[4096] = "";
    server_path(s, "appendonlydir/appendonly.aof.manifest", path);
    FILE *in = fopen(path, "re");
    cr_assert_not_null(in, "%s", path);
    found[fread(found, 1, sizeof found - 1, in)] = 0;
    fclose(in);
    cr_assert_str_eq(found, text);
}

static int count_files(const struct server *s, const char *directory)
{
    char path[512];
    int count = 0;
    server_path(s, directory, path);
    DIR *d = opendir(path);
    cr_assert_not_null(d, "%s", path);
    for (struct dirent *e; (e = readdir(d));) count += e->d_name[0] != '.';
    closedir(d);
    return count;
}

static bool there_is(const struct server *s, const char *name)
{
    char path[512];
    server_path(s, name, path);
    return access(path, F_OK) == 0;
}

static void copy_append_only_directory(const struct server *from, const struct server *to)
{
    char source[512], target[512];
    server_path(from, "appendonlydir", source);
    server_path(to, "", target);
    const char *argv[] = {"/bin/cp", "-r", source, target, NULL};
    struct process_result result = process_run(argv, NULL);
    cr_assert_eq(result.exit_code, 0, "%s", result.output);
    free(result.output);
}

/* Debian's server comes up from the files of s, which has ended. */
static struct server *loaded_by_debian(const struct server *s)
{
    struct server *debian = server_prepare(DEBIAN, "appendonly yes");
    copy_append_only_directory(s, debian);
    server_launch(debian);
    wait_until(info_is_if_there(debian, "persistence", "loading", "0"));
    return debian;
}

static void expect_debian_loads_the_same(struct server *s)
{
    char digest[64];
    snprintf(digest, sizeof digest, "%s", command_text(s, "DEBUG DIGEST"));
    server_stop(s);
    struct server *debian = loaded_by_debian(s);
    cr_expect_str_eq(command_text(debian, "DEBUG DIGEST"), digest);
    server_stop(debian);
}

/* Some of each type, by commands whose effect is rewritten, too. */
static void write_all_families(struct server *s, int round)
{
    static const char *const lines[] = {
        "SET string:%d value EX 1000",
        "SETRANGE string:%d 3 overwritten",
        "APPEND string:%d tail",
        "INCRBYFLOAT float:%d 10.125",
        "SETEX soon:%d 100000 x",
        "GETEX soon:%d PERSIST",
        "GETDEL soon:%d",
        "SETBIT bits:%d 77 1",
        "PFADD hll:%d a b c d",
        "RPUSH list:%d a b c d e f",
        "LPOP list:%d 2",
        "LINSERT list:%d BEFORE d x",
        "LMOVE list:%d other:list LEFT RIGHT",
        "SADD set:%d 1 2 3 4 5",
        "SPOP set:%d",
        "SADD words:%d one two three",
        "ZADD zset:%d 1 a 2.5 b inf c -inf d",
        "ZINCRBY zset:%d 0.5 a",
        "ZPOPMIN zset:%d",
        "GEOADD geo:%d 13.361389 38.115556 Palermo",
        "HSET hash:%d field value number 17",
        "HINCRBYFLOAT hash:%d number 1.5",
        "XADD stream:%d * field value",
        "XADD stream:%d MAXLEN ~ 100 * field value other 2",
        "XGROUP CREATE stream:%d group 0",
        "XREADGROUP GROUP group alice COUNT 1 STREAMS stream:%d >",
        "EXPIRE hash:%d 100000",
        "RENAME words:%d renamed",
        "COPY zset:%d copy:zset REPLACE",
        "SORT list:%d ALPHA STORE sorted",
        "MOVE string:%d 1",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char line[256];
        redisReply *r;
        snprintf(line, sizeof line, lines[i], round);
        r = command(s, line);
        cr_assert_neq(r->type, REDIS_REPLY_ERROR, "%s: %s", line, r->str);
        freeReplyObject(r);
    }
    expect_ok(s, "MULTI");
    expect_status(s, "QUEUED", "INCR counter");
    expect_status(s, "QUEUED", "SELECT 3");
    expect_status(s, "QUEUED", "LPUSH elsewhere %d", round);
    expect_status(s, "QUEUED", "SELECT 0");
    freeReplyObject(command(s, "EXEC"));
}

/* --- start and layout --- */

Test(append_only, a_start_makes_base_incremental_and_manifest)
{
    struct server *s = server_start(OURS, "appendonly yes");
    expect_manifest(s, "file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n");
    cr_expect_eq(count_files(s, "appendonlydir"), 3);
    cr_expect(info_is(s, "persistence", "aof_enabled", "1"));
    expect_ok(s, "SET a 1");
    expect_debian_loads_the_same(s);
}

Test(append_only, every_command_family_loads_in_debians)
{
    struct server *s = server_start(OURS, "appendonly yes");
    for (int round = 0; round < 3; round++) write_all_families(s, round);
    expect_debian_loads_the_same(s);
}

Test(append_only, a_base_of_commands_loads_in_debians)
{
    struct server *s = server_start(OURS, "appendonly yes\naof-use-rdb-preamble no");
    for (int round = 0; round < 3; round++) write_all_families(s, round);
    for (int i = 0; i < 200; i++) {
        freeReplyObject(command(s, "RPUSH long %d", i));
        freeReplyObject(command(s, "SADD many member:%d", i));
        freeReplyObject(command(s, "ZADD ranks %d.25 member:%d", i, i));
        freeReplyObject(command(s, "HSET wide field:%d %d", i, i));
    }
    expect_string(s, "5-5", "XADD emptied 5-5 a b");
    expect_integer(s, 1, "XDEL emptied 5-5");
    expect_ok(s, "XGROUP CREATE emptied group $");
    expect_ok(s, "XGROUP CREATE never group 0 MKSTREAM");
    rewrite(s);
    cr_expect(there_is(s, "appendonlydir/appendonly.aof.2.base.aof"));
    expect_ok(s, "SET behind 1");
    expect_debian_loads_the_same(s);
}

/* --- rewrites --- */

Test(append_only, a_rewrite_leaves_one_base_and_one_incremental)
{
    struct server *s = server_start(OURS, "appendonly yes");
    fill(s, "key:", 100, 20);
    rewrite(s);
    expect_ok(s, "SET behind 1");
    expect_manifest(s, "file appendonly.aof.2.base.rdb seq 2 type b\nfile appendonly.aof.2.incr.aof seq 2 type i\n");
    cr_expect_eq(count_files(s, "appendonlydir"), 3);
    cr_expect(info_is(s, "persistence", "aof_last_bgrewrite_status", "ok"));
    expect_debian_loads_the_same(s);
}

Test(append_only, history_stays_where_it_is_wanted)
{
    struct server *s = server_start(OURS, "appendonly yes\naof-disable-auto-gc yes");
    rewrite(s);
    cr_expect_eq(count_files(s, "appendonlydir"), 5);
    expect_manifest(s, "file appendonly.aof.2.base.rdb seq 2 type b\nfile appendonly.aof.1.incr.aof seq 1 type h\n"
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
Test(append_only, rewrites_under_load_lose_and_double_nothing)
{
    struct server *s = server_start(OURS, "appendonly yes");
    fill(s, "key:", 2000, 50);
    struct load *l = begin_load(s);
    for (int i = 0; i < 4; i++) {
        expect_ok(s, "CONFIG SET aof-use-rdb-preamble %s", i % 2 ? "no" : "yes");
        rewrite(s);
    }
    end_load(l);
    expect_debian_loads_the_same(s);
}

Test(append_only, a_rewrite_asked_for_in_a_transaction_waits_for_its_end)
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
    wait_until(info_number(s, "persistence", "aof_rewrites") == 1 && is_idle(s));
    expect_string(s, "2", "GET counter");
    expect_debian_loads_the_same(s);
}

Test(append_only, one_child_at_a_time)
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
    wait_until(info_number(s, "persistence", "aof_rewrites") == 1 && is_idle(s));
}

Test(append_only, a_rewrite_that_fails_costs_nothing)
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
        wait_until(is_idle(s));
        cr_expect(info_is(s, "persistence", "aof_last_bgrewrite_status", "err"));
    }
    wait_until(count_files(s, "") == count_files(s, ".")); /* the temporary files go aside */
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
    rewrite(s);
    expect_ok(s, "SET at:last 1");
    cr_expect_eq(info_number(s, "persistence", "aof_rewrites_consecutive_failures"), 0);
    expect_debian_loads_the_same(s);
}

Test(append_only, a_manifest_that_cannot_be_written_before_the_fork)
{
    rewrite_into_an_obstacle("appendonlydir/temp-appendonly.aof.manifest", false);
}

Test(append_only, an_incremental_that_cannot_be_made)
{
    rewrite_into_an_obstacle("appendonlydir/appendonly.aof.2.incr.aof", false);
}

Test(append_only, a_base_that_cannot_be_renamed)
{
    rewrite_into_an_obstacle("appendonlydir/appendonly.aof.2.base.rdb", true);
}

/* The answer waits for what a worker does, and whoever has asked may say more meanwhile, or leave. */
Test(append_only, who_asks_for_a_rewrite_hears_whether_it_begins)
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

Test(append_only, growth_starts_a_rewrite)
{
    struct server *s = server_start(OURS, "appendonly yes\nauto-aof-rewrite-min-size 20kb\nauto-aof-rewrite-percentage "
                                          "100");
    char value[2000];
    memset(value, 'v', sizeof value);
    for (int i = 0; i < 30; i++) freeReplyObject(command(s, "SET key %b", value, sizeof value));
    server_wait_log(s, 0, "Starting automatic rewriting of AOF on ");
    wait_until(info_number(s, "persistence", "aof_rewrites") == 1 && is_idle(s));
    cr_expect_lt(info_number(s, "persistence", "aof_base_size"), 20000);
    expect_debian_loads_the_same(s);
}

Test(append_only, rewriting_without_append_only_leaves_a_base)
{
    struct server *s = server_start(OURS, "appendonly no");
    expect_ok(s, "SET a 1");
    rewrite(s);
    expect_manifest(s, "file appendonly.aof.1.base.rdb seq 1 type b\n");
    expect_debian_loads_the_same(s);
}

/* --- on and off --- */

Test(append_only, it_is_turned_on_and_off_at_run_time)
{
    struct server *s = server_start(OURS, "appendonly no");
    fill(s, "key:", 100, 20);
    expect_ok(s, "CONFIG SET appendonly yes");
    cr_expect(info_is(s, "persistence", "aof_enabled", "1"));
    expect_ok(s, "SET meanwhile 1");
    wait_until(info_number(s, "persistence", "aof_rewrites") == 1 && is_idle(s));
    expect_manifest(s, "file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n");
    expect_ok(s, "SET behind 1");
    expect_ok(s, "CONFIG SET appendonly no");
    cr_expect(info_is(s, "persistence", "aof_enabled", "0"));
    expect_ok(s, "SET unseen 1");
    struct server *debian = loaded_by_debian(s);
    expect_string(debian, "1", "GET meanwhile");
    expect_string(debian, "1", "GET behind");
    expect_nil(debian, "GET unseen");
    expect_ok(s, "CONFIG SET appendonly yes");
    wait_until(info_number(s, "persistence", "aof_rewrites") == 2 && is_idle(s));
    expect_ok(s, "SET again 1");
    expect_debian_loads_the_same(s);
}

Test(append_only, where_no_file_can_be_made_it_is_not_turned_on)
{
    struct server *s = server_prepare(OURS, "appendonly no");
    char path[512];
    server_path(s, "appendonlydir", path);
    fclose(fopen(path, "we"));
    server_launch(s);
    expect_error(s,
                 "ERR CONFIG SET failed (possibly related to argument 'appendonly') - Unable to turn on AOF. Check "
                 "server logs.",
                 "CONFIG SET appendonly yes");
    cr_expect_str_eq(config_get(s, "appendonly"), "no");
    cr_expect(info_is(s, "persistence", "aof_enabled", "0"));
    cr_assert_eq(unlink(path), 0);
    expect_ok(s, "CONFIG SET appendonly yes");
    wait_until(info_number(s, "persistence", "aof_rewrites") == 1 && is_idle(s));
}

Test(append_only, turned_off_while_it_is_being_turned_on)
{
    struct server *s = server_start(OURS, "appendonly no\nrdb-key-save-delay 10000000");
    expect_ok(s, "SET a 1");
    expect_ok(s, "CONFIG SET appendonly yes");
    server_wait_log(s, 0, "Background append only file rewriting started by pid");
    expect_error(s, "ERR Errors trying to SHUTDOWN", "SHUTDOWN");
    cr_expect(server_log_has(s, 0, "Writing initial AOF, can't exit"));
    expect_ok(s, "CONFIG SET appendonly no");
    wait_until(is_idle(s));
    expect_ok(s, "CONFIG SET rdb-key-save-delay 0");
    expect_ok(s, "CONFIG SET appendonly yes");
    wait_until(info_number(s, "persistence", "aof_rewrites") == 1 && is_idle(s));
    cr_expect_not(there_is(s, "appendonlydir/temp-appendonly.aof.incr"));
    expect_debian_loads_the_same(s);
}

Test(append_only, what_an_unfinished_rewrite_left_is_swept)
{
    struct server *s = server_prepare(OURS, "appendonly yes");
    static const char *const names[] = {"temp-rewriteaof-1999999999.aof", "temp-rewriteaof-bg-1999999999.aof",
                                        "temp-rewriteaof-notes.aof"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[512];
        server_path(s, names[i], path);
        fclose(fopen(path, "we"));
    }
    server_launch(s);
    cr_expect_not(there_is(s, names[0]));
    cr_expect_not(there_is(s, names[1]));
    cr_expect(there_is(s, names[2]));
}

/* --- INFO --- */

static void names_of(struct server *s, const char *section, char out[8192])
{
    out[0] = 0;
    char text[16384];
    snprintf(text, sizeof text, "%s", command_text(s, "INFO %s", section));
    for (char *line = strtok(text, "\r\n"); line; line = strtok(NULL, "\r\n")) {
        char *colon = strchr(line, ':');
        if (colon) strncat(strncat(out, line, (size_t)(colon - line)), "\n", 2);
    }
}

static void drop_line(char *text, const char *line)
{
    char *at = strstr(text, line);
    if (at) memmove(at, at + strlen(line), strlen(at + strlen(line)) + 1);
}

Test(append_only, info_has_redis_names_in_their_order)
{
    static char ours[8192], theirs[8192];
    struct server *s = server_start(OURS, "appendonly yes"), *debian = server_start(DEBIAN, "appendonly yes");
    names_of(s, "persistence", ours);
    names_of(debian, "persistence", theirs);
    cr_expect_str_eq(ours, theirs);
    drop_line(ours, "");
}

/* --- replicas --- */

Test(append_only, a_replica_begins_anew_with_its_masters_dataset)
{
    struct server *master = server_start(OURS, "appendonly no"), *replica = server_start(OURS, "appendonly yes");
    expect_ok(replica, "SET old 1");
    for (int round = 0; round < 2; round++) write_all_families(master, round);
    expect_ok(master, "SELECT 5");
    follow(replica, master);
    wait_in_step(replica, master);
    expect_ok(master, "SET in:five 1");
    wait_until(info_number(replica, "persistence", "aof_rewrites") == 1 && is_idle(replica));
    expect_ok(master, "SET in:five 2");
    expect_ok(master, "SELECT 0");
    write_all_families(master, 7);
    rewrite(replica);
    write_all_families(master, 8);
    expect_same_data(replica, master);
    expect_debian_loads_the_same(replica);
}

Test(append_only, a_master_with_it_serves_replicas_as_before)
{
    struct server *master = server_start(OURS, "appendonly yes\nappendfsync always\nrepl-backlog-ttl 1"),
                  *replica = server_start(OURS, "appendonly no");
    write_all_families(master, 0);
    follow(replica, master);
    write_all_families(master, 1);
    wait_in_step(replica, master); /* a rewrite waits for its snapshot */
    rewrite(master);
    write_all_families(master, 2);
    expect_same_data(replica, master);
    expect_debian_loads_the_same(master);
}

/* --- who waits --- */

Test(append_only, waitaof_says_what_is_on_which_disk)
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

Test(append_only, waitaof_counts_the_disks_of_replicas)
{
    struct server *master = server_start(OURS, "appendonly yes"), *with = server_start(OURS, "appendonly yes");
    struct server *debian = server_start(DEBIAN, "appendonly yes");
    follow(with, master);
    wait_in_step(with, master);
    wait_until(info_number(with, "persistence", "aof_rewrites") >= 1 && is_idle(with));
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

Test(append_only, waitaof_ends_with_the_file)
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

Test(append_only, with_always_an_answer_waits_for_the_disk)
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

Test(append_only, with_everysec_no_answer_waits)
{
    struct server *s = server_start(OURS, "appendonly yes");
    pid_t journal = freeze_journal(s);
    expect_ok(s, "SET a 1");
    expect_string(s, "1", "GET a");
    kill(journal, SIGCONT);
    expect_debian_loads_the_same(s);
}

Test(append_only, answers_that_wait_leave_when_nothing_is_to_be_waited_for)
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

Test(append_only, writes_wait_for_a_journal_that_is_far_behind)
{
    struct server *s = server_start(OURS, "appendonly yes\nrepl-backlog-size 1mb\n"
                                          "client-output-buffer-limit replica 4mb 0 0");
    static char value[100000];
    memset(value, 'v', sizeof value);
    pid_t journal = freeze_journal(s);
    int writer = raw_connect(s);
    char head[64];
    for (int i = 0; i < 100; i++) {
        raw_send(writer, head, (size_t)sprintf(head, "*3\r\n$3\r\nSET\r\n$4\r\nk%03d\r\n$%zu\r\n", i, sizeof value));
        raw_send(writer, value, sizeof value);
        raw_send_text(writer, "\r\n");
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
    static char value[100000];
    char head[64];
    memset(value, 'v', sizeof value);
    for (int i = 0; i < 100 && info_is(s, "persistence", "aof_last_write_status", "ok"); i++) {
        raw_send(fd, head, (size_t)sprintf(head, "*3\r\n$3\r\nSET\r\n$4\r\nk%03d\r\n$%zu\r\n", i, sizeof value));
        raw_send(fd, value, sizeof value);
        raw_send_text(fd, "\r\n");
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

Test(append_only, a_full_disk_refuses_writes_until_it_has_room)
{
    fill_disk_and_make_room("everysec");
}

Test(append_only, a_full_disk_with_always_holds_what_it_cannot_promise)
{
    fill_disk_and_make_room("always");
}

Test(append_only, with_always_a_fsync_that_is_not_made_is_not_waited_for)
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
Test(append_only, with_always_a_rewrite_without_fsync_holds_no_write_back)
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

Test(append_only, with_always_a_shutdown_leaves_no_answer_behind)
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

Test(append_only, a_full_sync_outlives_a_rewrites_child)
{
    struct server *master = server_start(OURS, "appendonly yes\nrdb-key-save-delay 10000000");
    struct server *replica = server_start(OURS, "appendonly no");
    expect_ok(master, "SET a 1");
    expect_status(master, "Background append only file rewriting started", "BGREWRITEAOF");
    server_wait_log(master, 0, "Background append only file rewriting started by pid");
    follow(replica, master);
    server_wait_log(master, 0, "asks for synchronization");
    expect_ok(master, "CONFIG SET rdb-key-save-delay 0");
    expect_ok(master, "SET b 1");
    cr_expect_not(link_is_up(replica));
    kill(server_snapshot_pid(master), SIGKILL);
    wait_in_step(replica, master);
    expect_same_data(replica, master);
    rewrite(master);
    expect_debian_loads_the_same(master);
}

/* What clients write to a replica has no place in its master's stream, which is what the file holds. */
Test(append_only, says_what_of_a_writable_replica_it_does_not_hold)
{
    static const char *const told = "What clients write to this replica (replica-read-only no) is not in its append";
    struct server *master = server_start(OURS, "appendonly no"), *replica = server_start(OURS, "appendonly yes");
    follow(replica, master);
    wait_until(link_is_up(replica));
    long mark = server_log_end(replica);
    expect_ok(replica, "CONFIG SET replica-read-only no");
    server_wait_log(replica, mark, told);
    expect_ok(replica, "SET own 1");
    expect_ok(master, "SET streamed 1");
    wait_until(in_step(replica, master));
    wait_until(is_idle(replica));
    rewrite(replica);
    server_kill(replica);
    server_launch(replica);
    wait_until(info_is_if_there(replica, "persistence", "loading", "0"));
    cr_expect_str_eq(command_text(replica, "GET own"), "1");
    cr_expect_str_eq(command_text(replica, "GET streamed"), "1");
}
