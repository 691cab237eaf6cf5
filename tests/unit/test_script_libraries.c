/* The script sandbox's libraries: values there and back, hostile inputs, bounds. What each function answers is compared
 * with Debian's redis-server in tests/differential/cases/script_libraries.txt. */
#include <criterion/criterion.h>

#include <lauxlib.h>
#include <lualib.h>

#include "server/base/random.h"
#include "server/script/lib_bit.h"
#include "server/script/lib_cjson.h"
#include "server/script/lib_cmsgpack.h"
#include "server/script/lib_struct.h"

TestSuite(script_libraries, .timeout = 120);

static lua_State *new_lua(void)
{
    lua_State *lua = luaL_newstate();
    luaL_openlibs(lua);
    script_open_cjson(lua);
    lua_setglobal(lua, "cjson");
    script_open_cmsgpack(lua);
    lua_setglobal(lua, "cmsgpack");
    script_open_struct(lua);
    lua_setglobal(lua, "struct");
    script_open_bit(lua);
    lua_setglobal(lua, "bit");
    return lua;
}

/* The chunk's result as text; an error's text begins with '!'. */
static void expect(lua_State *lua, const char *chunk, const char *expected)
{
    int failed = luaL_loadstring(lua, chunk) || lua_pcall(lua, 0, 1, 0);
    const char *text = lua_tostring(lua, -1);
    cr_assert(text, "%s: no text", chunk);
    if (failed) text = lua_pushfstring(lua, "!%s", text);
    cr_assert_str_eq(text, expected, "%s: %s", chunk, text);
    lua_settop(lua, 0);
}

static void expect_error_with(lua_State *lua, const char *chunk, const char *part)
{
    cr_assert(luaL_loadstring(lua, chunk) || lua_pcall(lua, 0, 1, 0), "%s: no error", chunk);
    cr_assert(strstr(lua_tostring(lua, -1), part), "%s: %s", chunk, lua_tostring(lua, -1));
    lua_settop(lua, 0);
}

Test(script_libraries, json_goes_there_and_back)
{
    lua_State *lua = new_lua();
    expect(lua, "return cjson.encode({1, 'a/\"\\n\\0', {x = cjson.null}, true, 0.5, -7, {}})",
           "[1,\"a\\/\\\"\\n\\u0000\",{\"x\":null},true,0.5,-7,{}]");
    expect(lua, "return cjson.encode(cjson.decode('[1e3,\"\\\\ud83d\\\\ude00\",{\"k\":[[]]},-0.25]'))",
           "[1000,\"\xf0\x9f\x98\x80\",{\"k\":[{}]},-0.25]");
    expect(lua, "cjson.decode_array_with_array_mt(true) return cjson.encode(cjson.decode('[[],{},[[]]]'))",
           "[[],{},[[]]]");
    expect_error_with(lua, "return setmetatable(cjson.decode('[]'), nil)", "protected metatable");
    lua_close(lua);
}

Test(script_libraries, instances_of_json_have_their_own_settings)
{
    lua_State *lua = new_lua();
    expect(lua, "local own = cjson.new() own.encode_max_depth(1) return cjson.encode({{}})", "[{}]");
    expect_error_with(lua, "local own = cjson.new() own.encode_max_depth(1) return own.encode({{}})",
                      "Cannot serialise, excessive nesting (2)");
    lua_close(lua);
}

Test(script_libraries, no_text_grows_without_bound)
{
    lua_State *lua = new_lua();
    const char *limit = "the result exceeds 512 MB";
    expect_error_with(lua, "local s = {string.rep('x', 1000)} for i = 1, 40 do s = {s, s} end cjson.encode(s)", limit);
    expect_error_with(lua, "cjson.encode_sparse_array(true, 0, 0) cjson.encode({[2^52] = 1})", limit);
    expect_error_with(
        lua,
        "local s = {string.rep('x', 100000)} for i = 1, 14 do local t = {} for j = 1, 100 do t[j] = s end "
        "s = t end cmsgpack.pack(s)",
        limit);
    expect(lua, "return #cjson.encode(string.rep('x', 1000000))", "1000002");
    lua_close(lua);
}

Test(script_libraries, depth_is_bounded_whatever_a_script_sets)
{
    lua_State *lua = new_lua();
    expect_error_with(lua, "cjson.decode_max_depth(2^31 - 1) cjson.decode(string.rep('[', 100000))", "nested");
    expect_error_with(lua, "cjson.decode_max_depth(2^31 - 1) cjson.decode(string.rep('{\"a\":', 100000))", "nested");
    expect_error_with(lua,
                      "cjson.encode_max_depth(2^31 - 1) local a = {} for i = 1, 100000 do a = {a} end cjson.encode(a)",
                      "nesting");
    expect_error_with(lua, "cmsgpack.unpack(string.rep('\\145', 100000))", "stack overflow");
    expect_error_with(lua, "cmsgpack.unpack(string.rep('\\129\\1', 100000))", "stack overflow");
    expect_error_with(lua, "cmsgpack.unpack(string.rep('\\1', 100000))", "stack overflow");
    expect_error_with(lua, "struct.unpack(string.rep('b', 100000), string.rep('\\1', 100000))", "stack overflow");
    lua_close(lua);
}

Test(script_libraries, announced_lengths_are_not_believed)
{
    lua_State *lua = new_lua();
    expect_error_with(lua, "cmsgpack.unpack(string.rep('\\221\\255\\255\\255\\255', 3000))", "Missing bytes");
    expect_error_with(lua, "cmsgpack.unpack('\\219\\255\\255\\255\\255a')", "Missing bytes");
    expect_error_with(lua, "struct.unpack('c2147483647', 'a')", "too short");
    expect_error_with(lua, "struct.unpack('bc0', '\\255a')", "too short");
    expect_error_with(lua, "struct.unpack('dc0', '\\0\\0\\0\\0\\0\\0\\224\\67a')", "too short");
    expect_error_with(lua, "struct.pack('i2147483648', 1)", "overflow");
    expect(lua, "return bit.tohex(1, 2^31 - 1)", "00000001");
    lua_close(lua);
}

/* Whatever the bytes are, an unpacked value packs again, and then comes back the same. */
Test(script_libraries, any_bytes_unpack_or_fail)
{
    static const char check[] = "local ok, a = pcall(cmsgpack.unpack_limit, ..., 3) "
                                "if not ok then return end "
                                "local ok2, v = pcall(function(s) return select(2, cmsgpack.unpack_one(s)) end, ...) "
                                "if ok2 then local once = cmsgpack.pack(v) "
                                "assert(#cmsgpack.pack((select(2, cmsgpack.unpack_one(once)))) == #once) end";
    lua_State *lua = new_lua();
    struct random_state random;
    random_seed(&random, 7);
    for (int round = 0; round < 20000; round++) {
        char bytes[24];
        size_t len = random_below(&random, sizeof bytes + 1);
        for (size_t i = 0; i < len; i++)
            bytes[i] = (char)(0x80 * random_below(&random, 2) | random_below(&random, 128));
        cr_assert_eq(luaL_loadstring(lua, check), 0);
        lua_pushlstring(lua, bytes, len);
        cr_assert_eq(lua_pcall(lua, 1, 0, 0), 0, "%s", lua_tostring(lua, -1));
    }
    lua_close(lua);
}
