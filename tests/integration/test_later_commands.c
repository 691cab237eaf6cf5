/* Commands of Redis 8 and Valkey 9 on our types. Debian's 7.0.15 does not know them: as a replica it shows that what is
 * propagated is the effect, in words that it knows. */
#include "tests/harness/client.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

TestSuite(later_commands, .fini = server_finish_all, .timeout = 120);

struct trio {
    struct server *s, *ours, *debian;
};

static struct trio begin(void)
{
    struct trio t = {server_start(OURS, "%s", ""), server_start(OURS, "%s", ""), server_start(DEBIAN, "%s", "")};
    follow(t.ours, t.s);
    follow(t.debian, t.s);
    wait_in_step(t.ours, t.s);
    wait_in_step(t.debian, t.s);
    return t;
}

static void expect_followed(struct trio *t)
{
    expect_same_data(t->ours, t->s);
    expect_same_data(t->debian, t->s);
    cr_expect_eq(info_number(t->debian, "stats", "unexpected_error_replies"), 0);
    cr_expect_eq(info_number(t->ours, "stats", "unexpected_error_replies"), 0);
}

#define NUMKEYS "ERR invalid numkeys value or out of range"

Test(later_commands, msetex_sets_all_or_none)
{
    struct trio t = begin();
    struct server *s = t.s;
    expect_integer(s, 1, "MSETEX 2 a 1 b 2 EX 100");
    expect_integer(s, 100, "TTL b");
    expect_integer(s, 0, "MSETEX 2 a 3 c 3 NX");
    expect_integer(s, 0, "EXISTS c");
    expect_integer(s, 0, "MSETEX 2 a 3 c 3 XX");
    expect_integer(s, 1, "MSETEX 2 a 3 b 3 XX KEEPTTL");
    expect_integer(s, 100, "TTL a");
    expect_integer(s, 1, "MSETEX 1 a 4");
    expect_integer(s, -1, "TTL a");
    expect_integer(s, 1, "SADD set member");
    expect_integer(s, 1, "MSETEX 2 set x e 1 PX 100000");
    expect_string(s, "x", "GET set");
    expect_integer(s, 1, "MSETEX 2 e 5 e 6 EXAT 9999999999");
    expect_string(s, "6", "GET e");
    expect_integer(s, 1, "MSETEX 2 e 5 none 5 PXAT 1");
    expect_integer(s, 0, "EXISTS e none");
    expect_error(s, NUMKEYS, "MSETEX 0 a b");
    expect_error(s, NUMKEYS, "MSETEX -1 a b");
    expect_error(s, NUMKEYS, "MSETEX x a b");
    expect_error(s, NUMKEYS, "MSETEX 3000000000 a b");
    expect_error(s, "ERR syntax error", "MSETEX 2 a 1");
    expect_error(s, "ERR syntax error", "MSETEX 1 a 1 b 2");
    expect_error(s, "ERR syntax error", "MSETEX 1 a 1 NX XX");
    expect_error(s, "ERR syntax error", "MSETEX 1 a 1 EX 10 PX 10");
    expect_error(s, "ERR syntax error", "MSETEX 1 a 1 EX 10 KEEPTTL");
    expect_error(s, "ERR invalid expire time in 'msetex' command", "MSETEX 1 a 1 EX 0");
    expect_followed(&t);
    redisReply *keys = command(s, "COMMAND GETKEYS MSETEX 2 a 1 b 2 EX 100");
    cr_expect(keys->elements == 2 && strcmp(keys->element[1]->str, "b") == 0);
    freeReplyObject(keys);
    expect_ok(s, "ACL SETUSER u on nopass +@all ~a*");
    expect_string(s, "User u has no permissions to access the 'b' key", "ACL DRYRUN u MSETEX 2 a 1 b 2");
}

Test(later_commands, set_and_delete_on_a_comparison)
{
    struct trio t = begin();
    struct server *s = t.s;
    expect_ok(s, "SET k v");
    expect_nil(s, "SET k w IFEQ x");
    expect_ok(s, "SET k w IFEQ v EX 100");
    expect_string(s, "w", "SET k x IFEQ w KEEPTTL GET");
    expect_string(s, "x", "SET k q IFEQ w GET");
    expect_string(s, "x", "GET k");
    expect_integer(s, 100, "TTL k");
    expect_nil(s, "SET none q IFEQ w");
    expect_nil(s, "SET none q IFEQ w GET");
    expect_integer(s, 0, "EXISTS none");
    expect_nil(s, "SET k y IFNE x");
    expect_ok(s, "SET k 12 IFNE y");
    expect_ok(s, "SET made 1 IFNE y");
    expect_ok(s, "SET k 13 IFEQ 12"); /* an integer by its text */
    expect_integer(s, 1, "SADD set member");
    expect_error(s, "WRONGTYPE", "SET set x IFEQ 1");
    expect_error(s, "WRONGTYPE", "SET set x IFNE 1");
    static const char *const wrong[] = {"IFEQ", "IFEQ a NX", "XX IFEQ a", "IFEQ a IFEQ b", "IFEQ a IFNE b"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char text[64];
        snprintf(text, sizeof text, "SET k v %s", wrong[i]);
        expect_error(s, "ERR syntax error", text);
    }
    expect_integer(s, 0, "DELIFEQ k 12");
    expect_integer(s, 1, "DELIFEQ k 13");
    expect_integer(s, 0, "DELIFEQ k 13");
    expect_error(s, "WRONGTYPE", "DELIFEQ set 1");
    expect_integer(s, 0, "DELEX made IFNE 1");
    expect_integer(s, 0, "DELEX made IFEQ 2");
    expect_integer(s, 1, "DELEX made IFEQ 1");
    expect_error(s, "WRONGTYPE", "DELEX set IFNE 1");
    expect_integer(s, 1, "DELEX set");
    expect_integer(s, 0, "DELEX set");
    expect_integer(s, 0, "DELEX set IFNE 1");
    expect_error(s, "ERR syntax error", "DELEX set IFNE");
    expect_error(s, "ERR syntax error", "DELEX set IFGT 1");
    expect_followed(&t);
    expect_ok(s, "SET k v");
    expect_ok(s, "WATCH k");
    expect_integer(s, 1, "DELIFEQ k v");
    expect_ok(s, "MULTI");
    expect_status(s, "QUEUED", "SET k w");
    expect_nil(s, "EXEC");
}

/* --- BITOP --- */

#define STRINGS  4
#define MOST_LEN 20000 /* several blocks */

static uint8_t strings[STRINGS][MOST_LEN];
static size_t lens[STRINGS] = {MOST_LEN, 8191, 9000, 3};

static uint8_t combined(const char *operation, int count, size_t at)
{
    uint8_t first = at < lens[0] ? strings[0][at] : 0, any = 0, one = first, several = 0;
    for (int i = 1; i < count; i++) {
        uint8_t byte = at < lens[i] ? strings[i][at] : 0;
        any |= byte;
        several |= one & byte;
        one |= byte;
    }
    if (strcmp(operation, "DIFF") == 0) return (uint8_t)(first & ~any);
    if (strcmp(operation, "DIFF1") == 0) return (uint8_t)(any & ~first);
    if (strcmp(operation, "ANDOR") == 0) return first & any;
    return (uint8_t)(one & ~several);
}

Test(later_commands, bitop_by_more_operations)
{
    static const char *const operations[] = {"DIFF", "DIFF1", "ANDOR", "ONE"};
    struct trio t = begin();
    uint32_t seed = 12345;
    for (int i = 0; i < STRINGS; i++) {
        for (size_t b = 0; b < lens[i]; b++) strings[i][b] = (uint8_t)((seed = seed * 1664525 + 1013904223) >> 24);
        freeReplyObject(command(t.s, "SET s%d %b", i, strings[i], lens[i]));
    }
    for (size_t o = 0; o < sizeof operations / sizeof *operations; o++) {
        expect_integer(t.s, MOST_LEN, "BITOP %s to%d s0 s1 s2 s3 none", operations[o], (int)o);
        redisReply *got = command(t.s, "GET to%d", (int)o);
        cr_assert_eq(got->len, MOST_LEN);
        for (size_t b = 0; b < MOST_LEN; b++)
            cr_assert_eq((uint8_t)got->str[b], combined(operations[o], STRINGS, b), "%s, byte %zu", operations[o], b);
        freeReplyObject(got);
    }
    expect_integer(t.s, 0, "BITOP DIFF to0 none none");
    expect_integer(t.s, 0, "EXISTS to0");
    expect_integer(t.s, 3, "BITOP ONE s3 s3");
    expect_error(t.s, "ERR BITOP DIFF must be called with at least two source keys.", "BITOP DIFF to s0");
    expect_error(t.s, "ERR BITOP ANDOR must be called with at least two source keys.", "BITOP andor to s0");
    expect_error(t.s, "ERR syntax error", "BITOP DIFF2 to s0 s1");
    expect_followed(&t);
}

/* --- streams --- */

/* XDELEX or XACKDEL: what is answered for each id, as text. */
static void expect_outcomes(struct server *s, const char *expected, const char *request)
{
    redisReply *reply = command(s, request);
    char got[256] = "";
    cr_assert_eq(reply->type, REDIS_REPLY_ARRAY, "%s: %s", request, reply->str ? reply->str : "");
    for (size_t i = 0; i < reply->elements; i++)
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s%lld", i ? " " : "", reply->element[i]->integer);
    cr_expect_str_eq(got, expected, "%s: %s, not %s", request, got, expected);
    freeReplyObject(reply);
}

static long long pending(struct server *s, const char *group)
{
    redisReply *reply = command(s, "XPENDING x %s", group);
    long long count = reply->element[0]->integer;
    freeReplyObject(reply);
    return count;
}

/* Entries 1-0 to 6-0; g has read them all, h the first three. */
static void make_stream(struct server *s)
{
    freeReplyObject(command(s, "DEL x"));
    for (int i = 1; i <= 6; i++) freeReplyObject(command(s, "XADD x %d-0 f v", i));
    expect_ok(s, "XGROUP CREATE x g 0");
    expect_ok(s, "XGROUP CREATE x h 0");
    freeReplyObject(command(s, "XREADGROUP GROUP g c STREAMS x >"));
    freeReplyObject(command(s, "XREADGROUP GROUP h c COUNT 3 STREAMS x >"));
}

Test(later_commands, xdelex_by_what_is_pending)
{
    struct trio t = begin();
    struct server *s = t.s;
    expect_outcomes(s, "-1 -1", "XDELEX x IDS 2 1 2");
    make_stream(s);
    expect_outcomes(s, "1 -1", "XDELEX x IDS 2 1 9");
    expect_outcomes(s, "1", "XDELEX x KEEPREF IDS 1 2-0");
    cr_expect_eq(pending(s, "g"), 6);
    expect_outcomes(s, "1 -1", "XDELEX x IDS 2 3 1 DELREF"); /* what is pending of one that has gone goes, too */
    cr_expect_eq(pending(s, "g"), 4);
    cr_expect_eq(pending(s, "h"), 1);
    expect_outcomes(s, "2", "XDELEX x ACKED IDS 1 4"); /* h has not read it */
    freeReplyObject(command(s, "XREADGROUP GROUP h c STREAMS x >"));
    expect_outcomes(s, "2", "XDELEX x ACKED IDS 1 4");
    expect_integer(s, 1, "XACK x h 4");
    expect_outcomes(s, "2", "XDELEX x ACKED IDS 1 4");
    expect_integer(s, 1, "XACK x g 4");
    expect_outcomes(s, "1 2 -1", "XDELEX x ACKED IDS 3 4 5 4");
    expect_integer(s, 2, "XLEN x");
    expect_followed(&t);
    expect_error(s, "ERR syntax error", "XDELEX x KEEPREF DELREF IDS 1 1");
    expect_error(s, "ERR syntax error", "XDELEX x KEEPREF 1 1 1");
    expect_error(s, "ERR syntax error", "XDELEX x IDS 1 1 2");
    expect_error(s, "ERR", "XDELEX x IDS 0 1");
    expect_error(s, "ERR", "XDELEX x IDS 3 1 2");
    expect_error(s, "ERR Invalid stream ID", "XDELEX x IDS 2 5 x");
    expect_integer(s, 2, "XLEN x");
    expect_ok(s, "SET text v");
    expect_error(s, "WRONGTYPE", "XDELEX text IDS 1 1");
}

Test(later_commands, xackdel_by_what_is_pending)
{
    struct trio t = begin();
    struct server *s = t.s;
    expect_outcomes(s, "-1", "XACKDEL x g IDS 1 1");
    make_stream(s);
    expect_outcomes(s, "-1", "XACKDEL x none IDS 1 1");
    expect_outcomes(s, "-1", "XACKDEL x h IDS 1 5"); /* not pending there */
    expect_outcomes(s, "2", "XACKDEL x g ACKED IDS 1 1");
    expect_outcomes(s, "1", "XACKDEL x h ACKED IDS 1 1");
    expect_outcomes(s, "1", "XACKDEL x g IDS 1 2");
    cr_expect_eq(pending(s, "h"), 2);
    expect_outcomes(s, "1", "XACKDEL x h IDS 1 2"); /* the entry has gone already */
    expect_outcomes(s, "1", "XACKDEL x g DELREF IDS 1 3");
    cr_expect_eq(pending(s, "h"), 0);
    cr_expect_eq(pending(s, "g"), 3);
    expect_integer(s, 3, "XLEN x");
    expect_followed(&t);
}
