/* Replication histories, and the one decision that matters: continue or start over. Pure: no sockets, no clock.
 *
 * A history is a stream of bytes with an id. A promoted replica starts a new id and remembers the old one up to the
 * offset at which it left it (PSYNC2's second id), so that its former siblings can continue. */
#ifndef SLIPSTREAM_REPL_HISTORY_H
#define SLIPSTREAM_REPL_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

#define HISTORY_ID_TEXT 41 /* 40 hex digits and a zero */

struct history {
    char id[HISTORY_ID_TEXT];
    char second_id[HISTORY_ID_TEXT]; /* forty '0' when there is none */
    int64_t second_offset;           /* first offset that is no longer of second_id; -1: none */
    uint64_t offset; /* master_repl_offset: bytes so far; the next byte's number is offset + 1 in PSYNC's count */
};

void history_init(struct history *h);     /* a fresh random id, offset 0 */
void history_new_id(struct history *h);   /* forgets the second id */
void history_shift_id(struct history *h); /* promotion: id becomes second_id, valid up to offset + 1 */
void history_adopt(struct history *h, const char *id, uint64_t offset); /* after a full sync: the master's */
/* +CONTINUE with another id: ours becomes the second. */
void history_continue_as(struct history *h, const char *new_id);

struct resync_window {
    bool present;        /* a backlog exists */
    uint64_t first, end; /* offsets of its bytes: [first, end), in PSYNC's count (first byte of a history is 1) */
};

enum resync_reason {
    RESYNC_CONTINUE,   /* partial */
    RESYNC_FIRST_TIME, /* "?" was asked */
    RESYNC_NO_BACKLOG,
    RESYNC_UNKNOWN_ID,
    RESYNC_PAST_SECOND_ID,
    RESYNC_TOO_OLD,
    RESYNC_FROM_THE_FUTURE,
    RESYNC_UNKNOWN_WORDS, /* said by who knows the peer, not by resync_decide() */
    RESYNC_NO_PSYNC       /* SYNC, or a client without PSYNC2 */
};

struct resync_decision {
    enum resync_reason reason;
    uint64_t from;   /* RESYNC_CONTINUE: first offset to send */
    bool id_changed; /* RESYNC_CONTINUE: the peer asked by second_id */
};

struct resync_decision resync_decide(const struct history *h, const struct resync_window *window, const char *asked_id,
                                     int64_t asked_offset);
/* One readable line with the numbers that made the decision. */
void resync_explain(const struct resync_decision *d, const struct history *h, const struct resync_window *window,
                    const char *asked_id, int64_t asked_offset, char out[512]);

#endif
