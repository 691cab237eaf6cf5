/* See steady.h. */
#include "bench/parts/steady.h"

#include "tests/harness/clock.h"
#include "tests/harness/fail.h"
#include "tests/harness/raw.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WRITE_BATCH_MIN  200
#define WRITE_BATCH_MAX  2000
#define WARM_UP_US       2000000
#define PROBES_MAX       400000
#define MEMORY_PERIOD_US 100000
#define PROBE_PERIOD_US  1000
#define THREADS          3

struct steady {
    struct server *server;
    pthread_t threads[THREADS];
    atomic_bool stopping, measuring;
    atomic_long written;
    uint64_t peak_bytes;
    struct {
        double *us;
        long count;
    } probes;
    long written_before;
    int64_t since_us;
};

static void *write_steadily(void *arg)
{
    struct steady *w = arg;
    int fd = raw_connect(w->server);
    char *batch = malloc(WRITE_BATCH_MAX * 256), value[STEADY_VALUE_BYTES + 1], replies[65536];
    memset(value, 'x', STEADY_VALUE_BYTES);
    value[STEADY_VALUE_BYTES] = '\0';
    int64_t start_us = clock_us();
    long done = 0;
    while (!w->stopping) {
        long due = (clock_us() - start_us) * STEADY_WRITES_PER_S / 1000000 - done;
        if (due < WRITE_BATCH_MIN) {
            sleep_us(2000);
            continue;
        }
        if (due > WRITE_BATCH_MAX) due = WRITE_BATCH_MAX;
        size_t len = 0, unread = due * strlen("+OK\r\n");
        for (long i = 0; i < due; i++)
            len += sprintf(batch + len, "*3\r\n$3\r\nSET\r\n$16\r\nkey:%012ld\r\n$%d\r\n%s\r\n",
                           (done + i) * 7919 % STEADY_KEYS, STEADY_VALUE_BYTES, value);
        raw_send(fd, batch, len);
        while (unread) {
            ssize_t got = recv(fd, replies, unread < sizeof replies ? unread : sizeof replies, 0);
            if (got <= 0) harness_fail("the writer lost its connection");
            unread -= got;
        }
        done += due;
        w->written = done;
    }
    close(fd);
    free(batch);
    return NULL;
}

static void *probe(void *arg)
{
    struct steady *w = arg;
    int fd = raw_connect(w->server);
    while (!w->stopping) {
        int64_t start_us = clock_us();
        raw_send_text(fd, "GET x\r\n");
        raw_expect(fd, "$-1\r\n");
        if (w->measuring && w->probes.count < PROBES_MAX)
            w->probes.us[w->probes.count++] = (double)(clock_us() - start_us);
        sleep_us(PROBE_PERIOD_US);
    }
    close(fd);
    return NULL;
}

static void *watch_memory(void *arg)
{
    struct steady *w = arg;
    while (!w->stopping) {
        uint64_t now = process_tree_pss_bytes(w->server->pid);
        if (now > w->peak_bytes) w->peak_bytes = now;
        sleep_us(MEMORY_PERIOD_US);
    }
    return NULL;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct steady *steady_start(struct server *s)
{
    static void *(*const parts[THREADS])(void *) = {write_steadily, probe, watch_memory};
    struct steady *w = calloc(1, sizeof *w);
    w->server = s;
    w->probes.us = malloc(PROBES_MAX * sizeof *w->probes.us);
    for (int i = 0; i < THREADS; i++) pthread_create(&w->threads[i], NULL, parts[i], w);
    sleep_us(WARM_UP_US);
    return w;
}

void steady_measure(struct steady *w)
{
    w->written_before = w->written;
    w->since_us = clock_us();
    w->measuring = true;
}

struct steady_figures steady_end(struct steady *w)
{
    double seconds = (double)(clock_us() - w->since_us) / 1e6;
    struct steady_figures f = {.writes_per_s = (double)(w->written - w->written_before) / seconds};
    w->stopping = true;
    for (int i = 0; i < THREADS; i++) pthread_join(w->threads[i], NULL);
    f.peak_bytes = w->peak_bytes;
    qsort(w->probes.us, w->probes.count, sizeof *w->probes.us, by_size);
    if (w->probes.count) f.probe_p99_ms = w->probes.us[w->probes.count * 99 / 100] / 1000;
    free(w->probes.us);
    free(w);
    return f;
}
