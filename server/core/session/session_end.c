/* See session_end.h. Server process.
 *
 * It stands apart from session.c, for whatever a session may take part in knows the session; only this file knows all
 * of that. */
#include "server/core/session/session_end.h"

#include "server/acl/users.h"
#include "server/core/core.h"
#include "server/core/session/blocking.h"
#include "server/core/session/monitors.h"
#include "server/core/session/pubsub.h"
#include "server/core/session/push.h"
#include "server/core/session/transaction.h"
#include "server/core/session/watch.h"

static void leave_everything(struct core *core, struct session *s)
{
    if (s->blocked) blocking_session_gone(core->blocking, s);
    if (s->transaction) transaction_discard(core->watches, s);
    watch_forget_all(core->watches, s);
    monitors_leave(core->monitors, s);
    pubsub_unsubscribe_all(core->pubsub, s, PUBSUB_CHANNEL, false);
    pubsub_unsubscribe_all(core->pubsub, s, PUBSUB_PATTERN, false);
    pubsub_unsubscribe_all(core->pubsub, s, PUBSUB_SHARD, false);
}

void session_release(struct core *core, struct session *s)
{
    leave_everything(core, s);
    push_forget_held(s);
    session_forget_text(&s->name);
    session_forget_text(&s->lib_name);
    session_forget_text(&s->lib_ver);
}

void session_reset(struct core *core, struct session *s)
{
    leave_everything(core, s);
    session_forget_text(&s->name);
    s->db = keyspace_database(core->keyspace, 0);
    session_reset_replies(s);
    s->no_evict = s->no_touch = s->readonly = false;
    s->adopted = false;
    s->user = user_is_open(core->users->default_user) ? core->users->default_user : NULL;
}
