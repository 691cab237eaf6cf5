/* The differential driver: the same commands to ours and to Debian's redis-server, and every reply compared; the
 * same random writes to a master, whose replica must end with the same data; and to a server with an append-only file,
 * from which the same data must come back.
 *
 * usage: differential [--commands N] [--replicated N] [--appended N] [--failures N] [--tables DIR]
 *        [--only TEXT] [PART...]
 * PART is cases, generated, replication or append-only; all of them without any.
 * SLIPSTREAM_SEED repeats a run's decisions. */
#include "tests/differential/campaign.h"
#include "tests/harness/fail.h"
#include "tests/harness/wait.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REPLICATED_PART 8
#define APPENDED_PART   16

enum part { CASES, GENERATED, REPLICATION, APPEND_ONLY, PARTS };

struct options {
    long commands;   /* generated ones that are compared; of the next two, 0 stands for a part of these */
    long replicated; /* for each pair of master and replica */
    long appended;   /* for each way of an append-only file */
    int failures;
    const char *tables, *only;
    bool part[PARTS];
};

static int usage(void)
{
    fprintf(stderr, "usage: differential [--commands N] [--replicated N] [--appended N] [--failures N] [--tables DIR] "
                    "[--only TEXT] [cases|generated|replication|append-only]...\n");
    return 2;
}

static bool read_part(const char *name, struct options *o)
{
    static const char *const names[PARTS] = {"cases", "generated", "replication", "append-only"};
    for (int i = 0; i < PARTS; i++)
        if (strcmp(name, names[i]) == 0) return o->part[i] = true;
    return false;
}

static bool read_options(int argc, char **argv, struct options *o)
{
    bool any = false;
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i], *value = argv[i + 1];
        if (strncmp(name, "--", 2) != 0) {
            if (!read_part(name, o)) return false;
            any = true;
            continue;
        }
        i++;
        if (!value) return false;
        if (strcmp(name, "--commands") == 0)
            o->commands = atol(value);
        else if (strcmp(name, "--replicated") == 0)
            o->replicated = atol(value);
        else if (strcmp(name, "--appended") == 0)
            o->appended = atol(value);
        else if (strcmp(name, "--failures") == 0)
            o->failures = atoi(value);
        else if (strcmp(name, "--tables") == 0)
            o->tables = value;
        else if (strcmp(name, "--only") == 0)
            o->only = value;
        else
            return false;
    }
    for (int i = 0; i < PARTS; i++) o->part[i] |= !any;
    return true;
}

static uint64_t choose_seed(void)
{
    const char *given = getenv("SLIPSTREAM_SEED");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    printf("SLIPSTREAM_SEED=%llu repeats what is random\n", (unsigned long long)seed);
    return seed;
}

static struct differences *load_table(const struct options *o, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", o->tables, name);
    return differences_load(path);
}

static void compare(const struct options *o, const struct grammar *g, const struct campaign_options *campaign,
                    struct tally *tally)
{
    char path[4096];
    struct differences *d = load_table(o, "expected_differences.txt");
    struct server *ours = server_start(OURS, "adopt-backlog no"), *theirs = server_start(DEBIAN, "%s", "");
    struct pair_options options = {
        .server = {ours, theirs}, .name = {"ours", "theirs"}, .differences = d, .patience_ms = PATIENCE_MS};
    if (o->part[CASES]) {
        struct pair *p = pair_make(&options);
        snprintf(path, sizeof path, "%s/cases", o->tables);
        case_files_run(p, path, o->only, tally);
        pair_free(p);
        if (!o->only) differences_report_unused(d, stdout);
    }
    if (o->part[GENERATED]) {
        options.silence_agrees = true;
        struct pair *p = pair_make(&options);
        campaign_compare(p, g, campaign, tally);
        pair_free(p);
    }
    server_stop(ours);
    server_stop(theirs);
    differences_free(d);
}

static void replicate(const struct options *o, const struct grammar *g, struct campaign_options campaign,
                      struct tally *tally)
{
    struct differences *d = load_table(o, "replicated_differences.txt");
    static const enum server_kind pairs[][2] = {{OURS, OURS}, {OURS, DEBIAN}, {DEBIAN, OURS}};
    campaign.commands = o->replicated;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        campaign_replicate(pairs[i][0], pairs[i][1], d, g, &campaign, tally);
    differences_free(d);
}

static void append(const struct options *o, const struct grammar *g, struct campaign_options campaign,
                   struct tally *tally)
{
    struct differences *d = load_table(o, "replicated_differences.txt"); /* the witness is a replica */
    campaign.commands = o->appended;
    campaign_append_only(d, g, &campaign, tally);
    differences_free(d);
}

int main(int argc, char **argv)
{
    struct options o = {.commands = 200000, .failures = 3, .tables = "tests/differential"};
    if (!read_options(argc, argv, &o)) return usage();
    setvbuf(stdout, NULL, _IOLBF, 0);
    setenv("LC_ALL", "C", 1); /* SORT ALPHA and numbers */
    char path[4096];
    snprintf(path, sizeof path, "%s/grammar", o.tables);
    struct grammar *grammar = grammar_load(path);
    if (!o.replicated) o.replicated = o.commands / REPLICATED_PART;
    if (!o.appended) o.appended = o.commands / APPENDED_PART;
    struct campaign_options campaign = {o.commands, choose_seed(), o.failures};
    struct tally tally = {0};
    if (o.part[CASES] || o.part[GENERATED]) compare(&o, grammar, &campaign, &tally);
    if (o.part[REPLICATION]) replicate(&o, grammar, campaign, &tally);
    if (o.part[APPEND_ONLY]) append(&o, grammar, campaign, &tally);
    server_finish_all();
    grammar_free(grammar);
    printf("[====] Synthesis: Tested: %d | Passing: %d | Failing: %d\n", tally.tested, tally.passed,
           tally.tested - tally.passed);
    return tally.passed == tally.tested ? 0 : 1;
}
