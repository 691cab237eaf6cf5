/* Load and data for the parts. The servers under test own the first processor, all else shares the second. */
#ifndef PARTS_LOAD_H
#define PARTS_LOAD_H

#include "bench/servers/contestant.h"
#include "tests/harness/server.h"

#define SERVER_CPU 1 /* as struct process_options counts: number plus one */
#define LOAD_CPU   2

struct server *start_on(int cpu, const struct contestant *of, const char *config);
struct server *start_sentinel(const struct contestant *of, const char *config); /* its server with --sentinel */

/* Words as redis-benchmark has them: -c connections, -P pipeline, -d bytes of a value, -r numbers that __rand_int__ may
 * be, -t set or -t get; else the words of a command follow. */
struct load_figures {
    double per_s, p99_ms;
};
struct load_figures run_load(const struct server *s, long requests, const char *words);
/* The same, for the CPU that the server and its children take per request, in microseconds. */
double cpu_us_per_request(const struct server *s, long requests, const char *words);
/* The same at its TLS port, whose certificate this file verifies. */
double tls_cpu_us_per_request(const struct server *s, int tls_port, const char *ca_file, long requests,
                              const char *words);

/* A command for each number from first up to (not including) end, pipelined; hiredis's format, which is given the
 * number as a long, twice. */
void fill_each(struct server *s, long first, long end, const char *format);
/* Keys key:<12 digits> from first up to (not including) end, as redis-benchmark names them. */
void fill_keys(const struct server *s, long first, long end, int value_bytes);

double save_seconds(struct server *s); /* of a SAVE */
double load_seconds(struct server *s); /* killed and started again, until what it saved is loaded */

#endif
