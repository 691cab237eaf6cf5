/* Whether a master is down in the eyes of a quorum, and what the other Sentinels answer. Sentinel process; pure. */
#include "server/sentinel/sentinel.h"

#include <inttypes.h>
#include <string.h>

#define ANSWER_AGES_MS 5000 /* an answer older than that says nothing */

static int sentinels_that_say_down(const struct watched *w, int64_t now_ms)
{
    int count = health_is_down(&w->master->health);
    for (int i = 0; i < w->voter_count; i++)
        count += w->voters[i].says_down && now_ms - w->voters[i].answered_ms <= ANSWER_AGES_MS;
    return count;
}

void watched_check_down(struct watched *w, int64_t now_ms)
{
    int count = sentinels_that_say_down(w, now_ms);
    bool down = health_is_down(&w->master->health) && count >= w->settings.quorum;
    if (down == w->down) return;
    w->down = down;
    w->down_since_ms = now_ms;
    if (down) {
        sentinel_say(w->sentinel, LOG_WARNING, "+odown", w, w->master, " #quorum %d/%d", count, w->settings.quorum);
        watched_drive_failover(w, now_ms);
    } else {
        w->begin_ms = 0;
        sentinel_say(w->sentinel, LOG_WARNING, "-odown", w, w->master, "%s", "");
    }
}

static bool asks_for_votes(const struct watched *w)
{
    return w->failover.state == FAILOVER_WAIT_START && !w->failover.forced;
}

void watched_ask_others(struct watched *w, bool at_once, int64_t now_ms)
{
    struct sentinel *s = w->sentinel;
    if (!health_is_down(&w->master->health)) return;
    for (int i = 0; i < w->voter_count; i++) {
        struct voter *v = &w->voters[i];
        if (!v->peer->link[LINK_COMMANDS].up) continue;
        if (!at_once && v->asked_ms && now_ms - v->asked_ms < s->settings.periods.ask) continue;
        v->asked_ms = now_ms;
        struct sentinel_action *a = sentinel_send(s, v->peer, REQUEST_IS_DOWN);
        a->address = w->master->address;
        if (!s->settings.announce_hostnames && *w->master->ip)
            memcpy(a->address.host, w->master->ip, sizeof w->master->ip);
        a->epoch = s->current_epoch;
        memcpy(a->text, w->name, sizeof w->name);
        memcpy(a->run_id, asks_for_votes(w) ? s->run_id : "*", asks_for_votes(w) ? SENTINEL_RUN_ID + 1 : 2);
    }
}

void watched_take_answer(struct watched *w, const char *peer, bool down, const char *leader, uint64_t epoch,
                         int64_t now_ms)
{
    struct voter *v = watched_voter(w, peer);
    if (!v) return;
    sentinel_look_again(w);
    v->says_down = down;
    v->answered_ms = now_ms;
    if (*leader && (v->ballot.epoch != epoch || strcmp(v->ballot.leader, leader) != 0)) {
        sentinel_note(w->sentinel, LOG_WARNING, "%s voted for %s %" PRIu64, peer, leader, epoch);
        memcpy(v->ballot.leader, leader, sizeof v->ballot.leader);
        v->ballot.epoch = epoch;
    }
    if (w->sentinel->tilt.on) return;
    watched_check_down(w, now_ms);
    watched_drive_failover(w, now_ms);
}

int watched_usable_voters(const struct watched *w)
{
    int count = 1;
    for (int i = 0; i < w->voter_count; i++) count += instance_is_up(w->voters[i].peer);
    return count;
}

bool watched_majority_told(const struct watched *w, int64_t within_ms, int64_t now_ms)
{
    int count = 1;
    for (int i = 0; i < w->voter_count; i++)
        count += w->voters[i].told_ms && now_ms - w->voters[i].told_ms <= within_ms;
    return count > (w->voter_count + 1) / 2;
}
