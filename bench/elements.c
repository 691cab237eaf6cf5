/* What elements weigh in memory: each in values of ten thousand, and ten in a small value together with its key. */
#include "bench/load.h"
#include "bench/parts.h"
#include "bench/report.h"
#include "bench/values.h"

#define ELEMENTS   10000
#define VALUES     50
#define SMALL_KEYS 1000000 /* so many that what a server takes once hardly shows */
#define AT_MOST    0.8

static const struct {
    enum value_kind kind;
    const char *element, *small;
} works[] = {
    {A_HASH, "field and value in a hash of 10,000", "hash of 10, with its key"},
    {A_SET, "member of a set of 10,000", "set of 10, with its key"},
    {A_ZSET, "member of a sorted set of 10,000", "sorted set of 10, with its key"},
};

static double bytes_per_element(enum server_kind server, enum value_kind kind)
{
    struct server *s = start_on(SERVER_CPU, server, "");
    uint64_t empty = process_rss_bytes(s->pid);
    for (int i = 0; i < VALUES; i++) fill_large_value(s, kind, i, ELEMENTS);
    double bytes = (double)(process_rss_bytes(s->pid) - empty) / ((double)VALUES * ELEMENTS);
    server_kill(s);
    return bytes;
}

static double bytes_per_key(enum server_kind server, enum value_kind kind)
{
    struct server *s = start_on(SERVER_CPU, server, "");
    uint64_t empty = process_rss_bytes(s->pid);
    fill_small_values(s, kind, SMALL_KEYS);
    double bytes = (double)(process_rss_bytes(s->pid) - empty) / SMALL_KEYS;
    server_kill(s);
    return bytes;
}

void bench_elements(int rounds)
{
    (void)rounds; /* memory hardly varies */
    report_title("elements: growth of resident memory by %d values of %d elements, and by %d small ones", VALUES,
                 ELEMENTS, SMALL_KEYS);
    for (size_t i = 0; i < sizeof works / sizeof *works; i++)
        report_ratio(works[i].element, "bytes", bytes_per_element(OURS, works[i].kind),
                     bytes_per_element(DEBIAN, works[i].kind), AT_MOST);
    for (size_t i = 0; i < sizeof works / sizeof *works; i++)
        report_ratio(works[i].small, "bytes", bytes_per_key(OURS, works[i].kind), bytes_per_key(DEBIAN, works[i].kind),
                     AT_MOST);
}
