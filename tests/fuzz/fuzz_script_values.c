/* Fuzzes what the sandbox's libraries read out of strings: cmsgpack, struct and cjson. The first byte says which; a
 * format of struct ends at the first zero byte. What has been read must be writable again, and come to rest. */
#include <lauxlib.h>
#include <lualib.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/check.h"
#include "server/script/lib_cjson.h"
#include "server/script/lib_cmsgpack.h"
#include "server/script/lib_struct.h"

/* LuaJIT keeps tags in its pointers, so a block that it holds may look lost to the leak check. */
const char *__lsan_default_suppressions(void)
{
    return "leak:lj_mem_realloc";
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Lengths are compared and not the bytes, since a table knows no order of its keys. What is past MessagePack's nesting
 * limit is nil the first time, and a nil is nothing in a table: only then it is the same each time. */
static const char chunk[] = "local which, a, b = ...\n"
                            "if which == 0 then\n"
                            "  local ok, values = pcall(function() return {cmsgpack.unpack(a)} end)\n"
                            "  if not ok then return end\n"
                            "  local ok2, again = pcall(cmsgpack.unpack, cmsgpack.pack(values))\n"
                            "  if not ok2 then return end\n"
                            "  local once = cmsgpack.pack(again)\n"
                            "  assert(#cmsgpack.pack(cmsgpack.unpack(once)) == #once)\n"
                            "elseif which == 1 then\n"
                            "  local at = 0\n"
                            "  while at >= 0 do\n"
                            "    local ok, next = pcall(cmsgpack.unpack_one, a, at)\n"
                            "    if not ok then return end\n"
                            "    assert(next == -1 or next > at)\n"
                            "    at = next\n"
                            "  end\n"
                            "elseif which == 2 then\n"
                            "  local ok, values = pcall(function() return {struct.unpack(a, b)} end)\n"
                            "  pcall(struct.size, a)\n"
                            "  if ok then pcall(struct.pack, a, unpack(values)) end\n"
                            "else\n"
                            "  local ok, value = pcall(cjson.decode, a)\n"
                            "  if not ok then return end\n"
                            "  cjson.encode_invalid_numbers(true)\n"
                            "  cjson.encode_sparse_array(true)\n"
                            "  local ok2, once = pcall(cjson.encode, value)\n"
                            "  if ok2 then assert(#cjson.encode(cjson.decode(once)) <= #once) end\n"
                            "end\n";

static lua_State *lua;

/* Each string by itself, so that the sanitizer sees its ends. */
static void *allocate(void *context, void *ptr, size_t old_size, size_t new_size)
{
    (void)context, (void)old_size;
    if (new_size) return realloc(ptr, new_size);
    free(ptr);
    return NULL;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    lua = lua_newstate(allocate, NULL);
    luaL_openlibs(lua);
    script_open_cjson(lua);
    lua_setglobal(lua, "cjson");
    script_open_cmsgpack(lua);
    lua_setglobal(lua, "cmsgpack");
    script_open_struct(lua);
    lua_setglobal(lua, "struct");
    CHECK(luaL_loadbuffer(lua, chunk, sizeof chunk - 1, "fuzz") == 0);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size) return 0;
    const char *text = (const char *)data + 1;
    size_t len = size - 1, first = len;
    unsigned which = data[0] & 3;
    const char *end = which == 2 ? memchr(text, 0, len) : NULL;
    if (end) first = (size_t)(end - text);
    lua_settop(lua, 1);
    lua_pushvalue(lua, 1);
    lua_pushinteger(lua, (lua_Integer)which);
    lua_pushlstring(lua, text, first);
    lua_pushlstring(lua, end ? end + 1 : text, end ? len - first - 1 : len);
    if (lua_pcall(lua, 3, 0, 0)) {
        fprintf(stderr, "%s\n", lua_tostring(lua, -1));
        abort();
    }
    lua_gc(lua, LUA_GCCOLLECT, 0);
    return 0;
}
