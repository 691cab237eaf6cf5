/* A bare socket: bytes out, bytes in, for tests of the protocol itself. */
#ifndef HARNESS_RAW_H
#define HARNESS_RAW_H

#include "tests/harness/server.h"

int raw_connect(const struct server *s);         /* a blocking socket, the caller's to close */
int raw_try_connect(const char *host, int port); /* a numeric address, v4 or v6; -1 with errno */
int raw_connect_unix(const char *path);          /* -1 with errno */
void raw_send(int fd, const void *data, size_t len);
void raw_send_text(int fd, const char *text);
/* Reads until `text` has arrived, or fails the test with what came instead. */
void raw_expect_at(const char *file, int line, int fd, const char *text);
#define raw_expect(fd, text) raw_expect_at(__FILE__, __LINE__, fd, text)
/* Reads past the next occurrence of `text`, whatever stands before it, and no byte more; at most 64 KiB. */
void raw_skip_past_at(const char *file, int line, int fd, const char *text);
#define raw_skip_past(fd, text) raw_skip_past_at(__FILE__, __LINE__, fd, text)
/* Reads until the other end closes, or fails the test after the usual patience. The caller frees the text. */
char *raw_read_to_end(int fd, size_t *len);
bool raw_is_closed(int fd); /* the other end has closed; does not wait */

#endif
