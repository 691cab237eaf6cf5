/* LZ4 frames as a stream, on liblz4's frame API. Runs in the link process (packing) and in a replica (unpacking).
 *
 * The encoder packs at most one block at a time through a scratch buffer of the worst case's size: the queue then gets
 * only the bytes that really came out, and keeps its common chunk size. */
#include "server/base/lz4_stream.h"

#include "server/base/alloc.h"
#include "server/base/check.h"

#include <endian.h>
#include <lz4.h>
#include <lz4frame.h>

#define BLOCK_BYTES        (64 * 1024)
#define BLOCK_HEADER_BYTES 4
#define BLOCK_NOT_PACKED   0x80000000u

static const LZ4F_preferences_t preferences = {
    .frameInfo = {.blockSizeID = LZ4F_max64KB, .blockMode = LZ4F_blockLinked},
};

struct lz4_encoder {
    LZ4F_cctx *context;
    size_t held_back; /* packed since the last flush: a flush has something to do */
    bool begun;       /* the frame's header has been written */
    bool adopting;    /* the follower has seen blocks that the context knows nothing of */
    size_t room;
    uint8_t scratch[];
};

struct lz4_encoder *lz4_encoder_new(void)
{
    size_t room = LZ4F_compressBound(BLOCK_BYTES, &preferences) + LZ4F_HEADER_SIZE_MAX;
    struct lz4_encoder *e = mem_alloc(sizeof(*e) + room);
    *e = (struct lz4_encoder){.room = room};
    CHECK(!LZ4F_isError(LZ4F_createCompressionContext(&e->context, LZ4F_VERSION)));
    return e;
}

void lz4_encoder_free(struct lz4_encoder *e)
{
    if (!e) return;
    LZ4F_freeCompressionContext(e->context);
    mem_free(e);
}

/* The library fails only when the scratch buffer is too small, which would be our own fault. */
static void put(struct lz4_encoder *e, size_t written, struct outq *out)
{
    CHECK(!LZ4F_isError(written));
    outq_append(out, e->scratch, written);
}

static void begin(struct lz4_encoder *e, struct outq *out)
{
    if (e->begun) return;
    put(e, LZ4F_compressBegin(e->context, e->scratch, e->room, &preferences), out);
    e->begun = true;
}

/* The input's next piece, no longer than a block. */
static struct bytes take_piece(struct bytes *input)
{
    struct bytes piece = bytes_make(input->ptr, input->len < BLOCK_BYTES ? input->len : BLOCK_BYTES);
    *input = bytes_make(input->ptr + piece.len, input->len - piece.len);
    return piece;
}

void lz4_encoder_pack(struct lz4_encoder *e, struct bytes input, struct outq *out)
{
    begin(e, out);
    if (!e->adopting) e->held_back += input.len;
    while (input.len > 0) {
        struct bytes piece = take_piece(&input);
        put(e,
            e->adopting ? lz4_pack_blocks(piece, e->scratch)
                        : LZ4F_compressUpdate(e->context, e->scratch, e->room, piece.ptr, piece.len, NULL),
            out);
    }
}

void lz4_encoder_flush(struct lz4_encoder *e, struct outq *out)
{
    if (e->held_back == 0) return;
    put(e, LZ4F_flush(e->context, e->scratch, e->room, NULL), out);
    e->held_back = 0;
}

void lz4_encoder_adopt(struct lz4_encoder *e, struct bytes blocks, struct outq *out)
{
    begin(e, out);
    lz4_encoder_flush(e, out);
    e->adopting = true;
    outq_append(out, blocks.ptr, blocks.len);
}

size_t lz4_blocks_bound(size_t input_bytes)
{
    return input_bytes + (input_bytes / BLOCK_BYTES + 1) * BLOCK_HEADER_BYTES;
}

/* A block as the frame format has it: its size in four bytes, the least first, then its data; the size's highest bit
 * says that the data is the input itself, where packing would not make it shorter. */
static size_t pack_block(struct bytes input, uint8_t *out)
{
    uint8_t *data = out + BLOCK_HEADER_BYTES;
    int packed = LZ4_compress_default((const char *)input.ptr, (char *)data, (int)input.len, (int)input.len - 1);
    size_t len = packed > 0 ? (size_t)packed : input.len;
    uint32_t header = htole32((uint32_t)len | (packed > 0 ? 0 : BLOCK_NOT_PACKED));
    if (packed <= 0) memcpy(data, input.ptr, len);
    memcpy(out, &header, sizeof(header));
    return BLOCK_HEADER_BYTES + len;
}

size_t lz4_pack_blocks(struct bytes input, uint8_t *out)
{
    size_t written = 0;
    while (input.len > 0) written += pack_block(take_piece(&input), out + written);
    return written;
}

struct lz4_decoder {
    LZ4F_dctx *context;
    const char *error; /* NULL: none */
};

struct lz4_decoder *lz4_decoder_new(void)
{
    struct lz4_decoder *d = mem_calloc(1, sizeof(*d));
    CHECK(!LZ4F_isError(LZ4F_createDecompressionContext(&d->context, LZ4F_VERSION)));
    return d;
}

void lz4_decoder_free(struct lz4_decoder *d)
{
    if (!d) return;
    LZ4F_freeDecompressionContext(d->context);
    mem_free(d);
}

ptrdiff_t lz4_decoder_unpack(struct lz4_decoder *d, struct bytes *input, void *out, size_t room)
{
    size_t total = 0;
    while (!d->error && total < room) {
        size_t taken = input->len, written = room - total;
        size_t hint = LZ4F_decompress(d->context, (uint8_t *)out + total, &written, input->ptr, &taken, NULL);
        if (LZ4F_isError(hint)) {
            d->error = LZ4F_getErrorName(hint);
            break;
        }
        input->ptr += taken;
        input->len -= taken;
        total += written;
        if (taken == 0 && written == 0) break;
    }
    return d->error ? -1 : (ptrdiff_t)total;
}

const char *lz4_decoder_error(const struct lz4_decoder *d)
{
    return d->error ? d->error : "";
}
