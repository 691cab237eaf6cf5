/* A server, as node.c calls it. */
#ifndef SLIPSTREAM_SIMULATION_SERVER_NODE_H
#define SLIPSTREAM_SIMULATION_SERVER_NODE_H

#include "tests/simulation/network.h"

void server_make(struct world *w, int node);
void server_start(struct world *w, int node);
void server_die(struct world *w, int node, bool power_lost, bool disk_lost);
/* `a` and `b` have each other's address now. */
void server_places_changed(struct world *w, int node, int a, int b);
/* Before it starts: what its configuration says then. NOBODY: it is the master. */
void server_is_told(struct world *w, int node, int master);
void server_unmake(struct world *w, int node);
void server_opened(struct world *w, int node, conn_id conn);
void server_received(struct world *w, int node, conn_id conn, const struct packet *packet);
void server_closed(struct world *w, int node, conn_id conn);

#endif
