/* From the stream to a batch: commands as they lie in the rings, without what is no data, and annotations between them.
 * Journal process. */
#ifndef SLIPSTREAM_AOF_JOURNAL_GATHER_H
#define SLIPSTREAM_AOF_JOURNAL_GATHER_H

#include "server/aof/journal/batch.h"
#include "server/aof/journal/frames.h"
#include "shm/reader.h"

/* Behind a whole command. */
struct position {
    uint64_t offset; /* the next one of the stream */
    uint64_t bytes;  /* of the file */
    bool in_multi;
};

struct gatherer {
    const struct reader *reader;
    int slot;
    bool timestamps;    /* are wanted */
    int64_t now_s;      /* wall clock */
    uint64_t at;        /* offset of what comes next */
    struct frame frame; /* of the command there */
    bool dropping;      /* it is no data */
    bool in_multi;      /* at `at` */
    bool broken;        /* the stream is not understood there */

    /* what has to stand before the next data */
    struct bytes head; /* the owner's */
    bool history_due, offset_due;
    uint64_t history_turn; /* of the history that was noted last */
    int64_t last_timestamp_s;

    uint64_t file_bytes; /* before the batch */
    struct batch batch;
    struct position goal; /* where the file stands once the batch is written whole */
};

/* Goes on behind a place of the stream and the file. head: not written yet, NULL bytes: it is, or there is none. */
void gatherer_stand_at(struct gatherer *g, const struct position *place, struct bytes head);
/* A new batch, of what there is below the offset `until`, or as much as a batch takes. goal: as it stands so far. */
void gatherer_gather(struct gatherer *g, uint64_t until, uint64_t file_bytes);
/* A new batch of a last line that tells the position. False: there is none, or it cannot stand here. */
bool gatherer_end(struct gatherer *g, uint64_t file_bytes);

#endif
