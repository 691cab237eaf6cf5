/* I/O threads: what the thread that runs the commands takes for a request, which bounds what a server can answer, what
 * all threads take together, and what time passes where there are more threads than processors. Each server with
 * io-threads 1, 3 and 5. Nobody is tied to a processor here, and the load runs beside the server: threads that spin
 * take all they can get. They do so for a while after a load, too: whoever is not measured is frozen. */
#include "bench/parts/load.h"
#include "bench/parts/parts.h"
#include "tests/harness/fail.h"

#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#define KEYS        200000
#define VALUE_BYTES 64

static const struct work {
    const char *name, *command;
    int pipeline, clients;
    long requests;
} works[] = {
    {"get.p1.c50", "get", 1, 50, 100000},   {"set.p1.c50", "set", 1, 50, 100000},
    {"get.p1.c500", "get", 1, 500, 100000}, {"set.p1.c500", "set", 1, 500, 100000},
    {"get.p16.c50", "get", 16, 50, 500000}, {"set.p16.c50", "set", 16, 50, 500000},
    {"get.p1.c1", "get", 1, 1, 50000}, /* threads are no use to it, and must not harm */
};

enum { ONE, THREADS, MANY, SETTINGS };
static const struct {
    const char *name, *config;
} settings[SETTINGS] = {
    {"one", "io-threads 1"},
    {"three", "io-threads 3"},
    {"five", "io-threads 5"}, /* more than there are processors, where there are few */
};

/* --- processor time of a process's threads --- */

struct cpu {
    double main_us, all_us;
};

static double run_us(pid_t pid, const char *thread)
{
    char path[300];
    unsigned long long ns = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%.200s/schedstat", (int)pid, thread);
    FILE *f = fopen(path, "r");
    if (!f) return 0; /* it has ended */
    if (fscanf(f, "%llu", &ns) != 1) ns = 0;
    fclose(f);
    return (double)ns / 1000;
}

static struct cpu cpu_of(pid_t pid)
{
    char path[64], main_thread[16];
    struct cpu cpu = {0};
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    snprintf(main_thread, sizeof main_thread, "%d", (int)pid);
    DIR *dir = opendir(path);
    if (!dir) harness_fail("%s is not there", path);
    for (struct dirent *entry; (entry = readdir(dir));)
        if (entry->d_name[0] != '.') cpu.all_us += run_us(pid, entry->d_name);
    closedir(dir);
    cpu.main_us = run_us(pid, main_thread);
    return cpu;
}

/* --- rows --- */

static void name_of(char out[64], const struct work *w, int setting, const char *what)
{
    snprintf(out, 64, "%s.%s.%s", w->name, settings[setting].name, what);
}

static void measure(const struct bench *b, int server, struct server *s, const struct work *w, int setting)
{
    char words[128], name[64];
    snprintf(words, sizeof words, "-c %d -P %d -d %d -r %d -t %s", w->clients, w->pipeline, VALUE_BYTES, KEYS,
             w->command);
    server_thaw(s);
    struct cpu before = cpu_of(s->pid);
    double per_s = run_load(s, w->requests, words).per_s;
    struct cpu after = cpu_of(s->pid);
    server_freeze(s);
    name_of(name, w, setting, "main");
    bench_add(b, server, name, "us/req", (after.main_us - before.main_us) / (double)w->requests);
    name_of(name, w, setting, "all");
    bench_add(b, server, name, "us/req", (after.all_us - before.all_us) / (double)w->requests);
    name_of(name, w, setting, "time");
    bench_add(b, server, name, "us/req", 1e6 / per_s);
}

/* Of medians: the setting's beside one thread's. */
static void add_ratio(const struct bench *b, int server, const struct work *w, int setting, const char *what)
{
    char name[64], of_one[64], ratio[80];
    name_of(name, w, setting, what);
    name_of(of_one, w, ONE, what);
    snprintf(ratio, sizeof ratio, "%s-to-one", name);
    bench_add(b, server, ratio, "", bench_median(b, server, name) / bench_median(b, server, of_one));
}

static void measure_all(const struct bench *b)
{
    struct server *servers[CONTESTANTS_MAX][SETTINGS];
    for (int i = 0; i < b->count; i++)
        for (int k = 0; k < SETTINGS; k++) {
            servers[i][k] = start_on(0, &b->servers[i], settings[k].config);
            fill_keys(servers[i][k], 0, KEYS, VALUE_BYTES);
            server_freeze(servers[i][k]);
        }
    for (const struct work *w = works; w < works + sizeof works / sizeof *works; w++) {
        for (int round = 0; round < b->rounds; round++)
            for (int i = 0; i < b->count; i++)
                for (int k = 0; k < SETTINGS; k++) measure(b, i, servers[i][k], w, k);
        for (int i = 0; i < b->count; i++) {
            add_ratio(b, i, w, THREADS, "main");
            add_ratio(b, i, w, THREADS, "all");
            add_ratio(b, i, w, THREADS, "time");
            add_ratio(b, i, w, MANY, "time");
        }
    }
    for (int i = 0; i < b->count; i++)
        for (int k = 0; k < SETTINGS; k++) server_kill(servers[i][k]);
}

void bench_cores(const struct bench *b)
{
    cpu_set_t before, any;
    sched_getaffinity(0, sizeof before, &before);
    memset(&any, 0xff, sizeof any);
    sched_setaffinity(0, sizeof any, &any);
    measure_all(b);
    sched_setaffinity(0, sizeof before, &before);
}
