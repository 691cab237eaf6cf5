/* server/sentinel/: what several Sentinels know and decide together. They find each other and the replicas; at most one
 * leads an epoch, whatever is lost; a lost half never acts; what stands still or is cut off comes to one mind again. */
#include "tests/unit/test_sentinel_world.h"

Test(sentinel_core, they_find_replicas_and_each_other)
{
    build(1, 3, 3, 2, 10000);
    run_ms(5000);
    for (int s = 0; s < 3; s++) {
        cr_assert_eq(w.sentinel[s].masters[0]->replica_count, 2, "%s", log_lines);
        cr_assert_eq(w.sentinel[s].masters[0]->voter_count, 2, "%s", log_lines);
        cr_assert_eq(watched_usable_voters(w.sentinel[s].masters[0]), 3);
    }
    finish();
}

static void close_connections(int server)
{
    for (int s = 0; s < w.count; s++) {
        struct watched *m = w.sentinel[s].masters[0];
        const struct instance *i = m->master;
        if (server) i = watched_replica_at(m, HOST, SERVER_PORT + server);
        for (int link = 0; link < SENTINEL_LINKS; link++)
            step(s, &(struct sentinel_event){.kind = SENTINEL_EVENT_UNLINKED, .instance = i->id, .link = link});
    }
}

/* As it does when it becomes another's replica, and whenever somebody says CLIENT KILL. */
Test(sentinel_core, a_server_that_closes_connections_is_not_down)
{
    build(21, 3, 3, 2, 10000);
    w.tick_steps = 11; /* as real ones are: a little late, so that PINGs are, too */
    run_ms(5000);
    for (int i = 0; i < 120; i++) {
        close_connections(i % 3);
        run_ms(1700 + 10 * (i % 13));
    }
    cr_assert(!strstr(log_lines, "+sdown"), "%s", log_lines);
    finish();
}

/* A tick passes over a master at which nothing is due. One that looks at all of them finds no more to do. */
Test(sentinel_core, what_a_tick_passes_over_had_nothing_to_do)
{
    static char lines[2][sizeof log_lines];
    for (uint64_t seed = 1; seed <= 15; seed++) {
        uint64_t sent[2];
        for (int always = 0; always < 2; always++) {
            build(seed, 3, 4, 2, 10000);
            w.tends_always = always;
            w.loss_percent = seed % 3;
            run_ms(15000 + (int64_t)seed * 310);
            w.server[0].alive = false;
            run_ms(9000);
            w.server[0].alive = true;
            run_ms(30000);
            sent[always] = w.sent;
            memcpy(lines[always], log_lines, sizeof log_lines);
            finish();
        }
        cr_assert_str_eq(lines[0], lines[1], "seed %" PRIu64, seed);
        cr_assert_eq(sent[0], sent[1], "seed %" PRIu64, seed);
    }
}

#define MANY 200

static struct sentinel many;

static void hear_at(int64_t now_ms, const struct sentinel_event *event)
{
    struct sentinel_actions out = {0};
    sentinel_step(&many, event, now_ms, &out);
    sentinel_actions_free(&out);
}

/* How many PINGs a tick sends; each is answered at once. */
static int pings_at(int64_t now_ms)
{
    struct sentinel_actions out = {0};
    int count = 0;
    sentinel_step(&many, &(struct sentinel_event){.kind = SENTINEL_EVENT_TICK}, now_ms, &out);
    for (int i = 0; i < out.count; i++) {
        if (out.list[i].kind != SENTINEL_SEND) continue;
        count += out.list[i].request == REQUEST_PING;
        hear_at(now_ms, &(struct sentinel_event){.kind = SENTINEL_EVENT_REPLY,
                                                 .instance = out.list[i].instance,
                                                 .request = out.list[i].request,
                                                 .text = BYTES("PONG")});
    }
    sentinel_actions_free(&out);
    return count;
}

#define PLACES 5 /* in a second */

/* Else what once left together would for ever, and hundreds of answers with it; nor does each have a tick of its
 * own. */
Test(sentinel_core, a_late_tick_does_not_bring_pings_together)
{
    struct sentinel_settings settings;
    struct watched_settings watched;
    struct sentinel_actions out = {0};
    char run_id[SENTINEL_RUN_ID + 1], name[16];
    int64_t now_ms = 1000;
    run_id_of(0, run_id);
    sentinel_settings_init(&settings);
    sentinel_init(&many, &settings, run_id, 5);
    sentinel_watched_settings_init(&settings.periods, &watched, 1);
    for (int i = 0; i < MANY; i++) {
        struct sentinel_address at = {HOST, SERVER_PORT + i};
        snprintf(name, sizeof name, "m%d", i);
        struct watched *m = sentinel_monitor(&many, name, &at, &watched, now_ms, &out);
        for (int link = 0; link < SENTINEL_LINKS; link++)
            hear_at(now_ms, &(struct sentinel_event){
                                .kind = SENTINEL_EVENT_LINKED, .instance = m->master->id, .link = link, .ip = HOST});
    }
    for (int i = 0; i < 30; i++) pings_at(now_ms += 100);
    now_ms += 700;
    cr_assert_gt(pings_at(now_ms), MANY / 2);
    for (int second = 0; second < 5; second++) {
        int sum = 0, most = 0, ticks = 0;
        for (int i = 0; i < 10; i++) {
            int count = pings_at(now_ms += 100);
            if (count > most) most = count;
            ticks += count > 0;
            sum += count;
        }
        cr_assert_eq(sum, MANY);
        cr_assert_eq(ticks, PLACES, "%d, most %d", ticks, most);
        cr_assert_lt(most, MANY / 4, "%d in one tick", most);
    }
    sentinel_free(&many);
    sentinel_actions_free(&out);
}

static void leave_alone(int sentinel)
{
    for (int s = 0; s < w.count; s++) w.cut[s] = s != sentinel;
}

/* SENTINEL FAILOVER on one side of a split network, an election on the other: the same epoch, without a word between
 * them. */
Test(sentinel_core, two_masters_of_one_epoch_do_not_stay)
{
    static const struct {
        uint64_t seed; /* by which the election is won at once: it has the same epoch then */
        int alone;     /* with the smallest run id, or the largest */
        bool dead;     /* and what it has made the master is that no more */
    } draws[] = {{1, 0, false}, {2, 2, false}, {4, 0, true}};
    for (size_t i = 0; i < sizeof draws / sizeof *draws; i++) {
        int alone = draws[i].alone;
        bool dead = draws[i].dead;
        build_and_settle(draws[i].seed, 3, 3, 2, 10000);
        leave_alone(alone);
        ask_to_fail_over(alone);
        run_ms(5000);
        int first = masters_port(alone) - SERVER_PORT;
        cr_assert_neq(first, 0, "%s", log_lines);
        w.server[first].alive = false;
        for (int s = 0; s < 3; s++) w.cut[s] = s == alone;
        run_ms(40000);
        int second = masters_port(1) - SERVER_PORT;
        cr_assert(second != 0 && second != first, "%s", log_lines);
        cr_assert_eq(w.sentinel[1].masters[0]->config_epoch, w.sentinel[alone].masters[0]->config_epoch);
        w.server[first].alive = !dead;
        w.cut[alone] = false;
        run_ms(dead ? 16000 : 6000); /* sooner than either is told to follow the other */
        for (int s = 0; s < 3; s++) cr_assert_eq(masters_port(s), masters_port(0), "%s", log_lines);
        run_ms(54000);
        cr_assert_eq(living_masters(), 1, "%s", log_lines);
        finish();
    }
}

static bool takes_for_master(int sentinel, int server)
{
    const struct instance *i = watched_replica_at(w.sentinel[sentinel].masters[0], HOST, SERVER_PORT + server);
    return i && i->report.role == ROLE_MASTER;
}

/* It saw a replica become a master, and heard of nobody since. News of a fail-over come a moment later than it can
 * reach that one again. */
Test(sentinel_core, who_was_cut_off_does_not_lead_a_master_back_at_once)
{
    build_and_settle(18, 1, 3, 2, 10000);
    w.server[1].is_master = true;
    for (int i = 0; i < 120 && !takes_for_master(0, 1); i++) run_ms(100);
    cr_assert(takes_for_master(0, 1), "%s", log_lines);
    w.cut[0] = true;
    run_ms(20000);
    w.cut[0] = false;
    run_ms(6000);
    cr_assert(w.server[1].is_master, "%s", log_lines);
    run_ms(15000);
    cr_assert(!w.server[1].is_master && w.server[1].master == 0, "no news have come\n%s", log_lines);
    finish();
}

static int master_among_servers(void)
{
    for (int i = 0; i < w.servers; i++)
        if (w.server[i].alive && w.server[i].is_master) return i;
    return -1;
}

/* It dies, and is replaced in the time given. The one that is the master then. */
static int lose_master(int64_t ms)
{
    w.server[0].alive = false;
    run_ms(ms);
    int master = master_among_servers();
    cr_assert(master > 0, "%s", log_lines);
    return master;
}

/* The others have replaced the master while it was cut off, and nobody is there to tell it. */
Test(sentinel_core, who_is_alone_leads_nobody_back_to_what_it_knows)
{
    build_and_settle(19, 3, 4, 2, 10000);
    w.cut[0] = true;
    int master = lose_master(8000);
    leave_alone(0);
    come_back(0);
    run_ms(60000);
    cr_assert_eq(masters_port(0), SERVER_PORT, "%s", log_lines);
    for (int i = 1; i < 4; i++)
        cr_assert(w.server[i].is_master == (i == master) && (i == master || w.server[i].master == master), "%s",
                  log_lines);
    cr_assert(strstr(log_lines, "It is left alone until a majority of the 3 Sentinels"), "%s", log_lines);
    for (int s = 1; s < 3; s++) { /* one behind the other: together, they might still agree that it is down */
        w.cut[s] = false;
        run_ms(15000);
    }
    cr_assert(living_masters() == 1 && w.server[master].is_master, "%s", log_lines);
    finish();
}

/* They have replaced it while it was in TILT, where it hears of that, and does nothing; what it saw then has lasted
 * long enough by the end. */
Test(sentinel_core, who_was_in_tilt_does_not_lead_a_master_back_at_once)
{
    build_and_settle(22, 3, 4, 2, 10000);
    w.sentinel[0].tilt = (struct tilt){.on = true, .since_ms = w.now_ms, .ticked_ms = w.now_ms};
    int master = lose_master(24000);
    cr_assert_eq(masters_port(0), SERVER_PORT, "%s", log_lines);
    come_back(0);
    for (int i = 0; i < 200; i++) {
        run_ms(100);
        cr_assert(w.server[master].is_master, "%s", log_lines);
    }
    cr_assert(strstr(log_lines, "-tilt") && living_masters() == 1, "%s", log_lines);
    for (int s = 0; s < 3; s++) cr_assert_eq(masters_port(s), SERVER_PORT + master, "%s", log_lines);
    finish();
}

/* It knows itself that this one has been replaced. */
Test(sentinel_core, who_is_alone_leads_a_former_master_back)
{
    build_and_settle(20, 3, 4, 2, 10000);
    int master = lose_master(8000);
    leave_alone(0);
    come_back(0);
    run_ms(30000);
    cr_assert(!w.server[0].is_master && w.server[0].master == master, "%s", log_lines);
    finish();
}

/* What it knows is long ago: this one has followed the next master since, and has replaced that in its turn. */
Test(sentinel_core, who_is_alone_leads_no_former_master_back_that_was_promoted_again)
{
    build(23, 3, 4, 2, 10000);
    for (int i = 0; i < 4; i++) w.server[i].history = 0xa1;
    run_ms(15000);
    int next = lose_master(8000);
    cr_assert_eq(masters_port(0), SERVER_PORT + next, "%s", log_lines);
    run_ms(15000);
    w.cut[0] = true;
    come_back(0);
    run_ms(25000);
    cr_assert(!w.server[0].is_master && w.server[0].master == next, "%s", log_lines);
    w.server[0].history = w.server[next].history;
    w.server[0].offset = 900;
    run_ms(15000);
    w.server[next].alive = false;
    run_ms(8000);
    cr_assert(w.server[0].is_master, "%s", log_lines);
    leave_alone(0);
    come_back(next);
    run_ms(60000);
    cr_assert(masters_port(0) == SERVER_PORT + next && w.server[0].is_master, "%s", log_lines);
    finish();
}

/* A Sentinel that has lost its file has another id: what the one before it had said may still arrive. */
Test(sentinel_core, nobody_else_speaks_from_our_address)
{
    struct hello hello = {.sender = {HOST, OWN_PORT}, .master_name = "mymaster", .master = {HOST, SERVER_PORT}};
    char text[HELLO_TEXT_MAX];
    build(12, 3, 3, 2, 10000);
    run_ms(5000);
    run_id_of(99, hello.run_id);
    hello_format(&hello, text);
    struct sentinel_event event = {.kind = SENTINEL_EVENT_HELLO, .text = bytes_from_text(text)};
    for (int s = 0; s < 2; s++) step(s, &event);
    cr_assert_eq(w.sentinel[0].masters[0]->voter_count, 2);
    cr_assert_null(watched_voter(w.sentinel[0].masters[0], hello.run_id), "it has our own address");
    cr_assert_not_null(watched_voter(w.sentinel[1].masters[0], hello.run_id), "to others it is a newcomer there");
    finish();
}

Test(sentinel_core, a_minority_changes_nothing)
{
    build(3, 5, 3, 2, 5000);
    run_ms(5000);
    for (int s = 0; s < 3; s++) w.cut[s] = true;
    w.server[0].alive = false;
    run_ms(60000);
    cr_assert_eq(promotions(), 0, "%s", log_lines);
    cr_assert(w.sentinel[3].masters[0]->down, "both say that it is down: the quorum is there, the majority is not");
    for (int s = 0; s < 3; s++) w.cut[s] = false;
    run_ms(60000);
    cr_assert_eq(living_masters(), 1, "%s", log_lines);
    for (int s = 1; s < 5; s++) cr_assert_eq(masters_port(s), masters_port(0), "%s", log_lines);
    finish();
}

/* Lost, late and reordered messages, Sentinels that are cut off and come back, masters that die and come back. led()
 * fails the test at a second leader of an epoch. */
Test(sentinel_core, never_two_leaders_of_an_epoch, .timeout = 120)
{
    int elections = 0;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        build(seed, 3 + 2 * (int)(seed % 2), 4, 2, 3000);
        run_ms(5000);
        w.loss_percent = 5 + (unsigned)random_below(&w.random, 25);
        w.delay_ms = 50 + (unsigned)random_below(&w.random, 400);
        for (int accident = 0; accident < 25; accident++) {
            int server = (int)random_below(&w.random, SERVERS), s = (int)random_below(&w.random, (uint64_t)w.count);
            w.server[server].alive = !w.server[server].alive || random_below(&w.random, 3) == 0;
            w.cut[s] = !w.cut[s];
            run_ms((int64_t)random_below(&w.random, 4000));
        }
        w.loss_percent = 0;
        w.delay_ms = 20;
        for (int i = 0; i < SERVERS; i++) w.server[i].alive = true;
        for (int s = 0; s < w.count; s++) w.cut[s] = false;
        run_ms(60000);
        cr_assert_eq(living_masters(), 1, "seed %" PRIu64 "\n%s", seed, log_lines);
        for (int s = 1; s < w.count; s++)
            cr_assert_eq(masters_port(s), masters_port(0), "seed %" PRIu64 "\n%s", seed, log_lines);
        elections += w.leader_count;
        finish();
    }
    cr_assert(elections > 12, "only %d elections", elections);
}
