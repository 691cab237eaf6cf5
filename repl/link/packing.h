/* Pieces of the stream, packed once for all peers that come by the same place. Link process.
 *
 * Peers in step ask for the same piece one after the other; a few that lag together still share theirs. */
#ifndef SLIPSTREAM_REPL_LINK_PACKING_H
#define SLIPSTREAM_REPL_LINK_PACKING_H

#include "server/base/bytes.h"

#define PACKING_PIECE_BYTES (64 * 1024)
#define PACKING_PIECES      4

struct packed_piece {
    uint64_t offset;  /* of the stream */
    size_t run_bytes; /* that it stands for; 0: nothing is kept here */
    size_t len, room;
    uint8_t *blocks; /* LZ4, each standing alone */
};

struct packing {
    struct packed_piece pieces[PACKING_PIECES];
    unsigned next; /* to be replaced */
};

/* The stream's piece that begins at offset, whose bytes begin with `run`, at most PACKING_PIECE_BYTES. What is kept of
 * an earlier call may stand for fewer or more of them than run has. Valid until the next call. */
const struct packed_piece *packing_piece(struct packing *p, uint64_t offset, struct bytes run);
/* An offset may stand for other bytes from now on. */
void packing_forget(struct packing *p);
void packing_free(struct packing *p);

#endif
