/* Client-side caching: who is told that a key has changed, when, and in which words. What the words are in Redis's own
 * server is compared by the differential driver (cases/tracking.txt); here stands what needs several connections. */
#include "tests/harness/client.h"
#include "tests/harness/raw.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(tracking, .fini = server_finish_all, .timeout = 120);

#define INVALIDATE(count, keys) ">2\r\n$10\r\ninvalidate\r\n*" #count "\r\n" keys
#define KEY(len, name)          "$" #len "\r\n" name "\r\n"
#define EVERY_KEY               ">2\r\n$10\r\ninvalidate\r\n_\r\n"
#define MESSAGE                 "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n"

/* Inline requests, and all that comes back for them. */
static void talk(int fd, const char *requests, const char *answers)
{
    raw_send_text(fd, requests);
    raw_expect(fd, answers);
}

static int connect_resp3(const struct server *s)
{
    int fd = raw_connect(s);
    raw_send_text(fd, "HELLO 3\r\n");
    raw_skip_past(fd, "modules\r\n*0\r\n");
    return fd;
}

static long long client_id(struct server *s, const char *name)
{
    const char *list = command_text(s, "CLIENT LIST");
    char wanted[64];
    snprintf(wanted, sizeof wanted, " name=%s ", name);
    const char *at = strstr(list, wanted);
    cr_assert(at != NULL, "no client %s", name);
    while (at > list && at[-1] != '\n') at--;
    return atoll(at + strlen("id="));
}

Test(tracking, what_was_read_is_told_of_once)
{
    struct server *s = server_start(OURS, "%s", "");
    int reader = connect_resp3(s);
    talk(reader, "CLIENT TRACKING ON\r\nMGET a b\r\n", "+OK\r\n*2\r\n_\r\n_\r\n");
    cr_expect_eq(info_number(s, "stats", "tracking_total_keys"), 2);
    cr_expect_eq(info_number(s, "clients", "tracking_clients"), 1);
    expect_ok(s, "MSET c 1 a 1");
    expect_ok(s, "SET a 2"); /* not read again meanwhile */
    expect_ok(s, "SELECT 3");
    expect_ok(s, "SET b 2"); /* of any database */
    talk(reader, "PING\r\n", INVALIDATE(1, KEY(1, "a")) INVALIDATE(1, KEY(1, "b")) "+PONG\r\n");
    cr_expect_eq(info_number(s, "stats", "tracking_total_items"), 0);
    close(reader);
}

Test(tracking, an_invalidation_stands_behind_the_reply_of_its_own_command)
{
    struct server *s = server_start(OURS, "%s", "");
    int c = connect_resp3(s);
    talk(c, "CLIENT TRACKING ON\r\nGET a\r\nSET a 1\r\n", "+OK\r\n_\r\n+OK\r\n" INVALIDATE(1, KEY(1, "a")));
    talk(c, "GET a\r\nMULTI\r\nSET a 2\r\nPING\r\nEXEC\r\n",
         "$1\r\n1\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n+PONG\r\n" INVALIDATE(1, KEY(1, "a")));
    talk(c, "MULTI\r\nFLUSHALL\r\nPING\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n+PONG\r\n" EVERY_KEY);
    /* Messages of a channel are no other pushes than these. */
    talk(c, "SUBSCRIBE ch\r\nMULTI\r\nPUBLISH ch m\r\nPING\r\nEXEC\r\n",
         ">3\r\n$9\r\nsubscribe\r\n$2\r\nch\r\n:1\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n+PONG\r\n"
         ">3\r\n$7\r\nmessage\r\n$2\r\nch\r\n$1\r\nm\r\n");
    /* Answers that are not wanted leave pushes alone. */
    talk(c, "GET a\r\nCLIENT REPLY OFF\r\nSET a 3\r\nCLIENT REPLY ON\r\n",
         "_\r\n" INVALIDATE(1, KEY(1, "a")) "+OK\r\n");
    close(c);
}

Test(tracking, a_client_that_waits_is_told_behind_what_it_waited_for)
{
    struct server *s = server_start(OURS, "%s", "");
    int c = connect_resp3(s);
    talk(c, "CLIENT TRACKING ON\r\nLRANGE to 0 -1\r\n", "+OK\r\n*0\r\n");
    raw_send_text(c, "BLMOVE from to LEFT LEFT 0\r\n");
    wait_until(info_number(s, "clients", "blocked_clients") == 1);
    expect_integer(s, 1, "RPUSH from x");
    raw_expect(c, "$1\r\nx\r\n" INVALIDATE(1, KEY(2, "to")));
    close(c);
}

Test(tracking, keys_that_go_by_themselves_are_told_of)
{
    struct server *s = server_start(OURS, "hz 100");
    int plain = connect_resp3(s), own = connect_resp3(s);
    talk(plain, "CLIENT TRACKING ON\r\n", "+OK\r\n");
    talk(own, "CLIENT TRACKING ON BCAST NOLOOP PREFIX ex\r\n", "+OK\r\n");
    talk(own, "SET expires 1 EX 3600\r\n", "+OK\r\n");
    talk(plain, "EXISTS expires\r\n", ":1\r\n");
    expect_ok(s, "DEBUG STEP-WALL-CLOCK 7200000");
    raw_expect(plain, INVALIDATE(1, KEY(7, "expires")));
    raw_expect(own, INVALIDATE(1, KEY(7, "expires"))); /* its own key, but not its own doing */
    expect_ok(s, "SET evicted 1");
    talk(plain, "GET evicted\r\n", "$1\r\n1\r\n");
    expect_ok(s, "CONFIG SET maxmemory-policy allkeys-random maxmemory 1");
    raw_expect(plain, INVALIDATE(1, KEY(7, "evicted")));
    close(plain);
    close(own);
}

Test(tracking, prefixes_gather_what_a_turn_changes)
{
    struct server *s = server_start(OURS, "%s", "");
    int c = connect_resp3(s), quiet = connect_resp3(s);
    talk(c, "CLIENT TRACKING ON BCAST PREFIX b: PREFIX a:\r\n", "+OK\r\n");
    talk(quiet, "CLIENT TRACKING ON BCAST NOLOOP PREFIX a: PREFIX z\r\n", "+OK\r\n");
    cr_expect_eq(info_number(s, "stats", "tracking_total_prefixes"), 3);
    expect_ok(s, "MSET b:1 x a:1 x c:1 x a:2 x a:1 y");
    raw_expect(c, INVALIDATE(2, KEY(3, "a:1") KEY(3, "a:2")) INVALIDATE(1, KEY(3, "b:1")));
    raw_expect(quiet, INVALIDATE(2, KEY(3, "a:1") KEY(3, "a:2")));
    talk(quiet, "MSET a:1 x z 1\r\nDEL a:2\r\nPING\r\n", "+OK\r\n:1\r\n+PONG\r\n");
    raw_expect(c, INVALIDATE(2, KEY(3, "a:1") KEY(3, "a:2")));
    talk(c, "CLIENT TRACKING OFF\r\nMSET a:1 x b:1 x\r\nPING\r\n", "+OK\r\n+OK\r\n+PONG\r\n");
    raw_expect(quiet, INVALIDATE(1, KEY(3, "a:1")));
    close(quiet);
    wait_until(info_number(s, "stats", "tracking_total_prefixes") == 0);
    close(c);
}

Test(tracking, resp2_hears_through_a_redirection)
{
    struct server *s = server_start(OURS, "%s", "");
    int ear = raw_connect(s), c = raw_connect(s);
    char line[128];
    talk(ear, "CLIENT SETNAME ear\r\nSUBSCRIBE __redis__:invalidate\r\n",
         "+OK\r\n*3\r\n$9\r\nsubscribe\r\n$20\r\n__redis__:invalidate\r\n:1\r\n");
    long long id = client_id(s, "ear");
    snprintf(line, sizeof line, "CLIENT SETNAME c\r\nCLIENT TRACKING ON REDIRECT %lld\r\n", id);
    talk(c, line, "+OK\r\n+OK\r\n");
    talk(c, "GET k\r\n", "$-1\r\n");
    expect_ok(s, "SET k 1");
    raw_expect(ear, MESSAGE "*1\r\n$1\r\nk\r\n");
    expect_ok(s, "FLUSHDB");
    raw_expect(ear, MESSAGE "$-1\r\n");
    snprintf(line, sizeof line, "flags=t db=0 sub=0 psub=0 ssub=0 multi=-1");
    cr_expect(strstr(command_text(s, "CLIENT LIST ID %lld", client_id(s, "c")), line));
    snprintf(line, sizeof line, " redir=%lld ", id);
    cr_expect(strstr(command_text(s, "CLIENT LIST ID %lld", client_id(s, "c")), line));

    /* The one who should hear goes: who asked for it is told, if his protocol can tell it. */
    talk(c, "GET k\r\n", "$-1\r\n");
    close(ear);
    wait_until(!strstr(command_text(s, "CLIENT LIST"), "name=ear"));
    expect_ok(s, "SET k 1");
    talk(c, "PING\r\n", "+PONG\r\n");
    raw_send_text(c, "HELLO 3\r\n");
    raw_skip_past(c, "modules\r\n*0\r\n");
    snprintf(line, sizeof line, "$1\r\n1\r\n>2\r\n$21\r\ntracking-redir-broken\r\n:%lld\r\n", id);
    raw_send_text(c, "GET k\r\n");
    raw_expect(c, "$1\r\n1\r\n");
    expect_ok(s, "SET k 2");
    raw_expect(c, line + strlen("$1\r\n1\r\n"));
    cr_expect(strstr(command_text(s, "CLIENT LIST ID %lld", client_id(s, "c")), " flags=tR "));
    close(c);
}

Test(tracking, a_table_over_its_limit_lets_keys_go_and_says_so)
{
    enum { READ = 500, LIMIT = 20 };
    struct server *s = server_start(OURS, "tracking-table-max-keys %d", LIMIT);
    int c = connect_resp3(s);
    talk(c, "CLIENT TRACKING ON\r\n", "+OK\r\n");
    for (int i = 0; i < READ; i++) {
        char line[64];
        snprintf(line, sizeof line, "STRLEN key:%d\r\n", i);
        raw_send_text(c, line);
    }
    wait_until(info_number(s, "stats", "tracking_total_keys") == LIMIT);
    expect_ok(s, "CONFIG SET tracking-table-max-keys 1");
    wait_until(info_number(s, "stats", "tracking_total_keys") == 1);
    expect_ok(s, "FLUSHALL");
    raw_send_text(c, "QUIT\r\n");
    size_t len, told = 0;
    char *all = raw_read_to_end(c, &len);
    for (char *at = all; (at = strstr(at, "invalidate\r\n*1\r\n")); at++) told++;
    cr_expect_eq(told, READ - 1);
    cr_expect(strstr(all, EVERY_KEY));
    free(all);
    close(c);
}

Test(tracking, what_nobody_tracks_any_more_is_let_go)
{
    struct server *s = server_start(OURS, "%s", "");
    int c = raw_connect(s);
    talk(c, "CLIENT TRACKING ON\r\nMGET a b c d\r\n", "+OK\r\n*4\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n");
    cr_expect_eq(info_number(s, "stats", "tracking_total_keys"), 4);
    close(c);
    wait_until(info_number(s, "clients", "tracking_clients") == 0);
    wait_until(info_number(s, "stats", "tracking_total_keys") == 0);
}

Test(tracking, a_replica_tells_of_its_masters_writes_and_of_a_new_dataset)
{
    struct server *master = server_start(OURS, "%s", ""), *replica = server_start(OURS, "%s", "");
    int c = connect_resp3(replica);
    talk(c, "CLIENT TRACKING ON\r\nGET k\r\n", "+OK\r\n_\r\n");
    follow(replica, master);
    raw_expect(c, EVERY_KEY);
    wait_in_step(replica, master);
    raw_send_text(c, "PING\r\n");
    raw_skip_past(c, "+PONG\r\n"); /* it is said again when the data has come */
    talk(c, "GET k\r\n", "_\r\n");
    expect_ok(master, "SET k 1");
    raw_expect(c, INVALIDATE(1, KEY(1, "k")));
    close(c);
}
