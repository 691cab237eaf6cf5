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

/* From now until so many bytes have come. */
static int64_t wait_ms(int fd, const char *text)
{
    int64_t before_ms = clock_ms();
    raw_expect(fd, text);
    return clock_ms() - before_ms;
}

Test(commands, a_pause_of_all_holds_what_would_be_queued)
{
    struct server *s = server_start(OURS, "%s", "");
    int fd = raw_connect(s);
    raw_send_text(fd, "MULTI\r\n");
    raw_expect(fd, "+OK\r\n");
    expect_ok(s, "CLIENT PAUSE 1000 ALL");
    raw_send_text(fd, "GET k\r\n");
    cr_assert_geq(wait_ms(fd, "+QUEUED\r\n"), 200);
    expect_ok(s, "CLIENT PAUSE 1000 ALL");
    raw_send_text(fd, "DISCARD\r\n");
    cr_assert_geq(wait_ms(fd, "+OK\r\n"), 200);
    close(fd);
}
