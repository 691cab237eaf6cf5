/* WATCH: keys whose change makes EXEC answer null. Server process. */
#ifndef SLIPSTREAM_CORE_SESSION_WATCH_H
#define SLIPSTREAM_CORE_SESSION_WATCH_H

#include "server/core/session/session.h"

struct key_watchers;
struct watches;

struct watches *watches_new(struct keyspace *keyspace, struct key_watchers *watchers);
void watch_key(struct watches *w, struct session *s, struct database *db, struct bytes key, int64_t now_ms);
void watch_forget_all(struct watches *w, struct session *s);
bool watch_has_expired(struct watches *w, struct session *s, int64_t now_ms);
size_t watches_sessions(const struct watches *w);
size_t watch_memory(const struct session *s); /* bytes, of its watched keys */

#endif
