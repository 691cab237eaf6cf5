/* What the files that make a function set share. Server process. */
#ifndef SLIPSTREAM_SCRIPT_FUNCTION_PARTS_H
#define SLIPSTREAM_SCRIPT_FUNCTION_PARTS_H

#include "server/script/function_set.h"

#define FUNCTION_SOURCE "@user_function" /* as errors call it */

/* function_sandbox.c: makes what libraries find around them. 0, or -1: no memory. */
int function_sandbox_prepare(struct function_set *set);
/* Runs the library's code, so that it registers its functions. 0, or -1 and `error`. */
int function_sandbox_load(struct function_set *set, struct function_library *library, int64_t timeout_ms,
                          char error[LIBRARY_ERROR_BYTES]);
/* function_register.c: redis.register_function; the set is its upvalue. */
int function_register(lua_State *lua);

#endif
