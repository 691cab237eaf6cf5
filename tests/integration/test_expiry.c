/* Keys that have run out: who removes them, what is told of it, and that nobody meets their remains. */
#include "tests/harness/raw.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

TestSuite(expiry, .fini = server_finish_all, .timeout = 180);

/* Only who meets an expired key removes it. */
static struct server *server_without_active_expiry(const char *config)
{
    struct server *s = server_start(OURS, "%s", config);
    expect_ok(s, "DEBUG SET-ACTIVE-EXPIRE 0");
    return s;
}

/* Ends when the key's time is over, and it is only remains. */
static void run_out(struct server *s, const char *key)
{
    expect_integer(s, 1, "PEXPIRE %s 1", key);
    int64_t start_ms = clock_ms();
    wait_until(clock_ms() > start_ms + 3);
}

static void make_expired(struct server *s, const char *key, const char *type)
{
    if (strcmp(type, "string") == 0) expect_ok(s, "SET %s 10", key);
    if (strcmp(type, "list") == 0) expect_integer(s, 2, "RPUSH %s a b", key);
    if (strcmp(type, "set") == 0) expect_integer(s, 2, "SADD %s a b", key);
    if (strcmp(type, "hash") == 0) expect_integer(s, 1, "HSET %s f 1", key);
    if (strcmp(type, "zset") == 0) expect_integer(s, 2, "ZADD %s 1 a 2 b", key);
    if (strcmp(type, "stream") == 0) expect_string(s, "1-1", "XADD %s 1-1 f v", key);
    run_out(s, key);
}

static const char *const all_types[] = {"string", "list", "set", "hash", "zset", "stream"};
#define TYPES (sizeof all_types / sizeof *all_types)

/* --- a replica that takes writes --- */

static struct server *writable_replica(void)
{
    struct server *s = server_without_active_expiry("replica-read-only no");
    expect_ok(s, "REPLICAOF 127.0.0.1 1"); /* nobody there */
    return s;
}

static void make_sources(struct server *s)
{
    expect_ok(s, "SET src abc");
    expect_integer(s, 1, "RPUSH src:list z");
    expect_integer(s, 1, "SADD src:set z");
    expect_integer(s, 1, "ZADD src:zset 1 z");
}

static char *reply_text(redisReply *r)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    fprintf(out, "%d %lld %s %zu", r->type, r->type == REDIS_REPLY_INTEGER ? r->integer : 0, r->str ? r->str : "",
            r->elements);
    fclose(out);
    freeReplyObject(r);
    return text;
}

/* What a command answers and leaves behind must not depend on whether the name had once been used. */
Test(expiry, a_writable_replica_writes_as_if_nothing_had_been_there)
{
    static const char *const commands[] = {
        "SET k v KEEPTTL",
        "SET k v KEEPTTL GET",
        "SET k v XX",
        "SET k v NX",
        "SETNX k v",
        "GETSET k v",
        "GETDEL k",
        "APPEND k x",
        "SETRANGE k 1 x",
        "SETBIT k 1 1",
        "INCR k",
        "INCRBYFLOAT k 1.5",
        "MSETNX k v",
        "BITFIELD k SET u8 0 1",
        "PFADD k a",
        "BITOP NOT k src",
        "EXPIRE k 100",
        "PERSIST k",
        "RENAME src k",
        "RENAMENX src k",
        "COPY src k",
        "COPY src k REPLACE",
        "MOVE k 1",
        "LPUSH k a",
        "LPUSHX k a",
        "LMOVE src:list k LEFT LEFT",
        "SADD k a",
        "SMOVE src:set k z",
        "SUNIONSTORE k k src:set",
        "HSET k f v",
        "HINCRBY k f 5",
        "HSETNX k f 9",
        "ZADD k 3 c",
        "ZADD k XX 3 a",
        "ZINCRBY k 1 a",
        "ZUNIONSTORE k 2 k src:zset",
        "XADD k 5-1 f v",
        "XADD k NOMKSTREAM 5-1 f v",
        "XGROUP CREATE k g $ MKSTREAM",
        "SORT src:list ALPHA STORE k",
    };
    struct server *s = writable_replica();
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        expect_ok(s, "FLUSHALL");
        make_sources(s);
        char *wanted = reply_text(command(s, commands[i]));
        const char *digest = command_text(s, "DEBUG DIGEST");
        for (size_t t = 0; t < TYPES; t++) {
            expect_ok(s, "FLUSHALL");
            make_sources(s);
            make_expired(s, "k", all_types[t]);
            char *answered = reply_text(command(s, commands[i]));
            cr_expect_str_eq(answered, wanted, "%s over a %s", commands[i], all_types[t]);
            cr_expect_str_eq(command_text(s, "DEBUG DIGEST"), digest, "%s over a %s", commands[i], all_types[t]);
            free(answered);
        }
        free(wanted);
    }
}

Test(expiry, a_writable_replica_counts_on_and_hides_what_has_run_out)
{
    struct server *s = writable_replica();
    make_expired(s, "k", "string");
    expect_nil(s, "GET k");
    expect_integer(s, -2, "TTL k");
    expect_integer(s, 1, "DBSIZE"); /* reading removes nothing: that is for the master to say */
    expect_integer(s, 1, "INCR k");
    expect_integer(s, 2, "INCR k");
    expect_integer(s, -1, "TTL k");
    make_expired(s, "gone", "string");
    expect_integer(s, 1, "DEL gone"); /* as any other key goes there */
    expect_integer(s, 1, "DBSIZE");
}

/* --- a master --- */

static char *events_until_end(struct server *s, int fd)
{
    char *text = NULL, part[4096];
    size_t len;
    FILE *out = open_memstream(&text, &len);
    freeReplyObject(command(s, "PUBLISH events end"));
    do {
        struct pollfd entry = {.fd = fd, .events = POLLIN};
        cr_assert_eq(poll(&entry, 1, PATIENCE_MS), 1);
        ssize_t got = recv(fd, part, sizeof part, 0);
        cr_assert_gt(got, 0);
        fwrite(part, 1, (size_t)got, out);
        fflush(out);
    } while (!strstr(text, "\r\nend\r\n"));
    fclose(out);
    return text;
}

static int listen_to_events(struct server *s)
{
    expect_ok(s, "CONFIG SET notify-keyspace-events EAmn");
    int fd = raw_connect(s);
    raw_send_text(fd, "SUBSCRIBE events\r\n");
    raw_expect(fd, "*3\r\n$9\r\nsubscribe\r\n$6\r\nevents\r\n:1\r\n");
    raw_send_text(fd, "PSUBSCRIBE __keyevent@0__:*\r\n");
    raw_expect(fd, "*3\r\n$10\r\npsubscribe\r\n$16\r\n__keyevent@0__:*\r\n:2\r\n");
    return fd;
}

static bool has_event(const char *events, const char *event, const char *key)
{
    char wanted[128];
    snprintf(wanted, sizeof wanted, "__keyevent@0__:%s\r\n$%zu\r\n%s\r\n", event, strlen(key), key);
    return strstr(events, wanted) != NULL;
}

Test(expiry, who_looks_for_a_key_in_vain_tells_of_it)
{
    static const char *const commands[] = {
        "GET k",    "TYPE k", "TTL k",   "PTTL k",       "EXPIRETIME k",       "PEXPIRETIME k",       "EXISTS k",
        "STRLEN k", "DUMP k", "TOUCH k", "XACK k g 1-1", "XCLAIM k g c 0 1-1", "XAUTOCLAIM k g c 0 0"};
    struct server *s = server_start(OURS, "%s", "");
    int fd = listen_to_events(s);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        long long misses = info_number(s, "stats", "keyspace_misses");
        freeReplyObject(command(s, commands[i]));
        char *events = events_until_end(s, fd);
        cr_expect(has_event(events, "keymiss", "k"), "%s", commands[i]);
        cr_expect_eq(info_number(s, "stats", "keyspace_misses"), misses + 1, "%s", commands[i]);
        free(events);
    }
    freeReplyObject(command(s, "OBJECT ENCODING k"));
    char *events = events_until_end(s, fd);
    cr_expect_not(has_event(events, "keymiss", "k"), "an inspection is no use");
    free(events);
    close(fd);
}

Test(expiry, a_key_that_is_overwritten_after_its_time_has_expired)
{
    static const char *const commands[] = {"SET k v", "MSET k v", "SETEX k 100 v", "BITOP NOT k src",
                                           "SORT src:list ALPHA STORE k"};
    struct server *s = server_without_active_expiry("");
    int fd = listen_to_events(s);
    make_sources(s);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        make_expired(s, "k", "string");
        free(events_until_end(s, fd));
        long long expired = info_number(s, "stats", "expired_keys");
        freeReplyObject(command(s, commands[i]));
        char *events = events_until_end(s, fd);
        cr_expect(has_event(events, "expired", "k") && has_event(events, "new", "k"), "%s: %s", commands[i], events);
        cr_expect_eq(info_number(s, "stats", "expired_keys"), expired + 1);
        free(events);
    }
    close(fd);
}

Test(expiry, scan_removes_what_it_meets_expired)
{
    struct server *s = server_without_active_expiry("");
    fill(s, "key:", 100, 10);
    for (int i = 0; i < 40; i++) expect_integer(s, 1, "PEXPIRE key:%d 1", i);
    make_expired(s, "other", "list");
    expect_integer(s, 101, "DBSIZE");
    redisReply *r = command(s, "SCAN 0 COUNT 1000 MATCH nothing*");
    cr_expect_eq(r->element[1]->elements, 0);
    freeReplyObject(r);
    expect_integer(s, 101, "DBSIZE"); /* only names that match */
    r = command(s, "SCAN 0 COUNT 1000 MATCH key:* TYPE nonsense");
    cr_expect_eq(r->element[1]->elements, 0, "an unknown type is no error");
    freeReplyObject(r);
    expect_integer(s, 61, "DBSIZE"); /* of whatever type */
    r = command(s, "SCAN 0 COUNT 1000");
    cr_expect_eq(r->element[1]->elements, 60);
    freeReplyObject(r);
    expect_integer(s, 60, "DBSIZE");
    cr_expect_eq(info_number(s, "stats", "expired_keys"), 41);
}

Test(expiry, touch_touches_under_no_touch)
{
    struct server *s = server_start(OURS, "maxmemory-policy allkeys-lru");
    expect_ok(s, "SET k v");
    redisReply *dump = command(s, "DUMP k");
    expect_ok(s, "RESTORE k 0 %b REPLACE IDLETIME 5000", dump->str, dump->len);
    freeReplyObject(dump);
    expect_ok(s, "CLIENT NO-TOUCH ON");
    expect_string(s, "v", "GET k");
    cr_expect_geq(command_integer(s, "OBJECT IDLETIME k"), 5000);
    expect_integer(s, 1, "TOUCH k");
    cr_expect_lt(command_integer(s, "OBJECT IDLETIME k"), 1000);
}

/* --- WATCH --- */

enum key_state { NOTHING, ALIVE, STALE };

static void put_state(struct server *s, int db, enum key_state state)
{
    expect_ok(s, "SELECT %d", db);
    if (state != NOTHING) expect_ok(s, "SET k v");
    if (state == STALE) run_out(s, "k");
    expect_ok(s, "SELECT 0");
}

static bool exec_goes_through(struct server *s)
{
    expect_ok(s, "MULTI");
    expect_status(s, "QUEUED", "PING");
    redisReply *r = command(s, "EXEC");
    bool through = r->type == REDIS_REPLY_ARRAY;
    freeReplyObject(r);
    return through;
}

Test(expiry, a_swap_of_nothing_for_nothing_breaks_no_watch)
{
    static const struct {
        enum key_state here, there;
        bool through;
    } cases[] = {
        {NOTHING, NOTHING, true}, {NOTHING, STALE, true}, {STALE, NOTHING, true},  {STALE, STALE, true},
        {NOTHING, ALIVE, false},  {STALE, ALIVE, false},  {ALIVE, NOTHING, false}, {ALIVE, STALE, false},
    };
    struct server *s = server_without_active_expiry("");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int swaps = 1; swaps <= 2; swaps++) {
            expect_ok(s, "FLUSHALL");
            put_state(s, 0, cases[i].here);
            put_state(s, 1, cases[i].there);
            expect_ok(s, "WATCH k");
            for (int n = 0; n < swaps; n++) expect_ok(s, "SWAPDB 0 1");
            cr_expect_eq(exec_goes_through(s), cases[i].through, "%d for %d, swapped %d times", cases[i].here,
                         cases[i].there, swaps);
        }
    }
}

/* --- the stream --- */

struct follower {
    int fd;
    char *seen;
    size_t len;
};

static struct follower follow_stream(struct server *master)
{
    struct follower f = {.fd = raw_connect(master)};
    raw_send_text(f.fd, "PSYNC ? -1\r\n");
    wait_until(info_number(master, "replication", "connected_slaves") == 1);
    return f;
}

/* All of the stream up to and with a marker written now. */
static void read_stream(struct follower *f, struct server *master)
{
    static int markers;
    char marker[32], part[16384];
    int marker_len = snprintf(marker, sizeof marker, "marker:%d", ++markers);
    expect_ok(master, "SET marker %s", marker);
    f->len = 0;
    raw_send_text(f->fd, "REPLCONF ACK 0\r\n");
    do {
        struct pollfd entry = {.fd = f->fd, .events = POLLIN};
        cr_assert_eq(poll(&entry, 1, PATIENCE_MS), 1);
        ssize_t got = recv(f->fd, part, sizeof part, 0);
        cr_assert_gt(got, 0);
        f->seen = realloc(f->seen, f->len + (size_t)got);
        memcpy(f->seen + f->len, part, (size_t)got);
        f->len += (size_t)got;
    } while (!memmem(f->seen, f->len, marker, (size_t)marker_len));
}

static bool stream_has(const struct follower *f, const char *text)
{
    return memmem(f->seen, f->len, text, strlen(text)) != NULL;
}

#define DEL_K    "*2\r\n$3\r\nDEL\r\n$1\r\nk\r\n"
#define UNLINK_K "*2\r\n$6\r\nUNLINK\r\n$1\r\nk\r\n"

Test(expiry, removals_travel_as_their_directive_says)
{
    static const struct {
        const char *directive, *command;
    } cases[] = {
        {"lazyfree-lazy-expire", "EXPIRE k -1"},    {"lazyfree-lazy-expire", "PEXPIREAT k 1"},
        {"lazyfree-lazy-expire", "GETEX k PXAT 1"}, {"lazyfree-lazy-user-del", "GETDEL k"},
        {"lazyfree-lazy-server-del", NULL}, /* RESTORE of a value whose time is over */
    };
    struct server *s = server_start(OURS, "%s", "");
    struct follower f = follow_stream(s);
    redisReply *dump;
    expect_ok(s, "SET src value");
    dump = command(s, "DUMP src");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int lazy = 0; lazy <= 1; lazy++) {
            expect_ok(s, "CONFIG SET %s %s", cases[i].directive, lazy ? "yes" : "no");
            expect_ok(s, "SET k v");
            read_stream(&f, s);
            if (cases[i].command)
                freeReplyObject(command(s, cases[i].command));
            else
                expect_ok(s, "RESTORE k 1 %b REPLACE ABSTTL", dump->str, dump->len);
            read_stream(&f, s);
            cr_expect(stream_has(&f, lazy ? UNLINK_K : DEL_K), "%s: %.*s", cases[i].directive, (int)f.len, f.seen);
            cr_expect_not(stream_has(&f, lazy ? DEL_K : UNLINK_K));
            expect_integer(s, 0, "EXISTS k");
        }
    }
    freeReplyObject(dump);
    free(f.seen);
    close(f.fd);
}

/* The waiting client is not served, and the remains stay for who asks for the key. */
Test(expiry, a_swap_that_brings_remains_wakes_nobody_and_removes_nothing)
{
    struct server *s = server_without_active_expiry("");
    struct follower f = follow_stream(s);
    int waiting = raw_connect(s);
    expect_ok(s, "SELECT 1");
    make_expired(s, "k", "list");
    raw_send_text(waiting, "BLPOP k 0\r\n");
    wait_until(info_number(s, "clients", "blocked_clients") == 1);
    read_stream(&f, s);
    expect_ok(s, "SWAPDB 0 1");
    read_stream(&f, s);
    cr_expect_not(stream_has(&f, DEL_K));
    cr_expect_eq(info_number(s, "clients", "blocked_clients"), 1);
    expect_ok(s, "SELECT 0");
    expect_integer(s, 0, "EXISTS k");
    read_stream(&f, s);
    cr_expect(stream_has(&f, DEL_K));
    expect_integer(s, 1, "RPUSH k x");
    raw_expect(waiting, "*2\r\n$1\r\nk\r\n$1\r\nx\r\n");
    free(f.seen);
    close(f.fd);
    close(waiting);
}
