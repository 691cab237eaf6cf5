/* The library `cmsgpack` of the script sandbox: MessagePack. Server process. */
#ifndef SLIPSTREAM_SCRIPT_LIB_CMSGPACK_H
#define SLIPSTREAM_SCRIPT_LIB_CMSGPACK_H

#include <lua.h>

int script_open_cmsgpack(lua_State *lua); /* leaves the library's table on the stack, returns 1 */

#endif
