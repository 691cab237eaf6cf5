/* Bytes on the wire. What a real Redis answers to broken input is taken from one, in the same run. */
#include "tests/harness/client.h"
#include "tests/harness/raw.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

TestSuite(protocol, .fini = server_finish_all, .timeout = 180);

/* All that the server says to input, until one side closes. `step` bytes are sent at a time; 0: all at once. */
static char *said_to(const struct server *s, const char *input, size_t len, size_t step, size_t *said_len)
{
    int fd = raw_connect(s);
    for (size_t at = 0; at < len;) {
        size_t part = step && len - at > step ? step : len - at;
        raw_send(fd, input + at, part);
        at += part;
    }
    shutdown(fd, SHUT_WR);
    char *said = raw_read_to_end(fd, said_len);
    close(fd);
    return said;
}

struct input {
    const char *bytes;
    size_t len;
};
#define INPUT(text)                                                                                                    \
    {                                                                                                                  \
        text, sizeof(text) - 1                                                                                         \
    }

static void expect_same_answers(struct server *ours, struct server *theirs, const struct input *inputs, size_t count,
                                size_t step)
{
    for (size_t i = 0; i < count; i++) {
        size_t len, wanted_len;
        char *wanted = said_to(theirs, inputs[i].bytes, inputs[i].len, step, &wanted_len);
        char *said = said_to(ours, inputs[i].bytes, inputs[i].len, step, &len);
        cr_assert(len == wanted_len && memcmp(said, wanted, len) == 0,
                  "input %zu, %.60s: a real Redis says\n%.300s\nand this server\n%.300s", i, inputs[i].bytes, wanted,
                  said);
        free(wanted);
        free(said);
    }
}

static const struct input odd_inputs[] = {
    INPUT("PING\r\n"),
    INPUT("PING\n"),
    INPUT("  PING   hello  \r\n"),
    INPUT("\r\n\r\nPING\r\n"),
    INPUT("ping\r\nPiNg\r\n"),
    INPUT("SET \"a key\" 'it\\'s'\r\nGET \"a key\"\r\n"),
    INPUT("SET k \"\\x41\\n\\t\\\"\"\r\nGET k\r\n"),
    INPUT("SET \"unbalanced\r\n"),
    INPUT("SET 'unbalanced\r\n"),
    INPUT("SET \"a\"b c\r\n"),
    INPUT("nosuchcommand\r\nPING\r\n"),
    INPUT("nosuchcommand with arguments\r\nPING\r\n"),
    INPUT("*3\r\n$4\r\nno\r\n\r\n$2\r\na\n\r\n$1\r\nb\r\nPING\r\n"),
    INPUT("GET\r\nGET a b\r\nPING\r\n"),
    INPUT("CONFIG\r\nCONFIG nosuch\r\nCLIENT nosuch a\r\n"),
    INPUT("*0\r\nPING\r\n"),
    INPUT("*-1\r\nPING\r\n"),
    INPUT("*-10\r\nPING\r\n"),
    INPUT("*1\r\n$4\r\nPING\r\n"),
    INPUT("*1\r\n$4\r\nPINGxxPING\r\n"),
    INPUT("*abc\r\n"),
    INPUT("*\r\n"),
    INPUT("*1 \r\n$4\r\nPING\r\n"),
    INPUT("*01\r\n$4\r\nPING\r\n"),
    INPUT("*+1\r\n$4\r\nPING\r\n"),
    INPUT("*2147483648\r\n"),
    INPUT("*99999999999999999999\r\n"),
    INPUT("*1\r\nPING\r\n"),
    INPUT("*1\r\n:4\r\n"),
    INPUT("*1\r\n\r\n"),
    INPUT("*1\r\n$\r\n"),
    INPUT("*1\r\n$abc\r\n"),
    INPUT("*1\r\n$-1\r\n"),
    INPUT("*1\r\n$04\r\nPING\r\n"),
    INPUT("*1\r\n$536870913\r\n"),
    INPUT("*1\r\n$99999999999999999999\r\n"),
    INPUT("*1\r\n$0\r\n\r\nPING\r\n"),
    INPUT("*2\r\n$3\r\nGET\r\n$3\r\nke"),
    INPUT("*2\r\n$3\r\nGET\r\n"),
    INPUT("PING\r\n*1\r\n$4\r\nPING\r\nPING\r\n"),
    INPUT("*1\r\n$4\r\nPING\r\n*oops\r\n*1\r\n$4\r\nPING\r\n"),
    INPUT("*3\r\n$3\r\nSET\r\n$3\r\na\0b\r\n$3\r\n\r\n\0\r\n*2\r\n$3\r\nGET\r\n$3\r\na\0b\r\n"),
    INPUT("POST / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    INPUT("Host: localhost\r\nPING\r\n"),
    INPUT("HELLO 4\r\nHELLO abc\r\nHELLO 3 nosuch\r\nPING\r\n"),
    INPUT("QUIT\r\nPING\r\n"),
    INPUT("MULTI\r\nnosuch\r\nEXEC\r\nPING\r\n"),
    INPUT("MULTI\r\nSET x 1\r\nINCR x\r\nEXEC\r\nEXEC\r\nDISCARD\r\n"),
    INPUT("SUBSCRIBE a\r\nGET x\r\nPING\r\nUNSUBSCRIBE\r\nPING\r\n"),
    INPUT("CLIENT REPLY OFF\r\nPING\r\nCLIENT REPLY ON\r\nPING\r\nCLIENT REPLY SKIP\r\nPING\r\nPING\r\n"),
};

Test(protocol, odd_input_is_answered_as_redis_does)
{
    struct server *ours = server_start(OURS, "%s", ""), *theirs = server_start(DEBIAN, "%s", "");
    expect_same_answers(ours, theirs, odd_inputs, sizeof odd_inputs / sizeof *odd_inputs, 0);
}

Test(protocol, odd_input_byte_by_byte)
{
    struct server *ours = server_start(OURS, "%s", ""), *theirs = server_start(DEBIAN, "%s", "");
    expect_same_answers(ours, theirs, odd_inputs, sizeof odd_inputs / sizeof *odd_inputs, 1);
}

Test(protocol, endless_lines_are_refused)
{
    struct server *ours = server_start(OURS, "%s", ""), *theirs = server_start(DEBIAN, "%s", "");
    enum { LEN = 70000 };
    static char lines[4][LEN];
    static const char *const starts[] = {"", "*", "*1\r\n$", "*2\r\n$3\r\nGET\r\n$"};
    struct input inputs[4];
    for (int i = 0; i < 4; i++) {
        memset(lines[i], '1', LEN);
        memcpy(lines[i], starts[i], strlen(starts[i]));
        inputs[i] = (struct input){lines[i], LEN};
    }
    expect_same_answers(ours, theirs, inputs, 4, 0);
}

Test(protocol, strangers_may_send_little)
{
    struct server *ours = server_start(OURS, "requirepass secret"),
                  *theirs = server_start(DEBIAN, "requirepass secret");
    static const struct input inputs[] = {
        INPUT("*10\r\n"),
        INPUT("*11\r\n"),
        INPUT("*1\r\n$16385\r\n"),
        INPUT("GET a\r\nAUTH wrong\r\nAUTH secret\r\nGET a\r\n"),
        INPUT("HELLO 2 AUTH default wrong\r\n"),
        INPUT("PING\r\nQUIT\r\n"),
    };
    expect_same_answers(ours, theirs, inputs, sizeof inputs / sizeof *inputs, 0);
}

Test(protocol, limits_can_be_set)
{
    const char *limits = "proto-max-bulk-len 1mb\nclient-query-buffer-limit 1mb";
    struct server *ours = server_start(OURS, "%s", limits), *theirs = server_start(DEBIAN, "%s", limits);
    static const struct input inputs[] = {
        INPUT("*1\r\n$1048577\r\n"),
        INPUT("*2\r\n$4\r\nECHO\r\n$1048577\r\n"),
    };
    expect_same_answers(ours, theirs, inputs, sizeof inputs / sizeof *inputs, 0);
    expect_ok(ours, "CONFIG SET proto-max-bulk-len 2mb");
    int fd = raw_connect(ours);
    raw_send_text(fd, "*2\r\n$4\r\nECHO\r\n$2097153\r\n");
    raw_expect(fd, "-ERR Protocol error: invalid bulk length\r\n");
    close(fd);
}

Test(protocol, resp3)
{
    struct server *s = server_start(OURS, "%s", "");
    int fd = raw_connect(s);
    raw_send_text(fd, "HELLO 3\r\n");
    raw_expect(fd, "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n");
    close(fd);
    fd = raw_connect(s);
    raw_send_text(fd, "CLIENT REPLY SKIP\r\nHELLO 3\r\nGET nothing\r\n");
    raw_expect(fd, "_\r\n");
    raw_send_text(fd, "SUBSCRIBE news\r\n");
    raw_expect(fd, ">3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n");
    raw_send_text(fd, "ECHO still\r\n");
    raw_expect(fd, "$5\r\nstill\r\n");
    close(fd);
}

Test(protocol, pipelines_answer_in_order)
{
    struct server *s = server_start(OURS, "%s", "");
    enum { COUNT = 100000 };
    for (int i = 0; i < COUNT; i++) {
        if (i % 3 == 0) redisAppendCommand(connection(s), "SET key:%d %d", i, i);
        if (i % 3 == 1) redisAppendCommand(connection(s), "GET key:%d", i - 1);
        if (i % 3 == 2) redisAppendCommand(connection(s), "ECHO %d", i);
    }
    for (int i = 0; i < COUNT; i++) {
        redisReply *r = receive(s);
        if (i % 3 == 0) cr_assert_str_eq(r->str, "OK");
        if (i % 3 == 1) cr_assert_eq(atoi(r->str), i - 1);
        if (i % 3 == 2) cr_assert_eq(atoi(r->str), i);
        freeReplyObject(r);
    }
}

/* Requests of one client, pipelined: SETs of some length, and at last an ECHO of the client's number. */
static void send_pipeline(int fd, int number, int commands)
{
    static char input[64 * 1024], value[200];
    size_t len = 0;
    memset(value, 'x', sizeof value - 1);
    for (int i = 0; i < commands; i++)
        len += (size_t)sprintf(input + len, "*3\r\n$3\r\nSET\r\n$9\r\nkey:%02d:%02d\r\n$199\r\n%s\r\n", number % 100,
                               i % 100, value);
    len += (size_t)sprintf(input + len, "*2\r\n$4\r\nECHO\r\n$4\r\nno%02d\r\n", number % 100);
    raw_send(fd, input, len);
}

static void expect_pipeline(int fd, int number, int commands)
{
    char last[32];
    for (int i = 0; i < commands; i++) raw_expect(fd, "+OK\r\n");
    snprintf(last, sizeof last, "$4\r\nno%02d\r\n", number % 100);
    raw_expect(fd, last);
}

static int own_port(int fd)
{
    struct sockaddr_in address;
    socklen_t len = sizeof address;
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    return ntohs(address.sin_port);
}

/* Input that waits for its turn is read ahead: it must not matter what happens to its client meanwhile. */
Test(protocol, inputs_that_arrive_together)
{
    enum { CLIENTS = 20, ROUNDS = 5 };
    struct server *s = server_start(OURS, "%s", "");
    int fds[CLIENTS], sleeper = raw_connect(s), halves = raw_connect(s);
    for (int i = 0; i < CLIENTS; i++) fds[i] = raw_connect(s);
    for (int round = 0; round < ROUNDS; round++) {
        int victim = raw_connect(s), broken = raw_connect(s);
        raw_send_text(victim, "PING\r\n"); /* a connection that waits to be accepted is nobody's to kill */
        raw_expect(victim, "+PONG\r\n");
        char kill[64];
        snprintf(kill, sizeof kill, "CLIENT KILL 127.0.0.1:%d\r\n", own_port(victim));
        raw_send_text(sleeper, "DEBUG SLEEP 0.3\r\n"); /* all that follows finds the server busy */
        raw_send_text(fds[0], kill);
        for (int i = 1; i < CLIENTS; i++) send_pipeline(fds[i], i, i % 4 == 3 ? 200 : i);
        send_pipeline(victim, 99, 20);
        raw_send_text(broken, "PING\r\n*1\r\n$x\r\n");
        raw_send_text(halves, "*2\r\n$4\r\nECHO\r\n$10\r\nhello");
        raw_expect(sleeper, "+OK\r\n");
        raw_send_text(halves, "world\r\n");
        raw_expect(halves, "$10\r\nhelloworld\r\n");
        raw_expect(fds[0], "+OK\r\n");
        for (int i = 1; i < CLIENTS; i++) expect_pipeline(fds[i], i, i % 4 == 3 ? 200 : i);
        size_t len;
        char *said = raw_read_to_end(broken, &len);
        cr_assert_str_eq(said, "+PONG\r\n-ERR Protocol error: invalid bulk length\r\n");
        free(said);
        /* Who came first, the killer or the victim's own input, is nobody's word. */
        free(raw_read_to_end(victim, &len));
        close(victim), close(broken);
    }
    wait_until(info_number(s, "clients", "connected_clients") == CLIENTS + 3);
    for (int i = 0; i < CLIENTS; i++) close(fds[i]);
    close(sleeper), close(halves);
}

Test(protocol, big_values)
{
    struct server *s = server_start(OURS, "%s", "");
    enum { BYTES = 40 << 20 };
    char *value = malloc(BYTES);
    for (int i = 0; i < BYTES; i++) value[i] = (char)(i * 7 + (i >> 12));
    redisReply *r = command(s, "SET big %b", value, (size_t)BYTES);
    cr_assert_str_eq(r->str, "OK");
    freeReplyObject(r);
    expect_integer(s, BYTES, "STRLEN big");
    for (int i = 0; i < 3; i++) redisAppendCommand(connection(s), "GET big");
    for (int i = 0; i < 3; i++) {
        r = receive(s);
        cr_assert(r->type == REDIS_REPLY_STRING && r->len == BYTES && memcmp(r->str, value, BYTES) == 0);
        freeReplyObject(r);
    }
    free(value);
}

Test(protocol, a_slow_reader_gets_everything)
{
    struct server *s = server_start(OURS, "%s", "");
    fill(s, "key", 1, 1 << 20);
    int fd = raw_connect(s), small = 65536;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    for (int i = 0; i < 20; i++) raw_send_text(fd, "GET key0\r\n");
    raw_send_text(fd, "QUIT\r\n");
    wait_until(info_number(s, "stats", "total_net_input_bytes") > 200);
    expect_status(s, "PONG", "PING");
    size_t len;
    char *said = raw_read_to_end(fd, &len);
    cr_assert_eq(len, 20 * (strlen("$1048576\r\n") + (1 << 20) + 2) + strlen("+OK\r\n"));
    free(said);
    close(fd);
}

Test(protocol, ten_thousand_connections)
{
    enum { COUNT = 10000, SPARE = 200 };
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < COUNT + SPARE) {
        limit.rlim_cur = COUNT + SPARE;
        if (limit.rlim_max < limit.rlim_cur) limit.rlim_max = limit.rlim_cur;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0) cr_skip_test("this user may not open 10,200 descriptors");
    }
    struct server *s = server_start(OURS, "maxclients %d", COUNT + 50);
    static int fds[COUNT];
    for (int i = 0; i < COUNT; i++) fds[i] = raw_connect(s);
    wait_until(info_number(s, "clients", "connected_clients") == COUNT + 1);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < COUNT; i++) raw_send_text(fds[i], "INCR hits\r\n");
        char reply[32];
        for (int i = 0; i < COUNT; i++) {
            struct pollfd entry = {.fd = fds[i], .events = POLLIN};
            cr_assert_eq(poll(&entry, 1, PATIENCE_MS), 1);
            cr_assert_gt(recv(fds[i], reply, sizeof reply, 0), 0);
        }
    }
    expect_string(s, "30000", "GET hits");
    for (int i = 0; i < COUNT; i++) close(fds[i]);
    wait_until(info_number(s, "clients", "connected_clients") == 1);
}
