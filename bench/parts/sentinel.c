/* A Sentinel's two prices: how long nobody can write after a master's death, and what watching many masters costs.
 *
 * A fail-over goes from kill -9 to the first write that a replica accepts: three Sentinels, a master and four replicas
 * of the first of the servers, down-after-milliseconds 1000. The old master then follows the new one,
 * and the next round kills that. */
#include "bench/parts/load.h"
#include "bench/parts/many_masters.h"
#include "bench/parts/parts.h"
#include "tests/harness/clock.h"
#include "tests/harness/replication.h"
#include "tests/harness/sentinels.h"
#include "tests/harness/wait.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODES          5
#define SENTINELS      3
#define RUNS_PER_ROUND 2
#define BOUND_MS       120000
#define AGREEMENT_MS   60000 /* three of the fail-over's time-outs */

#define WATCHED       500
#define SETTLE_US     25000000 /* for 20 s a Sentinel of ours wants to hear more of masters that have just started */
#define WATCH_US      10000000 /* as long as INFO's period */
#define MONITOR_BYTES 80

/* --- a fail-over --- */

struct fleet {
    struct server *node[NODES], *sentinel[SENTINELS];
};

static struct fleet start_fleet(const struct contestant *nodes, const struct contestant *sentinels)
{
    struct fleet f;
    char config[256];
    for (int i = 0; i < NODES; i++) f.node[i] = start_on(0, nodes, "");
    for (int i = 1; i < NODES; i++) follow(f.node[i], f.node[0]);
    fill(f.node[0], "key:", 1000, 100);
    snprintf(config, sizeof config,
             "sentinel monitor mymaster 127.0.0.1 %d 2\nsentinel down-after-milliseconds mymaster 1000\n"
             "sentinel failover-timeout mymaster 20000",
             f.node[0]->port);
    for (int i = 0; i < SENTINELS; i++) f.sentinel[i] = start_sentinel(sentinels, config);
    return f;
}

static struct server *node_at(const struct fleet *f, int port)
{
    for (int i = 0; i < NODES; i++)
        if (f->node[i]->port == port) return f->node[i];
    return NULL;
}

/* Each Sentinel knows everybody, calls nobody down, and has nothing under way. */
static bool is_calm(struct server *sentinel)
{
    if (!sentinel_knows(sentinel, NODES - 1, SENTINELS - 1)) return false;
    if (strcmp(sentinel_field(sentinel, "flags"), "master") != 0) return false;
    redisReply *r = command(sentinel, "SENTINEL REPLICAS mymaster");
    bool calm = r->elements == NODES - 1;
    for (size_t i = 0; calm && i < r->elements; i++) {
        for (size_t k = 0; k + 1 < r->element[i]->elements; k += 2) {
            const char *name = r->element[i]->element[k]->str, *value = r->element[i]->element[k + 1]->str;
            if (strcmp(name, "flags") == 0) calm &= strcmp(value, "slave") == 0;
            if (strcmp(name, "master-link-status") == 0) calm &= strcmp(value, "ok") == 0;
        }
    }
    freeReplyObject(r);
    return calm;
}

static void stop_fleet(struct fleet *f)
{
    for (int i = 0; i < SENTINELS; i++) server_kill(f->sentinel[i]);
    for (int i = 0; i < NODES; i++) server_kill(f->node[i]);
}

static bool accepts_a_write(struct server *s)
{
    redisReply *r = try_command(s, "SET probe 1");
    bool accepts = r && r->type == REDIS_REPLY_STATUS;
    if (r) freeReplyObject(r);
    return accepts;
}

static struct server *first_to_accept(struct fleet *f, const struct server *dead)
{
    for (int64_t bound_ms = clock_ms() + BOUND_MS; clock_ms() < bound_ms; sleep_us(1000))
        for (int i = 0; i < NODES; i++)
            if (f->node[i] != dead && accepts_a_write(f->node[i])) return f->node[i];
    return NULL;
}

static bool all_name(const struct fleet *f, int port)
{
    for (int i = 0; i < SENTINELS; i++)
        if (sentinel_master_port(f->sentinel[i]) != port) return false;
    return true;
}

static bool all_calm(const struct fleet *f)
{
    for (int i = 0; i < SENTINELS; i++)
        if (!is_calm(f->sentinel[i])) return false;
    return true;
}

/* Whether the Sentinels come to one mind about that master. They may not: two leaders, each elected in its own epoch,
 * may promote two replicas after one death, and one of them may never hear of the other's. */
static bool agree_on(const struct fleet *f, int port, bool (*also)(const struct fleet *))
{
    for (int64_t bound_ms = clock_ms() + AGREEMENT_MS; clock_ms() < bound_ms; sleep_us(2000))
        if (all_name(f, port) && (!also || also(f))) return true;
    return false;
}

/* The dead master is back, as a replica, when this returns; *agreed says whether the fleet is fit for another death. */
static double failover_ms(struct fleet *f, bool *agreed)
{
    struct server *master = node_at(f, sentinel_master_port(f->sentinel[0]));
    if (!master || !agree_on(f, master->port, all_calm)) harness_fail("the Sentinels do not agree on a master");
    int64_t start_us = clock_us();
    server_kill(master);
    struct server *next = first_to_accept(f, master);
    double ms = (double)(clock_us() - start_us) / 1000;
    *agreed = next && agree_on(f, next->port, NULL);
    if (!*agreed) return next ? ms : BOUND_MS;
    server_launch(master);
    follow(master, next);
    *agreed = agree_on(f, next->port, all_calm);
    return ms;
}

static void measure_failover(const struct bench *b, int server)
{
    struct fleet f = start_fleet(&b->servers[0], &b->servers[server]);
    for (int i = 0; i < b->rounds * RUNS_PER_ROUND; i++) {
        bool agreed;
        bench_add(b, server, "failover", "ms", failover_ms(&f, &agreed));
        if (!agreed) {
            fprintf(stderr, "%s: the Sentinels were of two minds %d s after a fail-over; it starts anew with others\n",
                    b->servers[server].name, AGREEMENT_MS / 1000);
            stop_fleet(&f);
            f = start_fleet(&b->servers[0], &b->servers[server]);
        }
        sleep_us((int64_t)(i % 7) * 130000); /* the Sentinels' rhythm is met at another moment each time */
    }
    stop_fleet(&f);
}

/* --- many masters --- */

static double watching_cpu_percent(const struct contestant *of, struct many_masters *masters)
{
    char *config = calloc(WATCHED, MONITOR_BYTES), host[16];
    size_t len = 0;
    for (int i = 0; i < WATCHED; i++) {
        many_masters_host(i, host);
        len += (size_t)snprintf(config + len, MONITOR_BYTES, "sentinel monitor m%d %s %d 1\n", i, host,
                                many_masters_port(masters));
    }
    many_masters_forget(masters);
    struct server *s = start_sentinel(of, config);
    free(config);
    wait_until_within(BOUND_MS, many_masters_seen(masters) == WATCHED);
    sleep_us(SETTLE_US);
    int64_t start_us = process_cpu_us(s->pid);
    sleep_us(WATCH_US);
    double percent = 100.0 * (double)(process_cpu_us(s->pid) - start_us) / WATCH_US;
    server_kill(s);
    return percent;
}

void bench_sentinel(const struct bench *b)
{
    for (int i = 0; i < b->count; i++) measure_failover(b, i);
    struct server *model = start_on(0, &b->servers[0], "");
    struct many_masters *masters = many_masters_start(WATCHED, command_text(model, "INFO"));
    server_kill(model);
    for (int i = 0; i < b->count; i++)
        bench_add(b, i, "500-masters.cpu", "%", watching_cpu_percent(&b->servers[i], masters));
}
