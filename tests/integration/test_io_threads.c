/* I/O threads: what holds of one connection and of many holds when threads read and send for them. They are told to
 * work without load, too, but where it is tried whether load wakes them. */
#include "tests/harness/certificates.h"
#include "tests/harness/client.h"
#include "tests/harness/port.h"
#include "tests/harness/raw.h"
#include "tests/harness/replication.h"
#include "tests/harness/tls_client.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

TestSuite(io_threads, .fini = server_finish_all, .timeout = 180);

#define KIBIBYTE 1024LL
#define MEBIBYTE (1024 * KIBIBYTE)

static struct server *start_threaded(const char *config)
{
    setenv("SLIPSTREAM_IO_THREADS", "3:always", 1);
    return server_start(OURS, "%s", config);
}

/* A connection that a thread has: it has been answered by one. */
static int connect_lent(struct server *s)
{
    int fd = raw_connect(s);
    for (int i = 0; i < 2; i++) {
        raw_send_text(fd, "PING\r\n");
        raw_expect(fd, "+PONG\r\n");
    }
    return fd;
}

static long long threaded_reads(struct server *s)
{
    return info_number(s, "stats", "io_threaded_reads_processed");
}

/* --- many at once --- */

struct talker {
    const struct server *server;
    pthread_t thread;
    unsigned number, rounds;
    const char *fault; /* NULL: none */
};

/* A pipeline of requests whose answers say to which they belong. */
static const char *talk(redisContext *c, unsigned number, unsigned round)
{
    enum { REQUESTS = 40 };
    static const int bytes[] = {0, 1, 100, 5000, 70000};
    char *value = malloc(70000);
    const char *fault = NULL;
    memset(value, 'a' + (int)(number % 26), 70000);
    int len = bytes[round % 5];
    for (int i = 0; i < REQUESTS; i++) {
        redisAppendCommand(c, "INCR counter:%u", number);
        redisAppendCommand(c, "SET value:%u:%d %b", number, i, value, (size_t)len);
        redisAppendCommand(c, "GET value:%u:%d", number, i);
    }
    for (int i = 0; i < REQUESTS && !fault; i++) {
        redisReply *count = NULL, *set = NULL, *got = NULL;
        if (redisGetReply(c, (void **)&count) || redisGetReply(c, (void **)&set) || redisGetReply(c, (void **)&got))
            fault = "the connection has broken";
        else if (count->integer != (long long)round * REQUESTS + i + 1)
            fault = "an answer is another request's";
        else if ((int)got->len != len || memcmp(got->str, value, (size_t)len) != 0)
            fault = "a value has changed on its way";
        if (count) freeReplyObject(count);
        if (set) freeReplyObject(set);
        if (got) freeReplyObject(got);
    }
    free(value);
    return fault;
}

/* Half of the rounds on connections of their own. */
static void *talk_on(void *arg)
{
    struct talker *t = arg;
    redisContext *c = NULL;
    for (unsigned round = 0; round < t->rounds && !t->fault; round++) {
        if (!c) c = server_connect(t->server);
        t->fault = talk(c, t->number, round);
        if (round % 2) {
            redisFree(c);
            c = NULL;
        }
    }
    if (c) redisFree(c);
    return NULL;
}

static void talk_all(const struct server *s, struct talker *talkers, unsigned count, unsigned rounds)
{
    for (unsigned i = 0; i < count; i++) {
        talkers[i] = (struct talker){.server = s, .number = i, .rounds = rounds};
        cr_assert_eq(pthread_create(&talkers[i].thread, NULL, talk_on, &talkers[i]), 0);
    }
    for (unsigned i = 0; i < count; i++) pthread_join(talkers[i].thread, NULL);
    for (unsigned i = 0; i < count; i++) cr_assert_null(talkers[i].fault, "%s", talkers[i].fault);
}

Test(io_threads, answers_come_whole_and_in_order)
{
    struct server *s = start_threaded("");
    struct talker talkers[12];
    talk_all(s, talkers, 12, 12);
    cr_assert_gt(threaded_reads(s), 12);
    cr_assert(info_is(s, "server", "io_threads_active", "1"));
    cr_assert_gt(info_number(s, "stats", "io_threaded_writes_processed"), 12);
}

/* Snapshots fork a server that has threads, and the answers of a turn wait for an fsync. */
Test(io_threads, answers_wait_for_the_disk_and_children_come_and_go)
{
    struct server *s = start_threaded("appendonly yes\nappendfsync always\n");
    struct talker talkers[4];
    expect_status(s, "Background saving started", "BGSAVE");
    talk_all(s, talkers, 4, 5);
    wait_until(info_is(s, "persistence", "rdb_bgsave_in_progress", "0"));
    cr_assert(info_is(s, "persistence", "rdb_last_bgsave_status", "ok"));
    server_kill(s);
    server_restart(s);
    wait_until(info_is(s, "persistence", "loading", "0"));
    for (int i = 0; i < 4; i++) expect_string(s, "200", "GET counter:%d", i);
}

static bool thread_has(struct server *s, int thread, int clients, long long reads)
{
    char name[32];
    int has_clients = -1;
    long long has_reads = -1;
    redisReply *info = command(s, "INFO threads");
    snprintf(name, sizeof name, "io_thread_%d:", thread);
    const char *line = strstr(info->str, name);
    if (line) sscanf(line + strlen(name), "clients=%d,reads=%lld,", &has_clients, &has_reads);
    freeReplyObject(info);
    return has_clients >= clients && has_reads >= reads;
}

static int processors(void)
{
    cpu_set_t mine;
    cr_assert_eq(sched_getaffinity(0, sizeof mine, &mine), 0);
    return CPU_COUNT(&mine);
}

Test(io_threads, connections_are_spread_and_each_threads_work_is_told)
{
    if (processors() < 2) cr_skip_test("one processor, one thread that is used");
    int fds[20];
    struct server *s = start_threaded("");
    for (int i = 0; i < 20; i++) fds[i] = connect_lent(s);
    wait_until(thread_has(s, 1, 10, 5) && thread_has(s, 2, 10, 5));
    wait_until(thread_has(s, 0, 0, 20)); /* each has been heard once before */
    cr_assert_not(thread_has(s, 0, 2, 0), "all but who asks are lent");
    cr_assert_not(thread_has(s, 3, 0, 0));
    expect_ok(s, "CONFIG RESETSTAT");
    cr_assert_lt(threaded_reads(s), 5);
    for (int i = 0; i < 20; i++) close(fds[i]);
}

/* --- load --- */

struct load {
    const struct server *server;
    pthread_t thread;
    _Atomic bool ends;
};

/* A request costs the server far more than the speaker: it is busy however fast these are. */
static void *speak(void *arg)
{
    struct load *l = arg;
    redisContext *c = server_connect(l->server);
    while (!l->ends) {
        redisReply *r = redisCommand(c, "BITCOUNT large");
        if (!r) return "the connection has broken";
        freeReplyObject(r);
    }
    redisFree(c);
    return NULL;
}

enum { SPEAKERS = 8 };

static void begin_load(struct server *s, struct load *speakers)
{
    expect_integer(s, 1000001, "SETRANGE large 1000000 x");
    for (int i = 0; i < SPEAKERS; i++) {
        speakers[i] = (struct load){.server = s};
        cr_assert_eq(pthread_create(&speakers[i].thread, NULL, speak, &speakers[i]), 0);
    }
}

static void end_load(struct load *speakers)
{
    for (int i = 0; i < SPEAKERS; i++) speakers[i].ends = true;
    for (int i = 0; i < SPEAKERS; i++) {
        void *fault;
        pthread_join(speakers[i].thread, &fault);
        cr_assert_null(fault);
    }
}

Test(io_threads, load_wakes_them_and_rest_lets_them_sleep)
{
    struct load speakers[SPEAKERS];
    unsetenv("SLIPSTREAM_IO_THREADS");
    struct server *s = server_start(OURS, "io-threads 3\n");
    for (int i = 0; i < 100; i++) expect_ok(s, "SET a b");
    cr_assert_eq(threaded_reads(s), 0, "one client has no need of threads");
    begin_load(s, speakers);
    wait_until(info_is(s, "server", "io_threads_active", "1"));
    wait_until(threaded_reads(s) > 0);
    end_load(speakers);
    wait_until(info_is(s, "server", "io_threads_active", "0"));
    expect_ok(s, "SET a b"); /* calls its connection home, if it has been lent */
    expect_ok(s, "SET a b");
    long long before = threaded_reads(s);
    for (int i = 0; i < 100; i++) expect_string(s, "b", "GET a");
    cr_assert_leq(threaded_reads(s), before + 1);
}

/* The first of those on which this process may run. */
static int own_processor(void)
{
    cpu_set_t mine;
    int first = 0;
    cr_assert_eq(sched_getaffinity(0, sizeof mine, &mine), 0);
    while (!CPU_ISSET(first, &mine)) first++;
    return first;
}

Test(io_threads, no_more_are_used_than_there_are_processors)
{
    int fds[6];
    setenv("SLIPSTREAM_IO_THREADS", "4:always", 1);
    struct server *s = server_start(OURS, "server_cpulist %d\n", own_processor());
    cr_assert(server_log_has(s, 0, "Connections go to 1 of the 3 I/O threads"));
    for (int i = 0; i < 6; i++) fds[i] = connect_lent(s);
    wait_until(thread_has(s, 1, 6, 6));
    cr_assert(thread_has(s, 3, 0, 0), "it is there");
    cr_assert_not(thread_has(s, 2, 1, 0) || thread_has(s, 2, 0, 1), "the second one has nothing");
    cr_assert_not(thread_has(s, 3, 1, 0) || thread_has(s, 3, 0, 1), "nor has the third");
    for (int i = 0; i < 6; i++) close(fds[i]);
}

Test(io_threads, one_is_none)
{
    unsetenv("SLIPSTREAM_IO_THREADS");
    struct server *s = server_start(OURS, "io-threads 1\n");
    for (int i = 0; i < 10; i++) expect_ok(s, "SET a b");
    cr_assert(info_is(s, "server", "io_threads_active", "0"));
    cr_assert_eq(threaded_reads(s), 0);
}

/* --- the end of a connection --- */

Test(io_threads, who_has_shut_down_his_side_gets_all_of_his_answers)
{
    struct server *s = start_threaded("");
    for (int round = 0; round < 20; round++) {
        int fd = connect_lent(s);
        for (int i = 0; i < 10; i++) raw_send_text(fd, "ECHO word\r\n");
        shutdown(fd, SHUT_WR);
        size_t len;
        char *text = raw_read_to_end(fd, &len);
        cr_assert_eq(len, 10 * strlen("$4\r\nword\r\n"), "%.*s", (int)len, text);
        free(text);
        close(fd);
    }
}

Test(io_threads, quit_is_answered_before_the_end)
{
    struct server *s = start_threaded("");
    int fd = connect_lent(s);
    size_t len;
    raw_send_text(fd, "ECHO word\r\nQUIT\r\n");
    char *text = raw_read_to_end(fd, &len);
    cr_assert_eq(len, strlen("$4\r\nword\r\n+OK\r\n"));
    cr_assert_eq(memcmp(text, "$4\r\nword\r\n+OK\r\n", len), 0);
    free(text);
    close(fd);
}

Test(io_threads, killed_clients_are_gone)
{
    enum { CLIENTS = 20 };
    int fds[CLIENTS];
    struct server *s = start_threaded("");
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = connect_lent(s);
        /* Some of them are in the middle of something. */
        if (i % 3 == 0) raw_send_text(fds[i], "BLPOP nowhere 0\r\n");
        if (i % 3 == 1) raw_send_text(fds[i], "*2\r\n$4\r\nECHO\r\n$100000\r\nbeginning");
    }
    expect_integer(s, CLIENTS, "CLIENT KILL TYPE normal SKIPME yes");
    for (int i = 0; i < CLIENTS; i++) {
        wait_until(raw_is_closed(fds[i]));
        close(fds[i]);
    }
    wait_until(info_is(s, "clients", "connected_clients", "1"));
}

Test(io_threads, vanished_clients_are_noticed)
{
    struct server *s = start_threaded("");
    for (int i = 0; i < 50; i++) {
        int fd = connect_lent(s);
        struct linger reset = {.l_onoff = 1};
        raw_send_text(fd, "BLPOP nowhere 0\r\n");
        if (i % 2) setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close(fd);
    }
    wait_until(info_is(s, "clients", "connected_clients", "1"));
}

Test(io_threads, the_answer_to_shutdowns_predecessor_leaves)
{
    struct server *s = start_threaded("");
    int fd = connect_lent(s);
    size_t len;
    raw_send_text(fd, "ECHO word\r\nSHUTDOWN NOSAVE\r\n");
    char *text = raw_read_to_end(fd, &len);
    cr_assert_eq(len, strlen("$4\r\nword\r\n"), "%.*s", (int)len, text);
    free(text);
    server_wait_end(s);
}

/* --- limits --- */

static int connect_narrow_lent(struct server *s)
{
    int fd = connect_lent(s), bytes = 4096;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    return fd;
}

Test(io_threads, who_does_not_read_is_closed_at_his_limit)
{
    struct server *s = start_threaded("client-output-buffer-limit normal 1mb 0 0\n");
    char value[100000];
    memset(value, 'x', sizeof value);
    expect_ok(s, "SET large %b", value, sizeof value);
    int fd = connect_narrow_lent(s);
    for (int i = 0; i < 300; i++) raw_send_text(fd, "GET large\r\n");
    wait_until(info_number(s, "stats", "client_output_buffer_limit_disconnections") == 1);
    wait_until(info_is(s, "clients", "connected_clients", "1"));
    cr_assert_lt(info_number(s, "memory", "used_memory"), 20 * MEBIBYTE);
    close(fd);
}

/* A request of many words takes 16 bytes a word while it is parsed, in whichever batch it is: they end with it. */
static void expect_no_trace_of_long_requests(struct server *s)
{
    enum { CLIENTS = 8, WORDS = 100000 };
    int fds[CLIENTS];
    size_t len = 0, size = 64 + WORDS * strlen("$1\r\na\r\n");
    char *request = malloc(size);
    len += (size_t)snprintf(request, size, "*%d\r\n$6\r\nEXISTS\r\n", WORDS + 1);
    for (int i = 0; i < WORDS; i++) len += (size_t)snprintf(request + len, size - len, "$1\r\na\r\n");
    for (int i = 0; i < CLIENTS; i++) fds[i] = connect_lent(s);
    long long before = info_number(s, "memory", "used_memory");
    for (int i = 0; i < CLIENTS; i++) raw_send(fds[i], request, len);
    for (int i = 0; i < CLIENTS; i++) raw_expect(fds[i], ":0\r\n");
    for (int i = 0; i < CLIENTS; i++) close(fds[i]);
    wait_until(info_number(s, "memory", "used_memory") < before + MEBIBYTE);
    free(request);
}

Test(io_threads, long_requests_leave_no_memory)
{
    expect_no_trace_of_long_requests(start_threaded(""));
}

Test(io_threads, nor_do_they_without_threads)
{
    unsetenv("SLIPSTREAM_IO_THREADS");
    expect_no_trace_of_long_requests(server_start(OURS, "%s", ""));
}

struct client_bytes {
    long long output, total;
};

static struct client_bytes bytes_of(struct server *s, const char *name)
{
    char mark[64];
    snprintf(mark, sizeof mark, " name=%s ", name);
    struct client_bytes bytes = {-1, -1};
    const char *list = command_text(s, "CLIENT LIST"), *line = strstr(list, mark);
    const char *output = line ? strstr(line, " omem=") : NULL;
    if (output) sscanf(output, " omem=%lld tot-mem=%lld", &bytes.output, &bytes.total);
    return bytes;
}

static long long omem_of(struct server *s, const char *name)
{
    return bytes_of(s, name).output;
}

/* ... wherever it is, and no longer than it has not left. */
Test(io_threads, what_waits_for_a_client_is_told)
{
    enum { ANSWERS = 200, BYTES = 100000 };
    struct server *s = start_threaded("");
    char value[BYTES], *text = malloc(ANSWERS * (BYTES + 20));
    memset(value, 'x', sizeof value);
    expect_ok(s, "SET large %b", value, sizeof value);
    int fd = connect_lent(s);
    raw_send_text(fd, "CLIENT SETNAME slow\r\n");
    raw_expect(fd, "+OK\r\n");
    cr_assert_eq(omem_of(s, "slow"), 0);
    for (int i = 0; i < ANSWERS; i++) raw_send_text(fd, "GET large\r\n");
    wait_until(omem_of(s, "slow") > ANSWERS * BYTES / 4);
    cr_assert_lt(omem_of(s, "slow"), ANSWERS * BYTES * 3 / 2);
    size_t len = ANSWERS * (strlen("$100000\r\n") + BYTES + 2);
    cr_assert_eq(recv(fd, text, len, MSG_WAITALL), (ssize_t)len);
    wait_until(omem_of(s, "slow") == 0);
    free(text);
    close(fd);
}

/* What it is owed is more than a thread takes, and hardly more than the limit. */
static bool is_gone_when_slowly_filled(struct server *s, const char *name, long long limit_bytes, long long *most)
{
    static const char message[] = "a message of some length, of which many fit into the room that a queue has already "
                                  "when it takes the next one, and a few more words, for it not to take all day long";
    char large[10000];
    struct client_bytes bytes;
    memset(large, 'm', sizeof large - 1);
    large[sizeof large - 1] = 0;
    while ((bytes = bytes_of(s, name)).output >= 0 && bytes.output <= limit_bytes)
        freeReplyObject(command(s, "PUBLISH news %s", large));
    if (bytes.output < 0) return true;
    cr_assert_lt(bytes.total, bytes.output + 64 * KIBIBYTE, "what the thread has is told once");
    if (bytes.output > *most) *most = bytes.output;
    freeReplyObject(command(s, "PUBLISH news %s", message));
    return false;
}

Test(io_threads, a_soft_limit_holds_while_more_is_written)
{
    const long long limit_bytes = 400 * KIBIBYTE;
    struct server *s = start_threaded("client-output-buffer-limit pubsub 0 400kb 1\nhz 50\n");
    int fd = connect_narrow_lent(s);
    long long most = 0;
    raw_send_text(fd, "CLIENT SETNAME deaf\r\nSUBSCRIBE news\r\n");
    raw_skip_past(fd, ":1\r\n");
    wait_until(is_gone_when_slowly_filled(s, "deaf", limit_bytes, &most));
    cr_assert_lt(most, limit_bytes + 200 * KIBIBYTE, "its time began again with what was written: %lld", most);
    cr_assert_eq(info_number(s, "stats", "client_output_buffer_limit_disconnections"), 1);
    close(fd);
}

/* Below the limit he finds everything when he begins to read. */
Test(io_threads, who_reads_late_gets_all)
{
    enum { ANSWERS = 200, BYTES = 100000 };
    struct server *s = start_threaded("");
    char *value = malloc(BYTES);
    memset(value, 'x', BYTES);
    expect_ok(s, "SET large %b", value, (size_t)BYTES);
    int fd = connect_lent(s);
    for (int i = 0; i < ANSWERS; i++) raw_send_text(fd, "GET large\r\n");
    wait_until(info_number(s, "stats", "total_commands_processed") >= ANSWERS);
    raw_send_text(fd, "QUIT\r\n");
    size_t len;
    char *text = raw_read_to_end(fd, &len);
    cr_assert_eq(len, (size_t)ANSWERS * (strlen("$100000\r\n") + BYTES + 2) + strlen("+OK\r\n"), "%zu", len);
    free(text);
    free(value);
    close(fd);
}

Test(io_threads, a_waiting_client_that_writes_on_is_closed_at_his_limit)
{
    struct server *s = start_threaded("client-query-buffer-limit 2mb\n");
    int fd = connect_lent(s);
    char block[65536];
    memset(block, '\n', sizeof block);
    raw_send_text(fd, "BLPOP nowhere 0\r\n");
    for (int i = 0; i < 100; i++) raw_send(fd, block, sizeof block);
    wait_until(info_number(s, "stats", "client_query_buffer_limit_disconnections") == 1);
    close(fd);
}

/* --- clients among each other --- */

Test(io_threads, subscribers_monitors_and_trackers_hear_without_asking)
{
    struct server *s = start_threaded("");
    int subscriber = connect_lent(s), monitor = connect_lent(s), tracker = connect_lent(s);
    raw_send_text(subscriber, "SUBSCRIBE news\r\n");
    raw_skip_past(subscriber, ":1\r\n");
    raw_send_text(monitor, "MONITOR\r\n");
    raw_expect(monitor, "+OK\r\n");
    raw_send_text(tracker, "HELLO 3\r\nCLIENT TRACKING ON\r\nGET key\r\n");
    raw_skip_past(tracker, "+OK\r\n_\r\n");
    for (int i = 0; i < 100; i++) {
        expect_integer(s, 1, "PUBLISH news word%d", i);
        raw_skip_past(subscriber, "word");
        raw_skip_past(monitor, "\"PUBLISH\"");
    }
    expect_ok(s, "SET key value");
    raw_skip_past(tracker, "invalidate\r\n*1\r\n$3\r\nkey\r\n");
    raw_skip_past(monitor, "\"SET\" \"key\"");
    close(subscriber);
    close(monitor);
    close(tracker);
}

Test(io_threads, who_waits_is_served_in_his_turn)
{
    struct server *s = start_threaded("");
    int first = connect_lent(s), second = connect_lent(s);
    raw_send_text(first, "BLPOP list 0\r\nECHO behind\r\n");
    wait_until(info_is(s, "clients", "blocked_clients", "1"));
    raw_send_text(second, "BLPOP list 0\r\n");
    wait_until(info_is(s, "clients", "blocked_clients", "2"));
    expect_integer(s, 2, "RPUSH list one two");
    raw_expect(first, "*2\r\n$4\r\nlist\r\n$3\r\none\r\n$6\r\nbehind\r\n");
    raw_expect(second, "*2\r\n$4\r\nlist\r\n$3\r\ntwo\r\n");
    close(first);
    close(second);
}

Test(io_threads, a_pause_holds_and_lets_go)
{
    struct server *s = start_threaded("");
    int fd = connect_lent(s);
    expect_ok(s, "CLIENT PAUSE 100000 WRITE");
    raw_send_text(fd, "SET key value\r\nGET key\r\n");
    wait_until(info_is(s, "clients", "blocked_clients", "1"));
    expect_nil(s, "GET key");
    expect_ok(s, "CLIENT UNPAUSE");
    raw_expect(fd, "+OK\r\n$5\r\nvalue\r\n");
    close(fd);
}

/* Its socket leaves for the link process: the thread has it, and has to give it back. */
Test(io_threads, a_replica_that_spoke_before_is_handed_over)
{
    struct server *s = start_threaded("repl-diskless-sync no\n");
    int fd = connect_lent(s);
    raw_send_text(fd, "REPLCONF capa psync2\r\n");
    raw_expect(fd, "+OK\r\n");
    raw_send_text(fd, "PSYNC ? -1\r\n");
    raw_skip_past(fd, "+FULLRESYNC ");
    raw_skip_past(fd, "REDIS0");
    raw_send_text(fd, "REPLCONF ACK 0\r\n");
    expect_ok(s, "SET behind it");
    raw_skip_past(fd, "behind");
    close(fd);
}

/* --- strangers --- */

Test(io_threads, who_has_not_logged_in_is_not_lent)
{
    struct server *s = start_threaded("requirepass secret\n");
    expect_ok(s, "AUTH secret");
    int fd = raw_connect(s);
    for (int i = 0; i < 20; i++) {
        raw_send_text(fd, "PING\r\n");
        raw_expect(fd, "-NOAUTH Authentication required.\r\n");
    }
    raw_send_text(fd, "*11\r\n");
    raw_expect(fd, "-ERR Protocol error: unauthenticated multibulk length\r\n");
    wait_until(raw_is_closed(fd));
    close(fd);
    fd = raw_connect(s);
    raw_send_text(fd, "AUTH secret\r\n");
    raw_expect(fd, "+OK\r\n");
    for (int i = 0; i < 20; i++) {
        raw_send_text(fd, "*1\r\n$4\r\nPING\r\n");
        raw_expect(fd, "+PONG\r\n");
    }
    close(fd);
}

Test(io_threads, faults_of_the_protocol_have_the_same_words)
{
    struct server *s = start_threaded("");
    int fd = connect_lent(s);
    raw_send_text(fd, "*1\r\n$4\r\nPING\r\n*1\r\nPING\r\n");
    raw_expect(fd, "+PONG\r\n-ERR Protocol error: expected '$', got 'P'\r\n");
    wait_until(raw_is_closed(fd));
    close(fd);
}

/* In pieces, each of which ends somewhere in a request. */
Test(io_threads, requests_may_come_in_pieces)
{
    static const char text[] = "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalue\r\n*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n";
    struct server *s = start_threaded("");
    int fd = connect_lent(s);
    for (size_t cut = 1; cut < sizeof text - 1; cut++) {
        long long before = info_number(s, "stats", "total_net_input_bytes");
        raw_send(fd, text, cut);
        wait_until(info_number(s, "stats", "total_net_input_bytes") >= before + (long long)cut);
        raw_send(fd, text + cut, sizeof text - 1 - cut);
        raw_expect(fd, "+OK\r\n$5\r\nvalue\r\n");
    }
    close(fd);
}

/* --- TLS --- */

static char certificates[512];

static void make_certificates(void)
{
    snprintf(certificates, sizeof certificates, "%.200s/%.100s", harness_root(), harness_case());
    certificates_make(certificates);
}

static struct server *start_tls(int port, const char *more)
{
    return server_start(
        OURS, "tls-port %d\ntls-cert-file %s/server.crt\ntls-key-file %s/server.key\ntls-ca-cert-file %s/ca.crt\n%s",
        port, certificates, certificates, certificates, more);
}

static struct server *start_threaded_tls(int port)
{
    make_certificates();
    setenv("SLIPSTREAM_IO_THREADS", "3:always", 1);
    return start_tls(port, "");
}

static struct tls_client *connect_tls_lent(int port)
{
    struct tls_client *c =
        tls_connect(port, &(struct tls_client_options){.dir = certificates, .certificate = "client"});
    cr_assert(c);
    for (int i = 0; i < 3; i++) cr_assert(tls_client_asks(c, "PING\r\n", "+PONG\r\n"));
    return c;
}

Test(io_threads, tls_is_theirs_too)
{
    enum { BYTES = 300000 };
    int port = port_reserve();
    struct server *s = start_threaded_tls(port);
    char *request = malloc(BYTES + 100), *answer = malloc(BYTES + 100);
    struct tls_client *c = connect_tls_lent(port);
    long long before = threaded_reads(s);
    for (int i = 0; i < 20; i++) cr_assert(tls_client_asks(c, "ECHO word\r\nPING\r\n", "$4\r\nword\r\n+PONG\r\n"));
    cr_assert_geq(threaded_reads(s), before + 20);
    int head = sprintf(request, "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$%d\r\n", BYTES);
    memset(request + head, 'x', BYTES);
    strcpy(request + head + BYTES, "\r\n");
    cr_assert(tls_client_asks(c, request, "+OK\r\n"));
    head = sprintf(answer, "$%d\r\n", BYTES);
    memset(answer + head, 'x', BYTES);
    strcpy(answer + head + BYTES, "\r\n");
    size_t len = strlen(answer);
    for (int i = 0; i < 10; i++) {
        cr_assert(tls_client_send(c, "GET key\r\n", 9));
        cr_assert_eq(tls_client_read(c, request, len), len);
        cr_assert_eq(memcmp(request, answer, len), 0);
    }
    cr_assert(tls_client_end(c), "the end is told");
    tls_client_close(c);
    free(request);
    free(answer);
}

Test(io_threads, tls_connections_end_well)
{
    int port = port_reserve();
    struct server *s = start_threaded_tls(port);
    struct tls_client *quits = connect_tls_lent(port), *killed = connect_tls_lent(port),
                      *waits = connect_tls_lent(port);
    char none;
    cr_assert(tls_client_asks(quits, "QUIT\r\n", "+OK\r\n"));
    cr_assert(tls_client_end(quits), "it was cut off and not told");
    cr_assert(tls_client_asks(killed, "CLIENT SETNAME killed\r\n", "+OK\r\n"));
    tls_client_send(waits, "BLPOP list 0\r\n", 14);
    wait_until(info_is(s, "clients", "blocked_clients", "1"));
    expect_integer(s, 1, "RPUSH list one");
    cr_assert(tls_client_asks(waits, "", "*2\r\n$4\r\nlist\r\n$3\r\none\r\n"));
    expect_integer(s, 2, "CLIENT KILL TYPE normal SKIPME yes");
    cr_assert_eq(tls_client_read(killed, &none, 1), 0);
    tls_client_close(quits);
    tls_client_close(killed);
    tls_client_close(waits);
    wait_until(info_is(s, "clients", "connected_clients", "1"));
}

/* Threads that have nothing to do otherwise shake hands, and give back who has shaken them. */
Test(io_threads, tls_handshakes_are_theirs)
{
    int port = port_reserve();
    make_certificates();
    unsetenv("SLIPSTREAM_IO_THREADS");
    struct server *s = start_tls(port, "io-threads 2\ntls-auth-clients no\n");
    int silent = raw_try_connect("127.0.0.1", port), plain = raw_try_connect("127.0.0.1", port);
    wait_until(thread_has(s, 1, 2, 0));
    raw_send_text(plain, "PING\r\n");
    wait_until(info_number(s, "stats", "tls_handshakes_failed") == 1);
    wait_until(raw_is_closed(plain));
    struct tls_client *c = connect_tls_lent(port);
    cr_assert_eq(info_number(s, "stats", "tls_handshakes"), 1);
    close(silent);
    wait_until(info_number(s, "stats", "tls_handshakes_failed") == 2);
    wait_until(!thread_has(s, 1, 1, 0));
    cr_assert(tls_client_asks(c, "PING\r\n", "+PONG\r\n"));
    cr_assert(tls_client_end(c));
    tls_client_close(c);
    close(plain);
}

/* A thread encrypts for the link process, however little there is to do: more than waits anywhere at once,
 * and replies. */
Test(io_threads, a_replica_over_tls_is_theirs)
{
    int port = port_reserve();
    make_certificates();
    unsetenv("SLIPSTREAM_IO_THREADS");
    struct server *master = start_tls(port, "io-threads 2\ntls-replication yes\n");
    struct server *replica = start_tls(port_reserve(), "io-threads 2\ntls-replication yes\n");
    fill(master, "before:", 2000, 4000);
    follow_port(replica, port);
    wait_until(link_is_up(replica));
    wait_until(thread_has(master, 1, 1, 0));
    fill(master, "behind:", 2000, 4000);
    expect_integer(master, 1, "WAIT 1 30000");
    expect_same_data(replica, master);
    server_kill(replica);
    wait_until(!thread_has(master, 1, 1, 0));
    expect_ok(master, "SET key value");
}
