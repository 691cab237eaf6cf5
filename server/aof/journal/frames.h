/* Where the commands of the stream begin and end, and which of them are data. Journal process; pure.
 *
 * The stream is ours: the server wrote it, or applied it, request by request. So it is walked over, not judged: what it
 * holds beside requests as arrays of bulk strings is told and not understood. A command may lie in several pieces. */
#ifndef SLIPSTREAM_AOF_JOURNAL_FRAMES_H
#define SLIPSTREAM_AOF_JOURNAL_FRAMES_H

#include "server/base/bytes.h"

#define FRAME_HEAD_BYTES 48 /* of a command, that frame_kind() may need */

enum frame_kind {
    FRAME_DATA,
    FRAME_MULTI, /* and EXEC: data, too */
    FRAME_EXEC,
    FRAME_NO_DATA, /* between servers alone (PING, REPLCONF), or gone once it is heard (PUBLISH) */
    FRAME_BAD,
};

/* head: the command's first FRAME_HEAD_BYTES, or all of a shorter rest of the stream, which ends with a command. */
enum frame_kind frame_kind(struct bytes head);

/* The end of a command that lies in one piece, as nearly all do, and its kind. NULL: it does not, or has to be looked
 * at more closely, by what follows. */
const uint8_t *frame_whole(const uint8_t *p, const uint8_t *end, enum frame_kind *kind);

struct frame {
    enum { FRAME_OUTSIDE, FRAME_COUNT, FRAME_LENGTH, FRAME_BYTES, FRAME_BROKEN } state;
    uint64_t number; /* of the count or length that is being read */
    uint64_t arguments_left, bytes_left;
};

void frame_begin(struct frame *f); /* a command begins with the next byte */
/* Passes over what there is of the command: the bytes up to its end, or all. Then state says where it stands: OUTSIDE
 * behind the command, BROKEN where none goes on like this. */
size_t frame_pass(struct frame *f, const uint8_t *data, size_t len);

#endif
