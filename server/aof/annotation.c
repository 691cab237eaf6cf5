/* Annotations, read and written. Server process, journal process and redis-check-aof. */
#include "server/aof/annotation.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/aof/scan.h"

#define NO_SECOND_ID "-"

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

/* --- the position --- */

void aof_position_begin_file(struct aof_position *p)
{
    p->told = false;
}

void aof_position_pass_command(struct aof_position *p, uint64_t bytes)
{
    if (p->told)
        p->offset += bytes;
    else
        p->known = false;
}

/* What is left of a line behind its name; NULL: it has another one. */
static const char *after_name(const char *line, const char *name)
{
    size_t len = strlen(name);
    return strncmp(line, name, len) == 0 ? line + len : NULL;
}

/* 0 and what is behind the number and its end; -1: no such number. */
static int read_offset(const char **at, const char *end, uint64_t *out)
{
    char *rest;
    if (!isdigit((unsigned char)**at)) return -1;
    errno = 0;
    *out = strtoull(*at, &rest, 10);
    if (errno || *out > INT64_MAX || strncmp(rest, end, strlen(end)) != 0) return -1;
    *at = rest + strlen(end);
    return 0;
}

static int read_id(const char **at, char out[AOF_HISTORY_ID_BYTES])
{
    size_t len = strspn(*at, "0123456789abcdefABCDEF");
    if (len != AOF_HISTORY_ID_BYTES - 1 || (*at)[len] != ':') return -1;
    memcpy(out, *at, len);
    out[len] = '\0';
    *at += len + 1;
    return 0;
}

static int read_history(struct aof_position *p, const char *at)
{
    uint64_t second;
    if (read_id(&at, p->id) != 0 || read_offset(&at, ":", &p->offset) != 0) return -1;
    p->second_id[0] = '\0';
    p->second_offset = -1;
    if (strcmp(at, NO_SECOND_ID ":-1\r\n") == 0) return 0;
    if (read_id(&at, p->second_id) != 0 || read_offset(&at, "\r\n", &second) != 0 || *at) return -1;
    p->second_offset = (int64_t)second;
    return 0;
}

static int read_position(struct aof_position *p, const char *history, const char *offset, const char *end)
{
    if (history) {
        if (read_history(p, history) != 0) return -1;
        p->told = true;
        return 0;
    }
    /* Without a history's id before it an offset says nothing. */
    const char *at = offset ? offset : end;
    if (!p->told || read_offset(&at, "\r\n", &p->offset) != 0 || *at) return -1;
    if (end) p->told = false;
    return 0;
}

bool aof_position_read(struct aof_position *p, struct bytes annotation)
{
    char line[AOF_NOTE_MAX_BYTES + 1];
    if (annotation.len > AOF_NOTE_MAX_BYTES) return false;
    memcpy(line, annotation.ptr, annotation.len);
    line[annotation.len] = '\0';
    const char *history = after_name(line, "#HISTORY:"), *offset = after_name(line, "#OFFSET:"),
               *end = after_name(line, "#END:");
    if (!history && !offset && !end) return false;
    p->known = read_position(p, history, offset, end) == 0;
    if (!p->known) p->told = false;
    return true;
}

/* --- written --- */

size_t aof_write_timestamp(char *out, int64_t seconds)
{
    return (size_t)snprintf(out, AOF_NOTE_MAX_BYTES, "#TS:%" PRId64 "\r\n", seconds);
}

size_t aof_write_history(char *out, const struct aof_position *p)
{
    bool second = p->second_id[0] && p->second_offset >= 0;
    return (size_t)snprintf(out, AOF_NOTE_MAX_BYTES, "#HISTORY:%s:%" PRIu64 ":%s:%" PRId64 "\r\n", p->id, p->offset,
                            second ? p->second_id : NO_SECOND_ID, second ? p->second_offset : -1);
}

size_t aof_write_offset(char *out, uint64_t offset)
{
    return (size_t)snprintf(out, AOF_NOTE_MAX_BYTES, "#OFFSET:%" PRIu64 "\r\n", offset);
}

size_t aof_write_end(char *out, uint64_t offset)
{
    return (size_t)snprintf(out, AOF_NOTE_MAX_BYTES, "#END:%" PRIu64 "\r\n", offset);
}
