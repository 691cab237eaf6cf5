/* WATCH: keys whose change makes EXEC answer null. Server process. */
#ifndef SLIPSTREAM_CORE_WATCH_H
#define SLIPSTREAM_CORE_WATCH_H

#include "server/core/session/session.h"

struct watches;

struct watches *watches_new(void);
void watch_key(struct watches *w, struct session *s, struct database *db, struct bytes key, int64_t now_ms);
void watch_forget_all(struct watches *w, struct session *s);
void watch_key_touched(struct watches *w, int db, struct bytes key); /* cheap when nobody watches */
void watch_key_expired(struct watches *w, int db, struct bytes key); /* the key has run out and is being removed */
/* FLUSHDB, SWAPDB, a full resync: keys that exist, or exist in the database that comes instead. db -1: every database.
 */
void watch_database_touched(struct watches *w, struct keyspace *ks, int db, struct database *replaced_by,
                            int64_t now_ms);
bool watch_has_expired(struct watches *w, struct session *s, int64_t now_ms);
size_t watches_sessions(const struct watches *w);

#endif
