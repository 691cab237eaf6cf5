/* Sessions: made, reset and taken apart. Server process. */
#include "server/core/session.h"

#include "server/base/alloc.h"
#include "server/core/blocking.h"
#include "server/core/core.h"
#include "server/core/pubsub.h"
#include "server/core/settings.h"
#include "server/core/transaction.h"

void session_init(struct session *s, struct core *core, enum session_kind kind, struct outq *out)
{
    static uint64_t last_id;
    memset(s, 0, sizeof *s);
    s->kind = kind;
    s->id = ++last_id;
    s->db = keyspace_database(core->keyspace, 0);
    s->reply.out = out;
    s->reply.protocol = 2;
    s->reply.muted = kind != SESSION_CLIENT && kind != SESSION_SCRIPT;
    s->authenticated = kind != SESSION_CLIENT || !core->settings->net.requirepass.len;
    s->user = BYTES("default");
}

static void leave_everything(struct core *core, struct session *s)
{
    if (s->blocked) blocking_session_gone(core->blocking, s);
    if (s->transaction) transaction_discard(core->watches, s);
    watch_forget_all(core->watches, s);
    pubsub_unsubscribe_all(core->pubsub, s, PUBSUB_CHANNEL, false);
    pubsub_unsubscribe_all(core->pubsub, s, PUBSUB_PATTERN, false);
    pubsub_unsubscribe_all(core->pubsub, s, PUBSUB_SHARD, false);
}

static void forget_text(struct bytes *text)
{
    mem_free((void *)text->ptr);
    *text = (struct bytes){0};
}

void session_release(struct core *core, struct session *s)
{
    leave_everything(core, s);
    forget_text(&s->name);
    forget_text(&s->lib_name);
    forget_text(&s->lib_ver);
}

void session_reset(struct core *core, struct session *s)
{
    leave_everything(core, s);
    forget_text(&s->name);
    s->db = keyspace_database(core->keyspace, 0);
    s->reply.protocol = 2;
    s->reply.muted = s->reply_off = s->reply_skip = s->reply_skip_next = false;
    s->no_evict = s->no_touch = s->readonly = false;
    s->authenticated = !core->settings->net.requirepass.len;
}
