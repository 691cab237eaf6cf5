/* Scripts' texts as LuaJIT wants them (server/script/dialect.h). */
#include "server/base/alloc.h"
#include "server/script/dialect.h"

#include <criterion/criterion.h>
#include <stdio.h>

static void becomes(const char *text, const char *wanted, int wanted_line)
{
    int line;
    struct bytes got = script_translate(bytes_from_text(text), 1, &line);
    if (!wanted)
        cr_expect_null(got.ptr, "%s", text);
    else
        cr_expect(got.ptr && bytes_equal(got, bytes_from_text(wanted)), "%s: got %.*s", text, (int)got.len,
                  (const char *)got.ptr);
    cr_expect_eq(line, wanted_line, "%s: line %d", text, line);
    mem_free((void *)got.ptr);
}

Test(script_dialect, are_put_into_parentheses)
{
    becomes("return redis.call('get', KEYS[1])", "return (redis.call('get', KEYS[1]))", 1);
    becomes("\nreturn\tredis.pcall((')'), \")\")[1] or 2", "\nreturn\t(redis.pcall((')'), \")\"))[1] or 2", 2);
    becomes("return tonumber(redis.call('get', f(1)))", "return (tonumber(redis.call('get', f(1))))", 1);
    becomes(
        "local function f() return redis.call('a') end\nreturn server.call('b', function() return type(1) end)",
        "local function f() return (redis.call('a')) end\nreturn (server.call('b', function() return (type(1)) end))",
        2);
}

Test(script_dialect, of_other_functions_stay)
{
    becomes("return f(1)", NULL, 1);
    becomes("return unpack(t)", NULL, 1);
    becomes("return string.find('a', 'b')", NULL, 1);
    becomes("returned redis.call()", NULL, 1);
    becomes("x = 1", NULL, 1);
    becomes("", NULL, 1);
}

Test(script_dialect, in_strings_and_comments_are_none)
{
    becomes("-- return redis.call(1)\nx = 'return redis.call(1)'", NULL, 1);
    becomes("--[[ return redis.call(1)\n]] x = [==[ return redis.call(']]') ]==]", NULL, 1);
    becomes("x = \"\\\"\\\n return redis.call(1)\"", NULL, 1);
    becomes("return redis.call('\\')', [[)]], --[[)]] 1 -- )\n)",
            "return (redis.call('\\')', [[)]], --[[)]] 1 -- )\n))", 1);
}

Test(script_dialect, in_what_is_no_lua_are_left)
{
    becomes("return redis.call(1", NULL, 1);
    becomes("return redis.call(1))", NULL, 1);
    becomes("return redis.call('", NULL, 1);
    becomes("return redis.call([==[", NULL, 1);
    becomes("return redis.call(--[[", NULL, 1);
    becomes("return redis.call('\\", NULL, 1);
}

Test(script_dialect, a_backslash_without_a_meaning_is_left_out)
{
    becomes("return 'a\\.b'", "return 'a.b'", 1);
    becomes("x = \"\\d\\-\\\\.\\n\\065\\\"\\/\"", "x = \"d-\\\\.\\n\\065\\\"/\"", 1);
    becomes("x = '\\a\\b\\f\\n\\r\\t\\v\\\\\\'\\\"\\\n\\9\\x41'", NULL, 1);
    becomes("x = [[\\.]] -- '\\.'\n--[[ '\\.' ]] y = 1", NULL, 1);
    becomes("return redis.call('get', '\\.') -- \\.", "return (redis.call('get', '.')) -- \\.", 1);
    becomes("x = '\\", NULL, 1);
    becomes("x = '\\.", "x = '.", 1);
}
