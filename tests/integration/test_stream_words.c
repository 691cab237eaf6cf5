/* Words of the stream that not every replica knows: whoever may not know them does not hear them, or begins anew, and
 * has the same data in the end. Debian's server knows nothing of fields that expire, and says nothing of itself. */
#include "tests/harness/client.h"
#include "tests/harness/fake_master.h"
#include "tests/harness/proxy.h"
#include "tests/harness/raw.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(stream_words, .fini = server_finish_all, .timeout = 120);

/* The field expires for a moment, between two of the clock's looks. */
static void expire_for_a_moment(struct server *master, const char *value)
{
    expect_ok(master, "MULTI");
    freeReplyObject(command(master, "HSETEX h EX 1000 FIELDS 1 a %s", value));
    freeReplyObject(command(master, "HPERSIST h FIELDS 1 a"));
    freeReplyObject(command(master, "EXEC"));
}

static void expect_nothing_is_missed(const char *config)
{
    struct server *master = server_start(OURS, "%s", config), *debian = server_start(DEBIAN, "%s", "");
    expect_integer(master, 1, "HSET h a 1");
    follow(debian, master);
    expect_same_data(debian, master);
    expire_for_a_moment(master, "2");
    server_wait_log(master, 0, "fields of hashes expire now");
    expect_same_data(debian, master);
    expect_string(debian, "2", "HGET h a");
    wait_online(debian->port, master); /* it has heard that the snapshot was taken */
    struct sync_counts before = sync_counts(master);
    expect_integer(debian, 1, "CLIENT KILL TYPE master");
    expect_integer(master, 0, "HSET h a 3");
    expect_same_data(debian, master);
    expect_syncs(master, before, 0, 1);
}

Test(stream_words, a_moment_with_an_expiry_is_not_missed)
{
    expect_nothing_is_missed("");
}

Test(stream_words, a_moment_with_an_expiry_is_not_missed_where_the_form_is_set)
{
    expect_nothing_is_missed("rdb-write-for 7.2\n");
}

/* Debian's followed through the proxy, which lets nothing through any more. */
static struct proxy *cut_off_while_a_field_expires(struct server *debian, struct server *master)
{
    struct proxy *proxy = proxy_start(master->port);
    expect_integer(master, 1, "HSET h a 1");
    follow_port(debian, proxy_port(proxy));
    expect_same_data(debian, master);
    proxy_cut(proxy);
    wait_until(!link_is_up(debian));
    expire_for_a_moment(master, "2");
    return proxy;
}

Test(stream_words, what_was_missed_meanwhile_is_not_continued_over)
{
    struct server *master = server_start(OURS, "%s", ""), *debian = server_start(DEBIAN, "%s", "");
    struct proxy *proxy = cut_off_while_a_field_expires(debian, master);
    struct sync_counts before = sync_counts(master);
    proxy_heal(proxy);
    expect_same_data(debian, master);
    expect_syncs(master, before, 1, 0);
    server_wait_log(master, 0, "has commands that it may not know");
    proxy_stop(proxy);
}

/* Nor does a server forget with its death what it has said. */
Test(stream_words, what_was_missed_is_not_continued_over_from_an_heir)
{
    struct server *master = server_start(OURS, "%s", ""), *debian = server_start(DEBIAN, "%s", "");
    struct proxy *proxy = cut_off_while_a_field_expires(debian, master);
    server_kill(master);
    server_restart(master);
    server_wait_log(master, 0, "Adopted the stream");
    proxy_heal(proxy);
    wait_until(link_is_up(debian));
    expect_same_data(debian, master);
    server_wait_log(master, 0, "has commands that it may not know");
    proxy_stop(proxy);
}

/* --- behind a server of ours that follows another make --- */

#define DATASET "REDIS0009\xfe\x00\x04\001h\001\001a\0011\x00\001k\001v\xff\0\0\0\0\0\0\0\0"

/* What the master at the head says is refused or not known by Debian's at the end: it is let go for this reason, and
 * has the same in the end. */
static void expect_passed_on(const char *config, const char *words, size_t len, const char *reason, const char *key)
{
    struct fake_master head;
    fake_master_open(&head);
    struct server *ours = server_start(OURS, "%s", config), *debian = server_start(DEBIAN, "%s", "");
    follow_port(ours, head.port);
    fake_master_take_in(&head);
    fake_master_send_dataset(&head, DATASET, sizeof DATASET - 1);
    follow(debian, ours);
    wait_until(link_is_up(debian));
    expect_string(debian, "1", "HGET h a");
    raw_send(head.fd, words, len);
    fake_master_wait_ack(&head, 1000 + (long long)len);
    server_wait_log(ours, 0, reason);
    wait_until(link_is_up(debian) &&
               strcmp(command_text(debian, "DEBUG DIGEST"), command_text(ours, "DEBUG DIGEST")) == 0);
    cr_expect_eq(command_integer(debian, "EXISTS %s", key), 1);
    fake_master_close(&head);
}

/* A Redis 8 says HINCRBYFLOAT so, whether the field has an expiry or not. */
Test(stream_words, what_redis_8_says_is_not_missed_behind_us)
{
    static const char words[] =
        "*7\r\n$6\r\nHSETEX\r\n$2\r\nhh\r\n$7\r\nKEEPTTL\r\n$6\r\nFIELDS\r\n$1\r\n1\r\n$1\r\na\r\n$3\r\n1.5\r\n";
    expect_passed_on("", words, sizeof words - 1, "fields of hashes expire now", "hh");
}

Test(stream_words, a_payload_of_redis_8_is_not_missed_behind_us)
{
    static const char words[] =
        "*4\r\n$7\r\nRESTORE\r\n$1\r\nr\r\n$1\r\n0\r\n$13\r\n\x00\x01v\x0c\x00\x5a\x7e\xfa\x72\xe3\x12\x14\x87\r\n";
    expect_passed_on("", words, sizeof words - 1, "has words of Redis 8, which it may not know", "r");
}

Test(stream_words, what_redis_8_2_says_is_not_missed_behind_us)
{
    static const char bits[] = "*4\r\n$5\r\nBITOP\r\n$3\r\nONE\r\n$1\r\nd\r\n$1\r\nk\r\n";
    static const char entries[] = "*5\r\n$4\r\nXADD\r\n$1\r\nx\r\n$3\r\n1-1\r\n$1\r\nf\r\n$1\r\nv\r\n"
                                  "*5\r\n$6\r\nXDELEX\r\n$1\r\nx\r\n$3\r\nIDS\r\n$1\r\n1\r\n$3\r\n1-1\r\n";
    expect_passed_on("", bits, sizeof bits - 1, "has words of Redis 8, which it may not know", "d");
    expect_passed_on("", entries, sizeof entries - 1, "has words of Redis 8, which it may not know", "x");
}

Test(stream_words, what_valkey_9_says_is_not_missed_behind_us)
{
    static const char words[] = "*5\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nw\r\n$4\r\nIFEQ\r\n$1\r\nv\r\n"
                                "*4\r\n$6\r\nMSETEX\r\n$1\r\n1\r\n$2\r\nm1\r\n$1\r\n1\r\n";
    expect_passed_on("", words, sizeof words - 1, "has words of Valkey 9 or Redis 8.2, which it may not know", "m1");
}

/* Debian's plays a 6.2. */
Test(stream_words, what_redis_7_says_is_not_missed_by_a_6_2_behind_us)
{
    static const char words[] = "*4\r\n$9\r\nPEXPIREAT\r\n$1\r\nk\r\n$14\r\n20000000000000\r\n$2\r\nNX\r\n";
    expect_passed_on("rdb-write-for 6.2\n", words, sizeof words - 1, "has options of Redis 7.0, which it does not know",
                     "k");
}

/* --- somebody who does not say who it is --- */

#define HEADER_BYTES 9 /* of an RDB: REDIS and four digits */

struct stranger {
    int fd;
    int port; /* that it says it listens on: by that it is known again */
    char id[41];
    long long offset; /* of the stream behind what it was given */
};

static void ask(struct stranger *f, const struct server *master, const char *id, long long offset)
{
    char line[128];
    f->fd = raw_connect(master);
    snprintf(line, sizeof line, "REPLCONF listening-port %d capa psync2\r\n", f->port);
    raw_send_text(f->fd, line);
    raw_expect(f->fd, "+OK\r\n");
    snprintf(line, sizeof line, "PSYNC %s %lld\r\n", id, offset);
    raw_send_text(f->fd, line);
}

static char read_byte(int fd)
{
    char byte;
    cr_assert_eq(read(fd, &byte, 1), 1);
    return byte;
}

static void read_line(int fd, char *out, size_t size)
{
    size_t n = 0;
    while (n + 1 < size && (out[n] = read_byte(fd)) != '\n') n++;
    out[n] = 0;
}

/* Reads a snapshot, in whatever version it is. The version. */
static int read_snapshot(struct stranger *f, const struct server *master)
{
    char line[128];
    int version;
    ask(f, master, "?", -1);
    read_line(f->fd, line, sizeof line);
    cr_assert_eq(sscanf(line, "+FULLRESYNC %40s %lld", f->id, &f->offset), 2, "%s", line);
    do read_line(f->fd, line, sizeof line);
    while (line[0] != '$');
    long left = strtol(line + 1, NULL, 10);
    for (int i = 0; i < HEADER_BYTES; i++) line[i] = read_byte(f->fd);
    line[HEADER_BYTES] = 0;
    for (left -= HEADER_BYTES; left > 0; left--) read_byte(f->fd);
    cr_assert_eq(sscanf(line, "REDIS%d", &version), 1, "%s", line);
    return version;
}

static int take_snapshot(struct stranger *f, const struct server *master)
{
    char line[64];
    int version = read_snapshot(f, master);
    snprintf(line, sizeof line, "REPLCONF ACK %lld\r\n", f->offset);
    raw_send_text(f->fd, line);
    return version;
}

/* Its master, whose only replica it was, knows then. */
static void leave(struct stranger *f, struct server *master)
{
    close(f->fd);
    wait_until(info_is(master, "replication", "connected_slaves", "0"));
}

static void add_entries(struct server *s, int count)
{
    for (int i = 1; i <= count; i++) freeReplyObject(command(s, "XADD x %d-1 a b", i));
    expect_ok(s, "XGROUP CREATE x g 0");
}

static void read_one(struct server *s)
{
    freeReplyObject(command(s, "XREADGROUP GROUP g c COUNT 1 NOACK STREAMS x >"));
}

Test(stream_words, a_stranger_is_spoken_to_as_to_a_6_2)
{
    struct server *master = server_start(OURS, "repl-diskless-sync no\n"), *debian = server_start(DEBIAN, "%s", "");
    struct stranger f = {.port = 9999};
    cr_assert_eq(take_snapshot(&f, master), 9);
    add_entries(master, 3);
    read_one(master);
    raw_skip_past(f.fd, "*5\r\n$6\r\nXGROUP\r\n$5\r\nSETID\r\n$1\r\nx\r\n$1\r\ng\r\n$3\r\n1-1\r\n");
    expect_ok(master, "XGROUP CREATE x h 1 ENTRIESREAD 1");
    raw_skip_past(f.fd, "*5\r\n$6\r\nXGROUP\r\n$6\r\nCREATE\r\n$1\r\nx\r\n$1\r\nh\r\n$1\r\n1\r\n");
    expect_ok(master, "XSETID x 9-1 ENTRIESADDED 9 MAXDELETEDID 0-0");
    raw_skip_past(f.fd, "*3\r\n$6\r\nXSETID\r\n$1\r\nx\r\n$3\r\n9-1\r\n");
    freeReplyObject(command(master, "XREADGROUP GROUP g c COUNT 1 STREAMS x >"));
    expect_integer(master, 1, "XDEL x 2-1");
    freeReplyObject(command(master, "XAUTOCLAIM x g d 0 0"));
    raw_skip_past(f.fd, "*4\r\n$4\r\nXACK\r\n$1\r\nx\r\n$1\r\ng\r\n$3\r\n2-1\r\n");
    expect_ok(debian, "SET k value");
    redisReply *late = command(debian, "DUMP k");
    cr_assert_eq(late->str[late->len - 10], 10, "Debian's are of version 10");
    expect_ok(master, "RESTORE k 0 %b", late->str, late->len);
    freeReplyObject(late);
    raw_skip_past(f.fd, "RESTORE\r\n$1\r\nk\r\n$1\r\n0\r\n$17\r\n");
    char payload[17];
    for (size_t i = 0; i < sizeof payload; i++) payload[i] = read_byte(f.fd);
    cr_expect_eq(payload[sizeof payload - 10], 9);
    expect_ok(master, "CONFIG SET rdb-write-for 7.0");
    read_one(master);
    raw_skip_past(f.fd, "*7\r\n$6\r\nXGROUP\r\n$5\r\nSETID");
    close(f.fd);
}

#define WHOLE     "*7\r\n$6\r\nXGROUP\r\n$5\r\nSETID\r\n$1\r\nx\r\n$1\r\ng\r\n"
#define SHORTENED "*5\r\n$6\r\nXGROUP\r\n$5\r\nSETID\r\n$1\r\nx\r\n$1\r\ng\r\n"

/* A master with a stream, and a stranger that has taken over its snapshot in version 10. */
static struct server *start_with_reader_of_version_10(struct stranger *f)
{
    struct server *master = server_start(OURS, "repl-diskless-sync no\n");
    *f = (struct stranger){.port = 9999};
    add_entries(master, 9);
    cr_assert_eq(take_snapshot(f, master), 10);
    wait_online(f->port, master);
    return master;
}

/* A 6.2 does not take over version 10. Who has once done so is known when it comes back, another is not. */
Test(stream_words, a_stranger_that_has_read_version_10_is_no_6_2)
{
    struct stranger f, other = {.port = 9998};
    struct server *master = start_with_reader_of_version_10(&f);
    read_one(master);
    raw_skip_past(f.fd, WHOLE);
    long long end = info_number(master, "replication", "master_repl_offset");
    leave(&f, master);
    read_one(master);
    ask(&f, master, f.id, end + 1);
    raw_expect(f.fd, "+CONTINUE ");
    raw_skip_past(f.fd, WHOLE);
    end = info_number(master, "replication", "master_repl_offset");
    ask(&other, master, f.id, end + 1);
    raw_expect(other.fd, "+CONTINUE ");
    read_one(master);
    raw_skip_past(f.fd, SHORTENED);
    raw_skip_past(other.fd, SHORTENED);
    close(other.fd);
    close(f.fd);
}

Test(stream_words, a_stranger_that_goes_away_from_version_10_may_be_a_6_2)
{
    struct server *master = server_start(OURS, "repl-diskless-sync no\n");
    struct stranger f = {.port = 9999};
    add_entries(master, 9);
    cr_assert_eq(read_snapshot(&f, master), 10);
    leave(&f, master);
    server_wait_log(master, 0, "has not taken over its snapshot");
    read_one(master);
    cr_assert_eq(take_snapshot(&f, master), 9);
    read_one(master);
    raw_skip_past(f.fd, SHORTENED);
    ask(&f, master, f.id, f.offset + 1);
    raw_expect(f.fd, "+CONTINUE ");
    close(f.fd);
}

/* Another program at that address: who once was no 6.2 came with its history. */
Test(stream_words, who_begins_anew_is_not_taken_for_who_was_there_before)
{
    struct stranger f;
    struct server *master = start_with_reader_of_version_10(&f);
    leave(&f, master);
    expect_ok(master, "FLUSHALL");
    cr_assert_eq(take_snapshot(&f, master), 9);
    wait_online(f.port, master);
    add_entries(master, 2);
    read_one(master);
    raw_skip_past(f.fd, SHORTENED);
    close(f.fd);
}

/* Of the stream's only group; -1: not known. */
static long long lag(struct server *s)
{
    redisReply *groups = command(s, "XINFO GROUPS x"), *group = groups->element[0];
    const redisReply *lag = group->element[group->elements - 1];
    long long entries = lag->type == REDIS_REPLY_INTEGER ? lag->integer : -1;
    freeReplyObject(groups);
    return entries;
}

Test(stream_words, a_7_0_that_has_read_version_10_hears_what_groups_have_read)
{
    struct server *master = server_start(OURS, "%s", ""), *debian = server_start(DEBIAN, "%s", "");
    add_entries(master, 9);
    follow(debian, master);
    expect_same_data(debian, master);
    read_one(master);
    freeReplyObject(command(master, "XREADGROUP GROUP g c COUNT 1 STREAMS x >"));
    expect_same_data(debian, master);
    cr_expect_eq(lag(debian), 7);
    cr_expect_eq(lag(master), 7);
}

/* As long as nobody unknown was there statistics leave: who comes then does not hear them unprepared. */
Test(stream_words, a_stranger_does_not_continue_over_statistics)
{
    struct server *master = server_start(OURS, "%s", ""), *ours = server_start(OURS, "%s", "");
    follow(ours, master);
    wait_in_step(ours, master);
    add_entries(master, 2);
    struct stranger f = {.port = 9999, .offset = info_number(master, "replication", "master_repl_offset")};
    snprintf(f.id, sizeof f.id, "%s", info_text(master, "replication", "master_replid"));
    read_one(master);
    ask(&f, master, f.id, f.offset + 1);
    raw_expect(f.fd, "+FULLRESYNC ");
    close(f.fd);
    ask(&f, master, f.id, info_number(master, "replication", "master_repl_offset") + 1);
    raw_expect(f.fd, "+CONTINUE ");
    close(f.fd);
}

/* They come back a second later, which is no reason for a snapshot. */
static void expect_continued(struct server *debian, struct server *master, long long full)
{
    freeReplyObject(command(master, "XREADGROUP GROUP g c COUNT 1 STREAMS x >"));
    read_one(master);
    follow(debian, master);
    wait_until(link_is_up(debian));
    expect_same_data(debian, master);
    cr_expect_eq(info_number(master, "stats", "sync_full"), full);
}

Test(stream_words, who_is_awaited_continues_behind_a_restart_and_a_promotion)
{
    struct server *master = server_start(OURS, "%s", ""), *ours = server_start(OURS, "%s", "");
    struct server *debian = server_start(DEBIAN, "%s", "");
    add_entries(master, 9);
    follow(debian, master);
    follow(ours, master);
    wait_in_step(ours, master);
    expect_same_data(debian, master);
    expect_ok(debian, "REPLICAOF 127.0.0.1 1");
    server_kill(master);
    server_restart(master);
    expect_continued(debian, master, 0);
    wait_in_step(ours, master);
    expect_ok(debian, "REPLICAOF 127.0.0.1 1");
    expect_ok(ours, "REPLICAOF NO ONE");
    expect_continued(debian, ours, 0);
}

/* A Redis 7.4, say: it takes the snapshot over, and from then on hears of fields that expire. */
Test(stream_words, a_stranger_that_has_read_of_them_hears_of_them)
{
    struct server *master = server_start(OURS, "repl-diskless-sync no\n");
    struct stranger f = {.port = 9999};
    expect_integer(master, 2, "HSET h a 1 b 2");
    take_snapshot(&f, master);
    freeReplyObject(command(master, "HEXPIRE h 1000 FIELDS 1 a"));
    server_wait_log(master, 0, "whether it knows that, a snapshot has to show");
    free(raw_read_to_end(f.fd, &(size_t){0}));
    close(f.fd);
    take_snapshot(&f, master);
    wait_online(f.port, master);
    freeReplyObject(command(master, "HEXPIRE h 1000 FIELDS 1 b"));
    raw_skip_past(f.fd, "$10\r\nHPEXPIREAT\r\n");
    long long end = info_number(master, "replication", "master_repl_offset");
    leave(&f, master);
    freeReplyObject(command(master, "HPERSIST h FIELDS 1 b"));
    ask(&f, master, f.id, end + 1);
    raw_expect(f.fd, "+CONTINUE ");
    raw_skip_past(f.fd, "$8\r\nHPERSIST\r\n");
    close(f.fd);
}
