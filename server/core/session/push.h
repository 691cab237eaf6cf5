/* Pushes: what a session is told that it did not ask for just now, a message or an invalidation.
 *
 * One that comes while the session runs a command of its own is held until that command's whole reply is written: it
 * would else stand in the midst of the reply, of EXEC's for one. SUBSCRIBE and its kind answer with pushes; these are
 * replies and do not go this way. */
#ifndef SLIPSTREAM_CORE_SESSION_PUSH_H
#define SLIPSTREAM_CORE_SESSION_PUSH_H

#include "server/core/session/session.h"

/* The sink for as many parts as `count` says, until push_end. It goes out whatever CLIENT REPLY says. */
struct reply *push_begin(struct session *s, size_t count);
void push_end(struct session *s, struct reply *r); /* wakes the session */

void push_held(struct session *s); /* those that were held go out */
void push_forget_held(struct session *s);

#endif
