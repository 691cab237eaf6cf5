/* Interrupts a Lua state that has run for long: from then on, again and again, until it ends. */
#ifndef SLIPSTREAM_SCRIPT_WATCHDOG_H
#define SLIPSTREAM_SCRIPT_WATCHDOG_H

#include "server/base/check.h"

#include <lua.h>
#include <stdint.h>

void script_watchdog_init(void); /* once, on the thread that will run Lua */
/* Code of the state starts to run. Once it has done so for that long, `interrupt` is called between two instructions of
 * it, every few milliseconds; it may raise an error. after_ms 0: never. */
void script_watchdog_start(lua_State *lua, int64_t after_ms, lua_Hook interrupt);
void script_watchdog_stop(void);
/* A C function that may take long says so from time to time, since no instruction is run meanwhile: what has become due
 * is called now, which may raise an error. */
static inline void script_watchdog_poll(lua_State *lua)
{
    lua_Hook due = lua_gethook(lua);
    if (unlikely(due != 0)) due(lua, NULL);
}

/* The same, for something small that is done again and again: counted by the caller, and looked at now and then. */
static inline void script_watchdog_poll_sometimes(lua_State *lua, uint32_t *count)
{
    if (unlikely(++*count % 1024 == 0)) script_watchdog_poll(lua);
}
/* Other code is to run inside `interrupt`, and may be watched for itself: what is watched now, to be resumed later. */
struct script_watch {
    lua_State *lua;
    lua_Hook interrupt;
    uint64_t running;
    int64_t after_us, seen_us;
};
struct script_watch script_watchdog_suspend(void);
void script_watchdog_resume(const struct script_watch *watch);
/* Inside `interrupt`: no code of the state will run any more; each instruction that tries calls this first. */
void script_watchdog_stop_with(lua_State *lua, lua_Hook refuse);

#endif
