/* The replication backlog's writer: the server process appends the stream here, once, however many replicas listen.
 *
 * The backlog is a control region (shm/layout.h: history ids, offsets, peer slots, spools) and one or more rings. A
 * ring holds offset o at o modulo its size. Normally there is one, `repl-backlog-size` long, and it wraps. Bytes that a
 * peer still needs are never overwritten: when the writer meets the lowest offset any peer needs, it opens a larger
 * ring for what follows (twice the size, or what one command needs) and the old one stays as it is until no peer and no
 * window needs it; when nobody lags any more, a ring of the normal size follows in the same way. So growing and
 * shrinking copy nothing. Past the hard limit the slowest peer is doomed (told to the owner, flagged in its slot) and
 * again the bytes it may still be sending stay untouched, in the old ring, until the link has let go of the slot. The
 * writer never waits for that, and never overwrites: without another ring the stream goes on privately.
 *
 * Appended bytes become visible to readers at backlog_publish(), whole commands at a time. */
#ifndef SLIPSTREAM_SHM_BACKLOG_H
#define SLIPSTREAM_SHM_BACKLOG_H

#include "shm/layout.h"

#include <stdbool.h>

struct backlog;

struct backlog_limits {
    uint64_t rest_bytes; /* repl-backlog-size */
    uint64_t hard_bytes; /* a peer further behind than this is doomed; 0: no limit */
};

struct backlog_events {
    void *context;
    /* limit_bytes 0: it had to go for want of memory or descriptors, see backlog_is_shared(). */
    void (*peer_doomed)(void *context, int slot, uint64_t lag_bytes, uint64_t limit_bytes);
};

/* name: of the shared memory object (port and data directory are in it); a full or missing /dev/shm means a memfd
 * instead, with one log line. The first byte appended has offset `first`. NULL with errno when no memory can be had at
 * all. */
struct backlog *backlog_open(const char *name, uint64_t first, const struct backlog_limits *limits,
                             const struct backlog_events *events);
void backlog_close(struct backlog *b); /* unlinks the name; peers must be gone */

void backlog_append(struct backlog *b, const void *data, size_t len);
/* Makes everything appended visible and rings for link and journal if they sleep. Once a turn; free without news. */
void backlog_publish(struct backlog *b);

/* False: no ring could be made that others can read (no descriptor or no memory was left), so the stream goes on in
 * memory of our own. Then nobody follows it and nobody may be made to; backlog_cron() tries to share it again, and what
 * was written meanwhile is part of the window. */
bool backlog_is_shared(const struct backlog *b);

uint64_t backlog_first(const struct backlog *b);  /* oldest offset still served */
uint64_t backlog_end(const struct backlog *b);    /* offset the next appended byte gets */
uint64_t backlog_memory(const struct backlog *b); /* bytes of all rings */
uint64_t backlog_rest_bytes(const struct backlog *b);
/* CONFIG SET repl-backlog-size / client-output-buffer-limit. */
void backlog_set_limits(struct backlog *b, const struct backlog_limits *limits);
/* Empties the window: the next byte has offset `first` (a new history). No peers may be attached. */
void backlog_restart(struct backlog *b, uint64_t first);
void backlog_set_history(struct backlog *b, const char *id, const char *id2, int64_t second_offset);
/* For who goes on with the region after our death: the dataset is empty at this offset; the stream is our master's. */
void backlog_set_empty(struct backlog *b, uint64_t offset);
void backlog_set_relayed(struct backlog *b, bool relayed);
/* For the same: where commands of a kind (below SHM_WORDS) last were that not every replica knows; 0: never. */
void backlog_set_words_at(struct backlog *b, int kind, uint64_t offset);
uint64_t backlog_words_at(const struct backlog *b, int kind);
/* Once a second or so: shrinks when nobody lags, returns memory. */
void backlog_cron(struct backlog *b);

/* --- peers: the writer claims a slot, the link moves its offset on, the writer (or the link's end) frees it --- */
int backlog_peer_claim(struct backlog *b, uint64_t from); /* slot, bytes from `from` on pinned; -1: all slots taken */
int backlog_peer_claim_unpinned(struct backlog *b);       /* the same for one that takes a file and no stream */
void backlog_peer_free(struct backlog *b, int slot);      /* only when the link has let go, or is dead */
void backlog_peer_doom(struct backlog *b, int slot);      /* the link closes it and says so */

/* The append-only file's reader; there is one at most, and it is never doomed. Bytes from `from` on are pinned.
 * backlog_peer_free() when it has let go, or is dead for good. -1: all slots taken. */
int backlog_journal_claim(struct backlog *b, uint64_t from);
/* The journal is as far behind as the hard limit allows (without one: 1 GiB), or cannot follow where the stream is not
 * shared: writes are to wait. It remains so until an eighth of the limit is free again. Cheap, to be
 * asked per write. */
bool backlog_journal_is_behind(struct backlog *b);

struct backlog_peer_view {
    enum shm_peer_phase state;           /* as the link says, also of a doomed one */
    bool opened;                         /* its process speaks for it */
    uint64_t next_offset;                /* lowest offset still needed */
    uint64_t acked_offset;               /* REPLCONF ACK */
    uint64_t fack_offset;                /* ... FACK (AOF fsynced), 0: never */
    int64_t heard_ms;                    /* last acknowledgement or sign of life, monotonic; 0: never */
    uint64_t sent_bytes, received_bytes; /* on the socket */
    enum shm_peer_debt owes;
};
void backlog_peer_view(const struct backlog *b, int slot, struct backlog_peer_view *out);
/* The link rings `backlog_server_bell` when any peer's acknowledged offset reaches `offset` (WAIT); 0: never. */
void backlog_watch_acks(struct backlog *b, uint64_t offset);
int backlog_server_bell(const struct backlog *b); /* eventfd, readable: acks moved */
/* The same for what the journal has on disk. Who sets it looks at the journal's slot afterwards. */
void backlog_watch_durable(struct backlog *b, uint64_t offset);
/* The number of the newest file that the journal is given: stored before what belongs to it is published. */
void backlog_journal_give_file(struct backlog *b, uint64_t number);
uint64_t backlog_journal_files_given(const struct backlog *b);
/* The journal is to work on what is published by now; what is published from then on waits for another call, until it
 * is free again to go by that alone, which it is at first. Who calls it frees it. */
void backlog_call_journal(struct backlog *b);
void backlog_free_journal(struct backlog *b);
const struct shm_journal *backlog_journal(const struct backlog *b); /* what the journal says of its file */

/* --- spools: a snapshot's bytes on their way from the child to the link --- */
int backlog_spool_claim(struct backlog *b); /* -1: none free */
int backlog_spools_free(const struct backlog *b);
/* In the child: so much is readable. Rings the link. */
void backlog_spool_advance(struct backlog *b, int spool, uint64_t bytes);
void backlog_spool_finish(struct backlog *b, int spool, bool good); /* in the server, when the child was reaped */
void backlog_spool_free(struct backlog *b, int spool);
uint64_t backlog_spool_bytes(const struct backlog *b, int spool);

/* What a reading process needs to attach: control descriptor first, doorbells, then the rings open now. */
int backlog_control_fd(const struct backlog *b);
int backlog_bell(const struct backlog *b, enum shm_reader_kind kind);
uint64_t backlog_beats(const struct backlog *b, enum shm_reader_kind kind); /* grows while that process's loop turns */
/* For each ring opened from now on (and those open): that process is told its number and descriptor. */
void backlog_on_ring(struct backlog *b, enum shm_reader_kind kind,
                     void (*ring_opened)(void *context, int ring, int fd, uint64_t size), void *context);

#endif
