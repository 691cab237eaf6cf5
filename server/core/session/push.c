/* See push.h. Server process. */
#include "server/core/session/push.h"

#include "server/base/alloc.h"

struct held_pushes {
    struct reply reply; /* into `bytes` */
    struct outq bytes;
};

static struct reply *hold(struct session *s)
{
    if (!s->held) {
        s->held = mem_calloc(1, sizeof *s->held);
        s->held->reply.out = &s->held->bytes;
        s->held->reply.guard = s->reply.guard;
    }
    s->held->reply.protocol = s->reply.protocol;
    s->held->reply.muted = s->reply.muted;
    s->after_run |= AFTER_RUN_PUSHES;
    return &s->held->reply;
}

struct reply *push_begin(struct session *s, size_t count)
{
    struct reply *r = s->depth ? hold(s) : &s->reply;
    reply_push_begin(r, count);
    return r;
}

void push_end(struct session *s, struct reply *r)
{
    reply_push_end(r);
    if (r == &s->reply) session_wake(s);
}

void push_held(struct session *s)
{
    struct held_pushes *held = s->held;
    if (held && !(s->reply.muted & REPLY_NOBODY_LISTENS)) outq_move(s->reply.out, &held->bytes);
    push_forget_held(s);
    session_wake(s);
}

void push_forget_held(struct session *s)
{
    s->after_run &= (uint8_t)~AFTER_RUN_PUSHES;
    if (!s->held) return;
    outq_clear(&s->held->bytes);
    mem_free(s->held);
    s->held = NULL;
}
