/* The look-up of names with a time limit: on a worker's thread, for the system's resolver cannot be told when to stop.
 * What is numeric needs none. Server process, on the loop's thread. */
#include "server/net/lookup.h"

#include "server/base/alloc.h"
#include "server/base/workers.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NAME_MAX_BYTES 256

/* The worker's report to the loop frees it: that cannot come while somebody waits, for the loop stands still then. */
struct lookup {
    struct worker_job job;
    char host[NAME_MAX_BYTES];
    int port, family;
    pthread_mutex_t mutex;
    pthread_cond_t ended;
    bool has_ended; /* what follows is complete; under the mutex */
    int error;      /* getaddrinfo's */
    int count;
    struct address found[LOOKUP_ADDRESSES_MAX];
};

static void lookup_run(struct worker_job *job)
{
    struct lookup *l = (struct lookup *)job;
    const struct addrinfo hints = {.ai_family = l->family, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *all = NULL;
    char service[16];
    snprintf(service, sizeof service, "%d", l->port);
    l->error = getaddrinfo(l->host, service, &hints, &all);
    for (const struct addrinfo *one = l->error ? NULL : all; one && l->count < LOOKUP_ADDRESSES_MAX;
         one = one->ai_next) {
        struct address *address = &l->found[l->count++];
        memcpy(&address->storage, one->ai_addr, one->ai_addrlen);
        address->len = one->ai_addrlen;
    }
    if (!l->error) freeaddrinfo(all);
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

static struct lookup *lookup_start(const char *host, int port, int family)
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
    l->family = family;
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

int lookup_within(const char *host, int port, int family, int timeout_ms, struct address found[LOOKUP_ADDRESSES_MAX],
                  int *count)
{
    *count = address_parse(&found[0], host, port) == 0;
    if (*count) return 0;
    if (strlen(host) >= NAME_MAX_BYTES) return EAI_NONAME;
    struct lookup *l = lookup_start(host, port, family);
    struct timespec deadline = time_in(timeout_ms);
    int error = EAI_AGAIN;
    pthread_mutex_lock(&l->mutex);
    while (!l->has_ended && pthread_cond_timedwait(&l->ended, &l->mutex, &deadline) != ETIMEDOUT) continue;
    if (l->has_ended) {
        error = l->error;
        *count = l->count;
        memcpy(found, l->found, (size_t)l->count * sizeof *found);
    }
    pthread_mutex_unlock(&l->mutex);
    return error;
}
