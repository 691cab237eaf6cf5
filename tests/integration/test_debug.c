/* DEBUG's subcommands that suites and tools of others use, beyond those that our own tests live on. */
#include "tests/harness/raw.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
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

static bool has_started_anew(struct server *s, const char *old_run_id)
{
    char id[64];
    return info_text_if_there(s, "server", "run_id", id, sizeof id) && strcmp(id, old_run_id) != 0;
}

/* In an orderly way, as the same process: with its arguments, its configuration as it is now, and its data. */
Test(debug, a_server_starts_itself_again)
{
    struct server *s = server_start(OURS, "save 3600 1");
    expect_ok(s, "SET k v");
    expect_ok(s, "CONFIG SET maxmemory 123456789");
    const char *id = info_text(s, "server", "run_id");
    long long pid = info_number(s, "server", "process_id");
    cr_expect_null(try_command(s, "DEBUG RESTART 10"), "the connection ends without an answer");
    wait_until(has_started_anew(s, id));
    cr_expect_eq(info_number(s, "server", "process_id"), pid);
    expect_string(s, "v", "GET k");
    cr_expect_str_eq(config_get(s, "maxmemory"), "123456789");
    expect_error(s, "ERR value is not an integer or out of range", "DEBUG RESTART soon");
}

/* As after any other kill nothing is missing, though nothing was saved. */
Test(debug, a_server_that_kills_itself_is_followed_by_another)
{
    struct server *s = server_start(OURS, "%s", "");
    expect_ok(s, "SET k v");
    const char *id = info_text(s, "server", "run_id");
    long long pid = info_number(s, "server", "process_id");
    cr_expect_null(try_command(s, "DEBUG CRASH-AND-RECOVER 10"));
    int status = server_wait_end(s);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    wait_until(has_started_anew(s, id));
    cr_expect_neq(info_number(s, "server", "process_id"), pid);
    expect_string(s, "v", "GET k");
    cr_expect_null(try_command(s, "SHUTDOWN NOSAVE"));
}

Test(debug, what_is_only_accepted)
{
    struct server *s = server_start(OURS, "%s", "");
    expect_error(s, "ERR Debug option only available for cluster mode enabled setup!",
                 "DEBUG CLUSTERLINK KILL all 0123456789012345678901234567890123456789");
    expect_error(s, "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.", "DEBUG RELOAD other");
    expect_ok(s, "DEBUG AOF-FLUSH-SLEEP 0");
    expect_ok(s, "DEBUG DROP-CLUSTER-PACKET-FILTER -1");
    expect_ok(s, "DEBUG LEAK some");
}
