/* One thread, one poll(): accepts, connects to the target, and moves bytes between the two sides of each pair. All
 * calls from outside set a wish under the lock and wake the thread; those that promise an effect wait until it has been
 * had. */
#include "tests/harness/proxy.h"

#include "tests/harness/clock.h"
#include "tests/harness/fail.h"
#include "tests/harness/flow.h"
#include "tests/harness/port.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAIRS_MAX     64
#define BURST_US      50000 /* a slow line may save up so much */
#define LEAST_WAIT_US 1000

struct pair {
    uint64_t number;
    int caller, target; /* -1: closed */
    bool connecting;    /* the target has not answered yet */
    struct flow to_caller, to_target;
};

struct proxy {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t applied;
    char target_host[256];
    int port, target_port, listener, wake;
    enum proxy_mode mode, wished;
    bool stopping, limited;
    uint64_t limit_bytes; /* still allowed to the caller, if limited */
    uint64_t rate_bytes_per_s, allowance_bytes;
    int64_t allowed_us; /* when the allowance was last reckoned */
    int delay_ms, jitter_ms;
    unsigned jitter_state;
    uint64_t bytes_to_caller, bytes_to_target, connections;
    struct proxy_observer observer;
    struct pair *pairs[PAIRS_MAX];
    int pair_count;
};

const char *proxy_mode_name(enum proxy_mode mode)
{
    static const char *const names[PROXY_MODES] = {"pass", "cut", "reset", "stall", "half-open", "deaf"};
    return names[mode];
}

/* --- sockets --- */

static int resolved(const char *host, int port, bool passive, int (*use)(int fd, const struct addrinfo *a))
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | (passive ? AI_PASSIVE : 0)};
    struct addrinfo *list, *a;
    char service[16];
    int fd = -1;
    snprintf(service, sizeof service, "%d", port);
    if (getaddrinfo(host, service, &hints, &list) != 0) {
        errno = EADDRNOTAVAIL;
        return -1;
    }
    for (a = list; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 || use(fd, a) == 0) continue;
        int error = errno;
        close(fd);
        fd = -1;
        errno = error;
    }
    freeaddrinfo(list);
    return fd;
}

static int begin_connecting(int fd, const struct addrinfo *a)
{
    int yes = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return connect(fd, a->ai_addr, a->ai_addrlen) == 0 || errno == EINPROGRESS ? 0 : -1;
}

static int begin_listening(int fd, const struct addrinfo *a)
{
    int yes = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    return bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, 64) == 0 ? 0 : -1;
}

static void close_side(int *fd, bool reset)
{
    struct linger at_once = {1, 0};
    if (*fd < 0) return;
    if (reset) setsockopt(*fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(*fd);
    *fd = -1;
}

/* --- pairs --- */

static void drop_pair(struct proxy *p, int i)
{
    struct pair *pair = p->pairs[i];
    bool reset = p->mode == PROXY_RESET;
    close_side(&pair->caller, reset);
    close_side(&pair->target, reset);
    flow_swallow(&pair->to_caller);
    flow_swallow(&pair->to_target);
    if (p->observer.closed) p->observer.closed(p->observer.context, pair->number);
    free(pair);
    p->pairs[i] = p->pairs[--p->pair_count];
}

static void accept_one(struct proxy *p)
{
    int yes = 1, caller = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (caller < 0) return;
    bool wanted = p->mode == PROXY_PASS && p->pair_count < PAIRS_MAX;
    int target = wanted ? resolved(p->target_host, p->target_port, false, begin_connecting) : -1;
    if (target < 0) {
        close_side(&caller, p->mode == PROXY_RESET);
        return;
    }
    setsockopt(caller, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    struct pair *pair = calloc(1, sizeof *pair);
    *pair = (struct pair){.number = ++p->connections, .caller = caller, .target = target, .connecting = true};
    p->pairs[p->pair_count++] = pair;
    if (p->observer.opened) p->observer.opened(p->observer.context, pair->number);
}

static void apply_mode(struct proxy *p)
{
    if (p->mode == p->wished) return;
    bool crippled = p->mode == PROXY_HALF_OPEN || p->mode == PROXY_DEAF;
    p->mode = p->wished;
    for (int i = p->pair_count - 1; i >= 0; i--) {
        struct pair *pair = p->pairs[i];
        if (p->mode == PROXY_CUT || p->mode == PROXY_RESET || crippled)
            drop_pair(p, i);
        else if (p->mode == PROXY_HALF_OPEN)
            close_side(&pair->target, false);
        else if (p->mode == PROXY_DEAF)
            close_side(&pair->caller, false);
    }
}

/* --- bytes --- */

static int64_t due_us(struct proxy *p, int64_t now_us)
{
    int64_t due = now_us + (int64_t)p->delay_ms * 1000;
    if (p->jitter_ms) due += rand_r(&p->jitter_state) % (p->jitter_ms * 1000 + 1);
    return due;
}

/* False: the pair is finished. */
static bool take(struct proxy *p, struct pair *pair, bool to_caller, int64_t now_us)
{
    struct flow *flow = to_caller ? &pair->to_caller : &pair->to_target;
    int from = to_caller ? pair->target : pair->caller;
    if (from < 0 || !flow_has_room(flow, p->delay_ms > 0)) return true;
    long len;
    const uint8_t *bytes = flow_take(flow, from, due_us(p, now_us), &len);
    if (bytes && p->observer.passed)
        p->observer.passed(p->observer.context, pair->number, to_caller, bytes, (size_t)len);
    return len >= 0;
}

static uint64_t allowed(struct proxy *p, bool to_caller)
{
    uint64_t most = UINT64_MAX;
    if (!to_caller) return most;
    if (p->rate_bytes_per_s) most = p->allowance_bytes;
    return p->limited && p->limit_bytes < most ? p->limit_bytes : most;
}

static void count(struct proxy *p, bool to_caller, uint64_t bytes)
{
    if (!to_caller) {
        p->bytes_to_target += bytes;
        return;
    }
    p->bytes_to_caller += bytes;
    if (p->rate_bytes_per_s) p->allowance_bytes -= bytes;
    if (p->limited) p->limit_bytes -= bytes;
}

/* False: the pair is finished. */
static bool give(struct proxy *p, struct pair *pair, bool to_caller, int64_t now_us)
{
    struct flow *flow = to_caller ? &pair->to_caller : &pair->to_target;
    int to = to_caller ? pair->caller : pair->target;
    if (to < 0) {
        flow_swallow(flow);
    } else if (to_caller || !pair->connecting) {
        long sent = flow_send(flow, to, now_us, allowed(p, to_caller));
        if (sent < 0) return false;
        count(p, to_caller, (uint64_t)sent);
    }
    if (to_caller && p->limited && p->limit_bytes == 0) {
        p->limited = false;
        p->wished = PROXY_CUT;
    }
    return !flow_is_through(flow);
}

/* False: there is nobody at the other end. */
static bool is_connected(struct pair *pair, short events)
{
    int error = 0;
    socklen_t len = sizeof error;
    if (!pair->connecting || !events) return true;
    pair->connecting = false;
    return getsockopt(pair->target, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0;
}

static bool move(struct proxy *p, struct pair *pair, const struct pollfd *caller, const struct pollfd *target,
                 int64_t now_us)
{
    if (!is_connected(pair, target->revents)) return false;
    if (caller->revents & ~POLLOUT && !take(p, pair, false, now_us)) return false;
    if (target->revents & ~POLLOUT && !take(p, pair, true, now_us)) return false;
    return give(p, pair, false, now_us) && give(p, pair, true, now_us);
}

/* --- waiting --- */

static void reckon_allowance(struct proxy *p, int64_t now_us)
{
    uint64_t most = p->rate_bytes_per_s * BURST_US / 1000000 + 1;
    int64_t passed_us = now_us - p->allowed_us;
    if (!p->rate_bytes_per_s || passed_us < LEAST_WAIT_US) return;
    p->allowance_bytes += p->rate_bytes_per_s * (uint64_t)passed_us / 1000000;
    if (p->allowance_bytes > most) p->allowance_bytes = most;
    p->allowed_us = now_us;
}

/* What is due is a reason to ask whether it can be written; what is not yet due is a reason to wake up then. */
static void watch_side(struct pollfd *entry, int fd, bool may_read, const struct flow *out, uint64_t most,
                       int64_t now_us)
{
    *entry = (struct pollfd){.fd = fd};
    if (fd < 0) return;
    if (may_read) entry->events |= POLLIN;
    if (most && flow_due_us(out) <= now_us) entry->events |= POLLOUT;
}

static void sooner(int64_t *wait_us, int64_t other_us)
{
    if (other_us < LEAST_WAIT_US) other_us = LEAST_WAIT_US;
    if (*wait_us < 0 || other_us < *wait_us) *wait_us = other_us;
}

static void watch_pair(struct proxy *p, const struct pair *pair, struct pollfd fds[2], int64_t now_us, int64_t *wait_us)
{
    bool delayed = p->delay_ms > 0;
    uint64_t most = allowed(p, true);
    watch_side(&fds[0], pair->caller, flow_has_room(&pair->to_target, delayed), &pair->to_caller, most, now_us);
    watch_side(&fds[1], pair->target, flow_has_room(&pair->to_caller, delayed), &pair->to_target, UINT64_MAX, now_us);
    if (pair->connecting) fds[1].events |= POLLOUT;
    if (flow_due_us(&pair->to_caller) <= now_us && !most && p->rate_bytes_per_s) sooner(wait_us, LEAST_WAIT_US);
    if (pair->to_caller.first && flow_due_us(&pair->to_caller) > now_us)
        sooner(wait_us, flow_due_us(&pair->to_caller) - now_us);
    if (pair->to_target.first && flow_due_us(&pair->to_target) > now_us)
        sooner(wait_us, flow_due_us(&pair->to_target) - now_us);
}

/* Under the lock but for the wait itself. */
static void turn(struct proxy *p)
{
    struct pollfd fds[2 + 2 * PAIRS_MAX];
    int64_t now_us = clock_us(), wait_us = -1;
    int count = p->mode == PROXY_STALL ? 0 : p->pair_count;
    reckon_allowance(p, now_us);
    fds[0] = (struct pollfd){.fd = p->wake, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = p->listener, .events = POLLIN};
    for (int i = 0; i < count; i++) watch_pair(p, p->pairs[i], &fds[2 + 2 * i], now_us, &wait_us);
    pthread_mutex_unlock(&p->lock);
    poll(fds, (nfds_t)(2 + 2 * count), wait_us < 0 ? -1 : (int)((wait_us + 999) / 1000));
    pthread_mutex_lock(&p->lock);
    uint64_t rung;
    if (fds[0].revents && read(p->wake, &rung, sizeof rung) < 0) return;
    now_us = clock_us();
    reckon_allowance(p, now_us);
    for (int i = count - 1; i >= 0 && p->mode == p->wished; i--)
        if (!move(p, p->pairs[i], &fds[2 + 2 * i], &fds[3 + 2 * i], now_us)) drop_pair(p, i);
    if (p->mode == p->wished && fds[1].revents) accept_one(p);
}

static void *proxy_main(void *arg)
{
    struct proxy *p = arg;
    pthread_mutex_lock(&p->lock);
    while (!p->stopping) {
        apply_mode(p);
        pthread_cond_broadcast(&p->applied);
        turn(p);
    }
    while (p->pair_count) drop_pair(p, p->pair_count - 1);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* --- life --- */

struct proxy *proxy_open(const struct proxy_settings *s, char error[256])
{
    struct proxy *p = calloc(1, sizeof *p);
    p->port = s->listen_port ? s->listen_port : port_reserve();
    p->target_port = s->target_port;
    p->observer = s->observer;
    p->jitter_state = 1;
    snprintf(p->target_host, sizeof p->target_host, "%s", s->target_host ? s->target_host : "127.0.0.1");
    p->listener = resolved(s->listen_host ? s->listen_host : "127.0.0.1", p->port, true, begin_listening);
    if (p->listener < 0) {
        snprintf(error, 256, "port %d cannot be listened on: %s", p->port, strerror(errno));
        free(p);
        return NULL;
    }
    p->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->applied, NULL);
    if (pthread_create(&p->thread, NULL, proxy_main, p) != 0) harness_fail("no thread for a proxy");
    return p;
}

struct proxy *proxy_start(int target_port)
{
    char error[256];
    struct proxy *p = proxy_open(&(struct proxy_settings){.target_port = target_port}, error);
    if (!p) harness_fail("%s", error);
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

/* --- wishes --- */

void proxy_set_mode(struct proxy *p, enum proxy_mode mode)
{
    pthread_mutex_lock(&p->lock);
    p->wished = mode;
    p->limited = false;
    wake(p);
    while (p->mode != mode) pthread_cond_wait(&p->applied, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

enum proxy_mode proxy_current_mode(struct proxy *p)
{
    pthread_mutex_lock(&p->lock);
    enum proxy_mode mode = p->wished;
    pthread_mutex_unlock(&p->lock);
    return mode;
}

void proxy_retarget(struct proxy *p, int port)
{
    pthread_mutex_lock(&p->lock);
    p->target_port = port;
    pthread_mutex_unlock(&p->lock);
}

void proxy_slow(struct proxy *p, uint64_t bytes_per_s)
{
    pthread_mutex_lock(&p->lock);
    p->rate_bytes_per_s = bytes_per_s;
    p->allowance_bytes = 0;
    p->allowed_us = clock_us();
    wake(p);
    pthread_mutex_unlock(&p->lock);
}

void proxy_seed(struct proxy *p, unsigned seed)
{
    pthread_mutex_lock(&p->lock);
    p->jitter_state = seed;
    pthread_mutex_unlock(&p->lock);
}

void proxy_delay(struct proxy *p, int delay_ms, int jitter_ms)
{
    pthread_mutex_lock(&p->lock);
    p->delay_ms = delay_ms;
    p->jitter_ms = jitter_ms;
    wake(p);
    pthread_mutex_unlock(&p->lock);
}

void proxy_cut_after(struct proxy *p, uint64_t bytes)
{
    pthread_mutex_lock(&p->lock);
    p->limited = true;
    p->limit_bytes = bytes;
    pthread_mutex_unlock(&p->lock);
}

static uint64_t counted(struct proxy *p, const uint64_t *counter)
{
    pthread_mutex_lock(&p->lock);
    uint64_t value = *counter;
    pthread_mutex_unlock(&p->lock);
    return value;
}

uint64_t proxy_bytes_to_caller(struct proxy *p)
{
    return counted(p, &p->bytes_to_caller);
}

uint64_t proxy_bytes_to_target(struct proxy *p)
{
    return counted(p, &p->bytes_to_target);
}

int proxy_connections(struct proxy *p)
{
    pthread_mutex_lock(&p->lock);
    int count = p->pair_count;
    pthread_mutex_unlock(&p->lock);
    return count;
}
