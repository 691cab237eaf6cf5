/* What tests ask a Sentinel: where the master "mymaster" is, and what is known of it. */
#ifndef HARNESS_SENTINELS_H
#define HARNESS_SENTINELS_H

#include "tests/harness/client.h"

/* A field of SENTINEL MASTER mymaster; "" where there is none. Valid until the next call. */
const char *sentinel_field(struct server *sentinel, const char *name);
bool sentinel_knows(struct server *sentinel, int replicas, int others);
bool sentinel_has_quorum(struct server *sentinel);
int sentinel_master_port(struct server *sentinel); /* 0: it names none */

#endif
