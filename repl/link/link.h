/* Inside of the link process: one loop, one reader of the backlog, the peers and the spools they are served from. */
#ifndef SLIPSTREAM_REPL_LINK_LINK_H
#define SLIPSTREAM_REPL_LINK_LINK_H

#include "repl/link/messages.h"
#include "repl/link/packing.h"
#include "repl/link/spool.h"
#include "shm/reader.h"

struct peer;

struct link {
    struct loop *loop;
    struct channel *channel; /* NULL once the server has gone */
    struct reader *reader;   /* NULL until the server says what to attach to */
    struct loop_watch *bell;
    bool pacing;        /* awake by the clock, the bell is not armed: see main.c */
    bool one_processor; /* is all that server, child and link have together */
    uint64_t seen_end;  /* the stream's end at the last beat of the pace */
    int ping_period_s;  /* 0: never */
    int64_t ended_ms;   /* the server's end was heard */
    /* Peers at the server's end, and those of them that have got all that it had published. */
    unsigned left_behind, drained;
    struct peer *peers[BACKLOG_PEERS_MAX];
    struct spool spools[BACKLOG_SPOOLS_MAX];
    struct packing packing; /* the stream for all LZ4 peers */
};

#endif
