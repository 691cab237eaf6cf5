/* See rewrite.h. Server process. */
#include "server/aof/rewrite.h"

#include "server/base/check.h"

#define GROWTH_TOLD_MAX          INT64_C(1000000000000000) /* percent: of next to nothing */
#define FAILURES_BEFORE_BACK_OFF 3
#define BACK_OFF_MOST_MINUTES    60

#define TO(state) (1u << REWRITE_##state)

static void enter(struct rewrite *w, enum rewrite_state state)
{
    static const unsigned successors[REWRITE_STATES] = {
        [REWRITE_IDLE] = TO(SCHEDULED),
        [REWRITE_SCHEDULED] = TO(OPENING) | TO(IDLE),
        [REWRITE_OPENING] = TO(FORKING) | TO(IDLE),
        [REWRITE_FORKING] = TO(CHILD) | TO(IDLE),
        [REWRITE_CHILD] = TO(SWITCHING) | TO(IDLE),
        [REWRITE_SWITCHING] = TO(IDLE),
    };
    CHECK(successors[w->state] & (1u << state));
    w->state = state;
}

void rewrite_init(struct rewrite *w)
{
    *w = (struct rewrite){.last_s = -1, .last_ok = true};
}

static enum rewrite_action begin(struct rewrite *w, int64_t now_ms)
{
    enter(w, REWRITE_OPENING);
    w->withdrawn = false;
    w->started_ms = now_ms;
    return REWRITE_OPEN;
}

static enum rewrite_action finish(struct rewrite *w, int64_t now_ms)
{
    enter(w, REWRITE_IDLE);
    w->last_s = (now_ms - w->started_ms) / 1000;
    w->completed++;
    w->failures = 0;
    w->last_ok = true;
    return REWRITE_FINISH;
}

static enum rewrite_action fail(struct rewrite *w, int64_t now_ms)
{
    if (w->state == REWRITE_CHILD || w->state == REWRITE_SWITCHING) w->last_s = (now_ms - w->started_ms) / 1000;
    enter(w, REWRITE_IDLE);
    if (w->withdrawn) return REWRITE_UNDO;
    w->failures++;
    w->failed_ms = now_ms;
    w->last_ok = false;
    return REWRITE_UNDO;
}

static enum rewrite_action withdraw(struct rewrite *w)
{
    if (w->state == REWRITE_SCHEDULED) enter(w, REWRITE_IDLE);
    if (w->state == REWRITE_IDLE || w->withdrawn) return REWRITE_NOTHING;
    w->withdrawn = true;
    if (w->state == REWRITE_CHILD) return REWRITE_KILL;
    if (w->state != REWRITE_FORKING) return REWRITE_NOTHING;
    enter(w, REWRITE_IDLE);
    return REWRITE_UNDO;
}

static enum rewrite_action go_on(struct rewrite *w, enum rewrite_state next, enum rewrite_action action, int64_t now_ms)
{
    if (w->withdrawn) return fail(w, now_ms);
    enter(w, next);
    return action;
}

static enum rewrite_action done(struct rewrite *w, int64_t now_ms)
{
    switch (w->state) {
    case REWRITE_OPENING: return go_on(w, REWRITE_FORKING, REWRITE_FORK, now_ms);
    case REWRITE_FORKING: return go_on(w, REWRITE_CHILD, REWRITE_NOTHING, now_ms);
    case REWRITE_CHILD: return go_on(w, REWRITE_SWITCHING, REWRITE_SWITCH, now_ms);
    case REWRITE_SWITCHING: return finish(w, now_ms); /* the manifest says so, wanted or not */
    case REWRITE_IDLE:
    case REWRITE_SCHEDULED:
    case REWRITE_STATES: break;
    }
    return REWRITE_NOTHING;
}

enum rewrite_action rewrite_step(struct rewrite *w, enum rewrite_event event, int64_t now_ms)
{
    switch (event) {
    case REWRITE_ASK:
        if (w->state == REWRITE_IDLE) enter(w, REWRITE_SCHEDULED);
        return REWRITE_NOTHING;
    case REWRITE_CLEAR:
        if (w->state == REWRITE_SCHEDULED) return begin(w, now_ms);
        return w->state == REWRITE_FORKING ? REWRITE_FORK : REWRITE_NOTHING;
    case REWRITE_DONE: return done(w, now_ms);
    case REWRITE_BUSY: return REWRITE_NOTHING;
    case REWRITE_FAILED: return rewrite_is_under_way(w) ? fail(w, now_ms) : REWRITE_NOTHING;
    case REWRITE_WITHDRAW: return withdraw(w);
    }
    return REWRITE_NOTHING;
}

bool rewrite_is_under_way(const struct rewrite *w)
{
    return w->state != REWRITE_IDLE && w->state != REWRITE_SCHEDULED;
}

const char *rewrite_state_name(enum rewrite_state state)
{
    static const char *const names[REWRITE_STATES] = {"idle", "scheduled", "opening", "forking", "child", "switching"};
    return names[state];
}

/* --- when --- */

bool rewrite_is_due(const struct rewrite_sizes *sizes, int percentage, int64_t least_bytes, int64_t *growth)
{
    if (percentage <= 0 || sizes->current_bytes <= (uint64_t)least_bytes) return false;
    double base = sizes->base_bytes ? (double)sizes->base_bytes : 1;
    double grown = (double)sizes->current_bytes * 100 / base - 100;
    *growth = grown < GROWTH_TOLD_MAX ? (int64_t)grown : GROWTH_TOLD_MAX;
    return *growth >= percentage;
}

int64_t rewrite_back_off_ms(unsigned failures)
{
    if (failures < FAILURES_BEFORE_BACK_OFF) return 0;
    unsigned doublings = failures - FAILURES_BEFORE_BACK_OFF;
    int64_t minutes = doublings < 6 ? INT64_C(1) << doublings : BACK_OFF_MOST_MINUTES;
    return minutes * 60 * 1000;
}

bool rewrite_is_held_back(const struct rewrite *w, int64_t now_ms)
{
    return now_ms - w->failed_ms < rewrite_back_off_ms(w->failures);
}
