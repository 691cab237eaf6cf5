/* A port is reserved by an abstract Unix socket with its number in the name: taken or not in one atomic step, and free
 * again by itself when the process that holds it ends, however it ends. */
#include "tests/harness/port.h"

#include "tests/harness/fail.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define FIRST_PORT 11000
#define LAST_PORT  21999 /* a Redis cluster bus would be 10000 above; both stay below 32768 */

static int claim(int port)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int len = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "slipstream-test-port-%d", port);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&name, offsetof(struct sockaddr_un, sun_path) + 1 + len) == 0) return fd;
    if (fd >= 0) close(fd);
    return -1;
}

static int is_free(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    int bound = bind(fd, (struct sockaddr *)&address, sizeof address);
    close(fd);
    return bound == 0;
}

int port_reserve(void)
{
    static int next;
    if (next == 0) next = FIRST_PORT + getpid() * 37 % (LAST_PORT - FIRST_PORT);
    for (int tries = 0; tries <= LAST_PORT - FIRST_PORT; tries++) {
        int port = next;
        next = next == LAST_PORT ? FIRST_PORT : next + 1;
        int lock = claim(port);
        if (lock < 0) continue;
        if (is_free(port)) return port;
        close(lock);
    }
    harness_fail("no free port between %d and %d", FIRST_PORT, LAST_PORT);
}
