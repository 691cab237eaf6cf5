/* DEBUG's subcommands that suites and tools of others use, beyond those that our own tests live on. */
#include "tests/harness/raw.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(debug, .fini = server_finish_all, .timeout = 60);

/* The clients of the bucket of DEBUG CLIENT-EVICTION that begins at so many bytes. */
static long clients_from(struct server *s, size_t bytes)
{
    char begin[32];
    snprintf(begin, sizeof begin, "bucket %10zu", bytes);
    redisReply *text = command(s, "DEBUG CLIENT-EVICTION");
    cr_assert_eq(text->type, REDIS_REPLY_STRING, "%s", text->str);
    const char *line = strstr(text->str, begin);
    cr_assert(line, "%s", text->str);
    long clients = strtol(strstr(line, "clients: ") + strlen("clients: "), NULL, 10);
    freeReplyObject(text);
    return clients;
}

Test(debug, clients_stand_in_the_buckets_of_what_they_hold)
{
    struct server *s = server_start(OURS, "%s", "");
    expect_error(s, "ERR maxmemory-clients is disabled.", "DEBUG CLIENT-EVICTION");
    expect_ok(s, "CONFIG SET maxmemory-clients 100mb");
    cr_expect_eq(clients_from(s, 1 << 20), 0);
    int fd = raw_connect(s);
    char *half = calloc(1, 1500 * 1000);
    int len = snprintf(half, 64, "*2\r\n$4\r\nECHO\r\n$3000000\r\n");
    memset(half + len, 'x', 1400 * 1000);
    raw_send(fd, half, (size_t)len + 1400 * 1000);
    free(half);
    wait_until(clients_from(s, 1 << 20) + clients_from(s, 1 << 21) == 1);
    expect_ok(s, "CLIENT NO-EVICT ON");
    close(fd);
    wait_until(clients_from(s, 1 << 20) + clients_from(s, 1 << 21) == 0);
    cr_expect_eq(clients_from(s, (size_t)1 << 32), 0);
}

Test(debug, what_is_replicated_by_hand_is_not_run_here)
{
    struct server *master = server_start(OURS, "repl-diskless-sync-delay 0"), *replica = server_start(OURS, "%s", "");
    follow(replica, master);
    wait_in_step(replica, master);
    expect_ok(master, "DEBUG REPLICATE SET only there");
    wait_in_step(replica, master);
    expect_nil(master, "GET only");
    expect_string(replica, "there", "GET only");
    expect_ok(replica, "DEBUG REPLICATE SET a b");
    expect_ok(master, "SET c d");
    wait_in_step(replica, master);
    expect_nil(replica, "GET a");
}

Test(debug, what_is_not_here_says_what_is)
{
    struct server *s = server_start(OURS, "%s", "");
    expect_error(s, "ERR this server leaves its restart to whoever started it", "DEBUG RESTART");
    expect_error(s, "ERR this server leaves its restart to whoever started it", "DEBUG CRASH-AND-RECOVER 100");
    expect_error(s, "ERR Debug option only available for cluster mode enabled setup!",
                 "DEBUG CLUSTERLINK KILL all 0123456789012345678901234567890123456789");
    expect_error(s, "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.", "DEBUG RELOAD other");
    expect_ok(s, "DEBUG AOF-FLUSH-SLEEP 0");
    expect_ok(s, "DEBUG DROP-CLUSTER-PACKET-FILTER -1");
    expect_ok(s, "DEBUG LEAK some");
}
