/* See append_only.h. Server process. */
#include "server/core/dataset/append_only_parts.h"

#include "rdb/snapshot.h"
#include "repl/replication.h"
#include "server/aof/base_commands.h"
#include "server/aof/manifest_file.h"
#include "server/base/alloc.h"
#include "server/base/log.h"
#include "server/core/dataset/children.h"
#include "server/core/dataset/persistence.h"
#include "server/core/lifecycle.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TURN_OFF_WAITS_MS 10000 /* for the disk, when appendonly is turned off */
#define LAST_WAIT_MS      200   /* ... and when we end, which a shutdown has waited for already */

/* --- the journal --- */

static void journal_moved(void *context)
{
    append_only_durable_moved(context);
}

static void journal_failed(void *context, int error)
{
    log_warning("Error writing to the AOF file: %s", strerror(error));
    append_only_durable_moved(context);
}

static void journal_recovered(void *context)
{
    log_warning("AOF write error looks solved. The server can write again.");
    append_only_durable_moved(context);
}

static void journal_died(void *context)
{
    (void)context; /* journal_cron() starts another; what is held waits for it */
}

/* --- the stream's news --- */

/* Other bytes come: the journal's file ends here, and no rewrite of the old data is of use. */
static void suspend(struct append_only *a)
{
    if (a->state == APPEND_ONLY_OFF) return;
    append_only_enter(a, APPEND_ONLY_SUSPENDED);
    a->settle = 0;
    journal_stop(a->journal);
    append_only_rewrite_event(a, REWRITE_WITHDRAW);
}

static void stream_replaced(void *context)
{
    suspend(context);
}

/* Only at the very end: a stream that is kept does not expire. A journal that is not through is left alone: it writes
 * on when we are gone. */
static void stream_closing(void *context)
{
    struct append_only *a = context;
    if (journal_finish(a->journal, LAST_WAIT_MS) == 0) journal_stop(a->journal);
}

struct append_only *append_only_new(struct core *core)
{
    struct append_only *a = mem_calloc(1, sizeof *a);
    struct journal_events events = {.context = a,
                                    .moved = journal_moved,
                                    .failed = journal_failed,
                                    .recovered = journal_recovered,
                                    .died = journal_died};
    a->core = core;
    a->next_fd = -1;
    a->child = -1;
    rewrite_init(&a->rewrite);
    a->journal = journal_handle_new(core->loop, core->lifecycle->executable, &core->settings->aof, &events);
    a->listener = (struct repl_stream_listener){.context = a, .replaced = stream_replaced, .closing = stream_closing};
    repl_stream_listen(replication_stream(core->replication), &a->listener);
    return a;
}

/* --- at the start --- */

/* Where there is no directory, and none can be made, append_only_open() says so. */
int append_only_own_files(struct core *core)
{
    struct append_only *a = core->append_only;
    return append_only_make_directory(append_only_settings(a)) == 0 ? journal_own_files(a->journal) : 0;
}

static int save_commands(struct core *core, const char *path, const struct rdb_write_options *options)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) return -1;
    int status = aof_base_write_commands(core->keyspace, fd, options) == 0 ? fsync(fd) : -1;
    int error = errno;
    close(fd);
    errno = error;
    return status;
}

/* The dataset as it is becomes the base: nobody is served yet, so this may take its time. */
static int write_first_base(struct append_only *a)
{
    const struct aof_settings *s = append_only_settings(a);
    struct core *core = a->core;
    struct rdb_write_options options = persistence_write_options(core);
    struct rdb_aux aux = persistence_aux(core);
    char path[PATH_MAX];
    struct stat found;
    enum aof_base_format format = s->use_rdb_preamble ? AOF_BASE_RDB : AOF_BASE_COMMANDS;
    const struct aof_file *file = aof_manifest_replace_base(a->manifest, s->filename, format, 0);
    log_notice("Creating AOF base file %s on server start", file->name);
    options.incremental_fsync = s->rewrite_incremental_fsync;
    aux.aof_base = true;
    if (aof_file_path(s->directory, file->name, path) != 0) return -1;
    int status = format == AOF_BASE_RDB ? rdb_save_file(core->keyspace, path, &aux, &options)
                                        : save_commands(core, path, &options);
    if (status != 0) return -1;
    a->settled_bytes = stat(path, &found) == 0 ? (uint64_t)found.st_size : 0;
    return 0;
}

/* The file that the stream goes to; -1: errno. */
static int open_last_incremental(struct append_only *a, uint64_t *file_bytes, bool *added)
{
    const struct aof_settings *s = append_only_settings(a);
    struct aof_files files = aof_manifest_incrementals(a->manifest);
    char path[PATH_MAX];
    if (!files.count) {
        const struct aof_file *file = aof_manifest_add_incremental(a->manifest, s->filename);
        log_notice("Creating AOF incr file %s on server start", file->name);
        *added = true;
        *file_bytes = 0;
        return append_only_create(s, file->name);
    }
    const char *name = files.file[files.count - 1].name;
    log_notice("Opening AOF incr file %s on server start", name);
    return aof_file_path(s->directory, name, path) == 0 ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644) : -1;
}

static void restore_history(struct append_only *a, const struct aof_loaded *loaded)
{
    struct rdb_aux aux = {.repl_offset = (int64_t)loaded->offset, .repl_stream_db = loaded->db};
    if (!loaded->history_known || loaded->adopted) return;
    memcpy(aux.repl_id, loaded->id, sizeof aux.repl_id);
    replication_restore_history(a->core->replication, &aux);
}

static int begin_writing(struct append_only *a, const struct aof_loaded *loaded)
{
    const struct aof_settings *s = append_only_settings(a);
    bool changed = false;
    uint64_t file_bytes = loaded->last_file_bytes;
    if (append_only_make_directory(s) != 0) return -1;
    a->settled_bytes = loaded->total_bytes > file_bytes ? loaded->total_bytes - file_bytes : 0;
    bool empty = !aof_manifest_base(a->manifest) && !aof_manifest_incrementals(a->manifest).count;
    if (empty && write_first_base(a) != 0) return -1;
    int fd = open_last_incremental(a, &file_bytes, &changed);
    if (fd < 0) return -1;
    int status = changed || empty ? aof_manifest_store(a->manifest, s->directory, s->filename) : 0;
    if (status == 0)
        status = loaded->adopted && !empty ? append_only_write_adopted(a, fd, loaded)
                                           : append_only_write_to(a, fd, file_bytes);
    close(fd);
    return status;
}

/* Files that nobody has loaded would be overwritten by what is in memory. */
static bool is_there_and_not_loaded(const struct aof_settings *s, const struct aof_loaded *loaded)
{
    char path[PATH_MAX];
    if (loaded->manifest || aof_manifest_path(s->directory, s->filename, path) != 0) return false;
    if (access(path, F_OK) != 0 && errno == ENOENT) return false;
    errno = EEXIST;
    return true;
}

int append_only_open(struct core *core, const struct aof_loaded *loaded)
{
    struct append_only *a = core->append_only;
    const struct aof_settings *s = append_only_settings(a);
    if (!s->enabled) return 0;
    if (is_there_and_not_loaded(s, loaded)) {
        log_warning("%s/%s.manifest is there and was not loaded: %s", s->directory, s->filename, strerror(errno));
        return -1;
    }
    append_only_sweep(s);
    restore_history(a, loaded);
    a->manifest = loaded->manifest ? aof_manifest_copy(loaded->manifest) : aof_manifest_new();
    if (replication_keep_stream(core->replication, true) != 0 || begin_writing(a, loaded) != 0) {
        log_warning("Can't open the append-only file: %s", strerror(errno));
        return -1;
    }
    a->base_bytes = a->settled_bytes + loaded->last_file_bytes;
    append_only_enter(a, APPEND_ONLY_ON);
    if (!s->disable_auto_gc) append_only_delete_history(s, a->manifest);
    return 0;
}

/* --- at run time --- */

/* What would fail at once is told at once. */
static int check_directory(const struct aof_settings *s)
{
    if (append_only_make_directory(s) != 0) return -1;
    if (access(s->directory, W_OK | X_OK) == 0) return 0;
    log_warning("Files can't be made in the append-only dir %s: %s", s->directory, strerror(errno));
    return -1;
}

int append_only_turn_on(struct core *core)
{
    struct append_only *a = core->append_only;
    if (a->state != APPEND_ONLY_OFF) return 0;
    if (check_directory(append_only_settings(a)) != 0) return -1;
    if (replication_keep_stream(core->replication, true) != 0) {
        log_warning("The append only file can't be turned on: there is no backlog: %s", strerror(errno));
        replication_keep_stream(core->replication, false);
        return -1;
    }
    if (rewrite_is_under_way(&a->rewrite))
        log_warning("AOF was enabled but there is already an AOF rewriting in background. Stopping background AOF and "
                    "starting a rewrite now.");
    append_only_rewrite_event(a, REWRITE_WITHDRAW);
    append_only_enter(a, persistence_may_save(core) ? APPEND_ONLY_WAITING : APPEND_ONLY_SUSPENDED);
    append_only_rewrite_event(a, REWRITE_ASK);
    if (children_running(core->children) != CHILD_NONE && a->rewrite.state == REWRITE_SCHEDULED)
        log_notice("AOF was enabled but there is already another background operation. An AOF background was scheduled "
                   "to start when possible.");
    append_only_rewrite_go_on(a);
    return 0;
}

void append_only_turn_off(struct core *core)
{
    struct append_only *a = core->append_only;
    if (a->state == APPEND_ONLY_OFF) return;
    if (a->state == APPEND_ONLY_ON) append_only_flush(core, TURN_OFF_WAITS_MS);
    append_only_enter(a, APPEND_ONLY_OFF);
    journal_stop(a->journal);
    append_only_rewrite_event(a, REWRITE_WITHDRAW);
    replication_keep_stream(core->replication, false);
    append_only_durable_moved(a);
}

int append_only_flush(struct core *core, int timeout_ms)
{
    struct append_only *a = core->append_only;
    if (a->state != APPEND_ONLY_ON && a->state != APPEND_ONLY_WAITING) return 0;
    if (!journal_is_running(a->journal)) return 0;
    repl_stream_publish(replication_stream(core->replication));
    if (journal_finish(a->journal, timeout_ms) == 0) return 0;
    log_warning("The append only file is not all on the disk: %s", strerror(errno));
    return -1;
}

/* What was on its way has come, or will not. The files are still those of the dataset before: the first rewrite waits
 * for no tick. */
static void end_suspension(struct append_only *a)
{
    if (likely(a->state != APPEND_ONLY_SUSPENDED) || !persistence_may_save(a->core)) return;
    append_only_enter(a, APPEND_ONLY_WAITING);
    append_only_rewrite_event(a, REWRITE_ASK);
}

void append_only_before_send(struct core *core)
{
    struct append_only *a = core->append_only;
    end_suspension(a);
    append_only_rewrite_go_on(a);
    append_only_watch_turn(a);
}

/* The files hold our master's stream, byte by byte, and say at which offset it stands: what clients write to a replica
 * has no offset there, and a place in the file would move all that come behind it.
 * So it is told rather than lost in silence. */
static void tell_of_own_writes(struct append_only *a)
{
    struct core *core = a->core;
    bool lost =
        a->state != APPEND_ONLY_OFF && replication_is_replica(core->replication) && !core->settings->repl.read_only;
    if (likely(lost == a->told_own_writes)) return;
    a->told_own_writes = lost;
    if (lost)
        log_warning("What clients write to this replica (replica-read-only no) is not in its append only file: a "
                    "restart finds it only as far as a rewrite (BGREWRITEAOF) has taken it along");
}

void append_only_cron(struct core *core, int64_t now_ms)
{
    struct append_only *a = core->append_only;
    tell_of_own_writes(a);
    journal_cron(a->journal, now_ms);
    end_suspension(a);
    append_only_rewrite_cron(a, now_ms);
    append_only_watch_cron(a, now_ms);
}

/* --- what others ask --- */

int append_only_write_error(const struct core *core)
{
    const struct append_only *a = core->append_only;
    return likely(a->state != APPEND_ONLY_ON) ? 0 : journal_error(a->journal);
}

bool append_only_is_on(const struct core *core)
{
    return core->append_only->state != APPEND_ONLY_OFF;
}

bool append_only_has_files(const struct core *core)
{
    const struct aof_settings *s = append_only_settings(core->append_only);
    char path[PATH_MAX];
    return aof_manifest_path(s->directory, s->filename, path) == 0 && access(path, F_OK) == 0;
}

bool append_only_is_waiting(const struct core *core)
{
    return core->append_only->state == APPEND_ONLY_WAITING;
}

static void view_files(const struct append_only *a, struct append_only_view *v)
{
    uint64_t offset = replication_history(a->core->replication)->offset;
    uint64_t written = journal_written_offset(a->journal), durable = journal_durable_offset(a->journal);
    v->current_bytes = a->settled_bytes + journal_file_bytes(a->journal);
    v->base_bytes = a->base_bytes;
    v->unwritten_bytes = offset > written ? offset - written : 0;
    v->pending_fsyncs = append_only_settings(a)->fsync != AOF_FSYNC_NO && written > durable;
    v->delayed_fsyncs = a->delayed_fsyncs;
}

struct append_only_view append_only_view(const struct core *core)
{
    const struct append_only *a = core->append_only;
    const struct rewrite *w = &a->rewrite;
    bool under_way = rewrite_is_under_way(w);
    int64_t passed_s = (loop_monotonic_ms(core->loop) - w->started_ms) / 1000;
    struct append_only_view v = {
        .enabled = a->state == APPEND_ONLY_ON || a->state == APPEND_ONLY_WAITING,
        .rewriting = under_way,
        .scheduled = w->state == REWRITE_SCHEDULED,
        .last_rewrite_ok = w->last_ok,
        .last_write_ok = a->state != APPEND_ONLY_ON || journal_error(a->journal) == 0,
        .last_rewrite_s = w->last_s,
        .current_rewrite_s = under_way ? passed_s : -1,
        .rewrites = w->completed,
        .cow_bytes = children_last_aof_cow_bytes(core->children),
        .failures = w->failures,
    };
    if (v.enabled) view_files(a, &v);
    return v;
}
