/* MULTI, EXEC, DISCARD and WATCH. */
#ifndef SLIPSTREAM_CORE_TRANSACTION_H
#define SLIPSTREAM_CORE_TRANSACTION_H

#include "server/core/call.h"
#include "server/core/session.h"

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

void transaction_begin(struct session *s);
void transaction_queue(struct session *s, struct command_entry *command, uint32_t argc, const struct bytes *argv);
void transaction_spoil(struct session *s); /* a command was refused while queueing: EXEC answers EXECABORT */
void transaction_discard(struct watches *w, struct session *s);
void transaction_execute(struct call *call); /* EXEC */
/* What EXEC is judged by: the flags that any queued command has, of CMD_LEAVES those that all of them have. */
uint32_t transaction_flags(const struct session *s);
size_t transaction_length(const struct session *s);

#endif
