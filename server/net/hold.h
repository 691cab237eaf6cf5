/* Output that waits for something which the loop knows nothing of: an fsync. Any process with a loop; used by the
 * server with appendfsync always.
 *
 * While output is held, what connections flush stays where it is until the owner says, at the end of a turn, what it
 * waits for: a mark, a number that grows. It leaves when the marks have passed that number. The loop goes on serving
 * meanwhile, and as many turns as come to their end in between share the next mark (group commit).
 *
 * A connection has one mark at a time. What it writes while it waits is marked when that one has passed, with the mark
 * of that moment: so a client that never stops writing waits for two of them at most.
 *
 * It is the connection that waits, not its client: one that is closed behind its reply, or handed over to another
 * process, is so when its output has left. */
#ifndef SLIPSTREAM_NET_HOLD_H
#define SLIPSTREAM_NET_HOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conn;
struct loop;

/* From now on what is flushed is held; or, false: nothing is any more, and what was held leaves. */
void loop_hold_output(struct loop *loop, bool held);
bool loop_holds_output(const struct loop *loop);
/* In the hook before_send: what was flushed since the last call waits for `mark`; what waits for `passed` or less
 * leaves. Marks do not fall while output is held. Free where nothing is held. */
void loop_hold_mark(struct loop *loop, uint64_t mark, uint64_t passed);
/* The next mark that somebody waits for; 0: nobody does. */
uint64_t loop_hold_next_mark(const struct loop *loop);
/* Connections: those whose output has left when a mark passed last, how many of them wait for another by now, and all
 * that wait for one. `answers` is how often output has left. */
struct hold_counts {
    uint32_t answers;
    unsigned answered, returned, waiting;
};
struct hold_counts loop_hold_counts(const struct loop *loop);
/* What has been flushed since the last mark leaves, where nothing of its connection waits; the rest goes on waiting. */
void loop_hold_let_pass(struct loop *loop);

/* --- conn.c's --- */
struct conn_hold;
void hold_flush(struct conn *conn); /* conn_flush() while output is held */
size_t hold_open_bytes(const struct conn_hold *hold);
void hold_consumed(struct conn_hold *hold, size_t n); /* n bytes have left */
void hold_given_back(struct conn *conn, size_t n);    /* n bytes that had left stand before its output again */
void hold_forget(struct conn *conn);                  /* it waits for nothing any more */

#endif
