/* GEOSEARCH and the GEORADIUS commands, and what they share with the other commands on positions. */
#ifndef SLIPSTREAM_COMMANDS_GEO_SEARCH_H
#define SLIPSTREAM_COMMANDS_GEO_SEARCH_H

#include "server/core/run/call.h"
#include "server/data/geohash.h"
#include "server/data/zset.h"

/* Longitude and latitude in two arguments. false: answered. */
bool geo_point_argument(struct call *call, uint32_t arg, struct geo_point *out);
/* Metres in a unit. false: answered. */
bool geo_unit_argument(struct call *call, uint32_t arg, double *metres);

void geo_reply_distance(struct reply *reply, double distance);
void geo_reply_point(struct reply *reply, struct geo_point p);

void georadius_command(struct call *call);
void georadius_ro_command(struct call *call);
void georadiusbymember_command(struct call *call);
void georadiusbymember_ro_command(struct call *call);
void geosearch_command(struct call *call);
void geosearchstore_command(struct call *call);

#endif
