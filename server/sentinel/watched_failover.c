/* The driver of a master's fail-over: when one begins, who has won the election, whom to promote, whom to tell.
 * Sentinel process; pure. */
#include "server/sentinel/choice.h"
#include "server/sentinel/sentinel.h"

#include "server/base/alloc.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define AHEAD_PATIENCE_MS 10000 /* of the 15 s for which such a master waits (repl/comeback.h) */

bool watched_in_failover(const struct watched *w)
{
    return w->failover.state != FAILOVER_NONE;
}

struct failover_settings watched_failover_settings(const struct watched *w, int64_t retry_ms)
{
    return (struct failover_settings){.timeout_ms = w->settings.failover_timeout_ms,
                                      .election_ms = w->sentinel->settings.periods.election,
                                      .retry_ms = retry_ms};
}

/* --- the choice --- */

/* For how long there has been no master to follow, as far as we can know. One that answers, and is another's replica,
 * counts as down much later than it was lost to its own: when their INFO had come to say so,
 * and some time after that. */
static int64_t masterless_ms(const struct watched *w, int64_t now_ms)
{
    const struct health *h = &w->master->health;
    int64_t down_ms = health_is_down(h) ? now_ms - h->since_ms : 0;
    if (!h->wrong_role) return down_ms;
    int64_t wrong_ms = now_ms - h->wrong_role_ms + sentinel_health_settings(w->sentinel, w->master).role_grace_ms;
    return wrong_ms > down_ms ? wrong_ms : down_ms;
}

static struct choice_limits limits(const struct watched *w, int64_t now_ms)
{
    const struct sentinel_periods *p = &w->sentinel->settings.periods;
    bool down = health_is_down(&w->master->health);
    return (struct choice_limits){.answer_ms = 5 * p->ping,
                                  .info_ms = down ? 5 * p->ping : 3 * p->info,
                                  .master_link_ms = masterless_ms(w, now_ms) + 10 * w->settings.down_after_ms};
}

/* Said since it is known that the master has less than others. */
static bool has_no_more(const struct watched *w, const struct instance *replica)
{
    const struct health *h = &w->master->health;
    return h->emptied && replica->report.master_link_up && replica->info_ms >= h->since_ms;
}

bool watched_is_of_reign(const struct watched *w, const char *history)
{
    for (int i = 0; i < w->reign.count; i++)
        if (strcmp(w->reign.history[i], history) == 0) return true;
    return false;
}

/* The master of record follows it: somebody, or a fail-over of an older epoch, has made it so. */
static bool leads_master(const struct watched *w, const struct instance *i)
{
    const struct report *m = &w->master->report;
    return m->role == ROLE_REPLICA && instance_is_at(i, m->master.host, m->master.port);
}

/* It was connected with the master behind the last history that this has told us, and may have heard of a new one: a
 * restart of a master that we do not reach, or find loading, is no news to us. */
static bool may_have_followed_since(const struct watched *w, const struct instance *i)
{
    const struct report *r = &i->report;
    if (r->role != ROLE_REPLICA || !instance_is_at(w->master, r->master.host, r->master.port)) return false;
    if (r->master_link_up) return true;
    int64_t lost_ms = i->info_ms - r->master_link_down_ms - 1000; /* or up to a second later */
    return r->master_link_down_ms >= 0 && lost_ms >= w->reign.told_ms;
}

static void compare_history(const struct watched *w, const struct instance *i, struct candidate *out)
{
    if (leads_master(w, i)) out->is_master = false;
    if (!w->reign.count) return;
    out->followed = watched_is_of_reign(w, i->report.history);
    bool has_former = strcmp(i->report.history, w->reign.before) == 0;
    out->left_behind = !out->followed && (has_former || !may_have_followed_since(w, i));
}

static struct instance *best_replica(const struct watched *w, int64_t now_ms, char explained[CHOICE_TEXT_MAX])
{
    struct candidate *candidates = mem_calloc((size_t)w->replica_count + 1, sizeof *candidates);
    struct choice_limits may = limits(w, now_ms);
    for (int i = 0; i < w->replica_count; i++) {
        instance_candidate(w->replicas[i], now_ms, &candidates[i]);
        candidates[i].has_no_more = has_no_more(w, w->replicas[i]);
        compare_history(w, w->replicas[i], &candidates[i]);
    }
    int best = choice_make(candidates, w->replica_count, &may, explained);
    mem_free(candidates);
    return best < 0 ? NULL : w->replicas[best];
}

/* One that can be reached. Where the master has come back with less, others are coming back as well: each that is not
 * known to be down. */
static bool may_speak(const struct watched *w, const struct instance *r)
{
    return instance_is_up(r) || (w->master->health.emptied && !r->stranger && !health_is_down(&r->health));
}

/* Whether every replica that may speak has told its offset since the master went down, or, where it lives, since one is
 * to be chosen: what is compared should be the last they have. */
static bool replicas_have_spoken(const struct watched *w)
{
    int64_t since_ms = health_is_down(&w->master->health) ? w->master->health.since_ms : w->failover.since_ms;
    for (int i = 0; i < w->replica_count; i++)
        if (may_speak(w, w->replicas[i]) && w->replicas[i]->info_ms < since_ms) return false;
    return true;
}

/* The master has come back with less, and holds somebody back who has more: whoever that is will be here soon. */
static bool awaits_who_is_ahead(const struct watched *w, int64_t now_ms)
{
    return w->master->health.emptied && now_ms - w->failover.since_ms < AHEAD_PATIENCE_MS;
}

/* TICK: not yet. */
static enum failover_event_kind choose(struct watched *w, int64_t now_ms)
{
    char explained[CHOICE_TEXT_MAX];
    if (!replicas_have_spoken(w) && now_ms - w->failover.since_ms < w->sentinel->settings.periods.info_urgent)
        return FAILOVER_EVENT_TICK;
    w->chosen = best_replica(w, now_ms, explained);
    if (!w->chosen && awaits_who_is_ahead(w, now_ms)) return FAILOVER_EVENT_TICK;
    sentinel_note(w->sentinel, LOG_NOTICE, "Choice of a new master for %s: %s", w->name, explained);
    return w->chosen ? FAILOVER_EVENT_CHOSEN : FAILOVER_EVENT_NONE_GOOD;
}

static enum failover_event_kind begin_to_choose(struct watched *w, int64_t now_ms)
{
    if (!replicas_have_spoken(w)) watched_ask_infos(w, now_ms);
    return choose(w, now_ms);
}

/* Their next INFO is not waited for. */
void watched_ask_infos(struct watched *w, int64_t now_ms)
{
    for (int i = 0; i < w->replica_count; i++) {
        w->replicas[i]->info_sent_ms = 0;
        sentinel_tend(w->sentinel, w, w->replicas[i], now_ms);
    }
}

/* --- orders --- */

/* TICK: nothing has left yet. */
static enum failover_event_kind promote(struct watched *w)
{
    if (!w->chosen->link[LINK_COMMANDS].up) return FAILOVER_EVENT_TICK;
    sentinel_send(w->sentinel, w->chosen, REQUEST_PROMOTE);
    w->chosen->info_sent_ms = 0;
    return FAILOVER_EVENT_SENT;
}

static enum failover_event_kind hand_over(struct watched *w)
{
    struct sentinel *s = w->sentinel;
    if (!instance_is_up(w->master)) return FAILOVER_EVENT_REFUSED;
    sentinel_note(s, LOG_NOTICE, "%s:%d of %s lives: it is asked to hand over to %s:%d, which loses no write",
                  w->master->address.host, w->master->address.port, w->name, w->chosen->address.host,
                  w->chosen->address.port);
    struct sentinel_action *a = sentinel_send(s, w->master, REQUEST_HAND_OVER);
    a->address = w->chosen->address;
    a->timeout_ms = w->settings.failover_timeout_ms / 2;
    w->hand_over_accepted = false;
    return FAILOVER_EVENT_SENT;
}

static void set_reconfiguration(struct instance *i, enum reconfiguration state, int64_t now_ms)
{
    i->reconfiguration = state;
    i->reconfiguration_ms = now_ms;
}

static void tell(struct watched *w, struct instance *i, const char *event, int64_t now_ms)
{
    watched_order_follow(w, i);
    sentinel_say(w->sentinel, LOG_NOTICE, event, w, i, "%s", "");
    set_reconfiguration(i, RECONFIGURATION_SENT, now_ms);
}

static void tell_all(struct watched *w, int64_t now_ms)
{
    for (int i = 0; i < w->replica_count; i++) {
        struct instance *r = w->replicas[i];
        if (r == w->chosen || r->reconfiguration != RECONFIGURATION_NONE || r->stranger) continue;
        if (r->link[LINK_COMMANDS].up) tell(w, r, "+slave-reconf-sent-be", now_ms);
    }
}

/* --- the machine's actions --- */

static void reconfigured(struct watched *w, const char *role)
{
    struct sentinel *s = w->sentinel;
    bool by_name = s->settings.announce_hostnames;
    const struct instance *from = w->master, *to = w->chosen;
    struct sentinel_action *a = sentinel_actions_add(s->out, SENTINEL_RECONFIGURED);
    a->master = w->name;
    snprintf(a->text, sizeof a->text, "%s start %s %d %s %d", role, instance_host(from, by_name), from->address.port,
             instance_host(to, by_name), to->address.port);
}

/* Both have changed roles among themselves; the orders have them write that into their files, and part with clients
 * that came to them in their former parts. */
static void seal_hand_over(struct watched *w)
{
    if (w->chosen->link[LINK_COMMANDS].up) sentinel_send(w->sentinel, w->chosen, REQUEST_PROMOTE);
    if (w->master->link[LINK_COMMANDS].up) watched_order_follow(w, w->master);
}

/* A former master that answers goes on taking writes, which are lost: it is told at once. */
static void demote_living_master(struct watched *w, int64_t now_ms)
{
    const struct instance *m = w->master;
    bool answers = m->link[LINK_COMMANDS].up && now_ms - m->health.ok_ms <= 2 * w->sentinel->settings.periods.ping;
    if (w->failover.hands_over) seal_hand_over(w);
    if (!answers || m->report.role != ROLE_MASTER || w->failover.hands_over) return;
    sentinel_note(w->sentinel, LOG_NOTICE, "%s:%d of %s lives, and is told to follow %s:%d", m->address.host,
                  m->address.port, w->name, w->chosen->address.host, w->chosen->address.port);
    watched_order_follow(w, w->master);
}

void watched_spread(struct watched *w)
{
    w->master->hello_sent_ms = 0;
    for (int i = 0; i < w->replica_count; i++) w->replicas[i]->hello_sent_ms = 0;
    for (int i = 0; i < w->voter_count; i++) w->voters[i].peer->hello_sent_ms = 0;
    sentinel_look_again(w);
    w->sentinel->next_ms = 0;
}

/* From here on its configuration is the newest, and spreads. */
static void promoted(struct watched *w, int64_t now_ms)
{
    struct sentinel *s = w->sentinel;
    w->config_epoch = w->failover.epoch;
    sentinel_save(s);
    sentinel_die_if(s, DIE_AFTER_PROMOTION);
    reconfigured(w, "leader");
    demote_living_master(w, now_ms);
    watched_spread(w);
}

static void update(struct watched *w, int64_t now_ms)
{
    struct sentinel_address to = w->chosen->address;
    w->chosen = NULL;
    watched_switch(w, &to, now_ms);
}

static void release(struct watched *w)
{
    w->chosen = NULL;
    for (int i = 0; i < w->replica_count; i++) w->replicas[i]->reconfiguration = RECONFIGURATION_NONE;
}

/* The event that follows at once, or TICK. */
static enum failover_event_kind carry_out(struct watched *w, const struct failover_action *a, int64_t now_ms)
{
    switch (a->kind) {
    case FAILOVER_ACTION_SAY:
        sentinel_say(w->sentinel, LOG_WARNING, a->text, w, a->of_chosen && w->chosen ? w->chosen : w->master, "%s", "");
        if (strcmp(a->text, "+elected-leader") == 0) sentinel_die_if(w->sentinel, DIE_AFTER_ELECTION);
        break;
    case FAILOVER_ACTION_CHOOSE: return begin_to_choose(w, now_ms);
    case FAILOVER_ACTION_PROMOTE: return promote(w);
    case FAILOVER_ACTION_HAND_OVER: return hand_over(w);
    case FAILOVER_ACTION_PROMOTED: promoted(w, now_ms); break;
    case FAILOVER_ACTION_TELL_ALL: tell_all(w, now_ms); break;
    case FAILOVER_ACTION_UPDATE: update(w, now_ms); return FAILOVER_EVENT_UPDATED;
    case FAILOVER_ACTION_RELEASE: release(w); break;
    }
    return FAILOVER_EVENT_TICK;
}

static void run_machine(struct watched *w, struct failover_event event, int64_t now_ms)
{
    struct sentinel *s = w->sentinel;
    int64_t retry_ms = 500 + (int64_t)random_below(&s->random, 1500);
    struct failover_settings settings = watched_failover_settings(w, retry_ms);
    for (bool more = true; more;) {
        struct failover_actions actions;
        failover_step(&w->failover, &settings, &event, now_ms, &actions);
        more = false;
        for (int i = 0; i < actions.count; i++) {
            enum failover_event_kind next = carry_out(w, &actions.list[i], now_ms);
            if (next == FAILOVER_EVENT_TICK) continue;
            event = (struct failover_event){.kind = next};
            more = true;
        }
    }
}

void watched_failover_event(struct watched *w, enum failover_event_kind kind, int64_t now_ms)
{
    run_machine(w, (struct failover_event){.kind = kind}, now_ms);
}

/* --- beginning --- */

static void begin(struct watched *w, bool forced, bool asks_master, int64_t now_ms)
{
    struct sentinel *s = w->sentinel;
    struct failover_event start = {
        .kind = FAILOVER_EVENT_START, .epoch = s->current_epoch + 1, .forced = forced, .hand_over = asks_master};
    w->begin_ms = 0;
    sentinel_raise_epoch(s, start.epoch);
    uint64_t epoch = start.epoch;
    bool voted = election_vote(&w->own, &epoch, start.epoch, s->run_id) & VOTE_GIVEN;
    if (voted) sentinel_save(s); /* also where nobody is asked: this epoch is no one else's then */
    run_machine(w, start, now_ms);
    if (forced) return;
    if (voted) sentinel_say(s, LOG_WARNING, "+vote-for-leader", w, NULL, "%s %" PRIu64, w->own.leader, w->own.epoch);
    watched_ask_others(w, true, now_ms);
}

/* The last one found nobody to promote, and told nobody anything. Not at once, though: others are coming back, too. */
static bool may_begin_early(const struct watched *w, int64_t now_ms)
{
    char explained[CHOICE_TEXT_MAX];
    const struct failover *f = &w->failover;
    return f->lacks_replica && now_ms - f->since_ms >= w->sentinel->settings.periods.info_urgent &&
           best_replica(w, now_ms, explained);
}

static void consider_beginning(struct watched *w, int64_t now_ms)
{
    struct sentinel *s = w->sentinel;
    if (!w->down || watched_in_failover(w)) return;
    if (now_ms < w->failover.next_ms && !may_begin_early(w, now_ms)) return;
    if (!w->begin_ms) {
        int64_t within_ms = s->settings.periods.begin_within;
        w->begin_ms = now_ms + (within_ms > 0 ? (int64_t)random_below(&s->random, (uint64_t)within_ms) : 0);
    }
    if (now_ms >= w->begin_ms)
        begin(w, false, false, now_ms);
    else if (w->begin_ms < s->next_ms)
        s->next_ms = w->begin_ms;
}

void watched_stand_still(struct watched *w, int64_t now_ms)
{
    enum failover_state state = w->failover.state;
    w->begin_ms = 0;
    if (state != FAILOVER_WAIT_START && state != FAILOVER_SELECT && state != FAILOVER_SEND) return;
    sentinel_note(w->sentinel, LOG_WARNING, "The fail-over of %s in epoch %" PRIu64 " is given up, in state %s: TILT",
                  w->name, w->failover.epoch, failover_name(state));
    watched_failover_event(w, FAILOVER_EVENT_ABORT, now_ms);
    failover_start_afresh(&w->failover);
}

const char *watched_force_failover(struct watched *w, int64_t now_ms)
{
    char explained[CHOICE_TEXT_MAX];
    if (w->sentinel->tilt.on) return "TILT This Sentinel is in TILT mode, and does not act: ask another one";
    if (watched_in_failover(w)) return "INPROG Failover already in progress";
    if (!best_replica(w, now_ms, explained)) {
        sentinel_note(w->sentinel, LOG_NOTICE, "No fail-over of %s: %s", w->name, explained);
        return "NOGOODSLAVE No suitable replica to promote";
    }
    sentinel_note(w->sentinel, LOG_WARNING, "Executing user requested FAILOVER of '%s'", w->name);
    begin(w, true, instance_is_up(w->master) && w->master->report.may_hand_over, now_ms);
    watched_drive_failover(w, now_ms);
    return NULL;
}

/* --- going on --- */

static void count_votes(struct watched *w, int64_t now_ms)
{
    struct sentinel *s = w->sentinel;
    struct tally tally;
    int unreachable = 0;
    const struct ballot **ballots = mem_calloc((size_t)w->voter_count + 1, sizeof(struct ballot *));
    for (int i = 0; i < w->voter_count; i++) {
        const struct voter *v = &w->voters[i];
        ballots[i] = &v->ballot;
        unreachable += !instance_is_up(v->peer) && v->ballot.epoch != w->failover.epoch;
    }
    /* Without a majority at hand another election would end no better: then the time-out is waited for. */
    bool majority = w->voter_count + 1 - unreachable > (w->voter_count + 1) / 2;
    election_count(&w->own, ballots, w->voter_count, majority ? unreachable : 0, w->settings.quorum, w->failover.epoch,
                   &tally);
    mem_free(ballots);
    bool settled = tally.elected || tally.split;
    if (settled)
        sentinel_note(s, LOG_NOTICE,
                      "Election for %s, epoch %" PRIu64
                      ": %.8s has %d votes of %d Sentinels, needed are %d; %d have not "
                      "voted, %d of them cannot be reached",
                      w->name, w->failover.epoch, tally.leader, tally.votes, w->voter_count + 1, tally.needed,
                      tally.open, unreachable);
    if (tally.elected)
        watched_failover_event(
            w, strcmp(tally.leader, s->run_id) == 0 ? FAILOVER_EVENT_ELECTED : FAILOVER_EVENT_NOT_ELECTED, now_ms);
    else if (tally.split)
        watched_failover_event(w, FAILOVER_EVENT_SPLIT, now_ms);
}

/* Where one is on its way, from what it says of itself. */
static void move_on(struct watched *w, struct instance *r, int64_t now_ms)
{
    static const char *const events[RECONFIGURATION_STATES] = {[RECONFIGURATION_NONE] = "-slave-reconf-sent-timeout",
                                                               [RECONFIGURATION_INPROGRESS] = "+slave-reconf-inprog",
                                                               [RECONFIGURATION_DONE] = "+slave-reconf-done"};
    const struct report *report = &r->report;
    bool fresh = r->info_ms >= r->reconfiguration_ms && report->role == ROLE_REPLICA;
    bool follows = fresh && instance_is_at(w->chosen, report->master.host, report->master.port);
    for (;;) {
        enum reconfiguration next =
            reconfiguration_next(r->reconfiguration, follows, report->master_link_up,
                                 w->sentinel->settings.periods.reconfigured, now_ms - r->reconfiguration_ms);
        if (next == r->reconfiguration) return;
        sentinel_say(w->sentinel, LOG_NOTICE, events[next], w, r, "%s", "");
        set_reconfiguration(r, next, now_ms);
        if (next == RECONFIGURATION_NONE) return;
    }
}

/* A replica that cannot be reached is not waited for: it is told when it comes back. */
static bool is_waited_for(const struct watched *w, const struct instance *r)
{
    return r != w->chosen && !r->stranger && r->reconfiguration != RECONFIGURATION_DONE && !health_is_down(&r->health);
}

static void reconfigure(struct watched *w, int64_t now_ms)
{
    int under_way = 0, left = 0;
    for (int i = 0; i < w->replica_count; i++) {
        struct instance *r = w->replicas[i];
        if (r == w->chosen || r->stranger) continue;
        move_on(w, r, now_ms);
        under_way += r->reconfiguration == RECONFIGURATION_SENT || r->reconfiguration == RECONFIGURATION_INPROGRESS;
    }
    for (int i = 0; i < w->replica_count; i++) {
        struct instance *r = w->replicas[i];
        if (!is_waited_for(w, r)) continue;
        left++;
        if (r->reconfiguration != RECONFIGURATION_NONE || under_way >= w->settings.parallel_syncs ||
            !r->link[LINK_COMMANDS].up)
            continue;
        tell(w, r, "+slave-reconf-sent", now_ms);
        under_way++;
    }
    if (!left) watched_failover_event(w, FAILOVER_EVENT_RECONFIGURED, now_ms);
}

/* It gave up, because the replica did not catch up in time: then it is done without its help. */
static void check_hand_over(struct watched *w, int64_t now_ms)
{
    const struct report *r = &w->master->report;
    if (!w->failover.hands_over || !w->hand_over_accepted || r->role != ROLE_MASTER || r->hands_over) return;
    sentinel_note(w->sentinel, LOG_WARNING, "%s:%d of %s has given up handing over, after %" PRId64 " ms",
                  w->master->address.host, w->master->address.port, w->name, now_ms - w->failover.since_ms);
    watched_failover_event(w, FAILOVER_EVENT_REFUSED, now_ms);
}

/* It dies before it has said that it is a master: the time-out is not waited for, while others could be promoted. It
 * may have become one all the same; then it is told to follow when it comes back. */
static bool lose_chosen(struct watched *w, int64_t now_ms)
{
    const struct instance *c = w->chosen;
    bool rebooted = c->health.rebooted_ms > w->failover.since_ms && c->report.role == ROLE_REPLICA;
    if (w->failover.hands_over || (!rebooted && !health_is_down(&c->health))) return false;
    sentinel_note(w->sentinel, LOG_WARNING, "%s:%d of %s %s before it was a master: another is chosen", c->address.host,
                  c->address.port, w->name, rebooted ? "came back as a replica" : "went down");
    watched_failover_event(w, FAILOVER_EVENT_LOST, now_ms);
    return true;
}

void watched_drive_failover(struct watched *w, int64_t now_ms)
{
    if (w->sentinel->tilt.on) return;
    consider_beginning(w, now_ms);
    switch (w->failover.state) {
    case FAILOVER_WAIT_START:
        if (w->failover.forced)
            watched_failover_event(w, FAILOVER_EVENT_ELECTED, now_ms);
        else
            count_votes(w, now_ms);
        break;
    case FAILOVER_SELECT: {
        enum failover_event_kind chosen = choose(w, now_ms);
        if (chosen != FAILOVER_EVENT_TICK) watched_failover_event(w, chosen, now_ms);
        break;
    }
    case FAILOVER_SEND: /* its connection may be back */
        if (lose_chosen(w, now_ms)) break;
        if (!w->failover.hands_over && promote(w) == FAILOVER_EVENT_SENT)
            watched_failover_event(w, FAILOVER_EVENT_SENT, now_ms);
        break;
    case FAILOVER_WAIT_PROMOTION:
        if (!lose_chosen(w, now_ms)) check_hand_over(w, now_ms);
        break;
    case FAILOVER_RECONFIGURE: reconfigure(w, now_ms); break;
    default: break;
    }
    if (watched_in_failover(w)) watched_failover_event(w, FAILOVER_EVENT_TICK, now_ms);
}
