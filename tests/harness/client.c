/* Commands and the answers expected of them. */
#include "tests/harness/client.h"

#include "tests/harness/fail.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILL_BATCH 1000

/* Kept until the process ends: a test is short, and its texts must outlast any number of polls. */
struct text {
    struct text *older;
    char bytes[];
};
static struct text *texts;

static const char *keep_text(const char *from, size_t len)
{
    struct text *t = malloc(sizeof *t + len + 1);
    memcpy(t->bytes, from, len);
    t->bytes[len] = '\0';
    t->older = texts;
    texts = t;
    return t->bytes;
}

redisContext *connection(struct server *s)
{
    if (!s->client) s->client = server_connect(s);
    if (s->client->err) harness_fail("connecting to port %d: %s", s->port, s->client->errstr);
    return s->client;
}

static void drop_connection(struct server *s)
{
    if (s->client) redisFree(s->client);
    s->client = NULL;
}

static redisReply *try_commandv(struct server *s, const char *format, va_list args)
{
    if (!s->client) {
        redisContext *c = server_connect(s);
        if (c->err) {
            redisFree(c);
            return NULL;
        }
        s->client = c;
    }
    redisReply *reply = redisvCommand(s->client, format, args);
    if (!reply) drop_connection(s);
    return reply;
}

static redisReply *commandv(const char *file, int line, struct server *s, const char *format, va_list args)
{
    redisReply *reply = redisvCommand(connection(s), format, args);
    if (reply) return reply;
    char error[128];
    snprintf(error, sizeof error, "%s", s->client->errstr);
    drop_connection(s);
    harness_fail_at(file, line, "'%s' on port %d: %s", format, s->port, error);
}

redisReply *command(struct server *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    redisReply *reply = commandv(__FILE__, __LINE__, s, format, args);
    va_end(args);
    return reply;
}

redisReply *try_command(struct server *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    redisReply *reply = try_commandv(s, format, args);
    va_end(args);
    return reply;
}

redisReply *receive(struct server *s)
{
    void *reply;
    if (redisGetReply(connection(s), &reply) != REDIS_OK)
        harness_fail("reading a reply from port %d: %s", s->port, s->client->errstr);
    return reply;
}

/* What a reply looks like, for messages. */
static const char *shown(const redisReply *r)
{
    static char text[600];
    switch (r->type) {
    case REDIS_REPLY_NIL: return "nil";
    case REDIS_REPLY_INTEGER: snprintf(text, sizeof text, "(integer) %lld", r->integer); break;
    case REDIS_REPLY_ARRAY: snprintf(text, sizeof text, "an array of %zu", r->elements); break;
    case REDIS_REPLY_ERROR: snprintf(text, sizeof text, "(error) %.500s", r->str); break;
    default: snprintf(text, sizeof text, "\"%.500s\"", r->str); break;
    }
    return text;
}

static void expect_text(const char *file, int line, redisReply *r, int type, const char *text, const char *format)
{
    if (r->type != type || strcmp(r->str, text) != 0)
        harness_fail_at(file, line, "'%s' should answer \"%.200s\", but: %s", format, text, shown(r));
    freeReplyObject(r);
}

void expect_status_at(const char *file, int line, struct server *s, const char *status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    expect_text(file, line, commandv(file, line, s, format, args), REDIS_REPLY_STATUS, status, format);
    va_end(args);
}

void expect_string_at(const char *file, int line, struct server *s, const char *value, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    expect_text(file, line, commandv(file, line, s, format, args), REDIS_REPLY_STRING, value, format);
    va_end(args);
}

void expect_integer_at(const char *file, int line, struct server *s, long long value, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    redisReply *r = commandv(file, line, s, format, args);
    va_end(args);
    if (r->type != REDIS_REPLY_INTEGER || r->integer != value)
        harness_fail_at(file, line, "'%s' should answer %lld, but: %s", format, value, shown(r));
    freeReplyObject(r);
}

void expect_nil_at(const char *file, int line, struct server *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    redisReply *r = commandv(file, line, s, format, args);
    va_end(args);
    if (r->type != REDIS_REPLY_NIL) harness_fail_at(file, line, "'%s' should answer nil, but: %s", format, shown(r));
    freeReplyObject(r);
}

void expect_error_at(const char *file, int line, struct server *s, const char *prefix, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    redisReply *r = commandv(file, line, s, format, args);
    va_end(args);
    if (r->type != REDIS_REPLY_ERROR || strncmp(r->str, prefix, strlen(prefix)) != 0)
        harness_fail_at(file, line, "'%s' should fail with '%s...', but: %s", format, prefix, shown(r));
    freeReplyObject(r);
}

long long command_integer(struct server *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    redisReply *r = commandv(__FILE__, __LINE__, s, format, args);
    va_end(args);
    if (r->type != REDIS_REPLY_INTEGER) harness_fail("'%s' should answer an integer, but: %s", format, shown(r));
    long long value = r->integer;
    freeReplyObject(r);
    return value;
}

const char *command_text(struct server *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    redisReply *r = commandv(__FILE__, __LINE__, s, format, args);
    va_end(args);
    if (r->type != REDIS_REPLY_STRING && r->type != REDIS_REPLY_STATUS)
        harness_fail("'%s' should answer a text, but: %s", format, shown(r));
    const char *text = keep_text(r->str, r->len);
    freeReplyObject(r);
    return text;
}

static const char *field_of(const char *info, const char *field)
{
    size_t len = strlen(field);
    for (const char *line = info; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
        if (strncmp(line, field, len) == 0 && line[len] == ':') return line + len + 1;
    return NULL;
}

/* The whole INFO section; *value points at the field's text in it, or is NULL. */
static redisReply *info(struct server *s, const char *section, const char *field, const char **value, size_t *len)
{
    redisReply *r = command(s, "INFO %s", section);
    *value = r->type == REDIS_REPLY_STRING ? field_of(r->str, field) : NULL;
    *len = *value ? strcspn(*value, "\r\n") : 0;
    return r;
}

const char *info_text(struct server *s, const char *section, const char *field)
{
    const char *value;
    size_t len;
    redisReply *r = info(s, section, field, &value, &len);
    const char *kept = value ? keep_text(value, len) : "";
    freeReplyObject(r);
    return kept;
}

long long info_number(struct server *s, const char *section, const char *field)
{
    const char *value;
    char *end = NULL;
    size_t len;
    redisReply *r = info(s, section, field, &value, &len);
    long long number = value ? strtoll(value, &end, 10) : 0;
    if (!value || end == value) harness_fail("INFO %s on port %d has no number %s", section, s->port, field);
    freeReplyObject(r);
    return number;
}

bool info_is(struct server *s, const char *section, const char *field, const char *text)
{
    const char *value;
    size_t len;
    redisReply *r = info(s, section, field, &value, &len);
    bool same = value && len == strlen(text) && memcmp(value, text, len) == 0;
    freeReplyObject(r);
    return same;
}

bool info_text_if_there(struct server *s, const char *section, const char *field, char *out, size_t size)
{
    redisReply *r = try_command(s, "INFO %s", section);
    if (!r) return false;
    const char *value = r->type == REDIS_REPLY_STRING ? field_of(r->str, field) : NULL;
    if (value) snprintf(out, size, "%.*s", (int)strcspn(value, "\r\n"), value);
    freeReplyObject(r);
    return value != NULL;
}

bool info_is_if_there(struct server *s, const char *section, const char *field, const char *text)
{
    char value[512];
    return info_text_if_there(s, section, field, value, sizeof value) && strcmp(value, text) == 0;
}

const char *config_get(struct server *s, const char *name)
{
    redisReply *r = command(s, "CONFIG GET %s", name);
    if (r->type != REDIS_REPLY_ARRAY || r->elements != 2) harness_fail("CONFIG GET %s: %s", name, shown(r));
    const char *value = keep_text(r->element[1]->str, r->element[1]->len);
    freeReplyObject(r);
    return value;
}

void fill(struct server *s, const char *prefix, int count, int value_bytes)
{
    char *value = malloc(value_bytes + 1);
    memset(value, 'v', value_bytes);
    for (int done = 0; done < count; done += FILL_BATCH) {
        int batch = count - done < FILL_BATCH ? count - done : FILL_BATCH;
        for (int i = 0; i < batch; i++)
            redisAppendCommand(connection(s), "SET %s%d %b", prefix, done + i, value, (size_t)value_bytes);
        for (int i = 0; i < batch; i++) {
            redisReply *r = receive(s);
            if (r->type != REDIS_REPLY_STATUS) harness_fail("filling port %d: %s", s->port, shown(r));
            freeReplyObject(r);
        }
    }
    free(value);
}
