/* Annotations, read. Server process, journal and redis-check-aof. */
#include "server/aof/annotation.h"

#include <errno.h>
#include <stdlib.h>

#include "server/aof/scan.h"

enum aof_timestamp aof_read_timestamp(struct bytes annotation, int64_t *seconds)
{
    static const char name[] = "#TS:";
    char text[AOF_ANNOTATION_MAX_BYTES + 1], *end;
    if (annotation.len >= sizeof text || annotation.len < strlen(name) ||
        memcmp(annotation.ptr, name, strlen(name)) != 0)
        return AOF_TIMESTAMP_NONE;
    memcpy(text, annotation.ptr, annotation.len);
    text[annotation.len] = 0;
    errno = 0;
    long long value = strtoll(text + strlen(name), &end, 10);
    if (errno || strcmp(end, "\r\n") != 0) return AOF_TIMESTAMP_BAD;
    *seconds = value;
    return AOF_TIMESTAMP_READ;
}
