/* The lines that --check-upgrade prints. The checker, a process of its own. */
#include "server/core/process/check_upgrade.h"

#include <stdarg.h>
#include <stdio.h>

void check_upgrade_say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("       ", stdout);
    vprintf(format, args);
    putchar('\n');
    va_end(args);
}

int check_upgrade_lacks(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("[lack] ", stdout);
    vprintf(format, args);
    putchar('\n');
    va_end(args);
    return 1;
}
