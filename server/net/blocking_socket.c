/* Non-blocking underneath: poll() does the waiting and keeps the time. A name is looked up on a worker's thread, for
 * the system's resolver cannot be told when to stop. */
#include "server/net/blocking_socket.h"

#include "server/base/alloc.h"
#include "server/base/workers.h"
#include "server/net/address.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NAME_MAX_BYTES 256
#define ADDRESSES_MAX  8

/* --- the name --- */

/* The worker's report to the loop frees it: that cannot come while somebody waits, for the loop stands still then. */
struct lookup {
    struct worker_job job;
    char host[NAME_MAX_BYTES];
    int port;
    pthread_mutex_t mutex;
    pthread_cond_t ended;
    bool has_ended; /* what follows is complete; under the mutex */
    int count;
    struct address found[ADDRESSES_MAX];
};

static void lookup_run(struct worker_job *job)
{
    struct lookup *l = (struct lookup *)job;
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *all = NULL;
    char service[16];
    snprintf(service, sizeof service, "%d", l->port);
    int failed = getaddrinfo(l->host, service, &hints, &all);
    for (const struct addrinfo *one = failed ? NULL : all; one && l->count < ADDRESSES_MAX; one = one->ai_next) {
        struct address *address = &l->found[l->count++];
        memcpy(&address->storage, one->ai_addr, one->ai_addrlen);
        address->len = one->ai_addrlen;
    }
    if (!failed) freeaddrinfo(all);
    pthread_mutex_lock(&l->mutex);
    l->has_ended = true;
    pthread_cond_signal(&l->ended);
    pthread_mutex_unlock(&l->mutex);
}

static void lookup_done(struct worker_job *job)
{
    struct lookup *l = (struct lookup *)job;
    pthread_cond_destroy(&l->ended);
    pthread_mutex_destroy(&l->mutex);
    mem_free(l);
}

static struct lookup *lookup_start(const char *host, int port)
{
    struct lookup *l = mem_calloc(1, sizeof *l);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&l->ended, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&l->mutex, NULL);
    l->job.run = lookup_run;
    l->job.done = lookup_done;
    l->port = port;
    memcpy(l->host, host, strlen(host));
    workers_submit(WORKER_RESOLVE, &l->job);
    return l;
}

static struct timespec time_in(int timeout_ms)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    int64_t ns = t.tv_nsec + (int64_t)timeout_ms % 1000 * 1000000;
    return (struct timespec){.tv_sec = t.tv_sec + timeout_ms / 1000 + ns / 1000000000, .tv_nsec = ns % 1000000000};
}

/* How many addresses the host has; 0 also when that was not known in time. */
static int look_up(const char *host, int port, int timeout_ms, struct address found[ADDRESSES_MAX])
{
    if (address_parse(&found[0], host, port) == 0) return 1;
    if (strlen(host) >= NAME_MAX_BYTES) return 0;
    struct lookup *l = lookup_start(host, port);
    struct timespec deadline = time_in(timeout_ms);
    int count = 0;
    pthread_mutex_lock(&l->mutex);
    while (!l->has_ended && pthread_cond_timedwait(&l->ended, &l->mutex, &deadline) != ETIMEDOUT) continue;
    if (l->has_ended) count = l->count;
    memcpy(found, l->found, (size_t)count * sizeof *found);
    pthread_mutex_unlock(&l->mutex);
    return count;
}

/* --- the socket --- */

static int start_connecting(const struct address *to)
{
    int fd = socket(to->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    if (connect(fd, (const struct sockaddr *)&to->storage, to->len) == 0 || errno == EINPROGRESS) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        return fd;
    }
    close(fd);
    return -1;
}

int blocking_socket_connect(const char *host, int port, int timeout_ms)
{
    struct address found[ADDRESSES_MAX];
    int count = look_up(host, port, timeout_ms, found), fd = -1;
    for (int i = 0; i < count && fd < 0; i++) fd = start_connecting(&found[i]);
    return fd;
}

/* 0: something can be done. */
static int wait_for(int fd, short events, int timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = events};
    int ready;
    do {
        ready = poll(&p, 1, timeout_ms);
    } while (ready < 0 && errno == EINTR);
    if (ready == 0) errno = ETIMEDOUT;
    return ready > 0 ? 0 : -1;
}

int blocking_socket_write(int fd, const void *data, size_t len, int timeout_ms)
{
    const char *at = data;
    while (len > 0) {
        if (wait_for(fd, POLLOUT, timeout_ms) != 0) return -1;
        ssize_t written = send(fd, at, len, MSG_NOSIGNAL);
        if (written < 0 && errno != EAGAIN && errno != EINTR) return -1;
        if (written > 0) {
            at += written;
            len -= (size_t)written;
        }
    }
    return 0;
}

ssize_t blocking_socket_read(int fd, void *data, size_t len, int timeout_ms)
{
    for (;;) {
        if (wait_for(fd, POLLIN, timeout_ms) != 0) return -1;
        ssize_t got = recv(fd, data, len, 0);
        if (got > 0) return got;
        if (got == 0) errno = ECONNRESET;
        if (got == 0 || (errno != EAGAIN && errno != EINTR)) return -1;
    }
}
