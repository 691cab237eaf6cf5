/* Tables that scripts may read and not write: the globals and the libraries. */
#ifndef SLIPSTREAM_SCRIPT_PROTECT_H
#define SLIPSTREAM_SCRIPT_PROTECT_H

#include <lua.h>
#include <stdbool.h>

#define SCRIPT_READONLY_ERROR "Attempt to modify a readonly table"

/* Takes the table on top of the stack away and puts what stands for it in its place. */
void script_protect(lua_State *lua);
/* Whether the value stands for a protected table, which is pushed then. */
bool script_protected(lua_State *lua, int index);
/* rawset, rawget, setmetatable, pairs and table.insert as they are where some tables are protected: into the globals
 * and the library `table`, given by their stack indices. */
void script_protect_functions(lua_State *lua, int globals, int table_library);

#endif
