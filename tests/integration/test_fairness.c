/* One client, however it behaves, neither holds the server up nor fills its memory: strangers, senders in bulk, readers
 * that do not read, and those who come with very many names. What is right is taken from Debian's server where it is
 * tried beside ours.
 *
 * Time is the processor's, and its bounds are a multiple of what is needed: what they tell apart is a walk and a walk
 * for each step of a walk. */
#include "tests/harness/client.h"
#include "tests/harness/raw.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

TestSuite(fairness, .fini = server_finish_all, .timeout = 180);

#define MEBIBYTE (1024LL * 1024)

/* --- strangers --- */

/* Sends the text again and again without reading, until the server closes; how many bytes it took. */
static size_t flood(int fd, const char *text)
{
    static char block[64 * 1024];
    size_t len = 0, sent = 0, piece = strlen(text);
    int64_t deadline_ms = clock_ms() + PATIENCE_MS;
    while (len + piece <= sizeof block) memcpy(block + len, text, piece), len += piece;
    while (clock_ms() < deadline_ms) {
        struct pollfd entry = {.fd = fd, .events = POLLOUT};
        poll(&entry, 1, 1000);
        ssize_t n = send(fd, block, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN) return sent;
        if (n > 0) sent += (size_t)n;
    }
    harness_fail("the server still listens to %.20s after %zu bytes", text, sent);
}

static int connect_narrow(const struct server *s)
{
    int fd = raw_connect(s), bytes = 4096;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    return fd;
}

static struct server *start_locked(enum server_kind kind)
{
    struct server *s = server_prepare(kind, "requirepass secret");
    server_launch(s);
    expect_ok(s, "AUTH secret");
    return s;
}

Test(fairness, strangers_who_do_not_read_are_closed)
{
    static const char *const floods[] = {
        "PING\r\n",       "*1\r\n$4\r\nPING\r\n",      "HELLO 3\r\n", "RESET\r\n",
        "AUTH wrong\r\n", "NOSUCH with arguments\r\n", "HELLO 9\r\n", "*2\r\n$4\r\nAUTH\r\n$0\r\n\r\n"};
    struct server *s = start_locked(OURS);
    long long before = info_number(s, "memory", "used_memory_peak");
    for (size_t i = 0; i < sizeof floods / sizeof *floods; i++) {
        int fd = connect_narrow(s);
        flood(fd, floods[i]);
        close(fd);
    }
    cr_assert_lt(info_number(s, "memory", "used_memory_peak"), before + 4 * MEBIBYTE);
    cr_assert_geq(info_number(s, "stats", "client_output_buffer_limit_disconnections"), 1);
}

/* As many at once as a chunk of replies holds are answered, by a real Redis, too. */
Test(fairness, strangers_who_read_are_answered)
{
    enum { REQUESTS = 400, ROUNDS = 50 };
    static const char refusal[] = "-NOAUTH Authentication required.\r\n";
    struct server *servers[] = {start_locked(OURS), start_locked(DEBIAN)};
    for (int i = 0; i < 2; i++) {
        int fd = raw_connect(servers[i]);
        for (int round = 0; round < ROUNDS; round++) {
            for (int n = 0; n < REQUESTS; n++) raw_send_text(fd, "PING\r\n");
            for (int n = 0; n < REQUESTS; n++) raw_expect(fd, refusal);
        }
        raw_send_text(fd, "AUTH secret\r\nPING\r\n");
        raw_expect(fd, "+OK\r\n+PONG\r\n");
        close(fd);
    }
}

Test(fairness, strangers_do_not_fill_the_memory_while_clients_are_paused)
{
    struct server *s = start_locked(OURS);
    long long before = info_number(s, "memory", "used_memory_peak");
    expect_ok(s, "CLIENT PAUSE 4000 ALL");
    int held = raw_connect(s), refused = connect_narrow(s), patient = raw_connect(s);
    raw_send_text(held, "AUTH secret\r\n");
    flood(held, "SET key value\r\n");
    flood(refused, "PING\r\n");
    raw_send_text(patient, "AUTH secret\r\nPING\r\n");
    raw_expect(patient, "+OK\r\n+PONG\r\n"); /* when the pause is over */
    cr_assert_lt(info_number(s, "memory", "used_memory_peak"), before + 4 * MEBIBYTE);
    cr_assert_eq(info_number(s, "stats", "client_query_buffer_limit_disconnections"), 1);
    cr_assert_eq(info_number(s, "stats", "client_output_buffer_limit_disconnections"), 1);
    close(held), close(refused), close(patient);
}

/* --- readers that do not read --- */

static void fill_collections(struct server *s)
{
    enum { MEMBERS = 5000 };
    for (int i = 0; i < MEMBERS; i++) {
        redisAppendCommand(connection(s), "SADD set member:%d", i);
        redisAppendCommand(connection(s), "HSET hash field:%d value:%d", i, i);
        redisAppendCommand(connection(s), "ZADD zset %d member:%d", i, i);
        redisAppendCommand(connection(s), "RPUSH list element:%d", i);
    }
    for (int i = 0; i < 4 * MEMBERS; i++) freeReplyObject(receive(s));
}

static void send_without_reading(struct server *s, const char *request, int times)
{
    int fd = connect_narrow(s);
    long long closed = info_number(s, "stats", "client_output_buffer_limit_disconnections");
    for (int i = 0; i < times; i++) raw_send_text(fd, request);
    wait_until(info_number(s, "stats", "client_output_buffer_limit_disconnections") == closed + 1);
    close(fd);
}

/* Neither a command that goes on and on nor many behind each other are let run past the limit. */
Test(fairness, output_stops_at_its_limit)
{
    struct server *s = server_start(OURS, "client-output-buffer-limit normal 4mb 0 0");
    fill_collections(s);
    fill(s, "big", 1, 1 << 20);
    long long before = info_number(s, "memory", "used_memory_peak");
    int64_t cpu_us = process_cpu_us(s->pid);
    send_without_reading(s, "SRANDMEMBER set -40000000\r\n", 1);
    send_without_reading(s, "HRANDFIELD hash -20000000 WITHVALUES\r\n", 1);
    send_without_reading(s, "ZRANDMEMBER zset -20000000 WITHSCORES\r\n", 1);
    send_without_reading(s, "LRANGE list 0 -1\r\n", 2000);
    send_without_reading(s, "SMEMBERS set\r\n", 2000);
    send_without_reading(s, "HGETALL hash\r\n", 2000);
    send_without_reading(s, "GET big0\r\n", 500);
    cr_assert_lt(process_cpu_us(s->pid) - cpu_us, 6000000);
    cr_assert_lt(info_number(s, "memory", "used_memory_peak"), before + 24 * MEBIBYTE);
}

/* Nobody hears the answers; what the transaction changes, it changes all the same. */
Test(fairness, a_transaction_ends_though_its_client_is_over_the_limit)
{
    struct server *s = server_start(OURS, "client-output-buffer-limit normal 4mb 0 0");
    fill(s, "big", 1, 1 << 20);
    int fd = connect_narrow(s);
    raw_send_text(fd, "MULTI\r\n");
    for (int i = 0; i < 50; i++) raw_send_text(fd, "GET big0\r\nINCR counter\r\n");
    raw_send_text(fd, "EXEC\r\nSET behind it\r\n");
    wait_until(info_number(s, "stats", "client_output_buffer_limit_disconnections") == 1);
    expect_string(s, "50", "GET counter");
    expect_integer(s, 0, "EXISTS behind");
    close(fd);
}

/* The limit of a class of clients counts from the moment it belongs there, in the middle of others' commands. */
Test(fairness, subscribers_and_monitors_have_their_limits)
{
    struct server *s =
        server_start(OURS, "client-output-buffer-limit pubsub 4mb 0 0\nclient-output-buffer-limit normal 4mb 0 0");
    int subscriber = connect_narrow(s), monitor = connect_narrow(s);
    raw_send_text(subscriber, "SUBSCRIBE news\r\n");
    raw_send_text(monitor, "MONITOR\r\n");
    wait_until(command_integer(s, "PUBLISH news first") == 1);
    raw_expect(monitor, "+OK\r\n");
    char *news = calloc(1, 1 << 20);
    memset(news, 'n', (1 << 20) - 1);
    for (int i = 0; i < 60; i++) redisAppendCommand(connection(s), "PUBLISH news %s", news);
    for (int i = 0; i < 60; i++) freeReplyObject(receive(s));
    expect_integer(s, 0, "PUBLISH news last");
    cr_assert_eq(info_number(s, "stats", "client_output_buffer_limit_disconnections"), 2);
    free(news);
    close(subscriber), close(monitor);
}

/* --- senders in bulk --- */

static char *repeated(const char *text, size_t times, size_t *len)
{
    size_t piece = strlen(text);
    char *all = malloc(piece * times);
    for (size_t i = 0; i < times; i++) memcpy(all + i * piece, text, piece);
    *len = piece * times;
    return all;
}

/* As much as the socket takes while nobody reads. */
static void send_what_fits(int fd, const char *all, size_t len)
{
    int bytes = (int)len + 4096;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    for (ssize_t n = 1; len > 0 && n > 0; all += n, len -= (size_t)n) {
        n = send(fd, all, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0) return;
    }
}

/* Both have spoken when the server looks; the one with a single request is not behind all that the other has to say. An
 * I/O thread that is late may hold it back for once, the server would each time. */
Test(fairness, a_sender_in_bulk_leaves_the_others_their_turn)
{
    enum { INCREMENTS = 200000, ROUNDS = 5 };
    struct server *s = server_start(OURS, "%s", "");
    size_t len;
    char *all = repeated("INCR n\r\n", INCREMENTS, &len);
    long long least = INCREMENTS;
    for (int round = 0; round < ROUNDS; round++) {
        int sender = raw_connect(s), sent = 0;
        expect_ok(s, "SET n 0");
        server_freeze(s);
        send_what_fits(sender, all, len);
        redisAppendCommand(connection(s), "INCRBY n 0");
        while (!sent) cr_assert_eq(redisBufferWrite(connection(s), &sent), REDIS_OK);
        server_thaw(s);
        redisReply *r = receive(s);
        if (r->integer < least) least = r->integer;
        freeReplyObject(r);
        close(sender);
        wait_until(info_number(s, "clients", "connected_clients") == 1); /* what it has sent is the past */
    }
    cr_assert_lt(least, 40000, "of %d requests of the other %lld came first", INCREMENTS, least);
    free(all);
}

/* How many of a waiting client's kept requests have run when another client next sees the server. */
static long long first_seen(struct server *s, const char *all, size_t len, long long increments)
{
    int waiting = raw_connect(s);
    expect_ok(s, "SET n 0");
    long long before = info_number(s, "stats", "total_net_input_bytes");
    raw_send_text(waiting, "BLPOP queue 0\r\nDEBUG SLEEP 0.5\r\n");
    raw_send(waiting, all, len);
    wait_until(info_number(s, "stats", "total_net_input_bytes") > before + (long long)len);
    expect_integer(s, 1, "RPUSH queue x");
    long long seen;
    while ((seen = command_integer(s, "INCRBY n 0")) == 0) continue;
    wait_until(command_integer(s, "INCRBY n 0") == increments);
    close(waiting);
    return seen;
}

/* What a waiting client has sent meanwhile does not run in one go, either; nothing of it is lost. The one that looks
 * may get no processor for a while, and look too late: run in one go, none of the times would have shown a part. */
Test(fairness, kept_requests_run_in_pieces)
{
    enum { INCREMENTS = 300000, TIMES = 8 };
    struct server *s = server_start(OURS, "%s", "");
    size_t len;
    char *all = repeated("INCR n\r\n", INCREMENTS, &len);
    long long seen = INCREMENTS;
    for (int i = 0; i < TIMES && seen >= INCREMENTS / 2; i++) seen = first_seen(s, all, len, INCREMENTS);
    cr_assert_lt(seen, INCREMENTS / 2, "%lld requests ran in one go", seen);
    free(all);
}

/* Requests that block stand in front of much that waits for them. */
Test(fairness, kept_requests_are_answered_in_order)
{
    enum { REQUESTS = 300 };
    struct server *s = server_start(OURS, "%s", "");
    int fd = raw_connect(s);
    char request[64], reply[64];
    for (int i = 0; i < REQUESTS; i++) {
        snprintf(request, sizeof request, "BLPOP queue 0\r\nECHO %03d\r\n", i);
        raw_send_text(fd, request);
    }
    for (int i = 0; i < REQUESTS; i++) {
        command_integer(s, "RPUSH queue x");
        snprintf(reply, sizeof reply, "*2\r\n$5\r\nqueue\r\n$1\r\nx\r\n$3\r\n%03d\r\n", i);
        raw_expect(fd, reply);
    }
    close(fd);
}

/* --- walks --- */

/* One request with `count` names of its own, between a word in front and one behind (NULL: none). */
static void append_with_names(struct server *s, const char *word, int count, const char *last)
{
    const char **argv = calloc((size_t)count + 2, sizeof *argv);
    char *names = malloc((size_t)count * 16);
    int argc = 0;
    argv[argc++] = word;
    for (int i = 0; i < count; i++) {
        sprintf(names + i * 16, "name:%d", i);
        argv[argc++] = names + i * 16;
    }
    if (last) argv[argc++] = last;
    redisAppendCommandArgv(connection(s), argc, argv, NULL);
    free(names);
    free(argv);
}

static void receive_all(struct server *s, int count)
{
    for (int i = 0; i < count; i++) freeReplyObject(receive(s));
}

#define NAMES       60000
#define CPU_MOST_US 1500000 /* tens of times what it takes; a walk for each name takes longer */

Test(fairness, all_channels_are_left_at_once)
{
    struct server *s = server_start(OURS, "%s", ""), reader = *s;
    reader.client = NULL;
    for (int leave = 0; leave < 2; leave++) {
        append_with_names(&reader, leave ? "PSUBSCRIBE" : "SUBSCRIBE", NAMES, NULL);
        receive_all(&reader, NAMES);
        int64_t cpu_us = process_cpu_us(s->pid);
        if (leave == 0) {
            redisAppendCommand(connection(&reader), "UNSUBSCRIBE");
            receive_all(&reader, NAMES);
        } else {
            redisFree(reader.client);
            wait_until(info_number(s, "stats", "pubsub_patterns") == 0);
        }
        cr_assert_lt(process_cpu_us(s->pid) - cpu_us, CPU_MOST_US);
    }
    expect_integer(s, 0, "PUBLISH name:1 x");
}

Test(fairness, waiting_for_and_watching_many_keys)
{
    struct server *s = server_start(OURS, "%s", ""), waiting = *s;
    waiting.client = NULL;
    int64_t cpu_us = process_cpu_us(s->pid);
    append_with_names(&waiting, "BLPOP", NAMES, "0");
    for (int sent = 0; !sent;) redisBufferWrite(connection(&waiting), &sent);
    wait_until(info_number(s, "clients", "total_blocking_keys") == NAMES);
    expect_integer(s, 1, "RPUSH name:%d x", NAMES - 1);
    freeReplyObject(receive(&waiting));
    cr_assert_eq(info_number(s, "clients", "total_blocking_keys"), 0);
    append_with_names(&waiting, "WATCH", NAMES, "name:0");
    receive_all(&waiting, 1);
    expect_ok(s, "SET name:%d x", NAMES / 2);
    expect_ok(&waiting, "MULTI");
    expect_nil(&waiting, "EXEC");
    cr_assert_lt(process_cpu_us(s->pid) - cpu_us, 2 * CPU_MOST_US);
    redisFree(waiting.client);
}

/* A key named twice is waited for once. */
Test(fairness, keys_named_twice)
{
    struct server *s = server_start(OURS, "%s", "");
    int fd = raw_connect(s);
    raw_send_text(fd, "BLPOP a b a a b 0\r\nPING\r\n");
    wait_until(info_number(s, "clients", "total_blocking_keys") == 2);
    expect_integer(s, 2, "RPUSH b 1 2");
    raw_expect(fd, "*2\r\n$1\r\nb\r\n$1\r\n1\r\n+PONG\r\n");
    expect_integer(s, 1, "LLEN b");
    close(fd);
}

/* Waiters of different types share a key's name: each gets what it waits for, longest waiting first. */
Test(fairness, waiters_of_different_types_on_one_key)
{
    struct server *s = server_start(OURS, "%s", "");
    static const char *const requests[] = {"BLPOP k 0\r\n", "BZPOPMIN k 0\r\n", "XREAD BLOCK 0 STREAMS k 0\r\n",
                                           "BLPOP k 0\r\n", "BZPOPMIN k 0\r\n"};
    enum { COUNT = sizeof requests / sizeof *requests };
    int fds[COUNT];
    for (int i = 0; i < COUNT; i++) {
        fds[i] = raw_connect(s);
        raw_send_text(fds[i], requests[i]);
        wait_until(info_number(s, "clients", "blocked_clients") == i + 1);
    }
    expect_integer(s, 1, "ZADD k 1 m");
    raw_expect(fds[1], "*3\r\n$1\r\nk\r\n$1\r\nm\r\n$1\r\n1\r\n");
    expect_integer(s, 1, "RPUSH k x");
    raw_expect(fds[0], "*2\r\n$1\r\nk\r\n$1\r\nx\r\n");
    expect_integer(s, 2, "ZADD k 1 m 2 n");
    raw_expect(fds[4], "*3\r\n$1\r\nk\r\n$1\r\nm\r\n$1\r\n1\r\n");
    expect_integer(s, 1, "DEL k");
    expect_string(s, "1-1", "XADD k 1-1 f v");
    raw_expect(fds[2], "*1\r\n*2\r\n$1\r\nk\r\n");
    expect_integer(s, 1, "DEL k");
    cr_assert_eq(info_number(s, "clients", "blocked_clients"), 1);
    expect_integer(s, 1, "RPUSH k y");
    raw_expect(fds[3], "*2\r\n$1\r\nk\r\n$1\r\ny\r\n");
    for (int i = 0; i < COUNT; i++) close(fds[i]);
}

static int64_t cpu_of_sets(struct server *s, int count)
{
    int64_t cpu_us = process_cpu_us(s->pid);
    for (int i = 0; i < count; i++) redisAppendCommand(connection(s), "SET key value");
    receive_all(s, count);
    return process_cpu_us(s->pid) - cpu_us;
}

static void *drain(void *arg)
{
    char part[65536];
    while (recv(*(int *)arg, part, sizeof part, 0) > 0) continue;
    return NULL;
}

/* What idle clients there are costs nobody anything. */
Test(fairness, idle_clients_cost_nothing)
{
    enum { IDLE = 4000, SPARE = 200, SETS = 40000 };
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < IDLE + SPARE) {
        limit.rlim_cur = IDLE + SPARE;
        if (limit.rlim_max < limit.rlim_cur) limit.rlim_max = limit.rlim_cur;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0) cr_skip_test("this user may not open 4,200 descriptors");
    }
    struct server *s = server_start(OURS, "maxclients %d", IDLE + 50);
    int monitor = raw_connect(s);
    pthread_t reader;
    raw_send_text(monitor, "MONITOR\r\n");
    raw_expect(monitor, "+OK\r\n");
    pthread_create(&reader, NULL, drain, &monitor);
    int64_t alone_us = cpu_of_sets(s, SETS);
    static int fds[IDLE];
    for (int i = 0; i < IDLE; i++) fds[i] = raw_connect(s);
    wait_until(info_number(s, "clients", "connected_clients") == IDLE + 2);
    int64_t among_us = cpu_of_sets(s, SETS);
    cr_assert_lt(among_us, 4 * alone_us + 100000, "%lld us, alone %lld", (long long)among_us, (long long)alone_us);
    shutdown(monitor, SHUT_RDWR);
    pthread_join(reader, NULL);
    close(monitor);
    for (int i = 0; i < IDLE; i++) close(fds[i]);
}

/* Given ids are looked up one by one: in their order, and as often as they are given. */
Test(fairness, clients_by_id_come_in_the_order_asked_for)
{
    struct server *servers[] = {server_start(OURS, "%s", ""), server_start(DEBIAN, "%s", "")};
    for (int i = 0; i < 2; i++) {
        struct server *s = servers[i], other = *s;
        other.client = NULL;
        long long mine = command_integer(s, "CLIENT ID"), its = command_integer(&other, "CLIENT ID");
        const char *lines = command_text(s, "CLIENT LIST ID %lld %lld 999999 %lld", its, mine, its);
        char wanted[3][32];
        snprintf(wanted[0], sizeof *wanted, "id=%lld ", its);
        snprintf(wanted[1], sizeof *wanted, "\nid=%lld ", mine);
        snprintf(wanted[2], sizeof *wanted, "\nid=%lld ", its);
        for (int n = 0; n < 3; n++) {
            lines = strstr(lines, wanted[n]);
            cr_assert_not_null(lines, "line %d", n);
            lines++;
        }
        expect_integer(s, 1, "CLIENT KILL ID %lld", its);
        expect_integer(s, 0, "CLIENT KILL ID %lld SKIPME yes", mine);
        redisFree(other.client);
    }
}

/* --- bytes that are no request --- */

/* The server has the bytes, and says nothing. */
static void expect_silence(struct server *s, const char *bytes, size_t len)
{
    char line[64];
    int fd = raw_connect(s);
    raw_send(fd, bytes, len);
    snprintf(line, sizeof line, " qbuf=%zu ", len);
    wait_until(strstr(command_text(s, "CLIENT LIST"), line) != NULL);
    char byte;
    cr_assert(recv(fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN, "it said '%c'", byte);
    close(fd);
}

Test(fairness, no_line_ends_behind_a_zero_byte)
{
    static const char line[] = "PING\0\r\n", later[] = "\0\r\nPING\r\n";
    struct server *servers[] = {server_start(OURS, "%s", ""), server_start(DEBIAN, "%s", "")};
    for (int i = 0; i < 2; i++) {
        expect_silence(servers[i], line, sizeof line - 1);
        expect_silence(servers[i], later, sizeof later - 1);
        int fd = raw_connect(servers[i]);
        raw_send(fd, "PING\r\nECHO \0x\r\nPING\r\n", 21);
        raw_expect(fd, "+PONG\r\n");
        char *endless = calloc(1, 70000);
        raw_send(fd, endless, 70000);
        raw_expect(fd, "-ERR Protocol error: too big inline request\r\n");
        free(endless);
        close(fd);
    }
}
