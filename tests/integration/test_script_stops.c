/* Scripts that spend their time in what they call: a pattern, a sort. They are stopped as loops are. Each would end by
 * itself within seconds. */
#include "tests/harness/client.h"
#include "tests/harness/raw.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

TestSuite(script_stops, .fini = server_finish_all, .timeout = 120);

static bool is_busy(struct server *s)
{
    redisReply *r = command(s, "PING");
    bool busy = r->type == REDIS_REPLY_ERROR && strncmp(r->str, "BUSY ", 5) == 0;
    freeReplyObject(r);
    return busy;
}

static void expect_stopped(struct server *s, const char *request, const char *by, const char *error)
{
    int fd = raw_connect(s);
    raw_send_text(fd, request);
    wait_until(is_busy(s));
    expect_ok(s, by);
    raw_expect(fd, error);
    close(fd);
    wait_until(!is_busy(s));
}

static void expect_killed(struct server *s, const char *script)
{
    char request[512];
    snprintf(request, sizeof request, "*3\r\n$4\r\nEVAL\r\n$%zu\r\n%s\r\n$1\r\n0\r\n", strlen(script), script);
    expect_stopped(s, request, "SCRIPT KILL", "-ERR Script killed by user with SCRIPT KILL... script: ");
}

Test(script_stops, patterns)
{
    static const char *const scripts[] = {
        "return string.find(('a'):rep(400), '.-.-.-.-b')",
        "return pcall(string.match, ('a'):rep(400), '(.*)(.*)(.*)(.*)b')",
        "for a in string.gmatch(('a'):rep(400), 'a*a*a*a*b') do end",
        "local function f() return 1, string.gsub(('a'):rep(400), '.-.-.-.-b', '') end return coroutine.wrap(f)()",
        "return xpcall(function() return string.find(('('):rep(60000), '%b()x') end, function() return 1 end)",
        "return (string.gsub(('a'):rep(4000000), 'a', string.upper))",
    };
    struct server *s = server_start(OURS, "busy-reply-threshold 5");
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) expect_killed(s, scripts[i]);
    expect_integer(s, 7, "EVAL %s 0", "return 3 + 4");
}

Test(script_stops, what_is_encoded_and_inserted)
{
    static const char *const scripts[] = {
        "local t = {} for i = 1, 24 do t = {t, t} end return cjson.encode(t)",
        "local t = {} for i = 1, 13 do t = {t, t, t, t} end return cmsgpack.pack(t)",
        "table.insert({}, -200000000, 1)",
    };
    struct server *s = server_start(OURS, "busy-reply-threshold 5");
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) expect_killed(s, scripts[i]);
}

Test(script_stops, a_function_of_a_library)
{
    struct server *s = server_start(OURS, "busy-reply-threshold 5");
    expect_string(s, "l", "FUNCTION LOAD %s",
                  "#!lua name=l\nredis.register_function('f', function()\n"
                  "return string.find(('a'):rep(400), '.-.-.-.-b') end)");
    expect_stopped(s, "FCALL f 0\r\n", "FUNCTION KILL", "-ERR Script killed by user with FUNCTION KILL. script: f");
}

/* A function that is loaded has less time, and nobody is answered meanwhile. */
Test(script_stops, a_library_that_is_loaded)
{
    struct server *s = server_start(OURS, "%s", "");
    expect_error(s, "ERR Error registering functions: ERR FUNCTION LOAD timeout", "FUNCTION LOAD %s",
                 "#!lua name=l\n('a'):rep(600):find('.-.-.-.-b')");
    expect_status(s, "PONG", "PING");
}

Test(script_stops, what_calls_itself_through_c)
{
    static const char *const deep[] = {
        "local function f() table.sort({2, 1}, function() f() end) end f()",
        "local f f = function() table.sort({2, 1}, coroutine.wrap(f)) end f()",
        "local t t = setmetatable({}, {__index = function() return (string.gsub('a', 'a', t)) end}) return t.x",
        "local f f = function() string.gsub('a', '(a)', coroutine.wrap(f)) end f()",
    };
    struct server *s = server_start(OURS, "%s", "");
    for (size_t i = 0; i < sizeof deep / sizeof *deep; i++) {
        redisReply *r = command(s, "EVAL %s 0", deep[i]);
        cr_expect(r->type == REDIS_REPLY_ERROR && strstr(r->str, "stack overflow"), "%s: %s", deep[i], r->str);
        freeReplyObject(r);
        expect_integer(s, 7, "EVAL %s 0", "return 3 + 4");
    }
    expect_nil(s, "EVAL %s 0", "local function f() load(f) end f()");
}
