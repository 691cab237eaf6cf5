/* What the sandbox has in place of LuaJIT's functions of strings. */
#ifndef SLIPSTREAM_SCRIPT_LIB_STRING_H
#define SLIPSTREAM_SCRIPT_LIB_STRING_H

#include <lua.h>

/* string.find, match, gmatch (and gfind), gsub and rep, into the table at that index. */
void script_set_string_functions(lua_State *lua, int table);

#endif
