/* LZ4 frames as a stream: what leaves between two of our own servers once both said so.
 *
 * One frame lasts as long as the connection. An encoder's own blocks are linked: each finds its repetitions in the
 * 64 KiB before it. It holds bytes back until a block is full; lz4_encoder_flush() lets the follower see every byte
 * packed so far. What goes to several followers alike is packed once instead, into blocks that stand alone, and those
 * every frame may adopt. The decoder takes input in pieces of any size. */
#ifndef SLIPSTREAM_BASE_LZ4_STREAM_H
#define SLIPSTREAM_BASE_LZ4_STREAM_H

#include "server/base/bytes.h"
#include "server/base/outq.h"

struct lz4_encoder;

struct lz4_encoder *lz4_encoder_new(void);
void lz4_encoder_free(struct lz4_encoder *e); /* NULL is fine */
void lz4_encoder_pack(struct lz4_encoder *e, struct bytes input, struct outq *out);
void lz4_encoder_flush(struct lz4_encoder *e, struct outq *out); /* writes nothing when nothing is held back */
/* Puts blocks of lz4_pack_blocks() into this frame, behind everything packed before. They may be linked to nothing that
 * follows, so the encoder's later blocks stand alone as well. */
void lz4_encoder_adopt(struct lz4_encoder *e, struct bytes blocks, struct outq *out);

size_t lz4_blocks_bound(size_t input_bytes);
size_t lz4_pack_blocks(struct bytes input, uint8_t *out); /* out has room for the bound; returns the bytes written */

struct lz4_decoder;

struct lz4_decoder *lz4_decoder_new(void);
void lz4_decoder_free(struct lz4_decoder *d); /* NULL is fine */
/* Unpacks the front of *input into out[0..room) and moves *input on by what it took. Returns the bytes written, or -1
 * when the input is no LZ4 frame (then lz4_decoder_error). Fewer bytes than room with *input empty: all that can be had
 * so far; a full `room`: call again, also with an empty input, for bytes still inside. */
ptrdiff_t lz4_decoder_unpack(struct lz4_decoder *d, struct bytes *input, void *out, size_t room);
const char *lz4_decoder_error(const struct lz4_decoder *d);

#endif
