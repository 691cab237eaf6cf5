/* What every kind of node can be told. Called by the network and by faults; node.c passes it on by the node's kind. */
#ifndef SLIPSTREAM_SIMULATION_NODE_H
#define SLIPSTREAM_SIMULATION_NODE_H

#include "server/sentinel/hello.h"
#include "tests/simulation/network.h"

void node_opened(struct world *w, int node, conn_id conn);   /* what it dialled */
void node_accepted(struct world *w, int node, conn_id conn); /* it was called */
void node_received(struct world *w, int node, conn_id conn, const struct packet *packet);
void node_closed(struct world *w, int node, conn_id conn);

void node_make(struct world *w, int node);
void node_start(struct world *w, int node);
void node_die(struct world *w, int node, bool power_lost, bool disk_lost);
void node_unmake(struct world *w, int node);

/* Each has the other's address from now on. Neither runs. */
void node_change_places(struct world *w, int a, int b);
/* A server's, when the world began: what a configuration says that nobody has changed. */
void node_first_address(int node, struct sentinel_address *out);
/* Every node has a host to itself. */
void node_address(const struct world *w, int node, struct sentinel_address *out);
int node_at(const struct world *w, const char *host); /* NOBODY: none is there */

#endif
