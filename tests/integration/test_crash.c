/* How a server ends that was not asked to: what it says, and what it leaves behind. */
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

TestSuite(crash, .fini = server_finish_all, .timeout = 120);

/* --- what is left of a killed server --- */

static unsigned long long shared_bytes(const struct server *s)
{
    char pattern[64];
    unsigned long long bytes = 0;
    glob_t found;
    snprintf(pattern, sizeof pattern, "/dev/shm/slipstream-%d-*", s->port);
    if (glob(pattern, GLOB_NOSORT, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++) {
            struct stat st;
            if (stat(found.gl_pathv[i], &st) == 0) bytes += (unsigned long long)st.st_blocks * 512;
        }
    globfree(&found);
    return bytes;
}

Test(crash, the_next_start_removes_the_shared_memory_of_a_killed_server)
{
    struct server *master = server_start(OURS, "repl-lz4 no"), *replica = server_start(OURS, "%s", "");
    follow(replica, master);
    wait_in_step(replica, master);
    server_freeze(replica);
    fill(master, "key:", 200, 100000); /* 20 MB that the replica has not taken */
    cr_assert_gt(shared_bytes(master), 5000000);
    server_kill(master);
    cr_assert_gt(shared_bytes(master), 5000000);
    server_launch(master);
    cr_assert_eq(shared_bytes(master), 0, "without a replica there is no backlog yet");
    server_thaw(replica);
    expect_same_data(replica, master);
}
