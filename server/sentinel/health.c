/* An instance's health. Sentinel process; pure. Every change of state goes through enter(),
 * which knows the legal ones. */
#include "server/sentinel/health.h"

#include "server/base/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TO(state) (1u << HEALTH_##state)

static const unsigned successors[HEALTH_STATES] = {
    [HEALTH_UP] = TO(LATE) | TO(BUSY) | TO(DOWN),
    [HEALTH_LATE] = TO(UP) | TO(BUSY) | TO(DOWN),
    [HEALTH_BUSY] = TO(UP) | TO(LATE) | TO(DOWN),
    [HEALTH_DOWN] = TO(UP),
};

bool health_is_down(const struct health *h)
{
    return h->state == HEALTH_DOWN;
}

void health_init(struct health *h, int64_t now_ms)
{
    *h = (struct health){.since_ms = now_ms, .ok_ms = now_ms, .heard_ms = now_ms, .last_answer = ANSWER_OTHER};
}

static void enter(struct health *h, enum health_state state, int64_t now_ms)
{
    CHECK(successors[h->state] & (1u << state));
    h->state = state;
    h->since_ms = now_ms;
    if (state != HEALTH_BUSY) h->kill_sent = false;
    if (state != HEALTH_DOWN) h->reason[0] = '\0';
}

/* A server that becomes another's replica closes our connections, and then the last answer may be as old as
 * down_after_ms, which is no sign of anything: a tenth of that time, and no more than this, is left to come back in. */
#define COME_BACK_MAX_MS 100

static int64_t come_back_ms(const struct health_settings *s)
{
    return s->down_after_ms / 10 < COME_BACK_MAX_MS ? s->down_after_ms / 10 : COME_BACK_MAX_MS;
}

/* Since when there is no valid answer to what was asked; 0: all is answered. */
static int64_t silent_since_ms(const struct health *h, const struct health_settings *s)
{
    if (h->pinged_ms) return h->pinged_ms;
    if (h->linked) return 0;
    int64_t at_least_ms = h->unlinked_ms + come_back_ms(s) - s->down_after_ms;
    return h->ok_ms > at_least_ms ? h->ok_ms : at_least_ms;
}

static int64_t role_patience_ms(const struct health *h, const struct health_settings *s)
{
    return s->down_after_ms + (h->wrong_since_reboot ? 0 : s->role_grace_ms);
}

static bool role_too_long_wrong(const struct health *h, const struct health_settings *s, int64_t now_ms)
{
    return h->wrong_role && now_ms - h->wrong_role_ms > role_patience_ms(h, s);
}

/* --- answers --- */

static bool is_valid(const struct health *h, const struct health_settings *s, enum health_answer answer, int64_t now_ms)
{
    switch (answer) {
    case ANSWER_PONG:
    case ANSWER_MASTERDOWN: return true;
    case ANSWER_LOADING:
        return !s->reboot_down_after_ms || !h->rebooting || now_ms - h->rebooted_ms <= s->reboot_down_after_ms;
    default: return false;
    }
}

/* Up again, unless its role is what keeps it down. */
static unsigned come_up(struct health *h, const struct health_settings *s, int64_t now_ms)
{
    bool was_down = h->state == HEALTH_DOWN;
    if (h->state == HEALTH_UP || (was_down && (h->emptied || role_too_long_wrong(h, s, now_ms)))) return 0;
    enter(h, HEALTH_UP, now_ms);
    return was_down ? HEALTH_CAME_UP : 0;
}

static unsigned answered(struct health *h, const struct health_settings *s, enum health_answer answer, int64_t now_ms)
{
    h->heard_ms = now_ms;
    h->last_answer = answer;
    if (answer == ANSWER_PONG || answer == ANSWER_MASTERDOWN) h->rebooting = false;
    if (is_valid(h, s, answer, now_ms)) {
        h->ok_ms = now_ms;
        h->pinged_ms = 0;
        return come_up(h, s, now_ms);
    }
    if (answer == ANSWER_BUSY && (h->state == HEALTH_UP || h->state == HEALTH_LATE)) enter(h, HEALTH_BUSY, now_ms);
    return 0;
}

/* --- time --- */

static const char *answer_name(enum health_answer answer)
{
    static const char *const names[] = {[ANSWER_PONG] = "+PONG",
                                        [ANSWER_LOADING] = "-LOADING",
                                        [ANSWER_MASTERDOWN] = "-MASTERDOWN",
                                        [ANSWER_BUSY] = "-BUSY",
                                        [ANSWER_OTHER] = "an error"};
    return names[answer];
}

static void explain(struct health *h, const struct health_settings *s, int64_t silent_ms, int64_t now_ms)
{
    if (h->emptied)
        snprintf(h->reason, sizeof h->reason, "it came back without data that replicas still have");
    else if (silent_ms <= s->down_after_ms)
        snprintf(h->reason, sizeof h->reason, "another role than it should have for %" PRId64 " ms",
                 now_ms - h->wrong_role_ms);
    else if (h->linked && h->heard_ms > silent_since_ms(h, s))
        snprintf(h->reason, sizeof h->reason,
                 "answers PING with %s for %" PRId64 " ms, down-after-milliseconds %" PRId64,
                 answer_name(h->last_answer), silent_ms, s->down_after_ms);
    else
        snprintf(h->reason, sizeof h->reason, "%s for %" PRId64 " ms, down-after-milliseconds %" PRId64,
                 h->linked ? "no answer to PING" : "no connection", silent_ms, s->down_after_ms);
}

static unsigned go_down(struct health *h, const struct health_settings *s, int64_t silent_ms, int64_t now_ms)
{
    enter(h, HEALTH_DOWN, now_ms);
    explain(h, s, silent_ms, now_ms);
    return HEALTH_WENT_DOWN;
}

static int64_t silence_before_reconnect_ms(const struct health_settings *s)
{
    return s->down_after_ms / 2;
}

static bool is_silent_link(const struct health *h, const struct health_settings *s, int64_t now_ms)
{
    int64_t patience_ms = silence_before_reconnect_ms(s);
    return h->linked && h->pinged_ms && now_ms - h->pinged_ms > patience_ms && now_ms - h->heard_ms > patience_ms &&
           now_ms - h->linked_ms > s->link_young_ms;
}

static unsigned tick(struct health *h, const struct health_settings *s, int64_t now_ms)
{
    int64_t since_ms = silent_since_ms(h, s), silent_ms = since_ms ? now_ms - since_ms : 0;
    unsigned out = is_silent_link(h, s, now_ms) ? HEALTH_RECONNECT : 0;
    if (h->state == HEALTH_DOWN) {
        bool well = silent_ms <= s->down_after_ms && h->linked && !h->emptied && !role_too_long_wrong(h, s, now_ms);
        return out | (well ? come_up(h, s, now_ms) : 0);
    }
    if (silent_ms > s->down_after_ms || h->emptied || role_too_long_wrong(h, s, now_ms))
        return out | go_down(h, s, silent_ms, now_ms);
    if (h->state == HEALTH_BUSY && !h->kill_sent && silent_ms > silence_before_reconnect_ms(s)) {
        h->kill_sent = true;
        out |= HEALTH_KILL_SCRIPT;
    }
    if (h->state == HEALTH_UP && silent_ms > silence_before_reconnect_ms(s)) enter(h, HEALTH_LATE, now_ms);
    return out;
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t health_deadline_ms(const struct health *h, const struct health_settings *s)
{
    int64_t since_ms = silent_since_ms(h, s), deadline = INT64_MAX;
    if (h->state == HEALTH_DOWN) return deadline;
    if (since_ms) deadline = since_ms + s->down_after_ms + 1;
    if (since_ms && (h->state == HEALTH_UP || (h->state == HEALTH_BUSY && !h->kill_sent)))
        deadline = sooner(deadline, since_ms + silence_before_reconnect_ms(s) + 1);
    if (h->wrong_role) deadline = sooner(deadline, h->wrong_role_ms + role_patience_ms(h, s) + 1);
    return deadline;
}

unsigned health_step(struct health *h, const struct health_settings *settings, const struct health_event *event,
                     int64_t now_ms)
{
    switch (event->kind) {
    case HEALTH_EVENT_LINKED:
        h->linked = true;
        h->linked_ms = now_ms;
        return 0;
    case HEALTH_EVENT_UNLINKED:
        if (h->linked) h->unlinked_ms = now_ms;
        h->linked = false; /* what was asked on it stays asked: the silence goes on */
        return 0;
    case HEALTH_EVENT_PINGED:
        if (!h->pinged_ms) h->pinged_ms = now_ms;
        h->last_ping_ms = now_ms;
        return 0;
    case HEALTH_EVENT_ANSWERED: return answered(h, settings, event->answer, now_ms);
    case HEALTH_EVENT_ROLE:
        if (event->wrong && !h->wrong_role) h->wrong_role_ms = now_ms;
        h->wrong_since_reboot = event->wrong && (event->rebooted || h->wrong_since_reboot);
        h->wrong_role = event->wrong;
        return 0;
    case HEALTH_EVENT_REBOOTED:
        h->rebooting = true;
        h->rebooted_ms = now_ms;
        return 0;
    case HEALTH_EVENT_EMPTIED: h->emptied = event->wrong; return tick(h, settings, now_ms);
    case HEALTH_EVENT_TICK: return tick(h, settings, now_ms);
    }
    return 0;
}
