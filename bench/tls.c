/* TLS against TLS: the CPU of requests, and a full synchronisation. Both servers use the same OpenSSL, certificates and
 * cipher (TLS 1.3's first). */
#include "bench/load.h"
#include "bench/parts.h"
#include "bench/report.h"
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
    {"GET, no pipeline", "get", 1, 100000},
    {"SET, no pipeline", "set", 1, 100000},
    {"GET, pipeline 16", "get", 16, 500000},
    {"SET, pipeline 16", "set", 16, 500000},
};

static void make_certificates(void)
{
    snprintf(certificates, sizeof certificates, "%.250s/certificates", harness_root());
    mkdir(certificates, 0755);
    certificate_make(certificates, "ca", NULL, 0, NULL);
    certificate_make(certificates, "server", "ca", 0, NULL);
}

static struct secured start_secured(int cpu, enum server_kind kind)
{
    struct secured s = {.port = port_reserve()};
    char config[2048];
    snprintf(config, sizeof config,
             "tls-port %d\ntls-auth-clients no\ntls-replication yes\n"
             "tls-cert-file %s/server.crt\ntls-key-file %s/server.key\ntls-ca-cert-file %s/ca.crt",
             s.port, certificates, certificates, certificates);
    s.server = start_on(cpu, kind, config);
    return s;
}

static double cpu_us(struct secured s, const struct work *w)
{
    char arguments[512];
    struct server door = *s.server;
    door.port = s.port;
    snprintf(arguments, sizeof arguments, "--tls --cacert %s/ca.crt -t %s -c 50 -P %d -d %d -r %d", certificates,
             w->command, w->pipeline, VALUE_BYTES, KEYS);
    return cpu_us_per_request(&door, w->requests, arguments);
}

static double sync_seconds(enum server_kind kind, struct secured master)
{
    struct secured replica = start_secured(LOAD_CPU, kind);
    int64_t start_us = clock_us();
    follow_port(replica.server, master.port);
    wait_until_within(BOUND_MS, link_is_up(replica.server));
    double seconds = (double)(clock_us() - start_us) / 1e6;
    if (command_integer(replica.server, "DBSIZE") != KEYS) harness_fail("the replica is not complete");
    server_kill(replica.server);
    return seconds;
}

void bench_tls(int rounds)
{
    make_certificates();
    static const enum server_kind kinds[] = {OURS, DEBIAN};
    struct secured servers[2];
    for (int i = 0; i < 2; i++) {
        servers[i] = start_secured(SERVER_CPU, kinds[i]);
        fill_keys(servers[i].server, 0, KEYS, VALUE_BYTES);
    }
    report_title("TLS: %d keys of %d bytes, 50 connections, medians of %d rounds", KEYS, VALUE_BYTES, rounds);
    for (size_t w = 0; w < sizeof works / sizeof *works; w++) {
        struct samples cpu[2] = {0};
        for (int round = 0; round < rounds; round++)
            for (int i = 0; i < 2; i++) samples_add(&cpu[i], cpu_us(servers[i], &works[w]));
        report_ratio(works[w].name, "us CPU", samples_median(&cpu[0]), samples_median(&cpu[1]), 0.6);
    }
    struct samples sync_s[2] = {0};
    for (int round = 0; round < rounds; round++)
        for (int i = 0; i < 2; i++) samples_add(&sync_s[i], sync_seconds(kinds[i], servers[i]));
    report_ratio("full sync of an empty replica", "s", samples_median(&sync_s[0]), samples_median(&sync_s[1]), 0.4);
    for (int i = 0; i < 2; i++) server_kill(servers[i].server);
}
