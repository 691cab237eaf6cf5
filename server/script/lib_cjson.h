/* The library `cjson` of the script sandbox. Server process. */
#ifndef SLIPSTREAM_SCRIPT_LIB_CJSON_H
#define SLIPSTREAM_SCRIPT_LIB_CJSON_H

#include <lua.h>

int script_open_cjson(lua_State *lua); /* leaves the library's table on the stack, returns 1 */

#endif
