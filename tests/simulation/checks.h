/* What must always hold. Each check says what it promises, and when:
 *
 * 1. A WRITE THAT WAS ACKNOWLEDGED TO `WAIT n` IS NOT LOST. Once n replicas have said that they have it:
 *    - a fail-over promotes none that lacks it, as long as one of those n was well when the choice was made: it ran, no
 *      fault had been about it for WELL_MS, it had its data and its connection to the master until that went down, and
 *      the Sentinel that chose was well, too. (Sentinel promotes the one with the most among those that it can ask. If all
 *      n are out of its reach at once, it does not know better: whoever wants more waits for more.)
 *    - who has acknowledged a write has it, until its own memory and disk are lost;
 *    - a hand-over loses none at all;
 *    - in the end, when all faults are over, the master has all of them.
 *    The promise ends where it cannot be kept: the write was acknowledged after the Sentinel had found its master down
 *    (the choice may have been made), or by a master that another had replaced already; all who have acknowledged it have
 *    lost their memory and their disk; or the master itself came back without it and is followed again before it could be
 *    replaced (a server without an append-only file, restarted at once, or while not all Sentinels were well). And it is not
 *    kept between histories: when a master has lost its data, a replica that has not followed it yet has another one,
 *    and Sentinel compares their offsets.
 * 2. A MASTER THAT IS CUT OFF STOPS. With min-replicas-to-write it accepts no write once it could hear no replica for
 *    min-replicas-max-lag and a second (and the delay of what was on its way). Without it, it goes on until it hears
 *    that another is the master: no longer than the time in which all heals.
 *    AN EPOCH HAS ONE LEADER, unless a Sentinel has lost its file.
 * 3. A PARTIAL RESYNC CONTINUES THE RIGHT HISTORY: what the replica has is the beginning of what its master has, byte by
 *    byte, and exactly what lies between is sent.
 * 4. ALL HEALS: within plan_heals_within_ms() after the last fault there is one master, all others follow it, with the
 *    same data, and all Sentinels know it.
 * 5. NO ENDLESS FULL SYNCS: a bounded number for each fault and fail-over, and none once all is well.
 */
#ifndef SLIPSTREAM_SIMULATION_CHECKS_H
#define SLIPSTREAM_SIMULATION_CHECKS_H

#include "server/sentinel/failover.h"
#include "tests/simulation/world.h"

struct tallies {
    uint64_t writes, acknowledged, voided; /* promises that ended */
    uint64_t promotions, hand_overs, continued, full_syncs;
};

void checks_new(struct world *w);
void checks_free(struct world *w);
const struct tallies *checks_tallies(const struct world *w);

/* --- told by the nodes --- */
uint64_t checks_new_write(struct world *w);
void checks_accepted(struct world *w, int server, uint64_t write);
/* `nodes`: bits of the replicas that had it at acked_ms. */
void checks_acknowledged(struct world *w, uint64_t write, int master, uint64_t nodes, int64_t acked_ms);
/* Before it becomes a master: by `sentinel`, who found the last one down at since_ms (or was asked then); NOBODY: by the
 * last master itself. */
void checks_promotes(struct world *w, int server, int sentinel, int64_t since_ms);
void checks_started(struct world *w, int server); /* with what its disk had */
void checks_emptied(struct world *w, int server);
void checks_full_sync_ended(struct world *w, int server);
void checks_continued(struct world *w, int master, int replica, int64_t asked_offset);
void checks_applied(struct world *w, int server);
void checks_streams(struct world *w, int server);
void checks_elected(struct world *w, int sentinel, const struct failover *f);
void checks_file_lost(struct world *w, int node);

/* --- asked by run.c --- */
void checks_look_around(struct world *w); /* some times a second */
/* NULL: one master, all follow it, all know it. Else what is wrong. */
const char *checks_unwell(struct world *w);
bool checks_same_data(struct world *w);
void checks_at_end(struct world *w);
int checks_master(const struct world *w);      /* the one; NOBODY */
int checks_last_master(const struct world *w); /* who was promoted last */

#endif
