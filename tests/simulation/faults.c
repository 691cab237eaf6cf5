/* The faults of a plan, done to its world. The simulator. */
#include "tests/simulation/checks.h"
#include "tests/simulation/client.h"
#include "tests/simulation/node.h"
#include "tests/simulation/plan.h"
#include "tests/simulation/server.h"
#include "tests/simulation/server_node.h"
#include "tests/simulation/watcher.h"

#define ASK_EVERY_MS 1000

/* Both ways, or from `a` to `b` alone. */
static void cut(struct world *w, int a, int b, bool both, bool begins)
{
    network_cut(w, a, b, begins);
    if (both) network_cut(w, b, a, begins);
}

static void touch(struct world *w, const struct fault *f, int node, bool begins)
{
    bool everybody = f->kind == FAULT_SPLIT || f->kind == FAULT_SLOW;
    for (int i = 0; i < w->node_count; i++) {
        bool concerned =
            everybody || i == node || ((f->kind == FAULT_CUT || f->kind == FAULT_CUT_ONE_WAY) && i == f->other);
        if (f->kind == FAULT_SWAP) concerned = i == node || i == f->other;
        if (f->kind == FAULT_KILL_ALL) concerned = f->extra >> i & 1;
        if (concerned && f->kind != FAULT_BURST) node_touched(w, i, begins);
    }
}

/* What it says, or what is said to it. */
static void isolate_one_way(struct world *w, int node, bool from_it, bool begins)
{
    for (int i = 0; i < w->node_count; i++)
        if (i != node) network_cut(w, from_it ? node : i, from_it ? i : node, begins);
}

static void isolate(struct world *w, int node, bool begins)
{
    for (int i = 0; i < w->node_count; i++)
        if (i != node) cut(w, node, i, true, begins);
}

static void split(struct world *w, uint64_t side, bool begins)
{
    for (int a = 0; a < w->node_count; a++)
        for (int b = 0; b < a; b++)
            if ((side >> a & 1) != (side >> b & 1)) cut(w, a, b, true, begins);
}

static void die(struct world *w, const struct fault *f, int node)
{
    if (!w->nodes[node].running) return;
    if (f->kind == FAULT_WIPE) checks_file_lost(w, node);
    node_die(w, node, f->kind == FAULT_POWER, f->kind == FAULT_WIPE);
}

/* What a Sentinel that it can reach tells: a master that runs; itself; NOBODY. */
static int told_master(const struct world *w, int node)
{
    for (int i = w->plan->servers; i < w->plan->servers + w->plan->sentinels; i++) {
        if (!node_acts(w, i) || network_is_cut(w, node, i) || network_is_cut(w, i, node)) continue;
        int master = watcher_master(w, i);
        if (master == node || (master >= 0 && master < w->plan->servers && w->nodes[master].running)) return master;
    }
    return NOBODY;
}

/* Nobody knows a server that is at another address, and what its configuration says may be nobody's by now: as an
 * operator's or a chart's script does, it asks first, and waits for an answer. */
static void starts(struct world *w, int none, uint64_t node)
{
    (void)none;
    if (w->nodes[node].running) return;
    if (w->nodes[node].asks && w->nodes[node].kind == NODE_SERVER) {
        int master = told_master(w, (int)node);
        if (master == NOBODY) {
            world_after(w, ASK_EVERY_MS, NOBODY, starts, node);
            return;
        }
        server_is_told(w, (int)node, master == (int)node ? NOBODY : master);
    }
    node_start(w, (int)node);
}

static void die_together(struct world *w, const struct fault *f)
{
    uint64_t lost = f->extra >> DISKS_FROM;
    for (int i = 0; i < w->node_count; i++) {
        if (!(f->extra >> i & 1)) continue;
        if (w->nodes[i].running) node_die(w, i, false, lost >> i & 1);
        world_after(w, 1 + (int64_t)world_below(w, (uint64_t)f->lasts_ms), NOBODY, starts, (uint64_t)i);
    }
}

static void bursts(struct world *w, bool begins)
{
    for (int i = 0; i < w->node_count; i++)
        if (w->nodes[i].kind == NODE_CLIENT) client_bursts(w, i, begins);
}

static void begin(struct world *w, const struct fault *f, int node)
{
    struct node *n = &w->nodes[node];
    switch (f->kind) {
    case FAULT_KILL:
    case FAULT_POWER:
    case FAULT_WIPE: die(w, f, node); break;
    case FAULT_KILL_MIDWAY:
        if (n->running) watcher_dies_midway(w, node, (unsigned)f->extra);
        break;
    case FAULT_PAUSE:
        if (n->paused_until_ms < w->now_ms + f->lasts_ms) n->paused_until_ms = w->now_ms + f->lasts_ms;
        break;
    case FAULT_CUT: cut(w, node, f->other, true, true); break;
    case FAULT_CUT_ONE_WAY: cut(w, node, f->other, false, true); break;
    case FAULT_ISOLATE: isolate(w, node, true); break;
    case FAULT_SPLIT: split(w, f->extra, true); break;
    case FAULT_SLOW: network_slow(w, (int64_t)f->extra, 10); break;
    case FAULT_HALF_OPEN: network_half_open(w, node); break;
    case FAULT_CLOCK: n->clock_ms += (int64_t)f->extra; break;
    case FAULT_LINK:
        if (n->running) link_died(server_of(w, node));
        break;
    case FAULT_CHILD:
        if (n->running) master_snapshot_fails(server_of(w, node));
        break;
    case FAULT_HAND_OVER:
        if (node_acts(w, node)) watcher_fails_over(w, node);
        break;
    case FAULT_BURST: bursts(w, true); break;
    case FAULT_UNHEARD:
    case FAULT_UNHEARING: isolate_one_way(w, node, f->kind == FAULT_UNHEARD, true); break;
    case FAULT_KILL_ALL: die_together(w, f); break;
    case FAULT_SWAP:
        die(w, f, f->other);
        die(w, f, node);
        node_change_places(w, node, f->other);
        n->asks = w->nodes[f->other].asks = n->asks || w->nodes[f->other].asks;
        break;
    case FAULT_MOVE:
        die(w, f, node);
        node_change_places(w, node, w->first_spare + w->spares_used++);
        n->asks = true;
        break;
    case FAULT_KINDS: break;
    }
}

static void end(struct world *w, const struct fault *f, int node)
{
    switch (f->kind) {
    case FAULT_KILL:
    case FAULT_POWER:
    case FAULT_MOVE:
    case FAULT_WIPE: starts(w, NOBODY, (uint64_t)node); break;
    case FAULT_SWAP:
        starts(w, NOBODY, (uint64_t)node);
        starts(w, NOBODY, (uint64_t)f->other);
        break;
    case FAULT_KILL_MIDWAY:
        if (w->nodes[node].running)
            watcher_spared(w, node);
        else
            starts(w, NOBODY, (uint64_t)node);
        break;
    case FAULT_CUT: cut(w, node, f->other, true, false); break;
    case FAULT_CUT_ONE_WAY: cut(w, node, f->other, false, false); break;
    case FAULT_ISOLATE: isolate(w, node, false); break;
    case FAULT_SPLIT: split(w, f->extra, false); break;
    case FAULT_SLOW: network_slow(w, 0, 0); break;
    case FAULT_BURST: bursts(w, false); break;
    case FAULT_UNHEARD:
    case FAULT_UNHEARING: isolate_one_way(w, node, f->kind == FAULT_UNHEARD, false); break;
    default: break;
    }
}

static void ends(struct world *w, int none, uint64_t number)
{
    const struct fault *f = &w->plan->faults[number];
    int node = w->fault_node[number];
    (void)none;
    world_trace(w, NOBODY, "fault %d ends", f->number);
    end(w, f, node);
    touch(w, f, node, false);
}

static void begins(struct world *w, int none, uint64_t number)
{
    const struct fault *f = &w->plan->faults[number];
    int node = f->node == THE_MASTER ? checks_last_master(w) : f->node;
    (void)none;
    if (f->node == THE_MASTER && node == f->other) node = (node + 1) % w->plan->servers; /* not from itself */
    w->fault_node[number] = node;
    world_trace(w, NOBODY, "fault %d begins, of %s", f->number, w->nodes[node].name);
    touch(w, f, node, true);
    world_after(w, f->lasts_ms, NOBODY, ends, number);
    begin(w, f, node);
}

void faults_schedule(struct world *w)
{
    for (int i = 0; i < w->plan->fault_count; i++)
        world_after(w, w->plan->faults[i].at_ms, NOBODY, begins, (uint64_t)i);
}
