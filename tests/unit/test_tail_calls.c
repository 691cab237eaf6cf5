/* Scripts' texts with parentheses around what would be a tail call (server/script/tail_calls.h). */
#include "server/base/alloc.h"
#include "server/script/tail_calls.h"

#include <criterion/criterion.h>
#include <stdio.h>

static void becomes(const char *text, const char *wanted, int wanted_line)
{
    int line;
    struct bytes got = script_avoid_tail_calls(bytes_from_text(text), 1, &line);
    if (!wanted)
        cr_expect_null(got.ptr, "%s", text);
    else
        cr_expect(got.ptr && bytes_equal(got, bytes_from_text(wanted)), "%s: got %.*s", text, (int)got.len,
                  (const char *)got.ptr);
    cr_expect_eq(line, wanted_line, "%s: line %d", text, line);
    mem_free((void *)got.ptr);
}

Test(tail_calls, are_put_into_parentheses)
{
    becomes("return redis.call('get', KEYS[1])", "return (redis.call('get', KEYS[1]))", 1);
    becomes("\nreturn\tredis.pcall((')'), \")\")[1] or 2", "\nreturn\t(redis.pcall((')'), \")\"))[1] or 2", 2);
    becomes("return tonumber(redis.call('get', f(1)))", "return (tonumber(redis.call('get', f(1))))", 1);
    becomes(
        "local function f() return redis.call('a') end\nreturn server.call('b', function() return type(1) end)",
        "local function f() return (redis.call('a')) end\nreturn (server.call('b', function() return (type(1)) end))",
        2);
}

Test(tail_calls, of_other_functions_stay)
{
    becomes("return f(1)", NULL, 1);
    becomes("return unpack(t)", NULL, 1);
    becomes("return string.find('a', 'b')", NULL, 1);
    becomes("returned redis.call()", NULL, 1);
    becomes("x = 1", NULL, 1);
    becomes("", NULL, 1);
}

Test(tail_calls, in_strings_and_comments_are_none)
{
    becomes("-- return redis.call(1)\nx = 'return redis.call(1)'", NULL, 1);
    becomes("--[[ return redis.call(1)\n]] x = [==[ return redis.call(']]') ]==]", NULL, 1);
    becomes("x = \"\\\"\\\n return redis.call(1)\"", NULL, 1);
    becomes("return redis.call('\\')', [[)]], --[[)]] 1 -- )\n)",
            "return (redis.call('\\')', [[)]], --[[)]] 1 -- )\n))", 1);
}

Test(tail_calls, in_what_is_no_lua_are_left)
{
    becomes("return redis.call(1", NULL, 1);
    becomes("return redis.call(1))", NULL, 1);
    becomes("return redis.call('", NULL, 1);
    becomes("return redis.call([==[", NULL, 1);
    becomes("return redis.call(--[[", NULL, 1);
    becomes("return redis.call('\\", NULL, 1);
}
