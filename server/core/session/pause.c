/* See pause.h. Server process. */
#include "server/core/session/pause.h"

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/core/session/blocking.h"

static void find_strictest(struct pauses *p)
{
    p->strictest = PAUSE_NONE;
    for (int i = 0; i < PAUSES_MAX; i++)
        if (p->each[i].kind > p->strictest) p->strictest = p->each[i].kind;
    if (p->strictest == PAUSE_NONE || p->units == 0) keyspace_set_held(p->keyspace, p->strictest != PAUSE_NONE);
}

void pauses_unit(struct pauses *p, bool runs)
{
    p->units += runs ? 1 : -1;
    if (unlikely(p->units == 0 && p->strictest != PAUSE_NONE)) keyspace_set_held(p->keyspace, true);
}

struct pauses *pauses_new(struct blocking *blocking, struct keyspace *keyspace)
{
    struct pauses *p = mem_calloc(1, sizeof *p);
    p->blocking = blocking;
    p->keyspace = keyspace;
    return p;
}

static void release_one(void *arg, struct blocked *blocked)
{
    blocking_finish(arg, blocked);
}

static void changed(struct pauses *p)
{
    find_strictest(p);
    /* A weaker pause may let some of them go; those it does not are held again when they try. */
    blocking_each(p->blocking, BLOCKED_PAUSE, release_one, p->blocking);
}

static struct pause *pause_of(struct pauses *p, const char *purpose)
{
    for (int i = 0; i < PAUSES_MAX; i++)
        if (p->each[i].kind && strcmp(p->each[i].purpose, purpose) == 0) return &p->each[i];
    for (int i = 0; i < PAUSES_MAX; i++)
        if (!p->each[i].kind) return &p->each[i];
    CHECK(!"more purposes than pauses");
    return NULL;
}

void pause_begin(struct pauses *p, enum pause_kind kind, int64_t until_ms, const char *purpose)
{
    struct pause *pause = pause_of(p, purpose);
    /* A second CLIENT PAUSE can prolong and tighten the first, not shorten or weaken it. */
    if (pause->kind && pause->until_ms > until_ms) until_ms = pause->until_ms;
    if (pause->kind > kind) kind = pause->kind;
    *pause = (struct pause){kind, until_ms, purpose};
    find_strictest(p);
}

void pause_end(struct pauses *p, const char *purpose)
{
    struct pause *pause = pause_of(p, purpose);
    if (!pause->kind) return;
    pause->kind = PAUSE_NONE;
    changed(p);
}

enum pause_kind pauses_now(const struct pauses *p, int64_t now_ms)
{
    enum pause_kind kind = PAUSE_NONE;
    for (int i = 0; i < PAUSES_MAX; i++)
        if (p->each[i].until_ms > now_ms && p->each[i].kind > kind) kind = p->each[i].kind;
    return kind;
}

void pauses_end_due(struct pauses *p, int64_t now_ms)
{
    if (p->strictest == PAUSE_NONE) return;
    bool any = false;
    for (int i = 0; i < PAUSES_MAX; i++)
        if (p->each[i].kind && p->each[i].until_ms <= now_ms) {
            p->each[i].kind = PAUSE_NONE;
            any = true;
        }
    if (any) changed(p);
}

static void nothing_to_do(struct blocked *b)
{
    (void)b;
}

void pause_hold(struct pauses *p, struct session *s)
{
    struct blocked *b = blocking_start(p->blocking, s, BLOCKED_PAUSE, 0);
    b->timed_out = nothing_to_do;
}
