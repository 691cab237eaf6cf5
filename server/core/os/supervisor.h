/* Whoever started us and wants to know how we are: systemd or upstart, as the directive `supervised` says. */
#ifndef SLIPSTREAM_CORE_OS_SUPERVISOR_H
#define SLIPSTREAM_CORE_OS_SUPERVISOR_H

#include <stdbool.h>

enum supervision { SUPERVISED_NO, SUPERVISED_UPSTART, SUPERVISED_SYSTEMD, SUPERVISED_AUTO };

/* Reports to the supervisor, once the log is open. true: there is one, so the process must stay in the foreground. */
bool supervisor_start(enum supervision wanted);
/* Tells systemd "VARIABLE=value" (READY=1, STOPPING=1, STATUS=...); nothing where another or nobody supervises. */
void supervisor_tell(const char *state);

#endif
