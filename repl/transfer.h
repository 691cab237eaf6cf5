/* One snapshot on its way in: its framing, its parsing, and the file it waits in.
 *
 * Direct: keys go into the keyspace as they arrive; for one that has nothing to lose. Otherwise the bytes go to
 * a nameless file and are checked (structure, checksum) on the way, so that the old data is given up only for a
 * snapshot that is known to be good; then the file is loaded slice by slice. */
#ifndef SLIPSTREAM_REPL_TRANSFER_H
#define SLIPSTREAM_REPL_TRANSFER_H

#include "rdb/reader.h"

struct transfer;

enum transfer_status {
    TRANSFER_MORE,
    TRANSFER_BEGINS, /* the header is known, no byte of the snapshot has been looked at yet */
    TRANSFER_COMPLETE,
    TRANSFER_BAD /* transfer_error() says why */
};

struct transfer *transfer_new(struct keyspace *ks, const struct rdb_settings *settings, int64_t now_ms, bool direct);
void transfer_free(struct transfer *t);

void transfer_use_file(struct transfer *t); /* not direct after all; before the header is known */

/* Takes what arrived; *consumed bytes of it, all of them unless the status says that something has ended, or the
 * transfer is slowed: then the rest has to come again, in a later turn. */
enum transfer_status transfer_feed(struct transfer *t, const uint8_t *data, size_t len, size_t *consumed);
/* After COMPLETE, not direct: loads the next part of the file. MORE, COMPLETE or BAD. */
enum transfer_status transfer_load(struct transfer *t);

bool transfer_refused(const struct transfer *t); /* BAD since the snapshot itself is no good to us */
bool transfer_slowed(const struct transfer *t);  /* by key-load-delay, in the last call */

const char *transfer_error(const struct transfer *t);
const struct rdb_read_result *transfer_result(const struct transfer *t);

struct transfer_progress {
    bool direct, begun, total_known; /* begun: the header is known */
    uint64_t total_bytes;            /* of the snapshot; 0 while not known */
    uint64_t received_bytes, loaded_bytes;
};
struct transfer_progress transfer_progress(const struct transfer *t);

#endif
