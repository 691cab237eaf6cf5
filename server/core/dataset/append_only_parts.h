/* The append-only file's part of the server from within. For append_only*.c alone.
 *
 *   append_only.c          on and off, start, flush, what others ask of it
 *   append_only_rewrite.c  a rewrite's steps, carried out
 *   append_only_stream.c   the state, and which file the stream goes to
 *   append_only_answer.c   who has asked for a rewrite, and waits for its beginning
 *   append_only_watch.c    who waits for the disk: held answers, WAITAOF, our master; writes that have to wait
 *   append_only_files.c    what stands on the disk: names, descriptors, the manifest; the jobs of the worker
 *
 * Who stands above may call who stands below. */
#ifndef SLIPSTREAM_CORE_DATASET_APPEND_ONLY_PARTS_H
#define SLIPSTREAM_CORE_DATASET_APPEND_ONLY_PARTS_H

#include "repl/stream.h"
#include "server/aof/journal_handle.h"
#include "server/aof/manifest.h"
#include "server/aof/rewrite.h"
#include "server/base/check.h"
#include "server/core/core.h"
#include "server/core/dataset/append_only.h"
#include "server/core/dataset/group_commit.h"
#include "server/core/settings.h"

#include <limits.h>

#define APPEND_ONLY_HEAD_BYTES 512

enum append_only_state { APPEND_ONLY_OFF, APPEND_ONLY_SUSPENDED, APPEND_ONLY_WAITING, APPEND_ONLY_ON };

struct append_only {
    struct core *core;
    struct repl_stream_listener listener;
    enum append_only_state state; /* set by append_only_enter() alone */
    struct journal_handle *journal;
    struct aof_manifest *manifest; /* as it is on the disk; NULL: not looked at */
    uint64_t settled_bytes;        /* of its files but the one that is being written */
    uint64_t base_bytes;           /* of all of them, behind the last rewrite or at the start */

    struct rewrite rewrite;
    /* Of the one under way: it brings us from waiting to on; the stream gets a file of its own;
     * the base is commands. */
    bool rewrite_is_first, rewrite_has_incremental, rewrite_is_commands;
    int next_fd;           /* the incremental that it opened, -1: none, or it is the journal's */
    pid_t child;           /* of the rewrite under way, or the last one */
    struct snapshot *lent; /* of its child: replicas may be sent the base */

    void (*tell_durable)(struct core *core); /* NULL: nobody */
    uint64_t watched;                        /* lowest offset that WAITAOF or our master waits for; 0: nobody */
    uint64_t settle;                         /* to be made durable, see append_only_settle(); 0: nothing */
    uint64_t asked;                          /* what the journal was last told to watch */
    bool fsync_is_held;                      /* no-appendfsync-on-rewrite, and a child writes */
    bool behind;                             /* writes wait for the journal */
    uint64_t durable_seen;                   /* to count fsyncs that are late */
    int64_t durable_seen_ms;
    uint64_t delayed_fsyncs;
    struct group_commit group; /* appendfsync always */
    uint32_t answers;          /* of its groups, as the loop counts them */
    uint64_t called_offset;    /* the journal was called last for what comes up to here */
    struct loop_timer *gather_timer;
    bool told_own_writes; /* the log has it that what clients write here is in no file */
};

static inline const struct aof_settings *append_only_settings(const struct append_only *a)
{
    return &a->core->settings->aof;
}

/* --- append_only_stream.c --- */
void append_only_enter(struct append_only *a, enum append_only_state state);
/* The stream goes to fd from the next byte on: the journal starts there, or switches to it. 0, or -1: logged. */
int append_only_write_to(struct append_only *a, int fd, uint64_t file_bytes);
/* At the start, where the stream has been adopted: the journal begins behind what was loaded. 0, or -1: logged. */
int append_only_write_adopted(struct append_only *a, int fd, const struct aof_loaded *loaded);

/* --- append_only_watch.c --- */
void append_only_durable_moved(struct append_only *a); /* marks have passed, or nothing is held any more */
void append_only_follow_fsync(struct append_only *a);  /* appendfsync or the state is another one */
void append_only_watch_turn(struct append_only *a);    /* once a turn, behind the stream's publication */
void append_only_watch_cron(struct append_only *a, int64_t now_ms);

/* --- append_only_answer.c --- */
void append_only_answer_who_waits(struct append_only *a, enum append_only_answer outcome);

/* --- append_only_rewrite.c --- */
void append_only_rewrite_event(struct append_only *a, enum rewrite_event event);
void append_only_rewrite_go_on(struct append_only *a); /* what was in the way may be gone */
void append_only_rewrite_cron(struct append_only *a, int64_t now_ms);

/* --- append_only_files.c: blocking, on the loop at the start and on a worker later --- */
/* 0, or -1 with errno: made, or there. */
int append_only_make_directory(const struct aof_settings *s);
int append_only_create(const struct aof_settings *s, const char *name); /* a file of the directory, empty; -1: errno */
int append_only_temporary_incremental(const struct aof_settings *s, char out[PATH_MAX]);
void append_only_temporary_base(pid_t pid, bool complete, char out[64]); /* in the working directory */
void append_only_sweep(const struct aof_settings *s); /* temporary files that a dead server has left */
/* Deletes what is history, and says so in the manifest on the disk. */
void append_only_delete_history(const struct aof_settings *s, struct aof_manifest *m);
struct bytes append_only_format_select(int db_index, uint8_t room[APPEND_ONLY_HEAD_BYTES]);
struct bytes append_only_format_head(const struct core *core, uint8_t room[APPEND_ONLY_HEAD_BYTES]);

/* One step of a rewrite that waits for the disk. */
struct append_only_job {
    struct append_only *a;
    const struct aof_settings *settings; /* names do not change at run time */
    struct aof_manifest *manifest;       /* a copy: what is to stand on the disk; the job's */
    bool first, with_incremental, commands, keep_history;
    pid_t child;
    int fd;              /* opened; -1: none */
    uint64_t base_bytes; /* of the new base */
    int64_t rename_us;   /* how long its renaming took */
    int error;           /* errno; 0: good */
};

void append_only_open_incremental(struct append_only_job *job); /* before the fork */
void append_only_take_base(struct append_only_job *job);        /* behind the child */

#endif
