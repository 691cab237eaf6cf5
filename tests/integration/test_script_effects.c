/* Where the effects of a script go that asks for it: redis.set_repl(). */
#include "tests/harness/client.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>

TestSuite(script_effects, .fini = server_finish_all, .timeout = 120);

static const char script[] = "for _, target in ipairs({'REPL_NONE', 'REPL_AOF', 'REPL_REPLICA', 'REPL_ALL'}) do "
                             "redis.set_repl(redis[target]) redis.call('set', target, 1) end return 1";

/* The only way to keep it on the disk leads past the replicas, too. */
Test(script_effects, what_is_for_the_append_only_file_is_in_it)
{
    struct server *s = server_start(OURS, "appendonly yes"), *replica = server_start(OURS, "%s", "");
    follow(replica, s);
    wait_in_step(replica, s);
    expect_integer(s, 1, "EVAL %s 0", script);
    expect_integer(s, 4, "DBSIZE");
    wait_in_step(replica, s);
    expect_integer(replica, 3, "EXISTS REPL_AOF REPL_REPLICA REPL_ALL REPL_NONE");
    server_stop(s);
    server_restart(s);
    expect_integer(s, 3, "EXISTS REPL_AOF REPL_REPLICA REPL_ALL");
    expect_nil(s, "GET REPL_NONE");
}

Test(script_effects, without_such_a_file_only_what_is_for_replicas_leaves)
{
    struct server *s = server_start(OURS, "%s", ""), *replica = server_start(OURS, "%s", "");
    follow(replica, s);
    wait_in_step(replica, s);
    expect_integer(s, 1, "EVAL %s 0", script);
    wait_in_step(replica, s);
    expect_integer(replica, 2, "EXISTS REPL_REPLICA REPL_ALL REPL_AOF REPL_NONE");
    expect_nil(replica, "GET REPL_AOF");
}
