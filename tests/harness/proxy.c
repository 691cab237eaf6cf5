/* One thread, one poll(): accepts, connects to the target, and moves bytes between the two sides of each pair. All
 * calls from outside set a wish under the lock and wake the thread; those that promise an effect wait until it has been
 * had. */
#include "tests/harness/proxy.h"

#include "tests/harness/fail.h"
#include "tests/harness/port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAIRS_MAX    64
#define BUFFER_BYTES 65536

enum mode { PASS, CUT, STALL, HALF_OPEN, DEAF };

/* Bytes on their way in one direction. */
struct flow {
    uint8_t bytes[BUFFER_BYTES];
    size_t from, to;
    bool ended; /* the source said so */
};

struct pair {
    int caller, target; /* -1: closed */
    struct flow to_caller, to_target;
};

struct proxy {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t applied;
    int port, target_port, listener, wake;
    enum mode mode, wished;
    bool stopping, limited;
    uint64_t limit_bytes; /* still allowed to the caller, if limited */
    uint64_t bytes_to_caller;
    struct pair *pairs[PAIRS_MAX];
    int pair_count;
};

static int socket_to(int port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        close(fd);
        return -1;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static void close_side(int *fd)
{
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

static void drop_pair(struct proxy *p, int i)
{
    close_side(&p->pairs[i]->caller);
    close_side(&p->pairs[i]->target);
    free(p->pairs[i]);
    p->pairs[i] = p->pairs[--p->pair_count];
}

static void accept_one(struct proxy *p)
{
    int yes = 1, caller = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (caller < 0) return;
    int target = p->mode == PASS && p->pair_count < PAIRS_MAX ? socket_to(p->target_port) : -1;
    if (target < 0) {
        close(caller);
        return;
    }
    setsockopt(caller, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    struct pair *pair = calloc(1, sizeof *pair);
    pair->caller = caller;
    pair->target = target;
    p->pairs[p->pair_count++] = pair;
}

static void apply_mode(struct proxy *p)
{
    if (p->mode == p->wished) return;
    enum mode before = p->mode;
    p->mode = p->wished;
    for (int i = p->pair_count - 1; i >= 0; i--) {
        struct pair *pair = p->pairs[i];
        bool crippled = before == HALF_OPEN || before == DEAF;
        if (p->mode == CUT || crippled)
            drop_pair(p, i);
        else if (p->mode == HALF_OPEN)
            close_side(&pair->target);
        else if (p->mode == DEAF)
            close_side(&pair->caller);
    }
}

/* Moves what it can from one side to the other; false when the pair is finished. */
static bool move(struct proxy *p, struct flow *flow, int from, int to, bool to_caller)
{
    if (from < 0) return true;
    if (flow->from == flow->to && !flow->ended) {
        ssize_t got = recv(from, flow->bytes, sizeof flow->bytes, 0);
        if (got == 0) flow->ended = true;
        if (got < 0 && errno != EAGAIN && errno != EINTR) return false;
        flow->from = 0;
        flow->to = got > 0 ? (size_t)got : 0;
    }
    if (to < 0) flow->from = flow->to; /* nobody is there any more: swallowed */
    size_t len = flow->to - flow->from;
    if (to_caller && p->limited && len > p->limit_bytes) len = p->limit_bytes;
    if (len) {
        ssize_t sent = send(to, flow->bytes + flow->from, len, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN && errno != EINTR) return false;
        if (sent < 0) sent = 0;
        flow->from += sent;
        if (to_caller) p->bytes_to_caller += sent;
        if (to_caller && p->limited) p->limit_bytes -= sent;
    }
    if (to_caller && p->limited && p->limit_bytes == 0) {
        p->limited = false;
        p->wished = CUT;
    }
    return !(flow->ended && flow->from == flow->to);
}

static void watch(struct pollfd *entry, int fd, const struct flow *in, const struct flow *out, int other)
{
    *entry = (struct pollfd){.fd = fd};
    if (fd < 0) return;
    if (!in->ended && (in->from == in->to || other < 0)) entry->events |= POLLIN;
    if (out->from < out->to) entry->events |= POLLOUT;
}

static void *proxy_main(void *arg)
{
    struct proxy *p = arg;
    struct pollfd fds[2 + 2 * PAIRS_MAX];
    pthread_mutex_lock(&p->lock);
    while (!p->stopping) {
        apply_mode(p);
        pthread_cond_broadcast(&p->applied);
        fds[0] = (struct pollfd){.fd = p->wake, .events = POLLIN};
        fds[1] = (struct pollfd){.fd = p->listener, .events = POLLIN};
        int count = p->mode == STALL ? 0 : p->pair_count;
        for (int i = 0; i < count; i++) {
            struct pair *pair = p->pairs[i];
            watch(&fds[2 + 2 * i], pair->caller, &pair->to_target, &pair->to_caller, pair->target);
            watch(&fds[3 + 2 * i], pair->target, &pair->to_caller, &pair->to_target, pair->caller);
        }
        pthread_mutex_unlock(&p->lock);
        poll(fds, 2 + 2 * count, -1);
        pthread_mutex_lock(&p->lock);
        uint64_t rung;
        if (fds[0].revents && read(p->wake, &rung, sizeof rung) < 0) continue;
        if (p->mode != p->wished) continue;
        for (int i = count - 1; i >= 0 && p->mode == p->wished; i--) {
            struct pair *pair = p->pairs[i];
            if (!fds[2 + 2 * i].revents && !fds[3 + 2 * i].revents) continue;
            if (!move(p, &pair->to_target, pair->caller, pair->target, false) ||
                !move(p, &pair->to_caller, pair->target, pair->caller, true))
                drop_pair(p, i);
        }
        if (fds[1].revents) accept_one(p);
    }
    while (p->pair_count) drop_pair(p, p->pair_count - 1);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

struct proxy *proxy_start(int target_port)
{
    struct proxy *p = calloc(1, sizeof *p);
    p->port = port_reserve();
    p->target_port = target_port;
    p->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->applied, NULL);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(p->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int yes = 1;
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    setsockopt(p->listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(p->listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(p->listener, 64) < 0)
        harness_fail("proxy on port %d: %s", p->port, strerror(errno));
    if (pthread_create(&p->thread, NULL, proxy_main, p) != 0) harness_fail("no thread for a proxy");
    return p;
}

int proxy_port(const struct proxy *p)
{
    return p->port;
}

static void wake(struct proxy *p)
{
    uint64_t one = 1;
    if (write(p->wake, &one, sizeof one) < 0 && errno != EAGAIN) harness_fail("eventfd: %s", strerror(errno));
}

void proxy_stop(struct proxy *p)
{
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    wake(p);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->thread, NULL);
    close(p->listener);
    close(p->wake);
    pthread_cond_destroy(&p->applied);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

static void wish(struct proxy *p, enum mode mode)
{
    pthread_mutex_lock(&p->lock);
    p->wished = mode;
    p->limited = false;
    wake(p);
    while (p->mode != mode) pthread_cond_wait(&p->applied, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

void proxy_cut(struct proxy *p)
{
    wish(p, CUT);
}
void proxy_heal(struct proxy *p)
{
    wish(p, PASS);
}
void proxy_stall(struct proxy *p)
{
    wish(p, STALL);
}
void proxy_half_open(struct proxy *p)
{
    wish(p, HALF_OPEN);
}
void proxy_deaf(struct proxy *p)
{
    wish(p, DEAF);
}

void proxy_cut_after(struct proxy *p, uint64_t bytes)
{
    pthread_mutex_lock(&p->lock);
    p->limited = true;
    p->limit_bytes = bytes;
    pthread_mutex_unlock(&p->lock);
}

uint64_t proxy_bytes_to_caller(struct proxy *p)
{
    pthread_mutex_lock(&p->lock);
    uint64_t bytes = p->bytes_to_caller;
    pthread_mutex_unlock(&p->lock);
    return bytes;
}
