/* See campaign.h. The simulator. */
#include "tests/simulation/campaign.h"

#include "server/base/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The only look at a clock: how long the campaign may go on. */
static int64_t seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

static void report_failure(const struct campaign *c, const struct plan *plan, const struct outcome *o)
{
    struct plan small;
    struct outcome again;
    printf("== seed %" PRIu64 " fails at step %" PRIu64 ", %.3f s: %s\n", plan->seed, o->step,
           (double)o->failed_ms / 1000, o->failure);
    if (!c->shrink) return;
    shrink_plan(plan, &small);
    run_world(&small, false, &again);
    printf("   %d of %d faults are enough: step %" PRIu64 ", %.3f s: %s\n", small.fault_count, plan->fault_count,
           again.step, (double)again.failed_ms / 1000, again.failure);
    plan_print(&small);
    printf("   again: --seed %" PRIu64 " --verbose --keep ", plan->seed);
    plan_print_kept(&small);
    printf("\n");
}

void sum_add(struct sum *sum, const struct sum *more)
{
    const struct tallies *t = &more->tallies;
    sum->worlds += more->worlds;
    sum->failed += more->failed;
    sum->steps += more->steps;
    sum->node_ms += more->node_ms;
    if (more->slowest_ms > sum->slowest_ms) sum->slowest_ms = more->slowest_ms;
    sum->tallies.writes += t->writes;
    sum->tallies.acknowledged += t->acknowledged;
    sum->tallies.voided += t->voided;
    sum->tallies.promotions += t->promotions;
    sum->tallies.hand_overs += t->hand_overs;
    sum->tallies.continued += t->continued;
    sum->tallies.full_syncs += t->full_syncs;
    sum->tallies.strangers += t->strangers;
    if (!more->failed) return;
    sum->last_seed = more->last_seed;
    memcpy(sum->failure, more->failure, sizeof sum->failure);
}

static struct sum sum_of(const struct plan *plan, const struct outcome *o)
{
    struct sum one = {.worlds = 1,
                      .failed = o->failed,
                      .steps = o->steps,
                      .node_ms = o->node_ms,
                      .slowest_ms = o->healed_ms,
                      .tallies = o->tallies,
                      .last_seed = plan->seed};
    memcpy(one.failure, o->failure, sizeof one.failure);
    return one;
}

static struct sum run_one(const struct campaign *c, uint64_t seed)
{
    struct plan plan;
    struct outcome outcome;
    plan_make(&plan, seed, c->mistake);
    if (c->keep && !plan_keep(&plan, c->keep)) {
        fprintf(stderr, "--keep takes numbers of faults, with their lengths in ms: 2:1351,6\n");
        exit(2);
    }
    if (c->verbose) plan_print(&plan);
    run_world(&plan, c->verbose, &outcome);
    if (outcome.failed && !c->until_failed) report_failure(c, &plan, &outcome);
    return sum_of(&plan, &outcome);
}

/* Every jobs-th seed, from the job's own on. */
static struct sum run_job(const struct campaign *c, int job)
{
    struct sum sum = {0};
    int64_t until = seconds_now() + c->seconds;
    for (uint64_t i = (uint64_t)job; i < c->worlds; i += (uint64_t)c->jobs) {
        if (c->seconds && seconds_now() >= until) break;
        struct sum one = run_one(c, c->from + i);
        sum_add(&sum, &one);
        if (sum.failed && c->until_failed) break;
    }
    return sum;
}

/* A world fills a process: there is one chance for all that is real in it (random_replay). */
struct sum campaign_run(const struct campaign *c)
{
    struct sum sum = {0};
    int ends[2];
    if (c->jobs == 1) return run_job(c, 0);
    CHECK(pipe(ends) == 0);
    fflush(stdout);
    for (int job = 0; job < c->jobs; job++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child) continue;
        struct sum own = run_job(c, job);
        fflush(stdout);
        _exit(write(ends[1], &own, sizeof own) != sizeof own);
    }
    close(ends[1]);
    for (struct sum own; read(ends[0], &own, sizeof own) == sizeof own;) sum_add(&sum, &own);
    close(ends[0]);
    for (int status; wait(&status) > 0;)
        if (!WIFEXITED(status) || WEXITSTATUS(status)) {
            printf("== seeds from %" PRIu64 " on: a process of the simulator has died\n", c->from);
            sum.failed++;
        }
    return sum;
}

void sum_print(const struct sum *sum)
{
    const struct tallies *t = &sum->tallies;
    printf("%" PRIu64 " worlds, %.1f node-hours, %" PRIu64 " steps: %" PRIu64 " writes, %" PRIu64
           " acknowledged by WAIT (%" PRIu64 " of these promises ended); %" PRIu64 " promotions, %" PRIu64
           " of them handed over; %" PRIu64 " partial and %" PRIu64
           " full syncs; the slowest was well %.1f s after its last fault; %" PRIu64 " kept a stranger\n",
           sum->worlds, (double)sum->node_ms / 3600000, sum->steps, t->writes, t->acknowledged, t->voided,
           t->promotions, t->hand_overs, t->continued, t->full_syncs, (double)sum->slowest_ms / 1000, t->strangers);
}
