/* The benchmark: ours and Debian's redis-server side by side on this machine, in one run.
 *
 * usage: bench [--rounds N] all|PART[,PART...]
 * Figures are medians over the rounds, and only their ratios mean anything elsewhere. Ends with 1 if a target was
 * missed. */
#include "bench/load.h"
#include "bench/parts.h"
#include "bench/report.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS_DEFAULT 5
#define ROUNDS_MAX     50

static const struct part parts[] = {
    {"throughput", bench_throughput}, {"replicas", bench_replicas}, {"memory", bench_memory},
    {"reconnect", bench_reconnect},   {"storm", bench_storm},       {"scale", bench_scale},
    {"types", bench_types},           {"replies", bench_replies},   {"elements", bench_elements},
    {"dataset", bench_dataset},       {"pause", bench_pause},       {"aof", bench_aof},
    {"scripts", bench_scripts},       {"tls", bench_tls},           {"sentinel", bench_sentinel},
};
#define PARTS (sizeof parts / sizeof *parts)

static int usage(void)
{
    fprintf(stderr, "usage: bench [--rounds N] all|PART[,PART...], where PART is one of:");
    for (size_t i = 0; i < PARTS; i++) fprintf(stderr, " %s", parts[i].name);
    fputc('\n', stderr);
    return 2;
}

static bool choose(char *names, bool chosen[PARTS])
{
    for (char *name = strtok(names, ","); name; name = strtok(NULL, ",")) {
        bool known = false;
        for (size_t i = 0; i < PARTS; i++) {
            if (strcmp(name, "all") != 0 && strcmp(name, parts[i].name) != 0) continue;
            chosen[i] = known = true;
        }
        if (!known) return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    int rounds = ROUNDS_DEFAULT;
    bool chosen[PARTS] = {false};
    char all[] = "all", *names = all;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--rounds") == 0 && i + 1 < argc)
            rounds = atoi(argv[++i]);
        else
            names = argv[i];
    }
    if (rounds < 1 || rounds > ROUNDS_MAX || !choose(names, chosen)) return usage();
    pin_load();
    for (size_t i = 0; i < PARTS; i++)
        if (chosen[i]) parts[i].run(rounds);
    printf("\n%d target%s missed\n", report_missed(), report_missed() == 1 ? "" : "s");
    return report_missed() ? 1 : 0;
}
