/* The library `struct` of the script sandbox: C structures in strings. Server process. */
#ifndef SLIPSTREAM_SCRIPT_LIB_STRUCT_H
#define SLIPSTREAM_SCRIPT_LIB_STRUCT_H

#include <lua.h>

int script_open_struct(lua_State *lua); /* leaves the library's table on the stack, returns 1 */

#endif
