/* Commands whose behaviour shows only on the wire, beside other servers, or over time. */
#include "tests/harness/client.h"
#include "tests/harness/raw.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(commands, .fini = server_finish_all, .timeout = 120);

/* --- what a server says to some requests --- */

/* All of it, until the server closes; the caller's to free. */
static char *said_to(const struct server *s, const char *input)
{
    size_t len;
    int fd = raw_connect(s);
    raw_send_text(fd, input);
    shutdown(fd, SHUT_WR);
    char *said = raw_read_to_end(fd, &len);
    close(fd);
    return said;
}

static void expect_said(const struct server *s, const char *expected, const char *input)
{
    char *said = said_to(s, input);
    cr_assert_str_eq(said, expected, "to %s\nit says\n%s\nand not\n%s", input, said, expected);
    free(said);
}

static void expect_same(const struct server *ours, const struct server *theirs, const char *input)
{
    char *said = said_to(theirs, input);
    expect_said(ours, said, input);
    free(said);
}

/* --- DEBUG --- */

Test(commands, debug_protocol_shows_each_type_as_redis_does)
{
    static const char *const types[] = {"string", "integer", "double", "bignum",   "null", "array", "set",
                                        "map",    "attrib",  "push",   "verbatim", "true", "false", "nosuch"};
    struct server *ours = server_start(OURS, "%s", ""), *theirs = server_start(DEBIAN, "%s", "");
    char input[128];
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        snprintf(input, sizeof input, "DEBUG PROTOCOL %s\r\nPING\r\n", types[i]);
        expect_same(ours, theirs, input);
        /* HELLO tells a version, which differs. */
        snprintf(
            input, sizeof input,
            "CLIENT REPLY OFF\r\nHELLO 3\r\nDEBUG PROTOCOL push\r\nCLIENT REPLY ON\r\nDEBUG PROTOCOL %s\r\nPING\r\n",
            types[i]);
        expect_same(ours, theirs, input);
    }
}

Test(commands, debug_sleep_reads_a_number_at_the_arguments_beginning)
{
    static const char *const numbers[] = {"0.001", "0.001x", "\"0.001\\r\\n\"", "\" 0.001\"", "abc", "\"\"",
                                          "-1",    "1e-3",   "\"0\\x00\"",      "nan"};
    struct server *ours = server_start(OURS, "%s", ""), *theirs = server_start(DEBIAN, "%s", "");
    char input[64];
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        snprintf(input, sizeof input, "DEBUG SLEEP %s\r\n", numbers[i]);
        expect_same(ours, theirs, input);
    }
    int64_t before_ms = clock_ms();
    expect_ok(ours, "DEBUG SLEEP %s", "0.05xyz");
    cr_assert_geq(clock_ms() - before_ms, 50);
}

/* --- CLIENT PAUSE --- */

Test(commands, a_pause_of_all_holds_what_would_be_queued)
{
    struct server *s = server_start(OURS, "%s", "");
    int fd = raw_connect(s);
    raw_send_text(fd, "MULTI\r\n");
    raw_expect(fd, "+OK\r\n");
    static const char *const held[] = {"GET k\r\n", "DISCARD\r\n"}, *const answers[] = {"+QUEUED\r\n", "+OK\r\n"};
    for (int i = 0; i < 2; i++) {
        int64_t before_ms = clock_ms();
        expect_ok(s, "CLIENT PAUSE 300 ALL");
        raw_send_text(fd, held[i]);
        raw_expect(fd, answers[i]);
        cr_assert_geq(clock_ms() - before_ms, 200);
    }
    close(fd);
}

/* --- commands that wait --- */

/* A client that waits once it has sent the request, and its id. */
static int start_waiting(struct server *s, const char *request, char id[32])
{
    int fd = raw_connect(s);
    long long before = info_number(s, "clients", "blocked_clients");
    size_t len = 0;
    raw_send_text(fd, "CLIENT ID\r\n");
    while (len < 31 && recv(fd, id + len, 1, 0) == 1 && id[len] != '\n') len++;
    id[len] = 0;
    memmove(id, id + 1, len); /* without its colon, and below without its end */
    id[strcspn(id, "\r")] = 0;
    raw_send_text(fd, request);
    wait_until(info_number(s, "clients", "blocked_clients") == before + 1);
    return fd;
}

static void expect_failed_calls(struct server *s, const char *command, int failed, int errors)
{
    char field[64], wanted[64];
    snprintf(field, sizeof field, "cmdstat_%s", command);
    snprintf(wanted, sizeof wanted, "failed_calls=%d", failed);
    const char *stat = info_text(s, "commandstats", field);
    cr_assert(strstr(stat, "calls=1,") == stat && strstr(stat, wanted), "%s: %s", command, stat);
    snprintf(wanted, sizeof wanted, "count=%d", errors);
    cr_assert_str_eq(info_text(s, "errorstats", "errorstat_UNBLOCKED"), errors ? wanted : "");
}

Test(commands, a_wait_that_ends_with_an_error_is_a_failed_call)
{
    static const char *const requests[][2] = {
        {"blpop", "BLPOP none 0\r\n"}, {"wait", "WAIT 3 0\r\n"}, {"xread", "XREAD BLOCK 0 STREAMS none $\r\n"}};
    struct server *s = server_start(OURS, "%s", "");
    char id[32];
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        expect_ok(s, "CONFIG RESETSTAT");
        int fd = start_waiting(s, requests[i][1], id);
        expect_integer(s, 1, "CLIENT UNBLOCK %s TIMEOUT", id);
        expect_failed_calls(s, requests[i][0], 0, 0);
        close(fd);
        expect_ok(s, "CONFIG RESETSTAT");
        fd = start_waiting(s, requests[i][1], id);
        expect_integer(s, 1, "CLIENT UNBLOCK %s ERROR", id);
        raw_expect(fd, "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
        expect_failed_calls(s, requests[i][0], 1, 1);
        close(fd);
    }
}

/* And the connection ends with it, as from Redis. */
Test(commands, a_wait_that_a_change_of_role_ends_is_a_failed_call)
{
    struct server *s = server_start(OURS, "%s", "");
    char id[32], *rest;
    size_t len;
    int list = start_waiting(s, "BLPOP none 0\r\n", id), wait = start_waiting(s, "WAIT 3 0\r\n", id);
    expect_ok(s, "REPLICAOF 127.0.0.1 1");
    raw_expect(list, "-UNBLOCKED force unblock from blocking operation, instance state changed");
    raw_expect(wait, "-UNBLOCKED force unblock from blocking operation, instance state changed");
    expect_failed_calls(s, "blpop", 1, 2);
    expect_failed_calls(s, "wait", 1, 2);
    free(rest = raw_read_to_end(list, &len));
    free(rest = raw_read_to_end(wait, &len));
    close(list);
    close(wait);
}

/* --- the kernel's score --- */

static int oom_score_of(const struct server *s, const char *written)
{
    char path[64], text[16] = "";
    snprintf(path, sizeof path, "/proc/%d/oom_score_adj", (int)s->pid);
    FILE *file = fopen(path, written ? "w" : "r");
    cr_assert_not_null(file, "%s", path);
    if (written)
        fputs(written, file);
    else
        cr_assert_not_null(fgets(text, sizeof text, file));
    fclose(file);
    return atoi(text);
}

Test(commands, an_oom_score_that_somebody_set_meanwhile_is_the_one_given_back)
{
    struct server *s = server_start(OURS, "oom-score-adj-values 10 20 30");
    char outside[16];
    int at_start = oom_score_of(s, NULL);
    expect_ok(s, "CONFIG SET oom-score-adj relative");
    cr_assert_eq(oom_score_of(s, NULL), at_start + 10);
    expect_ok(s, "CONFIG SET oom-score-adj no");
    cr_assert_eq(oom_score_of(s, NULL), at_start);
    snprintf(outside, sizeof outside, "%d", at_start + 50);
    oom_score_of(s, outside);
    expect_ok(s, "CONFIG SET oom-score-adj-values %s", "11 20 30");
    cr_assert_eq(oom_score_of(s, NULL), at_start + 50);
    expect_ok(s, "CONFIG SET oom-score-adj relative");
    cr_assert_eq(oom_score_of(s, NULL), at_start + 61);
    expect_ok(s, "CONFIG SET oom-score-adj no");
    cr_assert_eq(oom_score_of(s, NULL), at_start + 50);
}

/* --- while snapshots fail --- */

static void make_snapshots_fail(struct server *s)
{
    char file[512];
    expect_ok(s, "SET k v");
    server_path(s, "dump.rdb", file);
    cr_assert_eq(mkdir(file, 0755), 0); /* nothing can be renamed to it */
    expect_status(s, "Background saving started", "BGSAVE");
    wait_until(info_is(s, "persistence", "rdb_last_bgsave_status", "err"));
}

Test(commands, ping_tells_that_snapshots_fail)
{
    static const char *const inputs[] = {
        "PING\r\nPING hello\r\nPING a b\r\nECHO x\r\nSET k w\r\nPUBLISH ch m\r\n",
        "MULTI\r\nPING\r\nEXEC\r\n",
        "MULTI\r\nSET k w\r\nEXEC\r\n",
        "MULTI\r\nGET k\r\nEXEC\r\n",
        "SUBSCRIBE ch\r\nPING\r\nPING x\r\nUNSUBSCRIBE\r\nPING\r\n",
        "CLIENT REPLY OFF\r\nHELLO 3\r\nCLIENT REPLY ON\r\nPING\r\nSUBSCRIBE ch\r\nPING\r\nPING x\r\n",
        "CONFIG SET stop-writes-on-bgsave-error no\r\nPING\r\nCONFIG SET stop-writes-on-bgsave-error yes\r\nPING\r\n",
        "CONFIG SET save \"\"\r\nPING\r\nCONFIG SET save \"3600 1\"\r\nPING\r\n",
        "REPLICAOF 127.0.0.1 1\r\nPING\r\nSET k w\r\nREPLICAOF NO ONE\r\nPING\r\n",
    };
    struct server *ours = server_start(OURS, "save 3600 1"), *theirs = server_start(DEBIAN, "save 3600 1");
    make_snapshots_fail(ours);
    make_snapshots_fail(theirs);
    expect_error(ours, "MISCONF", "PING");
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) expect_same(ours, theirs, inputs[i]);
}

/* Who queued a PING before that runs it. */
Test(commands, a_queued_ping_does_not_stop_exec)
{
    struct server *s = server_start(OURS, "save 3600 1");
    int fd = raw_connect(s);
    raw_send_text(fd, "MULTI\r\nPING\r\n");
    raw_expect(fd, "+OK\r\n+QUEUED\r\n");
    make_snapshots_fail(s);
    raw_send_text(fd, "EXEC\r\n");
    raw_expect(fd, "*1\r\n+PONG\r\n");
    close(fd);
}

Test(commands, a_replica_whose_snapshots_fail_follows_its_master_all_the_same)
{
    struct server *master = server_start(OURS, "%s", ""), *replica = server_start(OURS, "save 3600 1");
    make_snapshots_fail(replica);
    follow(replica, master);
    wait_in_step(replica, master);
    expect_error(replica, "MISCONF", "PING");
    expect_ok(master, "SET k new");
    expect_same_data(replica, master);
}

/* --- the master in a replica's list of clients --- */

/* Of the first one of that type; 0: there is none. */
static long long line_id(struct server *s, const char *type)
{
    const char *list = command_text(s, "CLIENT LIST TYPE %s", type);
    return strncmp(list, "id=", 3) == 0 ? atoll(list + 3) : 0;
}

static void expect_master_listed(struct server *replica, int master_port)
{
    char address[64];
    snprintf(address, sizeof address, " addr=127.0.0.1:%d ", master_port);
    const char *line = command_text(replica, "CLIENT LIST TYPE master");
    static const char *const parts[] = {" flags=M ",          " db=3 ", " sub=0 ", " multi=-1 ", " cmd=set ",
                                        " user=(superuser) ", " resp=2"};
    cr_assert(strstr(line, address), "%s", line);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) cr_assert(strstr(line, parts[i]), "%s", line);
    cr_assert(strstr(command_text(replica, "CLIENT LIST"), " flags=M "));
    cr_assert(strstr(command_text(replica, "CLIENT LIST ID %d", (int)line_id(replica, "master")), " flags=M "));
    cr_assert_null(strstr(command_text(replica, "CLIENT LIST TYPE normal"), " flags=M "));
    cr_assert_eq(info_number(replica, "clients", "connected_clients"), 2);
}

Test(commands, a_replica_lists_its_master_as_redis_does)
{
    for (enum server_kind kind = OURS; kind <= DEBIAN; kind++) {
        struct server *master = server_start(kind, "%s", ""), *replica = server_start(kind, "%s", "");
        cr_assert_eq(line_id(replica, "master"), 0);
        follow(replica, master);
        wait_in_step(replica, master);
        expect_ok(master, "SELECT 3");
        expect_ok(master, "SET k v");
        wait_in_step(replica, master);
        expect_master_listed(replica, master->port);
    }
}

Test(commands, the_link_to_the_master_is_closed_by_its_id_and_address)
{
    struct server *master = server_start(OURS, "%s", ""), *replica = server_start(OURS, "%s", "");
    follow(replica, master);
    wait_in_step(replica, master);
    long long id = line_id(replica, "master");
    expect_integer(replica, 0, "CLIENT KILL TYPE master ADDR 1.2.3.4:5");
    expect_integer(replica, 0, "CLIENT KILL ID %s", "999999");
    expect_integer(replica, 1, "CLIENT KILL ID %d", (int)id);
    wait_until(line_id(replica, "master") > id);
    id = line_id(replica, "master");
    expect_integer(replica, 1, "CLIENT KILL ADDR 127.0.0.1:%d", master->port);
    wait_until(line_id(replica, "master") > id);
    expect_same_data(replica, master);
}

/* --- maxmemory-policy --- */

/* Debian's server takes the clock of one policy for that of the other: 0, and some months. */
Test(commands, a_change_of_policy_leaves_frequency_and_idle_time_sensible)
{
    struct server *s = server_start(OURS, "%s", "");
    expect_ok(s, "SET k v");
    expect_ok(s, "CONFIG SET maxmemory-policy allkeys-lfu");
    expect_integer(s, 5, "OBJECT FREQ k");
    expect_ok(s, "SET new v");
    expect_integer(s, 5, "OBJECT FREQ new");
    expect_ok(s, "CONFIG SET maxmemory-policy volatile-lru");
    cr_assert_leq(command_integer(s, "OBJECT IDLETIME k"), PATIENCE_MS / 1000 + 60);
    cr_assert_leq(command_integer(s, "OBJECT IDLETIME new"), PATIENCE_MS / 1000 + 60);
}
