/* A replica that runs already must follow its master again when the lab ends, also when it is interrupted. */
#ifndef LAB_ATTACHED_H
#define LAB_ATTACHED_H

#include "bench/servers/contestant.h"

/* Once, before any thread: from now on SIGINT, SIGTERM and SIGHUP put the guarded replica back, and end the program. */
void attached_watch_signals(void);
/* The replica that has to be put back, and whom it has to follow then; NULL: nobody any more. */
void attached_guard(const struct instance *replica, const char *host, int port);

#endif
