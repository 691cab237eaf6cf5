/* See packing.h. Runs in the link process. */
#include "repl/link/packing.h"

#include "server/base/alloc.h"
#include "server/base/lz4_stream.h"

static void pack(struct packed_piece *piece, uint64_t offset, struct bytes run)
{
    size_t bound = lz4_blocks_bound(run.len);
    if (piece->room < bound) {
        mem_free(piece->blocks);
        piece->blocks = mem_alloc(bound);
        piece->room = bound;
    }
    piece->offset = offset;
    piece->run_bytes = run.len;
    piece->len = lz4_pack_blocks(run, piece->blocks);
}

const struct packed_piece *packing_piece(struct packing *p, uint64_t offset, struct bytes run)
{
    for (unsigned i = 0; i < PACKING_PIECES; i++)
        if (p->pieces[i].run_bytes && p->pieces[i].offset == offset) return &p->pieces[i];
    struct packed_piece *piece = &p->pieces[p->next++ % PACKING_PIECES];
    pack(piece, offset, run);
    return piece;
}

void packing_forget(struct packing *p)
{
    for (unsigned i = 0; i < PACKING_PIECES; i++) p->pieces[i].run_bytes = 0;
}

void packing_free(struct packing *p)
{
    for (unsigned i = 0; i < PACKING_PIECES; i++) mem_free(p->pieces[i].blocks);
    *p = (struct packing){0};
}
