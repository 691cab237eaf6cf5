/* Keyspace notifications: which class an event belongs to, and the events of keys that go by themselves. The events of
 * each command are compared with Redis's by the differential driver, for all classes at once. */
#include "tests/harness/client.h"
#include "tests/harness/raw.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(notifications, .fini = server_finish_all, .timeout = 120);

static int listener(struct server *s)
{
    int fd = raw_connect(s);
    raw_send_text(fd, "PSUBSCRIBE __key*\r\n");
    raw_expect(fd, "*3\r\n$10\r\npsubscribe\r\n$6\r\n__key*\r\n:1\r\n");
    return fd;
}

static void expect_message(int fd, const char *channel, const char *message)
{
    char text[512];
    snprintf(text, sizeof text, "*4\r\n$8\r\npmessage\r\n$6\r\n__key*\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n", strlen(channel),
             channel, strlen(message), message);
    raw_expect(fd, text);
}

static void expect_event(int fd, int db, const char *event, const char *key)
{
    char channel[256];
    snprintf(channel, sizeof channel, "__keyevent@%d__:%s", db, event);
    expect_message(fd, channel, key);
}

/* Nothing was told before this. */
static void expect_end(int fd)
{
    raw_send_text(fd, "PING\r\n");
    raw_expect(fd, "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
}

Test(notifications, each_class_has_its_own_events)
{
    /* Of each class one command that tells of it; keys that it makes are new. */
    static const struct {
        char class_;
        const char *command, *event, *key;
    } steps[] = {
        {'$', "SET str v", "set", "str"},
        {'l', "RPUSH list a", "rpush", "list"},
        {'s', "SADD set a", "sadd", "set"},
        {'h', "HSET hash f v", "hset", "hash"},
        {'z', "ZADD zset 1 a", "zadd", "zset"},
        {'t', "XADD stream 1-1 f v", "xadd", "stream"},
        {'m', "GET missing", "keymiss", "missing"},
        {'g', "EXPIRE str 1000", "expire", "str"},
        {'g', "PERSIST str", "persist", "str"},
        {'h', "HINCRBY hash n 1", "hincrby", "hash"},
        {'g', "DEL set", "del", "set"},
    };
    enum { STEPS = sizeof steps / sizeof *steps };
    struct server *s = server_start(OURS, "%s", "");
    int fd = listener(s);
    for (const char *class_ = "g$lshzxetdmn"; *class_; class_++) {
        char wanted[3] = {'E', *class_};
        expect_ok(s, "CONFIG SET notify-keyspace-events %s", wanted);
        for (int i = 0; i < STEPS; i++) freeReplyObject(command(s, steps[i].command));
        for (int i = 0; i < STEPS; i++) {
            if (*class_ == 'n' && i < 6) expect_event(fd, 0, "new", steps[i].key);
            if (*class_ == steps[i].class_) expect_event(fd, 0, steps[i].event, steps[i].key);
        }
        expect_end(fd);
        expect_ok(s, "CONFIG SET notify-keyspace-events %s", "");
        freeReplyObject(command(s, "FLUSHALL"));
        expect_end(fd);
    }
    close(fd);
}

Test(notifications, by_key_by_event_or_not_at_all)
{
    struct server *s = server_start(OURS, "%s", "");
    int fd = listener(s);
    expect_ok(s, "SELECT 9");
    expect_ok(s, "CONFIG SET notify-keyspace-events KA");
    expect_ok(s, "SET k v");
    expect_message(fd, "__keyspace@9__:k", "set");
    expect_ok(s, "CONFIG SET notify-keyspace-events A"); /* neither K nor E: nobody is told */
    expect_ok(s, "SET k v");
    expect_ok(s, "CONFIG SET notify-keyspace-events EKA");
    expect_ok(s, "SET k v");
    expect_message(fd, "__keyspace@9__:k", "set");
    expect_message(fd, "__keyevent@9__:set", "k");
    expect_end(fd);
    close(fd);
}

Test(notifications, a_key_expires_once_whoever_sees_it)
{
    struct server *s = server_start(OURS, "notify-keyspace-events Exg\nhz 100");
    int fd = listener(s);
    expect_ok(s, "SET active v PX 20");
    expect_event(fd, 0, "expire", "active");
    expect_event(fd, 0, "expired", "active");
    expect_ok(s, "DEBUG SET-ACTIVE-EXPIRE 0");
    expect_ok(s, "SET lazy v PX 1");
    expect_event(fd, 0, "expire", "lazy");
    wait_until(command_integer(s, "EXISTS lazy") == 0);
    expect_integer(s, 0, "EXISTS lazy");
    expect_event(fd, 0, "expired", "lazy");
    expect_end(fd);
    close(fd);
}

Test(notifications, a_replica_tells_of_what_its_master_does)
{
    struct server *master = server_start(OURS, "hz 100"), *replica = server_start(OURS, "notify-keyspace-events EA");
    follow(replica, master);
    wait_in_step(replica, master);
    int fd = listener(replica);
    expect_ok(master, "SELECT 2");
    expect_ok(master, "SET k v PX 50");
    expect_event(fd, 2, "set", "k");
    expect_event(fd, 2, "expire", "k");
    expect_event(fd, 2, "del", "k"); /* it is its master that has seen it expire */
    expect_integer(master, 2, "RPUSH l a b");
    expect_event(fd, 2, "rpush", "l");
    expect_end(fd);
    close(fd);
}
