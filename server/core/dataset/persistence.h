/* Saving and loading as seen from the server: save points, SAVE, BGSAVE, start-up load, the loading state. */
#ifndef SLIPSTREAM_CORE_DATASET_PERSISTENCE_H
#define SLIPSTREAM_CORE_DATASET_PERSISTENCE_H

#include "rdb/snapshot.h"

struct core;
struct received_file;
struct persistence;

struct persistence *persistence_new(struct core *core);
/* 0: loaded, or no file (*missing), or asked to stop meanwhile; -1: logged, refuse to start. *aux: what the file says
 * of itself. Where a dead predecessor left its stream, expired keys stay, for it may have been told to keep them, and
 * the caller restores the file's history. */
int persistence_load_at_start(struct core *core, struct rdb_aux *aux, bool *missing);
/* Loads path into the keyspace as it is (the caller flushes first), answering clients in between. -1: logged; *missing
 * when there is no such file. */
int persistence_load_file(struct core *core, const char *path, bool *missing);
/* Whether what is in memory may become the file: not while it is being loaded, nor while it has been given up for a
 * master's that is not here yet. Every writer of the file asks. */
bool persistence_may_save(const struct core *core);
int persistence_save_now(struct core *core);           /* SAVE: 0 or -1 */
int persistence_save_in_background(struct core *core); /* 0, or -1 with errno */
/* Saved as soon as all that runs now has run and is in the stream, before anyone is answered: a command's own effect
 * has no offset yet. Best effort. */
void persistence_save_behind_command(struct core *core);
/* A child that saves the dataset of before does not get to replace the file any more. */
void persistence_withdraw_child(struct core *core);
/* Whether a snapshot from our master is to become the file, and one that is to. It does so aside, and not where a file
 * of our own is begun meanwhile. */
bool persistence_keeps_received(const struct core *core);
void persistence_keep_received(struct core *core, struct received_file *file);
void persistence_await_received(struct core *core); /* at the end, where no file of our own is written */
void persistence_before_send(struct core *core);
void persistence_cron(struct core *core, int64_t now_ms);
void persistence_changed(struct core *core, uint64_t changes);
/* The dataset came from elsewhere (a full sync): every key of it is a change that our file does not have. */
void persistence_dataset_received(struct core *core);
bool persistence_write_refused(const struct core *core); /* stop-writes-on-bgsave-error applies */
struct rdb_aux persistence_aux(const struct core *core);
struct rdb_write_options persistence_write_options(const struct core *core); /* as the settings say */

/* read by INFO and commands */
struct persistence_state {
    bool loading, async_loading; /* async: too, beside the data that clients see */
    int64_t loading_start_s;     /* wall clock: INFO shows it */
    int64_t loading_since_ms;    /* monotonic, like every other time here that is not shown */
    uint64_t loading_total_bytes, loading_loaded_bytes, loading_rdb_used_mem;
    uint64_t changes_since_save;
    int64_t last_save_s;      /* wall clock: LASTSAVE */
    int64_t in_step_since_ms; /* monotonic: the file, or a full sync, was last as new as the dataset */
    bool last_bgsave_ok;
    bool bgsave_scheduled;
    uint64_t rdb_saves, last_load_keys_expired, last_load_keys_loaded;
};
struct persistence_state *persistence_state(const struct core *core);

/* For anyone who loads (start-up, full sync, DEBUG RELOAD): sets the state that makes commands answer -LOADING. */
void loading_begin(struct core *core, uint64_t total_bytes);
void loading_progress(struct core *core, uint64_t loaded_bytes); /* runs a loop turn when it is due */
void loading_breathe(struct core *core);                         /* so does this, with no news */
void loading_end(struct core *core, bool good);

#endif
