/* Scripts where memory is short, though no maxmemory says so. */
#include "tests/harness/client.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/resource.h>

TestSuite(script_memory, .fini = server_finish_all, .timeout = 120);

/* A small container for who is started from now on: of what is for data, which is what there is to be used up. The
 * limit counts the stacks of I/O threads in full, which a container does not: there are none. */
static void leave_mib(struct server *s, rlim_t mib)
{
    struct rlimit limit;
    if (info_is(s, "memory", "mem_allocator", "libc")) cr_skip_test("a sanitizer maps more than any limit leaves");
    unsetenv("SLIPSTREAM_IO_THREADS");
    getrlimit(RLIMIT_DATA, &limit);
    limit.rlim_cur = mib << 20;
    cr_assert_eq(setrlimit(RLIMIT_DATA, &limit), 0);
}

Test(script_memory, one_that_writes_without_end_gets_an_error)
{
    struct server *replica = server_start(OURS, "%s", "");
    leave_mib(replica, 400);
    struct server *s = server_start(OURS, "repl-backlog-size 1mb\nclient-output-buffer-limit replica 0 0 0");
    follow(replica, s);
    wait_in_step(replica, s);
    expect_error(s, "OOM command not allowed: what this script has written", "EVAL %s 0",
                 "local v = string.rep('x', 1000000) local i = 0 "
                 "while true do i = i + 1 redis.call('set', 'k', i .. v) end");
    expect_integer(s, 1, "EXISTS k");
    expect_ok(s, "EVAL %s 0", "return redis.call('set', 'after', 1)");
    wait_in_step(replica, s);
    expect_string(replica, "1", "GET after");
}

Test(script_memory, the_data_beside_counts)
{
    leave_mib(server_start(OURS, "%s", ""), 600);
    struct server *s = server_start(OURS, "%s", "");
    expect_integer(s, 150, "EVAL %s 0", "return #string.rep('x', 157286400) / 1048576");
    for (int i = 0; i < 20; i++) expect_integer(s, 10 << 20, "SETRANGE data%d %d x", i, (10 << 20) - 1);
    expect_error(s, "ERR not enough memory", "EVAL %s 0", "return #string.rep('x', 157286400) / 1048576");
    expect_integer(s, 10, "EVAL %s 0", "return #string.rep('x', 10485760) / 1048576");
}
