/* What elements weigh in memory: each in values of ten thousand, and ten in a small value together with its key. */
#include "bench/parts/load.h"
#include "bench/parts/parts.h"
#include "bench/parts/values.h"

#define ELEMENTS   10000
#define VALUES     50
#define SMALL_KEYS 1000000 /* so many that what a server takes once hardly shows */

static const struct {
    enum value_kind kind;
    const char *element, *small;
} works[] = {
    {A_HASH, "hash.10000.field", "hash.10"},
    {A_SET, "set.10000.member", "set.10"},
    {A_ZSET, "zset.10000.member", "zset.10"},
};

static double bytes_per_element(const struct contestant *of, enum value_kind kind)
{
    struct server *s = start_on(SERVER_CPU, of, "");
    uint64_t empty = process_rss_bytes(s->pid);
    for (int i = 0; i < VALUES; i++) fill_large_value(s, kind, i, ELEMENTS);
    double bytes = (double)(process_rss_bytes(s->pid) - empty) / ((double)VALUES * ELEMENTS);
    server_kill(s);
    return bytes;
}

static double bytes_per_key(const struct contestant *of, enum value_kind kind)
{
    struct server *s = start_on(SERVER_CPU, of, "");
    uint64_t empty = process_rss_bytes(s->pid);
    fill_small_values(s, kind, SMALL_KEYS);
    double bytes = (double)(process_rss_bytes(s->pid) - empty) / SMALL_KEYS;
    server_kill(s);
    return bytes;
}

/* One round, for memory hardly varies. A small value counts with its key. */
void bench_elements(const struct bench *b)
{
    for (int i = 0; i < b->count; i++) {
        for (size_t k = 0; k < sizeof works / sizeof *works; k++) {
            bench_add(b, i, works[k].element, "bytes", bytes_per_element(&b->servers[i], works[k].kind));
            bench_add(b, i, works[k].small, "bytes", bytes_per_key(&b->servers[i], works[k].kind));
        }
    }
}
