/* Function libraries wherever a dataset goes: to replicas, through full synchronisation, into files and payloads and
 * back; and what becomes of those that cannot be compiled. What each command answers is compared with Debian's server
 * in tests/differential/cases/functions.txt. */
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(functions, .fini = server_finish_all, .timeout = 120);

/* A library of one function of the same name with the prefix "f_", which answers with `answer`. */
static const char *source(const char *name, const char *answer)
{
    static char text[512];
    snprintf(text, sizeof text, "#!lua name=%s\nredis.register_function('f_%s', function() return %s end)", name, name,
             answer);
    return text;
}

static void load(struct server *s, const char *name, const char *answer)
{
    expect_string(s, name, "FUNCTION LOAD REPLACE %s", source(name, answer));
}

static bool answers(struct server *s, const char *function, long long value)
{
    redisReply *r = try_command(s, "FCALL_RO %s 0", function);
    if (r && r->type == REDIS_REPLY_ERROR) {
        freeReplyObject(r);
        r = try_command(s, "FCALL %s 0", function);
    }
    bool right = r && r->type == REDIS_REPLY_INTEGER && r->integer == value;
    freeReplyObject(r);
    return right;
}

static long long libraries(struct server *s)
{
    return info_number(s, "memory", "number_of_libraries");
}

/* The payload of FUNCTION DUMP; the caller frees the reply. */
static redisReply *dump(struct server *s)
{
    redisReply *r = command(s, "FUNCTION DUMP");
    cr_assert_eq(r->type, REDIS_REPLY_STRING);
    return r;
}

Test(functions, are_replicated_by_each_command)
{
    struct server *master = server_start(OURS, "%s", ""), *replica = server_start(OURS, "%s", "");
    struct server *debian = server_start(DEBIAN, "%s", "");
    follow(replica, master);
    follow(debian, master);
    wait_in_step(replica, master);
    load(master, "a", "1");
    load(master, "b", "2");
    wait_until(libraries(replica) == 2 && libraries(debian) == 2);
    load(master, "a", "3");
    redisReply *payload = dump(master);
    expect_ok(master, "FUNCTION DELETE a");
    wait_until(libraries(replica) == 1 && libraries(debian) == 1);
    expect_ok(master, "FUNCTION RESTORE %b REPLACE", payload->str, payload->len);
    wait_until(libraries(replica) == 2 && libraries(debian) == 2);
    freeReplyObject(payload);
    wait_in_step(replica, master);
    expect_error(replica, "READONLY", "FUNCTION DELETE a");
    expect_error(replica, "READONLY", "FUNCTION LOAD %s", source("c", "1"));
    expect_error(replica, "READONLY", "FUNCTION FLUSH");
    expect_ok(master, "FUNCTION FLUSH ASYNC");
    wait_until(libraries(replica) == 0 && libraries(debian) == 0);
    expect_same_data(replica, master);
}

Test(functions, come_from_a_master_that_is_redis)
{
    struct server *master = server_start(DEBIAN, "%s", ""), *replica = server_start(OURS, "%s", "");
    follow(replica, master);
    wait_in_step(replica, master);
    load(master, "a", "1");
    wait_until(libraries(replica) == 1);
    load(master, "a", "2");
    load(master, "b", "5");
    expect_ok(master, "FUNCTION DELETE b");
    wait_in_step(replica, master);
    promote(replica);
    cr_assert(answers(replica, "f_a", 2));
    expect_error(replica, "ERR Function not found", "FCALL f_b 0");
}

static void arrive_by_full_synchronisation(const char *config)
{
    struct server *master = server_start(OURS, "%s", ""), *replica = server_start(OURS, "%s", config);
    expect_ok(master, "SET k v");
    load(master, "a", "1");
    expect_ok(replica, "SET old data");
    load(replica, "b", "2");
    cr_assert(answers(replica, "f_b", 2));
    follow(replica, master);
    wait_in_step(replica, master);
    cr_assert_eq(libraries(replica), 1);
    promote(replica);
    cr_assert(answers(replica, "f_a", 1));
    expect_error(replica, "ERR Function not found", "FCALL f_b 0");
    load(replica, "b", "3");
    cr_assert(answers(replica, "f_b", 3));
}

Test(functions, arrive_by_full_synchronisation)
{
    arrive_by_full_synchronisation("");
}

Test(functions, arrive_beside_the_old_data)
{
    arrive_by_full_synchronisation("repl-diskless-load swapdb");
}

Test(functions, survive_reloads_and_restarts)
{
    struct server *s = server_start(OURS, "%s", "");
    load(s, "a", "1");
    load(s, "b", "2");
    expect_ok(s, "DEBUG RELOAD");
    cr_assert(answers(s, "f_a", 1) && answers(s, "f_b", 2));
    expect_ok(s, "FLUSHALL");
    cr_assert(answers(s, "f_a", 1));
    expect_ok(s, "SAVE");
    server_restart(s);
    cr_assert(answers(s, "f_a", 1) && answers(s, "f_b", 2));
    cr_assert_eq(libraries(s), 2);
    cr_assert_eq(info_number(s, "memory", "number_of_functions"), 2);
    cr_assert_gt(info_number(s, "memory", "used_memory_functions"), 0);
    cr_assert_gt(info_number(s, "memory", "used_memory_vm_functions"), 0);
}

Test(functions, restore_changes_all_or_nothing)
{
    struct server *s = server_start(OURS, "%s", "");
    load(s, "a", "1");
    load(s, "b", "2");
    redisReply *payload = dump(s);
    load(s, "a", "10");
    load(s, "c", "3");
    expect_error(s, "ERR Library a already exists", "FUNCTION RESTORE %b APPEND", payload->str, payload->len);
    cr_assert(answers(s, "f_a", 10));
    expect_ok(s, "FUNCTION RESTORE %b REPLACE", payload->str, payload->len);
    cr_assert(answers(s, "f_a", 1) && answers(s, "f_c", 3));
    expect_ok(s, "FUNCTION RESTORE %b FLUSH", payload->str, payload->len);
    cr_assert_eq(libraries(s), 2);

    /* A function of the same name, in a library that stays. */
    expect_ok(s, "FUNCTION DELETE a");
    expect_string(s, "other", "FUNCTION LOAD %s",
                  "#!lua name=other\nredis.register_function('F_A', function() return 7 end)");
    expect_error(s, "ERR Function f_a already exists", "FUNCTION RESTORE %b REPLACE", payload->str, payload->len);
    cr_assert(answers(s, "f_a", 7) && answers(s, "f_b", 2));
    payload->str[payload->len - 1] ^= 1;
    expect_error(s, "ERR DUMP payload version or checksum are wrong", "FUNCTION RESTORE %b FLUSH", payload->str,
                 payload->len);
    cr_assert_eq(libraries(s), 2);
    freeReplyObject(payload);
}

/* Each to the other and back. */
Test(functions, payloads_are_redis_own)
{
    struct server *s = server_start(OURS, "%s", ""), *debian = server_start(DEBIAN, "%s", "");
    load(s, "a", "1");
    load(s, "b", "'a string that is long enough to be packed, is long enough to be packed'");
    redisReply *payload = dump(s);
    expect_ok(debian, "FUNCTION RESTORE %b", payload->str, payload->len);
    freeReplyObject(payload);
    payload = dump(debian);
    expect_ok(s, "FUNCTION RESTORE %b FLUSH", payload->str, payload->len);
    freeReplyObject(payload);
    cr_assert(answers(s, "f_a", 1));
    cr_assert_eq(libraries(s), 2);
}

/* A name that differs in case alone is the same function's. */
Test(functions, names_differ_by_more_than_case)
{
    struct server *s = server_start(OURS, "%s", "");
    expect_error(
        s, "ERR Error registering functions: ERR Function already exists in the library", "FUNCTION LOAD %s",
        "#!lua name=a\nredis.register_function('g', function() end) redis.register_function('G', function() end)");
    load(s, "a", "1");
    expect_error(s, "ERR Function F_A already exists", "FUNCTION LOAD %s",
                 "#!lua name=b\nredis.register_function('F_A', function() end)");
    cr_assert(answers(s, "F_a", 1));
}

Test(functions, loading_that_does_not_end_is_stopped)
{
    struct server *s = server_start(OURS, "%s", "");
    expect_error(s, "ERR Error registering functions: ERR FUNCTION LOAD timeout", "FUNCTION LOAD %s",
                 "#!lua name=a\nlocal n = 1 while true do n = n + 1 end");
    expect_error(s, "ERR Error registering functions: ERR", "FUNCTION LOAD %s",
                 "#!lua name=a\nlocal function deep() return deep() + 1 end deep()");
    expect_error(s, "ERR Error registering functions: ERR", "FUNCTION LOAD %s",
                 "#!lua name=a\nlocal t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end");
    load(s, "a", "1");
    cr_assert(answers(s, "f_a", 1));
}

Test(functions, loading_keeps_to_the_memory_limit)
{
    struct server *s = server_start(OURS, "maxmemory 24mb");
    for (int i = 0; i < 3; i++)
        expect_error(s, "ERR Error registering functions: ERR not enough memory", "FUNCTION LOAD %s",
                     "#!lua name=a\nlocal t = {} for i = 1, 1e9 do t[i] = ('x'):rep(10000000) end");
    load(s, "a", "1");
    cr_assert(answers(s, "f_a", 1));
    cr_assert_lt(info_number(s, "memory", "used_memory_vm_functions"), 30 * 1024 * 1024);
}

/* They are alone with what they load, and each keeps its own. */
Test(functions, libraries_do_not_share_what_is_local)
{
    struct server *s = server_start(OURS, "%s", "");
    for (int i = 0; i < 2; i++) {
        char text[256];
        snprintf(text, sizeof text,
                 "#!lua name=l%d\nlocal n = %d redis.register_function('next%d', function() n = n + 1 return n end)", i,
                 i * 100, i);
        freeReplyObject(command(s, "FUNCTION LOAD %s", text));
    }
    expect_integer(s, 1, "FCALL next0 0");
    expect_integer(s, 2, "FCALL next0 0");
    expect_integer(s, 101, "FCALL next1 0");
    load(s, "another", "1");
    expect_integer(s, 3, "FCALL next0 0");
}

/* As Valkey calls the same table. */
Test(functions, server_is_another_name_of_redis)
{
    struct server *s = server_start(OURS, "%s", "");
    expect_string(s, "v", "FUNCTION LOAD %s",
                  "#!lua name=v\nserver.register_function{function_name='vset', callback=function(keys, args) "
                  "return server.call('SET', keys[1], args[1]) end}");
    expect_ok(s, "FCALL vset 1 k value");
    expect_string(s, "value", "GET k");
}

/* Redis refuses to start, too. */
Test(functions, a_file_whose_library_does_not_compile_is_refused)
{
    struct server *origin = server_start(OURS, "rdbcompression no\nrdbchecksum no"),
                  *s = server_prepare(OURS, "%s", "");
    expect_string(origin, "broken", "FUNCTION LOAD %s",
                  "#!lua name=broken\nredis.register_function('f', function() return 1 end)");
    expect_ok(origin, "SAVE");
    server_copy_file(origin, s, "dump.rdb");
    char path[512], bytes[4096];
    server_path(s, "dump.rdb", path);
    FILE *file = fopen(path, "r+b");
    size_t len = fread(bytes, 1, sizeof bytes, file);
    char *at = memmem(bytes, len, "return 1", 8);
    cr_assert(at);
    memcpy(at, "return +", 8);
    rewind(file);
    fwrite(bytes, 1, len, file);
    fclose(file);
    cr_assert_neq(server_launch_in_vain(s), 0);
    cr_assert(server_log_has(s, 0, "Error compiling function"));
}

/* --- functions that run for long --- */

#define LOOPS                                                                                                          \
    "#!lua name=loops\n"                                                                                               \
    "redis.register_function('spin', function() while true do end end)\n"                                              \
    "redis.register_function('swallow', function() while true do pcall(function() while true do end end) end end)\n"   \
    "redis.register_function('wspin', function(k) redis.call('set', k[1], 1) while true do end end)"

static struct server *server_with_loops(void)
{
    struct server *s = server_start(OURS, "busy-reply-threshold 10");
    expect_string(s, "loops", "FUNCTION LOAD %s", LOOPS);
    return s;
}

/* On a connection of its own; the others are told that the server is busy when it returns. */
static redisContext *call_endless(struct server *s, const char *call)
{
    redisContext *c = server_connect(s);
    redisAppendCommand(c, call);
    int done = 0;
    while (!done) cr_assert_eq(redisBufferWrite(c, &done), REDIS_OK);
    bool busy = false;
    wait_until((busy = command(s, "PING")->type == REDIS_REPLY_ERROR));
    return c;
}

static void expect_end(redisContext *c, const char *part)
{
    redisReply *r = NULL;
    cr_assert_eq(redisGetReply(c, (void **)&r), REDIS_OK);
    cr_assert_eq(r->type, REDIS_REPLY_ERROR);
    cr_assert(strstr(r->str, part), "%s", r->str);
    freeReplyObject(r);
    redisFree(c);
}

Test(functions, endless_ones_are_killed)
{
    static const char *const calls[] = {"FCALL spin 0 an argument", "FCALL swallow 0"};
    struct server *s = server_with_loops();
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        redisContext *c = call_endless(s, calls[i]);
        expect_error(s, "BUSY", "FCALL spin 0");
        expect_error(s, "BUSY", "FUNCTION LIST");
        expect_error(s, "BUSY", "FUNCTION FLUSH");
        expect_error(s, "BUSY", "SCRIPT KILL");
        expect_ok(s, "FUNCTION KILL");
        expect_end(c, "killed by user");
        wait_until(command(s, "PING")->type == REDIS_REPLY_STATUS);
        expect_error(s, "NOTBUSY", "FUNCTION KILL");
    }
}

Test(functions, one_that_runs_is_told_of)
{
    struct server *s = server_with_loops();
    redisContext *c = call_endless(s, "FCALL spin 1 key argument");
    redisReply *stats = command(s, "FUNCTION STATS");
    const redisReply *running = stats->element[1];
    cr_assert_eq(running->elements, 6);
    cr_assert_str_eq(running->element[1]->str, "spin");
    cr_assert_eq(running->element[3]->elements, 5);
    cr_assert_str_eq(running->element[3]->element[4]->str, "argument");
    cr_assert_geq(running->element[5]->integer, 10);
    freeReplyObject(stats);
    expect_ok(s, "FUNCTION KILL");
    expect_end(c, "script: spin, on @user_function:2.");
}

Test(functions, one_that_has_written_is_not_killed)
{
    struct server *s = server_with_loops();
    redisContext *c = call_endless(s, "FCALL wspin 1 key");
    expect_error(s, "UNKILLABLE", "FUNCTION KILL");
    freeReplyObject(try_command(s, "SHUTDOWN NOSAVE"));
    server_wait_end(s);
    redisFree(c);
}
