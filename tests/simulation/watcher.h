/* A node that is a Sentinel: the real core (server/sentinel/), driven as server/sentinel/process.c and links.c do it.
 * Its file is a copy of what state.c writes: written where a SAVE asks for it, before anything is sent. */
#ifndef SLIPSTREAM_SIMULATION_WATCHER_H
#define SLIPSTREAM_SIMULATION_WATCHER_H

#include "server/sentinel/sentinel.h"
#include "tests/simulation/network.h"

#define SENTINEL_PORT 26379
#define MASTER_NAME   "mymaster"
#define GROUPS        2 /* of servers: ours, and the neighbours, where there are any */

struct watcher;

void watcher_make(struct world *w, int node);
void watcher_start(struct world *w, int node);
void watcher_die(struct world *w, int node, bool disk_lost);
void watcher_unmake(struct world *w, int node);
void watcher_opened(struct world *w, int node, conn_id conn);
void watcher_received(struct world *w, int node, conn_id conn, const struct packet *packet);
void watcher_closed(struct world *w, int node, conn_id conn);

/* SENTINEL FAILOVER. */
void watcher_fails_over(struct world *w, int node);
void watcher_dies_midway(struct world *w, int node, unsigned actions);
void watcher_spared(struct world *w, int node);                         /* it does not die after all */
const struct watched *watcher_watched(const struct world *w, int node); /* NULL: it does not run */
const struct watched *watcher_watched_neighbours(const struct world *w, int node);
int watcher_master(const struct world *w, int node); /* as it tells clients; NOBODY */

#endif
