/* The link between a replica and its master is cut, 200 kB are written meanwhile, the link heals: how long until the
 * replica has caught up? The cut lasts a third of a second, and a little more each time, to meet every phase of a
 * reconnect timer. */
#include "bench/load.h"
#include "bench/parts.h"
#include "bench/report.h"
#include "tests/harness/proxy.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#define CUTS        16
#define DOWN_US     300000
#define STEP_US     37000
#define STEPS       7
#define VALUE_BYTES 900
#define VALUES      200

static double measure(enum server_kind kind)
{
    struct server *master = start_on(SERVER_CPU, kind, ""), *replica = start_on(LOAD_CPU, kind, "");
    struct proxy *proxy = proxy_start(master->port);
    follow_port(replica, proxy_port(proxy));
    wait_in_step(replica, master);
    struct sync_counts counts = sync_counts(master);
    struct samples ms = {0};
    for (int cut = 0; cut < CUTS; cut++) {
        int64_t start_us = clock_us();
        proxy_cut(proxy);
        fill(master, "key:", VALUES, VALUE_BYTES);
        sleep_us(DOWN_US + STEP_US * (cut % STEPS) - (clock_us() - start_us));
        proxy_heal(proxy);
        start_us = clock_us();
        while (!in_step(replica, master)) sleep_us(500);
        samples_add(&ms, (double)(clock_us() - start_us) / 1000);
    }
    expect_syncs(master, counts, 0, CUTS);
    proxy_stop(proxy);
    server_kill(replica);
    server_kill(master);
    return samples_median(&ms);
}

void bench_reconnect(int rounds)
{
    (void)rounds; /* every cut is a round of its own */
    double ours = measure(OURS), redis = measure(DEBIAN);
    report_title("reconnect: link healed to caught up by partial resync, median of %d cuts", CUTS);
    report_bound("healed to caught up", "ms", ours, redis, 30);
}
