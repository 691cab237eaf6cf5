/* slipstream-lab: what happens when a replica comes back, for any servers that speak Redis's replication protocol.
 *
 * It starts a master and a replica with a proxy between them, strikes with a fault, writes while it lasts, heals it,
 * and compares what happened with what the servers' own ids, offsets and windows say should happen. */
#include "bench/lab/attached.h"
#include "bench/lab/proxy_command.h"
#include "bench/lab/results.h"
#include "bench/servers/option_pairs.h"
#include "server/base/random.h"
#include "tests/harness/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PAIRS_MAX 64

struct pair {
    const struct contestant *master, *replica;
};

struct options {
    struct contestant servers[CONTESTANTS_MAX];
    int server_count;
    struct pair pairs[PAIRS_MAX];
    int pair_count;
    char pairs_wanted[512]; /* "": all */
    struct grid grid;
    uint64_t seed, try_seed;
    bool one_try_seed;
    const char *json, *csv, *html; /* files, "-": standard output; NULL: not wanted */
};

static int usage(FILE *out)
{
    fputs(
        "slipstream-lab: what happens when a replica comes back, of any servers that replicate as Redis does\n\n"
        "  1  one server, as master and as replica of itself, and the simplest fault:\n"
        "       slipstream-lab --server a='redis-server --port {port} --dir {dir}'\n"
        "  2  the lab starts a master and a replica with a proxy between them, strikes, writes meanwhile, heals, and\n"
        "     looks: was the resync partial or full, as ids, offsets and backlog called for? Are the data equal?\n"
        "  3  --list names the faults: --fault cut,replica-killed or --fault all\n"
        "  4  more servers are a matrix: --server b='valkey-server --port {port} --dir {dir}';\n"
        "     --pairs a:b (master:replica) narrows it\n"
        "  5  a grid of everything: --length 100ms,1s --rate 0,1m --backlog 1m,16m\n"
        "  6  a page to look at, and rows to keep: --html report.html --json tries.json\n"
        "  7  a cell that did otherwise is marked FINDING, with the command that repeats it alone\n"
        "  8  a pair that runs already: --attach master=HOST:PORT,replica=HOST:PORT (below)\n"
        "  9  the proxy by itself, to put between your own servers: slipstream-lab proxy --help\n\n"
        "Options:\n"
        "  --server NAME='COMMAND with {port} and {dir}'   --pairs a:b,b:a\n"
        "  --fault F,...    or all; cut unless told otherwise   --length 100ms,1s   --rate BYTES,... a second\n"
        "  --backlog BYTES,...   --keys N   --value BYTES   --timeout S (repl-timeout)   --tries N\n"
        "  --grid FILE      the same as lines of a file, without the dashes: backlog 1m 16m\n"
        "  --json FILE  --csv FILE  --html FILE         reports beside the table (- is standard output)\n"
        "  --seed N         the same seed makes the same faults at the same byte counts\n"
        "  proxy --listen [HOST:]PORT --to [HOST:]PORT [--control SOCKET]   tell SOCKET WORDS\n\n"
        "--attach takes a replica that is in step with its master: it is led through a proxy and put back at the end;\n"
        "nothing is set or restarted, and only a line's faults are had. Keys that begin with slipstream-lab: are\n"
        "written and removed, but for an interruption. REDISCLI_AUTH is the password.\n\n"
        "Ends with 1 if a server did otherwise than it said, or ended with other data; with 2 if it could not begin.\n",
        out);
    return out == stderr ? 2 : 0;
}

static int complain(const char *error)
{
    fprintf(stderr, "slipstream-lab: %s\n", error);
    return -1;
}

static void list_faults(void)
{
    for (int i = 0; faults[i]; i++) printf("%-18s %s\n", faults[i]->name, faults[i]->summary);
}

/* --- the command line --- */

static int add_server(struct options *o, const char *text, char error[256])
{
    snprintf(error, 256, "more than %d servers", CONTESTANTS_MAX);
    if (o->server_count && o->servers[0].host[0]) {
        snprintf(error, 256, "--server and --attach do not go together");
        return -1;
    }
    return o->server_count == CONTESTANTS_MAX ? -1 : contestant_parse(&o->servers[o->server_count++], text, error);
}

/* master=HOST:PORT,replica=HOST:PORT */
static int attach_both(struct options *o, const char *value, char error[256])
{
    char copy[600], *rest;
    snprintf(copy, sizeof copy, "%s", value);
    char *first = strtok_r(copy, ",", &rest), *second = strtok_r(NULL, ",", &rest);
    snprintf(error, 256, "--attach wants master=HOST:PORT,replica=HOST:PORT, and no --server");
    if (o->server_count || !first || !second) return -1;
    if (strncmp(first, "master=", 7) != 0 || strncmp(second, "replica=", 8) != 0) return -1;
    if (contestant_attach(&o->servers[0], "master", first + 7, error) != 0) return -1;
    if (contestant_attach(&o->servers[1], "replica", second + 8, error) != 0) return -1;
    o->server_count = 2;
    snprintf(o->pairs_wanted, sizeof o->pairs_wanted, "master:replica");
    return 0;
}

/* 0; -1: `error`; 1: there is no such option. */
static int take_option(void *options, const char *name, const char *value, char error[256])
{
    struct options *o = options;
    if (strcmp(name, "server") == 0) return add_server(o, value, error);
    if (strcmp(name, "attach") == 0) return attach_both(o, value, error);
    if (strcmp(name, "grid") == 0) return grid_read(&o->grid, value, error);
    if (strcmp(name, "seed") == 0)
        o->seed = strtoull(value, NULL, 10);
    else if (strcmp(name, "try-seed") == 0) {
        o->try_seed = strtoull(value, NULL, 10);
        o->one_try_seed = true;
    } else if (strcmp(name, "json") == 0)
        o->json = value;
    else if (strcmp(name, "csv") == 0)
        o->csv = value;
    else if (strcmp(name, "html") == 0)
        o->html = value;
    else if (strcmp(name, "pairs") == 0)
        snprintf(o->pairs_wanted, sizeof o->pairs_wanted, "%s", value);
    else
        return grid_set(&o->grid, name, value, error);
    return 0;
}

static int read_options(struct options *o, int argc, char **argv)
{
    char error[256];
    if (option_pairs_read(argc, argv, take_option, o, error) != 0) return complain(error);
    return o->server_count ? 0 : complain("no --server is named; --help has an example");
}

static const struct contestant *server_named(const struct options *o, const char *name, size_t len)
{
    for (int i = 0; i < o->server_count; i++)
        if (strlen(o->servers[i].name) == len && memcmp(o->servers[i].name, name, len) == 0) return &o->servers[i];
    return NULL;
}

static int choose_pairs(struct options *o)
{
    char *rest, error[256];
    for (int m = 0; m < o->server_count && !*o->pairs_wanted; m++)
        for (int r = 0; r < o->server_count; r++)
            o->pairs[o->pair_count++] = (struct pair){&o->servers[m], &o->servers[r]};
    char *word = *o->pairs_wanted ? strtok_r(o->pairs_wanted, ", ", &rest) : NULL;
    for (; word && o->pair_count < PAIRS_MAX; word = strtok_r(NULL, ", ", &rest)) {
        size_t colon = strcspn(word, ":");
        struct pair p = {server_named(o, word, colon), NULL};
        if (word[colon]) p.replica = server_named(o, word + colon + 1, strlen(word + colon + 1));
        if (!p.master || !p.replica) {
            snprintf(error, sizeof error, "'%.100s' names no pair MASTER:REPLICA of the servers", word);
            return complain(error);
        }
        o->pairs[o->pair_count++] = p;
    }
    return 0;
}

/* --- the run --- */

/* Starts it once: one that does not start, or is no server, ends the run before it begins. */
static int note_version(struct results *r, const struct contestant *of)
{
    struct instance i;
    char error[256];
    instance_init(&i, of, "version");
    int status = instance_start(&i, error);
    if (status == 0) instance_version(&i, r->servers[r->server_count].version);
    r->servers[r->server_count++].of = of;
    instance_free(&i);
    return status ? complain(error) : 0;
}

/* On a terminal the line is written over, elsewhere each is one. */
static void show_progress(const struct cell *c, int done, int total, int64_t start_ms)
{
    int64_t left_s = done ? (clock_ms() - start_ms) * (total - done) / done / 1000 : -1;
    bool terminal = isatty(STDERR_FILENO);
    fprintf(stderr, "%s%d of %d: %s:%s, %s for %d ms", terminal ? "\r\033[K" : "", done + 1, total, c->master->name,
            c->replica->name, c->fault->name, c->length_ms);
    if (left_s >= 0) fprintf(stderr, ", %lld s to go", (long long)left_s);
    if (!terminal) fputc('\n', stderr);
    fflush(stderr);
}

static void run(const struct options *o, struct results *r)
{
    int cells = grid_cells(&o->grid), tries = (int)o->grid.tries, total = o->pair_count * cells * tries, done = 0;
    int64_t start_ms = clock_ms();
    struct random_state random;
    random_seed(&random, o->seed);
    for (int p = 0; p < o->pair_count; p++) {
        for (int n = 0; n < cells; n++) {
            for (int t = 0; t < tries; t++) {
                struct result *x = results_add(r);
                uint64_t seed = random_u64(&random) >> 1;
                x->cell = grid_cell(&o->grid, n, o->pairs[p].master, o->pairs[p].replica);
                x->number = t + 1;
                show_progress(&x->cell, done++, total, start_ms);
                try_cell(&x->cell, o->one_try_seed ? o->try_seed : seed, &x->got);
            }
        }
    }
    if (isatty(STDERR_FILENO)) fputs("\r\033[K", stderr);
}

static int write_report(const char *path, void (*report)(const struct results *r, FILE *out), const struct results *r)
{
    if (!path) return 0;
    FILE *out = strcmp(path, "-") == 0 ? stdout : fopen(path, "w");
    if (!out) {
        fprintf(stderr, "slipstream-lab: %s: %s\n", path, strerror(errno));
        return -1;
    }
    report(r, out);
    int bad = ferror(out);
    if (out != stdout) bad |= fclose(out);
    return bad ? -1 : 0;
}

int main(int argc, char **argv)
{
    static struct options o;
    struct results r = {0};
    if (argc > 1 && strcmp(argv[1], "proxy") == 0) return proxy_command_main(argc, argv);
    if (argc > 1 && strcmp(argv[1], "tell") == 0) return tell_command_main(argc, argv);
    if (argc < 2) return usage(stderr);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) return usage(stdout);
    if (strcmp(argv[1], "--list") == 0) {
        list_faults();
        return 0;
    }
    signal(SIGPIPE, SIG_IGN);
    grid_init(&o.grid);
    o.seed = (uint64_t)time(NULL);
    if (read_options(&o, argc, argv) != 0 || choose_pairs(&o) != 0) return 2;
    r.seed = o.seed;
    for (int i = 0; i < o.server_count; i++)
        if (note_version(&r, &o.servers[i]) != 0) return 2;
    if (o.servers[0].host[0]) attached_watch_signals();
    run(&o, &r);
    if (!o.json || strcmp(o.json, "-") != 0) report_table(&r, stdout);
    int bad = write_report(o.json, report_json, &r) | write_report(o.csv, report_csv, &r) |
              write_report(o.html, report_html, &r);
    return bad ? 2 : results_findings(&r) > 0;
}
