/* See fake_master.h. */
#include "tests/harness/fake_master.h"

#include "tests/harness/fail.h"
#include "tests/harness/port.h"
#include "tests/harness/raw.h"
#include "tests/harness/wait.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

void fake_master_open(struct fake_master *m)
{
    *m = (struct fake_master){.port = port_reserve(), .fd = -1};
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)m->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    m->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(m->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(m->listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(m->listener, 5) != 0)
        harness_fail("no listener on port %d", m->port);
}

static char next_byte(int fd)
{
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    char c;
    if (poll(&waiting, 1, PATIENCE_MS) != 1) harness_fail("the replica says nothing");
    return read(fd, &c, 1) == 1 ? c : '\0';
}

/* Without its end; false: closed. */
static bool read_line(int fd, char *out, size_t size)
{
    size_t len = 0;
    for (char c; (c = next_byte(fd)) != '\n';) {
        if (!c) return false;
        if (c != '\r' && len + 1 < size) out[len++] = c;
    }
    out[len] = '\0';
    return true;
}

/* One request's first three words; false: closed. Newlines in between are signs of life. */
static bool read_request(int fd, char words[3][64])
{
    char line[128];
    memset(words, 0, 3 * sizeof words[0]);
    do
        if (!read_line(fd, line, sizeof line)) return false;
    while (!line[0]);
    int count = atoi(line + 1);
    for (int i = 0; i < count; i++) {
        char value[128];
        if (!read_line(fd, line, sizeof line) || !read_line(fd, value, sizeof value)) return false;
        if (i < 3) snprintf(words[i], sizeof words[i], "%.63s", value);
    }
    return true;
}

void fake_master_take_in(struct fake_master *m)
{
    struct pollfd waiting = {.fd = m->listener, .events = POLLIN};
    char words[3][64];
    fake_master_drop(m);
    if (poll(&waiting, 1, PATIENCE_MS) != 1) harness_fail("no replica came");
    m->fd = accept(m->listener, NULL, NULL);
    for (;;) {
        if (!read_request(m->fd, words)) harness_fail("the replica went away in the handshake");
        if (strcasecmp(words[0], "PSYNC") == 0) break;
        raw_send_text(m->fd, strcasecmp(words[0], "PING") == 0 ? "+PONG\r\n" : "+OK\r\n");
    }
    snprintf(m->asked_id, sizeof m->asked_id, "%s", words[1]);
    m->asked_offset = atoll(words[2]);
}

void fake_master_send_dataset(struct fake_master *m, const char *snapshot, size_t len)
{
    char head[128];
    snprintf(head, sizeof head, "+FULLRESYNC " FAKE_MASTER_ID " 1000\r\n$%zu\r\n", len);
    raw_send_text(m->fd, head);
    raw_send(m->fd, snapshot, len);
}

void fake_master_send(struct fake_master *m, const char *text)
{
    raw_send_text(m->fd, text);
}

long long fake_master_wait_ack(struct fake_master *m, long long offset)
{
    char words[3][64];
    while (read_request(m->fd, words))
        if (strcasecmp(words[1], "ACK") == 0 && atoll(words[2]) >= offset) return atoll(words[2]);
    return -1;
}

void fake_master_drop(struct fake_master *m)
{
    if (m->fd >= 0) close(m->fd);
    m->fd = -1;
}

void fake_master_close(struct fake_master *m)
{
    fake_master_drop(m);
    close(m->listener);
}
