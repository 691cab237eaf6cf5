/* What is done for each instance at each tick: its links, PING, INFO, hello, its health. Sentinel process; pure. */
#include "server/sentinel/sentinel.h"

#include <string.h>

#define YOUNG_S     20  /* so long after its start a master is asked for INFO more often */
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

static int64_t ping_period_ms(const struct sentinel *s, const struct health_settings *health)
{
    return smaller(s->settings.periods.ping, health->down_after_ms);
}

/* Whether one was due. */
static bool ping(struct sentinel *s, struct instance *i, const struct health_settings *health, int64_t now_ms)
{
    bool first = i->health.last_ping_ms < i->health.linked_ms;
    if (!first && !is_due(i->health.last_ping_ms, ping_period_ms(s, health) - i->early_ms, now_ms)) return false;
    i->early_ms = first ? (int64_t)random_below(&s->random, (uint64_t)ping_period_ms(s, health)) : 0;
    sentinel_send(s, i, REQUEST_PING);
    health_step(&i->health, health, &(struct health_event){.kind = HEALTH_EVENT_PINGED}, now_ms);
    return true;
}

/* What comes round more seldom than PING leaves with the nearest one: one piece to send, one to receive. */
static bool is_due_with_ping(int64_t last_ms, int64_t period_ms, bool pinged, int64_t ping_ms, int64_t now_ms)
{
    if (!last_ms || period_ms <= ping_ms) return is_due(last_ms, period_ms, now_ms);
    return pinged ? now_ms - last_ms >= period_ms - ping_ms / 2 : now_ms - last_ms >= period_ms + ping_ms;
}

/* What a master has lost shows in its first seconds, when its replicas come back. */
static bool has_just_started(const struct instance *i, int64_t now_ms)
{
    bool new_to_us = i->run_since_ms && now_ms - i->run_since_ms < YOUNG_S * 1000;
    return new_to_us && i->report.role == ROLE_MASTER && i->report.uptime_s >= 0 && i->report.uptime_s < YOUNG_S;
}

static int64_t info_period_ms(const struct sentinel *s, const struct watched *w, const struct instance *i,
                              int64_t now_ms)
{
    const struct sentinel_periods *p = &s->settings.periods;
    bool on_its_way = i->reconfiguration == RECONFIGURATION_SENT || i->reconfiguration == RECONFIGURATION_INPROGRESS;
    if (on_its_way || (i == w->chosen && w->failover.state == FAILOVER_WAIT_PROMOTION)) return p->promotion;
    if (i == w->master && w->failover.hands_over && w->failover.state == FAILOVER_WAIT_PROMOTION) return p->promotion;
    if (i->kind != INSTANCE_REPLICA) return has_just_started(i, now_ms) ? smaller(p->info, p->info_urgent) : p->info;
    bool urgent = health_is_down(&w->master->health) || watched_in_failover(w) || i->report.master_link_down_ms != 0;
    return urgent ? smaller(p->info, p->info_urgent) : p->info;
}

static void ask_info(struct sentinel *s, struct instance *i, int64_t now_ms)
{
    i->info_asked = true;
    i->info_sent_ms = now_ms;
    sentinel_send(s, i, REQUEST_INFO);
}

static void ask(struct sentinel *s, struct watched *w, struct instance *i, const struct health_settings *health,
                int64_t now_ms)
{
    int64_t ping_ms = ping_period_ms(s, health);
    bool pinged = ping(s, i, health, now_ms);
    if (!w) return;
    if (!i->info_asked && is_due_with_ping(i->info_sent_ms, info_period_ms(s, w, i, now_ms), pinged, ping_ms, now_ms))
        ask_info(s, i, now_ms);
    if (is_due_with_ping(i->hello_sent_ms, s->settings.periods.hello, pinged, ping_ms, now_ms))
        sentinel_tell_hello(s, w, i, now_ms);
}

void sentinel_tend(struct sentinel *s, struct watched *w, struct instance *i, int64_t now_ms)
{
    struct health_settings health = sentinel_health_settings(s, i);
    open_link(s, i, LINK_COMMANDS, &health, now_ms);
    if (w) open_link(s, i, LINK_MESSAGES, &health, now_ms);
    if (w) check_messages(s, i, now_ms);
    if (i->link[LINK_COMMANDS].up && i->pending < PENDING_MAX) ask(s, w, i, &health, now_ms);
    if (s->tilt.on) return;
    unsigned changes = health_step(&i->health, &health, &(struct health_event){.kind = HEALTH_EVENT_TICK}, now_ms);
    if (changes) sentinel_health_changed(s, i, changes, now_ms);
    s->next_ms = smaller(s->next_ms, health_deadline_ms(&i->health, &health));
}
