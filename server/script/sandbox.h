/* What scripts find around them: Lua's libraries without what reaches the machine, and the globals read-only. */
#ifndef SLIPSTREAM_SCRIPT_SANDBOX_H
#define SLIPSTREAM_SCRIPT_SANDBOX_H

#include <lua.h>

struct script_vm;

/* Lua's own libraries, bound; into the globals of a new state. To be called in a body of script_vm_enter(). */
void script_sandbox_open(lua_State *lua);
/* Opens a library: what open() leaves on the stack becomes the global `name`, protected. */
void script_sandbox_add(lua_State *lua, const char *name, lua_CFunction open);
/* From now on the globals are read-only, too, and reading one that is not there is an error. */
void script_sandbox_close(lua_State *lua);

#endif
