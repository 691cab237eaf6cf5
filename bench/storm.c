/* Four replicas are told to follow within half a second while 40,000 writes a second go on: how many forks, how long
 * until all have caught up, how much memory at the worst, and what a client notices. */
#include "bench/load.h"
#include "bench/parts.h"
#include "bench/report.h"
#include "tests/harness/raw.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REPLICAS         4
#define KEYS             2000000
#define VALUE_BYTES      100
#define WRITES_PER_S     40000
#define WRITE_BATCH_MIN  200
#define WRITE_BATCH_MAX  2000
#define BETWEEN_US       150000
#define CAUGHT_UP_BYTES  2000000 /* behind by less: a moment's writes */
#define WARM_UP_US       2000000
#define BOUND_MS         180000
#define PROBES_MAX       400000
#define MEMORY_PERIOD_US 100000
#define PROBE_PERIOD_US  1000
#define CONFIG                                                                                                         \
    "client-output-buffer-limit replica 2gb 2gb 60" /* nobody is dropped for being slow: that is not the question */

struct storm {
    struct server *master;
    atomic_bool stopping, joining;
    atomic_long written;
    uint64_t peak_pss_bytes;
    struct {
        double *us;
        long count;
    } probes; /* while replicas join */
};

struct figures {
    double caught_up_s, forks, memory_ratio, probe_p99_ms, writes_per_s;
};

static void *write_steadily(void *arg)
{
    struct storm *storm = arg;
    int fd = raw_connect(storm->master);
    char *batch = malloc(WRITE_BATCH_MAX * 256), value[VALUE_BYTES + 1], replies[65536];
    memset(value, 'x', VALUE_BYTES);
    value[VALUE_BYTES] = '\0';
    int64_t start_us = clock_us();
    long done = 0;
    while (!storm->stopping) {
        long due = (clock_us() - start_us) * WRITES_PER_S / 1000000 - done;
        if (due < WRITE_BATCH_MIN) {
            sleep_us(2000);
            continue;
        }
        if (due > WRITE_BATCH_MAX) due = WRITE_BATCH_MAX;
        size_t len = 0, unread = due * strlen("+OK\r\n");
        for (long i = 0; i < due; i++)
            len += sprintf(batch + len, "*3\r\n$3\r\nSET\r\n$16\r\nkey:%012ld\r\n$%d\r\n%s\r\n",
                           (done + i) * 7919 % KEYS, VALUE_BYTES, value);
        raw_send(fd, batch, len);
        while (unread) {
            ssize_t got = recv(fd, replies, unread < sizeof replies ? unread : sizeof replies, 0);
            if (got <= 0) harness_fail("the writer lost its connection");
            unread -= got;
        }
        done += due;
        storm->written = done;
    }
    close(fd);
    free(batch);
    return NULL;
}

static void *probe(void *arg)
{
    struct storm *storm = arg;
    int fd = raw_connect(storm->master);
    while (!storm->stopping) {
        int64_t start_us = clock_us();
        raw_send_text(fd, "GET x\r\n");
        raw_expect(fd, "$-1\r\n");
        if (storm->joining && storm->probes.count < PROBES_MAX)
            storm->probes.us[storm->probes.count++] = (double)(clock_us() - start_us);
        sleep_us(PROBE_PERIOD_US);
    }
    close(fd);
    return NULL;
}

static void *watch_memory(void *arg)
{
    struct storm *storm = arg;
    while (!storm->stopping) {
        uint64_t now = process_tree_pss_bytes(storm->master->pid);
        if (now > storm->peak_pss_bytes) storm->peak_pss_bytes = now;
        sleep_us(MEMORY_PERIOD_US);
    }
    return NULL;
}

static bool caught_up(struct server *replica, struct server *master)
{
    char offset[32];
    return link_is_up(replica) &&
           info_text_if_there(replica, "replication", "slave_repl_offset", offset, sizeof offset) &&
           info_number(master, "replication", "master_repl_offset") - atoll(offset) < CAUGHT_UP_BYTES;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct figures measure(enum server_kind kind)
{
    struct storm storm = {.master = start_on(SERVER_CPU, kind, CONFIG)};
    struct server *replicas[REPLICAS];
    fill_keys(storm.master, 0, KEYS, VALUE_BYTES);
    for (int i = 0; i < REPLICAS; i++) replicas[i] = start_on(LOAD_CPU, kind, "");
    storm.probes.us = malloc(PROBES_MAX * sizeof *storm.probes.us);
    uint64_t before_bytes = process_tree_pss_bytes(storm.master->pid);
    pthread_t threads[3];
    pthread_create(&threads[0], NULL, write_steadily, &storm);
    pthread_create(&threads[1], NULL, probe, &storm);
    pthread_create(&threads[2], NULL, watch_memory, &storm);
    sleep_us(WARM_UP_US);

    long forks = info_number(storm.master, "stats", "total_forks"), written = storm.written;
    int64_t start_us = clock_us();
    storm.joining = true;
    for (int i = 0; i < REPLICAS; i++) {
        follow(replicas[i], storm.master);
        sleep_us(BETWEEN_US);
    }
    for (int i = 0; i < REPLICAS; i++) wait_until_within(BOUND_MS, caught_up(replicas[i], storm.master));
    double seconds = (double)(clock_us() - start_us) / 1e6;
    struct figures f = {.caught_up_s = seconds, .writes_per_s = (double)(storm.written - written) / seconds};
    storm.stopping = true;
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    f.forks = (double)(info_number(storm.master, "stats", "total_forks") - forks);
    f.memory_ratio = (double)storm.peak_pss_bytes / (double)before_bytes;
    qsort(storm.probes.us, storm.probes.count, sizeof *storm.probes.us, by_size);
    if (storm.probes.count) f.probe_p99_ms = storm.probes.us[storm.probes.count * 99 / 100] / 1000;
    free(storm.probes.us);
    for (int i = 0; i < REPLICAS; i++) server_kill(replicas[i]);
    server_kill(storm.master);
    return f;
}

void bench_storm(int rounds)
{
    (void)rounds; /* one round of each is a minute */
    struct figures ours = measure(OURS), redis = measure(DEBIAN);
    report_title("storm: %d replicas join in half a second, %d writes/s, %d keys of %d bytes", REPLICAS, WRITES_PER_S,
                 KEYS, VALUE_BYTES);
    report_ratio("all caught up", "s", ours.caught_up_s, redis.caught_up_s, 0.5);
    report_bound("forks", "", ours.forks, redis.forks, 1);
    report_bound("peak memory / before", "", ours.memory_ratio, redis.memory_ratio, 1.4);
    report_bound("p99 of a GET meanwhile", "ms", ours.probe_p99_ms, redis.probe_p99_ms, 0);
    report_bound("writes kept up", "k/s", ours.writes_per_s / 1000, redis.writes_per_s / 1000, 0);
}
