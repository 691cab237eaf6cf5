/* See track.h. */
#include "bench/lab/track.h"

#include "bench/lab/writer.h"
#include "tests/harness/clock.h"
#include "tests/harness/fail.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLE_US     20000
#define MEMORY_US     250000
#define PROBE_US      2000
#define BOUND_MS      250
#define PROBE_BOUND_S 20

struct tracker {
    pthread_t sampler, prober, weigher;
    int64_t start_us;
    atomic_bool stop;
    pthread_mutex_t lock;
    struct watched {
        char master_host[256], replica_host[256];
        int master_port, replica_port;
        pid_t master_pid;
    } watched;
    struct track track;
};

static struct watched watched_now(struct tracker *t)
{
    pthread_mutex_lock(&t->lock);
    struct watched w = t->watched;
    pthread_mutex_unlock(&t->lock);
    return w;
}

static void drop(redisContext **c)
{
    if (*c) redisFree(*c);
    *c = NULL;
}

static long long offset_of(redisContext **c, const char *host, int port, const char *field, bool *up)
{
    struct timeval bound = {0, BOUND_MS * 1000};
    if (!*c) *c = contestant_connect(host, port, bound);
    redisReply *r = !(*c)->err ? redisCommand(*c, "INFO replication") : NULL;
    long long offset = -1;
    char link[16] = "";
    if (r && r->str) {
        offset = info_number_of(r->str, field);
        if (info_text_of(r->str, "master_link_status", link, sizeof link) && up) *up = strcmp(link, "up") == 0;
    } else {
        drop(c);
    }
    freeReplyObject(r);
    return offset;
}

/* Half of the points go when there are too many: the curve stays, only coarser. */
static void make_room(struct track *t)
{
    if (t->count < TRACK_POINTS_MAX) return;
    for (int i = 0; i < TRACK_POINTS_MAX / 2; i++) t->points[i] = t->points[2 * i];
    t->count = TRACK_POINTS_MAX / 2;
}

struct lines {
    redisContext *master, *replica;
    struct watched to;
};

static void take_point(struct tracker *t, struct lines *l)
{
    struct watched w = watched_now(t);
    if (w.master_port != l->to.master_port) drop(&l->master);
    if (w.replica_port != l->to.replica_port) drop(&l->replica);
    l->to = w;
    struct track_point p = {.t_ms = tracker_now_ms(t)};
    p.master_offset = offset_of(&l->master, w.master_host, w.master_port, "master_repl_offset", NULL);
    p.replica_offset = offset_of(&l->replica, w.replica_host, w.replica_port, "slave_repl_offset", &p.link_up);
    make_room(&t->track);
    t->track.points[t->track.count++] = p;
}

/* One point at the beginning and one at the end, however little time a busy machine leaves for those in between. */
static void *sample(void *arg)
{
    struct tracker *t = arg;
    struct lines l = {.to = watched_now(t)};
    for (; !atomic_load(&t->stop); sleep_us(SAMPLE_US)) take_point(t, &l);
    take_point(t, &l);
    drop(&l.master);
    drop(&l.replica);
    return NULL;
}

/* What a master that runs somewhere says of itself. */
static uint64_t memory_told(const struct watched *w)
{
    redisContext *c = contestant_connect(w->master_host, w->master_port, (struct timeval){0, BOUND_MS * 1000});
    redisReply *r = !c->err ? redisCommand(c, "INFO memory") : NULL;
    long long bytes = r && r->str ? info_number_of(r->str, "used_memory_rss") : 0;
    freeReplyObject(r);
    redisFree(c);
    return bytes > 0 ? (uint64_t)bytes : 0;
}

/* Apart from the offsets: looking through all processes for the master's takes its time. */
static void *weigh(void *arg)
{
    struct tracker *t = arg;
    for (int64_t weighed_us = 0; !atomic_load(&t->stop); sleep_us(SAMPLE_US)) {
        if (clock_us() - weighed_us < MEMORY_US) continue;
        struct watched w = watched_now(t);
        uint64_t bytes = w.master_pid ? process_tree_pss_bytes(w.master_pid) : memory_told(&w);
        if (bytes > t->track.peak_bytes) t->track.peak_bytes = bytes;
        weighed_us = clock_us();
    }
    return NULL;
}

/* A server that a fault takes away is not slow, it is gone: the time without a connection does not count. */
static void *probe(void *arg)
{
    struct tracker *t = arg;
    redisContext *c = NULL;
    int port = 0;
    while (!atomic_load(&t->stop)) {
        struct watched w = watched_now(t);
        if (c && (c->err || port != w.master_port)) drop(&c);
        port = w.master_port;
        if (!c) c = contestant_connect(w.master_host, port, (struct timeval){PROBE_BOUND_S, 0});
        int64_t start_us = clock_us();
        redisReply *r = !c->err ? redisCommand(c, "GET " LAB_KEY "0") : NULL;
        int64_t took_us = clock_us() - start_us;
        if (r && took_us > t->track.worst_delay_us) t->track.worst_delay_us = took_us;
        freeReplyObject(r);
        sleep_us(PROBE_US);
    }
    drop(&c);
    return NULL;
}

struct tracker *tracker_start(const struct instance *master, const struct instance *replica)
{
    struct tracker *t = calloc(1, sizeof *t);
    t->start_us = clock_us();
    pthread_mutex_init(&t->lock, NULL);
    tracker_watch(t, master, replica);
    if (pthread_create(&t->sampler, NULL, sample, t) != 0 || pthread_create(&t->prober, NULL, probe, t) != 0 ||
        pthread_create(&t->weigher, NULL, weigh, t) != 0)
        harness_fail("no thread to watch a try");
    return t;
}

void tracker_watch(struct tracker *t, const struct instance *master, const struct instance *replica)
{
    pthread_mutex_lock(&t->lock);
    snprintf(t->watched.master_host, sizeof t->watched.master_host, "%s", master->host);
    snprintf(t->watched.replica_host, sizeof t->watched.replica_host, "%s", replica->host);
    t->watched.master_port = master->port;
    t->watched.replica_port = replica->port;
    t->watched.master_pid = master->pid;
    pthread_mutex_unlock(&t->lock);
}

int tracker_now_ms(const struct tracker *t)
{
    return (int)((clock_us() - t->start_us) / 1000);
}

void tracker_end(struct tracker *t, struct track *out)
{
    atomic_store(&t->stop, true);
    pthread_join(t->sampler, NULL);
    pthread_join(t->prober, NULL);
    pthread_join(t->weigher, NULL);
    *out = t->track;
    pthread_mutex_destroy(&t->lock);
    free(t);
}
