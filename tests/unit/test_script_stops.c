/* What a script calls may be stopped while it runs in C: a hook that is due is called in the middle of it. Nothing in
 * here executes an instruction of Lua once the hook has been set, so that who is stopped has looked by itself. */
#include "server/base/alloc.h"
#include "server/script/lib_cjson.h"
#include "server/script/lib_cmsgpack.h"
#include "server/script/lib_struct.h"
#include "server/script/sandbox.h"
#include "server/script/vm.h"

#include <criterion/criterion.h>
#include <lauxlib.h>
#include <lualib.h>

TestSuite(script_stops, .timeout = 120);

static void stop(lua_State *lua, lua_Debug *where)
{
    (void)where;
    luaL_error(lua, "stopped");
}

static void never(lua_State *lua, lua_Debug *where)
{
    (void)lua;
    (void)where;
}

/* The chunk returns a function and what it is to be called with. */
static void run_stopped(lua_State *lua, void *chunk)
{
    cr_assert_eq(luaL_loadstring(lua, chunk), 0, "%s", lua_tostring(lua, -1));
    lua_call(lua, 0, LUA_MULTRET);
    cr_assert(lua_iscfunction(lua, 1), "%s: not a function in C", (const char *)chunk);
    lua_sethook(lua, stop, LUA_MASKCOUNT, INT32_MAX);
    lua_pcall(lua, lua_gettop(lua) - 1, LUA_MULTRET, 0);
    lua_sethook(lua, never, 0, 0);
    const char *told = lua_gettop(lua) ? lua_tostring(lua, -1) : NULL; /* load() returns its error */
    cr_expect(told && strstr(told, "stopped"), "%s: %s", (const char *)chunk, told ? told : "ended");
}

static void open_all(lua_State *lua, void *arg)
{
    (void)arg;
    script_sandbox_open(lua);
    script_sandbox_add(lua, "cjson", script_open_cjson);
    script_sandbox_add(lua, "cmsgpack", script_open_cmsgpack);
    script_sandbox_add(lua, "struct", script_open_struct);
}

/* Each ends by itself within a second or so where nobody stops it. */
static const char *const long_calls[] = {
    "return string.find, ('a'):rep(200), '.-.-.-b'",
    "return string.match, ('a'):rep(200), '.*.*.*b'",
    "return string.gmatch(('a'):rep(200), '(.-)(.-)(.-)b')",
    "return string.gsub, ('a'):rep(200), 'a*a*a*b', ''",
    "return string.gsub, ('a'):rep(100000), 'a', string.upper",
    "return string.gsub, ('a'):rep(100000), 'a', setmetatable({}, {__index = rawget})",
    "return string.find, ('('):rep(2000), '%b()x'",
    "return table.insert, {}, -100000, 1",
    "return load, string.gmatch((' '):rep(100000), ' ')",
    "local t = {} for i = 1, 20 do t = {t, t} end return cjson.encode, t",
    "local t = {} for i = 1, 2000 do t[i] = i end return cjson.encode, t",
    "return cjson.decode, '[' .. ('1,'):rep(2000) .. '1]'",
    "local t = {} for i = 1, 14 do t = {t, t} end return cmsgpack.pack, t",
    "local t = {} for i = 1, 2000 do t[i] = i end return cmsgpack.pack, t",
    "local t = {} for i = 1, 2000 do t[i] = i end return cmsgpack.unpack, cmsgpack.pack(t)",
    "return struct.pack, ('x'):rep(2000)",
    "return struct.size, ('x'):rep(2000)",
};

Test(script_stops, calls_of_c_look_at_the_hook)
{
    struct script_vm *vm = script_vm_new();
    struct script_error error;
    cr_assert_eq(script_vm_enter(vm, open_all, NULL, &error), 0);
    script_vm_leave(vm);
    for (size_t i = 0; i < sizeof long_calls / sizeof *long_calls; i++) {
        cr_expect_eq(script_vm_enter(vm, run_stopped, (void *)long_calls[i], &error), 0, "%s: %.*s", long_calls[i],
                     (int)error.text.len, (const char *)error.text.ptr);
        script_vm_leave(vm);
    }
    script_vm_free(vm);
}

/* --- table.sort, which is Lua code around a function of C --- */

static int times_compared;

/* What compares sets the hook: it is due when the next two are compared. */
static int compare_and_stop(lua_State *lua)
{
    times_compared++;
    lua_sethook(lua, stop, LUA_MASKCOUNT, INT32_MAX);
    lua_pushboolean(lua, 0);
    return 1;
}

static void sort_stopped(lua_State *lua, void *chunk)
{
    times_compared = 0;
    cr_assert_eq(luaL_loadstring(lua, chunk), 0);
    lua_pushcfunction(lua, compare_and_stop);
    cr_expect_neq(lua_pcall(lua, 1, 0, 0), 0, "%s: ended", (const char *)chunk);
    lua_sethook(lua, never, 0, 0);
    cr_expect(strstr(lua_tostring(lua, -1), "stopped"), "%s: %s", (const char *)chunk, lua_tostring(lua, -1));
    cr_expect_eq(times_compared, 1);
}

static const char *const long_sorts[] = {
    "table.sort({3, 1, 2, 5, 4}, ...)",
    "local t, m = {}, {__lt = ...} for i = 1, 3000 do t[i] = setmetatable({}, m) end table.sort(t)",
};

/* --- table.sort of what is long and of one kind --- */

static const char *const sorted[] = {
    "local t = {} for i = 1, 5000 do t[i] = (i * 7919) % 5003 - 2500 end table.sort(t) "
    "for i = 2, #t do if t[i] < t[i - 1] then error('order') end end",
    "local t, n = {}, 0 for i = 1, 5000 do t[i] = ('\\255ab\\0'):rep(i * 31 % 7) .. (i * 7919) % 5003 end "
    "local seen = {} for i, v in ipairs(t) do seen[v] = (seen[v] or 0) + 1 end table.sort(t) "
    "for i = 2, #t do if t[i] < t[i - 1] then error('order') end end "
    "for i, v in ipairs(t) do seen[v] = seen[v] - 1 end "
    "for k, v in pairs(seen) do if v ~= 0 then error('lost') end end",
    "local t = {} for i = 1, 5000 do t[i] = 5000 - i end table.sort(t) "
    "if t[1] ~= 0 or t[5000] ~= 4999 then error('') end",
    "local t = {} for i = 1, 5000 do t[i] = 7 end t[5000] = 1 / 0 t[1] = -1 / 0 table.sort(t) "
    "if t[1] ~= -1 / 0 or t[2] ~= 7 or t[5000] ~= 1 / 0 then error('') end",
    "local t = {} for i = 1, 5000 do t[i] = i end t[77] = 'x' if pcall(table.sort, t) then error('mixed') end",
    "local t = {} for i = 1, 5000 do t[i] = i end t[77] = 0 / 0 pcall(table.sort, t) "
    "if #t ~= 5000 then error('nan') end",
    "local t = {} for i = 1, 5000 do t[i] = i end table.sort(t, function(a, b) return a > b end) "
    "if t[1] ~= 5000 then error('') end",
};

static void run(lua_State *lua, void *chunk)
{
    cr_assert_eq(luaL_loadstring(lua, chunk), 0, "%s", lua_tostring(lua, -1));
    lua_call(lua, 0, 0);
}

Test(script_stops, long_tables_are_sorted)
{
    struct script_vm *vm = script_vm_new();
    struct script_error error;
    cr_assert_eq(script_vm_enter(vm, open_all, NULL, &error), 0);
    script_vm_leave(vm);
    for (size_t i = 0; i < sizeof sorted / sizeof *sorted; i++) {
        cr_expect_eq(script_vm_enter(vm, run, (void *)sorted[i], &error), 0, "%s: %.*s", sorted[i], (int)error.text.len,
                     (const char *)error.text.ptr);
        script_vm_leave(vm);
    }
    script_vm_free(vm);
}

Test(script_stops, sorting_looks_at_the_hook)
{
    struct script_vm *vm = script_vm_new();
    struct script_error error;
    cr_assert_eq(script_vm_enter(vm, open_all, NULL, &error), 0);
    script_vm_leave(vm);
    for (size_t i = 0; i < sizeof long_sorts / sizeof *long_sorts; i++) {
        cr_expect_eq(script_vm_enter(vm, sort_stopped, (void *)long_sorts[i], &error), 0, "%s: %.*s", long_sorts[i],
                     (int)error.text.len, (const char *)error.text.ptr);
        script_vm_leave(vm);
    }
    script_vm_free(vm);
}
