/* See checks.h. The simulator. */
#include "tests/simulation/checks.h"

#include "server/base/alloc.h"
#include "tests/simulation/node.h"
#include "tests/simulation/plan.h"
#include "tests/simulation/server.h"
#include "tests/simulation/watcher.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define WELL_MS          15000
#define REPLACED_MS      5000 /* behind down-after, until one is replaced that says it is another's replica */
#define LEADERS_MAX      256
#define SYNCS_EACH_EVENT 3 /* of each server */

struct promise {
    int master;
    bool given;
    uint64_t nodes; /* who has said that it has it, and has not lost its data since */
    int64_t acked_ms;
};

struct comeback_seen {
    int64_t ms;       /* it started as a master; 0: it did not, or was promoted since */
    int64_t ahead_ms; /* then who has more has asked to follow; 0: not yet */
    bool empty;
};

struct checks {
    struct tallies tallies;
    uint64_t room;
    struct promise *promises; /* by write */
    struct {
        uint64_t epoch;
        int sentinel;
    } leaders[LEADERS_MAX];
    int leader_count;
    bool a_file_was_lost;
    int last_master, promoter; /* NOBODY: its former master */
    int master_place;          /* the address by which Sentinels know it */
    bool promotion_is_known;   /* a Sentinel has heard of it */
    uint64_t epoch, epoch_before;
    int64_t last_promotion_ms, found_down_ms; /* the master before it was: from then on nothing is promised of it */
    int64_t master_replaced_by_ms;            /* it came back as a replica; by then there is another */
    struct comeback_seen came_back[NODES_MAX];
    int but_for; /* all Sentinels take it for a stranger: nothing is asked of it and its followers; NOBODY: of none */
    char unwell[256];
};

void checks_new(struct world *w)
{
    w->checks = mem_calloc(1, sizeof *w->checks);
    w->checks->last_master = 0;
    w->checks->promoter = w->checks->but_for = NOBODY;
    w->checks->promotion_is_known = true;
}

void checks_free(struct world *w)
{
    mem_free(w->checks->promises);
    mem_free(w->checks);
}

const struct tallies *checks_tallies(const struct world *w)
{
    return &w->checks->tallies;
}

/* What is promised is promised of ours. */
static bool is_ours(const struct world *w, int server)
{
    return server < w->plan->servers;
}

static const char *name(const struct world *w, int node)
{
    return w->nodes[node].name;
}

/* --- 1: writes --- */

uint64_t checks_new_write(struct world *w)
{
    struct checks *c = w->checks;
    uint64_t id = c->tallies.writes++;
    if (id >= c->room) {
        c->room = c->room ? 2 * c->room : 1024;
        c->promises = mem_realloc(c->promises, c->room * sizeof *c->promises);
    }
    c->promises[id] = (struct promise){0};
    return id;
}

/* From the answer on, not from when the client has it: a promotion between the two is judged like any other. */
void checks_acknowledged(struct world *w, uint64_t write, int master, uint64_t nodes)
{
    struct promise *p = &w->checks->promises[write];
    w->checks->tallies.acknowledged++;
    world_trace(w, NOBODY, "write %" PRIu64 " is acknowledged by %s, replicas %" PRIx64, write, name(w, master), nodes);
    *p = (struct promise){.master = master, .given = true, .nodes = nodes, .acked_ms = w->now_ms};
    /* Acknowledged while another was being made the master: beyond the window. */
    if (w->checks->last_master != master) p->given = false;
}

static void withdraw(struct world *w, uint64_t write, const char *why)
{
    world_trace(w, NOBODY, "write %" PRIu64 ": the promise ends: %s", write, why);
    w->checks->promises[write].given = false;
    w->checks->tallies.voided++;
}

/* It had its data, and its master, as long as there was one. */
static bool is_good_candidate(const struct world *w, int server, int64_t since_ms)
{
    const struct server *s = server_of(w, server);
    if (!s->up || s->loading || s->without_dataset || s->receiving || !server_is_replica(s)) return false;
    if (s->streaming) return true;
    return s->down_since_ms && s->down_since_ms - w->nodes[server].clock_ms >= since_ms - WELL_MS;
}

/* A replica's replica is known once its master has become the master, and has said so. */
static bool is_known(const struct world *w, int server, int sentinel)
{
    struct sentinel_address at;
    const struct watched *watched = watcher_watched(w, sentinel);
    node_address(w, server, &at);
    return watched && watched_replica_at(watched, at.host, at.port);
}

static int well_witness(const struct world *w, const struct promise *p, int sentinel, int64_t since_ms)
{
    for (int i = 0; i < w->plan->servers; i++)
        if (p->nodes >> i & 1 && node_was_well(w, i, WELL_MS) && is_good_candidate(w, i, since_ms) &&
            is_known(w, i, sentinel))
            return i;
    return NOBODY;
}

static bool of_one_history(const struct server *a, const struct server *b)
{
    const struct history *x = repl_stream_history(a->stream), *y = repl_stream_history(b->stream);
    return strcmp(x->id, y->id) == 0 || strcmp(x->second_id, y->id) == 0 || strcmp(x->id, y->second_id) == 0;
}

/* The write came when its master had come back from a file with less of that history than `server` has, which is
 * promoted for it. */
static bool lost_to_who_was_ahead(const struct world *w, const struct promise *p, int server)
{
    const struct server *m = server_of(w, p->master);
    const struct comeback_seen *seen = &w->checks->came_back[p->master];
    if (!m->up || !seen->ms || p->acked_ms < seen->ms || !m->comeback.ahead_bytes) return false;
    if (seen->ahead_ms && p->acked_ms > seen->ahead_ms) return false;
    const struct history *left = repl_stream_history(m->stream),
                         *has = repl_stream_history(server_of(w, server)->stream);
    return strcmp(has->id, left->second_id) == 0 && (int64_t)has->offset >= left->second_offset;
}

static void check_promise(struct world *w, uint64_t write, int server, int sentinel, int64_t since_ms)
{
    struct promise *p = &w->checks->promises[write];
    if (p->nodes >> server & 1) {
        world_fail(w, "%s has acknowledged write %" PRIu64 ", lacks it, and is promoted", name(w, server), write);
        return;
    }
    if (sentinel == NOBODY) {
        world_fail(w, "the hand-over to %s loses write %" PRIu64, name(w, server), write);
        return;
    }
    if (p->acked_ms > since_ms) {
        withdraw(w, write, "it was acknowledged after its master had been found down");
        return;
    }
    if (lost_to_who_was_ahead(w, p, server)) {
        withdraw(w, write, "who has more of what its master had before is promoted");
        return;
    }
    int witness = node_was_well(w, sentinel, WELL_MS) ? well_witness(w, p, sentinel, since_ms) : NOBODY;
    if (witness == NOBODY)
        withdraw(w, write, "nobody who has it was well at the fail-over");
    else
        world_fail(w, "%s is promoted by %s and lacks write %" PRIu64 ", which %s has acknowledged, and is well",
                   name(w, server), name(w, sentinel), write, name(w, witness));
}

/* It did not get the order in time, and another has been chosen. */
static bool is_late(const struct world *w, int server, int sentinel)
{
    const struct watched *watched = watcher_watched(w, sentinel);
    const struct instance *chosen = watched ? watched->chosen : NULL;
    return watched && node_at(w, (chosen ? chosen : watched->master)->address.host) != server;
}

static void master_is(struct world *w, int server, int promoter, uint64_t epoch, int64_t found_down_ms)
{
    struct checks *c = w->checks;
    bool again = c->last_master == server && c->epoch == epoch; /* the order that seals a hand-over */
    if (again) return;
    c->epoch_before = c->epoch;
    c->epoch = epoch;
    c->last_master = server;
    c->master_place = w->nodes[server].place;
    c->promoter = promoter;
    c->promotion_is_known = promoter == NOBODY;
    c->last_promotion_ms = w->now_ms;
    c->found_down_ms = found_down_ms;
}

void checks_promotion_heard(struct world *w, int server)
{
    if (server == w->checks->last_master) w->checks->promotion_is_known = true;
}

/* Its own master does it because a Sentinel has asked for it. */
static uint64_t epoch_of_promotion(const struct world *w, int server, int sentinel)
{
    uint64_t epoch = 0;
    for (int i = w->plan->servers; i < w->plan->servers + w->plan->sentinels; i++) {
        const struct watched *watched = watcher_watched(w, i);
        bool by_it = watched && watched->chosen && node_at(w, watched->chosen->address.host) == server;
        if (by_it && (sentinel == NOBODY || sentinel == i) && watched->failover.epoch > epoch)
            epoch = watched->failover.epoch;
    }
    return epoch ? epoch : w->checks->epoch;
}

void checks_promotes(struct world *w, int server, int sentinel, int64_t since_ms)
{
    struct checks *c = w->checks;
    const struct server *s = server_of(w, server);
    if (!is_ours(w, server)) return;
    if (sentinel != NOBODY && is_late(w, server, sentinel)) {
        world_trace(w, server, "is promoted by an order of %s that is not meant any more", name(w, sentinel));
        return;
    }
    if (sentinel == NOBODY && s->master != c->last_master) {
        world_trace(w, server, "is handed over to by %s, which is not the master any more", name(w, s->master));
        return;
    }
    uint64_t epoch = epoch_of_promotion(w, server, sentinel);
    if (epoch < c->epoch) {
        world_trace(w, server, "is promoted in epoch %" PRIu64 ", behind %" PRIu64 " of %s", epoch, c->epoch,
                    name(w, c->last_master));
        return;
    }
    c->tallies.promotions++;
    if (sentinel == NOBODY) c->tallies.hand_overs++;
    world_trace(w, server, "is promoted by %s, with %" PRIu64 " writes",
                sentinel == NOBODY ? "its master" : name(w, sentinel), s->data.writes);
    for (uint64_t i = 0; i < c->tallies.writes && !w->failed; i++)
        if (c->promises[i].given && !data_has_write(&s->data, i)) check_promise(w, i, server, sentinel, since_ms);
    c->came_back[server].ms = 0;
    master_is(w, server, sentinel, epoch, sentinel == NOBODY ? w->now_ms : since_ms);
}

/* Its memory and its disk are lost, or a part of them. */
static void forget(struct world *w, int server)
{
    struct checks *c = w->checks;
    const struct server *s = server_of(w, server);
    for (uint64_t i = 0; i < c->tallies.writes; i++) {
        struct promise *p = &c->promises[i];
        if (!p->given || data_has_write(&s->data, i)) continue;
        p->nodes &= ~(UINT64_C(1) << server);
        if (!p->nodes) withdraw(w, i, "all who have acknowledged it have lost their memory");
    }
}

/* No Sentinel was out of reach for so long, or in TILT. */
static bool sentinels_were_well(const struct world *w, int64_t for_ms)
{
    for (int i = 0; i < w->plan->sentinels; i++)
        if (!node_was_well(w, w->plan->servers + i, for_ms + TILT_AFTER_MS + TILT_LASTS_MS)) return false;
    return true;
}

/* As many as it takes to replace a master. */
static bool a_quorum_was_well(const struct world *w, int64_t for_ms)
{
    int well = 0, majority = w->plan->sentinels / 2 + 1;
    for (int i = 0; i < w->plan->sentinels; i++)
        well += node_was_well(w, w->plan->servers + i, for_ms + TILT_AFTER_MS + TILT_LASTS_MS);
    return well >= majority && well >= w->plan->quorum;
}

/* `master` came back as one, with less than `replica` has, held it back, and nothing kept Sentinels from promoting
 * it. */
static bool could_be_replaced(const struct world *w, int master, int replica)
{
    const struct comeback_seen *seen = &w->checks->came_back[master];
    const struct server *m = server_of(w, master), *r = server_of(w, replica);
    int64_t back_ms = w->now_ms - seen->ms;
    if (!w->plan->ahead_wait_s || (!seen->empty && !of_one_history(m, r))) return false;
    bool followed = r->down_since_ms && r->down_since_ms - w->nodes[replica].clock_ms >= seen->ms - WELL_MS;
    return followed && node_was_well(w, master, back_ms) && node_was_well(w, replica, back_ms + WELL_MS) &&
           sentinels_were_well(w, back_ms + WELL_MS);
}

/* Who has promoted it has died since, or is in TILT, or could not reach it: nobody knows that it is the master. */
static bool is_unheard_of(const struct world *w, int promoted)
{
    const struct checks *c = w->checks;
    if (promoted != c->last_master || c->promotion_is_known) return false;
    int64_t since_ms = w->now_ms - c->last_promotion_ms;
    return !node_was_well(w, promoted, since_ms) ||
           !node_was_well(w, c->promoter, since_ms + TILT_AFTER_MS + TILT_LASTS_MS);
}

/* NULL: the promise stands. */
static const char *why_given_up(const struct world *w, int replica)
{
    const struct checks *c = w->checks;
    const struct server *master = server_of(w, c->last_master);
    if (is_unheard_of(w, replica)) return "nobody has heard of its promotion, and it was led back";
    bool in_time = w->now_ms >= c->master_replaced_by_ms;
    if (c->last_master == replica && in_time) {
        if (a_quorum_was_well(w, w->plan->down_after_ms + REPLACED_MS)) return NULL;
        return "the master has come back as a replica, and no quorum was there to replace it";
    }
    if (master->up && !server_is_replica(master)) {
        if (!c->came_back[c->last_master].ms || could_be_replaced(w, c->last_master, replica)) return NULL;
        return "the master has come back without it, and could not be replaced so soon";
    }
    if (in_time && sentinels_were_well(w, w->plan->down_after_ms + REPLACED_MS)) return NULL;
    return "the master has come back without it, as a replica, and could not be replaced so soon";
}

/* What it has, or is about to have. */
static const struct data *data_of(const struct server *s)
{
    bool from_disk = s->loading && !s->replacing;
    return from_disk ? &s->disk.data : &s->data;
}

/* It is the master from then on, for all who go by addresses. */
static bool has_masters_address(const struct world *w, int server)
{
    const struct checks *c = w->checks;
    return server != c->last_master && w->nodes[server].place == c->master_place &&
           !server_is_replica(server_of(w, server));
}

static void takes_masters_address(struct world *w, int server)
{
    struct checks *c = w->checks;
    const struct server *s = server_of(w, server);
    for (uint64_t i = 0; i < c->tallies.writes; i++)
        if (c->promises[i].given && !data_has_write(&s->data, i))
            withdraw(w, i, "another has the master's address, and says that it is the master");
    master_is(w, server, NOBODY, c->epoch, w->now_ms);
}

void checks_gives_full_sync(struct world *w, int master, int replica)
{
    struct checks *c = w->checks;
    const struct server *m = server_of(w, master), *r = server_of(w, replica), *last;
    if (is_ours(w, master) && has_masters_address(w, master)) takes_masters_address(w, master);
    const char *why = is_ours(w, master) ? why_given_up(w, replica) : NULL;
    last = server_of(w, c->last_master);
    /* It may have died meanwhile, or been promoted, or follow another: then nothing comes of it. */
    if (!is_ours(w, master) || !r->up || r->master != master || r->machine.state != REPLICA_HANDSHAKE) return;
    for (uint64_t i = 0; i < c->tallies.writes && !w->failed; i++) {
        struct promise *p = &c->promises[i];
        bool goes = p->given && p->nodes >> replica & 1 && data_has_write(&r->data, i) && !data_has_write(&m->data, i);
        if (!goes) continue;
        if (c->last_master != replica && data_has_write(data_of(last), i)) /* a straggler: who was promoted keeps it */
            p->nodes = (p->nodes & ~(UINT64_C(1) << replica)) | UINT64_C(1) << c->last_master;
        else if (why)
            withdraw(w, i, why);
        else
            world_fail(w, "%s gives %s a full sync, which loses write %" PRIu64, name(w, master), name(w, replica), i);
    }
    if (is_unheard_of(w, replica)) master_is(w, master, NOBODY, c->epoch_before, w->now_ms);
}

void checks_starts(struct world *w, int server)
{
    const struct server *s = server_of(w, server);
    w->checks->came_back[server] =
        (struct comeback_seen){.ms = server_is_replica(s) ? 0 : w->now_ms, .empty = !s->disk.data.len};
}

void checks_started(struct world *w, int server)
{
    struct checks *c = w->checks;
    if (!is_ours(w, server)) return;
    if (server == c->last_master && server_is_replica(server_of(w, server)))
        c->master_replaced_by_ms = w->now_ms + w->plan->down_after_ms + REPLACED_MS;
    checks_starts(w, server);
    forget(w, server);
}

void checks_emptied(struct world *w, int server)
{
    if (is_ours(w, server)) forget(w, server);
}

/* --- 5: full syncs --- */

static uint64_t full_syncs_allowed(const struct world *w)
{
    uint64_t events = 1 + w->checks->tallies.promotions;
    for (int i = 0; i < w->plan->fault_count; i++) events += w->plan->faults[i].node < w->first_neighbour;
    return SYNCS_EACH_EVENT * (uint64_t)w->plan->servers * events;
}

void checks_full_sync_ended(struct world *w, int server)
{
    const struct tallies *t = &w->checks->tallies;
    if (!is_ours(w, server)) return;
    w->checks->tallies.full_syncs++;
    if (t->full_syncs > full_syncs_allowed(w))
        world_fail(w, "full syncs without end: %" PRIu64 ", for %d faults and %" PRIu64 " promotions", t->full_syncs,
                   w->plan->fault_count, t->promotions);
}

/* --- 2: masters --- */

/* Since when it can hear no other server; -1: it can. */
static bool is_cut_off(const struct world *w, int server)
{
    for (int i = 0; i < w->plan->servers; i++)
        if (i != server && w->nodes[i].powered && !network_is_cut(w, i, server)) return false;
    return true;
}

static int64_t cut_off_for_ms(struct world *w, int server)
{
    struct server *s = server_of(w, server);
    if (!is_cut_off(w, server)) s->heard_others_ms = w->now_ms;
    return w->now_ms - s->heard_others_ms;
}

void checks_look_around(struct world *w)
{
    for (int i = 0; i < w->plan->servers; i++) {
        struct comeback_seen *seen = &w->checks->came_back[i];
        cut_off_for_ms(w, i);
        if (server_of(w, i)->comeback.ahead_bytes && !seen->ahead_ms) seen->ahead_ms = w->now_ms;
    }
}

static int64_t quiet_for_ms(const struct world *w)
{
    int64_t least_ms = w->now_ms;
    for (int i = 0; i < w->plan->servers + w->plan->sentinels; i++) {
        if (w->nodes[i].faults) return 0;
        if (w->now_ms - w->nodes[i].touched_ms < least_ms) least_ms = w->now_ms - w->nodes[i].touched_ms;
    }
    return least_ms;
}

#define DELAYS_MS 2000 /* of what was on its way when it was cut off, and of the clocks that are looked at */

void checks_accepted(struct world *w, int server, uint64_t write)
{
    const struct plan *p = w->plan;
    const struct checks *c = w->checks;
    int64_t alone_ms = cut_off_for_ms(w, server), window_ms = ((int64_t)p->max_lag_s + 1) * 1000 + DELAYS_MS;
    if (p->min_replicas && alone_ms > window_ms)
        world_fail(w, "%s accepts write %" PRIu64 " and has heard no replica for %" PRId64 " ms", name(w, server),
                   write, alone_ms);
    int64_t deposed_ms = server == c->last_master ? 0 : w->now_ms - c->last_promotion_ms;
    if (deposed_ms > quiet_for_ms(w)) deposed_ms = quiet_for_ms(w);
    if (c->tallies.promotions && deposed_ms > plan_heals_within_ms(p))
        world_fail(w, "%s accepts write %" PRIu64 " though %s is the master, and has had %" PRId64 " ms to hear it",
                   name(w, server), write, name(w, c->last_master), deposed_ms);
}

void checks_elected(struct world *w, int sentinel, const struct failover *f)
{
    struct checks *c = w->checks;
    if (f->forced || c->a_file_was_lost) return;
    for (int i = 0; i < c->leader_count; i++)
        if (c->leaders[i].epoch == f->epoch && c->leaders[i].sentinel != sentinel)
            world_fail(w, "epoch %" PRIu64 " has two leaders: %s and %s", f->epoch, name(w, c->leaders[i].sentinel),
                       name(w, sentinel));
    if (c->leader_count == LEADERS_MAX) return;
    c->leaders[c->leader_count].epoch = f->epoch;
    c->leaders[c->leader_count++].sentinel = sentinel;
}

void checks_file_lost(struct world *w, int node)
{
    if (w->nodes[node].kind == NODE_SENTINEL) w->checks->a_file_was_lost = true;
}

/* --- 3: histories --- */

void checks_continued(struct world *w, int master, int replica, int64_t asked_offset)
{
    const struct server *m = server_of(w, master), *r = server_of(w, replica);
    w->checks->tallies.continued++;
    /* It may have died meanwhile, or follow another. */
    if (!r->up || r->master != master || r->machine.state != REPLICA_HANDSHAKE) return;
    if (repl_stream_history(r->stream)->offset + 1 != (uint64_t)asked_offset) return;
    uint64_t missing = repl_stream_history(m->stream)->offset + 1 - (uint64_t)asked_offset;
    if (!data_begins_with(&m->data, &r->data))
        world_fail(w, "%s lets %s continue at %" PRId64 ", whose data are not the beginning of its own",
                   name(w, master), name(w, replica), asked_offset);
    else if (m->data.len - r->data.len != missing)
        world_fail(w, "%s lets %s continue at %" PRId64 ": it lacks %zu bytes, and is sent %" PRIu64, name(w, master),
                   name(w, replica), asked_offset, m->data.len - r->data.len, missing);
}

void checks_streams(struct world *w, int server)
{
    struct server *s = server_of(w, server);
    /* What it hears yet of one that has died cannot be compared with what that one has now. */
    bool lives = network_is_open(w, s->dialled, s->conn);
    s->verified = 0;
    s->verified_turn = server_of(w, s->dialled)->data_turn - !lives;
}

void checks_applied(struct world *w, int server)
{
    struct server *s = server_of(w, server);
    const struct server *m = server_of(w, s->dialled);
    if (!m->up || m->data_turn != s->verified_turn) return;
    size_t from = s->verified < s->data.len ? s->verified : s->data.len;
    if (m->data.len < s->data.len || memcmp(m->data.bytes + from, s->data.bytes + from, s->data.len - from) != 0)
        world_fail(w, "the data of %s differ from those of its master %s, somewhere from byte %zu on", name(w, server),
                   name(w, s->dialled), from);
    s->verified = s->data.len;
}

/* --- 4: all is well --- */

int checks_master(const struct world *w)
{
    int found = NOBODY;
    for (int i = 0; i < w->plan->servers; i++) {
        if (i == w->checks->but_for || server_is_replica(server_of(w, i))) continue;
        if (found != NOBODY) return NOBODY;
        found = i;
    }
    return found;
}

int checks_last_master(const struct world *w)
{
    return w->checks->last_master;
}

static const char *unwell(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

static const char *unwell(struct world *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(w->checks->unwell, sizeof w->checks->unwell, format, args);
    va_end(args);
    return w->checks->unwell;
}

static bool leads_to(const struct world *w, int server, int master)
{
    for (int steps = 0; server != master && server != NOBODY && steps < w->plan->servers; steps++)
        server = server_of(w, server)->master;
    return server == master;
}

static const char *unwell_server(struct world *w, int i, int master)
{
    struct server *s = server_of(w, i);
    int but_for = w->checks->but_for;
    if (but_for != NOBODY && leads_to(w, i, but_for)) return NULL;
    if (!node_acts(w, i)) return unwell(w, "%s does not run", name(w, i));
    if (s->loading || s->replacing) return unwell(w, "%s is loading", name(w, i));
    if (i == master) return NULL;
    if (!s->streaming) return unwell(w, "%s has no link to its master %s", name(w, i), name(w, s->master));
    if (!leads_to(w, i, master)) return unwell(w, "%s follows %s, which leads nowhere", name(w, i), name(w, s->master));
    return NULL;
}

/* Such an address stays among the replicas and the Sentinels until SENTINEL RESET. */
static bool nobody_is_at(const struct world *w, const char *host)
{
    return node_at(w, host) >= w->first_spare;
}

/* Who says that it is the one with this run id; NOBODY. */
static int sentinel_called(const struct world *w, const char *run_id)
{
    for (int i = w->plan->servers; i < w->plan->servers + w->plan->sentinels; i++) {
        const struct watched *watched = watcher_watched(w, i);
        if (watched && strcmp(watched->sentinel->run_id, run_id) == 0) return i;
    }
    return NOBODY;
}

/* Each other one where it is, and nobody else but whom nobody can tell from one that is down. */
static const char *unwell_voters(struct world *w, int i, const struct watched *watched)
{
    int known = 0;
    for (int v = 0; v < watched->voter_count; v++) {
        const struct instance *peer = watched->voters[v].peer;
        int other = sentinel_called(w, peer->run_id);
        if (other == NOBODY && nobody_is_at(w, peer->address.host)) continue;
        if (other == NOBODY || other == i || node_at(w, peer->address.host) != other)
            return unwell(w, "%s takes %.8s at %s for a Sentinel", name(w, i), peer->run_id, peer->address.host);
        known++;
    }
    if (known == w->plan->sentinels - 1) return NULL;
    return unwell(w, "%s knows %d other Sentinels", name(w, i), known);
}

static const char *unwell_sentinel(struct world *w, int i, int master)
{
    const struct watched *watched = watcher_watched(w, i);
    if (!watched || !node_acts(w, i)) return unwell(w, "%s does not run", name(w, i));
    int believed = watcher_master(w, i);
    if (believed != master)
        return unwell(w, "%s takes %s for the master, which is %s", name(w, i),
                      believed == NOBODY ? "nobody" : name(w, believed), name(w, master));
    const struct watched *first = watcher_watched(w, w->plan->servers);
    if (first && watched->config_epoch != first->config_epoch)
        return unwell(w, "%s is at configuration epoch %" PRIu64 ", another at %" PRIu64, name(w, i),
                      watched->config_epoch, first->config_epoch);
    if (health_is_down(&watched->master->health)) return unwell(w, "%s calls the master down", name(w, i));
    if (watched_in_failover(watched)) return unwell(w, "%s is in a fail-over", name(w, i));
    const char *why = unwell_voters(w, i, watched);
    if (why) return why;
    for (int r = 0; r < watched->replica_count; r++)
        if (!instance_is_up(watched->replicas[r]) && !watched->replicas[r]->stranger &&
            !nobody_is_at(w, watched->replicas[r]->address.host))
            return unwell(w, "%s calls %s down", name(w, i), watched->replicas[r]->address.host);
    return NULL;
}

static const char *unwell_neighbours(struct world *w)
{
    int master = NOBODY;
    for (int i = w->first_neighbour; i < w->first_neighbour + w->plan->neighbours; i++) {
        if (!w->nodes[i].running) return unwell(w, "%s does not run", name(w, i));
        if (!server_is_replica(server_of(w, i))) master = master == NOBODY ? i : NODES_MAX;
    }
    if (master == NOBODY || master == NODES_MAX) return unwell(w, "there is no one master of the neighbours");
    for (int i = w->first_neighbour; i < w->first_neighbour + w->plan->neighbours; i++)
        if (i != master && !server_of(w, i)->streaming) return unwell(w, "%s has no link to its master", name(w, i));
    for (int i = w->plan->servers; i < w->plan->servers + w->plan->sentinels; i++) {
        const struct watched *watched = watcher_watched_neighbours(w, i);
        if (!watched || node_at(w, watched_current(watched)->address.host) != master)
            return unwell(w, "%s does not take %s for the neighbours' master", name(w, i), name(w, master));
    }
    return NULL;
}

void checks_left_to_stranger(struct world *w)
{
    world_trace(w, NOBODY, "not healed: %s is taken for a stranger", name(w, checks_stranger(w)));
    w->checks->tallies.strangers++;
}

int checks_stranger(const struct world *w)
{
    for (int i = 0; i < w->plan->servers; i++) {
        int takers = 0;
        struct sentinel_address at;
        node_address(w, i, &at);
        for (int s = w->plan->servers; s < w->plan->servers + w->plan->sentinels; s++) {
            const struct watched *watched = watcher_watched(w, s);
            const struct instance *r = watched ? watched_replica_at(watched, at.host, at.port) : NULL;
            takers += r && r->stranger;
        }
        if (takers == w->plan->sentinels) return i;
    }
    return NOBODY;
}

const char *checks_unwell(struct world *w)
{
    const struct plan *p = w->plan;
    for (int i = 0; i < p->servers + p->sentinels; i++)
        if (!w->nodes[i].running) return unwell(w, "%s does not run", name(w, i));
    int master = checks_master(w);
    if (master == NOBODY) return unwell(w, "there is no one master");
    const char *why = NULL;
    for (int i = 0; i < p->servers && !why; i++) why = unwell_server(w, i, master);
    for (int i = p->servers; i < p->servers + p->sentinels && !why; i++) why = unwell_sentinel(w, i, master);
    if (!why && p->neighbours) why = unwell_neighbours(w);
    return why;
}

const char *checks_unwell_but_for(struct world *w, int server)
{
    w->checks->but_for = server;
    return checks_unwell(w);
}

bool checks_same_data(struct world *w)
{
    int master = checks_master(w);
    if (master == NOBODY) return false;
    const struct server *m = server_of(w, master);
    for (int i = 0; i < w->plan->servers; i++) {
        const struct server *s = server_of(w, i);
        if (s->data.len != m->data.len || !data_begins_with(&m->data, &s->data)) return false;
        if (repl_stream_history(s->stream)->offset != repl_stream_history(m->stream)->offset) return false;
    }
    return true;
}

/* --- the end --- */

void checks_at_end(struct world *w)
{
    struct checks *c = w->checks;
    int master = checks_master(w);
    const struct server *m = server_of(w, master);
    for (uint64_t i = 0; i < c->tallies.writes; i++)
        if (c->promises[i].given && !data_has_write(&m->data, i)) {
            world_fail(w, "write %" PRIu64 ", acknowledged by %s, is lost: %s, the master, lacks it", i,
                       name(w, c->promises[i].master), name(w, master));
            return;
        }
}
