/* See info_field.h. Server process. */
#include "server/base/info_field.h"

#include <stdarg.h>
#include <stdio.h>

#define LINE_BYTES_MAX 1024

void info_field(struct outq *out, const char *format, ...)
{
    char line[LINE_BYTES_MAX];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(line, sizeof line - 2, format, args);
    va_end(args);
    if (len > (int)sizeof line - 3) len = sizeof line - 3;
    memcpy(line + len, "\r\n", 2);
    outq_append(out, line, (size_t)len + 2);
}
