/* What tests ask a Sentinel: where the master "mymaster" is, and what is known of it. */
#ifndef HARNESS_SENTINELS_H
#define HARNESS_SENTINELS_H

#include "tests/harness/client.h"

/* How long a master is silent until Debian's Sentinels call it down. They connect to a new master up to a second after
 * they have heard of it (when they tried its predecessor last is what counts): with 1000 ms they can call the new one
 * down in the same turn, and promote another (seen with 7.0.15, a few times in a hundred). */
#define DEBIANS_DOWN_AFTER_MS 3000

/* A field of SENTINEL MASTER mymaster; "" where there is none. Valid until the next call. */
const char *sentinel_field(struct server *sentinel, const char *name);
bool sentinel_knows(struct server *sentinel, int replicas, int others);
bool sentinel_has_quorum(struct server *sentinel);
int sentinel_master_port(struct server *sentinel); /* 0: it names none */

#endif
