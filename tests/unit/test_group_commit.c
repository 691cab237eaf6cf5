/* When an fsync begins: whose answers wait for it, in a world where an fsync takes its time and clients come back when
 * they like. */
#include <criterion/criterion.h>

#include "server/core/dataset/group_commit.h"

#include <string.h>

TestSuite(group_commit, .timeout = 10);

#define CLIENTS 50

/* A journal and a disk that take sync_us, and clients of whom each speaks again think_us behind its answer, one after
 * another in steps of step_us. */
struct world {
    struct group_commit g;
    int64_t now_us, sync_us, think_us, step_us;
    int64_t speaks_us[CLIENTS]; /* INT64_MAX: it waits for its answer */
    bool waits[CLIENTS], in_sync[CLIENTS], was_answered[CLIENTS];
    int64_t sync_ends_us; /* 0: none */
    bool free, called;
    unsigned syncs, answers;
};

static unsigned count(const bool *which)
{
    unsigned n = 0;
    for (int i = 0; i < CLIENTS; i++) n += which[i];
    return n;
}

static void begin_sync(struct world *w)
{
    if (w->sync_ends_us || !(w->free || w->called) || !count(w->waits)) return;
    memcpy(w->in_sync, w->waits, sizeof w->waits);
    w->sync_ends_us = w->now_us + w->sync_us;
    w->called = false;
    w->syncs++;
}

static void act(struct world *w, enum group_action action)
{
    w->free = action == GROUP_GOES;
    w->called |= action == GROUP_CALL;
    begin_sync(w);
}

static void end_sync(struct world *w)
{
    int64_t at_us = w->now_us + w->think_us;
    for (int i = 0; i < CLIENTS; i++) {
        w->was_answered[i] = w->in_sync[i];
        if (!w->in_sync[i]) continue;
        w->waits[i] = false;
        w->speaks_us[i] = at_us += w->step_us;
    }
    unsigned answered = count(w->in_sync);
    w->answers += answered;
    w->sync_ends_us = 0;
    if (w->free) begin_sync(w); /* before the server hears of it */
    act(w, group_commit_answered(&w->g, w->now_us, answered, count(w->waits), !w->called));
}

static void turn(struct world *w)
{
    for (int i = 0; i < CLIENTS; i++) {
        if (w->speaks_us[i] > w->now_us) continue;
        w->waits[i] = true;
        w->speaks_us[i] = INT64_MAX;
    }
    unsigned returned = 0;
    for (int i = 0; i < CLIENTS; i++) returned += w->was_answered[i] && w->waits[i];
    act(w, group_commit_turn(&w->g, w->now_us, count(w->waits), returned));
}

static void begin(struct world *w, int clients)
{
    w->free = true;
    for (int i = 0; i < CLIENTS; i++) w->speaks_us[i] = i < clients ? i * 37 : INT64_MAX;
}

/* Counts what happens in this time. */
static void live(struct world *w, int64_t us)
{
    w->syncs = w->answers = 0;
    for (int64_t end_us = w->now_us + us; w->now_us < end_us; w->now_us += 10) {
        if (w->sync_ends_us && w->now_us >= w->sync_ends_us) end_sync(w);
        turn(w);
    }
}

Test(group_commit, clients_that_speak_at_once_share_one_fsync)
{
    struct world w = {.sync_us = 5000, .think_us = 100, .step_us = 20};
    begin(&w, CLIENTS);
    live(&w, 1000000);
    live(&w, 1000000);
    /* Two groups by turns would be half as many an fsync. */
    cr_expect_geq(w.answers, (w.syncs - 1) * (CLIENTS - 2), "%u answers, %u fsyncs", w.answers, w.syncs);
    cr_expect_geq(w.syncs, 1000000 / (5000 + 100 + CLIENTS * 20) - 2, "%u", w.syncs);
}

Test(group_commit, who_thinks_is_not_waited_for)
{
    struct world w = {.sync_us = 5000, .think_us = 4000, .step_us = 20};
    begin(&w, CLIENTS);
    live(&w, 1000000);
    cr_expect_eq(w.g.state, GROUP_FREE);
    cr_expect(w.free);
}

Test(group_commit, nor_is_anybody_where_the_disk_is_fast)
{
    struct world w = {.sync_us = 60, .think_us = 10};
    begin(&w, CLIENTS);
    live(&w, 100000);
    cr_expect_eq(w.g.state, GROUP_FREE);
    cr_expect(w.free);
}

Test(group_commit, a_client_that_is_alone_waits_for_its_own_fsync)
{
    struct world w = {.sync_us = 5000, .think_us = 100, .step_us = 20};
    begin(&w, 1);
    live(&w, 1000000);
    cr_expect_geq(w.answers, 1000000 / (5000 + 120 + 30) - 1, "%u", w.answers);
}

/* All but one never speak again: that costs one wait, of half an fsync. */
Test(group_commit, who_does_not_come_back_is_waited_for_once)
{
    struct world w = {.sync_us = 5000, .think_us = 100, .step_us = 20};
    begin(&w, CLIENTS);
    live(&w, 1000000);
    for (int i = 1; i < CLIENTS; i++) w.waits[i] = w.in_sync[i] = w.was_answered[i] = false;
    begin(&w, w.waits[0] ? 0 : 1);
    w.free = w.g.state == GROUP_FREE;
    live(&w, 1000000);
    cr_expect_geq(w.answers, 1000000 / (5000 + 120 + 30) - 3, "%u", w.answers);
}

/* The fsync was for one who has gone meanwhile; who came since is not left behind, and waits for no company. */
Test(group_commit, an_fsync_that_answers_nobody_is_followed_by_the_next)
{
    struct group_commit g = {.sync_us = 5000, .known = 2, .known_returned = 2};
    cr_expect_eq(group_commit_turn(&g, 1000, 1, 0), GROUP_CALL);
    cr_expect_eq(group_commit_turn(&g, 1100, 2, 0), GROUP_WAITS);
    cr_expect_eq(group_commit_answered(&g, 6000, 0, 1, true), GROUP_CALL);
    cr_expect_eq(group_commit_turn(&g, 6100, 0, 0), GROUP_GOES);
}
