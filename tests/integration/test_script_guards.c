/* What must not happen below a script that runs for long. */
#include "tests/harness/client.h"
#include "tests/harness/raw.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

TestSuite(script_guards, .fini = server_finish_all, .timeout = 120);

#define BUSY  "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
#define WAITS "The new data waits for a script that runs on the old"

static bool is_busy(struct server *s)
{
    redisReply *reply = command(s, "GET k");
    bool busy = reply->type == REDIS_REPLY_ERROR && strcmp(reply->str, BUSY) == 0;
    freeReplyObject(reply);
    return busy;
}

/* --- a full synchronisation --- */

/* The script ends by itself only when it sees other data than at its beginning. */
static void sync_below_script(const char *config, const char *before, const char *script)
{
    struct server *master = server_start(OURS, "%s", ""), *replica = server_start(OURS, "%s", config);
    expect_ok(master, "SET k new");
    expect_string(master, "lib", "FUNCTION LOAD %s",
                  "#!lua name=lib\nredis.register_function{function_name='f', flags={'no-writes'}, "
                  "callback=function() return 1 end}");
    if (before) expect_ok(replica, "SET k %s", before);
    server_freeze(master);
    expect_ok(replica, "REPLICAOF 127.0.0.1 %d", master->port);
    int fd = raw_connect(replica);
    char request[512];
    snprintf(request, sizeof request, "*3\r\n$4\r\nEVAL\r\n$%zu\r\n%s\r\n$1\r\n0\r\n", strlen(script), script);
    raw_send_text(fd, request);
    wait_until(is_busy(replica));
    server_thaw(master);
    server_wait_log(replica, 0, WAITS);
    expect_error(replica, BUSY, "GET k");
    expect_ok(replica, "SCRIPT KILL");
    raw_skip_past(fd, "killed by user");
    close(fd);
    wait_until(info_is(replica, "replication", "master_link_status", "up"));
    expect_string(replica, "new", "GET k");
    expect_integer(replica, 1, "FCALL_RO f 0");
    expect_ok(master, "SET k newer");
    expect_integer(master, 1, "WAIT 1 20000");
    expect_string(replica, "newer", "GET k");
}

#define UNTIL_CHANGED "#!lua flags=no-writes\nwhile redis.call('get', 'k') == 'old' do end return 'changed'"
#define UNTIL_FILLED  "#!lua flags=no-writes\nwhile redis.call('dbsize') == 0 do end return 'changed'"

Test(script_guards, no_snapshot_replaces_the_data_below_a_script)
{
    sync_below_script("busy-reply-threshold 5", "old", UNTIL_CHANGED);
}

Test(script_guards, no_snapshot_fills_an_empty_dataset_below_a_script)
{
    sync_below_script("busy-reply-threshold 5", NULL, UNTIL_FILLED);
}

Test(script_guards, no_dataset_beside_takes_the_place_below_a_script)
{
    sync_below_script("busy-reply-threshold 5\nrepl-diskless-load swapdb", "old", UNTIL_CHANGED);
}
