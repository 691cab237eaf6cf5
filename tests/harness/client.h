/* Commands and what they must answer, on a server's own connection (made when first needed, and again after an error).
 * Formats are hiredis': %s a string, %d an integer, %b bytes and their length. A surprise fails the test. */
#ifndef HARNESS_CLIENT_H
#define HARNESS_CLIENT_H

#include "tests/harness/server.h"

/* The reply, freed by the caller with freeReplyObject(). Fails the test if the connection breaks. */
redisReply *command(struct server *s, const char *format, ...);
redisReply *try_command(struct server *s, const char *format, ...); /* NULL if the connection breaks */
/* The server's connection, for pipelining with redisAppendCommand() and receive(). */
redisContext *connection(struct server *s);
redisReply *receive(struct server *s);

void expect_status_at(const char *file, int line, struct server *s, const char *status, const char *format, ...);
void expect_integer_at(const char *file, int line, struct server *s, long long value, const char *format, ...);
void expect_string_at(const char *file, int line, struct server *s, const char *value, const char *format, ...);
void expect_nil_at(const char *file, int line, struct server *s, const char *format, ...);
/* The error's text begins so. */
void expect_error_at(const char *file, int line, struct server *s, const char *prefix, const char *format, ...);

#define expect_ok(s, ...)             expect_status_at(__FILE__, __LINE__, s, "OK", __VA_ARGS__)
#define expect_status(s, status, ...) expect_status_at(__FILE__, __LINE__, s, status, __VA_ARGS__)
#define expect_integer(s, value, ...) expect_integer_at(__FILE__, __LINE__, s, value, __VA_ARGS__)
#define expect_string(s, value, ...)  expect_string_at(__FILE__, __LINE__, s, value, __VA_ARGS__)
#define expect_nil(s, ...)            expect_nil_at(__FILE__, __LINE__, s, __VA_ARGS__)
#define expect_error(s, prefix, ...)  expect_error_at(__FILE__, __LINE__, s, prefix, __VA_ARGS__)

long long command_integer(struct server *s, const char *format, ...);
/* A string's or a status's text, valid until the process ends. */
const char *command_text(struct server *s, const char *format, ...);

/* One field of INFO: its text (valid as above; "" if there is no such field), or its number (the test fails without
 * one). */
const char *info_text(struct server *s, const char *section, const char *field);
long long info_number(struct server *s, const char *section, const char *field);
bool info_is(struct server *s, const char *section, const char *field, const char *text);
/* The same for a server that may be gone, or close our connection: false then. */
bool info_text_if_there(struct server *s, const char *section, const char *field, char *out, size_t size);
bool info_is_if_there(struct server *s, const char *section, const char *field, const char *text);

const char *config_get(struct server *s, const char *name);

/* count keys "<prefix><i>" with values of value_bytes, pipelined. */
void fill(struct server *s, const char *prefix, int count, int value_bytes);

#endif
