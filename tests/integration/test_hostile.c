/* What comes from elsewhere and is not what it should be: masters, files, payloads. None of it ends the server, none of
 * it puts data where it does not belong, and what can be mended is. */
#include "tests/harness/client.h"
#include "tests/harness/fake_master.h"
#include "tests/harness/port.h"
#include "tests/harness/raw.h"
#include "tests/harness/replication.h"
#include "tests/harness/stream_node.h"
#include "tests/harness/wait.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

TestSuite(hostile, .fini = server_finish_all, .timeout = 180);

/* --- a master that is none --- */

static int listen_on(int port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    cr_assert(bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 5) == 0);
    return fd;
}

/* Reads one request; its first word, at most 15 letters of it. */
static void read_request(FILE *in, char word[16])
{
    char line[64], value[256];
    cr_assert(fgets(line, sizeof line, in) && line[0] == '*', "a request was expected");
    int count = atoi(line + 1);
    for (int i = 0; i < count; i++) {
        cr_assert(fgets(line, sizeof line, in) && line[0] == '$');
        size_t len = (size_t)atoi(line + 1);
        cr_assert(len + 2 <= sizeof value && fread(value, 1, len + 2, in) == len + 2);
        if (i == 0) snprintf(word, 16, "%.*s", (int)len, value);
    }
}

/* Takes a replica in, up to its PSYNC; the caller closes the connection. */
static int take_in_replica(int listener)
{
    struct pollfd waiting = {.fd = listener, .events = POLLIN};
    cr_assert_eq(poll(&waiting, 1, PATIENCE_MS), 1, "no replica came");
    int fd = accept(listener, NULL, NULL);
    FILE *in = fdopen(dup(fd), "r");
    char word[16];
    for (;;) {
        read_request(in, word);
        if (strcasecmp(word, "PSYNC") == 0) break;
        raw_send_text(fd, strcasecmp(word, "PING") == 0 ? "+PONG\r\n" : "+OK\r\n");
    }
    fclose(in);
    return fd;
}

/* A full resync with this snapshot, and the stream's beginning. */
static void send_dataset(int fd, const char *snapshot, size_t len, const char *stream)
{
    char head[128];
    snprintf(head, sizeof head, "+FULLRESYNC 0123456789012345678901234567890123456789 1000\r\n$%zu\r\n", len);
    raw_send_text(fd, head);
    raw_send(fd, snapshot, len);
    raw_send_text(fd, stream);
}

/* Without a checksum. */
#define RDB(items) "REDIS0009" items "\xff\0\0\0\0\0\0\0\0"
#define AUX_DB_20  "\xfa\x0erepl-stream-db\xc0\x14"
#define AUX_ID                                                                                                         \
    "\xfa\x07repl-id\x28"                                                                                              \
    "0123456789012345678901234567890123456789\xfa\x0brepl-offset\xc1\xe8\x03"
#define KEY "\xfe\x00\x00\001k\001v"

Test(hostile, a_stream_in_a_database_that_is_not_there_is_refused)
{
    int port = port_reserve(), listener = listen_on(port);
    struct server *s = server_start(OURS, "databases 4");
    expect_ok(s, "SET old value");
    follow_port(s, port);
    int fd = take_in_replica(listener);
    send_dataset(fd, RDB(AUX_DB_20 KEY), sizeof RDB(AUX_DB_20 KEY) - 1, "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n");
    server_wait_log(s, 0, "stands in DB 20, and there are only 4 databases here");
    expect_string(s, "value", "GET old");
    expect_nil(s, "GET a");
    close(fd);
    close(listener);
}

static void expect_stream_given_up(const char *stream)
{
    int port = port_reserve(), listener = listen_on(port);
    struct server *s = server_start(OURS, "databases 4");
    follow_port(s, port);
    int fd = take_in_replica(listener);
    send_dataset(fd, RDB(KEY), sizeof RDB(KEY) - 1, stream);
    server_wait_log(s, 0, "names DB 9, and there are only 4 databases here");
    wait_until(!link_is_up(s));
    expect_string(s, "v", "GET k");
    expect_nil(s, "GET a");
    close(fd);
    close(listener);
}

#define SELECT_9 "*2\r\n$6\r\nSELECT\r\n$1\r\n9\r\n"
#define SET_A    "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n"

Test(hostile, what_is_for_another_database_goes_into_none)
{
    expect_stream_given_up(SELECT_9 SET_A);
    expect_stream_given_up("*1\r\n$5\r\nMULTI\r\n" SELECT_9 SET_A "*1\r\n$4\r\nEXEC\r\n");
    expect_stream_given_up("*3\r\n$6\r\nSWAPDB\r\n$1\r\n0\r\n$1\r\n9\r\n" SET_A);
    expect_stream_given_up("*3\r\n$4\r\nMOVE\r\n$1\r\nk\r\n$1\r\n9\r\n" SET_A);
}

/* What we have is kept until what comes is known to fit. */
Test(hostile, a_real_master_with_more_databases_takes_nothing_from_us)
{
    struct server *master = server_start(DEBIAN, "%s", ""), *replica = server_start(OURS, "databases 4");
    expect_ok(master, "SET k first");
    follow(replica, master);
    wait_in_step(replica, master);
    expect_ok(master, "SELECT 9");
    expect_ok(master, "SET elsewhere value");
    server_wait_log(replica, 0, "names DB 9");
    server_wait_log(replica, 0, "configured to handle more than 4 databases");
    expect_string(replica, "first", "GET k");
    expect_nil(replica, "GET elsewhere");
    expect_ok(master, "FLUSHDB");
    expect_ok(master, "SELECT 0");
    expect_ok(master, "SET k second");
    wait_in_step(replica, master);
    expect_string(replica, "second", "GET k");
}

/* --- files --- */

static void write_file(const struct server *s, const char *name, const void *data, size_t len)
{
    char path[512];
    server_path(s, name, path);
    FILE *f = fopen(path, "w");
    cr_assert(f && fwrite(data, 1, len, f) == len && fclose(f) == 0);
}

#define WRITE_DUMP(s, literal) write_file(s, "dump.rdb", literal, sizeof(literal) - 1)

Test(hostile, a_file_whose_stream_stood_in_a_database_that_is_not_there)
{
    struct server *s = server_prepare(OURS, "databases 4\nreplicaof 127.0.0.1 %d", port_reserve());
    WRITE_DUMP(s, RDB(AUX_ID AUX_DB_20 KEY));
    server_launch(s);
    cr_assert(server_log_has(s, 0, "history is not continued: its stream stands in DB 20"));
    expect_string(s, "v", "GET k");
}

#define LAST_ID_TOO_LOW "\x01" STREAM_NODE "\x02\x01\x01\x00"
/* The second entry is deleted, but the node says that it has none such. */
#define DELETED_UNCOUNTED                                                                                              \
    "\x01\x10\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\1"                                                                         \
    "\x29\x29\0\0\0\x0f\0\x01\x01\0\x01\x01\x01\x81"                                                                   \
    "f\x02\0\x01\x02\x01\0\x01\0\x01\x81"                                                                              \
    "v\x02\x04\x01\x03\x01\x01\x01\xdf\xff\x02\x81"                                                                    \
    "v\x02\x04\x01\xff\x01\x02\x00\x00"

Test(hostile, a_file_with_flaws_that_can_be_mended_is_loaded)
{
    struct server *s = server_prepare(OURS, "%s", "");
    WRITE_DUMP(s, RDB("\x0f\005entry" LAST_ID_TOO_LOW "\x0f\004node" DELETED_UNCOUNTED KEY));
    server_launch(s);
    cr_assert(server_log_has(s, 0, "Key 'entry' in DB 0, at offset 9, was mended"));
    cr_assert(server_log_has(s, 0, "last id is below its last entry's"));
    cr_assert(server_log_has(s, 0, "Key 'node' in DB 0"));
    expect_integer(s, 2, "XLEN entry");
    expect_integer(s, 1, "XLEN node");
    expect_string(s, "v", "GET k");
    expect_ok(s, "SAVE");
    server_restart(s);
    expect_integer(s, 2, "XLEN entry");
}

Test(hostile, a_file_is_sanitized_when_asked_for)
{
    struct server *s = server_prepare(OURS, "sanitize-dump-payload yes");
    WRITE_DUMP(s, RDB("\x0f\005entry" LAST_ID_TOO_LOW "\x0f\004node" DELETED_UNCOUNTED));
    cr_assert_eq(server_launch_in_vain(s), 1);
    cr_assert(server_log_has(s, 0, "a stream's listpack is broken"));
    WRITE_DUMP(s, RDB("\x0f\005entry" LAST_ID_TOO_LOW)); /* loaded all the same, as by Redis */
    server_launch(s);
    expect_integer(s, 2, "XLEN entry");
}

/* --- payloads --- */

#define PAYLOAD(value) value "\x0a\0\0\0\0\0\0\0\0\0"

static redisReply *restore(struct server *s, const char *payload, size_t len)
{
    return command(s, "RESTORE k 0 %b REPLACE", payload, len);
}

static bool is_restored(struct server *s, const char *payload, size_t len)
{
    redisReply *reply = restore(s, payload, len);
    bool good = reply->type == REDIS_REPLY_STATUS;
    cr_assert(good || strcmp(reply->str, "ERR Bad data format") == 0, "%s", reply->str);
    freeReplyObject(reply);
    return good;
}

#define RESTORED(s, value) is_restored(s, PAYLOAD(value), sizeof(PAYLOAD(value)) - 1)

/* Both servers judge alike. */
Test(hostile, payloads_are_sanitized_as_the_directive_says)
{
    struct server *ours = server_start(OURS, "loglevel verbose"), *theirs = server_start(DEBIAN, "loglevel verbose");
    struct server *both[] = {ours, theirs};
    for (int i = 0; i < 2; i++) {
        struct server *s = both[i];
        expect_ok(s, "DEBUG SET-SKIP-CHECKSUM-VALIDATION 1");
        cr_assert_str_eq(config_get(s, "sanitize-dump-payload"), "no");
        cr_assert(RESTORED(s, "\x0f" DELETED_UNCOUNTED));
        expect_integer(s, 1, "XLEN k");
        expect_ok(s, "CONFIG SET sanitize-dump-payload yes");
        cr_assert_not(RESTORED(s, "\x0f" DELETED_UNCOUNTED));
        cr_assert(server_log_has(s, 0, "integrity check failed"));
        expect_ok(s, "CONFIG SET sanitize-dump-payload clients");
        cr_assert_not(RESTORED(s, "\x0f" DELETED_UNCOUNTED));
        cr_assert(RESTORED(s, "\x0f" LAST_ID_TOO_LOW));
        expect_integer(s, 2, "XLEN k");
        expect_ok(s, "CONFIG SET sanitize-dump-payload no");
        /* A ziplist is converted, which asks for a good one; nor is a set's member said twice let in. */
        cr_assert_not(RESTORED(s, "\x0d\x13\x13\0\0\0\x0f\0\0\0\x03\0\0\001a\x03\xf2\x02\001b\xff"));
        cr_assert_not(RESTORED(s, "\x02\x02\001a\001a"));
        expect_ok(s, "DEBUG SET-SKIP-CHECKSUM-VALIDATION 0");
        redisReply *reply =
            restore(s, PAYLOAD("\x0f" DELETED_UNCOUNTED), sizeof(PAYLOAD("\x0f" DELETED_UNCOUNTED)) - 1);
        cr_assert(reply->type == REDIS_REPLY_ERROR && strstr(reply->str, "checksum"), "%s", reply->str);
        freeReplyObject(reply);
    }
}

/* "clients" says nothing about a master. */
Test(hostile, what_our_master_restores_is_not_sanitized_for_clients)
{
    struct server *master = server_start(DEBIAN, "%s", "");
    struct server *replica = server_start(OURS, "sanitize-dump-payload clients");
    follow(replica, master);
    wait_in_step(replica, master);
    expect_ok(master, "DEBUG SET-SKIP-CHECKSUM-VALIDATION 1");
    expect_ok(replica, "DEBUG SET-SKIP-CHECKSUM-VALIDATION 1");
    cr_assert(RESTORED(master, "\x0f" DELETED_UNCOUNTED));
    wait_in_step(replica, master);
    expect_integer(replica, 1, "XLEN k");
    cr_assert(server_log_has(replica, 0, "has mended its payload"));
}

/* The replica would refuse the payload itself. */
Test(hostile, replicas_get_what_was_made_of_a_payload)
{
    struct server *master = server_start(OURS, "%s", "");
    struct server *replica = server_start(DEBIAN, "sanitize-dump-payload yes");
    follow(replica, master);
    wait_in_step(replica, master);
    expect_ok(master, "DEBUG SET-SKIP-CHECKSUM-VALIDATION 1");
    cr_assert(RESTORED(master, "\x0f" DELETED_UNCOUNTED));
    expect_same_data(replica, master);
    expect_integer(replica, 1, "XLEN k");
    redisReply *reply = command(master, "RESTORE k 100000 %b REPLACE", PAYLOAD("\x0f" LAST_ID_TOO_LOW),
                                sizeof(PAYLOAD("\x0f" LAST_ID_TOO_LOW)) - 1);
    cr_assert_eq(reply->type, REDIS_REPLY_STATUS, "%s", reply->str);
    freeReplyObject(reply);
    expect_same_data(replica, master);
    expect_integer(replica, 2, "XLEN k");
    cr_assert_gt(command_integer(replica, "PTTL k"), 0);
}

/* --- what others can read of ours --- */

static void expect_version(struct server *s, const char *header)
{
    char path[512], found[10] = {0};
    expect_ok(s, "SAVE");
    server_path(s, "dump.rdb", path);
    FILE *f = fopen(path, "r");
    cr_assert(f && fread(found, 1, 9, f) == 9 && fclose(f) == 0);
    cr_assert_str_eq(found, header);
}

static int dumped_version(struct server *s, const char *key)
{
    redisReply *reply = command(s, "DUMP %s", key);
    int version = (uint8_t)reply->str[reply->len - 10];
    freeReplyObject(reply);
    return version;
}

Test(hostile, snapshots_are_written_for_the_oldest_redis_asked_for)
{
    struct server *s = server_start(OURS, "%s", ""), *theirs = server_prepare(DEBIAN, "%s", "");
    for (int i = 1; i < 5; i++) freeReplyObject(command(s, "XADD entries %d-0 f v", i));
    expect_ok(s, "XGROUP CREATE entries g 0");
    freeReplyObject(command(s, "XREADGROUP GROUP g c COUNT 2 STREAMS entries >"));
    expect_version(s, "REDIS0010"); /* the group stands within */
    expect_integer(s, 1, "XDEL entries 3-0");
    long mark = server_log_end(s);
    expect_version(s, "REDIS0010");
    cr_assert(server_log_has(s, mark, "RDB version 10 is written, not 9: stream 'entries' in DB 0"));
    cr_assert_eq(dumped_version(s, "entries"), 10);

    mark = server_log_end(s);
    expect_ok(s, "CONFIG SET rdb-write-for 6.2");
    expect_version(s, "REDIS0009");
    cr_assert_not(server_log_has(s, mark, "RDB version"));
    cr_assert_eq(dumped_version(s, "entries"), 9);
    server_copy_file(s, theirs, "dump.rdb");
    server_launch(theirs);
    cr_assert_str_eq(command_text(theirs, "DEBUG DIGEST"), command_text(s, "DEBUG DIGEST"));

    expect_ok(s, "CONFIG SET rdb-write-for 7.2");
    freeReplyObject(command(s, "XREADGROUP GROUP g idle STREAMS entries 0"));
    expect_version(s, "REDIS0011"); /* a consumer that was seen, and never active */
    server_restart(s);
    expect_integer(s, 3, "XLEN entries");
}

/* It had no keys, and what comes goes straight into the dataset, until it is not what it should be: Sentinels have to
 * see that it has nothing. */
Test(hostile, a_replica_that_has_lost_its_dataset_has_no_offset)
{
    static const char empty[] = RDB(""), broken[] = RDB(KEY "\xee\001l\001v");
    struct fake_master master;
    fake_master_open(&master);
    struct server *s = server_start(OURS, "%s", "");
    follow_port(s, master.port);
    fake_master_take_in(&master);
    fake_master_send_dataset(&master, empty, sizeof empty - 1);
    wait_until(link_is_up(s));
    cr_expect_eq(info_number(s, "replication", "slave_repl_offset"), 1000);
    fake_master_drop(&master);
    fake_master_take_in(&master);
    cr_expect_eq(info_number(s, "replication", "slave_repl_offset"), 1000, "nothing is lost yet");
    fake_master_send_dataset(&master, broken, sizeof broken - 1);
    wait_until(info_number(s, "replication", "slave_repl_offset") == 0 &&
               info_number(s, "persistence", "loading") == 0);
    expect_nil(s, "GET k");
    fake_master_close(&master);
}
