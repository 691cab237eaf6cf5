/* What leaves the cache of scripts, and what stays; and the memory of those that have run. */
#include "tests/harness/client.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(script_cache, .fini = server_finish_all, .timeout = 120);

#define LONG_TEXT 100000

/* A script of its own for each number. */
static const char *long_script(int number)
{
    static char text[LONG_TEXT + 64];
    int len = snprintf(text, sizeof text, "return %d -- ", number);
    memset(text + len, 'x', LONG_TEXT);
    text[len + LONG_TEXT] = 0;
    return text;
}

static void load(struct server *s, int number, char digest[41])
{
    redisReply *r = command(s, "SCRIPT LOAD %s", long_script(number));
    cr_assert_eq(r->type, REDIS_REPLY_STRING);
    memcpy(digest, r->str, 41);
    freeReplyObject(r);
}

Test(script_cache, what_came_by_eval_leaves_where_memory_is_short)
{
    struct server *s = server_start(OURS, "maxmemory 16mb");
    char kept[41], promoted[41], first[41];
    load(s, 1, kept);
    load(s, 2, promoted);
    load(s, 3, first);
    expect_ok(s, "SCRIPT FLUSH");
    load(s, 1, kept);
    for (int number = 2; number < 100; number++) {
        expect_integer(s, number, "EVAL %s 0", long_script(number));
        expect_integer(s, 2, "EVALSHA %s 0", promoted); /* in use */
    }
    long long evicted = info_number(s, "stats", "evicted_scripts");
    cr_expect_gt(evicted, 40);
    cr_expect_eq(info_number(s, "memory", "number_of_cached_scripts"), 99 - evicted);
    expect_integer(s, 1, "EVALSHA %s 0", kept);
    expect_error(s, "NOSCRIPT", "EVALSHA %s 0", first);
    load(s, 2, promoted); /* from now on it stays */
    for (int number = 100; number < 200; number++) expect_integer(s, number, "EVAL %s 0", long_script(number));
    expect_integer(s, 2, "EVALSHA %s 0", promoted);
    expect_integer(s, 3, "EVAL %s 0", long_script(3));
    expect_integer(s, 3, "EVALSHA %s 0", first);
}

Test(script_cache, without_a_limit_all_stay)
{
    struct server *s = server_start(OURS, "%s", "");
    for (int number = 0; number < 2000; number++) {
        char script[32];
        snprintf(script, sizeof script, "return %d", number);
        expect_integer(s, number, "EVAL %s 0", script);
    }
    cr_expect_eq(info_number(s, "memory", "number_of_cached_scripts"), 2000);
    cr_expect_eq(info_number(s, "stats", "evicted_scripts"), 0);
}

static bool has_little(struct server *s)
{
    expect_integer(s, 1, "EVAL %s 0", "return 1");
    return info_number(s, "memory", "used_memory_vm_eval") < 16 << 20;
}

Test(script_cache, memory_that_a_script_has_taken_is_given_back)
{
    struct server *s = server_start(OURS, "%s", "");
    expect_integer(s, 1, "EVAL %s 0", "local a, b = ('x'):rep(1e8), ('y'):rep(1e8) return 1");
    wait_until(has_little(s));
    expect_integer(s, 1, "EVAL %s 0", "local t = {} for i = 1, 500000 do t[i] = {} end return 1");
    wait_until(has_little(s));
}
