/* What the sandbox has in place of LuaJIT's functions of tables. */
#ifndef SLIPSTREAM_SCRIPT_LIB_TABLE_H
#define SLIPSTREAM_SCRIPT_LIB_TABLE_H

#include <lua.h>

/* table.sort, into the table at that index. */
void script_set_table_functions(lua_State *lua, int table);

#endif
