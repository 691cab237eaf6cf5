/* Sessions that wait for keys: their commands run again. Server process. */
#include "server/core/run/block_keys_parts.h"

#include "server/base/check.h"
#include "server/core/core.h"
#include "server/core/dataset/persistence.h"
#include "server/core/run/permission.h"
#include "server/core/run/run.h"
#include "server/core/session/blocking.h"
#include "server/core/session/key_name.h"
#include "server/net/loop.h"

/* Looks without a trace: what has run out stays for whoever asks for it. */
static bool holds(struct core *core, const struct waited_key *k, enum value_type type)
{
    struct database *db = keyspace_database(core->keyspace, k->db);
    struct bytes key = key_name_key(bytes_make(k->name, k->name_len));
    const struct record *r = database_peek(db, key, key_hash(key));
    return r && !record_is_expired(r, loop_wall_ms(core->loop)) && record_type(r) == type;
}

/* What a client that is about to be closed took would be lost. */
static bool may_run(const struct waiter *w)
{
    const struct session *s = w->blocked->session;
    return !s->owner->is_closing(s);
}

/* The rules may have changed during the wait. */
static bool still_allowed(struct core *core, const struct waiter *w, const struct request *r)
{
    struct session *s = w->blocked->session;
    if (likely(!s->user || s->user->unrestricted)) return true;
    struct acl_text error = {0};
    struct acl_denial denial = acl_check(s->user, r->command, r->argc, r->argv);
    if (denial.reason == ACL_ALLOWED) return true;
    acl_note_denied(core, s, r, denial, ACL_TOPLEVEL);
    acl_add_denial(&error, s->user, r, denial);
    reply_error(&s->reply, (const char *)error.ptr);
    acl_text_free(&error);
    run_uncount(w->command, w->blocked);
    w->command->rejected++;
    session_count_error(s, core->stats, NULL);
    return false;
}

static void run_again(struct core *core, struct waiter *w)
{
    struct blocked *blocked = w->blocked;
    struct request request = {.argc = w->argc, .argv = w->argv, .command = w->command};
    w->waits_on = false;
    run_chain_start(); /* who is served may not stand behind a command: a key may have come by itself */
    if (still_allowed(core, w, &request)) run_command(core, blocked->session, &request, loop_wall_ms(core->loop));
    if (!w->waits_on) blocking_finish(core->blocking, blocked);
}

/* The first to find nothing left ends it: of the others nobody is asked. */
static void serve_queue(struct core *core, struct waited_key *k, enum queue q)
{
    list_each(&k->queues[q], node)
    {
        struct waiter *w = list_entry(node, struct key_link, node)->waiter;
        if (q != QUEUE_WAKING_WHEN_GONE && !holds(core, k, block_queue_types[q])) return;
        if (may_run(w)) run_again(core, w);
    }
}

static void serve_key(struct core *core, struct waited_key *k)
{
    k->pinned = true;
    for (enum queue q = 0; q < QUEUES; q++)
        if (k->queues[q].count) serve_queue(core, k, q);
    k->pinned = false;
    waited_key_settle(core->block_keys, k);
}

/* What serving touches joins the end of the list: one served client may feed the next. Of a dataset that is half loaded
 * nobody is served: what is ready waits for the rest. */
void block_keys_serve(struct core *core)
{
    const struct persistence_state *state = persistence_state(core);
    struct block_keys *b = core->block_keys;
    struct list_node *node;
    if (state->loading && !state->async_loading) return;
    b->serving = true;
    while ((node = list_first(&b->ready))) {
        list_remove(&b->ready, node);
        serve_key(core, list_entry(node, struct waited_key, ready));
    }
    b->serving = false;
}
