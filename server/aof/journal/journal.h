/* The journal itself: the stream's commands into files, in order, whole, and made durable by policy. Journal process.
 *
 * It stands at a position: an offset of the stream and the bytes of the file, both behind a whole command. What goes to
 * the file is gathered as runs of the ring, from there to the end of what is published, without what is no data and
 * with annotations in between, and written in one piece. When a write falls short the file is cut back to the position,
 * and the same is tried again after a pause: no command is torn, and none is left out. What an fsync may have lost is
 * written once more: from the ring where its bytes are kept (appendfsync always), else from the file's own pages. */
#ifndef SLIPSTREAM_AOF_JOURNAL_JOURNAL_H
#define SLIPSTREAM_AOF_JOURNAL_JOURNAL_H

#include "server/base/bytes.h"
#include "server/net/loop.h"
#include "shm/reader.h"

struct journal;

struct journal_policy {
    int fsync;          /* enum aof_fsync */
    bool timestamps;    /* aof-timestamp-enabled */
    bool fsync_is_held; /* no fsync but where a file ends */
};

/* The reader stays the caller's. was_failing: the journal before had met an error. NULL with errno. */
struct journal *journal_new(struct loop *loop, struct reader *reader, int slot);

void journal_set_policy(struct journal *j, const struct journal_policy *policy, bool was_failing);
/* Owns fd. The first one, or the next, from its offset on. */
void journal_add_file(struct journal *j, int fd, uint64_t number, uint64_t from, uint64_t bytes, struct bytes head);
void journal_asked_to_finish(struct journal *j, uint64_t number); /* all that is published now; then says so */
void journal_asked_to_settle(struct journal *j, uint64_t offset); /* so much is made durable, once */
/* There may be something to do: the bell rang, a ring came, some time has passed. */
void journal_look(struct journal *j);
/* The server is gone. All that was published is written and made durable; then, or when that has been impossible for
 * long, the loop is stopped. */
void journal_end(struct journal *j);
bool journal_lost_nothing(const struct journal *j); /* after the end */
void journal_report(void *journal);                 /* for a crash report */

#endif
