/* A follower's state machine. Server process of the master; pure. Every change of state goes through enter(), which
 * knows the legal ones. */
#include "repl/follower_machine.h"

#include "server/base/check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define TO(state) (1u << FOLLOWER_##state)
#define GIVEN     (TO(WAITING) | TO(ONLINE))
#define REJECT    (TO(REJECTED) | TO(GONE))
#define LEAVES    (TO(DROPPED) | TO(GONE))

#define AFTER_SNAPSHOT (TO(UNPROVEN) | TO(ONLINE))

#define TAKING         (1u << OWES_TAKING)
#define WORD           (1u << OWES_WORD)
#define WHILE_SNAPSHOT (TAKING | WORD | (1u << OWES_CLOSE))

#define CLOSE_WITHIN_MS 20000 /* a backup that is through; who knows why it stays */

/* clang-format off */
static const struct follower_row rows[FOLLOWER_STATES] = {
    /*                     name        INFO's word    online linked beats  times out       successors */
    [FOLLOWER_COMING]   = {"coming",   "wait_bgsave", false, false, false, 0,              TO(QUEUED) | GIVEN | REJECT},
    [FOLLOWER_QUEUED]   = {"queued",   "wait_bgsave", false, false, true,  0,              TO(WAITING) | TO(GONE)},
    [FOLLOWER_WAITING]  = {"waiting",  "wait_bgsave", false, true,  false, TAKING,         TO(SNAPSHOT) | LEAVES},
    [FOLLOWER_SNAPSHOT] = {"snapshot", "send_bulk",   false, true,  false, WHILE_SNAPSHOT, AFTER_SNAPSHOT | LEAVES},
    [FOLLOWER_UNPROVEN] = {"unproven", "online",      true,  true,  false, WORD,           TO(ONLINE) | LEAVES},
    [FOLLOWER_ONLINE]   = {"online",   "online",      true,  true,  false, WORD,           LEAVES},
    [FOLLOWER_REJECTED] = {"rejected", NULL,          false, false, false, 0,              TO(GONE)},
    [FOLLOWER_DROPPED]  = {"dropped",  NULL,          false, true,  false, 0,              TO(GONE)},
    [FOLLOWER_GONE]     = {"gone",     NULL,          false, false, false, 0,              0},
};
/* clang-format on */

const struct follower_row *follower_row(enum follower_state state)
{
    return &rows[state];
}

const struct follower_row *follower_shown(const struct follower_machine *m)
{
    if (m->state == FOLLOWER_GONE) return NULL;
    return &rows[rows[m->state].info_word ? m->state : m->left];
}

bool follower_transition_legal(enum follower_state from, enum follower_state to)
{
    return rows[from].successors & (1u << to);
}

void follower_machine_init(struct follower_machine *m, const struct follower_machine_settings *settings,
                           const char *name, int64_t now_ms)
{
    *m = (struct follower_machine){
        .settings = settings, .name = name, .state = FOLLOWER_COMING, .since_ms = now_ms, .beat_ms = now_ms};
}

static void enter(struct follower_machine *m, enum follower_state state, int64_t now_ms)
{
    CHECK(follower_transition_legal(m->state, state));
    if (rows[state].online && !rows[m->state].online) m->online_ms = now_ms;
    if (rows[m->state].info_word) m->left = m->state;
    m->state = state;
    m->since_ms = now_ms;
}

static struct follower_action *add(struct follower_actions *out, enum follower_action_kind kind)
{
    CHECK(out->count < FOLLOWER_ACTIONS_MAX);
    struct follower_action *a = &out->list[out->count++];
    a->kind = kind;
    a->text[0] = '\0';
    return a;
}

static void __attribute__((format(printf, 3, 4)))
say(struct follower_actions *out, enum follower_action_kind kind, const char *format, ...)
{
    struct follower_action *a = add(out, kind);
    va_list args;
    va_start(args, format);
    vsnprintf(a->text, sizeof a->text, format, args);
    va_end(args);
}

/* --- the way in --- */

static void give(struct follower_machine *m, int64_t now_ms, struct follower_actions *out)
{
    enter(m, m->wish == FOLLOWER_CONTINUES ? FOLLOWER_ONLINE : FOLLOWER_WAITING, now_ms);
    add(out, FOLLOWER_ACTION_GIVE);
}

/* --- the way out --- */

static void go(struct follower_machine *m, int64_t now_ms, struct follower_actions *out)
{
    add(out, FOLLOWER_ACTION_RELEASE);
    enter(m, FOLLOWER_GONE, now_ms);
}

static bool leaves(const struct follower_machine *m)
{
    return !rows[m->state].info_word;
}

/* Who is nobody else's goes at once; the others when the link, or the client's connection, has let go of them. */
static void drop(struct follower_machine *m, int64_t now_ms, struct follower_actions *out)
{
    if (m->state == FOLLOWER_QUEUED) {
        go(m, now_ms, out);
        return;
    }
    if (m->state == FOLLOWER_COMING) add(out, FOLLOWER_ACTION_DETACH);
    enter(m, m->state == FOLLOWER_COMING ? FOLLOWER_REJECTED : FOLLOWER_DROPPED, now_ms);
}

static void dismiss(struct follower_machine *m, const char *why, int64_t now_ms, struct follower_actions *out)
{
    snprintf(m->reason, sizeof m->reason, "%s", why);
    add(out, FOLLOWER_ACTION_DOOM);
    drop(m, now_ms, out);
}

static void unwanted(struct follower_machine *m, const char *why, int64_t now_ms, struct follower_actions *out)
{
    if (leaves(m)) return;
    say(out, FOLLOWER_ACTION_NOTE, "Disconnecting replica %s: %s", m->name, why);
    dismiss(m, why, now_ms, out);
}

static void over_limit(struct follower_machine *m, const char *which, uint64_t lag, uint64_t limit, int64_t now_ms,
                       struct follower_actions *out)
{
    snprintf(m->reason, sizeof m->reason, "it was %" PRIu64 " bytes behind", lag);
    say(out, FOLLOWER_ACTION_WARN,
        "Client of replica %s scheduled to be closed ASAP for overcoming of output buffer limits. It is %" PRIu64
        " bytes behind, the %s limit is %" PRIu64 ".",
        m->name, lag, which, limit);
    add(out, FOLLOWER_ACTION_LIMITED);
    drop(m, now_ms, out);
}

static void doomed(struct follower_machine *m, const struct follower_event *e, int64_t now_ms,
                   struct follower_actions *out)
{
    if (leaves(m)) return;
    if (e->limit_bytes) {
        over_limit(m, "hard", e->lag_bytes, e->limit_bytes, now_ms, out);
        return;
    }
    snprintf(m->reason, sizeof m->reason, "its stream could not be shared any more");
    say(out, FOLLOWER_ACTION_WARN,
        "Replica %s is let go: no memory or no descriptor is left for the stream that it reads", m->name);
    drop(m, now_ms, out);
}

/* Its own going, not our dropping it, while the snapshot was under way or being loaded, is a refusal. */
static void let_go(struct follower_machine *m, const char *why, int64_t now_ms, struct follower_actions *out)
{
    bool began = m->state == FOLLOWER_SNAPSHOT || m->state == FOLLOWER_UNPROVEN;
    say(out, FOLLOWER_ACTION_NOTE, "Connection with replica %s lost: %s", m->name, m->reason[0] ? m->reason : why);
    if (began && m->wish == FOLLOWER_FULL) add(out, FOLLOWER_ACTION_REFUSED);
    go(m, now_ms, out);
}

/* --- the snapshot, taken over --- */

/* With length framing the link goes on to the stream at once: only the follower's word is proof. */
static void streams(struct follower_machine *m, int64_t now_ms, struct follower_actions *out)
{
    enter(m, m->by_mark ? FOLLOWER_ONLINE : FOLLOWER_UNPROVEN, now_ms);
    add(out, FOLLOWER_ACTION_DETACH);
    if (m->by_mark) add(out, FOLLOWER_ACTION_PROVEN);
    say(out, FOLLOWER_ACTION_NOTE, "Synchronization with replica %s succeeded", m->name);
}

/* --- time --- */

/* Whether it has moved since: by taking what it was sent, or by a word. */
static bool has_moved(const struct follower_slot *before, const struct follower_slot *now)
{
    if (now->owes != before->owes || now->owes == OWES_NOTHING) return true;
    return now->owes == OWES_WORD ? now->received_bytes != before->received_bytes
                                  : now->sent_bytes != before->sent_bytes;
}

/* NULL: all is well. */
static const char *timed_out(struct follower_machine *m, const struct follower_slot *slot, int64_t now_ms)
{
    static const char *const reasons[] = {
        [OWES_TAKING] = "it does not take the snapshot",
        [OWES_WORD] = "nothing was heard of it",
        [OWES_CLOSE] = "the snapshot was delivered",
    };
    if (has_moved(&m->slot, slot)) m->moved_ms = now_ms;
    m->slot = *slot;
    int64_t within_ms = slot->owes == OWES_CLOSE ? CLOSE_WITHIN_MS : m->settings->timeout_ms;
    if (!within_ms || !(rows[m->state].times_out & (1u << slot->owes))) return NULL;
    return now_ms - m->moved_ms >= within_ms ? reasons[slot->owes] : NULL;
}

static void end_in_time(struct follower_machine *m, const char *why, int64_t now_ms, struct follower_actions *out)
{
    if (m->slot.owes == OWES_CLOSE) {
        unwanted(m, why, now_ms, out);
        return;
    }
    say(out, FOLLOWER_ACTION_WARN, "Disconnecting timedout replica (%s sync): %s: %s",
        rows[m->state].online ? "streaming" : "full", m->name, why);
    dismiss(m, why, now_ms, out);
}

static void tick(struct follower_machine *m, const struct follower_event *e, int64_t now_ms,
                 struct follower_actions *out)
{
    const struct follower_machine_settings *s = m->settings;
    if (rows[m->state].beats && now_ms - m->beat_ms >= s->beat_ms) {
        m->beat_ms = now_ms;
        add(out, FOLLOWER_ACTION_BEAT);
    }
    if (!rows[m->state].linked || leaves(m)) return;
    const char *why = timed_out(m, &e->slot, now_ms);
    if (why) {
        end_in_time(m, why, now_ms, out);
        return;
    }
    if (!s->soft_limit_bytes || e->lag_bytes <= s->soft_limit_bytes) {
        m->over_ms = 0;
        return;
    }
    if (!m->over_ms) m->over_ms = now_ms;
    if (now_ms - m->over_ms <= s->soft_limit_ms) return;
    add(out, FOLLOWER_ACTION_DOOM);
    over_limit(m, "soft", e->lag_bytes, s->soft_limit_bytes, now_ms, out);
}

/* --- events --- */

static void arrived(struct follower_machine *m, bool ready, int64_t now_ms, struct follower_actions *out)
{
    if (m->state == FOLLOWER_REJECTED)
        go(m, now_ms, out);
    else if (m->state == FOLLOWER_COMING && (ready || m->wish == FOLLOWER_CONTINUES))
        give(m, now_ms, out);
    else if (m->state == FOLLOWER_COMING)
        enter(m, FOLLOWER_QUEUED, now_ms);
}

void follower_machine_step(struct follower_machine *m, const struct follower_event *event, int64_t now_ms,
                           struct follower_actions *out)
{
    out->count = 0;
    switch (event->kind) {
    case FOLLOWER_EVENT_ARRIVED: arrived(m, event->ready, now_ms, out); break;
    case FOLLOWER_EVENT_LEFT:
        if (m->state == FOLLOWER_COMING || m->state == FOLLOWER_REJECTED) go(m, now_ms, out);
        break;
    case FOLLOWER_EVENT_SERVED:
        if (m->state == FOLLOWER_QUEUED) give(m, now_ms, out);
        break;
    case FOLLOWER_EVENT_NOT_TAKEN:
        if (!rows[m->state].linked) break;
        say(out, FOLLOWER_ACTION_WARN, "Can't hand replica %s to the link process: %s", m->name, event->text);
        go(m, now_ms, out);
        break;
    case FOLLOWER_EVENT_BEGUN:
        if (m->state == FOLLOWER_WAITING) enter(m, FOLLOWER_SNAPSHOT, now_ms);
        break;
    case FOLLOWER_EVENT_STREAMS:
        if (m->state == FOLLOWER_WAITING) enter(m, FOLLOWER_SNAPSHOT, now_ms);
        if (m->state == FOLLOWER_SNAPSHOT) streams(m, now_ms, out);
        break;
    case FOLLOWER_EVENT_ACKNOWLEDGED:
        if (m->state != FOLLOWER_UNPROVEN) break;
        enter(m, FOLLOWER_ONLINE, now_ms);
        add(out, FOLLOWER_ACTION_PROVEN);
        break;
    case FOLLOWER_EVENT_UNWANTED: unwanted(m, event->text, now_ms, out); break;
    case FOLLOWER_EVENT_DOOMED: doomed(m, event, now_ms, out); break;
    case FOLLOWER_EVENT_LET_GO:
        if (rows[m->state].linked) let_go(m, event->text, now_ms, out);
        break;
    case FOLLOWER_EVENT_LINK_DIED:
        if (rows[m->state].linked) go(m, now_ms, out);
        break;
    case FOLLOWER_EVENT_TICK: tick(m, event, now_ms, out); break;
    }
}
