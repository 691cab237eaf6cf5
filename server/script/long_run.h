/* Scripts that run for long: others are answered meanwhile, and may stop them. */
#ifndef SLIPSTREAM_SCRIPT_LONG_RUN_H
#define SLIPSTREAM_SCRIPT_LONG_RUN_H

#include <stdbool.h>

#include <lua.h>

struct call;
struct script_engine;

void script_long_run_watch(struct script_engine *e); /* what runs now */
/* What runs has returned: raises the error of a script that was killed,
 * which pcall may have turned into its last value. */
void script_long_run_check(struct script_engine *e, lua_State *lua);
void script_long_run_end(struct script_engine *e); /* it has ended, one way or another */
/* SCRIPT KILL and, of functions, FUNCTION KILL. Answers. */
void script_kill(struct script_engine *e, struct call *call, bool function);

#endif
