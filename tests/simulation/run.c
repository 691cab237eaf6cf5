/* See run.h. The simulator. */
#include "tests/simulation/run.h"

#include "tests/simulation/client.h"
#include "tests/simulation/node.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LOOK_EVERY_MS  100
#define SAME_WITHIN_MS 20000 /* the data of all, once all are linked and nobody writes */
#define CALM_MS        40000

enum stage { STAGE_FAULTS, STAGE_HEALS, STAGE_LEVELS /* data become the same */, STAGE_CALM, STAGE_OVER };

struct course {
    enum stage stage;
    int64_t since_ms, healed_ms;
    uint64_t promotions, full_syncs; /* as the calm began */
};

static bool changes_addresses(const struct plan *p)
{
    for (int i = 0; i < p->fault_count; i++)
        if (p->faults[i].kind == FAULT_SWAP || p->faults[i].kind == FAULT_MOVE) return true;
    return false;
}

/* Without a draw: worlds that have none stay as they are. */
static void add_spares(struct world *w)
{
    w->first_spare = w->node_count;
    for (int i = 0; i < SPARES && changes_addresses(w->plan); i++) {
        struct node *n = &w->nodes[w->node_count];
        n->kind = NODE_SERVER;
        n->powered = true;
        n->place = w->node_count;
        snprintf(n->name, sizeof n->name, "x%d", i);
        node_make(w, w->node_count++);
    }
    w->spares_used = 1; /* the first stays nobody's */
}

static void add(struct world *w, enum node_kind kind, char letter, int number, int follows)
{
    struct node *n = &w->nodes[w->node_count];
    n->kind = kind;
    n->clock_ms = CLOCK_AHEAD_MS + (int64_t)world_below(w, CLOCK_AHEAD_MS);
    n->touched_ms = -CLOCK_AHEAD_MS;
    n->place = w->node_count;
    n->follows = follows;
    snprintf(n->name, sizeof n->name, "%c%d", letter, number);
    node_make(w, w->node_count++);
}

static void populate(struct world *w)
{
    const struct plan *p = w->plan;
    for (int i = 0; i < p->servers; i++) add(w, NODE_SERVER, 'r', i, p->follows[i]);
    for (int i = 0; i < p->sentinels; i++) add(w, NODE_SENTINEL, 's', i, NOBODY);
    for (int i = 0; i < p->clients; i++) add(w, NODE_CLIENT, 'c', i, NOBODY);
    w->first_neighbour = w->node_count;
    for (int i = 0; i < p->neighbours; i++) add(w, NODE_SERVER, 'y', i, i ? w->first_neighbour : NOBODY);
    add_spares(w);
}

static void enter(struct world *w, struct course *c, enum stage stage)
{
    c->stage = stage;
    c->since_ms = w->now_ms;
}

static void stop_clients(struct world *w)
{
    for (int i = 0; i < w->node_count; i++)
        if (w->nodes[i].kind == NODE_CLIENT) client_stops(w, i);
}

static void heal(struct world *w, struct course *c)
{
    const char *why = checks_unwell(w);
    if (!why) {
        c->healed_ms = w->now_ms - c->since_ms;
        world_trace(w, NOBODY, "healed");
        stop_clients(w);
        network_calm(w);
        enter(w, c, STAGE_LEVELS);
    } else if (w->now_ms - c->since_ms > plan_heals_within_ms(w->plan)) {
        int stranger = checks_stranger(w);
        if (stranger != NOBODY) why = checks_unwell_but_for(w, stranger);
        if (!why) {
            checks_left_to_stranger(w);
            checks_at_end(w);
            enter(w, c, STAGE_OVER);
            return;
        }
        world_fail(w, "not healed %" PRId64 " ms after the last fault: %s", w->now_ms - c->since_ms, why);
    }
}

static void level(struct world *w, struct course *c)
{
    const char *why = checks_unwell(w);
    if (!why && checks_same_data(w)) {
        c->promotions = checks_tallies(w)->promotions;
        c->full_syncs = checks_tallies(w)->full_syncs;
        world_trace(w, NOBODY, "all have the same data");
        enter(w, c, STAGE_CALM);
    } else if (w->now_ms - c->since_ms > SAME_WITHIN_MS + plan_heals_within_ms(w->plan)) {
        world_fail(w, "all are linked, and do not come to the same data: %s", why ? why : "they differ");
    }
}

static void stay_calm(struct world *w, struct course *c)
{
    const struct tallies *t = checks_tallies(w);
    if (w->now_ms - c->since_ms < CALM_MS) return;
    const char *why = checks_unwell(w);
    if (why)
        world_fail(w, "it was well, and is not any more, without a fault: %s", why);
    else if (t->promotions != c->promotions)
        world_fail(w, "a fail-over without a fault");
    else if (t->full_syncs != c->full_syncs)
        world_fail(w, "a full sync without a fault");
    else
        checks_at_end(w);
    enter(w, c, STAGE_OVER);
}

static void look(struct world *w, struct course *c)
{
    checks_look_around(w);
    switch (c->stage) {
    case STAGE_FAULTS:
        if (w->now_ms > w->plan->faults_end_ms) enter(w, c, STAGE_HEALS);
        break;
    case STAGE_HEALS: heal(w, c); break;
    case STAGE_LEVELS: level(w, c); break;
    case STAGE_CALM: stay_calm(w, c); break;
    case STAGE_OVER: break;
    }
}

void run_world(const struct plan *plan, bool verbose, struct outcome *out)
{
    static struct world w;
    struct course course = {0};
    int64_t look_ms = 0;
    world_init(&w, plan, verbose);
    network_new(&w);
    checks_new(&w);
    populate(&w);
    for (int i = 0; i < w.first_spare; i++) node_start(&w, i);
    faults_schedule(&w);
    while (course.stage != STAGE_OVER && world_step(&w)) {
        if (w.now_ms < look_ms) continue;
        look_ms = w.now_ms + LOOK_EVERY_MS;
        look(&w, &course);
    }
    *out = (struct outcome){.failed = w.failed,
                            .step = w.failed_step,
                            .failed_ms = w.failed_ms,
                            .steps = w.steps,
                            .digest = w.digest,
                            .node_ms = w.now_ms * w.first_spare,
                            .healed_ms = course.healed_ms,
                            .tallies = *checks_tallies(&w)};
    memcpy(out->failure, w.failure, sizeof out->failure);
    for (int i = 0; i < w.node_count; i++) node_unmake(&w, i);
    checks_free(&w);
    network_free(&w);
    world_free(&w);
}
