/* Values of every type, small and large: how long they take to a file and from it. */
#include "bench/parts/load.h"
#include "bench/parts/parts.h"
#include "bench/parts/values.h"

#define STRINGS  300000
#define SMALL    50000 /* of each type but strings, with ten elements */
#define LARGE    10    /* of each type but strings */
#define ELEMENTS 30000

void bench_dataset(const struct bench *b)
{
    for (int i = 0; i < b->count; i++) {
        struct server *s = start_on(SERVER_CPU, &b->servers[i], "");
        fill_each(s, 0, STRINGS, "SET string:%08ld value:%08ld");
        for (enum value_kind k = 0; k < VALUE_KINDS; k++) {
            fill_small_values(s, k, SMALL);
            for (int n = 0; n < LARGE; n++) fill_large_value(s, k, n, ELEMENTS);
        }
        for (int round = 0; round < b->rounds; round++) bench_add(b, i, "save", "s", save_seconds(s));
        for (int round = 0; round < b->rounds; round++) bench_add(b, i, "load", "s", load_seconds(s));
        server_kill(s);
    }
}
