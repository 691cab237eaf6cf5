/* server/sentinel/: the pure machines of a Sentinel one by one: health, fail-over, reconfiguration, votes, choice,
 * TILT, hello and INFO. Tables of transitions, and generated events that never leave them (a machine
 * CHECKs its own steps). */
#include "server/base/random.h"
#include "server/sentinel/choice.h"
#include "server/sentinel/election.h"
#include "server/sentinel/failover.h"
#include "server/sentinel/health.h"
#include "server/sentinel/report.h"
#include "server/sentinel/tilt.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C "cccccccccccccccccccccccccccccccccccccccc"

/* --- health --- */

struct patient {
    struct health_settings settings;
    struct health health;
    int64_t now_ms;
};

static struct patient patient(int64_t down_after_ms)
{
    struct patient p = {.settings = {.down_after_ms = down_after_ms, .role_grace_ms = 2000, .link_young_ms = 15000},
                        .now_ms = 1000};
    health_init(&p.health, p.now_ms);
    return p;
}

static unsigned after(struct patient *p, int64_t ms, struct health_event event)
{
    p->now_ms += ms;
    return health_step(&p->health, &p->settings, &event, p->now_ms);
}

static unsigned kind_after(struct patient *p, int64_t ms, enum health_event_kind kind)
{
    return after(p, ms, (struct health_event){.kind = kind});
}

static unsigned answer_after(struct patient *p, int64_t ms, enum health_answer answer)
{
    return after(p, ms, (struct health_event){.kind = HEALTH_EVENT_ANSWERED, .answer = answer});
}

static struct patient patient_that_answered(int64_t down_after_ms)
{
    struct patient p = patient(down_after_ms);
    kind_after(&p, 0, HEALTH_EVENT_LINKED);
    kind_after(&p, 100, HEALTH_EVENT_PINGED);
    answer_after(&p, 1, ANSWER_PONG);
    return p;
}

Test(sentinel_health, silence_is_counted_from_the_oldest_ping)
{
    struct patient p = patient(1000);
    kind_after(&p, 0, HEALTH_EVENT_LINKED);
    kind_after(&p, 5000, HEALTH_EVENT_PINGED);
    cr_assert_eq(kind_after(&p, 600, HEALTH_EVENT_PINGED), 0);
    cr_assert_eq(kind_after(&p, 400, HEALTH_EVENT_TICK), 0);
    cr_assert_eq(p.health.state, HEALTH_LATE);
    cr_assert_eq(health_deadline_ms(&p.health, &p.settings), p.now_ms + 1);
    cr_assert_eq(kind_after(&p, 1, HEALTH_EVENT_TICK), HEALTH_WENT_DOWN);
    cr_assert(strstr(p.health.reason, "no answer to PING for 1001 ms"), "%s", p.health.reason);
    cr_assert_eq(answer_after(&p, 10, ANSWER_PONG), HEALTH_CAME_UP);
    cr_assert_str_eq(p.health.reason, "");
}

Test(sentinel_health, without_a_connection_from_the_last_answer)
{
    struct patient p = patient_that_answered(1000);
    kind_after(&p, 700, HEALTH_EVENT_UNLINKED);
    cr_assert_eq(kind_after(&p, 300, HEALTH_EVENT_TICK), 0);
    cr_assert_eq(kind_after(&p, 1, HEALTH_EVENT_TICK), HEALTH_WENT_DOWN);
    cr_assert(strstr(p.health.reason, "no connection"), "%s", p.health.reason);
}

/* Or nearly so: who closes the connection when the last answer is old is given time to be reached anew. */
Test(sentinel_health, a_connection_that_is_lost_has_time_to_come_back)
{
    struct patient p = patient_that_answered(1000);
    kind_after(&p, 1050, HEALTH_EVENT_UNLINKED);
    cr_assert_eq(kind_after(&p, 50, HEALTH_EVENT_UNLINKED), 0, "a try that fails gives no more time");
    cr_assert_eq(kind_after(&p, 50, HEALTH_EVENT_TICK), 0);
    cr_assert_eq(health_deadline_ms(&p.health, &p.settings), p.now_ms + 1);
    cr_assert_eq(kind_after(&p, 1, HEALTH_EVENT_TICK), HEALTH_WENT_DOWN);
}

Test(sentinel_health, which_answers_are_valid)
{
    static const bool valid[] = {[ANSWER_PONG] = true,
                                 [ANSWER_LOADING] = true,
                                 [ANSWER_MASTERDOWN] = true,
                                 [ANSWER_BUSY] = false,
                                 [ANSWER_OTHER] = false};
    for (int answer = ANSWER_PONG; answer <= ANSWER_OTHER; answer++) {
        struct patient p = patient(1000);
        kind_after(&p, 0, HEALTH_EVENT_LINKED);
        kind_after(&p, 0, HEALTH_EVENT_PINGED);
        answer_after(&p, 10, answer);
        unsigned out = kind_after(&p, 1500, HEALTH_EVENT_TICK);
        cr_assert_eq(!(out & HEALTH_WENT_DOWN), valid[answer], "answer %d", answer);
    }
}

Test(sentinel_health, a_busy_script_is_killed_once_before_it_counts_as_down)
{
    struct patient p = patient(1000);
    kind_after(&p, 0, HEALTH_EVENT_LINKED);
    kind_after(&p, 0, HEALTH_EVENT_PINGED);
    answer_after(&p, 1, ANSWER_BUSY);
    cr_assert_eq(p.health.state, HEALTH_BUSY);
    cr_assert_eq(kind_after(&p, 498, HEALTH_EVENT_TICK), 0);
    cr_assert_eq(kind_after(&p, 2, HEALTH_EVENT_TICK), HEALTH_KILL_SCRIPT);
    cr_assert_eq(kind_after(&p, 100, HEALTH_EVENT_TICK), 0);
    answer_after(&p, 1, ANSWER_BUSY);
    cr_assert_eq(kind_after(&p, 400, HEALTH_EVENT_TICK), HEALTH_WENT_DOWN);
    cr_assert(strstr(p.health.reason, "-BUSY"), "%s", p.health.reason);
}

Test(sentinel_health, a_restarted_master_may_load_only_so_long)
{
    for (int64_t period_ms = 0; period_ms <= 5000; period_ms += 5000) {
        struct patient p = patient(1000);
        p.settings.reboot_down_after_ms = period_ms;
        kind_after(&p, 0, HEALTH_EVENT_LINKED);
        kind_after(&p, 0, HEALTH_EVENT_REBOOTED);
        unsigned out = 0;
        for (int i = 0; i < 20; i++) {
            kind_after(&p, 0, HEALTH_EVENT_PINGED);
            answer_after(&p, 1, ANSWER_LOADING);
            out |= kind_after(&p, 499, HEALTH_EVENT_TICK);
        }
        cr_assert_eq(!(out & HEALTH_WENT_DOWN), period_ms == 0);
    }
}

Test(sentinel_health, a_master_that_says_it_is_a_replica_is_down_in_the_end)
{
    struct patient p = patient(1000);
    kind_after(&p, 0, HEALTH_EVENT_LINKED);
    after(&p, 0, (struct health_event){.kind = HEALTH_EVENT_ROLE, .wrong = true});
    cr_assert_eq(kind_after(&p, 3000, HEALTH_EVENT_TICK), 0);
    cr_assert_eq(health_deadline_ms(&p.health, &p.settings), p.now_ms + 1);
    cr_assert_eq(kind_after(&p, 1, HEALTH_EVENT_TICK), HEALTH_WENT_DOWN);
    cr_assert_eq(answer_after(&p, 1, ANSWER_PONG), 0, "an answer is not enough");
    after(&p, 0, (struct health_event){.kind = HEALTH_EVENT_ROLE, .wrong = false});
    cr_assert_eq(kind_after(&p, 1, HEALTH_EVENT_TICK), HEALTH_CAME_UP);
}

/* It was another's replica from its start on: nobody is moving the master just now. */
Test(sentinel_health, a_master_that_restarts_as_a_replica_is_down_soon)
{
    struct patient p = patient(1000);
    kind_after(&p, 0, HEALTH_EVENT_LINKED);
    after(&p, 0, (struct health_event){.kind = HEALTH_EVENT_ROLE, .wrong = true, .rebooted = true});
    after(&p, 500, (struct health_event){.kind = HEALTH_EVENT_ROLE, .wrong = true});
    cr_assert_eq(kind_after(&p, 500, HEALTH_EVENT_TICK), 0);
    cr_assert_eq(health_deadline_ms(&p.health, &p.settings), p.now_ms + 1);
    cr_assert_eq(kind_after(&p, 1, HEALTH_EVENT_TICK), HEALTH_WENT_DOWN);
}

Test(sentinel_health, generated_events_keep_to_the_table)
{
    struct random_state random;
    random_seed(&random, 7);
    for (int run = 0; run < 200; run++) {
        struct patient p = patient(500 + (int64_t)random_below(&random, 2000));
        bool down = false;
        for (int step = 0; step < 500; step++) {
            struct health_event event = {.kind = random_below(&random, HEALTH_EVENT_TICK + 1),
                                         .answer = random_below(&random, ANSWER_OTHER + 1),
                                         .wrong = random_below(&random, 8) == 0};
            unsigned out = after(&p, (int64_t)random_below(&random, 400), event);
            cr_assert_neq(out & (HEALTH_WENT_DOWN | HEALTH_CAME_UP), HEALTH_WENT_DOWN | HEALTH_CAME_UP);
            if (out & HEALTH_WENT_DOWN) cr_assert(!down);
            if (out & HEALTH_CAME_UP) cr_assert(down);
            down = (down || out & HEALTH_WENT_DOWN) && !(out & HEALTH_CAME_UP);
            cr_assert_eq(down, health_is_down(&p.health));
            cr_assert_eq(down, *p.health.reason != '\0');
        }
    }
}

/* --- fail-over --- */

static const struct failover_settings failover_ms = {.timeout_ms = 60000, .election_ms = 10000, .retry_ms = 700};

static bool says(const struct failover_actions *out, const char *text)
{
    for (int i = 0; i < out->count; i++)
        if (out->list[i].kind == FAILOVER_ACTION_SAY && strcmp(out->list[i].text, text) == 0) return true;
    return false;
}

static bool does(const struct failover_actions *out, enum failover_action_kind kind)
{
    for (int i = 0; i < out->count; i++)
        if (out->list[i].kind == kind) return true;
    return false;
}

static struct failover_actions feed(struct failover *f, struct failover_event event, int64_t now_ms)
{
    struct failover_actions out;
    failover_step(f, &failover_ms, &event, now_ms, &out);
    return out;
}

static struct failover_actions feed_kind(struct failover *f, enum failover_event_kind kind, int64_t now_ms)
{
    return feed(f, (struct failover_event){.kind = kind}, now_ms);
}

static struct failover begun(bool forced, bool hand_over)
{
    struct failover f;
    failover_init(&f);
    struct failover_event start = {.kind = FAILOVER_EVENT_START, .epoch = 3, .forced = forced, .hand_over = hand_over};
    struct failover_actions out = feed(&f, start, 1000);
    cr_assert(says(&out, "+try-failover"));
    return f;
}

Test(sentinel_failover, the_whole_way)
{
    struct failover f = begun(false, false);
    struct failover_actions out = feed_kind(&f, FAILOVER_EVENT_TICK, 2000);
    cr_assert_eq(out.count, 0);
    out = feed_kind(&f, FAILOVER_EVENT_ELECTED, 2000);
    cr_assert(says(&out, "+elected-leader") && says(&out, "+failover-state-select-slave"));
    cr_assert(does(&out, FAILOVER_ACTION_CHOOSE));
    out = feed_kind(&f, FAILOVER_EVENT_CHOSEN, 2000);
    cr_assert(says(&out, "+selected-slave") && does(&out, FAILOVER_ACTION_PROMOTE));
    out = feed_kind(&f, FAILOVER_EVENT_SENT, 2000);
    cr_assert(says(&out, "+failover-state-wait-promotion"));
    out = feed_kind(&f, FAILOVER_EVENT_PROMOTED, 2100);
    cr_assert(says(&out, "+promoted-slave") && does(&out, FAILOVER_ACTION_PROMOTED));
    out = feed_kind(&f, FAILOVER_EVENT_RECONFIGURED, 2500);
    cr_assert(says(&out, "+failover-end") && does(&out, FAILOVER_ACTION_UPDATE));
    feed_kind(&f, FAILOVER_EVENT_UPDATED, 2500);
    cr_assert_eq(f.state, FAILOVER_NONE);
    cr_assert_eq(f.next_ms, 1000 + 2 * failover_ms.timeout_ms);
    cr_assert(!f.failed);
}

Test(sentinel_failover, a_chosen_one_that_is_lost_makes_room_for_another)
{
    static const enum failover_event_kind way[] = {FAILOVER_EVENT_ELECTED, FAILOVER_EVENT_CHOSEN, FAILOVER_EVENT_SENT};
    for (size_t steps = 2; steps <= 3; steps++) {
        struct failover f = begun(false, false);
        for (size_t i = 0; i < steps; i++) feed_kind(&f, way[i], 2000);
        struct failover_actions out = feed_kind(&f, FAILOVER_EVENT_LOST, 3000);
        cr_assert_eq(f.state, FAILOVER_SELECT);
        cr_assert(does(&out, FAILOVER_ACTION_CHOOSE) && !says(&out, "+elected-leader"));
        out = feed_kind(&f, FAILOVER_EVENT_CHOSEN, 3000);
        cr_assert(does(&out, FAILOVER_ACTION_PROMOTE));
    }
    struct failover f = begun(false, false);
    for (size_t i = 0; i < 3; i++) feed_kind(&f, way[i], 2000);
    feed_kind(&f, FAILOVER_EVENT_PROMOTED, 2500);
    feed_kind(&f, FAILOVER_EVENT_LOST, 3000);
    cr_assert_eq(f.state, FAILOVER_RECONFIGURE, "there is no way back");
}

Test(sentinel_failover, time_outs_and_refusals)
{
    struct failover f = begun(false, false);
    feed_kind(&f, FAILOVER_EVENT_TICK, 11000);
    cr_assert_eq(f.state, FAILOVER_WAIT_START);
    struct failover_actions out = feed_kind(&f, FAILOVER_EVENT_TICK, 11001);
    cr_assert(says(&out, "-failover-abort-not-elected") && does(&out, FAILOVER_ACTION_RELEASE));

    f = begun(false, false);
    feed_kind(&f, FAILOVER_EVENT_SPLIT, 1200);
    cr_assert_eq(f.next_ms, 1900, "nobody has won: another try comes soon");
    f = begun(false, false);
    feed_kind(&f, FAILOVER_EVENT_NOT_ELECTED, 1200);
    cr_assert_eq(f.next_ms, 121000, "the winner gets its time");

    f = begun(true, false);
    feed_kind(&f, FAILOVER_EVENT_ELECTED, 1000);
    out = feed_kind(&f, FAILOVER_EVENT_NONE_GOOD, 1000);
    cr_assert(says(&out, "-failover-abort-no-good-slave"));

    f = begun(true, false);
    feed_kind(&f, FAILOVER_EVENT_ELECTED, 1000);
    feed_kind(&f, FAILOVER_EVENT_CHOSEN, 1000);
    feed_kind(&f, FAILOVER_EVENT_SENT, 1000);
    out = feed_kind(&f, FAILOVER_EVENT_TICK, 61001);
    cr_assert(says(&out, "-failover-abort-slave-timeout"));
    cr_assert_eq(f.state, FAILOVER_NONE);
}

Test(sentinel_failover, after_the_promotion_there_is_no_way_back)
{
    struct failover f = begun(true, false);
    feed_kind(&f, FAILOVER_EVENT_ELECTED, 1000);
    feed_kind(&f, FAILOVER_EVENT_CHOSEN, 1000);
    feed_kind(&f, FAILOVER_EVENT_SENT, 1000);
    feed_kind(&f, FAILOVER_EVENT_PROMOTED, 2000);
    struct failover_actions out = feed_kind(&f, FAILOVER_EVENT_TICK, 62001);
    cr_assert(says(&out, "+failover-end-for-timeout") && does(&out, FAILOVER_ACTION_TELL_ALL));
    cr_assert(does(&out, FAILOVER_ACTION_UPDATE));
}

Test(sentinel_failover, a_master_that_will_not_hand_over_is_passed_over)
{
    struct failover f = begun(true, true);
    feed_kind(&f, FAILOVER_EVENT_ELECTED, 1000);
    struct failover_actions out = feed_kind(&f, FAILOVER_EVENT_CHOSEN, 1000);
    cr_assert(does(&out, FAILOVER_ACTION_HAND_OVER) && !does(&out, FAILOVER_ACTION_PROMOTE));
    feed_kind(&f, FAILOVER_EVENT_SENT, 1000);
    out = feed_kind(&f, FAILOVER_EVENT_REFUSED, 1100);
    cr_assert(does(&out, FAILOVER_ACTION_CHOOSE), "the one that was to take over may have less than another by now");
    out = feed_kind(&f, FAILOVER_EVENT_CHOSEN, 1100);
    cr_assert(does(&out, FAILOVER_ACTION_PROMOTE) && !does(&out, FAILOVER_ACTION_HAND_OVER));
    cr_assert_eq(f.state, FAILOVER_SEND);
}

Test(sentinel_failover, generated_events_keep_to_the_table)
{
    struct random_state random;
    random_seed(&random, 11);
    for (int run = 0; run < 500; run++) {
        struct failover f;
        failover_init(&f);
        for (int64_t now_ms = 1; now_ms < 2000000; now_ms += 1 + (int64_t)random_below(&random, 20000)) {
            struct failover_event event = {.kind = random_below(&random, FAILOVER_EVENT_TICK + 1),
                                           .epoch = random_below(&random, 100),
                                           .forced = random_below(&random, 2),
                                           .hand_over = random_below(&random, 2)};
            enum failover_state before = f.state;
            struct failover_actions out = feed(&f, event, now_ms);
            if (before != FAILOVER_NONE && f.state == FAILOVER_NONE && before != FAILOVER_UPDATE)
                cr_assert(does(&out, FAILOVER_ACTION_RELEASE), "whoever was chosen is let go");
        }
    }
}

Test(sentinel_failover, a_replica_moves_on_by_what_it_says)
{
    cr_assert_eq(reconfiguration_next(RECONFIGURATION_NONE, true, true, 10000, 0), RECONFIGURATION_NONE);
    cr_assert_eq(reconfiguration_next(RECONFIGURATION_SENT, true, true, 10000, 0), RECONFIGURATION_INPROGRESS);
    cr_assert_eq(reconfiguration_next(RECONFIGURATION_SENT, false, true, 10000, 10000), RECONFIGURATION_SENT);
    cr_assert_eq(reconfiguration_next(RECONFIGURATION_SENT, false, true, 10000, 10001), RECONFIGURATION_NONE);
    cr_assert_eq(reconfiguration_next(RECONFIGURATION_INPROGRESS, true, false, 10000, 0), RECONFIGURATION_INPROGRESS);
    cr_assert_eq(reconfiguration_next(RECONFIGURATION_INPROGRESS, true, true, 10000, 0), RECONFIGURATION_DONE);
    for (int from = 0; from < RECONFIGURATION_STATES; from++)
        for (int bits = 0; bits < 8; bits++) {
            enum reconfiguration to = reconfiguration_next(from, bits & 1, bits & 2, 10000, bits & 4 ? 20000 : 0);
            cr_assert((int)to == from || reconfiguration_legal(from, to));
        }
}

/* --- votes --- */

Test(sentinel_election, one_vote_an_epoch)
{
    struct ballot own = {0};
    uint64_t epoch = 0;
    cr_assert_eq(election_vote(&own, &epoch, 1, A), VOTE_NEW_EPOCH | VOTE_GIVEN);
    cr_assert_eq(election_vote(&own, &epoch, 1, B), 0);
    cr_assert_str_eq(own.leader, A);
    cr_assert_eq(election_vote(&own, &epoch, 3, B), VOTE_NEW_EPOCH | VOTE_GIVEN);
    cr_assert_eq(election_vote(&own, &epoch, 2, C), 0, "an epoch that is over");
    cr_assert_eq(own.epoch, 3);
    cr_assert_eq(epoch, 3);
}

Test(sentinel_election, majority_and_quorum)
{
    struct ballot own = {A, 5}, same = {A, 5}, other = {B, 5}, old = {A, 4};
    struct tally t;
    const struct ballot *two[] = {&same, &other}, *none[] = {&old, &old}, *against[] = {&other, &(struct ballot){C, 5}};
    election_count(&own, two, 2, 0, 2, 5, &t);
    cr_assert(t.elected && t.votes == 2 && t.needed == 2);
    election_count(&own, two, 2, 0, 3, 5, &t);
    cr_assert(!t.elected && t.split, "a quorum above the majority asks for more");
    election_count(&own, none, 2, 0, 1, 5, &t);
    cr_assert(!t.elected && !t.split && t.open == 2, "a quorum below the majority is not enough");
    election_count(&own, none, 2, 2, 1, 5, &t);
    cr_assert(t.split, "nobody can be asked any more");
    election_count(&own, against, 2, 0, 1, 5, &t);
    cr_assert(t.split && t.votes == 1);
    election_count(&own, NULL, 0, 0, 1, 5, &t);
    cr_assert(t.elected, "a Sentinel alone");
}

/* --- choice --- */

static const struct choice_limits choice_ms = {.answer_ms = 5000, .info_ms = 5000, .master_link_ms = 20000};

static struct candidate good(const char *run_id, int64_t priority, uint64_t offset)
{
    return (struct candidate){
        .host = "10.0.0.1", .port = 6379, .run_id = run_id, .linked = true, .priority = priority, .offset = offset};
}

Test(sentinel_choice, priority_then_offset_then_run_id)
{
    char text[CHOICE_TEXT_MAX];
    struct candidate by_priority[] = {good(A, 100, 900), good(B, 10, 1)};
    cr_assert_eq(choice_make(by_priority, 2, &choice_ms, text), 1);
    cr_assert(strstr(text, "899 BYTES MORE"), "%s", text);
    struct candidate by_offset[] = {good(A, 100, 5), good(B, 100, 6)};
    cr_assert_eq(choice_make(by_offset, 2, &choice_ms, text), 1);
    struct candidate by_run_id[] = {good("", 100, 5), good(B, 100, 5), good(A, 100, 5)};
    cr_assert_eq(choice_make(by_run_id, 3, &choice_ms, text), 2);
    cr_assert_eq(choice_make(by_run_id, 1, &choice_ms, text), 0, "unknown ranks last, and is better than nobody");
    cr_assert_eq(choice_make(NULL, 0, &choice_ms, text), -1);
    struct candidate by_role[] = {good(A, 100, 900), good(B, 100, 5)};
    by_role[0].is_master = true;
    cr_assert_eq(choice_make(by_role, 2, &choice_ms, text), 1, "a former master counts another history");
    cr_assert(strstr(text, "it is a master itself"), "%s", text);
    cr_assert_eq(choice_make(by_role, 1, &choice_ms, text), 0, "it is better than nobody");
}

Test(sentinel_choice, the_last_masters_history_before_the_one_that_it_left)
{
    char text[CHOICE_TEXT_MAX];
    for (int order = 0; order < 2; order++) { /* whoever is looked at first */
        struct candidate c[] = {good(A, 100, 700), good(B, 100, 700), good(C, 100, 700)};
        struct candidate *followed = &c[2 * order], *left = &c[2 - 2 * order];
        followed->followed = left->left_behind = true;
        followed->offset = 5;
        left->offset = 900;
        c[1].offset = 4;
        cr_assert_eq(choice_make(c, 3, &choice_ms, text), followed - c, "%s", text);
        cr_assert(strstr(text, "it has not followed the last master") && !strstr(text, "MORE"), "%s", text);
        c[1].offset = 6;
        cr_assert_eq(choice_make(c, 3, &choice_ms, text), 1, "one of which nothing is known counts by its offset");
        followed->loading = true;
        cr_assert_eq(choice_make(c, 3, &choice_ms, text), left - c, "nobody who has followed can be promoted");
        followed->loading = false;
        left->priority = 10;
        cr_assert_eq(choice_make(c, 3, &choice_ms, text), left - c, "priority comes first, as documented");
    }
}

Test(sentinel_choice, who_is_left_aside)
{
    char text[CHOICE_TEXT_MAX];
    struct candidate c[10];
    for (int i = 0; i < 10; i++) c[i] = good(A, 1, 1000);
    c[0].down = true;
    c[1].linked = false;
    c[2].priority = 0;
    c[3].loading = true;
    c[4].answered_ago_ms = 5001;
    c[5].info_ago_ms = -1;
    c[6].info_ago_ms = 5001;
    c[7].master_link_down_ms = 20001;
    c[8].stranger = true;
    c[9].has_no_more = true;
    for (int i = 0; i < 10; i++) {
        cr_assert_not_null(choice_obstacle(&c[i], &choice_ms), "%d", i);
        struct candidate two[] = {c[i], good(B, 100, 10)};
        cr_assert_eq(choice_make(two, 2, &choice_ms, text), 1);
        cr_assert(strstr(text, choice_obstacle(&c[i], &choice_ms)), "the line says why: %s", text);
    }
    cr_assert_eq(choice_make(c, 10, &choice_ms, text), -1);
    cr_assert(strstr(text, "no replica can be promoted (10 known)"));
}

Test(sentinel_choice, who_has_nothing_waits_for_those_that_load)
{
    char text[CHOICE_TEXT_MAX];
    struct candidate two[] = {good(A, 1, 0), good(B, 100, 0)};
    two[1].loading = true;
    for (two[0].offset = 0; two[0].offset < 2; two[0].offset++) {
        cr_assert_eq(choice_make(two, 2, &choice_ms, text), -1);
        cr_assert(strstr(text, "it has nothing, and another is loading its dataset"), "%s", text);
    }
    two[0].offset = 100;
    cr_assert_eq(choice_make(two, 2, &choice_ms, text), 0, "a part is something");
    two[0].offset = 0;
    two[1].priority = 0;
    cr_assert_eq(choice_make(two, 2, &choice_ms, text), 0, "the other would not be promoted then either");
    two[1].priority = 100;
    two[1].down = true;
    cr_assert_eq(choice_make(two, 2, &choice_ms, text), 0, "nor would this one");
    two[1] = good(B, 100, 0);
    cr_assert_eq(choice_make(two, 2, &choice_ms, text), 0, "nobody loads");
}

/* --- TILT --- */

Test(sentinel_tilt, begins_with_a_gap_and_ends_after_a_while)
{
    static const struct tilt_settings tilt_settings = {TILT_AFTER_MS, TILT_LASTS_MS};
    struct tilt t = {0};
    int64_t now_ms = 1000;
    cr_assert_eq(tilt_tick(&t, &tilt_settings, now_ms), TILT_SAME);
    cr_assert_eq(tilt_tick(&t, &tilt_settings, now_ms += 2000), TILT_SAME);
    cr_assert_eq(tilt_tick(&t, &tilt_settings, now_ms += 2001), TILT_BEGINS);
    for (int64_t passed = 100; passed <= 30000; passed += 100)
        cr_assert_eq(tilt_tick(&t, &tilt_settings, now_ms += 100), TILT_SAME);
    cr_assert_eq(tilt_tick(&t, &tilt_settings, now_ms += 100), TILT_ENDS);
    cr_assert_eq(tilt_tick(&t, &tilt_settings, now_ms - 1), TILT_BEGINS, "time that runs backwards");
}

/* --- hello and INFO --- */

Test(sentinel_hello, as_it_is_written_it_is_read)
{
    struct hello in = {.sender = {"sentinel-0.sentinel", 26379},
                       .run_id = A,
                       .current_epoch = 7,
                       .master_name = "mymaster",
                       .master = {"10.0.0.1", 6379},
                       .config_epoch = 5},
                 out;
    char text[HELLO_TEXT_MAX];
    size_t len = hello_format(&in, text);
    cr_assert_str_eq(text, "sentinel-0.sentinel,26379," A ",7,mymaster,10.0.0.1,6379,5");
    cr_assert_eq(hello_parse(bytes_make(text, len), &out), 0);
    cr_assert_eq(memcmp(&in, &out, sizeof in), 0);
}

Test(sentinel_hello, what_makes_no_sense_is_refused)
{
    static const char *const bad[] = {"",
                                      ",,,,,,,",
                                      "1.1.1.1,26379," A ",7,m,1.1.1.1,6379",
                                      "1.1.1.1,26379," A ",7,m,1.1.1.1,6379,5,6",
                                      "1.1.1.1,0," A ",7,m,1.1.1.1,6379,5",
                                      "1.1.1.1,65536," A ",7,m,1.1.1.1,6379,5",
                                      "1.1.1.1,26379,short,7,m,1.1.1.1,6379,5",
                                      "1.1.1.1,26379," A ",-7,m,1.1.1.1,6379,5",
                                      "1.1.1.1,26379," A ",7,m,,6379,5"};
    struct hello out;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_neq(hello_parse(bytes_from_text(bad[i]), &out), 0, "%s", bad[i]);
}

Test(sentinel_hello, the_sender_is_seen_without_reading_it)
{
    static const char text[] = "1.1.1.1,26379," A ",7,m,1.1.1.1,6379,5";
    cr_assert(hello_is_of(bytes_from_text(text), A));
    cr_assert(!hello_is_of(bytes_from_text(text), B));
    for (size_t len = 0; len <= strlen("1.1.1.1,26379," A); len++) cr_assert(!hello_is_of(bytes_make(text, len), A));
}

Test(sentinel_hello, no_bytes_bring_it_down)
{
    struct random_state random;
    random_seed(&random, 13);
    char text[HELLO_TEXT_MAX], base[] = "1.1.1.1,26379," A ",7,m,1.1.1.1,6379,5";
    struct hello out;
    for (int i = 0; i < 20000; i++) {
        memcpy(text, base, sizeof base);
        for (uint64_t n = random_below(&random, 6); n; n--)
            text[random_below(&random, sizeof base - 1)] = (char)random_below(&random, 256);
        hello_parse(bytes_make(text, random_below(&random, sizeof base)), &out);
    }
}

Test(sentinel_report, sections_about_the_process_are_passed_over)
{
    struct report r;
    report_parse(bytes_from_text("# Memory\r\nrole:slave\r\nmem_allocator:a#b\r\n#\r\n# Server\r\nrun_id:" B "\r\n"
                                 "config_file:/etc/#1.conf\r\nuptime_in_seconds:7\r\n\r\n# Stats\r\n# Clients\r\n"
                                 "connected_slaves:3\r\n\r\n# Replication\r\nrole:master\r\nconnected_slaves:1\r\n\r\n"
                                 "# CPU\r\nloading:1"),
                 &r);
    cr_assert_str_eq(r.run_id, B);
    cr_assert_eq(r.uptime_s, 7);
    cr_assert_eq(r.role, ROLE_MASTER);
    cr_assert_eq(r.connected_replicas, 1);
    cr_assert_not(r.loading);
}

Test(sentinel_report, what_a_replica_and_a_master_say)
{
    struct report r;
    report_parse(bytes_from_text("# Server\r\nrun_id:" B "\r\nloading:1\r\n# Replication\r\nrole:slave\r\n"
                                 "master_host:redis-0.redis\r\nmaster_port:6380\r\nmaster_link_status:down\r\n"
                                 "master_link_down_since_seconds:12\r\nslave_repl_offset:77\r\nslave_priority:0\r\n"
                                 "replica_announced:0\r\nmaster_replid:" A "\r\nmaster_replid2:" C "\r\n"
                                 "# Keyspace\r\ndb0:keys=3,expires=1,avg_ttl=0\r\ndb5:keys=4\r\n"),
                 &r);
    cr_assert_str_eq(r.run_id, B);
    cr_assert_str_eq(r.history, A);
    cr_assert_str_eq(r.second_history, C);
    cr_assert_eq(r.role, ROLE_REPLICA);
    cr_assert(r.loading && !r.master_link_up && !r.announced && !r.may_hand_over);
    cr_assert_str_eq(r.master.host, "redis-0.redis");
    cr_assert_eq(r.master.port, 6380);
    cr_assert_eq(r.master_link_down_ms, 12000);
    cr_assert_eq(r.offset, 77);
    cr_assert_eq(r.priority, 0);
    cr_assert_eq(r.keys, 7);

    struct bytes info = bytes_from_text(
        "role:master\nconnected_slaves:2\nslave0:ip=10.0.0.2,port=6379,state=online,offset=5,lag=0\n"
        "slave1:ip=,port=1\nslave2:state=online,port=6380,ip=h\nslaveof:x\nmaster_failover_state:no-failover\n"
        "master_repl_offset:99");
    report_parse(info, &r);
    cr_assert_eq(r.role, ROLE_MASTER);
    cr_assert_eq(r.master_offset, 99);
    cr_assert(r.may_hand_over);
    struct sentinel_address at;
    size_t from = 0;
    cr_assert(report_next_replica(info, &from, &at));
    cr_assert_str_eq(at.host, "10.0.0.2");
    cr_assert(report_next_replica(info, &from, &at));
    cr_assert_str_eq(at.host, "h");
    cr_assert_eq(at.port, 6380);
    cr_assert(!report_next_replica(info, &from, &at));
}
