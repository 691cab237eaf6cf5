/* The one funnel through which every write leaves: backlog (replicas), AOF, rdb_changes_since_last_save.
 *
 * What leaves is whole: between propagate_begin() and propagate_end() everything is gathered and leaves as one unit, wrapped
 * in MULTI/EXEC when it holds more than one command. A SELECT goes first when the database differs from the stream's. */
#ifndef SLIPSTREAM_CORE_PROPAGATE_H
#define SLIPSTREAM_CORE_PROPAGATE_H

#include "server/base/bytes.h"

struct propagation;
struct core;

/* Where a finished unit goes. Registered by main.c: repl/master (the backlog), aof later. The bytes are valid for the call;
 * they begin and end at command boundaries and contain any SELECT needed. */
struct propagation_sink {
    void *context;
    bool (*wanted)(void *context); /* false: nobody listens, nothing needs encoding */
    void (*feed)(void *context, struct bytes unit);
};

struct propagation *propagation_new(struct core *core);
void propagation_add_sink(struct propagation *p, const struct propagation_sink *sink);

void propagate_begin(struct propagation *p); /* nests */
void propagate_end(struct propagation *p);
void propagate_raw(struct propagation *p, int db, struct bytes request); /* one whole command in RESP */
void propagate_command(struct propagation *p, int db, uint32_t argc, const struct bytes *argv);
void propagate_forget_db(struct propagation *p); /* the next command carries its SELECT: a snapshot starts here */
/* While a transaction or script runs as one unit, wrap even a single command in MULTI/EXEC. */
void propagate_as_transaction(struct propagation *p);

#endif
