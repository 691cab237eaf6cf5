/* See append_only_parts.h: a rewrite's steps, carried out. Server process, and (write_base) the snapshot child.
 *
 * The steps that wait for the disk are a worker's; the fork is made between two turns, when the stream holds all that
 * the dataset does. Whatever becomes of the child, the stream goes on in the new incremental, since the manifest names
 * it: an older one that went on growing would not be the last any more, and only the last may end anywhere. */
#include "server/core/dataset/append_only_parts.h"

#include "rdb/snapshot.h"
#include "repl/replication.h"
#include "server/aof/base_commands.h"
#include "server/aof/manifest_file.h"
#include "server/base/alloc.h"
#include "server/base/clock.h"
#include "server/base/discard.h"
#include "server/base/file.h"
#include "server/base/log.h"
#include "server/base/workers.h"
#include "server/core/dataset/children.h"
#include "server/core/dataset/persistence.h"
#include "server/core/dataset/propagate.h"
#include "server/core/observe/latency.h"
#include "server/net/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int64_t now_ms_of(const struct append_only *a)
{
    return loop_monotonic_ms(a->core->loop);
}

/* --- in the child --- */

static int report_keys(void *context, uint64_t keys, uint64_t bytes)
{
    (void)bytes;
    child_report_keys(context, keys);
    return 0;
}

static void advanced(void *context, uint64_t total)
{
    const struct append_only *a = context;
    replication_lend_advanced(a->lent, total);
}

static int write_into(struct append_only *a, int fd)
{
    struct core *core = a->core;
    struct rdb_write_options options = persistence_write_options(core);
    options.progress = report_keys;
    options.progress_context = core->children;
    options.incremental_fsync = append_only_settings(a)->rewrite_incremental_fsync;
    if (a->rewrite_is_commands) return aof_base_write_commands(core->keyspace, fd, &options);
    struct rdb_aux aux = persistence_aux(core);
    aux.aof_base = true;
    return rdb_save_fd(core->keyspace, fd, &aux, &options, advanced, a);
}

static int write_base(void *arg)
{
    struct append_only *a = arg;
    char path[64], complete[64];
    append_only_temporary_base(getpid(), false, path);
    append_only_temporary_base(getpid(), true, complete);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) {
        log_warning("Opening the temp file for AOF rewrite in write_base(): %s", strerror(errno));
        return 1;
    }
    bool whole = write_into(a, fd) == 0 && fsync(fd) == 0;
    if (whole && !a->rewrite_is_commands) child_leave_file(a->core->children, fd);
    if (!whole || close(fd) != 0 || file_rename(path, complete) != 0) {
        log_warning("Write error writing append only file on disk: %s", strerror(errno));
        unlink(path);
        return 1;
    }
    log_notice("Successfully created the temporary AOF base file %s", complete);
    return 0;
}

/* --- steps of the worker --- */

struct step {
    struct worker_job job;
    void (*work)(struct append_only_job *job);
    void (*worked)(struct append_only_job *job);
    struct append_only_job what;
};

static void run_step(struct worker_job *job)
{
    struct step *step = (struct step *)job;
    step->work(&step->what);
}

static void end_step(struct worker_job *job)
{
    struct step *step = (struct step *)job;
    step->worked(&step->what);
    aof_manifest_free(step->what.manifest);
    mem_free(step);
}

static void begin_step(struct append_only *a, void (*work)(struct append_only_job *job),
                       void (*worked)(struct append_only_job *job))
{
    struct step *step = mem_calloc(1, sizeof *step);
    step->job = (struct worker_job){.run = run_step, .done = end_step};
    step->work = work;
    step->worked = worked;
    step->what = (struct append_only_job){
        .a = a,
        .settings = append_only_settings(a),
        .manifest = aof_manifest_copy(a->manifest),
        .first = a->rewrite_is_first,
        .with_incremental = a->rewrite_has_incremental,
        .commands = a->rewrite_is_commands,
        .keep_history = append_only_settings(a)->disable_auto_gc,
        .child = a->child,
        .fd = -1,
    };
    workers_submit(WORKER_FSYNC, &step->job);
}

/* What stands on the disk now. */
static void take_manifest(struct append_only_job *job)
{
    aof_manifest_free(job->a->manifest);
    job->a->manifest = job->manifest;
    job->manifest = NULL;
}

static void opened(struct append_only_job *job)
{
    struct append_only *a = job->a;
    bool good = job->error == 0;
    if (good) take_manifest(job);
    a->next_fd = good ? job->fd : -1; /* what the manifest does not name gets nothing of the stream */
    if (!good && job->fd >= 0) close(job->fd);
    append_only_rewrite_event(a, good ? REWRITE_DONE : REWRITE_FAILED);
}

static void switched(struct append_only_job *job)
{
    struct append_only *a = job->a;
    latency_note(a->core->latency, LATENCY_AOF_RENAME, job->rename_us, clock_wall_ms() / 1000);
    if (job->error == 0) {
        take_manifest(job);
        a->settled_bytes = job->base_bytes;
    }
    append_only_rewrite_event(a, job->error ? REWRITE_FAILED : REWRITE_DONE);
}

/* --- the fork --- */

/* Everything that has run is in the stream, and nobody else's child runs. */
static bool may_fork(const struct append_only *a)
{
    const struct core *core = a->core;
    return children_running(core->children) == CHILD_NONE && !propagation_in_unit(core->propagation) &&
           !propagation_owes(core->propagation) && !replication_is_applying(core->replication) &&
           persistence_may_save(core);
}

static void child_ended(void *arg, bool good, int signal)
{
    struct append_only *a = arg;
    replication_lend_ended(a->lent, good);
    a->lent = NULL;
    if (good)
        log_notice("Background AOF rewrite terminated with success");
    else if (signal == SIGUSR1)
        log_notice("Background AOF rewrite stopped: it is not needed any more");
    else if (signal)
        log_warning("Background AOF rewrite terminated by signal %d", signal);
    else
        log_warning("Background AOF rewrite terminated with error");
    append_only_rewrite_event(a, good ? REWRITE_DONE : REWRITE_FAILED);
}

static int give_stream_its_file(struct append_only *a)
{
    if (a->next_fd < 0) return 0;
    uint64_t before = a->state == APPEND_ONLY_ON ? journal_file_bytes(a->journal) : 0;
    int status = append_only_write_to(a, a->next_fd, 0);
    if (status == 0) a->settled_bytes += before;
    close(a->next_fd);
    a->next_fd = -1;
    return status;
}

static void fork_child(struct append_only *a)
{
    struct child_job job = {.purpose = CHILD_AOF_REWRITE, .body = write_base, .ended = child_ended, .arg = a};
    char path[64];
    if (!may_fork(a)) return append_only_rewrite_event(a, REWRITE_BUSY);
    a->rewrite_is_commands = !append_only_settings(a)->use_rdb_preamble;
    job.takes_along = !a->rewrite_is_commands;
    a->lent = a->rewrite_is_commands ? NULL : replication_lend_begin(a->core->replication);
    bool forked = children_start(a->core->children, &job) == 0;
    if (!forked) log_warning("Can't rewrite append only file in background: fork: %s", strerror(errno));
    bool given = give_stream_its_file(a) == 0;
    if (forked) {
        a->child = children_pid(a->core->children);
        append_only_temporary_base(a->child, false, path);
        log_notice("Background append only file rewriting started by pid %d", (int)a->child);
    }
    replication_lend_started(a->lent, forked ? path : NULL);
    if (!forked) a->lent = NULL;
    if (forked && !given) children_dismiss(a->core->children, CHILD_AOF_REWRITE); /* its end is the failure */
    append_only_rewrite_event(a, forked ? REWRITE_DONE : REWRITE_FAILED);
}

/* --- its end --- */

static void finish(struct append_only *a)
{
    bool wanted = !a->rewrite.withdrawn;
    if (wanted && a->rewrite_is_first && a->state == APPEND_ONLY_WAITING) append_only_enter(a, APPEND_ONLY_ON);
    a->base_bytes = a->settled_bytes + (a->state == APPEND_ONLY_ON ? journal_file_bytes(a->journal) : 0);
    log_notice("Background AOF rewrite finished successfully");
}

static void discard_temporary_files(struct append_only *a)
{
    char path[64], incremental[PATH_MAX];
    for (int complete = 0; complete < 2; complete++) {
        append_only_temporary_base(a->child, complete, path);
        if (a->child > 0) discard_path(path);
    }
    if (a->rewrite_is_first && append_only_temporary_incremental(append_only_settings(a), incremental) == 0)
        discard_path(incremental);
}

/* The incremental that was opened stays, and is written to: the manifest names it. One that was written beside the
 * first base is of no use without it. */
static void undo(struct append_only *a)
{
    if (a->rewrite_is_first) journal_stop(a->journal);
    if (!a->rewrite_is_first && a->state == APPEND_ONLY_ON) give_stream_its_file(a);
    if (a->next_fd >= 0) close(a->next_fd);
    a->next_fd = -1;
    discard_temporary_files(a);
    int64_t back_off_ms = rewrite_back_off_ms(a->rewrite.failures);
    if (back_off_ms && a->rewrite.failed_ms == now_ms_of(a))
        log_warning("Background AOF rewrite has repeatedly failed and triggered the limit, will retry in %lld minutes",
                    (long long)back_off_ms / 60000);
}

/* --- the machine --- */

static void open_files(struct append_only *a)
{
    a->child = -1;
    a->rewrite_is_first = a->state == APPEND_ONLY_WAITING;
    a->rewrite_has_incremental = a->state != APPEND_ONLY_OFF;
    begin_step(a, append_only_open_incremental, opened);
}

static void tell_who_asked(struct append_only *a, enum rewrite_event event)
{
    switch (a->rewrite.state) {
    case REWRITE_OPENING: return;
    case REWRITE_FORKING:
        if (event == REWRITE_BUSY) append_only_answer_who_waits(a, APPEND_ONLY_SCHEDULED);
        return;
    case REWRITE_CHILD:
    case REWRITE_SWITCHING: return append_only_answer_who_waits(a, APPEND_ONLY_STARTED);
    case REWRITE_IDLE:
    case REWRITE_SCHEDULED: return append_only_answer_who_waits(a, APPEND_ONLY_FAILED);
    case REWRITE_STATES: break;
    }
}

void append_only_rewrite_event(struct append_only *a, enum rewrite_event event)
{
    struct rewrite *w = &a->rewrite;
    enum rewrite_action action = rewrite_step(w, event, now_ms_of(a));
    children_expect(a->core->children, w->state == REWRITE_OPENING || w->state == REWRITE_FORKING);
    switch (action) {
    case REWRITE_NOTHING: break;
    case REWRITE_OPEN: open_files(a); break;
    case REWRITE_FORK: fork_child(a); break;
    case REWRITE_SWITCH: begin_step(a, append_only_take_base, switched); break;
    case REWRITE_KILL:
        log_notice("Killing running AOF rewrite child: %d", (int)a->child);
        children_dismiss(a->core->children, CHILD_AOF_REWRITE);
        break;
    case REWRITE_FINISH: finish(a); break;
    case REWRITE_UNDO: undo(a); break;
    }
    tell_who_asked(a, event);
}

/* The files of a server that has never been asked for one are looked at before the first. */
static bool know_manifest(struct append_only *a)
{
    const struct aof_settings *s = append_only_settings(a);
    struct aof_manifest_fault fault;
    char path[PATH_MAX];
    if (a->manifest) return true;
    if (aof_manifest_path(s->directory, s->filename, path) != 0) return false;
    if (aof_manifest_load(path, &a->manifest, &fault) == 0) return true;
    if (errno == ENOENT || errno == ENOTDIR) {
        a->manifest = aof_manifest_new();
        return true;
    }
    if (errno == 0) aof_manifest_log_fault(&fault);
    log_warning("%s cannot be read: the append only file is not rewritten", path);
    return false;
}

void append_only_rewrite_go_on(struct append_only *a)
{
    const struct rewrite *w = &a->rewrite;
    if (likely(w->state != REWRITE_SCHEDULED && w->state != REWRITE_FORKING)) return;
    if (w->state == REWRITE_FORKING && !may_fork(a)) return;
    if (children_running(a->core->children) != CHILD_NONE || !persistence_may_save(a->core)) return;
    if (w->state == REWRITE_SCHEDULED && (rewrite_is_held_back(w, now_ms_of(a)) || !know_manifest(a))) return;
    append_only_rewrite_event(a, REWRITE_CLEAR);
}

static void ask_when_grown(struct append_only *a)
{
    const struct aof_settings *s = append_only_settings(a);
    struct rewrite_sizes sizes = {a->settled_bytes + journal_file_bytes(a->journal), a->base_bytes};
    int64_t growth;
    if (children_running(a->core->children) != CHILD_NONE || rewrite_is_held_back(&a->rewrite, now_ms_of(a))) return;
    if (!rewrite_is_due(&sizes, s->rewrite_percentage, s->rewrite_min_bytes, &growth)) return;
    log_notice("Starting automatic rewriting of AOF on %lld%% growth", (long long)growth);
    append_only_rewrite_event(a, REWRITE_ASK);
}

void append_only_rewrite_cron(struct append_only *a, int64_t now_ms)
{
    (void)now_ms;
    if (a->rewrite.state == REWRITE_IDLE && a->state == APPEND_ONLY_WAITING) append_only_rewrite_event(a, REWRITE_ASK);
    if (a->rewrite.state == REWRITE_IDLE && a->state == APPEND_ONLY_ON) ask_when_grown(a);
    append_only_rewrite_go_on(a);
}

enum append_only_answer append_only_rewrite(struct core *core, bool in_exec)
{
    struct append_only *a = core->append_only;
    if (rewrite_is_under_way(&a->rewrite)) return APPEND_ONLY_UNDER_WAY;
    a->rewrite.failures = 0; /* who asks waits for no back-off */
    append_only_rewrite_event(a, REWRITE_ASK);
    if (!in_exec) append_only_rewrite_go_on(a);
    return rewrite_is_under_way(&a->rewrite) ? APPEND_ONLY_OPENING : APPEND_ONLY_SCHEDULED;
}
