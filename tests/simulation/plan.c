/* A plan from a seed. The simulator. */
#include "tests/simulation/plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t below(struct random_state *r, uint64_t bound)
{
    return random_below(r, bound);
}

static int64_t between(struct random_state *r, int64_t least, int64_t most)
{
    return least + (int64_t)below(r, (uint64_t)(most - least) + 1);
}

static bool one_in(struct random_state *r, unsigned n)
{
    return below(r, n) == 0;
}

static void draw_cluster(struct plan *p, struct random_state *r)
{
    p->servers = (int)between(r, 3, 6);
    p->sentinels = one_in(r, 3) ? 5 : 3;
    p->clients = (int)between(r, 1, 3);
    p->quorum = one_in(r, 4) ? p->sentinels : p->sentinels / 2 + 1;
    bool chains = one_in(r, 4);
    p->follows[0] = NOBODY;
    for (int i = 1; i < p->servers; i++) p->follows[i] = chains && i > 1 && one_in(r, 2) ? i - 1 : 0;
}

static void draw_settings(struct plan *p, struct random_state *r)
{
    static const int64_t down_after_ms[] = {1000, 1000, 2000, 3000, 5000};
    p->disk = (enum disk)below(r, 3);
    p->config_is_kept = !one_in(r, 3);
    p->saved_at_end = one_in(r, 3);
    p->down_after_ms = down_after_ms[below(r, 5)];
    p->failover_timeout_ms = between(r, 5, 20) * 1000;
    p->parallel_syncs = (int)between(r, 1, 2);
    p->backlog_bytes = 16384 << below(r, 3);
    p->hard_limit_bytes = one_in(r, 3) ? 4 * p->backlog_bytes : 0;
    p->save_every_ms = between(r, 5, 30) * 1000;
    p->load_ms = one_in(r, 2) ? between(r, 10, 300) : between(r, 1000, 8000);
    p->snapshot_ms = between(r, 20, 3000);
    p->repl_timeout_s = one_in(r, 3) ? 60 : (int)between(r, 6, 20);
    p->ping_period_s = one_in(r, 2) ? 1 : 3;
    if (one_in(r, 2)) {
        p->min_replicas = 1;
        p->max_lag_s = (int)between(r, 2, 10);
    }
    p->delay_ms = between(r, 0, 5);
    p->jitter_ms = between(r, 0, 20);
    p->loss_percent = one_in(r, 3) ? (unsigned)between(r, 1, 5) : 0;
    p->write_every_ms = between(r, 50, 500);
    p->wait_for = (int)between(r, 1, p->servers - 1);
}

/* How often each kind comes, in parts of the sum. */
static const unsigned weights[FAULT_KINDS] = {
    [FAULT_KILL] = 10, [FAULT_POWER] = 5, [FAULT_WIPE] = 3,        [FAULT_KILL_MIDWAY] = 2,
    [FAULT_PAUSE] = 8, [FAULT_CUT] = 8,   [FAULT_CUT_ONE_WAY] = 6, [FAULT_ISOLATE] = 6,
    [FAULT_SPLIT] = 4, [FAULT_SLOW] = 3,  [FAULT_HALF_OPEN] = 5,   [FAULT_CLOCK] = 2,
    [FAULT_LINK] = 3,  [FAULT_CHILD] = 2, [FAULT_HAND_OVER] = 3,   [FAULT_BURST] = 3,
};

/* Those of later than the first thousands of seeds: drawn behind the others, so that these keep theirs. */
static const unsigned later_weights[FAULT_KINDS] = {
    [FAULT_UNHEARD] = 2, [FAULT_UNHEARING] = 2, [FAULT_SWAP] = 2, [FAULT_MOVE] = 2, [FAULT_KILL_ALL] = 3,
};

static enum fault_kind draw_kind(const unsigned weights[FAULT_KINDS], struct random_state *r)
{
    unsigned sum = 0;
    for (int i = 0; i < FAULT_KINDS; i++) sum += weights[i];
    unsigned at = (unsigned)below(r, sum);
    int kind = 0;
    while (at >= weights[kind]) at -= weights[kind++];
    return (enum fault_kind)kind;
}

/* Servers most, and of them the master. */
static int draw_node(const struct plan *p, struct random_state *r)
{
    if (one_in(r, 4)) return p->servers + (int)below(r, (uint64_t)p->sentinels);
    return one_in(r, 3) ? THE_MASTER : (int)below(r, (uint64_t)p->servers);
}

static int draw_sentinel(const struct plan *p, struct random_state *r)
{
    return p->servers + (int)below(r, (uint64_t)p->sentinels);
}

/* Short ones that nobody should notice, and long ones. */
static int64_t draw_length_ms(const struct plan *p, struct random_state *r)
{
    if (one_in(r, 3)) return between(r, 10, 1000);
    return between(r, p->down_after_ms, 4 * p->down_after_ms + 10000);
}

static void draw_fault(struct plan *p, struct random_state *r, struct fault *f)
{
    int nodes = p->servers + p->sentinels;
    *f = (struct fault){.kind = draw_kind(weights, r), .node = draw_node(p, r), .lasts_ms = draw_length_ms(p, r)};
    do f->other = (int)below(r, (uint64_t)nodes);
    while (f->other == f->node);
    switch (f->kind) {
    case FAULT_KILL_MIDWAY:
        f->node = draw_sentinel(p, r);
        f->extra = below(r, 40);
        break;
    case FAULT_SPLIT: f->extra = below(r, (UINT64_C(1) << (nodes + p->clients)) - 2) + 1; break;
    case FAULT_SLOW: f->extra = (uint64_t)between(r, 50, 1500); break;
    case FAULT_CLOCK: f->extra = (uint64_t)between(r, 100, 60000); break;
    case FAULT_LINK:
    case FAULT_CHILD: f->node = (int)below(r, (uint64_t)p->servers); break;
    case FAULT_HAND_OVER: f->node = draw_sentinel(p, r); break;
    default: break;
    }
    if (f->kind == FAULT_HALF_OPEN || f->kind >= FAULT_CLOCK) f->lasts_ms = f->kind == FAULT_BURST ? 2000 : 0;
}

#define QUIET_BEFORE_MS 25000 /* Sentinels find each other, replicas their master */

/* Not one of the settings, which are drawn before the faults: known seeds keep theirs. */
static int draw_ahead_wait_s(struct random_state *r)
{
    static const int seconds[] = {0, 3, 3, 3, 10};
    return seconds[below(r, 5)];
}

static void draw_faults(struct plan *p, struct random_state *r)
{
    int64_t at_ms = QUIET_BEFORE_MS;
    p->fault_count = (int)between(r, 1, 14);
    bool hail = one_in(r, 3); /* one upon the other */
    for (int i = 0; i < p->fault_count; i++) {
        struct fault *f = &p->faults[i];
        draw_fault(p, r, f);
        f->number = i + 1;
        f->at_ms = at_ms;
        if (f->at_ms + f->lasts_ms > p->faults_end_ms) p->faults_end_ms = f->at_ms + f->lasts_ms;
        at_ms += hail ? between(r, 0, 3000) : between(r, 500, 30000);
    }
}

/* Of the servers all, or most, and the Sentinels all, or as they fall; of a few the disk is another one. */
static uint64_t draw_dying(const struct plan *p, struct random_state *r)
{
    bool all_servers = one_in(r, 2), all_sentinels = one_in(r, 3);
    uint64_t nodes = 0;
    for (int i = 0; i < p->servers + p->sentinels; i++) {
        bool all = i < p->servers ? all_servers : all_sentinels;
        if (all || below(r, 10) < (i < p->servers ? 7 : 3)) nodes |= UINT64_C(1) << i;
        if (i < p->servers && one_in(r, 8)) nodes |= UINT64_C(1) << (DISKS_FROM + i);
    }
    return nodes;
}

/* Who has moved is known to nobody until it has followed somebody: when that one moves before, both follow nobody, for
 * ever. So there is one. */
static int count_moves(const struct plan *p)
{
    int count = 0;
    for (int i = 0; i < p->fault_count; i++) count += p->faults[i].kind == FAULT_MOVE;
    return count;
}

/* Sentinels do not know a replica's replicas: where the one above them has another address they follow nobody, for
 * ever, and so does a master that has the address of one. */
static bool has_chains(const struct plan *p)
{
    for (int i = 1; i < p->servers; i++)
        if (p->follows[i] != 0) return true;
    return false;
}

static void draw_later_fault(struct plan *p, struct random_state *r, struct fault *f)
{
    *f = (struct fault){.kind = draw_kind(later_weights, r), .node = draw_node(p, r), .lasts_ms = draw_length_ms(p, r)};
    if ((f->kind == FAULT_SWAP || f->kind == FAULT_MOVE) && has_chains(p)) f->kind = FAULT_KILL_ALL;
    if (f->kind == FAULT_KILL_ALL) f->extra = draw_dying(p, r);
    if (f->kind == FAULT_MOVE && count_moves(p)) f->kind = FAULT_SWAP;
    if (f->kind != FAULT_SWAP) return;
    if (f->node != THE_MASTER) f->node = (int)below(r, (uint64_t)p->servers);
    do f->other = (int)below(r, (uint64_t)p->servers);
    while (f->other == f->node);
}

static void draw_later_faults(struct plan *p, struct random_state *r)
{
    int64_t span_ms = p->faults[p->fault_count - 1].at_ms - QUIET_BEFORE_MS + 15000;
    int more = one_in(r, 2) ? 0 : (int)between(r, 1, 3);
    for (int i = 0; i < more; i++) {
        struct fault *f = &p->faults[p->fault_count];
        draw_later_fault(p, r, f);
        f->number = ++p->fault_count;
        f->at_ms = QUIET_BEFORE_MS + between(r, 0, span_ms);
        if (f->at_ms + f->lasts_ms > p->faults_end_ms) p->faults_end_ms = f->at_ms + f->lasts_ms;
    }
}

/* Some worlds have them, with faults of their own. */
static void draw_neighbours(struct plan *p, struct random_state *r)
{
    static const enum fault_kind kinds[] = {FAULT_KILL,    FAULT_KILL,    FAULT_POWER,     FAULT_WIPE,
                                            FAULT_ISOLATE, FAULT_UNHEARD, FAULT_UNHEARING, FAULT_PAUSE};
    int64_t span_ms = p->faults_end_ms - QUIET_BEFORE_MS + 1;
    if (!one_in(r, 3)) return;
    p->neighbours = 2;
    for (int left = (int)between(r, 1, 4); left > 0; left--) {
        struct fault *f = &p->faults[p->fault_count];
        *f = (struct fault){.number = ++p->fault_count,
                            .kind = kinds[below(r, sizeof kinds / sizeof *kinds)],
                            .node = p->servers + p->sentinels + p->clients + (int)below(r, 2),
                            .other = NOBODY,
                            .at_ms = QUIET_BEFORE_MS + between(r, 0, span_ms),
                            .lasts_ms = draw_length_ms(p, r)};
        if (f->at_ms + f->lasts_ms > p->faults_end_ms) p->faults_end_ms = f->at_ms + f->lasts_ms;
    }
}

void plan_make(struct plan *p, uint64_t seed, enum mistake mistake)
{
    struct random_state r;
    random_seed(&r, seed ^ 0x706c616e);
    *p = (struct plan){.seed = seed, .mistake = mistake, .faults_end_ms = QUIET_BEFORE_MS};
    draw_cluster(p, &r);
    draw_settings(p, &r);
    draw_faults(p, &r);
    p->ahead_wait_s = draw_ahead_wait_s(&r);
    draw_later_faults(p, &r);
    draw_neighbours(p, &r);
    if (mistake != MISTAKE_NO_GOOD_REPLICAS) return;
    p->min_replicas = 1;
    p->max_lag_s = 2;
}

void plan_leave_out_neighbours(struct plan *p)
{
    for (int i = 0; i < p->fault_count; i++)
        if (p->faults[i].node >= p->servers + p->sentinels + p->clients) return;
    p->neighbours = 0;
}

bool plan_keep(struct plan *p, const char *words)
{
    int kept = 0;
    struct fault faults[FAULTS_MAX];
    while (*words) {
        char *end;
        long number = strtol(words, &end, 10);
        if (end == words || number < 1 || number > p->fault_count || kept == FAULTS_MAX) return false;
        faults[kept] = p->faults[number - 1];
        if (*end == ':') faults[kept].lasts_ms = strtoll(end + 1, &end, 10);
        kept++;
        words = *end == ',' ? end + 1 : end;
        if (*end && *end != ',') return false;
    }
    memcpy(p->faults, faults, (size_t)kept * sizeof *faults);
    p->fault_count = kept;
    plan_leave_out_neighbours(p);
    return true;
}

void plan_print_kept(const struct plan *p)
{
    for (int i = 0; i < p->fault_count; i++)
        printf("%s%d:%" PRId64, i ? "," : "", p->faults[i].number, p->faults[i].lasts_ms);
}

/* The time-outs that may have to follow each other: a link that is dead (repl-timeout), a Sentinel's TILT, a fail-over
 * that another had begun and died of (twice the time-out until the next, and its own), an election, a replica that is
 * led back (a wrong master for failover-timeout, looked at every ten seconds), and full syncs of all. */
int64_t plan_heals_within_ms(const struct plan *p)
{
    int64_t tilt_ms = 35000, election_ms = 10000, news_ms = 30000;
    int64_t link_ms = (int64_t)p->repl_timeout_s * 1000;
    int64_t syncs_ms = 2 * p->servers * (p->load_ms + p->snapshot_ms + 2000);
    return 2 * link_ms + tilt_ms + 4 * p->failover_timeout_ms + 2 * election_ms + 2 * news_ms + syncs_ms +
           2 * p->down_after_ms;
}

/* --- what is shown of it --- */

static const char *const names[FAULT_KINDS] = {
    [FAULT_KILL] = "kill",
    [FAULT_POWER] = "power lost",
    [FAULT_WIPE] = "kill, disk lost",
    [FAULT_KILL_MIDWAY] = "dies midway",
    [FAULT_PAUSE] = "pause",
    [FAULT_CUT] = "cut",
    [FAULT_CUT_ONE_WAY] = "cut one way",
    [FAULT_ISOLATE] = "isolated",
    [FAULT_SPLIT] = "split",
    [FAULT_SLOW] = "slow network",
    [FAULT_HALF_OPEN] = "half-open connection",
    [FAULT_CLOCK] = "clock put forward",
    [FAULT_LINK] = "link process dies",
    [FAULT_CHILD] = "snapshot child dies",
    [FAULT_HAND_OVER] = "SENTINEL FAILOVER",
    [FAULT_BURST] = "burst of writes",
    [FAULT_UNHEARD] = "heard by nobody",
    [FAULT_UNHEARING] = "hears nobody",
    [FAULT_SWAP] = "addresses swapped",
    [FAULT_MOVE] = "kill, another address",
    [FAULT_KILL_ALL] = "all at once are killed",
};

static void name_of(const struct plan *p, int node, char out[NODE_NAME_MAX])
{
    if (node == THE_MASTER)
        snprintf(out, NODE_NAME_MAX, "the master");
    else if (node < p->servers)
        snprintf(out, NODE_NAME_MAX, "r%d", node);
    else if (node < p->servers + p->sentinels)
        snprintf(out, NODE_NAME_MAX, "s%d", node - p->servers);
    else if (node < p->servers + p->sentinels + p->clients)
        snprintf(out, NODE_NAME_MAX, "c%d", node - p->servers - p->sentinels);
    else
        snprintf(out, NODE_NAME_MAX, "y%d", node - p->servers - p->sentinels - p->clients);
}

static void print_nodes(const struct plan *p, uint64_t nodes)
{
    char node[NODE_NAME_MAX];
    for (int i = 0; i < p->servers + p->sentinels + p->clients; i++) {
        if (!(nodes >> i & 1)) continue;
        name_of(p, i, node);
        printf(" %s", node);
    }
}

static void print_fault(const struct plan *p, const struct fault *f)
{
    char node[NODE_NAME_MAX], other[NODE_NAME_MAX];
    name_of(p, f->node, node);
    name_of(p, f->other, other);
    printf("  %2d at %8.3f s for %7.3f s: %s", f->number, (double)f->at_ms / 1000, (double)f->lasts_ms / 1000,
           names[f->kind]);
    switch (f->kind) {
    case FAULT_SWAP:
    case FAULT_CUT: printf(", %s and %s", node, other); break;
    case FAULT_CUT_ONE_WAY: printf(", %s to %s", node, other); break;
    case FAULT_SPLIT:
        printf(",");
        print_nodes(p, f->extra);
        printf(" from the others");
        break;
    case FAULT_KILL_ALL:
        printf(":");
        print_nodes(p, f->extra);
        if (f->extra >> DISKS_FROM & f->extra) printf("; disk lost:");
        print_nodes(p, f->extra >> DISKS_FROM & f->extra);
        break;
    case FAULT_SLOW: printf(", up to %" PRIu64 " ms", f->extra); break;
    case FAULT_CLOCK: printf(", of %s by %" PRIu64 " ms", node, f->extra); break;
    case FAULT_BURST: break;
    default: printf(", %s", node); break;
    }
    printf("\n");
}

void plan_print(const struct plan *p)
{
    static const char *const disks[] = {"no disk", "snapshots", "an append-only file"};
    printf("seed %" PRIu64 ": %d servers (", p->seed, p->servers);
    for (int i = 1; i < p->servers; i++) printf("%sr%d of r%d", i > 1 ? ", " : "", i, p->follows[i]);
    printf("), %d sentinels, quorum %d, %d clients, %d neighbours; %s, configuration %s\n", p->sentinels, p->quorum,
           p->clients, p->neighbours, disks[p->disk], p->config_is_kept ? "kept" : "not kept");
    printf("  down-after %" PRId64 " ms, failover-timeout %" PRId64 " ms, repl-timeout %d s, backlog %" PRIu64
           ", min-replicas %d within %d s, ahead-replica-wait %d s, WAIT %d, a write each %" PRId64 " ms\n",
           p->down_after_ms, p->failover_timeout_ms, p->repl_timeout_s, p->backlog_bytes, p->min_replicas, p->max_lag_s,
           p->ahead_wait_s, p->wait_for, p->write_every_ms);
    printf("  delay %" PRId64 " + %" PRId64 " ms, loss %u%%, snapshot %" PRId64 " ms, load %" PRId64 " ms\n",
           p->delay_ms, p->jitter_ms, p->loss_percent, p->snapshot_ms, p->load_ms);
    for (int i = 0; i < p->fault_count; i++) print_fault(p, &p->faults[i]);
}

const char *mistake_name(enum mistake mistake)
{
    static const char *const all[MISTAKES] = {"none", "early-ack", "any-history",      "double-vote",
                                              "deaf", "loop",      "no-good-replicas", "no-comeback"};
    return all[mistake];
}
