/* A bare socket, with a bound on every wait. */
#include "tests/harness/raw.h"

#include "tests/harness/fail.h"
#include "tests/harness/wait.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int connected(int fd, const void *address, socklen_t len)
{
    if (fd < 0) return -1;
    if (connect(fd, address, len) == 0) return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

int raw_try_connect(const char *host, int port)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1)
        return connected(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), &v4, sizeof v4);
    if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1)
        return connected(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), &v6, sizeof v6);
    errno = EINVAL;
    return -1;
}

int raw_connect(const struct server *s)
{
    int fd = raw_try_connect("127.0.0.1", s->port);
    if (fd < 0) harness_fail("connecting to port %d: %s", s->port, strerror(errno));
    return fd;
}

int raw_connect_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    return connected(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), &address, sizeof address);
}

/* The other end may close while we still write (it has seen enough): what it said is then read all the same. */
void raw_send(int fd, const void *data, size_t len)
{
    const char *at = data;
    while (len) {
        ssize_t sent = send(fd, at, len, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0) return;
        at += sent;
        len -= sent;
    }
}

void raw_send_text(int fd, const char *text)
{
    raw_send(fd, text, strlen(text));
}

/* Bytes read, 0 at the end; fails the test when nothing comes. */
static size_t read_some(const char *file, int line, int fd, char *into, size_t room)
{
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    if (poll(&entry, 1, PATIENCE_MS) == 0) harness_fail_at(file, line, "nothing came in %d ms", PATIENCE_MS);
    ssize_t got = recv(fd, into, room, 0);
    return got < 0 ? 0 : (size_t)got; /* a reset is an end, too */
}

void raw_expect_at(const char *file, int line, int fd, const char *text)
{
    size_t len = strlen(text), have = 0;
    char *got = calloc(1, len + 1);
    while (have < len) {
        size_t more = read_some(file, line, fd, got + have, len - have);
        if (!more || memcmp(got, text, have + more) != 0)
            harness_fail_at(file, line, "expected \"%.300s\", got \"%.300s\"%s", text, got,
                            more ? "" : ", then the end");
        have += more;
    }
    free(got);
}

void raw_skip_past_at(const char *file, int line, int fd, const char *text)
{
    enum { MOST = 64 * 1024 };
    static char got[MOST];
    size_t len = strlen(text), have = 0;
    do {
        if (have == MOST || !read_some(file, line, fd, got + have, 1))
            harness_fail_at(file, line, "no \"%.300s\" in \"%.*s\"", text, (int)(have < 300 ? have : 300), got);
        have++;
    } while (have < len || memcmp(got + have - len, text, len) != 0);
}

char *raw_read_to_end(int fd, size_t *len)
{
    char *text = NULL, part[16384];
    FILE *out = open_memstream(&text, len);
    for (size_t n; (n = read_some(__FILE__, __LINE__, fd, part, sizeof part)) > 0;) fwrite(part, 1, n, out);
    fclose(out);
    return text;
}

bool raw_is_closed(int fd)
{
    char byte;
    ssize_t got = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN);
}
