/* A node that writes: it asks a Sentinel for the master, writes there, and waits for replicas with WAIT. Whatever goes
 * wrong, it asks again. */
#ifndef SLIPSTREAM_SIMULATION_CLIENT_H
#define SLIPSTREAM_SIMULATION_CLIENT_H

#include "tests/simulation/network.h"

void client_make(struct world *w, int node);
void client_start(struct world *w, int node);
void client_unmake(struct world *w, int node);
void client_opened(struct world *w, int node, conn_id conn);
void client_received(struct world *w, int node, conn_id conn, const struct packet *packet);
void client_closed(struct world *w, int node, conn_id conn);
void client_bursts(struct world *w, int node, bool begins);
void client_stops(struct world *w, int node);

#endif
