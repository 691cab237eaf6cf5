/* See loader.h. Server process.
 *
 * A session like any other, but nobody asks whether a command may run: it has run once. It is not counted, nor does it
 * go anywhere from here. Commands that change no data, and could do harm (SHUTDOWN, MONITOR), are passed over. */
#include "server/core/run/loader.h"

#include "rdb/delay.h"
#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/log.h"
#include "server/core/core.h"
#include "server/core/dataset/persistence.h"
#include "server/core/lifecycle.h"
#include "server/core/run/request_batch.h"
#include "server/core/run/run.h"
#include "server/core/session/session.h"
#include "server/core/session/transaction.h"
#include "server/core/settings.h"
#include "server/net/loop.h"

#define COMMANDS_EACH_LOOK 4

struct loader {
    struct core *core;
    const char *source;
    struct session session;
    struct outq nowhere;
    struct request_batch batch;
    char error[REPLY_ERROR_TEXT_BYTES];
    uint64_t commands;
};

struct loader *loader_new(struct core *core, const char *source)
{
    struct loader *l = mem_calloc(1, sizeof *l);
    l->core = core;
    l->source = source;
    session_init(&l->session, core, SESSION_LOADER, &l->nowhere);
    l->session.reply.error_text = l->error;
    keyspace_set_replaying(core->keyspace, true);
    return l;
}

void loader_free(struct loader *l)
{
    loader_drop_transaction(l);
    keyspace_set_replaying(l->core->keyspace, false);
    mem_free(l);
}

void loader_select(struct loader *l, int db)
{
    l->session.db = keyspace_database(l->core->keyspace, db);
}

int loader_db(const struct loader *l)
{
    return database_index(l->session.db);
}

void loader_drop_transaction(struct loader *l)
{
    if (l->session.transaction) transaction_free(&l->session);
}

/* --- one command --- */

static void tell_error(const char *error, const char *command)
{
    log_warning("== CRITICAL == This server is sending an error to its AOF-loading-client: '%s' after processing the "
                "command '%s'",
                strncmp(error, "ERR ", 4) == 0 ? error + 4 : error, command);
}

static int refuse(const struct loader *l, const struct request *r)
{
    if (!r->command || (r->command->subcommand_count && r->argc >= 2))
        log_warning("Unknown command '%.*s' reading %s", (int)(r->argv[0].len < 1024 ? r->argv[0].len : 1024),
                    (const char *)r->argv[0].ptr, l->source);
    else
        log_warning("Wrong number of arguments for '%s' reading %s", r->command->full_name, l->source);
    return -1;
}

static bool does_harm(const struct command_entry *e)
{
    uint32_t flags = e->row->flags;
    if (flags & (CMD_WRITE | CMD_MAY_REPLICATE)) return false;
    return (flags & (CMD_ADMIN | CMD_PUBSUB | CMD_NOT_QUEUED)) != 0;
}

/* The store ends where the machine's address space for it does: said before it happens. */
static int check_room(const struct loader *l, const struct request *r)
{
    const struct database *db = l->session.db;
    if (likely(!keyspace_pressed()) || !database_reserve_is_low(db) || !(r->command->row->flags & CMD_DENYOOM))
        return 0;
    log_warning("DB %d is full after %zu keys: %s cannot be loaded", database_index(db), database_size(db), l->source);
    return -1;
}

static int run_now(struct loader *l, const struct request *r)
{
    struct session *s = &l->session;
    uint32_t errors = s->reply.errors;
    if (check_room(l, r) != 0) return -1;
    run_loaded(l->core, s, r, loop_wall_ms(l->core->loop));
    if (unlikely(s->stream_broken)) return -1;
    if (unlikely(s->reply.errors != errors)) tell_error(l->error, s->in_exec ? "exec" : r->command->full_name);
    return 0;
}

/* Each may have been slow; but to ask for the time is not free, either. False: to be given up. */
static bool breathe(struct loader *l)
{
    int delay_us = l->core->settings->rdb.key_load_delay_us;
    rdb_key_delay(delay_us, ++l->commands);
    if (likely(l->commands % COMMANDS_EACH_LOOK && delay_us <= 0)) return true;
    loading_breathe(l->core);
    return !l->core->lifecycle->stopping;
}

/* --- transactions --- */

static int begin_transaction(struct loader *l)
{
    if (l->session.transaction)
        tell_error("MULTI calls can not be nested", "exec"); /* where Redis tells it */
    else
        transaction_begin(&l->session);
    return 0;
}

static int run_transaction(struct loader *l)
{
    struct session *s = &l->session;
    struct transaction *t = s->transaction;
    int result = 0;
    if (!t) {
        tell_error("EXEC without MULTI", "exec");
        return 0;
    }
    const struct queued_command *queue = transaction_queued(t);
    size_t length = transaction_length(s);
    s->transaction = NULL; /* what runs now is not queued */
    s->in_exec = true;
    for (size_t i = 0; i < length && result == 0; i++) {
        struct request r = {.argc = queue[i].argc, .argv = queue[i].argv, .command = queue[i].command};
        result = run_now(l, &r);
    }
    s->in_exec = false;
    s->transaction = t;
    transaction_free(s);
    return result;
}

/* --- records --- */

static int take(struct loader *l, enum aof_command_kind kind, const struct request *r)
{
    struct session *s = &l->session;
    if (unlikely(kind == AOF_COMMAND_MULTI)) return begin_transaction(l);
    if (unlikely(kind == AOF_COMMAND_EXEC)) return run_transaction(l);
    if (unlikely(!request_is_well_formed(r))) return refuse(l, r);
    if (unlikely(does_harm(r->command))) {
        log_write(LOG_VERBOSE, "'%s' is passed over reading %s", r->command->full_name, l->source);
        return 0;
    }
    if (likely(!s->transaction)) return run_now(l, r);
    transaction_queue(s, r->command, r->argc, r->argv);
    return 0;
}

static void prepare(struct loader *l, const struct aof_record *records, size_t count)
{
    struct request_batch *b = &l->batch;
    for (size_t i = 0; i < count; i++)
        b->prepared[i] = (struct request){.argc = (uint32_t)records[i].argc, .argv = records[i].argv};
    b->count = count;
    b->records_fetched = false;
    request_batch_look_up(b, l->core, &l->session);
    request_batch_fetch_records(b, &l->session);
    request_batch_fetch_elements(b, &l->session);
}

int loader_run(struct loader *l, const struct aof_record *records, size_t count)
{
    while (count > 0) {
        size_t some = count < REQUEST_BATCH ? count : REQUEST_BATCH;
        prepare(l, records, some);
        for (size_t i = 0; i < some; i++)
            if (take(l, records[i].kind, &l->batch.prepared[i]) != 0 || !breathe(l)) return -1;
        records += some;
        count -= some;
    }
    return 0;
}
