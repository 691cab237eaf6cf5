/* A snapshot on its way through the link: a growing file every peer reads at its own pace, or a pipe whose peers go in
 * step.
 *
 * From a file a peer may be served at any time while the server keeps it. A pipe's bytes exist once: each piece read is
 * kept until every peer of the group has it, and who comes after the first piece comes too late. */
#ifndef SLIPSTREAM_REPL_LINK_SPOOL_H
#define SLIPSTREAM_REPL_LINK_SPOOL_H

#include "server/net/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPOOL_PIECE_BYTES (256 * 1024)

struct spool_events {
    struct loop *loop;
    void *context;
    void (*moved)(void *context); /* a pipe's next piece is here, or its end */
};

struct spool {
    struct spool_events events;
    int fd; /* -1: not here yet, or closed */
    bool is_pipe;
    unsigned readers; /* peers that still need it */

    /* a pipe only */
    struct loop_watch *watch;
    uint8_t *piece;       /* SPOOL_PIECE_BYTES, the bytes being sent */
    size_t piece_len;     /* 0: none */
    uint64_t pieces;      /* read so far */
    unsigned outstanding; /* readers that have not done with the piece */
    bool ended;           /* the child has closed its end */
};

void spool_init(struct spool *s, const struct spool_events *events);
void spool_open(struct spool *s, int fd, bool is_pipe); /* owns fd */
void spool_close(struct spool *s);

void spool_join(struct spool *s);
/* had_piece: a pipe's reader that had done with the current piece, or got none. */
void spool_leave(struct spool *s, bool had_piece);

/* A file: bytes read, 0 never (the caller knows how many there are), -1 with errno. */
ptrdiff_t spool_read_file(const struct spool *s, uint64_t offset, void *out, size_t bytes);
void spool_piece_done(struct spool *s); /* by one reader; the last one's call brings the next piece */

#endif
