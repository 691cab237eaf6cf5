/* What the server does by the clock, and what it does before the loop sends what has been written. */
#ifndef SLIPSTREAM_CORE_PROCESS_CRON_H
#define SLIPSTREAM_CORE_PROCESS_CRON_H

struct core;

void cron_start(struct core *core); /* installs the timer and the loop's hook */

#endif
