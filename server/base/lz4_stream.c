/* LZ4 frames as a stream, on liblz4's frame API. Runs in the link process (packing) and in a replica (unpacking).
 *
 * The encoder packs at most one block at a time through a scratch buffer of the worst case's size: the queue then gets
 * only the bytes that really came out, and keeps its common chunk size. */
#include "server/base/lz4_stream.h"

#include "server/base/alloc.h"
#include "server/base/check.h"

#include <lz4frame.h>

#define BLOCK_BYTES (64 * 1024)

static const LZ4F_preferences_t preferences = {
    .frameInfo = {.blockSizeID = LZ4F_max64KB, .blockMode = LZ4F_blockLinked},
};

struct lz4_encoder {
    LZ4F_cctx *context;
    size_t held_back; /* packed since the last flush: a flush has something to do */
    bool begun;       /* the frame's header has been written */
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

void lz4_encoder_pack(struct lz4_encoder *e, struct bytes input, struct outq *out)
{
    if (!e->begun) {
        put(e, LZ4F_compressBegin(e->context, e->scratch, e->room, &preferences), out);
        e->begun = true;
    }
    e->held_back += input.len;
    while (input.len > 0) {
        size_t n = input.len < BLOCK_BYTES ? input.len : BLOCK_BYTES;
        put(e, LZ4F_compressUpdate(e->context, e->scratch, e->room, input.ptr, n, NULL), out);
        input.ptr += n;
        input.len -= n;
    }
}

void lz4_encoder_flush(struct lz4_encoder *e, struct outq *out)
{
    if (e->held_back == 0) return;
    put(e, LZ4F_flush(e->context, e->scratch, e->room, NULL), out);
    e->held_back = 0;
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
