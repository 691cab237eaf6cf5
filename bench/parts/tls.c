/* TLS against TLS: the CPU of requests, and a full synchronisation. Both servers use the same OpenSSL, certificates and
 * cipher (TLS 1.3's first). */
#include "bench/parts/load.h"
#include "bench/parts/parts.h"
#include "tests/harness/certificates.h"
#include "tests/harness/client.h"
#include "tests/harness/fail.h"
#include "tests/harness/port.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEYS          2000000
#define VALUE_BYTES   16
#define BOUND_MS      120000
#define LOAD_BOUND_MS 600000

static char certificates[300], benchmark[300];

struct secured {
    struct server *server;
    int port;
};

static const struct work {
    const char *name, *command;
    int pipeline;
    long requests;
} works[] = {
    {"get.p1.cpu", "get", 1, 100000},
    {"set.p1.cpu", "set", 1, 100000},
    {"get.p16.cpu", "get", 16, 500000},
    {"set.p16.cpu", "set", 16, 500000},
};

static void make_certificates(void)
{
    snprintf(certificates, sizeof certificates, "%.250s/certificates", harness_root());
    mkdir(certificates, 0755);
    certificate_make(certificates, "ca", NULL, 0, NULL);
    certificate_make(certificates, "server", "ca", 0, NULL);
}

static struct secured start_secured(int cpu, const struct contestant *of)
{
    struct secured s = {.port = port_reserve()};
    char config[2048];
    snprintf(config, sizeof config,
             "tls-port %d\ntls-auth-clients no\ntls-replication yes\n"
             "tls-cert-file %s/server.crt\ntls-key-file %s/server.key\ntls-ca-cert-file %s/ca.crt",
             s.port, certificates, certificates, certificates);
    s.server = start_on(cpu, of, config);
    return s;
}

/* The load is redis-benchmark's, which speaks TLS. */
static double cpu_us(struct secured s, const struct work *w)
{
    char port[16], count[24], pipeline[16], bytes[16], numbers[24], ca[400];
    snprintf(port, sizeof port, "%d", s.port);
    snprintf(count, sizeof count, "%ld", w->requests);
    snprintf(pipeline, sizeof pipeline, "%d", w->pipeline);
    snprintf(bytes, sizeof bytes, "%d", VALUE_BYTES);
    snprintf(numbers, sizeof numbers, "%d", KEYS);
    snprintf(ca, sizeof ca, "%s/ca.crt", certificates);
    const char *argv[] = {benchmark,  "--tls", "--cacert", ca,   "-p",     port, "-n",  count, "--csv", "-t",
                          w->command, "-c",    "50",       "-P", pipeline, "-d", bytes, "-r",  numbers, NULL};
    int64_t before_us = process_tree_cpu_us(s.server->pid);
    struct process_result r = process_run_within(argv, NULL, LOAD_BOUND_MS);
    if (r.exit_code != 0) harness_fail("%s: %s", benchmark, r.output);
    free(r.output);
    return (double)(process_tree_cpu_us(s.server->pid) - before_us) / (double)w->requests;
}

static double sync_seconds(const struct contestant *of, struct secured master)
{
    struct secured replica = start_secured(LOAD_CPU, of);
    int64_t start_us = clock_us();
    follow_port(replica.server, master.port);
    wait_until_within(BOUND_MS, link_is_up(replica.server));
    double seconds = (double)(clock_us() - start_us) / 1e6;
    if (command_integer(replica.server, "DBSIZE") != KEYS) harness_fail("the replica is not complete");
    server_kill(replica.server);
    return seconds;
}

/* In the peers that the project unpacks, or installed. */
static bool find_benchmark(void)
{
    const char *peers = getenv("SLIPSTREAM_PEERS");
    snprintf(benchmark, sizeof benchmark, "%.250s/usr/bin/redis-benchmark", peers ? peers : "");
    if (access(benchmark, X_OK) == 0) return true;
    snprintf(benchmark, sizeof benchmark, "/usr/bin/redis-benchmark");
    return access(benchmark, X_OK) == 0;
}

void bench_tls(const struct bench *b)
{
    struct secured servers[CONTESTANTS_MAX];
    if (!find_benchmark()) {
        fprintf(stderr, "tls: left out, for there is no redis-benchmark\n");
        return;
    }
    make_certificates();
    for (int i = 0; i < b->count; i++) {
        servers[i] = start_secured(SERVER_CPU, &b->servers[i]);
        fill_keys(servers[i].server, 0, KEYS, VALUE_BYTES);
    }
    for (size_t w = 0; w < sizeof works / sizeof *works; w++)
        for (int round = 0; round < b->rounds; round++)
            for (int i = 0; i < b->count; i++) bench_add(b, i, works[w].name, "us/req", cpu_us(servers[i], &works[w]));
    for (int round = 0; round < b->rounds; round++)
        for (int i = 0; i < b->count; i++) bench_add(b, i, "full-sync", "s", sync_seconds(&b->servers[i], servers[i]));
    for (int i = 0; i < b->count; i++) server_kill(servers[i].server);
}
