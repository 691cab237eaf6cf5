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

/* --- names that are bound --- */

static void binds(const char *text, const char *wanted, uint32_t uses)
{
    uint32_t named;
    struct bytes got = script_bind_names(bytes_from_text(text), &named);
    if (!wanted)
        cr_expect_null(got.ptr, "%s", text);
    else
        cr_expect(got.ptr && bytes_equal(got, bytes_from_text(wanted)), "%s: got %.*s", text, (int)got.len,
                  (const char *)got.ptr);
    if (wanted) cr_expect_eq(named, uses, "%s: %x", text, named);
    mem_free((void *)got.ptr);
}

#define K     SCRIPT_USES_KEYS
#define A     SCRIPT_USES_ARGV
#define R     SCRIPT_USES_REDIS
#define CALL  SCRIPT_USES_CALL
#define PCALL SCRIPT_USES_PCALL

Test(script_dialect, calls_are_bound)
{
    binds("return redis.call('get', KEYS[1])", "return redis_call('get', KEYS[1])", K | CALL);
    binds("return 'a'..redis.call('get', KEYS[1])..redis.pcall('x')",
          "return 'a'..redis_call('get', KEYS[1])..redis_pcall('x')", K | CALL | PCALL);
    binds("redis.log(redis.LOG_NOTICE, 'redis.call()')", "redis.log(redis.LOG_NOTICE, 'redis.call()')", R);
    binds("local call = redis.call return call('x')", "local call = redis.call return call('x')", R);
    binds("-- redis.call()\nreturn 1 --[[ KEYS ]]", "-- redis.call()\nreturn 1 --[[ KEYS ]]", 0);
    binds("", "", 0);
}

Test(script_dialect, what_is_called_so_but_is_another_is_left)
{
    binds("local redis = {} return redis.call()", NULL, 0);
    binds("local function f(redis) return redis.call(1) end return f(x)", NULL, 0);
    binds("return x.redis.call()", NULL, 0);
    binds("return x. --[[ . ]] redis.call()", NULL, 0);
    binds("return x:redis()", NULL, 0);
    binds("return redis['call']()", NULL, 0);
    binds("local redis_call = 1 return redis.call('x')", NULL, 0);
    binds("return redis.call('x'", NULL, 0);
    binds("return redis", NULL, 0);
}

Test(script_dialect, who_may_have_local_variables)
{
    static const char *const no[] = {
        "return ...",           "function redis.call() end",  "function \n\tredis() end",
        "local function redis", "function--[[a]]redis() end", "function -- b\nredis() end"};
    static const char *const yes[] = {"",           "function",          "function redi",
                                      "function -", "functionredis = 1", "local function f() end"};
    for (size_t i = 0; i < sizeof no / sizeof *no; i++)
        cr_expect_not(script_may_have_locals(bytes_from_text(no[i])), "%s", no[i]);
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
        cr_expect(script_may_have_locals(bytes_from_text(yes[i])), "%s", yes[i]);
}

Test(script_dialect, lists_that_are_only_looked_at)
{
    binds("return #KEYS + #ARGV", "return #KEYS + #ARGV", K | A);
    binds("for i = 1, #KEYS do redis.call('del', KEYS[i], ARGV[i + 1], ARGV[#ARGV]) end",
          "for i = 1, #KEYS do redis_call('del', KEYS[i], ARGV[i + 1], ARGV[#ARGV]) end", K | A | CALL);
    binds("if KEYS[1] == ARGV[1] then return ARGV[2]:sub(1) end",
          "if KEYS[1] == ARGV[1] then return ARGV[2]:sub(1) end", K | A);
}

Test(script_dialect, lists_that_may_be_changed_or_kept)
{
    static const char *const texts[] = {
        "KEYS[1] = 2",
        "KEYS[9]\n= 2",
        "KEYS[9], a = 1, 2",
        "a, KEYS[9] = 1, 2",
        "a, KEYS[9], b = 1, 2, 3",
        "f(function() a, KEYS[9], b = 1, 2, 3 end)",
        "KEYS[9] --[[ ]] = 1",
        "KEYS[9] -- x\n = 1",
        "KEYS --[[ ]] [9] = 1",
        "KEYS[9--[[ ] ]]] = 1",
        "KEYS[f(']')] = 1",
        "KEYS['x'] = 1",
        "KEYS.x = 1",
        "return KEYS",
        "return unpack(KEYS)",
        "table.insert(KEYS, 1)",
        "setmetatable(KEYS, {})",
        "local k = KEYS k[9] = 1",
        "(KEYS)[9] = 1",
        "return {KEYS}",
        "return #KEYS, KEYS",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) binds(texts[i], texts[i], K | SCRIPT_KEEPS_KEYS);
}
