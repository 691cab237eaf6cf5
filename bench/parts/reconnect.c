/* The link between a replica and its master is cut, 200 kB are written meanwhile, the link heals: how long until the
 * replica has caught up? The cut lasts a third of a second, and a little more each time, to meet every phase of a
 * reconnect timer. */
#include "bench/parts/load.h"
#include "bench/parts/parts.h"
#include "tests/harness/proxy.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#define CUTS        16
#define DOWN_US     300000
#define STEP_US     37000
#define STEPS       7
#define VALUE_BYTES 900
#define VALUES      200

static void measure(const struct bench *b, int server)
{
    struct server *master = start_on(SERVER_CPU, &b->servers[server], ""),
                  *replica = start_on(LOAD_CPU, &b->servers[server], "");
    struct proxy *proxy = proxy_start(master->port);
    follow_port(replica, proxy_port(proxy));
    wait_in_step(replica, master);
    struct sync_counts counts = sync_counts(master);
    for (int cut = 0; cut < CUTS; cut++) {
        int64_t start_us = clock_us();
        proxy_cut(proxy);
        fill(master, "key:", VALUES, VALUE_BYTES);
        sleep_us(DOWN_US + STEP_US * (cut % STEPS) - (clock_us() - start_us));
        proxy_heal(proxy);
        start_us = clock_us();
        while (!in_step(replica, master)) sleep_us(500);
        bench_add(b, server, "caught-up", "ms", (double)(clock_us() - start_us) / 1000);
    }
    expect_syncs(master, counts, 0, CUTS);
    proxy_stop(proxy);
    server_kill(replica);
    server_kill(master);
}

/* Every cut is a round of its own. */
void bench_reconnect(const struct bench *b)
{
    for (int i = 0; i < b->count; i++) measure(b, i);
}
