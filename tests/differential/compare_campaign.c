/* The campaign that compares: generated commands to both servers, every reply against the other's. */
#include "tests/differential/campaign.h"

#include "tests/differential/round.h"

struct comparison {
    struct pair *pair;
    int resp, failed_at;
};

static bool disagrees(void *context, const struct script *s)
{
    struct comparison *c = context;
    pair_begin(c->pair, c->resp);
    c->failed_at = pair_run(c->pair, s, ROUND_BURST);
    return c->failed_at >= 0;
}

static const char *why(void *context)
{
    const struct comparison *c = context;
    return pair_disagreement(c->pair);
}

void campaign_compare(struct pair *p, const struct grammar *g, const struct campaign_options *o, struct tally *tally)
{
    struct generator generator = {.grammar = g, .compared = true};
    struct comparison c = {.pair = p};
    long commands = 0;
    int failures = 0, failures_of[2] = {0}, round = 0;
    for (; commands < o->commands && failures < o->failures_max; round++) {
        struct script s = round_generate(&generator, o->seed, round, true);
        commands += round_commands(&s);
        c.resp = 2 + round % 2;
        if (!disagrees(&c, &s)) {
            script_free(&s);
            continue;
        }
        struct script head = script_without(&s, c.failed_at + 1, s.count);
        script_free(&s);
        char title[96];
        snprintf(title, sizeof title, "seed %llu, round %d [%d]", (unsigned long long)o->seed, round, c.resp);
        round_report(head, title, disagrees, why, &c);
        failures_of[round % 2]++;
        failures++;
    }
    printf("generated: %ld commands in %d rounds, %d failed\n", commands, round, failures);
    tally->tested += 2;
    tally->passed += (failures_of[0] == 0) + (failures_of[1] == 0);
}
