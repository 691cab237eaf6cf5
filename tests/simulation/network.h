/* Connections between the nodes of a world, as a program sees TCP's: what is sent arrives once, in order, some time
 * later, or the connection ends. What is lost is sent again, so loss shows as delay. A cut holds everything back until
 * it is mended: neither end hears of it. A process that dies closes its connections; a host without power does not, and
 * its peers find out when they are answered by what comes after it.
 *
 * A connection has two ends: 0 dialled, 1 was called. Who calls in gets packets by node_*() of node.h. */
#ifndef SLIPSTREAM_SIMULATION_NETWORK_H
#define SLIPSTREAM_SIMULATION_NETWORK_H

#include "tests/simulation/world.h"

enum purpose { FOR_REPLICATION, FOR_COMMANDS, FOR_MESSAGES, FOR_CLIENT };

/* What is sent in one piece; `what` and the numbers are the two programs' own. */
struct packet {
    int what;
    uint64_t number[4];
    size_t len;
    const uint8_t *bytes;
};

typedef uint64_t conn_id; /* 0: none; never used again */

void network_new(struct world *w);
void network_free(struct world *w);

/* The answer: node_opened() or node_closed(). */
conn_id network_connect(struct world *w, int from, int to, enum purpose purpose, uint64_t tag);
/* Its end of it is gone at once, without node_closed(); what it had sent still leaves. Unknown ones are fine. */
void network_close(struct world *w, int node, conn_id conn);
void network_send(struct world *w, int node, conn_id conn, const struct packet *packet);
/* What it has sent and the other end has not got yet. */
size_t network_unsent_bytes(const struct world *w, int node, conn_id conn);
bool network_is_open(const struct world *w, int node, conn_id conn);
int network_other(const struct world *w, int node, conn_id conn);
enum purpose network_purpose(const struct world *w, conn_id conn);
uint64_t network_tag(const struct world *w, int node, conn_id conn);
void network_set_tag(struct world *w, int node, conn_id conn, uint64_t tag);

/* --- what can be wrong --- */
void network_cut(struct world *w, int from, int to, bool begins);            /* one way; cuts are counted */
bool network_is_cut(const struct world *w, int from, int to);                /* one way */
void network_slow(struct world *w, int64_t delay_ms, unsigned loss_percent); /* 0, 0: as planned */
void network_calm(struct world *w);                                          /* from now on nothing is lost */
void network_process_died(struct world *w, int node, bool power_lost);
/* Of one connection, chosen by chance among those of the node, the node's own end is gone,
 * and the other is not told. */
void network_half_open(struct world *w, int node);

#endif
