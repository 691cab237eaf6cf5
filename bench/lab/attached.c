/* A thread of its own waits for the signals: whatever the lab is at, the replica is put back. See attached.h. */
#include "bench/lab/attached.h"

#include "tests/harness/fail.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    char host[256], follows_host[256];
    int port, follows_port; /* port 0: nobody is guarded */
} guarded;

void attached_guard(const struct instance *replica, const char *host, int port)
{
    pthread_mutex_lock(&lock);
    guarded.port = replica ? replica->port : 0;
    if (replica) {
        snprintf(guarded.host, sizeof guarded.host, "%s", replica->host);
        snprintf(guarded.follows_host, sizeof guarded.follows_host, "%s", host);
        guarded.follows_port = port;
    }
    pthread_mutex_unlock(&lock);
}

static void *put_back(void *arg)
{
    int signal_number = 0;
    sigwait(arg, &signal_number);
    pthread_mutex_lock(&lock);
    if (guarded.port) {
        redisContext *c = contestant_connect(guarded.host, guarded.port, (struct timeval){5, 0});
        redisReply *r = c->err ? NULL : redisCommand(c, "REPLICAOF %s %d", guarded.follows_host, guarded.follows_port);
        if (!r || r->type != REDIS_REPLY_STATUS)
            fprintf(stderr, "slipstream-lab: PUT IT BACK BY HAND: the replica has to be told REPLICAOF %s %d\n",
                    guarded.follows_host, guarded.follows_port);
    }
    exit(128 + signal_number);
}

void attached_watch_signals(void)
{
    static sigset_t signals;
    pthread_t thread;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    if (pthread_create(&thread, NULL, put_back, &signals) != 0) harness_fail("no thread to wait for signals");
    pthread_detach(thread);
}
