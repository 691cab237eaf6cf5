/* The smallest schedule that still fails. The simulator.
 *
 * Faults are left out, halves first, then one by one, as long as the world fails without them; then what is left is
 * made shorter. What else the seed decides stays. */
#include "tests/simulation/run.h"

static bool still_fails(const struct plan *plan)
{
    struct outcome outcome;
    run_world(plan, false, &outcome);
    return outcome.failed;
}

static void leave_out(struct plan *p, int from, int count)
{
    for (int i = from + count; i < p->fault_count; i++) p->faults[i - count] = p->faults[i];
    p->fault_count -= count;
    plan_leave_out_neighbours(p);
}

static bool try_without(struct plan *p, int from, int count)
{
    struct plan fewer = *p;
    leave_out(&fewer, from, count);
    if (!still_fails(&fewer)) return false;
    *p = fewer;
    return true;
}

/* Whether anything became less. */
static bool shrink_once(struct plan *p)
{
    int before = p->fault_count;
    bool shortened = false;
    for (int count = before / 2 ? before / 2 : 1; count >= 1; count /= 2)
        for (int from = 0; from + count <= p->fault_count;)
            if (!try_without(p, from, count)) from += count;
    for (int i = 0; i < p->fault_count; i++)
        for (int halvings = 0; halvings < 4 && p->faults[i].lasts_ms > 1; halvings++) {
            struct plan shorter = *p;
            shorter.faults[i].lasts_ms /= 2;
            if (!still_fails(&shorter)) break;
            *p = shorter;
            shortened = true;
        }
    return shortened || p->fault_count < before;
}

/* Without one, or with a shorter one, others may be of no use any more. How long the world is looked at stays:
 * faults_end_ms is the plan's. */
void shrink_plan(const struct plan *plan, struct plan *out)
{
    *out = *plan;
    while (shrink_once(out)) continue;
}
