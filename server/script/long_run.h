/* Scripts that run for long: others are answered meanwhile, and may stop them. */
#ifndef SLIPSTREAM_SCRIPT_LONG_RUN_H
#define SLIPSTREAM_SCRIPT_LONG_RUN_H

#include <stdbool.h>

struct call;
struct script_engine;

void script_long_run_watch(struct script_engine *e); /* what runs now */
void script_long_run_end(struct script_engine *e);   /* it has ended, one way or another */
/* SCRIPT KILL and, of functions, FUNCTION KILL. Answers. */
void script_kill(struct script_engine *e, struct call *call, bool function);

#endif
