/* Limits that hold: maxmemory by each policy, and what clients may hold, each of them and all together. */
#include "tests/harness/client.h"
#include "tests/harness/raw.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

TestSuite(limits, .fini = server_finish_all, .timeout = 180);

#define KB 1024LL
#define MB (1024 * KB)

/* --- maxmemory --- */

#define VALUE_BYTES 1000
#define KEYS        1500 /* of each kind: together, half of the limit */
#define LIMIT       (6 * MB)

/* What a policy is to take first, and what it has to leave: how such keys are made. */
struct policy {
    const char *name;
    const char *first, *last;    /* options of RESTORE */
    int first_ttl_s, last_ttl_s; /* 0: no expiry */
    bool only_volatile, in_order;
};

static void restore(struct server *s, const char *prefix, int ttl_s, const char *options, const redisReply *dump)
{
    char word[32] = "", number[32] = "";
    sscanf(options, "%31s %31s", word, number);
    for (int i = 0; i < KEYS; i++) {
        if (*word)
            redisAppendCommand(connection(s), "RESTORE %s:%d %d %b %s %s", prefix, i, ttl_s * 1000, dump->str,
                               dump->len, word, number);
        else
            redisAppendCommand(connection(s), "RESTORE %s:%d %d %b", prefix, i, ttl_s * 1000, dump->str, dump->len);
    }
    for (int i = 0; i < KEYS; i++) {
        redisReply *r = receive(s);
        cr_assert_neq(r->type, REDIS_REPLY_ERROR, "%s", r->str);
        freeReplyObject(r);
    }
}

static int count_left(struct server *s, const char *prefix)
{
    int left = 0;
    for (int i = 0; i < KEYS; i++) redisAppendCommand(connection(s), "EXISTS %s:%d", prefix, i);
    for (int i = 0; i < KEYS; i++) {
        redisReply *r = receive(s);
        left += (int)r->integer;
        freeReplyObject(r);
    }
    return left;
}

/* More keys of the kind that may go, until `bytes` have been added. */
static void add(struct server *s, const char *prefix, long long bytes, bool expiring)
{
    static char value[VALUE_BYTES];
    int count = (int)(bytes / VALUE_BYTES);
    memset(value, 'x', sizeof value);
    for (int i = 0; i < count; i++) {
        if (expiring)
            redisAppendCommand(connection(s), "SET %s:%d %b EX 9000", prefix, i, value, sizeof value);
        else
            redisAppendCommand(connection(s), "SET %s:%d %b", prefix, i, value, sizeof value);
        if (i % 500 == 499 || i == count - 1)
            for (int j = 0; j <= i % 500; j++) freeReplyObject(receive(s));
    }
}

static long long counted_memory(struct server *s)
{
    return info_number(s, "memory", "used_memory") - info_number(s, "memory", "mem_not_counted_for_evict");
}

static void expect_limit_kept(const struct policy *p)
{
    struct server *s = server_start(OURS, "maxmemory-policy %s\nmaxmemory-samples 10", p->name);
    long long limit = info_number(s, "memory", "used_memory") + LIMIT;
    add(s, "model", VALUE_BYTES, false);
    redisReply *dump = command(s, "DUMP model:0");
    restore(s, "first", p->first_ttl_s, p->first, dump);
    restore(s, "last", p->last_ttl_s, p->last, dump);
    if (p->only_volatile) restore(s, "kept", 0, "", dump);
    freeReplyObject(dump);
    expect_ok(s, "CONFIG SET maxmemory %lld", limit);

    /* A third of those that are to go first must make room. */
    long long free_bytes = limit - counted_memory(s);
    add(s, "more", free_bytes + KEYS / 3 * VALUE_BYTES, p->only_volatile);
    int first = KEYS - count_left(s, "first"), last = KEYS - count_left(s, "last");
    cr_expect_leq(counted_memory(s), limit + 64 * KB, "%s", p->name);
    cr_assert_geq(first, KEYS / 10, "%s: %d of those that should go first went", p->name, first);
    if (p->in_order)
        cr_expect_leq(last, first / 20, "%s: %d that should have stayed went, and %d others", p->name, last, first);
    else
        cr_expect(last > first / 3 && last < first * 3, "%s: %d and %d", p->name, first, last);

    /* Three times what there is room for. */
    add(s, "fill", 3 * limit, p->only_volatile);
    cr_expect_leq(counted_memory(s), limit + 64 * KB, "%s", p->name);
    cr_expect_gt(info_number(s, "stats", "evicted_keys"), 2 * limit / (VALUE_BYTES * 2));
    cr_expect_gt(command_integer(s, "DBSIZE"), LIMIT / (VALUE_BYTES * 4), "no more went than had to");
    if (p->only_volatile) {
        cr_expect_eq(count_left(s, "kept"), KEYS);
        cr_expect_eq(command_integer(s, "EXISTS model:0"), 1);
    }
}

Test(limits, allkeys_lru)
{
    expect_limit_kept(&(struct policy){"allkeys-lru", "IDLETIME 5000", "IDLETIME 0", 0, 0, false, true});
}

Test(limits, allkeys_lfu)
{
    expect_limit_kept(&(struct policy){"allkeys-lfu", "FREQ 1", "FREQ 200", 0, 0, false, true});
}

Test(limits, allkeys_random)
{
    expect_limit_kept(&(struct policy){"allkeys-random", "", "", 0, 0, false, false});
}

Test(limits, volatile_lru)
{
    expect_limit_kept(&(struct policy){"volatile-lru", "IDLETIME 5000", "IDLETIME 0", 9000, 9000, true, true});
}

Test(limits, volatile_lfu)
{
    expect_limit_kept(&(struct policy){"volatile-lfu", "FREQ 1", "FREQ 200", 9000, 9000, true, true});
}

Test(limits, volatile_ttl)
{
    expect_limit_kept(&(struct policy){"volatile-ttl", "IDLETIME 0", "IDLETIME 5000", 1000, 9000, true, true});
}

Test(limits, volatile_random)
{
    expect_limit_kept(&(struct policy){"volatile-random", "", "", 9000, 9000, true, false});
}

Test(limits, without_eviction_writes_are_refused)
{
    struct server *s = server_start(OURS, "maxmemory-policy noeviction");
    expect_ok(s, "CONFIG SET maxmemory %lld", info_number(s, "memory", "used_memory") + MB);
    char value[VALUE_BYTES + 1] = {0};
    memset(value, 'x', VALUE_BYTES);
    int taken = 0, refused = 0;
    for (int i = 0; i < 3000; i++) {
        redisReply *r = command(s, "SET key:%d %s", i, value);
        if (r->type == REDIS_REPLY_ERROR) {
            cr_assert_str_eq(r->str, "OOM command not allowed when used memory > 'maxmemory'.");
            refused++;
        } else {
            taken++;
        }
        freeReplyObject(r);
    }
    cr_expect_gt(taken, 300);
    cr_expect_gt(refused, 1500);
    cr_expect_eq(info_number(s, "stats", "evicted_keys"), 0);
    expect_integer(s, taken, "DBSIZE");
    expect_string(s, value, "GET key:0");
    expect_integer(s, 1, "DEL key:0");
    for (int i = 1; i < 200; i++) expect_integer(s, 1, "DEL key:%d", i);
    expect_ok(s, "SET key:0 v");
}

/* What clients are told of an evicted key must not cost another one. */
Test(limits, invalidations_evict_nothing)
{
    enum { READERS = 10, NAMED = 300 };
    struct server *s = server_start(OURS, "maxmemory-policy allkeys-lru\nmaxmemory-eviction-tenacity 100");
    char name[1001] = {0};
    int fd[READERS];
    memset(name, 'k', 1000);
    for (int r = 0; r < READERS; r++) {
        fd[r] = raw_connect(s);
        raw_send_text(fd[r], "HELLO 3\r\nCLIENT TRACKING ON\r\n");
        raw_skip_past(fd[r], "+OK\r\n");
    }
    for (int i = 0; i < NAMED; i++) {
        expect_ok(s, "SET %s:%d v", name, i);
        for (int r = 0; r < READERS; r++) {
            char line[1100];
            snprintf(line, sizeof line, "GET %s:%d\r\n", name, i);
            raw_send_text(fd[r], line);
            raw_expect(fd[r], "$1\r\nv\r\n");
        }
    }
    expect_ok(s, "CONFIG SET maxmemory %lld", counted_memory(s) - 40000);
    for (int i = 0; i < 20; i++) expect_status(s, "PONG", "PING");
    cr_expect_geq(info_number(s, "stats", "evicted_keys"), 20);
    cr_expect_leq(info_number(s, "stats", "evicted_keys"), NAMED / 2);
    for (int r = 0; r < READERS; r++) {
        raw_skip_past(fd[r], "invalidate\r\n");
        close(fd[r]);
    }
}

/* --- what clients hold --- */

/* A client that has sent the head of a request and so many bytes of it. */
static int half_a_request(struct server *s, const char *name, int bytes)
{
    char head[128], *body = malloc(bytes);
    int fd = raw_connect(s);
    int len = snprintf(head, sizeof head, "CLIENT SETNAME %s\r\n", name);
    raw_send(fd, head, len);
    raw_expect(fd, "+OK\r\n");
    len = snprintf(head, sizeof head, "*2\r\n$%d\r\n", bytes + 1);
    memset(body, 'v', bytes);
    raw_send(fd, head, len);
    raw_send(fd, body, bytes);
    free(body);
    return fd;
}

static bool is_there(struct server *s, const char *name)
{
    char wanted[64];
    snprintf(wanted, sizeof wanted, " name=%s ", name);
    return strstr(command_text(s, "CLIENT LIST"), wanted) != NULL;
}

static long long held_by(struct server *s, const char *name)
{
    char wanted[64];
    snprintf(wanted, sizeof wanted, " name=%s ", name);
    const char *line = strstr(command_text(s, "CLIENT LIST"), wanted);
    return line ? atoll(strstr(line, "tot-mem=") + strlen("tot-mem=")) : 0;
}

static void queue_a_write(int fd, const char *value)
{
    char head[64];
    snprintf(head, sizeof head, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%zu\r\n", strlen(value));
    raw_send_text(fd, head);
    raw_send_text(fd, value);
    raw_send_text(fd, "\r\n");
}

Test(limits, the_clients_that_hold_the_most_go_first)
{
    static const struct {
        const char *name;
        int bytes;
    } clients[] = {{"small", 100 * KB}, {"middle", 700 * KB}, {"spared", 3 * MB}, {"large", 2 * MB}};
    struct server *s = server_start(OURS, "%s", "");
    int fd[4];
    for (int i = 0; i < 4; i++) {
        fd[i] = half_a_request(s, clients[i].name, clients[i].bytes);
        wait_until(held_by(s, clients[i].name) >= clients[i].bytes);
    }
    int spared = raw_connect(s);
    raw_send_text(spared, "CLIENT SETNAME also-spared\r\nCLIENT NO-EVICT ON\r\nMULTI\r\n");
    raw_expect(spared, "+OK\r\n+OK\r\n+OK\r\n");
    expect_ok(s, "CONFIG SET maxmemory-clients %lld", 4 * MB);
    wait_until(!is_there(s, "spared")); /* nobody has asked for mercy in its name */
    cr_expect(is_there(s, "large"));
    expect_ok(s, "CONFIG SET maxmemory-clients %lld", 2 * MB);
    wait_until(!is_there(s, "large"));
    cr_expect(is_there(s, "middle") && is_there(s, "small"));
    expect_ok(s, "CONFIG SET maxmemory %lld", 100 * MB);
    expect_ok(s, "CONFIG SET maxmemory-clients 1%%");
    cr_expect(is_there(s, "middle"));
    expect_ok(s, "CONFIG SET maxmemory %lld", 50 * MB);
    wait_until(!is_there(s, "middle"));
    cr_expect(is_there(s, "small") && is_there(s, "also-spared"));
    cr_expect_eq(info_number(s, "stats", "evicted_clients"), 3);
    for (int i = 0; i < 4; i++) close(fd[i]);

    /* Queued commands count as input does; who is spared may go on, be the limit what it may. */
    char *large = calloc(1, 600 * KB + 1);
    memset(large, 'x', 600 * KB);
    expect_ok(s, "CONFIG SET maxmemory-clients %lld", MB);
    queue_a_write(spared, large);
    raw_expect(spared, "+QUEUED\r\n");
    wait_until(held_by(s, "also-spared") > 600 * KB);
    raw_send_text(spared, "DISCARD\r\nCLIENT NO-EVICT OFF\r\nMULTI\r\n");
    raw_expect(spared, "+OK\r\n+OK\r\n+OK\r\n");
    queue_a_write(spared, large);
    queue_a_write(spared, large);
    wait_until(raw_is_closed(spared) || !is_there(s, "also-spared"));
    cr_expect_eq(info_number(s, "stats", "evicted_clients"), 4);
    free(large);
    close(spared);
}

Test(limits, subscribers_that_do_not_read_are_evicted_and_replicas_are_not)
{
    struct server *s = server_start(OURS, "client-output-buffer-limit pubsub 0 0 0\nrepl-backlog-size 16kb"),
                  *replica = server_start(OURS, "%s", "");
    follow(replica, s);
    wait_in_step(replica, s);
    server_freeze(replica);
    expect_ok(s, "CONFIG SET maxmemory-clients %lld", 8 * MB);
    int fd = raw_connect(s);
    raw_send_text(fd, "CLIENT SETNAME deaf\r\nSUBSCRIBE ch\r\n");
    raw_expect(fd, "+OK\r\n*3\r\n$9\r\nsubscribe\r\n$2\r\nch\r\n:1\r\n");
    char *message = calloc(1, 100 * KB + 1);
    memset(message, 'm', 100 * KB);
    for (int i = 0; i < 1000 && is_there(s, "deaf"); i++)
        for (int j = 0; j < 10; j++) freeReplyObject(command(s, "PUBLISH ch %s", message));
    free(message);
    cr_expect_not(is_there(s, "deaf"));
    cr_expect_eq(info_number(s, "stats", "evicted_clients"), 1);
    cr_expect_eq(info_number(s, "replication", "connected_slaves"), 1);
    server_thaw(replica);
    close(fd);
}

enum { DEAF = 20, STORED = 50, STORED_BYTES = 100000 };

static int connect_deaf(struct server *s)
{
    int fd = raw_connect(s), bytes = 4096;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    for (int i = 0; i < 2; i++) { /* now it may be with an I/O thread */
        raw_send_text(fd, "PING\r\n");
        raw_expect(fd, "+PONG\r\n");
    }
    return fd;
}

/* Keys, and room for what clients may hold and a little more. */
static struct server *start_with_keys(void)
{
    static char value[STORED_BYTES];
    struct server *s = server_start(OURS, "maxmemory-policy allkeys-lru\nclient-output-buffer-limit pubsub 0 0 0");
    memset(value, 'v', sizeof value);
    for (int i = 0; i < STORED; i++) expect_ok(s, "SET key:%d %b", i, value, sizeof value);
    expect_ok(s, "CLIENT NO-EVICT ON");
    expect_ok(s, "CONFIG SET maxmemory-clients %lld", 3 * MB);
    expect_ok(s, "CONFIG SET maxmemory %lld", counted_memory(s) + 4 * MB + 512 * KB);
    return s;
}

/* Whatever arrives in one turn of the server: ten times what clients may hold. */
static void expect_askers_to_go_before_keys(void)
{
    struct server *s = start_with_keys();
    int fd[DEAF];
    for (int i = 0; i < DEAF; i++) fd[i] = connect_deaf(s);
    server_freeze(s);
    for (int i = 0; i < DEAF; i++)
        for (int j = 0; j < 40; j++) raw_send_text(fd[i], "GET key:1\r\n");
    server_thaw(s);
    wait_until(info_number(s, "stats", "evicted_clients") > 0);
    cr_expect_eq(info_number(s, "stats", "evicted_keys"), 0);
    expect_integer(s, STORED, "DBSIZE");
    for (int i = 0; i < DEAF; i++) close(fd[i]);
}

static void expect_subscribers_to_go_before_keys(void)
{
    static char message[STORED_BYTES];
    struct server *s = start_with_keys();
    int fd[DEAF];
    memset(message, 'm', sizeof message);
    for (int i = 0; i < DEAF; i++) {
        fd[i] = connect_deaf(s);
        raw_send_text(fd[i], "SUBSCRIBE ch\r\n");
        raw_skip_past(fd[i], ":1\r\n");
    }
    for (int i = 0; i < 1000 && info_number(s, "stats", "evicted_clients") < DEAF; i++)
        for (int j = 0; j < 10; j++) freeReplyObject(command(s, "PUBLISH ch %b", message, sizeof message));
    cr_expect_eq(info_number(s, "stats", "evicted_clients"), DEAF);
    cr_expect_eq(info_number(s, "stats", "evicted_keys"), 0);
    expect_integer(s, STORED, "DBSIZE");
    for (int i = 0; i < DEAF; i++) close(fd[i]);
}

Test(limits, clients_that_ask_for_much_go_before_keys)
{
    expect_askers_to_go_before_keys();
}

Test(limits, clients_that_are_told_much_go_before_keys)
{
    expect_subscribers_to_go_before_keys();
}

Test(limits, clients_of_io_threads_that_ask_for_much_go_before_keys)
{
    setenv("SLIPSTREAM_IO_THREADS", "3:always", 1);
    expect_askers_to_go_before_keys();
}

Test(limits, clients_of_io_threads_that_are_told_much_go_before_keys)
{
    setenv("SLIPSTREAM_IO_THREADS", "3:always", 1);
    expect_subscribers_to_go_before_keys();
}

/* A push to himself is held back until his own command is answered, and is not all that waits for him. */
Test(limits, who_tells_himself_does_not_put_off_his_soft_limit)
{
    static char message[20000];
    struct server *s = server_start(OURS, "client-output-buffer-limit pubsub 0 400kb 1\nhz 50");
    memset(message, 'm', sizeof message - 1);
    int fd = connect_deaf(s);
    raw_send_text(fd, "HELLO 3\r\nSUBSCRIBE ch\r\n");
    raw_skip_past(fd, "subscribe\r\n$2\r\nch\r\n:1\r\n");
    while (info_number(s, "clients", "client_recent_max_output_buffer") < 600 * KB)
        freeReplyObject(command(s, "PUBLISH ch %s", message));
    char request[sizeof message + 100];
    int len = snprintf(request, sizeof request, "PUBLISH ch %s\r\n", message);
    wait_until(send(fd, request, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ||
               info_number(s, "stats", "client_output_buffer_limit_disconnections") == 1);
    wait_until(info_number(s, "stats", "client_output_buffer_limit_disconnections") == 1);
    close(fd);
}

/* It is given more as long as it holds less than that: the kernel takes much, and what is on its way there leaves. */
static bool is_gone_when_full(struct server *s, const char *name, long long bytes, const char *message)
{
    if (held_by(s, name) < bytes) freeReplyObject(command(s, "PUBLISH ch %s", message));
    return !is_there(s, name);
}

Test(limits, a_soft_limit_holds_when_its_time_is_over)
{
    struct server *s = server_start(OURS, "client-output-buffer-limit pubsub 0 100kb 1\nhz 50");
    int fd = raw_connect(s);
    raw_send_text(fd, "CLIENT SETNAME deaf\r\nSUBSCRIBE ch\r\n");
    raw_expect(fd, "+OK\r\n*3\r\n$9\r\nsubscribe\r\n$2\r\nch\r\n:1\r\n");
    char *message = calloc(1, 100 * KB + 1);
    memset(message, 'm', 100 * KB);
    int64_t began_ms = clock_ms();
    /* More than the kernel takes, and then silence: cron has to see it. */
    wait_until(is_gone_when_full(s, "deaf", 300 * KB, message));
    cr_expect_geq(clock_ms(), began_ms + 1000);
    cr_expect_eq(info_number(s, "stats", "client_output_buffer_limit_disconnections"), 1);
    free(message);
    close(fd);
}
