/* The server's end of the journal: the process that reads the backlog in place and writes the append-only file. Starts
 * it, tells it which file the stream goes to from which offset on, and hears how far it has come.
 *
 * The journal is `exec`ed from our own running image, as the link is, so it shares no page with the dataset. Unlike the
 * link it outlives its server: when the server is gone, however it ended, the journal writes what had been published,
 * makes it durable, and only then ends and lets go of its lock on the files (journal_lock.h). What is fast goes
 * through shared memory: its slot in shm/layout.h says how far the stream is written and durable.
 *
 * Offsets are counted as PSYNC counts them; "up to o" includes the byte number o. */
#ifndef SLIPSTREAM_AOF_JOURNAL_HANDLE_H
#define SLIPSTREAM_AOF_JOURNAL_HANDLE_H

#include "server/aof/journal/main.h" /* journal_main(), reached from main.c by argv[1] */
#include "server/aof/settings.h"
#include "server/base/bytes.h"
#include "server/net/loop.h"
#include "shm/backlog.h"

#include <sys/types.h>

struct journal_handle;

struct journal_events {
    void *context;
    void (*moved)(void *context);             /* an offset that was asked for by journal_watch() is durable */
    void (*failed)(void *context, int error); /* it could not write or fsync; it tries on by itself */
    void (*recovered)(void *context);         /* ... and now it could */
    void (*died)(void *context);              /* journal_cron() starts another, which goes on where it stood */
};

/* Where the stream goes from an offset on. The descriptor stays the caller's. */
struct journal_file {
    int fd;        /* opened for writing; the journal appends at file_bytes, and cuts off what is behind */
    uint64_t from; /* first offset that belongs here */
    uint64_t file_bytes;
    struct bytes head; /* written first, not part of the stream: SELECT, annotations; at most 4 KiB */
};

struct journal_handle *journal_handle_new(struct loop *loop, const char *executable,
                                          const struct aof_settings *settings, const struct journal_events *events);
void journal_handle_free(struct journal_handle *j);       /* as journal_stop() */
pid_t journal_handle_pid(const struct journal_handle *j); /* 0: not running */

/* Locks the files of settings->filename in settings->directory (which is there): from the first time on they are ours,
 * as long as the directory is the same. 0, also where there are no such locks, which is logged; -1 with errno
 * EWOULDBLOCK: another process has them, or asks at this moment. */
int journal_own_files(struct journal_handle *j);

/* Begins: owns the files, and claims a slot that pins the stream from file->from on, which is no earlier than
 * backlog_first() and no later than backlog_end(). 0, or -1 with errno; EBUSY: another process has the files. */
int journal_start(struct journal_handle *j, struct backlog *b, const struct journal_file *file);
/* The bytes below file->from go to the file before, which is made durable and closed; then this one is written. `from`
 * is where nothing has been published yet: backlog_end(), in the turn in which it is asked. */
int journal_switch(struct journal_handle *j, const struct journal_file *file);
/* Waits, at most timeout_ms, until everything published is written and durable. 0; -1: it is not (ETIMEDOUT, or the
 * error that the journal met). For SHUTDOWN and for the end of appendonly. */
int journal_finish(struct journal_handle *j, int timeout_ms);
/* What comes up to this offset is made durable once, whatever the policy, while the stream goes on. Nobody waits:
 * journal_watch() tells when it is. Published by now, or soon. */
void journal_settle(struct journal_handle *j, uint64_t offset);
/* Ends the process as it is, and lets go of the slot; before backlog_close() and before another history begins. What is
 * still to be written is to be finished before. The file ends with a whole command. */
void journal_stop(struct journal_handle *j);
bool journal_is_running(const struct journal_handle *j); /* started and not stopped, also between two processes */

void journal_cron(struct journal_handle *j, int64_t now_ms); /* some times a second: settings, death, hanging */
/* no-appendfsync-on-rewrite, while a child writes. Settings that have changed are told at once. */
void journal_hold_fsync(struct journal_handle *j, bool held);

uint64_t journal_written_offset(const struct journal_handle *j); /* in the file, as a crash of the machine may lose */
uint64_t journal_durable_offset(const struct journal_handle *j); /* fsynced */
uint64_t journal_file_bytes(const struct journal_handle *j);     /* of the newest file, as written */
int journal_error(const struct journal_handle *j);               /* errno that it met last and not got over; 0: none */
/* What has taken the journal long since this was asked last, at least a millisecond each: the worst of each kind and
 * second. at_s: since the epoch. */
void journal_tell_delays(struct journal_handle *j,
                         void (*note)(void *context, enum shm_delay kind, int64_t took_us, int64_t at_s),
                         void *context);
/* `moved` is called once the offset is durable (policy always: it fsyncs at once); 0: nobody waits.
 * The lowest counts. */
void journal_watch(struct journal_handle *j, uint64_t offset);
/* It is to work on what is published by now; what is published from then on waits for another call, until it is freed
 * to go by that alone. Who calls it frees it. */
void journal_call(struct journal_handle *j);
void journal_free_to_go(struct journal_handle *j);

#endif
