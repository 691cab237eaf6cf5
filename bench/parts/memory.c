/* Two million small keys: what they weigh in memory, and how long they take to a file, from a file, to a replica. */
#include "bench/parts/load.h"
#include "bench/parts/parts.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#define KEYS        2000000
#define VALUE_BYTES 16
#define BOUND_MS    120000

static double sync_seconds(const struct contestant *of, struct server *master)
{
    struct server *replica = start_on(LOAD_CPU, of, "");
    int64_t start_us = clock_us();
    follow(replica, master);
    wait_until_within(BOUND_MS, link_is_up(replica));
    double seconds = (double)(clock_us() - start_us) / 1e6;
    if (command_integer(replica, "DBSIZE") != KEYS) harness_fail("the replica is not complete");
    server_kill(replica);
    return seconds;
}

void bench_memory(const struct bench *b)
{
    for (int i = 0; i < b->count; i++) {
        struct server *s = start_on(SERVER_CPU, &b->servers[i], "");
        uint64_t empty = process_rss_bytes(s->pid);
        fill_keys(s, 0, KEYS, VALUE_BYTES);
        bench_add(b, i, "key", "bytes", (double)(process_rss_bytes(s->pid) - empty) / KEYS);
        for (int round = 0; round < b->rounds; round++) bench_add(b, i, "save", "s", save_seconds(s));
        for (int round = 0; round < b->rounds; round++) bench_add(b, i, "load", "s", load_seconds(s));
        for (int round = 0; round < b->rounds; round++)
            bench_add(b, i, "full-sync", "s", sync_seconds(&b->servers[i], s));
        server_kill(s);
    }
}
