/* Values between RESP and Lua, both ways, as Redis documents them (Lua API reference, "data type conversion"). */
#ifndef SLIPSTREAM_SCRIPT_CONVERT_H
#define SLIPSTREAM_SCRIPT_CONVERT_H

#include "server/base/bytes.h"
#include "server/resp/writer.h"

#include <lua.h>

/* Pushes the Lua value of the one reply that `encoded` holds. */
void script_push_reply(lua_State *lua, struct bytes encoded);
/* Takes the value on top of the stack away and writes it as a reply. script_protocol: what the script has asked for by
 * redis.setresp(). In a body of script_vm_enter() only. true: it was an error that is counted already. */
bool script_write_reply(lua_State *lua, struct reply *reply, int script_protocol);
/* An error's text as a reply: its code first; it needs not end in zero. */
void script_reply_error(struct reply *reply, struct bytes text);

#endif
