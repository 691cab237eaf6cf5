/* See suite.h. The simulator.
 *
 * A check that cannot fail proves nothing: so each is shown a world in which the model does something wrong. */
#include "tests/simulation/suite.h"

#include "tests/simulation/campaign.h"

#include <inttypes.h>
#include <stdio.h>

#define NOTICED_WITHIN 400 /* seeds */

struct verdict {
    int tested, failed;
};

static void judge(struct verdict *v, bool good, const char *what)
{
    v->tested++;
    v->failed += !good;
    if (!good) printf("[FAIL] simulation: %s\n", what);
}

/* One of each kind of disk, and so many steps that everything has happened. */
static void a_world_can_be_lived_again(struct verdict *v)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct plan plan;
        struct outcome first, second;
        plan_make(&plan, seed, MISTAKE_NONE);
        run_world(&plan, false, &first);
        run_world(&plan, false, &second);
        judge(v, first.digest == second.digest && first.steps == second.steps, "a seed does not repeat its world");
    }
}

static void mistakes_are_noticed(struct verdict *v)
{
    for (int i = MISTAKE_NONE + 1; i < MISTAKES; i++) {
        struct campaign c = {
            .from = 1, .worlds = NOTICED_WITHIN, .jobs = 1, .mistake = (enum mistake)i, .until_failed = true};
        struct sum sum = campaign_run(&c);
        judge(v, sum.failed, mistake_name((enum mistake)i));
        if (sum.failed)
            printf("mistake %s: noticed at seed %" PRIu64 ": %s\n", mistake_name((enum mistake)i), sum.last_seed,
                   sum.failure);
    }
}

/* What is left of a schedule fails still, and nothing can be left out of it. */
static void a_schedule_shrinks(struct verdict *v)
{
    struct plan plan, small, smaller;
    struct outcome outcome;
    uint64_t seed = 0;
    do plan_make(&plan, ++seed, MISTAKE_ANY_HISTORY), run_world(&plan, false, &outcome);
    while ((!outcome.failed || plan.fault_count < 4) && seed < NOTICED_WITHIN);
    shrink_plan(&plan, &small);
    run_world(&small, false, &outcome);
    judge(v, outcome.failed && small.fault_count < plan.fault_count, "a schedule does not become shorter");
    shrink_plan(&small, &smaller);
    judge(v, smaller.fault_count == small.fault_count, "a schedule could have become shorter");
}

/* What has failed once, for a reason of its own. */
static const struct {
    uint64_t seed;
    const char *kept;
} once_failed[] = {
    {7700000586, NULL},                                    /* who was cut off led a new master back */
    {9100002172, "1:12675,2:3490,3:2332,4:0,5:2406"},      /* a choice across three histories */
    {9100002830, "1:13324,2:2311,3:5179,6:19266,10:9590"}, /* a Sentinel alone led back to what it knew */
    {9100002966, "2:983,5:7674,6:3399,9:1"},               /* a master came back as the replica of an empty one */
    {9100002966, "2:983,5:17674,6:3399,9:1"},              /* ... and no quorum was there */
    {9200010892, "1:18278,2:1,4:8111,7:1"},                /* the same, while a Sentinel started */
    {9200020247, "1:7200,2:0,3:5788,4:1377,6:1"},          /* a restart forgot whom the last master had left behind */
    {9200021144, "1:4869,2:715,4:10843,5:1943"},           /* an answer to WAIT on its way at the promotion */
    {9300000623, "1:1112,7:13731,9:0,10:0,13:1"},          /* two masters of one epoch, one of them no master */
    {9700000103, "2:243,4:0,5:1993,6:5569"},               /* TILT's end led a new master back */
    {9900000835, "3:4846,12:1"},                           /* a Sentinel came back as another, at another address */
    {9700007818, "2:7688,4:5513,5:0,6:1669,7:1816"},       /* who was promoted alone had it, and was led back */
};

static void what_failed_once_goes_well(struct verdict *v)
{
    for (size_t i = 0; i < sizeof once_failed / sizeof *once_failed; i++) {
        struct plan plan;
        struct outcome outcome = {.failed = true};
        char text[64];
        plan_make(&plan, once_failed[i].seed, MISTAKE_NONE);
        bool kept = !once_failed[i].kept || plan_keep(&plan, once_failed[i].kept);
        if (kept) run_world(&plan, false, &outcome);
        snprintf(text, sizeof text, "seed %" PRIu64 " fails again", once_failed[i].seed);
        judge(v, !outcome.failed, text);
    }
}

/* Always the same ones: a run answers for its commit, and new ones are for `make simulate`. */
static void worlds_go_well(struct verdict *v, uint64_t worlds, int jobs, struct sum *sum)
{
    struct campaign c = {.from = 1, .worlds = worlds, .jobs = jobs, .shrink = true};
    struct sum one = campaign_run(&c);
    sum_add(sum, &one);
    v->tested += (int)one.worlds;
    v->failed += (int)one.failed;
    if (one.worlds < worlds) judge(v, false, "some worlds have not been lived through");
}

int suite_run(uint64_t worlds, int jobs)
{
    struct verdict v = {0};
    struct sum sum = {0};
    a_world_can_be_lived_again(&v);
    mistakes_are_noticed(&v);
    a_schedule_shrinks(&v);
    what_failed_once_goes_well(&v);
    worlds_go_well(&v, worlds, jobs, &sum);
    sum_print(&sum);
    printf("[====] Synthesis: Tested: %d | Passing: %d | Failing: %d\n", v.tested, v.tested - v.failed, v.failed);
    return v.failed;
}
