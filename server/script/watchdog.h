/* Interrupts a Lua state that has run for long: from then on, again and again, until it ends. */
#ifndef SLIPSTREAM_SCRIPT_WATCHDOG_H
#define SLIPSTREAM_SCRIPT_WATCHDOG_H

#include <lua.h>
#include <stdint.h>

void script_watchdog_init(void); /* once, on the thread that will run Lua */
/* Code of the state starts to run. Once it has done so for that long, `interrupt` is called between two instructions of
 * it, every few milliseconds; it may raise an error. after_ms 0: never. */
void script_watchdog_start(lua_State *lua, int64_t after_ms, lua_Hook interrupt);
void script_watchdog_stop(void);
/* Inside `interrupt`: no code of the state will run any more; each instruction that tries calls this first. */
void script_watchdog_stop_with(lua_State *lua, lua_Hook refuse);

#endif
