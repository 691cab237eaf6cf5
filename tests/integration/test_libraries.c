/* Function libraries pass through us: out of Debian's RDB, into ours, and back to a server that can call them. */
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define LIBRARY  "#!lua name=passing\nredis.register_function('answer', function() return 42 end)"
#define SNAPSHOT "dump.rdb"

TestSuite(libraries, .fini = server_finish_all, .timeout = 120);

static void add_library(struct server *s)
{
    redisReply *reply = redisCommand(connection(s), "FUNCTION LOAD %s", LIBRARY);
    cr_assert(reply && reply->type == REDIS_REPLY_STRING);
    freeReplyObject(reply);
    expect_integer(s, 42, "FCALL answer 0");
}

/* A server that can call functions, started on another one's file. */
static void expect_callable_from_file(struct server *s)
{
    struct server *reader = server_prepare(DEBIAN, "%s", "");
    server_copy_file(s, reader, SNAPSHOT);
    server_launch(reader);
    expect_integer(reader, 42, "FCALL answer 0");
    server_stop(reader);
}

Test(libraries, stay_through_files_and_flushes)
{
    struct server *origin = server_start(DEBIAN, "%s", "");
    add_library(origin);
    expect_ok(origin, "SET k v");
    expect_ok(origin, "SAVE");

    struct server *s = server_prepare(OURS, "%s", "");
    server_copy_file(origin, s, SNAPSHOT);
    server_launch(s);
    expect_integer(s, 1, "DBSIZE");
    expect_ok(s, "SAVE");
    expect_callable_from_file(s);

    expect_ok(s, "DEBUG RELOAD");
    expect_ok(s, "FLUSHALL");
    expect_ok(s, "SAVE");
    expect_callable_from_file(s);
}

/* From Debian's master through ours to Debian's replica, and into a file asked for without keys. */
static void passes_on(const char *config)
{
    struct server *master = server_start(DEBIAN, "%s", "");
    add_library(master);
    expect_ok(master, "SET k v");
    struct server *middle = server_start(OURS, "%s", config), *last = server_start(DEBIAN, "%s", "");
    expect_ok(middle, "SET old data");
    follow(middle, master);
    wait_in_step(middle, master);
    follow(last, middle);
    wait_in_step(last, middle);
    expect_same_data(last, master);
    promote(last);
    expect_integer(last, 42, "FCALL answer 0");

    struct server *reader = server_prepare(DEBIAN, "%s", "");
    char path[512], port[16];
    server_path(reader, SNAPSHOT, path);
    snprintf(port, sizeof port, "%d", middle->port);
    const char *argv[] = {server_program(DEBIAN, "redis-cli"), "-p", port, "--functions-rdb", path, NULL};
    struct process_result r = process_run(argv, NULL);
    cr_assert_eq(r.exit_code, 0, "%s", r.output);
    free(r.output);
    server_launch(reader);
    expect_integer(reader, 42, "FCALL answer 0");
    expect_integer(reader, 0, "DBSIZE");
}

Test(libraries, pass_through_full_synchronisation)
{
    passes_on("");
}

Test(libraries, pass_through_a_dataset_built_beside)
{
    passes_on("repl-diskless-load swapdb");
}
