/* See track.h. */
#include "bench/lab/track.h"

#include "bench/lab/contestant.h"
#include "tests/harness/clock.h"
#include "tests/harness/fail.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLE_US     20000
#define MEMORY_US     250000
#define PROBE_US      2000
#define BOUND_MS      250
#define PROBE_BOUND_S 20

struct tracker {
    pthread_t sampler, prober;
    int64_t start_us;
    atomic_int master_port, replica_port, master_pid;
    atomic_bool stop;
    struct track track;
};

static long long offset_of(redisContext **c, int port, const char *field, bool *up)
{
    struct timeval bound = {0, BOUND_MS * 1000};
    if (!*c) *c = redisConnectWithTimeout("127.0.0.1", port, bound);
    if (*c && !(*c)->err) redisSetTimeout(*c, bound);
    redisReply *r = *c && !(*c)->err ? redisCommand(*c, "INFO replication") : NULL;
    long long offset = -1;
    char link[16] = "";
    if (r && r->str) {
        offset = info_number_of(r->str, field);
        if (info_text_of(r->str, "master_link_status", link, sizeof link) && up) *up = strcmp(link, "up") == 0;
    } else if (*c) {
        redisFree(*c);
        *c = NULL;
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

static void *sample(void *arg)
{
    struct tracker *t = arg;
    redisContext *master = NULL, *replica = NULL;
    int64_t memory_us = 0;
    int port = atomic_load(&t->master_port);
    while (!atomic_load(&t->stop)) {
        if (port != atomic_load(&t->master_port)) {
            if (master) redisFree(master);
            master = NULL;
            port = atomic_load(&t->master_port);
        }
        struct track_point p = {.t_ms = tracker_now_ms(t)};
        p.master_offset = offset_of(&master, port, "master_repl_offset", NULL);
        p.replica_offset = offset_of(&replica, atomic_load(&t->replica_port), "slave_repl_offset", &p.link_up);
        make_room(&t->track);
        t->track.points[t->track.count++] = p;
        if (clock_us() - memory_us > MEMORY_US) {
            uint64_t bytes = process_tree_pss_bytes(atomic_load(&t->master_pid));
            if (bytes > t->track.peak_bytes) t->track.peak_bytes = bytes;
            memory_us = clock_us();
        }
        sleep_us(SAMPLE_US);
    }
    if (master) redisFree(master);
    if (replica) redisFree(replica);
    return NULL;
}

/* A server that a fault takes away is not slow, it is gone: the time without a connection does not count. */
static void *probe(void *arg)
{
    struct tracker *t = arg;
    redisContext *c = NULL;
    int port = 0;
    while (!atomic_load(&t->stop)) {
        if (c && (c->err || port != atomic_load(&t->master_port))) {
            redisFree(c);
            c = NULL;
        }
        port = atomic_load(&t->master_port);
        if (!c) c = redisConnectWithTimeout("127.0.0.1", port, (struct timeval){PROBE_BOUND_S, 0});
        int64_t start_us = clock_us();
        redisReply *r = c && !c->err ? redisCommand(c, "GET lab:0") : NULL;
        int64_t took_us = clock_us() - start_us;
        if (r && took_us > t->track.worst_delay_us) t->track.worst_delay_us = took_us;
        freeReplyObject(r);
        sleep_us(PROBE_US);
    }
    if (c) redisFree(c);
    return NULL;
}

struct tracker *tracker_start(int master_port, int replica_port, pid_t master)
{
    struct tracker *t = calloc(1, sizeof *t);
    t->start_us = clock_us();
    atomic_store(&t->replica_port, replica_port);
    tracker_master_is(t, master_port, master);
    if (pthread_create(&t->sampler, NULL, sample, t) != 0 || pthread_create(&t->prober, NULL, probe, t) != 0)
        harness_fail("no thread to watch a try");
    return t;
}

void tracker_master_is(struct tracker *t, int port, pid_t pid)
{
    atomic_store(&t->master_port, port);
    atomic_store(&t->master_pid, pid);
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
    *out = t->track;
    free(t);
}
