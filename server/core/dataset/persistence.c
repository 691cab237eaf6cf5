/* Saving and loading, in the server process: when, and what the server says meanwhile. The bytes are rdb/'s. */
#include "server/core/dataset/persistence.h"

#include "rdb/form.h"
#include "repl/replication.h"
#include "server/base/alloc.h"
#include "server/base/clock.h"
#include "server/base/discard.h"
#include "server/base/log.h"
#include "server/core/core.h"
#include "server/core/dataset/children.h"
#include "server/core/dataset/propagate.h"
#include "server/core/lifecycle.h"
#include "server/core/observe/latency.h"
#include "server/core/settings.h"
#include "server/net/loop.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <unistd.h>

#define RETRY_AFTER_FAILURE_MS 5000
#define LOADING_TURN_MS        20 /* between loop turns while loading: a PING then waits about this long at most */

struct persistence {
    struct persistence_state state;
    uint64_t changes_at_fork;
    bool save_owed;      /* persistence_save_behind_command() */
    int64_t last_try_ms; /* monotonic */
    pid_t bgsave_pid;
    struct snapshot *lent; /* of the child that saves: replicas may be sent its file */
    int64_t last_loading_turn_us;
};

struct persistence_state *persistence_state(const struct core *core)
{
    return &core->persistence->state;
}

void persistence_changed(struct core *core, uint64_t changes)
{
    core->persistence->state.changes_since_save += changes;
}

void persistence_dataset_received(struct core *core)
{
    for (int i = 0; i < keyspace_databases(core->keyspace); i++)
        persistence_changed(core, database_size(keyspace_database(core->keyspace, i)));
    persistence_state(core)->in_step_since_ms = clock_monotonic_ms();
}

bool persistence_write_refused(const struct core *core)
{
    const struct persistence_state *s = &core->persistence->state;
    return !s->last_bgsave_ok && core->settings->rdb.stop_writes_on_save_error &&
           core->settings->server.save_point_count > 0;
}

struct rdb_aux persistence_aux(const struct core *core)
{
    struct rdb_aux aux = {.created_s = clock_wall_ms() / 1000, .used_memory = mem_used()};
    if (!propagation_owes(core->propagation)) replication_describe(core->replication, &aux);
    return aux;
}

struct rdb_write_options persistence_write_options(const struct core *core)
{
    return (struct rdb_write_options){
        .compress = core->settings->rdb.compress,
        .checksum = core->settings->rdb.checksum,
        .write_for = (enum rdb_write_for)core->settings->rdb.write_for,
        .key_save_delay_us = core->settings->rdb.key_save_delay_us,
        .incremental_fsync = core->settings->rdb.save_incremental_fsync,
    };
}

/* --- saving --- */

static const char *reason_not_to_save(const struct core *core)
{
    if (core->persistence->state.loading) return "the dataset is being loaded";
    if (!replication_has_dataset(core->replication))
        return "our data was given up for our master's, which has not arrived yet";
    return NULL;
}

bool persistence_may_save(const struct core *core)
{
    return !reason_not_to_save(core);
}

/* For who cannot know better than to ask: 0, or -1 with errno. */
static int check_may_save(const struct core *core)
{
    const char *reason = reason_not_to_save(core);
    if (!reason) return 0;
    log_warning("%s is left as it is: %s", core->settings->rdb.filename, reason);
    errno = EAGAIN;
    return -1;
}

/* Without a fork for what cannot be written. 0, or -1 with errno. */
static int check_form(const struct core *core)
{
    char why[RDB_FORM_WHY_BYTES];
    enum rdb_write_for form = (enum rdb_write_for)core->settings->rdb.write_for;
    if (rdb_form_holds(core->keyspace, form, why)) return 0;
    log_warning("%s is left as it is: one for %s (rdb-write-for) cannot be written: %s", core->settings->rdb.filename,
                rdb_form_reader(form), why);
    errno = ENOTSUP;
    return -1;
}

void persistence_withdraw_child(struct core *core)
{
    struct children *c = core->children;
    if (!(children_running(c) & CHILD_SAVE)) return;
    if (children_withdraw(c))
        children_dismiss(c, CHILD_SAVE);
    else
        children_await(c); /* it is about to rename: after that, whoever writes next has the last word */
}

static void note_saved(struct core *core, uint64_t changes_included)
{
    struct persistence_state *s = persistence_state(core);
    s->changes_since_save -= changes_included < s->changes_since_save ? changes_included : s->changes_since_save;
    s->last_save_s = clock_wall_ms() / 1000;
    s->in_step_since_ms = clock_monotonic_ms();
    s->last_bgsave_ok = true;
    s->rdb_saves++;
}

int persistence_save_now(struct core *core)
{
    struct rdb_aux aux = persistence_aux(core);
    struct rdb_write_options options = persistence_write_options(core);
    if (check_may_save(core) || check_form(core)) return -1;
    persistence_withdraw_child(core);
    if (rdb_save_file(core->keyspace, core->settings->rdb.filename, &aux, &options)) return -1;
    log_notice("DB saved on disk");
    note_saved(core, persistence_state(core)->changes_since_save);
    return 0;
}

void persistence_save_behind_command(struct core *core)
{
    core->persistence->save_owed = true;
}

void persistence_before_send(struct core *core)
{
    struct persistence *p = core->persistence;
    if (!p->save_owed || propagation_in_unit(core->propagation) || replication_is_applying(core->replication)) return;
    p->save_owed = false;
    persistence_save_now(core);
}

static int report_progress(void *context, uint64_t keys, uint64_t bytes)
{
    struct core *core = context;
    (void)bytes;
    child_report_keys(core->children, keys);
    return 0;
}

static bool may_publish(void *context)
{
    struct core *core = context;
    return child_may_publish(core->children);
}

static void advanced(void *context, uint64_t total)
{
    struct core *core = context;
    replication_lend_advanced(core->persistence->lent, total);
}

static int save_in_child(void *arg)
{
    struct core *core = arg;
    struct rdb_aux aux = persistence_aux(core);
    struct rdb_write_options options = persistence_write_options(core);
    options.progress = report_progress;
    options.may_publish = may_publish;
    options.advanced = advanced;
    options.progress_context = core;
    const char *filename = core->settings->rdb.filename;
    int left = child_left_file(core->children);
    if (left >= 0 ? rdb_save_copy(left, filename, &options) : rdb_save_file(core->keyspace, filename, &aux, &options))
        return 1;
    log_notice("DB saved on disk");
    return 0;
}

static void remove_temporary_file(struct core *core, pid_t child)
{
    char path[PATH_MAX];
    if (rdb_temporary_path(core->settings->rdb.filename, child, path)) return;
    int64_t began_us = clock_monotonic_us();
    discard_path(path);
    latency_note(core->latency, LATENCY_RDB_UNLINK, clock_monotonic_us() - began_us, clock_wall_us() / 1000000);
}

static void save_ended(void *arg, bool good, int signal)
{
    struct core *core = arg;
    struct persistence *p = core->persistence;
    replication_lend_ended(p->lent, good);
    p->lent = NULL;
    if (!good) remove_temporary_file(core, p->bgsave_pid);
    if (good) {
        log_notice("Background saving terminated with success");
        note_saved(core, p->changes_at_fork);
    } else if (signal == SIGUSR1) {
        log_notice("Background saving stopped: it is not needed any more");
    } else if (signal) {
        log_warning("Background saving terminated by signal %d", signal);
        p->state.last_bgsave_ok = false;
    } else {
        log_warning("Background saving error");
        p->state.last_bgsave_ok = false;
    }
}

/* Its child has been forked, for it alone or for another as well. */
static void save_started(void *arg)
{
    struct core *core = arg;
    struct persistence *p = core->persistence;
    p->last_try_ms = clock_monotonic_ms();
    p->changes_at_fork = p->state.changes_since_save;
    p->bgsave_pid = children_pid(core->children);
    p->state.bgsave_scheduled = false;
    log_notice("Background saving started by pid %ld", (long)p->bgsave_pid);
}

static struct child_job save_job(struct core *core)
{
    return (struct child_job){.purpose = CHILD_SAVE, .body = save_in_child, .ended = save_ended, .arg = core};
}

/* Replicas that need a full sync are sent what the child writes, too. */
static void lend_file(struct core *core)
{
    struct persistence *p = core->persistence;
    char path[PATH_MAX];
    bool named = rdb_temporary_path(core->settings->rdb.filename, p->bgsave_pid, path) == 0;
    replication_lend_started(p->lent, named ? path : NULL);
    if (!named) p->lent = NULL;
}

int persistence_save_in_background(struct core *core)
{
    struct persistence *p = core->persistence;
    struct child_job job = save_job(core);
    p->last_try_ms = clock_monotonic_ms();
    if (check_may_save(core)) return -1;
    if (children_running(core->children) != CHILD_NONE) {
        errno = EBUSY;
        return -1;
    }
    if (check_form(core)) {
        p->state.last_bgsave_ok = false;
        return -1;
    }
    p->lent = replication_lend_begin(core->replication);
    if (children_start(core->children, &job)) {
        int error = errno;
        replication_lend_started(p->lent, NULL);
        p->lent = NULL;
        errno = error;
        if (errno != EBUSY) {
            log_warning("Can't save in background: fork: %s", strerror(errno));
            p->state.last_bgsave_ok = false;
        }
        return -1;
    }
    save_started(core);
    lend_file(core);
    return 0;
}

/* What asks for a save now. */
enum save_reason { SAVE_NOT_DUE, SAVE_SCHEDULED, SAVE_POINT_REACHED };

static enum save_reason save_is_due(const struct core *core, int64_t now_ms, const struct save_point **reached)
{
    const struct persistence *p = core->persistence;
    const struct server_settings *server = &core->settings->server;
    if (!persistence_may_save(core)) return SAVE_NOT_DUE;
    if (!p->state.last_bgsave_ok && now_ms - p->last_try_ms < RETRY_AFTER_FAILURE_MS) return SAVE_NOT_DUE;
    if (p->state.bgsave_scheduled) return SAVE_SCHEDULED;
    /* A dataset just received is not saved at once: our own replicas are about to ask for a child. */
    int64_t passed_s = (now_ms - p->state.in_step_since_ms) / 1000;
    for (int i = 0; i < server->save_point_count; i++) {
        const struct save_point *point = &server->save_points[i];
        if (p->state.changes_since_save < point->changes || passed_s <= point->seconds) continue;
        *reached = point;
        return SAVE_POINT_REACHED;
    }
    return SAVE_NOT_DUE;
}

/* Whether there is something to save now; says why. */
static bool save_waits(void *arg)
{
    struct core *core = arg;
    const struct save_point *reached;
    enum save_reason reason = save_is_due(core, clock_monotonic_ms(), &reached);
    if (reason == SAVE_POINT_REACHED)
        log_notice("%llu changes in %lld seconds. Saving...", (unsigned long long)reached->changes,
                   (long long)reached->seconds);
    return reason != SAVE_NOT_DUE;
}

void persistence_cron(struct core *core, int64_t now_ms)
{
    (void)now_ms;
    if (children_running(core->children) != CHILD_NONE || children_are_expected(core->children)) return;
    if (save_waits(core)) persistence_save_in_background(core);
}

struct persistence *persistence_new(struct core *core)
{
    struct persistence *p = mem_calloc(1, sizeof *p);
    p->state.last_save_s = clock_wall_ms() / 1000;
    p->state.in_step_since_ms = clock_monotonic_ms();
    p->state.last_bgsave_ok = true;
    children_set_companion(
        core->children, &(struct child_companion){.job = save_job(core), .waits = save_waits, .joined = save_started});
    return p;
}

/* --- loading --- */

void loading_begin(struct core *core, uint64_t total_bytes)
{
    struct persistence *p = core->persistence;
    p->state.loading = true;
    p->state.loading_start_s = clock_wall_ms() / 1000;
    p->state.loading_since_ms = clock_monotonic_ms();
    p->state.loading_total_bytes = total_bytes;
    p->state.loading_loaded_bytes = 0;
    p->last_loading_turn_us = clock_monotonic_us();
}

void loading_progress(struct core *core, uint64_t loaded_bytes)
{
    core->persistence->state.loading_loaded_bytes = loaded_bytes;
    loading_breathe(core);
}

void loading_breathe(struct core *core)
{
    struct persistence *p = core->persistence;
    int64_t now_us = clock_monotonic_us();
    if (now_us - p->last_loading_turn_us < LOADING_TURN_MS * 1000) return;
    loop_turn(core->loop, 0);
    p->last_loading_turn_us = clock_monotonic_us();
}

void loading_end(struct core *core, bool good)
{
    (void)good;
    core->persistence->state.loading = core->persistence->state.async_loading = false;
}

static int turn_while_loading(void *context, uint64_t loaded, uint64_t total)
{
    struct core *core = context;
    core->persistence->state.loading_total_bytes = total;
    loading_progress(core, loaded);
    return core->lifecycle->stopping;
}

static void head_loaded(void *context, const struct rdb_aux *aux)
{
    struct core *core = context;
    if (aux->repl_id[0] && !replication_has_predecessor(core->replication))
        replication_restore_history(core->replication, aux);
}

/* A master's replicas may have the key, and wait for its DEL. */
static void expired_while_loading(void *context, int db, struct bytes key)
{
    struct core *core = context;
    propagate_removal(core->propagation, db, key, core->settings->keyspace.lazyfree_lazy_expire);
}

static int load_file(struct core *core, const char *path, struct rdb_read_result *result, bool *missing)
{
    const struct rdb_settings *settings = &core->settings->rdb;
    struct rdb_read_options options = {
        .now_ms = clock_wall_ms(),
        .drop_expired = !replication_is_replica(core->replication) && !replication_has_predecessor(core->replication),
        .head = head_loaded,
        .expired = expired_while_loading,
        .sanitize = settings->sanitize_payload == SANITIZE_YES,
        .ignore_checksum = settings->ignore_checksum,
        .key_load_delay_us = settings->key_load_delay_us,
        .context = core,
    };
    int64_t started_us = clock_monotonic_us();
    persistence_withdraw_child(core);
    keyspace_set_access_clock(core->keyspace, loop_monotonic_ms(core->loop)); /* at start, cron has not done so yet */
    loading_begin(core, 0);
    int status = rdb_load_file(core->keyspace, path, &options, turn_while_loading, core, result, missing);
    loading_end(core, status == 0);
    if (status) return -1;
    struct persistence_state *s = persistence_state(core);
    s->last_load_keys_loaded = result->keys_loaded;
    s->last_load_keys_expired = result->keys_expired;
    log_notice("DB loaded from disk: %.3f seconds", (double)(clock_monotonic_us() - started_us) / 1e6);
    return 0;
}

int persistence_load_file(struct core *core, const char *path, bool *missing)
{
    struct rdb_read_result result;
    return load_file(core, path, &result, missing);
}

int persistence_load_at_start(struct core *core, struct rdb_aux *aux, bool *missing)
{
    struct rdb_read_result result = {0};
    *missing = false;
    int status = load_file(core, core->settings->rdb.filename, &result, missing);
    *aux = result.aux;
    if (status == 0 || *missing) return 0;
    if (core->lifecycle->stopping) return 0; /* a shutdown has come in between */
    log_warning("Terminating server after rdb file reading failure.");
    return -1;
}
