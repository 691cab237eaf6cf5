/* What the server does by the clock, and what it does before the loop sends what has been written. */
#ifndef SLIPSTREAM_CORE_PROCESS_CRON_H
#define SLIPSTREAM_CORE_PROCESS_CRON_H

#include <stdbool.h>

struct core;

void cron_start(struct core *core); /* installs the timer and the loop's hook */
void cron_set_paused(bool paused);  /* DEBUG PAUSE-CRON: nothing happens by the clock, and requests are answered */

#endif
