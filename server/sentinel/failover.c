/* The state machine of a fail-over. Sentinel process; pure. Every change of state goes through enter(), which knows the
 * legal ones. */
#include "server/sentinel/failover.h"

#include "server/base/check.h"

#include <stddef.h>

#define TO(state) (1u << FAILOVER_##state)

static const struct {
    const char *name;
    unsigned successors;
} rows[FAILOVER_STATES] = {
    [FAILOVER_NONE] = {"none", TO(WAIT_START)},
    [FAILOVER_WAIT_START] = {"wait_start", TO(SELECT) | TO(NONE)},
    [FAILOVER_SELECT] = {"select_slave", TO(SEND) | TO(NONE)},
    [FAILOVER_SEND] = {"send_slaveof_noone", TO(WAIT_PROMOTION) | TO(SELECT) | TO(NONE)},
    [FAILOVER_WAIT_PROMOTION] = {"wait_promotion", TO(RECONFIGURE) | TO(SELECT) | TO(NONE)},
    [FAILOVER_RECONFIGURE] = {"reconf_slaves", TO(UPDATE) | TO(NONE)},
    [FAILOVER_UPDATE] = {"update_config", TO(NONE)},
};

const char *failover_name(enum failover_state state)
{
    return rows[state].name;
}

void failover_init(struct failover *f)
{
    *f = (struct failover){0};
}

static void enter(struct failover *f, enum failover_state state, int64_t now_ms)
{
    CHECK(rows[f->state].successors & (1u << state));
    f->state = state;
    f->since_ms = now_ms;
}

static struct failover_action *add(struct failover_actions *out, enum failover_action_kind kind)
{
    CHECK(out->count < FAILOVER_ACTIONS_MAX);
    struct failover_action *a = &out->list[out->count++];
    *a = (struct failover_action){.kind = kind};
    return a;
}

static void say(struct failover_actions *out, const char *text, bool of_chosen)
{
    struct failover_action *a = add(out, FAILOVER_ACTION_SAY);
    a->text = text;
    a->of_chosen = of_chosen;
}

static int64_t again_ms(const struct failover *f, const struct failover_settings *s)
{
    return f->started_ms + 2 * s->timeout_ms;
}

static void give_up(struct failover *f, const char *why, bool of_chosen, int64_t next_ms, int64_t now_ms,
                    struct failover_actions *out)
{
    if (why) say(out, why, of_chosen);
    f->next_ms = next_ms;
    f->failed = true;
    add(out, FAILOVER_ACTION_RELEASE);
    enter(f, FAILOVER_NONE, now_ms);
}

static void start(struct failover *f, const struct failover_settings *s, const struct failover_event *e, int64_t now_ms,
                  struct failover_actions *out)
{
    f->epoch = e->epoch;
    f->forced = e->forced;
    f->hands_over = e->hand_over;
    f->failed = f->lacks_replica = false;
    f->started_ms = now_ms;
    f->next_ms = again_ms(f, s);
    enter(f, FAILOVER_WAIT_START, now_ms);
    say(out, "+try-failover", false);
}

static void select_replica(struct failover *f, int64_t now_ms, struct failover_actions *out)
{
    say(out, "+failover-state-select-slave", false);
    enter(f, FAILOVER_SELECT, now_ms);
    add(out, FAILOVER_ACTION_CHOOSE);
}

static void give_order(struct failover *f, struct failover_actions *out)
{
    add(out, f->hands_over ? FAILOVER_ACTION_HAND_OVER : FAILOVER_ACTION_PROMOTE);
}

static void promoted(struct failover *f, int64_t now_ms, struct failover_actions *out)
{
    say(out, "+promoted-slave", true);
    enter(f, FAILOVER_RECONFIGURE, now_ms);
    say(out, "+failover-state-reconf-slaves", false);
    add(out, FAILOVER_ACTION_PROMOTED);
}

static void update(struct failover *f, int64_t now_ms, struct failover_actions *out)
{
    say(out, "+failover-end", false);
    enter(f, FAILOVER_UPDATE, now_ms);
    add(out, FAILOVER_ACTION_UPDATE);
}

/* Who refuses SLAVEOF NO ONE refuses it again. Without the master's help the one that has most is to be promoted, which
 * another may be by now: the one that the master was to wait for may have come back with less. */
static void refused(struct failover *f, const struct failover_settings *s, int64_t now_ms, struct failover_actions *out)
{
    if (!f->hands_over) {
        give_up(f, "-failover-abort-slave-timeout", true, again_ms(f, s), now_ms, out);
        return;
    }
    f->hands_over = false;
    select_replica(f, now_ms, out);
}

static int64_t election_ms(const struct failover_settings *s)
{
    return s->election_ms < s->timeout_ms ? s->election_ms : s->timeout_ms;
}

static int64_t patience_ms(const struct failover *f, const struct failover_settings *s)
{
    return f->state == FAILOVER_WAIT_START ? election_ms(s) : s->timeout_ms;
}

static void tick(struct failover *f, const struct failover_settings *s, int64_t now_ms, struct failover_actions *out)
{
    if (f->state == FAILOVER_NONE || now_ms - f->since_ms <= patience_ms(f, s)) return;
    switch (f->state) {
    case FAILOVER_WAIT_START: give_up(f, "-failover-abort-not-elected", false, again_ms(f, s), now_ms, out); break;
    case FAILOVER_SEND:
    case FAILOVER_WAIT_PROMOTION: give_up(f, "-failover-abort-slave-timeout", true, again_ms(f, s), now_ms, out); break;
    case FAILOVER_RECONFIGURE:
        say(out, "+failover-end-for-timeout", false);
        add(out, FAILOVER_ACTION_TELL_ALL);
        update(f, now_ms, out);
        break;
    default: break;
    }
}

void failover_start_afresh(struct failover *f)
{
    f->started_ms = f->next_ms = 0;
    f->failed = f->lacks_replica = false;
}

void failover_leave_to_another(struct failover *f, const struct failover_settings *settings, int64_t now_ms)
{
    if (f->state != FAILOVER_NONE) return;
    f->started_ms = now_ms;
    f->next_ms = again_ms(f, settings);
}

static void step_before_promotion(struct failover *f, const struct failover_settings *s, enum failover_event_kind kind,
                                  int64_t now_ms, struct failover_actions *out)
{
    if (f->state == FAILOVER_WAIT_START && (kind == FAILOVER_EVENT_ELECTED || f->forced)) {
        say(out, "+elected-leader", false);
        select_replica(f, now_ms, out);
    } else if (f->state == FAILOVER_WAIT_START && kind == FAILOVER_EVENT_NOT_ELECTED)
        give_up(f, "-failover-abort-not-elected", false, again_ms(f, s), now_ms, out);
    else if (f->state == FAILOVER_WAIT_START && kind == FAILOVER_EVENT_SPLIT)
        give_up(f, "-failover-abort-not-elected", false, now_ms + s->retry_ms, now_ms, out);
    else if (f->state == FAILOVER_SELECT && kind == FAILOVER_EVENT_NONE_GOOD) {
        give_up(f, "-failover-abort-no-good-slave", false, again_ms(f, s), now_ms, out);
        f->lacks_replica = true;
    } else if (f->state == FAILOVER_SELECT && kind == FAILOVER_EVENT_CHOSEN) {
        say(out, "+selected-slave", true);
        enter(f, FAILOVER_SEND, now_ms);
        say(out, "+failover-state-send-slaveof-noone", true);
        give_order(f, out);
    } else if (f->state == FAILOVER_SEND && kind == FAILOVER_EVENT_SENT) {
        enter(f, FAILOVER_WAIT_PROMOTION, now_ms);
        say(out, "+failover-state-wait-promotion", true);
    }
}

void failover_step(struct failover *f, const struct failover_settings *settings, const struct failover_event *event,
                   int64_t now_ms, struct failover_actions *out)
{
    out->count = 0;
    switch (event->kind) {
    case FAILOVER_EVENT_START:
        if (f->state == FAILOVER_NONE) start(f, settings, event, now_ms, out);
        break;
    case FAILOVER_EVENT_REFUSED:
        if (f->state == FAILOVER_SEND || f->state == FAILOVER_WAIT_PROMOTION) refused(f, settings, now_ms, out);
        break;
    case FAILOVER_EVENT_LOST:
        if (f->state == FAILOVER_SEND || f->state == FAILOVER_WAIT_PROMOTION) select_replica(f, now_ms, out);
        break;
    case FAILOVER_EVENT_PROMOTED:
        if (f->state == FAILOVER_WAIT_PROMOTION) promoted(f, now_ms, out);
        break;
    case FAILOVER_EVENT_RECONFIGURED:
        if (f->state == FAILOVER_RECONFIGURE) update(f, now_ms, out);
        break;
    case FAILOVER_EVENT_UPDATED:
        if (f->state == FAILOVER_UPDATE) enter(f, FAILOVER_NONE, now_ms);
        break;
    case FAILOVER_EVENT_ABORT:
        if (f->state != FAILOVER_NONE) give_up(f, NULL, false, f->next_ms, now_ms, out);
        break;
    case FAILOVER_EVENT_TICK: tick(f, settings, now_ms, out); break;
    default: step_before_promotion(f, settings, event->kind, now_ms, out);
    }
}

/* --- replicas --- */

#define NEXT(state) (1u << RECONFIGURATION_##state)

bool reconfiguration_legal(enum reconfiguration from, enum reconfiguration to)
{
    static const unsigned successors[RECONFIGURATION_STATES] = {
        [RECONFIGURATION_NONE] = NEXT(SENT),
        [RECONFIGURATION_SENT] = NEXT(INPROGRESS) | NEXT(NONE),
        [RECONFIGURATION_INPROGRESS] = NEXT(DONE) | NEXT(NONE),
        [RECONFIGURATION_DONE] = NEXT(NONE),
    };
    return successors[from] & (1u << to);
}

enum reconfiguration reconfiguration_next(enum reconfiguration state, bool follows_new_master, bool link_up,
                                          int64_t patience_ms, int64_t in_state_ms)
{
    if (state == RECONFIGURATION_SENT && follows_new_master) return RECONFIGURATION_INPROGRESS;
    if (state == RECONFIGURATION_SENT && in_state_ms > patience_ms) return RECONFIGURATION_NONE;
    if (state == RECONFIGURATION_INPROGRESS && follows_new_master && link_up) return RECONFIGURATION_DONE;
    return state;
}
