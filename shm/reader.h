/* The backlog's reader: the link process and the journal read the stream in place and tell, slot by slot, how far each
 * peer, or the append-only file, has come.
 *
 * The bytes of a run stay as they are until reader_peer_moved() says that the peer needs them no more. A peer that the
 * server doomed gets no further run; what it had been given before stays untouched until reader_peer_let_go(). */
#ifndef SLIPSTREAM_SHM_READER_H
#define SLIPSTREAM_SHM_READER_H

#include "server/base/bytes.h"
#include "shm/backlog.h"
#include "shm/control.h"

struct reader;

/* Owns the three descriptors on success. NULL with errno (EPROTO: not a backlog of this version). */
struct reader *reader_attach(enum shm_reader_kind kind, int control_fd, int bell, int server_bell);
void reader_detach(struct reader *r);
/* A ring the server opened; owns fd in any case. 0 (also when the ring is gone already) or -1 with errno. */
int reader_add_ring(struct reader *r, uint64_t number, int fd, uint64_t size);
/* Without a server that would give them: those of the table that have a name, and that we do not have. */
void reader_find_rings(struct reader *r);
void reader_drop_stale_rings(struct reader *r); /* unmaps what the server dropped: gives the memory back */

void reader_beat(struct reader *r); /* a sign of life for the server: some times a second */

/* --- the stream --- */
uint64_t reader_end(const struct reader *r);
/* At most max_bytes from offset on that lie in one piece; empty: nothing there yet, or the peer is doomed. */
struct bytes reader_next_run(const struct reader *r, int slot, uint64_t offset, size_t max_bytes);

/* --- peers --- */
/* The server has claimed the slot and told us: from now on we speak for this peer. Before anything else of it. */
void reader_peer_open(struct reader *r, int slot);
bool reader_peer_is_doomed(const struct reader *r, int slot);
void reader_peer_set_state(struct reader *r, int slot, enum shm_peer_phase state);
void reader_peer_set_debt(struct reader *r, int slot, enum shm_peer_debt owes);
void reader_peer_moved(struct reader *r, int slot, uint64_t next_offset);
void reader_peer_let_go(struct reader *r, int slot); /* its socket is shut: nothing of the stream is needed any more */
/* now_ms: monotonic. fack_offset 0: not said. Rings the server when it watches for this offset or an earlier one. */
void reader_peer_acked(struct reader *r, int slot, uint64_t acked_offset, uint64_t fack_offset, int64_t now_ms);
void reader_peer_alive(struct reader *r, int slot, int64_t now_ms); /* a sign of life that acknowledges nothing */
void reader_peer_count(struct reader *r, int slot, uint64_t sent_bytes, uint64_t received_bytes); /* to be added */

/* --- the journal's slot: opened as a peer's, and moved on by marks --- */
/* Where the journal stands, for the one that takes over after its death. */
struct journal_mark {
    uint64_t file; /* number of the one that is written */
    /* The next offset of the stream, behind a whole command, and the file's bytes up to there. */
    uint64_t written_offset, written_bytes, durable_offset, durable_bytes;
    bool in_multi; /* there, the file stands within a transaction */
};

/* False: no journal before us has begun with this claim of the slot; open it. */
bool reader_journal_resume(const struct reader *r, int slot, struct journal_mark *out);
/* Stores the mark, then that nothing below `needs` is needed. Rings the server when it watches
 * for what is now durable. */
void reader_journal_moved(struct reader *r, int slot, const struct journal_mark *mark, uint64_t needs);
/* The number of the newest file that the server has given, as of the last reader_end(). */
uint64_t reader_journal_files_given(const struct reader *r);
uint64_t reader_journal_call(const struct reader *r); /* before reader_end(); odd: the same as before is no call */
void reader_journal_finished(struct reader *r, uint64_t number); /* a request to finish is done; rings */
void reader_journal_error(struct reader *r, int error);          /* 0: got over it; rings at a change */
/* Something took so long; the worst of each kind and second stands in shared memory. at_s: since the epoch. */
void reader_journal_delay(struct reader *r, enum shm_delay kind, int64_t at_s, int64_t took_us);

/* --- the history --- */
uint64_t reader_history_turn(const struct reader *r); /* another one: the ids may be others */
bool reader_history(const struct reader *r, struct control_history *out);

/* --- spools --- */
enum shm_spool_state reader_spool_state(const struct reader *r, int spool);
uint64_t reader_spool_bytes(const struct reader *r, int spool);

/* --- sleeping --- */
int reader_bell(const struct reader *r); /* eventfd, readable: there is work; then reader_answer_bell() and look */
bool reader_acks_are_watched(const struct reader *r); /* somebody waits for an offset to be acknowledged */
/* The bell will ring at the next news. True: only from now on, so look for work once more. */
bool reader_arm_bell(struct reader *r);
void reader_answer_bell(struct reader *r);

#endif
