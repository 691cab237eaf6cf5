/* The campaign that replicates: generated writes to a master, and its replica's data against its own. */
#include "tests/differential/campaign.h"

#include "tests/differential/round.h"
#include "tests/differential/settle.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <string.h>

struct following {
    struct server *master, *replica;
    struct pair *writer; /* the master alone */
    struct pair *looker; /* both of them, ours first */
    const char *why;
};

static bool same_data(struct following *f)
{
    struct script audit = {0};
    round_append_audit(&audit, f->master->kind == OURS);
    bool same = pair_run(f->looker, &audit, 1) < 0;
    if (!same) f->why = pair_disagreement(f->looker);
    script_free(&audit);
    return same;
}

static bool catches_up(struct following *f)
{
    int64_t deadline_ms = clock_ms() + PATIENCE_MS;
    while (!in_step(f->replica, f->master)) {
        if (clock_ms() > deadline_ms) return false;
        sleep_us(1000);
    }
    return true;
}

static bool diverges(void *context, const struct script *s)
{
    struct following *f = context;
    pair_begin(f->writer, 2);
    if (pair_run(f->writer, s, ROUND_BURST) >= 0) {
        f->why = pair_disagreement(f->writer);
        return true;
    }
    if (!settles(f->master, PATIENCE_MS) || !catches_up(f) || !settles(f->replica, PATIENCE_MS)) {
        f->why = "# the replica does not catch up, or a key whose time is over stays\n";
        return true;
    }
    return !same_data(f);
}

static const char *why(void *context)
{
    const struct following *f = context;
    return f->why ? f->why : "";
}

static const char *name_of(enum server_kind kind)
{
    return kind == OURS ? "ours" : "Debian's";
}

void campaign_replicate(enum server_kind master, enum server_kind replica, struct differences *d,
                        const struct grammar *g, const struct campaign_options *o, struct tally *tally)
{
    /* Debian's does not say how old it is: unless told, ours leaves out what a 6.2 would not know. */
    const char *config = master == OURS && replica == DEBIAN ? "rdb-write-for 7.0" : "";
    struct following f = {server_start(master, "%s", config), server_start(replica, "%s", ""), NULL, NULL, NULL};
    bool master_first = master == OURS;
    f.writer = pair_make(&(struct pair_options){.server = {f.master},
                                                .name = {"master"},
                                                .differences = d,
                                                .patience_ms = PATIENCE_MS,
                                                .silence_agrees = true});
    f.looker = pair_make(
        &(struct pair_options){.server = {master_first ? f.master : f.replica, master_first ? f.replica : f.master},
                               .name = {master_first ? "master" : "replica", master_first ? "replica" : "master"},
                               .differences = d,
                               .patience_ms = PATIENCE_MS});
    follow(f.replica, f.master);
    wait_in_step(f.replica, f.master);
    struct generator generator = {.grammar = g};
    long commands = 0;
    int failures = 0, round = 0;
    for (; commands < o->commands && failures < o->failures_max; round++) {
        struct script s = round_generate(&generator, o->seed, round, false);
        commands += round_commands(&s);
        if (!diverges(&f, &s)) {
            script_free(&s);
            continue;
        }
        char title[96];
        snprintf(title, sizeof title, "seed %llu, round %d, %s to %s", (unsigned long long)o->seed, round,
                 name_of(master), name_of(replica));
        round_report(s, title, diverges, why, &f);
        failures++;
    }
    printf("replicated, %s to %s: %ld commands in %d rounds, %d failed\n", name_of(master), name_of(replica), commands,
           round, failures);
    pair_free(f.writer);
    pair_free(f.looker);
    server_stop(f.replica);
    server_stop(f.master);
    tally->tested++;
    tally->passed += failures == 0;
}
