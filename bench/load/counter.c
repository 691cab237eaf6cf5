/* See counter.h. */
#include "bench/load/counter.h"

#include <stdio.h>
#include <string.h>

#define LONGEST_STRING (1ll << 40)

/* The number of a line such as "$12\r"; -1 for "$-1", "*-1" and "$?". */
static int64_t number_of(const char *line, size_t len)
{
    int64_t n = 0;
    for (size_t i = 1; i < len && line[i] >= '0' && line[i] <= '9'; i++) {
        n = n * 10 + (line[i] - '0');
        if (n > LONGEST_STRING) return -1;
    }
    return len > 1 && line[1] >= '0' && line[1] <= '9' ? n : -1;
}

static void note_error(struct counter *c, const char *text, size_t len)
{
    if (len && text[len - 1] == '\r') len--;
    if (!c->errors++) snprintf(c->first_error, sizeof c->first_error, "%.*s", (int)len, text);
}

/* A value's first line, without its LF. 0; -1: no RESP. */
static int begin_value(struct counter *c, const char *line, size_t len)
{
    int64_t n;
    if (c->elements > 0) c->elements--;
    switch (len ? line[0] : 0) {
    case '-': note_error(c, line + 1, len - 1); return 0;
    case '!': note_error(c, "a bulk error", strlen("a bulk error")); __attribute__((fallthrough));
    case '$':
    case '=':
        n = number_of(line, len);
        if (n >= 0) c->skip = (uint64_t)n + 2;
        return 0;
    case '*':
    case '~':
    case '>':
        n = number_of(line, len);
        if (n > 0) c->elements += n;
        return 0;
    case '%':
        n = number_of(line, len);
        if (n > 0) c->elements += 2 * n;
        return 0;
    case '+':
    case ':':
    case '_':
    case ',':
    case '#':
    case '(': return 0;
    default: return -1;
    }
}

long counter_take(struct counter *c, const char *bytes, size_t len)
{
    const char *at = bytes, *end = bytes + len;
    long values = 0;
    while (at < end) {
        if (c->skip) {
            size_t here = c->skip < (uint64_t)(end - at) ? (size_t)c->skip : (size_t)(end - at);
            at += here;
            c->skip -= here;
            values += !c->skip && !c->elements;
            continue;
        }
        const char *lf = memchr(at, '\n', (size_t)(end - at));
        size_t piece = (size_t)((lf ? lf : end) - at);
        const char *line = at;
        size_t line_len = piece;
        if (c->line_len || !lf) {
            size_t room = sizeof c->line - c->line_len, kept = piece < room ? piece : room;
            memcpy(c->line + c->line_len, at, kept);
            c->line_len = (uint8_t)(c->line_len + kept);
            line = c->line;
            line_len = c->line_len;
        }
        at += piece + (lf != NULL);
        if (!lf) break;
        c->line_len = 0;
        if (begin_value(c, line, line_len) != 0) return -1;
        values += !c->skip && !c->elements;
    }
    return values;
}
