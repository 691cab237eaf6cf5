/* The one funnel through which every write leaves: towards the backlog (replicas) and the AOF.
 *
 * What leaves is whole: everything between propagate_begin() and the matching propagate_end() leaves as one unit,
 * wrapped in MULTI/EXEC when it holds more than one command, with a SELECT in front when the database differs from the
 * stream's. */
#ifndef SLIPSTREAM_CORE_DATASET_PROPAGATE_H
#define SLIPSTREAM_CORE_DATASET_PROPAGATE_H

#include "server/base/bytes.h"

struct propagation;

/* Where a finished unit goes. Registered by main.c. The bytes are valid for the call; they begin and end at command
 * boundaries and contain any SELECT needed. */
struct propagation_sink {
    void *context;
    bool (*wanted)(void *context); /* false: nobody listens, nothing needs encoding */
    void (*feed)(void *context, struct bytes unit);
};

struct propagation *propagation_new(void);
void propagation_add_sink(struct propagation *p, const struct propagation_sink *sink);

void propagate_begin(struct propagation *p); /* nests */
void propagate_end(struct propagation *p);
/* Outside begin and end each of these is a unit of its own. db -1: of no database (PING, REPLCONF, PUBLISH). request:
 * one whole command in RESP, valid until propagate_end(). */
void propagate_raw(struct propagation *p, int db, struct bytes request);
void propagate_command(struct propagation *p, int db, uint32_t argc, const struct bytes *argv);
struct bytes propagate_removal_name(bool aside); /* UNLINK or DEL */
/* A key that went by itself. aside: as UNLINK. */
void propagate_removal(struct propagation *p, int db, struct bytes key, bool aside);
/* What the unit holds so far never leaves: the server ends before what does it has ended. */
void propagate_abandon(struct propagation *p);
bool propagation_in_unit(const struct propagation *p); /* between propagate_begin() and the matching end */
/* Commands have changed the data, and are not in the stream yet. */
bool propagation_owes(const struct propagation *p);
size_t propagation_gathered_bytes(const struct propagation *p); /* what the unit takes in memory so far */
void propagate_forget_db(struct propagation *p); /* the next command carries its SELECT: a snapshot starts here */
int propagation_db(const struct propagation *p); /* database the stream has selected, -1: none */

#endif
