/* The append-only file as the server sees it: on or off, its manifest, its journal and its rewrites. Server process.
 *
 * The journal (aof/journal_handle.h) writes the stream that the backlog has; this part says which file it goes to.
 *
 *   off         nothing is written
 *   suspended   it is wanted, and what is in memory is not: a dataset from elsewhere is on its way. The files on the
 *               disk stay what they were
 *   waiting     it was turned on, or such a dataset has come: the first rewrite is under way, and the stream from its
 *               offset on is written beside it, into temp-FILENAME.incr
 *   on          the manifest's newest incremental is being written
 *
 * A rewrite is a full sync whose receiver is a file: the child writes the dataset as of offset H, and the stream from
 * H + 1 on goes to another incremental. Its steps are those of aof/rewrite.h. */
#ifndef SLIPSTREAM_CORE_DATASET_APPEND_ONLY_H
#define SLIPSTREAM_CORE_DATASET_APPEND_ONLY_H

#include "server/aof/load.h"

struct append_only;
struct core;
struct reply;
struct session;

/* Off; nothing on the disk is looked at. Behind replication_new(). */
struct append_only *append_only_new(struct core *core);

/* At the start, before the files are read: from now on they are ours, so that who loads them is who goes on with them.
 * Makes their directory. 0; -1: another process has them. */
int append_only_own_files(struct core *core);

/* At the start, once the dataset is what `loaded` says, or another one where loaded->manifest is NULL: goes on where
 * the files end, and makes those that are missing (Redis's "on server start"). Called whatever `appendonly` says; with
 * "no" nothing happens. 0, or -1: logged, the server must not start.
 *
 * Where loaded->history_known, the stream goes on as that history behind loaded->offset, and nobody else restores one;
 * else it goes on as it stands. Before replication_start(). `loaded` and its manifest stay the caller's. */
int append_only_open(struct core *core, const struct aof_loaded *loaded);

/* Everything that has been published is written and fsynced when it returns. DEBUG LOADAOF, SHUTDOWN. Waits, at most
 * timeout_ms. 0, or -1: logged. 0 as well when it is off. */
int append_only_flush(struct core *core, int timeout_ms);

/* `appendonly` has changed. 0, or -1: logged, it stays as it was. Turning it off waits for the disk. */
int append_only_turn_on(struct core *core);
void append_only_turn_off(struct core *core);
/* appendfsync, or what holds it back, is another one: from the next command on. */
void append_only_fsync_changed(struct core *core);

void append_only_cron(struct core *core, int64_t now_ms); /* every 100 ms; monotonic */
void append_only_before_send(struct core *core);          /* once a turn, behind the stream's publication */

/* --- rewrites --- */
enum append_only_answer {
    APPEND_ONLY_OPENING, /* it is known a little later whether it begins: append_only_answer_later() */
    APPEND_ONLY_STARTED,
    APPEND_ONLY_SCHEDULED,
    APPEND_ONLY_UNDER_WAY,
    APPEND_ONLY_FAILED
};
enum append_only_answer append_only_rewrite(struct core *core, bool in_exec); /* BGREWRITEAOF */
void append_only_answer_to(struct reply *reply, enum append_only_answer answer);
/* The session waits for its answer. False: it cannot wait (EXEC, no client), and is to be answered now. */
bool append_only_answer_later(struct core *core, struct session *session);

/* --- what others ask --- */
/* Why a command that writes is refused: the journal cannot write. 0: it is not; else errno. */
int append_only_write_error(const struct core *core);
bool append_only_is_on(const struct core *core);      /* wanted, also while it is waiting or suspended */
bool append_only_has_files(const struct core *core);  /* a manifest is there, on or off */
bool append_only_is_waiting(const struct core *core); /* the first rewrite is not through */
/* Of the stream, so much is on the disk, in files that would be loaded; UINT64_MAX: it is off. */
uint64_t append_only_durable_offset(const struct core *core);
/* Told when this offset is durable, or the append-only file is turned off: our master, and who has registered. Whoever
 * waits on then watches anew. */
void append_only_watch(struct core *core, uint64_t offset);
/* What comes up to here is made durable once, whatever appendfsync says, as soon as the files are those of the dataset
 * that it belongs to. Another dataset's beginning forgets it. */
void append_only_settle(struct core *core, uint64_t offset);
void append_only_on_durable(struct core *core, void (*tell)(struct core *core)); /* WAITAOF's */

struct append_only_view {
    bool enabled; /* aof_enabled: waiting or on */
    bool rewriting, scheduled, last_rewrite_ok, last_write_ok;
    int64_t last_rewrite_s, current_rewrite_s; /* -1: none */
    uint64_t rewrites, cow_bytes;
    unsigned failures; /* in a row */
    /* of the files; when enabled */
    uint64_t current_bytes, base_bytes;
    uint64_t unwritten_bytes, pending_fsyncs, delayed_fsyncs;
};
struct append_only_view append_only_view(const struct core *core);

#endif
