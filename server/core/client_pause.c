/* CLIENT PAUSE and its kin (fail-over, shutdown), in the server process.
 *
 * Each purpose has its own pause; the strictest one in force counts. A held client is blocked with its request unread,
 * and reads it again when the pause has ended. */
#include "server/core/blocking.h"
#include "server/core/clients_parts.h"
#include "server/core/core.h"
#include "server/base/check.h"

static void strictest(struct clients *c)
{
    c->paused = PAUSE_NONE;
    for (int i = 0; i < PAUSES_MAX; i++)
        if (c->pauses[i].kind > c->paused) c->paused = c->pauses[i].kind;
    keyspace_set_held(c->core->keyspace, c->paused != PAUSE_NONE);
}

static void release_one(void *arg, struct blocked *blocked)
{
    blocking_finish(arg, blocked);
}

static void changed(struct clients *c)
{
    strictest(c);
    /* A weaker pause may let some of them go; those it does not are held again when they try. */
    blocking_each(c->core->blocking, BLOCKED_PAUSE, release_one, c->core->blocking);
}

static struct pause *pause_of(struct clients *c, const char *purpose)
{
    for (int i = 0; i < PAUSES_MAX; i++)
        if (c->pauses[i].kind && strcmp(c->pauses[i].purpose, purpose) == 0) return &c->pauses[i];
    for (int i = 0; i < PAUSES_MAX; i++)
        if (!c->pauses[i].kind) return &c->pauses[i];
    CHECK(!"more purposes than pauses");
    return NULL;
}

void clients_pause(struct clients *c, enum pause_kind kind, int64_t until_ms, const char *purpose)
{
    struct pause *p = pause_of(c, purpose);
    /* A second CLIENT PAUSE can prolong and tighten the first, not shorten or weaken it. */
    if (p->kind && p->until_ms > until_ms) until_ms = p->until_ms;
    if (p->kind > kind) kind = p->kind;
    *p = (struct pause){kind, until_ms, purpose};
    strictest(c);
}

void clients_unpause(struct clients *c, const char *purpose)
{
    struct pause *p = pause_of(c, purpose);
    if (!p->kind) return;
    p->kind = PAUSE_NONE;
    changed(c);
}

enum pause_kind clients_paused(const struct clients *c, int64_t now_ms)
{
    if (__builtin_expect(c->paused == PAUSE_NONE, 1)) return PAUSE_NONE;
    enum pause_kind kind = PAUSE_NONE;
    for (int i = 0; i < PAUSES_MAX; i++)
        if (c->pauses[i].until_ms > now_ms && c->pauses[i].kind > kind) kind = c->pauses[i].kind;
    return kind;
}

/* Cron and the loop's before-sleep call this: pauses whose time has come end here. */
void clients_end_pauses(struct clients *c, int64_t now_ms)
{
    if (c->paused == PAUSE_NONE) return;
    bool any = false;
    for (int i = 0; i < PAUSES_MAX; i++)
        if (c->pauses[i].kind && c->pauses[i].until_ms <= now_ms) {
            c->pauses[i].kind = PAUSE_NONE;
            any = true;
        }
    if (any) changed(c);
}

static void nothing_to_do(struct blocked *b)
{
    (void)b;
}

void clients_hold(struct clients *c, struct client *client)
{
    struct blocked *b = blocking_start(c->core->blocking, &client->session, BLOCKED_PAUSE, 0);
    b->timed_out = nothing_to_do;
}
