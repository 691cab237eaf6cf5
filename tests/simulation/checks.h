/* What must always hold. Each check says what it promises, and when:
 *
 * 1. A WRITE THAT WAS ACKNOWLEDGED TO `WAIT n` IS NOT LOST. Once n replicas have said that they have it:
 *    - a fail-over promotes none that lacks it, as long as one of those n was well when the choice was made: it ran, no
 *      fault had been about it for WELL_MS, it had its data and its connection to the master until that went down, and
 *      the Sentinel that chose was well, too, and knew it: a master's INFO names its own replicas, not theirs.
 *      (Sentinel promotes the one with the most among those that it can ask. If all n are out of its reach at once, it
 *      does not know better: whoever wants more waits for more.)
 *    - who has acknowledged a write has it, until its own memory and disk are lost;
 *    - a hand-over that its master makes loses none at all;
 *    - nobody gives up a write for a full sync, unless who was promoted has it;
 *    - in the end, when all faults are over, the master has all of them.
 *    The promise ends where it cannot be kept, and nowhere else:
 *    - the write was acknowledged after the Sentinel had found its master down (the choice may have been made), or by a
 *      master that another had replaced already. The master is who was promoted in the newest epoch, as among
 *      Sentinels: SENTINEL FAILOVER at one that is cut off may promote another later, in an older epoch, which is led
 *      back, or have a former master hand over;
 *    - all who have acknowledged it have lost their memory and their disk;
 *    - the master came back without it (from no append-only file) and is followed again. It holds back who has more, so
 *      that Sentinels promote that, and the promise stands, unless ahead-replica-wait is 0, its file is of no history
 *      of the replica's, the replica had not followed it for WELL_MS, or a fault was about it since, or about the
 *      replica or a Sentinel in the WELL_MS before;
 *    - it was acknowledged when the master had come back from a file with less, before who has more of that file's
 *      history asked to follow, and is promoted for it (repl/comeback.h). One of the two is lost, the write or what
 *      that one has, which may be as well acknowledged: they are two histories, and nobody can keep both;
 *    - the master came back as another's replica, and is followed before it could be replaced (down-after and
 *      REPLACED_MS), or a fault was about a Sentinel in that time;
 *    - it came back so, and takes over what that one has, while for that time there was no quorum of Sentinels that no
 *      fault was about. Nobody can replace it then, and it follows whom its configuration says, as in a container that
 *      starts anew: where that has less, or nothing, it waits for 15 s, behind which nobody holds it back;
 *    - another server has the master's address by now, and says that it is a master, with less: a restart brings
 *      another run id, and Sentinels know masters by their addresses;
 *    - nobody knows that the master was promoted: before a Sentinel had seen it, a fault was about it, or about who had
 *      promoted it; others have led it back.
 *    A fault is about a Sentinel as long as it is in TILT, too: there it does not act, as documented.
 * 2. A MASTER THAT IS CUT OFF STOPS. With min-replicas-to-write it accepts no write once it could hear no replica for
 *    min-replicas-max-lag and a second (and the delay of what was on its way). Without it, it goes on until it hears
 *    that another is the master: no longer than the time in which all heals.
 *    AN EPOCH HAS ONE LEADER, unless a Sentinel has lost its file.
 * 3. A PARTIAL RESYNC CONTINUES THE RIGHT HISTORY: what the replica has is the beginning of what its master has, byte
 *    by byte, and exactly what lies between is sent.
 * 4. ALL HEALS: within plan_heals_within_ms() after the last fault there is one master, all others follow it, with the
 *    same data, and all Sentinels know it, and each other, where they are. But for
 *    - one server whom all of them take for a stranger: it came back with another run id, and is followed by nobody
 *      whom they know, as one whose address has changed since the last INFO. It may as well be another's server at a
 *      reused address, whose data an order to follow would end, and so it is left alone, as documented; all else holds;
 *    - who a Sentinel was before it lost its file, and has another address since: nothing ties the one to the other. As
 *      documented, those who knew it count it until SENTINEL RESET, as one that is down, at an address where nobody is.
 *      Whoever forgot it by himself might elect with less than a majority.
 * 5. NO ENDLESS FULL SYNCS: a bounded number for each fault and fail-over, and none once all is well.
 */
#ifndef SLIPSTREAM_SIMULATION_CHECKS_H
#define SLIPSTREAM_SIMULATION_CHECKS_H

#include "server/sentinel/failover.h"
#include "tests/simulation/world.h"

struct tallies {
    uint64_t writes, acknowledged, voided; /* promises that ended */
    uint64_t promotions, hand_overs, continued, full_syncs;
    uint64_t strangers; /* worlds that did not heal for one */
};

void checks_new(struct world *w);
void checks_free(struct world *w);
const struct tallies *checks_tallies(const struct world *w);

/* --- told by the nodes --- */
uint64_t checks_new_write(struct world *w);
void checks_accepted(struct world *w, int server, uint64_t write);
/* `master` answers WAIT, which asked for no more; `nodes`: bits of the replicas that have it. */
void checks_acknowledged(struct world *w, uint64_t write, int master, uint64_t nodes);
/* Before it becomes a master: by `sentinel`, who found the last one down at since_ms (or was asked then); NOBODY: by
 * the last master itself. */
void checks_promotes(struct world *w, int server, int sentinel, int64_t since_ms);
void checks_promotion_heard(struct world *w, int server); /* a Sentinel has seen that it is a master */
void checks_starts(struct world *w, int server);          /* and loads what its disk has */
void checks_started(struct world *w, int server);         /* with that */
void checks_emptied(struct world *w, int server);
void checks_left_to_stranger(struct world *w);
/* It asked, and is not continued, nor held back. */
void checks_gives_full_sync(struct world *w, int master, int replica);
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
int checks_stranger(const struct world *w); /* whom all Sentinels take for one; NOBODY */
/* From now on nothing is asked of that server. */
const char *checks_unwell_but_for(struct world *w, int server);
bool checks_same_data(struct world *w);
void checks_at_end(struct world *w);
int checks_master(const struct world *w);      /* the one; NOBODY */
int checks_last_master(const struct world *w); /* who was promoted last */

#endif
