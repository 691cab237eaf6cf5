/* See dataset_load.h. Server process. */
#include "server/core/run/dataset_load.h"

#include "repl/received_file.h"
#include "repl/replication.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/core/core.h"
#include "server/core/dataset/append_only.h"
#include "server/core/dataset/persistence.h"
#include "server/core/lifecycle.h"
#include "server/core/run/dataset_adopt.h"
#include "server/core/run/loader.h"
#include "server/core/settings.h"
#include "server/net/loop.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOOK_EVERY_MS 10
#define TELL_AFTER_MS 200
#define TELL_EVERY_MS 10000

/* What the loader of the file asks of us (struct aof_load_host). */
struct loading {
    struct core *core;
    struct loader *loader;
    char source[128];
    int db; /* selected behind the last command; -1: not known */
};

static void begin(void *context, uint64_t total_bytes)
{
    struct loading *l = context;
    loading_begin(l->core, total_bytes);
}

static void begin_file(void *context, const char *name)
{
    struct loading *l = context;
    snprintf(l->source, sizeof l->source, "the append only file %s", name);
    loader_select(l->loader, 0); /* each file brings its own SELECT */
}

static int run(void *context, const struct aof_record *records, size_t count)
{
    struct loading *l = context;
    int result = loader_run(l->loader, records, count);
    l->db = loader_db(l->loader);
    return result;
}

static void end_file(void *context)
{
    struct loading *l = context;
    loader_drop_transaction(l->loader);
}

static int turn(void *context, uint64_t loaded_bytes)
{
    struct loading *l = context;
    loading_progress(l->core, loaded_bytes);
    return l->core->lifecycle->stopping;
}

static int turn_within_rdb(void *context, uint64_t loaded, uint64_t total)
{
    (void)total;
    return turn(context, loaded);
}

/* Keys that have expired stay: what comes behind may go by them. */
static int load_rdb(void *context, int fd, const char *name, uint64_t file_bytes, struct aof_rdb *out)
{
    struct loading *l = context;
    struct core *core = l->core;
    const struct rdb_settings *settings = &core->settings->rdb;
    struct rdb_read_options options = {
        .now_ms = clock_wall_ms(),
        .sanitize = settings->sanitize_payload == SANITIZE_YES,
        .ignore_checksum = settings->ignore_checksum,
        .key_load_delay_us = settings->key_load_delay_us,
    };
    struct rdb_read_result result;
    if (rdb_load_fd(core->keyspace, fd, name, file_bytes, &options, turn_within_rdb, l, &result) != 0) return -1;
    struct persistence_state *s = persistence_state(core);
    s->last_load_keys_loaded = result.keys_loaded;
    s->last_load_keys_expired = result.keys_expired;
    *out = (struct aof_rdb){.bytes = result.bytes, .offset = result.aux.repl_offset, .db = result.aux.repl_stream_db};
    snprintf(out->id, sizeof out->id, "%s", result.aux.repl_id);
    l->db = out->db;
    return 0;
}

enum aof_load_outcome dataset_load_append_only(struct core *core, struct aof_loaded *loaded)
{
    struct loading l = {.core = core, .db = -1};
    struct aof_load_host host = {
        .context = &l,
        .begin = begin,
        .begin_file = begin_file,
        .run = run,
        .load_rdb = load_rdb,
        .end_file = end_file,
        .turn = turn,
    };
    keyspace_set_access_clock(core->keyspace, loop_monotonic_ms(core->loop)); /* at start, cron has not done so yet */
    l.loader = loader_new(core, l.source);
    enum aof_load_outcome outcome = aof_load(&core->settings->aof, &host, loaded);
    loader_free(l.loader);
    loaded->db = l.db;
    if (persistence_state(core)->loading) loading_end(core, outcome == AOF_LOAD_GOOD);
    return outcome;
}

/* As Redis has it: who asks for the append-only file, and has none yet, begins with nothing. */
static void warn_of_unread_snapshot(const struct core *core)
{
    const char *snapshot = core->settings->rdb.filename;
    if (access(snapshot, F_OK) != 0) return;
    log_warning("%s is not loaded: appendonly is yes, and there is no append only file yet. To go on with its data, "
                "start with appendonly no and set it to yes at run time (CONFIG SET appendonly yes)",
                snapshot);
}

static struct rdb_aux history_of(const struct aof_loaded *loaded)
{
    struct rdb_aux aux = {.repl_offset = (int64_t)loaded->offset, .repl_stream_db = loaded->db};
    if (loaded->history_known) snprintf(aux.repl_id, sizeof aux.repl_id, "%s", loaded->id);
    return aux;
}

/* Goes on from what was loaded, where a killed server left what comes behind. */
static int go_on(struct core *core, const struct rdb_aux *file, struct aof_loaded *loaded)
{
    if (core->lifecycle->stopping) return 0;
    switch (dataset_adopt(core, file)) {
    case DATASET_ADOPTED: loaded->adopted = true; return 0;
    case DATASET_SPOILED: return core->lifecycle->stopping ? 0 : -1;
    case DATASET_NOT_ADOPTED: break;
    }
    return 0;
}

static int load_snapshot(struct core *core, struct aof_loaded *loaded)
{
    struct rdb_aux aux;
    bool missing, may_go_on = replication_has_predecessor(core->replication);
    if (persistence_load_at_start(core, &aux, &missing) != 0) return -1;
    if (go_on(core, missing ? NULL : &aux, loaded) != 0) return -1;
    if (may_go_on && !loaded->adopted && !missing && aux.repl_id[0])
        replication_restore_history(core->replication, &aux);
    return 0;
}

/* What a journal without a server still writes is part of what is to be loaded. Clients are answered meanwhile. */
static void await_journal(struct core *core)
{
    const struct aof_settings *s = &core->settings->aof;
    int64_t began_ms = clock_monotonic_ms(), told_ms = began_ms + TELL_AFTER_MS - TELL_EVERY_MS;
    bool told = false;
    loading_begin(core, 0);
    while (!core->lifecycle->stopping) {
        int64_t now_ms = clock_monotonic_ms();
        if (append_only_own_files(core) == 0) break;
        if (now_ms - told_ms >= TELL_EVERY_MS) {
            log_notice(
                "Waiting for the journal of the server before us, or another server: %s in %s is still written to",
                s->filename, s->directory);
            told_ms = now_ms;
            told = true;
        }
        loading_breathe(core);
        nanosleep(&(struct timespec){.tv_nsec = LOOK_EVERY_MS * 1000 * 1000}, NULL);
    }
    loading_end(core, true);
    if (told && !core->lifecycle->stopping)
        log_notice("%s in %s is free, after %lld ms", s->filename, s->directory,
                   (long long)(clock_monotonic_ms() - began_ms));
}

int dataset_load_at_start(struct core *core, struct aof_loaded *loaded)
{
    struct rdb_aux aux;
    *loaded = (struct aof_loaded){.second_offset = -1, .db = -1};
    received_file_sweep();
    if (!core->settings->aof.enabled) return load_snapshot(core, loaded);
    await_journal(core);
    if (core->lifecycle->stopping) return 0;
    switch (dataset_load_append_only(core, loaded)) {
    case AOF_LOAD_ABSENT: warn_of_unread_snapshot(core); return go_on(core, NULL, loaded);
    case AOF_LOAD_GOOD: aux = history_of(loaded); return go_on(core, &aux, loaded);
    case AOF_LOAD_STOPPED: return 0;
    case AOF_LOAD_FAILED: break;
    }
    return -1;
}
