/* Sessions: made, reset and taken apart. Server process. */
#include "server/core/session.h"

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/core/blocking.h"
#include "server/core/core.h"
#include "server/core/pubsub.h"
#include "server/core/settings.h"
#include "server/core/transaction.h"

uint64_t session_next_id(void)
{
    static uint64_t last_id;
    return ++last_id;
}

void session_init(struct session *s, struct core *core, enum session_kind kind, struct outq *out)
{
    memset(s, 0, sizeof *s);
    s->kind = kind;
    s->id = session_next_id();
    s->db = keyspace_database(core->keyspace, 0);
    s->reply.out = out;
    s->reply.protocol = 2;
    s->reply.muted = kind == SESSION_CLIENT || kind == SESSION_SCRIPT ? 0 : REPLY_NOBODY_LISTENS;
    s->authenticated = kind != SESSION_CLIENT || !core->settings->net.requirepass.len;
    s->user = kind == SESSION_MASTER ? BYTES("(superuser)") : BYTES("default");
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

/* --- which answers go out --- */

static void mute_answers(struct session *s, bool muted)
{
    if (muted)
        s->reply.muted |= REPLY_UNWANTED;
    else
        s->reply.muted &= (uint8_t)~REPLY_UNWANTED;
}

void session_want_replies(struct session *s, bool wanted)
{
    s->reply_off = !wanted;
    if (wanted) s->reply_skip = s->reply_skip_next = false;
    mute_answers(s, !wanted);
}

void session_skip_reply(struct session *s)
{
    if (!s->reply_off) s->reply_skip_next = true;
}

void session_command_done(struct session *s)
{
    if (likely(!s->reply_skip_next && !s->reply_skip)) return;
    s->reply_skip = s->reply_skip_next;
    s->reply_skip_next = false;
    mute_answers(s, s->reply_skip || s->reply_off);
}

void session_reset(struct core *core, struct session *s)
{
    leave_everything(core, s);
    forget_text(&s->name);
    s->db = keyspace_database(core->keyspace, 0);
    s->reply.protocol = 2;
    s->reply_off = s->reply_skip_next = false;
    mute_answers(s, s->reply_skip); /* RESET's own may be the one to skip */
    s->no_evict = s->no_touch = s->readonly = false;
    s->authenticated = !core->settings->net.requirepass.len;
}
