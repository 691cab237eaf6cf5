/* What is done for each instance at each tick: its links, PING, INFO, hello, its health. Sentinel process; pure. */
#include "server/sentinel/sentinel.h"

#include <string.h>

#define PENDING_MAX 100 /* so many requests without a reply: no more are sent */

static bool is_due(int64_t last_ms, int64_t period_ms, int64_t now_ms)
{
    return !last_ms || now_ms - last_ms >= period_ms;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Often enough for a server that closes our connections, as it does when it becomes another's replica, not to count as
 * down for that. */
static int64_t reconnect_period_ms(const struct sentinel *s, const struct health_settings *health)
{
    return smaller(s->settings.periods.reconnect, health->down_after_ms / 4);
}

static void open_link(struct sentinel *s, struct instance *i, enum sentinel_link which,
                      const struct health_settings *health, int64_t now_ms)
{
    struct instance_link *link = &i->link[which];
    if (link->up || link->opening || !is_due(link->tried_ms, reconnect_period_ms(s, health), now_ms)) return;
    link->opening = true;
    link->tried_ms = now_ms;
    struct sentinel_action *a = sentinel_actions_add(s->out, SENTINEL_CONNECT);
    a->instance = i->id;
    a->link = which;
    a->address = i->address;
}

/* Our own hello comes back on it, so that a silent one is dead. */
static void check_messages(struct sentinel *s, struct instance *i, int64_t now_ms)
{
    struct instance_link *link = &i->link[LINK_MESSAGES];
    if (!link->up || now_ms - link->heard_ms <= 3 * s->settings.periods.hello) return;
    link->heard_ms = now_ms;
    struct sentinel_action *a = sentinel_actions_add(s->out, SENTINEL_DISCONNECT);
    a->instance = i->id;
    a->link = LINK_MESSAGES;
}

static void ping(struct sentinel *s, struct instance *i, const struct health_settings *health, int64_t now_ms)
{
    if (!is_due(i->health.last_ping_ms, smaller(s->settings.periods.ping, health->down_after_ms), now_ms) &&
        i->health.last_ping_ms >= i->health.linked_ms)
        return;
    sentinel_send(s, i, REQUEST_PING);
    health_step(&i->health, health, &(struct health_event){.kind = HEALTH_EVENT_PINGED}, now_ms);
}

static int64_t info_period_ms(const struct sentinel *s, const struct watched *w, const struct instance *i)
{
    const struct sentinel_periods *p = &s->settings.periods;
    bool on_its_way = i->reconfiguration == RECONFIGURATION_SENT || i->reconfiguration == RECONFIGURATION_INPROGRESS;
    if (on_its_way || (i == w->chosen && w->failover.state == FAILOVER_WAIT_PROMOTION)) return p->promotion;
    if (i->kind != INSTANCE_REPLICA) return p->info;
    bool urgent = health_is_down(&w->master->health) || watched_in_failover(w) || i->report.master_link_down_ms != 0;
    return urgent ? smaller(p->info, p->info_urgent) : p->info;
}

static void ask_info(struct sentinel *s, struct watched *w, struct instance *i, int64_t now_ms)
{
    if (i->info_asked || !is_due(i->info_sent_ms, info_period_ms(s, w, i), now_ms)) return;
    i->info_asked = true;
    i->info_sent_ms = now_ms;
    sentinel_send(s, i, REQUEST_INFO);
}

void sentinel_tend(struct sentinel *s, struct watched *w, struct instance *i, int64_t now_ms)
{
    struct health_settings health = sentinel_health_settings(s, i);
    open_link(s, i, LINK_COMMANDS, &health, now_ms);
    if (w) open_link(s, i, LINK_MESSAGES, &health, now_ms);
    if (w) check_messages(s, i, now_ms);
    if (i->link[LINK_COMMANDS].up && i->pending < PENDING_MAX) {
        ping(s, i, &health, now_ms);
        if (w) ask_info(s, w, i, now_ms);
        if (w && is_due(i->hello_sent_ms, s->settings.periods.hello, now_ms)) sentinel_tell_hello(s, w, i, now_ms);
    }
    if (s->tilt.on) return;
    unsigned changes = health_step(&i->health, &health, &(struct health_event){.kind = HEALTH_EVENT_TICK}, now_ms);
    if (changes) sentinel_health_changed(s, i, changes, now_ms);
    s->next_ms = smaller(s->next_ms, health_deadline_ms(&i->health, &health));
}
