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

#include <stdio.h>
#include <sys/stat.h>

#define KEYS        2000000
#define VALUE_BYTES 16
#define BOUND_MS    120000

static char certificates[300];

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

static double cpu_us(struct secured s, const struct work *w)
{
    char words[128], ca[400];
    snprintf(ca, sizeof ca, "%s/ca.crt", certificates);
    snprintf(words, sizeof words, "-t %s -c 50 -P %d -d %d -r %d", w->command, w->pipeline, VALUE_BYTES, KEYS);
    return tls_cpu_us_per_request(s.server, s.port, ca, w->requests, words);
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

void bench_tls(const struct bench *b)
{
    struct secured servers[CONTESTANTS_MAX];
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
