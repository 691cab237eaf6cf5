/* See parts.h. */
#include "bench/parts/parts.h"

#include "tests/harness/fail.h"

#include <stdio.h>

const struct part parts[] = {
    {"replicas", "CPU per write with 0, 1 and 4 replicas", bench_replicas},
    {"memory", "bytes per key; save, load, full synchronisation", bench_memory},
    {"reconnect", "from a healed link to a replica that has caught up", bench_reconnect},
    {"storm", "four replicas join under writes", bench_storm},
    {"scale", "a GET among few and among many keys", bench_scale},
    {"types", "CPU per request of commands on one element", bench_types},
    {"replies", "CPU per request of commands with large replies", bench_replies},
    {"elements", "bytes per element, and per small value", bench_elements},
    {"dataset", "save and load of values of every type", bench_dataset},
    {"pause", "what other clients notice when a huge value goes", bench_pause},
    {"aof", "the append-only file: writes, always, load, rewrite", bench_aof},
    {"scripts", "CPU per call of scripts and functions", bench_scripts},
    {"sentinel", "a master's death to the first write elsewhere; a Sentinel's CPU with 500 masters", bench_sentinel},
    {"cores", "what the main thread and all threads take with I/O threads", bench_cores},
    {"tls", "CPU per request and a full synchronisation over TLS", bench_tls},
    {NULL, NULL, NULL},
};

/* A part may take minutes: who waits sees it come on. */
void bench_add(const struct bench *b, int server, const char *name, const char *unit, double value)
{
    fprintf(stderr, "%s: %s, %s: %.4g %s\n", b->part, b->servers[server].name, name, value, unit);
    rows_add(b->rows, server, b->part, name, unit, LESS_IS_BETTER, value);
}

double bench_median(const struct bench *b, int server, const char *name)
{
    const struct row *row = rows_find(b->rows, b->part, name);
    if (!row) harness_fail("%s has no row %s", b->part, name);
    return samples_summary(&row->of[server]).median;
}
