/* Lines to the system's log, for the processes that were told so. Any process. */
#include "server/base/syslog.h"

#include <stdio.h>
#include <string.h>
#include <syslog.h>

static int facility_number(const char *name)
{
    if (strcasecmp(name, "user") == 0) return LOG_USER;
    if (strncasecmp(name, "local", 5) == 0 && name[5] >= '0' && name[5] <= '7' && !name[6]) {
        return LOG_LOCAL0 + ((name[5] - '0') << 3);
    }
    return LOG_LOCAL0;
}

void syslog_open(const char *ident, const char *facility)
{
    static char kept_ident[64]; /* openlog keeps the pointer */
    snprintf(kept_ident, sizeof(kept_ident), "%s", ident);
    openlog(kept_ident, LOG_PID | LOG_NDELAY | LOG_NOWAIT, facility_number(facility));
}

void syslog_send(int level, const char *message)
{
    static const int priorities[] = {LOG_DEBUG, LOG_INFO, LOG_NOTICE, LOG_WARNING};
    syslog(priorities[level], "%s", message);
}
