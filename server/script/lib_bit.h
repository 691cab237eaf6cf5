/* The library `bit` of the script sandbox. Server process. */
#ifndef SLIPSTREAM_SCRIPT_LIB_BIT_H
#define SLIPSTREAM_SCRIPT_LIB_BIT_H

#include <lua.h>

int script_open_bit(lua_State *lua); /* leaves the library's table on the stack, returns 1 */

#endif
