/* Inside of the writer: what backlog.c (rings and appending) shares with peers.c and spools.c. Server only. */
#ifndef SLIPSTREAM_SHM_WRITER_H
#define SLIPSTREAM_SHM_WRITER_H

#include "shm/backlog.h"
#include "shm/doorbell.h"
#include "shm/ring.h"

/* What the writer itself knows of a claimed slot; the rest stands in the control region. */
struct writer_peer {
    uint64_t claim; /* the claim's number */
    uint64_t from;  /* what it needs until the link has opened the slot */
    enum shm_reader_kind kind;
    bool doomed;
    uint64_t doom_end;     /* doomed: the link reads nothing from here on */
    uint64_t history_ring; /* the number of the first ring of the history it was claimed in */
};

struct backlog {
    /* what an append touches */
    uint8_t *base;     /* of the newest ring */
    uint64_t size;     /* of the newest ring */
    uint64_t position; /* in the newest ring: end modulo size */
    uint64_t end;
    uint64_t limit; /* up to this offset an append needs no second look */
    uint64_t published;
    struct doorbell bells[SHM_READERS]; /* a forked child goes on with a copy */

    struct shm_control *control;
    struct region region; /* the control region */
    int server_bell;
    uint64_t journal_call; /* as in the control region */
    struct backlog_limits limits;
    struct backlog_events events;
    char name[SHM_NAME_BYTES];
    enum region_kind kind;

    struct ring rings[SHM_RINGS_MAX]; /* oldest first */
    unsigned ring_count;
    uint64_t last_number;  /* of the newest ring */
    uint64_t history_ring; /* number of the first ring of this history */
    uint64_t window_ring;  /* number of the first ring of the window; older ones are kept for doomed peers only */
    struct ring_listener {
        void (*ring_opened)(void *context, int ring, int fd, uint64_t size); /* NULL: that reader is not there */
        void *context;
    } ring_listeners[SHM_READERS];
    unsigned calm_turns; /* calls of backlog_cron() in which nobody lagged */

    int journal_slot;   /* -1: none */
    uint64_t hold_from; /* the stream's end from which on the journal's lag has to be looked at again */
    bool journal_is_behind;

    uint64_t claimed[BACKLOG_PEERS_MAX / 64]; /* one bit a slot */
    struct writer_peer peers[BACKLOG_PEERS_MAX];
};

/* Without a region or a ring yet. NULL with errno. */
struct backlog *writer_new(const char *name, const struct backlog_limits *limits, const struct backlog_events *events);
void writer_release(struct backlog *b);                 /* with all that it has, names included */
int writer_open_ring(struct backlog *b, uint64_t size); /* what follows goes there; 0 or -1 with errno */
/* A named object could not be had: those to come are anonymous. -1: they are so already. */
int writer_fall_back(struct backlog *b, int error);
/* The lowest offset of ring that a peer may still read, now or (the newest ring) later; UINT64_MAX: nobody needs the
 * ring. */
uint64_t writer_lowest_pin(const struct backlog *b, const struct ring *ring);
/* The peer that is furthest behind and not doomed: its slot, and the lowest offset it needs. -1: there is none. */
int writer_slowest_peer(const struct backlog *b, uint64_t *needs);
/* The same among those that may be doomed: the journal may not. */
int writer_slowest_replica(const struct backlog *b, uint64_t *needs);
uint64_t writer_allowed_lag(const struct backlog *b); /* of a peer; UINT64_MAX: any */
/* The oldest rings that neither a peer nor the window needs give their memory back. */
void writer_drop_unneeded_rings(struct backlog *b);

#endif
