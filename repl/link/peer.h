/* One replica, as the link serves it: preamble, snapshot, stream, and its acknowledgements on the way back. */
#ifndef SLIPSTREAM_REPL_LINK_PEER_H
#define SLIPSTREAM_REPL_LINK_PEER_H

#include "repl/link/messages.h"

struct link;
struct peer;

void peer_open(struct link *link, const struct message *m, struct bytes body, int fd); /* MESSAGE_PEER; owns fd */
/* Lets go of the slot and tells the server why. */
void peer_close(struct peer *p, const char *reason);

void peers_pump_all(struct link *link); /* something new to send may be there */
void peers_tick(struct link *link);     /* keep-alives, and what each owes: twice a second or so */
void peers_leave_spool(struct link *link, int spool, const char *reason); /* closes who still needs it */
void peers_report(void *link);                                            /* a section of a crash report */

/* The server is gone. What it had published goes on to leave; then each peer is closed behind its last byte, or given
 * up (drain.h). peers_drain: some times a second; false: nobody is left. */
void peers_begin_drain(struct link *link);
bool peers_drain(struct link *link);

#endif
