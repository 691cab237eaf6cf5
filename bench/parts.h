/* The parts of the benchmark; each starts its own servers, prints its own table, and leaves nothing running. */
#ifndef BENCH_PARTS_H
#define BENCH_PARTS_H

struct part {
    const char *name;
    void (*run)(int rounds);
};

void bench_throughput(int rounds); /* requests per second and CPU per request */
void bench_replicas(int rounds);   /* CPU per write with 0, 1 and 4 replicas */
void bench_memory(int rounds);     /* bytes per key, save, load, full sync */
void bench_reconnect(int rounds);  /* healed link to caught up */
void bench_storm(int rounds);      /* four replicas join under writes */
void bench_scale(int rounds);      /* a GET among few and among many keys */
void bench_types(int rounds);      /* CPU per request of commands on one element */
void bench_replies(int rounds);    /* CPU per request of commands with large replies */
void bench_elements(int rounds);   /* bytes per element, and per small value */
void bench_dataset(int rounds);    /* save and load of values of every type */
void bench_aof(int rounds);        /* the append-only file: writes, always, load, rewrite */
void bench_scripts(int rounds);    /* CPU per call of scripts and functions */
void bench_tls(int rounds);        /* CPU per request and a full sync, over TLS */
void bench_sentinel(int rounds);   /* a fail-over, and many masters */
void bench_pause(int rounds);      /* what other clients notice when a huge value goes */

#endif
