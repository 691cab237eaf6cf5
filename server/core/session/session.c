/* Sessions: made, and which of their answers go out. Server process. */
#include "server/core/session/session.h"

#include "server/acl/users.h"
#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/core/command/command_table.h"
#include "server/core/command/stats.h"
#include "server/core/core.h"

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
    if (kind == SESSION_MASTER || kind == SESSION_LOADER)
        s->user = &user_superuser;
    else if (kind == SESSION_CLIENT && user_is_open(core->users->default_user))
        s->user = core->users->default_user;
}

void session_speak_for(struct session *s, struct session *caller)
{
    s->caller = caller;
    s->after_run = caller ? caller->after_run & AFTER_RUN_KEYS : 0;
}

struct bytes session_user_name(const struct session *s)
{
    return s->user ? s->user->name : BYTES("default");
}

void session_forget_text(struct bytes *text)
{
    mem_free((void *)text->ptr);
    *text = (struct bytes){0};
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

/* CLIENT CACHING is about one command; from MULTI on, about all up to EXEC. */
static void use_up_caching(struct session *s)
{
    if (!s->caching_kept && !s->transaction) s->caching_said = false;
    s->caching_kept = false;
}

void session_command_done(struct session *s)
{
    if (likely(!s->reply_skip_next && !s->reply_skip && !s->caching_said)) return;
    use_up_caching(s);
    s->reply_skip = s->reply_skip_next;
    s->reply_skip_next = false;
    mute_answers(s, s->reply_skip || s->reply_off);
}

void session_count_error(struct session *s, struct stats *stats, struct command_entry *command)
{
    if (!session_owes_error_count(s)) return;
    s->errors_counted = s->reply.errors;
    if (command) command->failed++;
    stats_count_error(stats, s->reply.error_prefix);
}

void session_reset_replies(struct session *s)
{
    s->reply.protocol = 2;
    s->reply_off = s->reply_skip_next = false;
    mute_answers(s, s->reply_skip);
}
