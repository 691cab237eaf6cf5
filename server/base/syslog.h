/* The system's log as a second place for our lines (`syslog-enabled`). Apart from log.c because the names of
 * <syslog.h>'s priorities are the names of our levels. */
#ifndef SLIPSTREAM_BASE_SYSLOG_H
#define SLIPSTREAM_BASE_SYSLOG_H

/* facility: "user" or "local0" to "local7", any case; anything else is taken as local0, Redis's default. */
void syslog_open(const char *ident, const char *facility);
void syslog_send(int level, const char *message); /* level: enum log_level */

#endif
