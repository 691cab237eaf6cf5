/* What is done for each instance at each tick: its links, PING, INFO, hello, its health. Sentinel process; pure. */
#include "server/sentinel/sentinel.h"

#include <string.h>

#define YOUNG_S     20  /* so long after its start a master is asked for INFO more often */
#define PENDING_MAX 100 /* so many requests without a reply: no more are sent */
#define PLACES      5   /* in the period of PINGs */

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

/* When it is to be opened; INT64_MAX: something is told of it before. */
static int64_t link_due_ms(const struct sentinel *s, const struct instance_link *link,
                           const struct health_settings *health)
{
    if (link->up || link->opening) return INT64_MAX;
    return link->tried_ms ? link->tried_ms + reconnect_period_ms(s, health) : 0;
}

static void open_link(struct sentinel *s, struct instance *i, enum sentinel_link which,
                      const struct health_settings *health, int64_t now_ms)
{
    struct instance_link *link = &i->link[which];
    if (now_ms < link_due_ms(s, link, health)) return;
    link->opening = true;
    link->tried_ms = now_ms;
    struct sentinel_action *a = sentinel_actions_add(s->out, SENTINEL_CONNECT);
    a->instance = i->id;
    a->link = which;
    a->address = i->address;
}

/* Our own hello comes back on it, so that a silent one is dead. */
static int64_t messages_due_ms(const struct sentinel *s, const struct instance_link *link)
{
    return link->up ? link->heard_ms + 3 * s->settings.periods.hello + 1 : INT64_MAX;
}

static void check_messages(struct sentinel *s, struct instance *i, int64_t now_ms)
{
    struct instance_link *link = &i->link[LINK_MESSAGES];
    if (now_ms < messages_due_ms(s, link)) return;
    link->heard_ms = now_ms;
    struct sentinel_action *a = sentinel_actions_add(s->out, SENTINEL_DISCONNECT);
    a->instance = i->id;
    a->link = LINK_MESSAGES;
}

static int64_t ping_period_ms(const struct sentinel *s, const struct health_settings *health)
{
    return smaller(s->settings.periods.ping, health->down_after_ms);
}

static bool is_first_ping(const struct instance *i)
{
    return i->health.last_ping_ms < i->health.linked_ms;
}

static int64_t next_ping_ms(const struct instance *i, int64_t period_ms)
{
    return i->health.last_ping_ms + period_ms - i->early_ms;
}

/* The next PING of one that has no place in the period yet, or has lost it. It is found by chance, for hundreds of
 * answers are not to come at once. But places are few: to wake up, and to bring the kernel's path back into the caches,
 * costs as much for ten PINGs as for a hundred. */
static int64_t new_place_ms(struct sentinel *s, int64_t period_ms, int64_t now_ms)
{
    int64_t apart_ms = period_ms < PLACES ? 1 : period_ms / PLACES;
    return now_ms - now_ms % apart_ms + apart_ms * (1 + (int64_t)random_below(&s->random, PLACES));
}

/* Whether one was due. Each keeps its place in the period, also behind a tick that came late. */
static bool ping(struct sentinel *s, struct instance *i, const struct health_settings *health, int64_t now_ms)
{
    int64_t period_ms = ping_period_ms(s, health), late_ms = now_ms - next_ping_ms(i, period_ms);
    bool out_of_step = is_first_ping(i) || late_ms >= period_ms;
    if (late_ms < 0 && !out_of_step) return false;
    i->early_ms = out_of_step ? now_ms + period_ms - new_place_ms(s, period_ms, now_ms) : late_ms;
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

/* When it is due at the latest; before, it may leave with a PING. */
static int64_t due_ms(int64_t last_ms, int64_t period_ms, int64_t ping_ms)
{
    if (!last_ms) return 0;
    return last_ms + period_ms + (period_ms > ping_ms ? ping_ms : 0);
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

static int64_t asking_due_ms(const struct sentinel *s, const struct watched *w, const struct instance *i,
                             const struct health_settings *health, int64_t now_ms)
{
    int64_t ping_ms = ping_period_ms(s, health);
    if (is_first_ping(i) || i->pending >= PENDING_MAX) return 0;
    int64_t due = next_ping_ms(i, ping_ms);
    if (!i->info_asked) due = smaller(due, due_ms(i->info_sent_ms, info_period_ms(s, w, i, now_ms), ping_ms));
    return smaller(due, due_ms(i->hello_sent_ms, s->settings.periods.hello, ping_ms));
}

static int64_t next_tending_ms(const struct sentinel *s, const struct watched *w, const struct instance *i,
                               const struct health_settings *health, int64_t now_ms)
{
    const struct instance_link *commands = &i->link[LINK_COMMANDS], *messages = &i->link[LINK_MESSAGES];
    int64_t links = smaller(link_due_ms(s, commands, health), link_due_ms(s, messages, health));
    links = smaller(links, messages_due_ms(s, messages));
    return commands->up ? smaller(links, asking_due_ms(s, w, i, health, now_ms)) : links;
}

int64_t sentinel_tend(struct sentinel *s, struct watched *w, struct instance *i, int64_t now_ms)
{
    struct health_settings health = sentinel_health_settings(s, i);
    open_link(s, i, LINK_COMMANDS, &health, now_ms);
    if (w) open_link(s, i, LINK_MESSAGES, &health, now_ms);
    if (w) check_messages(s, i, now_ms);
    if (i->link[LINK_COMMANDS].up && i->pending < PENDING_MAX) ask(s, w, i, &health, now_ms);
    if (s->tilt.on) return 0;
    unsigned changes = health_step(&i->health, &health, &(struct health_event){.kind = HEALTH_EVENT_TICK}, now_ms);
    if (changes) sentinel_health_changed(s, i, changes, now_ms);
    int64_t deadline_ms = health_deadline_ms(&i->health, &health);
    s->next_ms = smaller(s->next_ms, deadline_ms);
    return w && !changes ? smaller(deadline_ms, next_tending_ms(s, w, i, &health, now_ms)) : 0;
}
