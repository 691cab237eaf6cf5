/* Readers of the replication backlog: link and journal, their slots and bells; and that a byte which one of them may
 * still be sending never changes. */
#include "tests/unit/test_backlog_bench.h"

#include "server/base/clock.h"
#include "server/base/random.h"
#include "shm/control.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

/* --- the journal --- */

static int journal_from(struct bench *t, uint64_t from)
{
    int slot = backlog_journal_claim(t->b, from);
    cr_assert_geq(slot, 0);
    reader_peer_open(t->r, slot);
    return slot;
}

Test(backlog, the_journal_is_never_doomed_and_writes_wait_for_it)
{
    struct bench t;
    set_up(&t, 1, 1000, 4000);
    cr_assert_not(backlog_journal_is_behind(t.b), "there is none");
    int journal = journal_from(&t, 1), replica = follow_from(&t, 1);
    while (backlog_end(t.b) < 4001) {
        cr_assert_not(backlog_journal_is_behind(t.b));
        append(&t, 100);
    }
    cr_assert(backlog_journal_is_behind(t.b));
    for (int i = 0; i < 100; i++) append(&t, 100); /* what does not wait */
    cr_assert_eq(t.dooms, 1);
    cr_assert_eq(t.doomed_slot, replica);
    backlog_publish(t.b);
    uint64_t end = backlog_end(t.b);
    cr_assert_eq(read_all(&t, journal, 1), end);
    cr_assert_not(backlog_journal_is_behind(t.b));
    append(&t, 4000);
    cr_assert(backlog_journal_is_behind(t.b));
    reader_peer_moved(t.r, journal, end + 100);
    cr_assert(backlog_journal_is_behind(t.b), "not before an eighth is free");
    reader_peer_moved(t.r, journal, end + 501);
    cr_assert_not(backlog_journal_is_behind(t.b));
    backlog_peer_free(t.b, journal);
    append(&t, 10 * 1000);
    cr_assert_not(backlog_journal_is_behind(t.b));
    tear_down(&t);
}

/* No ring can be had: nothing that the journal needs is lost, however long that lasts. */
Test(backlog, the_journal_misses_nothing_of_a_private_stream, .timeout = 60)
{
    struct bench t;
    set_up(&t, 1, 100 * 1000, NO_LIMIT);
    int journal = journal_from(&t, 1);
    append_published(&t, 90 * 1000);
    limit_file_size(4096);
    for (int i = 0; i < 20; i++) append(&t, 30 * 1000);
    backlog_publish(t.b);
    cr_assert_not(backlog_is_shared(t.b));
    cr_assert(backlog_journal_is_behind(t.b), "it cannot follow");
    uint64_t stands = read_all(&t, journal, 1);
    cr_assert_eq(stands, 90 * 1000 + 1);
    backlog_cron(t.b);
    cr_assert_not(backlog_is_shared(t.b));
    limit_file_size(RLIM_INFINITY);
    backlog_cron(t.b);
    cr_assert(backlog_is_shared(t.b));
    append_published(&t, 1000);
    cr_assert_eq(read_all(&t, journal, stands), backlog_end(t.b));
    cr_assert_not(backlog_journal_is_behind(t.b));
    tear_down(&t);
}

/* The server died before it could hand over a ring: a named one is found. */
Test(backlog, a_ring_is_found_by_its_name)
{
    struct bench t;
    set_up(&t, 1, 1000, NO_LIMIT);
    int journal = journal_from(&t, 1);
    append_published(&t, 900);
    uint64_t stands = read_all(&t, journal, 1);
    reader_peer_moved(t.r, journal, 2);
    backlog_on_ring(t.b, SHM_LINK, NULL, NULL);
    append_published(&t, 5000);
    cr_assert_eq(reader_next_run(t.r, journal, backlog_end(t.b) - 1, 1).len, 0);
    reader_find_rings(t.r);
    cr_assert_eq(read_all(&t, journal, stands), backlog_end(t.b));
    reader_find_rings(t.r);
    tear_down(&t);
}

/* Of two marks one is whole, whatever its writer was doing when it died. */
Test(backlog, the_next_journal_finds_the_last_whole_mark)
{
    struct bench t;
    struct journal_mark mark = {.file = 3, .durable_offset = 1}, found;
    set_up(&t, 1, 1000, NO_LIMIT);
    int slot = backlog_journal_claim(t.b, 1);
    cr_assert_not(reader_journal_resume(t.r, slot, &found), "nobody has begun");
    reader_peer_open(t.r, slot);
    cr_assert_not(reader_journal_resume(t.r, slot, &found), "and nobody has come to anything");
    for (uint64_t n = 2; n < 10; n++) {
        mark.written_offset = n;
        mark.written_bytes = 2 * n;
        mark.in_multi = n % 2;
        reader_journal_moved(t.r, slot, &mark, n);
        cr_assert(reader_journal_resume(t.r, slot, &found));
        cr_assert(found.written_offset == n && found.written_bytes == 2 * n && found.file == 3);
        cr_assert_eq(found.in_multi, n % 2);
    }
    struct region r;
    cr_assert_eq(control_map(&r, dup(backlog_control_fd(t.b))), 0);
    struct shm_mark *marks = control_of(&r)->journal.marks;
    marks[marks[0].turn > marks[1].turn ? 0 : 1].turn = 0; /* killed within the next one */
    cr_assert(reader_journal_resume(t.r, slot, &found));
    cr_assert_eq(found.written_offset, 8);
    region_unmap(&r);
    backlog_peer_free(t.b, slot);
    cr_assert_eq(backlog_journal_claim(t.b, 1), slot);
    cr_assert_not(reader_journal_resume(t.r, slot, &found), "marks of another claim say nothing");
    tear_down(&t);
}

/* --- who says what of a slot --- */

static uint64_t needed(struct bench *t, int slot)
{
    struct backlog_peer_view view;
    backlog_peer_view(t->b, slot, &view);
    return view.next_offset;
}

/* What the link left in a slot, also one that was killed, says nothing of the next peer there. */
Test(backlog, a_slots_next_peer_begins_anew)
{
    struct bench t;
    set_up(&t, 1, 1000, NO_LIMIT);
    append_published(&t, 100);
    int slot = follow_from(&t, 1);
    reader_peer_set_state(t.r, slot, PEER_ONLINE);
    reader_peer_acked(t.r, slot, 90, 80, 1234);
    reader_peer_count(t.r, slot, 7, 8);
    cr_assert_eq(read_all(&t, slot, 1), 101);
    backlog_peer_free(t.b, slot);
    cr_assert_eq(backlog_peer_claim(t.b, 51), slot);
    for (int opened = 0; opened < 2; opened++) {
        struct backlog_peer_view view;
        backlog_peer_view(t.b, slot, &view);
        cr_assert_eq(view.state, PEER_WAITING);
        cr_assert_eq(view.next_offset, 51);
        cr_assert_eq(view.acked_offset + view.fack_offset + view.sent_bytes + view.received_bytes, 0);
        cr_assert_eq(view.heard_ms, 0);
        reader_peer_open(t.r, slot);
    }
    reader_peer_moved(t.r, slot, 61);
    cr_assert_eq(needed(&t, slot), 61);
    tear_down(&t);
}

/* Until the link has opened a slot, the peer needs what it was promised. */
Test(backlog, what_a_claim_needs_is_kept_before_the_link_knows_of_it)
{
    struct bench t;
    set_up(&t, 1, 1000, NO_LIMIT);
    int slot = follow_from(&t, 1);
    reader_peer_let_go(t.r, slot);
    backlog_peer_free(t.b, slot);
    cr_assert_eq(backlog_peer_claim(t.b, 1), slot);
    for (int i = 0; i < 100; i++) append(&t, 100);
    backlog_publish(t.b);
    reader_peer_open(t.r, slot);
    cr_assert_eq(read_all(&t, slot, 1), 10001);
    tear_down(&t);
}

/* The server's word and the link's stand beside each other: a doom does not hide how far the peer had come, and what
 * the link says does not take the doom back. */
Test(backlog, a_doom_stays_whatever_the_link_says)
{
    struct bench t;
    set_up(&t, 1, 1000, NO_LIMIT);
    int slot = follow_from(&t, 1);
    append_published(&t, 10);
    reader_peer_set_state(t.r, slot, PEER_SENDING_SNAPSHOT);
    backlog_peer_doom(t.b, slot);
    reader_peer_set_state(t.r, slot, PEER_ONLINE);
    cr_assert(reader_peer_is_doomed(t.r, slot));
    cr_assert_eq(reader_next_run(t.r, slot, 1, 10).len, 0);
    reader_peer_let_go(t.r, slot);
    struct backlog_peer_view view;
    backlog_peer_view(t.b, slot, &view);
    cr_assert_eq(view.state, PEER_ONLINE, "it can still be seen how far it had come");
    backlog_peer_free(t.b, slot);
    cr_assert_eq(follow_from(&t, 1), slot);
    cr_assert_not(reader_peer_is_doomed(t.r, slot));
    tear_down(&t);
}

/* --- bells --- */

/* Who rings late or for the second time rings for a sleep that is over, and the next one is not taken back by that. A
 * snapshot child remembers for itself: killed before it rang, it has not kept the server from ringing. */
Test(backlog, each_sleep_is_rung_for_by_each_ringer)
{
    struct bench t;
    set_up(&t, 1, 1000, NO_LIMIT);
    int spool = backlog_spool_claim(t.b), bell = reader_bell(t.r);
    for (int round = 0; round < 3; round++) {
        cr_assert(reader_arm_bell(t.r));
        pid_t child = fork();
        if (child == 0) {
            backlog_spool_advance(t.b, spool, 10);
            _exit(0);
        }
        waitpid(child, NULL, 0);
        cr_assert(bell_rings(bell));
        eventfd_t count;
        cr_assert_eq(eventfd_read(bell, &count), 0);
        append_published(&t, 1);
        cr_assert(bell_rings(bell), "the child's ring says nothing of the server's");
        reader_answer_bell(t.r);
        append_published(&t, 1);
        cr_assert_not(bell_rings(bell));
    }
    tear_down(&t);
}

/* A link that is killed in its sleep is followed by one that is awake, and whose sleeps are new to those who ring. */
Test(backlog, the_next_link_is_rung_for_too)
{
    struct bench t;
    set_up(&t, 1, 1000, NO_LIMIT);
    for (int link = 0; link < 3; link++) {
        struct reader *next = reader_attach(SHM_LINK, dup(backlog_control_fd(t.b)), dup(backlog_bell(t.b, SHM_LINK)),
                                            dup(backlog_server_bell(t.b)));
        append_published(&t, 1);
        cr_assert_not(bell_rings(reader_bell(next)), "it is awake");
        cr_assert(reader_arm_bell(next));
        append_published(&t, 1);
        cr_assert(bell_rings(reader_bell(next)));
        reader_answer_bell(next);
        cr_assert(reader_arm_bell(next));
        reader_detach(next);
    }
    tear_down(&t);
}

Test(backlog, the_bell_rings_once_and_only_for_a_sleeper)
{
    struct bench t;
    set_up(&t, 1, 1000, NO_LIMIT);
    append_published(&t, 1);
    cr_assert_not(bell_rings(reader_bell(t.r)));
    cr_assert(reader_arm_bell(t.r));
    cr_assert_not(reader_arm_bell(t.r));
    backlog_publish(t.b);
    cr_assert_not(bell_rings(reader_bell(t.r)), "nothing new, no bell");
    append_published(&t, 1);
    cr_assert(bell_rings(reader_bell(t.r)));
    reader_answer_bell(t.r);
    append_published(&t, 1);
    cr_assert_not(bell_rings(reader_bell(t.r)), "not armed again yet");
    int spool = backlog_spool_claim(t.b);
    cr_assert(reader_arm_bell(t.r));
    backlog_spool_advance(t.b, spool, 10);
    cr_assert(bell_rings(reader_bell(t.r)), "a growing spool wakes, too");
    tear_down(&t);
}

Test(backlog, the_server_hears_of_the_acknowledgement_it_waits_for)
{
    struct bench t;
    set_up(&t, 1, 1000, NO_LIMIT);
    int slot = follow_from(&t, 1), bell = backlog_server_bell(t.b);
    reader_peer_acked(t.r, slot, 10, 0, 1234);
    cr_assert_not(bell_rings(bell), "nobody waits");
    backlog_watch_acks(t.b, 20);
    reader_peer_acked(t.r, slot, 19, 0, 1235);
    cr_assert_not(bell_rings(bell));
    reader_peer_acked(t.r, slot, 20, 0, 1236);
    cr_assert(bell_rings(bell));
    eventfd_t count;
    cr_assert_eq(eventfd_read(bell, &count), 0);
    reader_peer_acked(t.r, slot, 20, 0, 1236);
    cr_assert_not(bell_rings(bell), "the same again is no news");
    reader_peer_acked(t.r, slot, 20, 15, 1236);
    cr_assert(bell_rings(bell), "what has come to its disk is");
    cr_assert_eq(eventfd_read(bell, &count), 0);
    reader_peer_acked(t.r, slot, 21, 0, 1236);
    cr_assert(bell_rings(bell), "somebody else may wait for a later one");
    struct backlog_peer_view view;
    backlog_peer_view(t.b, slot, &view);
    cr_assert_eq(view.acked_offset, 21);
    cr_assert_eq(view.fack_offset, 15);
    cr_assert_eq(view.heard_ms, 1236);
    cr_assert_eq(view.state, PEER_WAITING);
    tear_down(&t);
}

Test(backlog, slots_and_spools_are_finite_and_come_back)
{
    struct bench t;
    set_up(&t, 1, 1000, NO_LIMIT);
    for (int i = 0; i < BACKLOG_PEERS_MAX; i++) cr_assert_eq(backlog_peer_claim(t.b, 1), i);
    cr_assert_eq(backlog_peer_claim(t.b, 1), -1);
    backlog_peer_free(t.b, 64);
    cr_assert_eq(backlog_peer_claim(t.b, 1), 64);
    for (int i = 0; i < BACKLOG_SPOOLS_MAX; i++) cr_assert_eq(backlog_spool_claim(t.b), i);
    cr_assert_eq(backlog_spool_claim(t.b), -1);
    backlog_spool_advance(t.b, 2, 77);
    cr_assert_eq(reader_spool_bytes(t.r, 2), 77);
    cr_assert_eq(reader_spool_state(t.r, 2), SPOOL_GROWING);
    backlog_spool_finish(t.b, 2, false);
    cr_assert_eq(reader_spool_state(t.r, 2), SPOOL_FAILED);
    backlog_spool_free(t.b, 2);
    cr_assert_eq(backlog_spool_claim(t.b), 2);
    cr_assert_eq(backlog_spool_bytes(t.b, 2), 0);
    tear_down(&t);
}

/* --- writer and reader at the same time --- */

struct follower {
    struct bench *t;
    uint64_t seed;
    int slots[3];
    uint64_t at[3];
    _Atomic bool stop, done;
    _Atomic int wrong;
    _Atomic uint64_t checked;
};

/* Takes runs, holds each a while as a slow socket would, and checks the bytes only when it lets go of them. */
static void *follow(void *arg)
{
    struct follower *f = arg;
    struct random_state random;
    random_seed(&random, f->seed);
    struct bytes held[3] = {{0}};
    for (int open = 3; open > 0 && !f->wrong;) {
        int i = (int)random_below(&random, 3), slot = f->slots[i];
        if (slot < 0) continue;
        if (held[i].len > 0) {
            if (!is_stream(held[i], f->at[i])) f->wrong++;
            f->at[i] += held[i].len;
            f->checked += held[i].len;
            if (!reader_peer_is_doomed(f->t->r, slot)) reader_peer_moved(f->t->r, slot, f->at[i]);
            held[i].len = 0;
        } else if (reader_peer_is_doomed(f->t->r, slot) || (f->stop && f->at[i] == reader_end(f->t->r))) {
            reader_peer_let_go(f->t->r, slot);
            f->slots[i] = -1;
            open--;
        } else if (random_below(&random, 4) >= (uint64_t)i) {
            held[i] = reader_next_run(f->t->r, slot, f->at[i], 1 + random_below(&random, 3000));
        }
    }
    f->done = true;
    return NULL;
}

/* The writer's thread adds rings to the reader here: nobody looks for an offset in one before it is published. */
static void write_and_follow(uint64_t seed, uint64_t hard)
{
    struct bench t;
    set_up(&t, 1, 4096, hard);
    struct follower f = {.t = &t, .seed = seed};
    for (int i = 0; i < 3; i++) {
        f.slots[i] = follow_from(&t, 1);
        f.at[i] = 1;
    }
    pthread_t thread;
    pthread_create(&thread, NULL, follow, &f);
    struct random_state random;
    random_seed(&random, seed + 1);
    uint64_t head_start = hard == NO_LIMIT ? 200 * 1000 : hard / 2;
    for (int turn = 0; turn < 3000; turn++) {
        for (uint64_t n = random_below(&random, 4); n > 0; n--) append(&t, 1 + random_below(&random, 700));
        if (random_below(&random, 200) == 0) append(&t, 6000);
        backlog_publish(t.b);
        if (random_below(&random, 20) == 0) backlog_cron(t.b);
        while (!f.done && f.checked + head_start < backlog_end(t.b)) sched_yield();
    }
    f.stop = true;
    pthread_join(thread, NULL);
    cr_assert_eq(f.wrong, 0, "seed %llu", (unsigned long long)seed);
    cr_assert_gt(f.checked, hard / 4);
    if (hard == NO_LIMIT) cr_assert_eq(f.checked, 3 * (backlog_end(t.b) - 1), "seed %llu", (unsigned long long)seed);
    tear_down(&t);
}

Test(backlog, followers_read_what_was_written)
{
    uint64_t seed = (uint64_t)getpid();
    for (uint64_t round = 0; round < 5; round++) write_and_follow(seed + 100 * round, NO_LIMIT);
}

Test(backlog, dooming_overwrites_nothing)
{
    uint64_t seed = (uint64_t)getpid();
    for (uint64_t round = 0; round < 5; round++) write_and_follow(seed + 100 * round, 20 * 1000);
}
