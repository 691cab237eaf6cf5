/* CLIENT LIST of a client whose request is still coming: as Debian's server shows it. */
#include "tests/harness/client.h"
#include "tests/harness/raw.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(client_list, .fini = server_finish_all, .timeout = 60);

/* A field of the line of the client "half"; -1: there is no such client. */
static long field(struct server *s, const char *name)
{
    redisReply *list = command(s, "CLIENT LIST");
    const char *line = strstr(list->str, " name=half "), *at = line ? strstr(line, name) : NULL;
    long value = at ? strtol(at + strlen(name), NULL, 10) : -1;
    freeReplyObject(list);
    return value;
}

/* What the list shows as input when it has come to so much; the connection is closed again. */
static void expect_input(struct server *s, const char *half, long shown)
{
    int fd = raw_connect(s);
    raw_send_text(fd, "CLIENT SETNAME half\r\n");
    raw_expect(fd, "+OK\r\n");
    raw_send_text(fd, half);
    wait_until(field(s, " qbuf=") == shown);
    close(fd);
    wait_until(field(s, " qbuf=") == -1);
}

static void shows_what_is_not_understood_yet(enum server_kind kind)
{
    struct server *s = server_start(kind, "%s", "");
    expect_input(s, "*", 1);
    expect_input(s, "*3\r\n$3\r\nSE", 2);
    expect_input(s, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100\r\nabc", 3);
    expect_input(s, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000000\r\nabcde", 5);
    expect_input(s, "SET k", 5);
    expect_input(s, "PING\r\n*2\r\n$4\r\nECHO\r\n$5\r\nhell", 4);
}

Test(client_list, input_is_what_no_argument_has_taken_yet)
{
    shows_what_is_not_understood_yet(OURS);
    shows_what_is_not_understood_yet(DEBIAN);
}

Test(client_list, arguments_that_are_there_count_as_such)
{
    struct server *s = server_start(OURS, "%s", "");
    char *half = malloc(70000);
    int len = snprintf(half, 64, "*3\r\n$3\r\nSET\r\n$50000\r\n");
    memset(half + len, 'k', 50000);
    snprintf(half + len + 50000, 64, "\r\n$100\r\nabc");
    expect_input(s, half, 3);
    int fd = raw_connect(s);
    raw_send_text(fd, "CLIENT SETNAME half\r\n");
    raw_expect(fd, "+OK\r\n");
    raw_send_text(fd, half);
    wait_until(field(s, " qbuf=") == 3);
    cr_expect_geq(field(s, " argv-mem="), 50000);
    cr_expect_geq(field(s, " tot-mem="), 50000);
    close(fd);
    free(half);
}
