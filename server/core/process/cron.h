/* What the server does by the clock, and what it does before each sleep of the loop. */
#ifndef SLIPSTREAM_CORE_CRON_H
#define SLIPSTREAM_CORE_CRON_H

struct core;

void cron_start(struct core *core); /* installs the timer and the loop's before-sleep hook */

#endif
