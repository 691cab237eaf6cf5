/* Two million small keys: what they weigh in memory, and how long they take to a file, from a file, to a replica. */
#include "bench/load.h"
#include "bench/parts.h"
#include "bench/report.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#define KEYS        2000000
#define VALUE_BYTES 16
#define BOUND_MS    120000

struct figures {
    double bytes_per_key;
    struct samples save_s, load_s, sync_s;
};

static void measure_sync(enum server_kind kind, struct server *master, struct samples *sync_s)
{
    struct server *replica = start_on(LOAD_CPU, kind, "");
    int64_t start_us = clock_us();
    follow(replica, master);
    wait_until_within(BOUND_MS, link_is_up(replica));
    samples_add(sync_s, (double)(clock_us() - start_us) / 1e6);
    if (command_integer(replica, "DBSIZE") != KEYS) harness_fail("the replica is not complete");
    server_kill(replica);
}

static void measure(enum server_kind kind, int rounds, struct figures *f)
{
    struct server *s = start_on(SERVER_CPU, kind, "");
    uint64_t empty = process_rss_bytes(s->pid);
    fill_keys(s, 0, KEYS, VALUE_BYTES);
    f->bytes_per_key = (double)(process_rss_bytes(s->pid) - empty) / KEYS;
    for (int round = 0; round < rounds; round++) samples_add(&f->save_s, save_seconds(s));
    for (int round = 0; round < rounds; round++) samples_add(&f->load_s, load_seconds(s));
    for (int round = 0; round < rounds; round++) measure_sync(kind, s, &f->sync_s);
    server_kill(s);
}

void bench_memory(int rounds)
{
    struct figures ours = {0}, redis = {0};
    measure(OURS, rounds, &ours);
    measure(DEBIAN, rounds, &redis);
    report_title("memory: %d keys of 16 bytes with values of %d bytes, medians of %d rounds", KEYS, VALUE_BYTES,
                 rounds);
    report_ratio("growth of resident memory per key", "bytes", ours.bytes_per_key, redis.bytes_per_key, 0.45);
    report_ratio("SAVE", "s", samples_median(&ours.save_s), samples_median(&redis.save_s), 0.5);
    report_ratio("load, start included", "s", samples_median(&ours.load_s), samples_median(&redis.load_s), 0.5);
    report_ratio("full sync of an empty replica", "s", samples_median(&ours.sync_s), samples_median(&redis.sync_s), 0);
}
