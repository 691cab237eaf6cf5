/* Load and data for the benchmark. The servers under test own the first processor, all else shares the second. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "tests/harness/server.h"

#define SERVER_CPU 1 /* as struct process_options counts: number plus one */
#define LOAD_CPU   2

void pin_load(void); /* this process and what it starts, unless told otherwise */
struct server *start_on(int cpu, enum server_kind kind, const char *config);

/* Debian's redis-benchmark with these arguments (a shell-like line without quotes); requests per second. */
double run_redis_benchmark(const struct server *s, long requests, const char *arguments);
double run_redis_benchmark_p99(const struct server *s, long requests, const char *arguments, double *p99_ms);

/* The same, for the CPU that the server and its children take per request, in microseconds. */
double cpu_us_per_request(const struct server *s, long requests, const char *arguments);

/* A command for each number from first up to (not including) end, pipelined; hiredis's format, which is given the
 * number as a long, twice. */
void fill_each(struct server *s, long first, long end, const char *format);
/* Keys key:<12 digits> from first up to (not including) end, as redis-benchmark names them. */
void fill_keys(const struct server *s, long first, long end, int value_bytes);

double save_seconds(struct server *s); /* of a SAVE */
double load_seconds(struct server *s); /* killed and started again, until what it saved is loaded */

#endif
