/* Values of every type, small and large: how long they take to a file and from it. */
#include "bench/load.h"
#include "bench/parts.h"
#include "bench/report.h"
#include "bench/values.h"

#define STRINGS  300000
#define SMALL    50000 /* of each type but strings, with ten elements */
#define LARGE    10    /* of each type but strings */
#define ELEMENTS 30000
#define AT_MOST  0.6

static void measure(enum server_kind kind, int rounds, struct samples *save_s, struct samples *load_s)
{
    struct server *s = start_on(SERVER_CPU, kind, "");
    fill_each(s, 0, STRINGS, "SET string:%08ld value:%08ld");
    for (enum value_kind k = 0; k < VALUE_KINDS; k++) {
        fill_small_values(s, k, SMALL);
        for (int i = 0; i < LARGE; i++) fill_large_value(s, k, i, ELEMENTS);
    }
    for (int round = 0; round < rounds; round++) samples_add(save_s, save_seconds(s));
    for (int round = 0; round < rounds; round++) samples_add(load_s, load_seconds(s));
    server_kill(s);
}

void bench_dataset(int rounds)
{
    struct samples save_s[2] = {0}, load_s[2] = {0};
    measure(OURS, rounds, &save_s[0], &load_s[0]);
    measure(DEBIAN, rounds, &save_s[1], &load_s[1]);
    report_title("dataset: %d strings, of each other type %d values of 10 and %d of %d, medians of %d rounds", STRINGS,
                 SMALL, LARGE, ELEMENTS, rounds);
    report_ratio("SAVE", "s", samples_median(&save_s[0]), samples_median(&save_s[1]), AT_MOST);
    report_ratio("load, start included", "s", samples_median(&load_s[0]), samples_median(&load_s[1]), AT_MOST);
}
