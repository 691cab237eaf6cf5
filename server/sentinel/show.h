/* What SENTINEL's commands show of masters, replicas and Sentinels: fields in Redis's order. Sentinel process. */
#ifndef SLIPSTREAM_SENTINEL_SHOW_H
#define SLIPSTREAM_SENTINEL_SHOW_H

#include "server/resp/writer.h"
#include "server/sentinel/sentinel.h"

void show_master(struct reply *reply, const struct watched *w, int64_t now_ms);
void show_replica(struct reply *reply, const struct watched *w, const struct instance *i, int64_t now_ms);
void show_sentinel(struct reply *reply, const struct watched *w, const struct voter *v, int64_t now_ms);

#endif
