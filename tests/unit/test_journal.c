/* The journal process at work: what it writes, when that is durable, and how it goes from file to file. */
#include "tests/unit/test_journal_rig.h"

#include "shm/control.h"
#include "shm/region.h"

#include <sys/stat.h>

#define OTHER_ID "fedcba9876543210fedcba9876543210fedcba98"

ENGINES(writes_what_is_data_and_nothing_else)
{
    struct rig rig;
    set_up(&rig, engine, AOF_FSYNC_NO);
    for (int i = 0; i < 200; i++) {
        write_some(&rig, 20);
        loop_turn(rig.loop, 0);
    }
    UNTIL(&rig, journal_written_offset(rig.journal) == last(&rig));
    cr_assert_eq(journal_finish(rig.journal, DEADLINE_MS), 0);
    cr_assert_eq(journal_durable_offset(rig.journal), last(&rig));
    expect_all(&rig, 0);
    tear_down(&rig);
}

ENGINES(always_is_durable_at_once_and_tells_who_waits)
{
    struct rig rig;
    set_up(&rig, engine, AOF_FSYNC_ALWAYS);
    for (int i = 1; i <= 50; i++) {
        append_set(&rig, 100);
        publish(&rig);
        journal_watch(rig.journal, last(&rig));
        UNTIL(&rig, rig.moved == i);
        cr_assert_eq(journal_durable_offset(rig.journal), last(&rig));
    }
    journal_watch(rig.journal, last(&rig));
    UNTIL(&rig, rig.moved == 51);
    tear_down(&rig);
}

/* It looks each half second, whether it is woken or not. */
static void until_it_has_looked(struct rig *rig)
{
    uint64_t beats = backlog_beats(rig->backlog, SHM_JOURNAL);
    UNTIL(rig, backlog_beats(rig->backlog, SHM_JOURNAL) >= beats + 2);
}

ENGINES(always_waits_for_a_call_and_no_longer_than_it_has_to)
{
    struct rig rig;
    set_up(&rig, engine, AOF_FSYNC_ALWAYS);
    append_set(&rig, 100);
    publish(&rig);
    journal_call(rig.journal);
    UNTIL(&rig, journal_durable_offset(rig.journal) == last(&rig));
    uint64_t called_for = last(&rig);
    append_set(&rig, 100);
    publish(&rig);
    until_it_has_looked(&rig);
    cr_expect_eq(journal_written_offset(rig.journal), called_for);
    append_set(&rig, 100);
    publish(&rig);
    journal_call(rig.journal);
    UNTIL(&rig, journal_durable_offset(rig.journal) == last(&rig));

    append_set(&rig, 100);
    publish(&rig);
    cr_assert_eq(journal_finish(rig.journal, DEADLINE_MS), 0); /* needs no call */
    cr_expect_eq(journal_durable_offset(rig.journal), last(&rig));

    append_set(&rig, 100);
    publish(&rig);
    kill(journal_handle_pid(rig.journal), SIGKILL);
    UNTIL(&rig, rig.died == 1);
    UNTIL(&rig, journal_durable_offset(rig.journal) == last(&rig)); /* the next one knows of no call before */

    append_set(&rig, 100);
    publish(&rig);
    journal_free_to_go(rig.journal);
    UNTIL(&rig, journal_durable_offset(rig.journal) == last(&rig));
    append_set(&rig, 100);
    publish(&rig);
    UNTIL(&rig, journal_durable_offset(rig.journal) == last(&rig));
    cr_assert_eq(journal_finish(rig.journal, DEADLINE_MS), 0);
    expect_all(&rig, 0);
    tear_down(&rig);
}

/* Room taken ahead is nobody's to see, and goes back. */
ENGINES(room_behind_the_end_is_given_back)
{
    struct rig rig;
    struct stat file;
    char path[96];
    set_up(&rig, engine, AOF_FSYNC_ALWAYS);
    path_of(&rig, 1, path);
    append_set(&rig, 100);
    publish(&rig);
    UNTIL(&rig, journal_durable_offset(rig.journal) == last(&rig));
    cr_assert_eq(stat(path, &file), 0);
    cr_expect_eq(file.st_size, (off_t)journal_file_bytes(rig.journal));
    cr_assert_eq(journal_finish(rig.journal, DEADLINE_MS), 0);
    cr_assert_eq(stat(path, &file), 0);
    cr_expect_lt(file.st_blocks * 512, 256 * 1024);
    expect_all(&rig, 0);
    tear_down(&rig);
}

ENGINES(everysec_is_durable_within_a_second_or_two)
{
    struct rig rig;
    set_up(&rig, engine, AOF_FSYNC_EVERYSEC);
    for (int i = 0; i < 3; i++) {
        write_some(&rig, 100);
        UNTIL(&rig, journal_durable_offset(rig.journal) == last(&rig));
    }
    tear_down(&rig);
}

ENGINES(goes_on_in_the_next_file_from_its_offset_on)
{
    struct rig rig;
    set_up(&rig, engine, AOF_FSYNC_EVERYSEC);
    for (int i = 0; i < 10; i++) {
        write_some(&rig, 100);
        struct journal_file file = open_file(&rig, BYTES("*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n"));
        cr_assert_eq(journal_switch(rig.journal, &file), 0);
        close(file.fd);
        append_set(&rig, 10); /* so that each file has its head */
        if (i % 3 == 0) loop_turn(rig.loop, 1);
    }
    publish(&rig);
    cr_assert_eq(journal_finish(rig.journal, DEADLINE_MS), 0);
    UNTIL(&rig, journal_durable_offset(rig.journal) == last(&rig));
    expect_all(&rig, 1);
    tear_down(&rig);
}

/* A finish may be the last thing, or not. */
ENGINES(goes_on_after_a_finish)
{
    struct rig rig;
    set_up(&rig, engine, AOF_FSYNC_NO);
    for (int i = 0; i < 5; i++) {
        write_some(&rig, 50);
        cr_assert_eq(journal_finish(rig.journal, DEADLINE_MS), 0);
        cr_assert_eq(journal_finish(rig.journal, DEADLINE_MS), 0);
        expect_all(&rig, 0);
    }
    tear_down(&rig);
}

static void write_set(struct rig *rig)
{
    append_set(rig, 10);
    publish(rig);
}

/* Once: the stream that goes on meanwhile waits for the policy, which is to wait for ever. */
ENGINES(what_is_to_settle_is_durable_once)
{
    struct rig rig;
    set_up(&rig, engine, AOF_FSYNC_NO);
    for (int i = 0; i < 5; i++) {
        write_some(&rig, 50);
        uint64_t wanted = last(&rig);
        journal_settle(rig.journal, wanted);
        if (i == 2) kill(journal_handle_pid(rig.journal), SIGKILL); /* the next one is told, too */
        UNTIL(&rig, (write_set(&rig), journal_durable_offset(rig.journal)) >= wanted);
        uint64_t durable = journal_durable_offset(rig.journal);
        for (int more = 0; more < 100; more++) write_set(&rig);
        UNTIL(&rig, journal_written_offset(rig.journal) == last(&rig));
        cr_expect_eq(journal_durable_offset(rig.journal), durable, "round %d", i);
    }
    cr_assert_eq(journal_finish(rig.journal, DEADLINE_MS), 0);
    expect_all(&rig, 0);
    tear_down(&rig);
}

ENGINES(a_file_that_has_something_is_gone_on_with)
{
    struct rig rig;
    set_up_with(&rig, engine, AOF_FSYNC_NO, 0);
    struct journal_file file = open_file(&rig, bytes_make(NULL, 0));
    append_set(&rig, 10);
    cr_assert_eq(write(file.fd, rig.data, rig.data_bytes), (ssize_t)rig.data_bytes);
    file.file_bytes = rig.data_bytes;
    cr_assert_eq(write(file.fd, "*3\r\n$3\r\nSE", 10), 10, "and half a command, that a dead machine left");
    file.from = backlog_end(rig.backlog);
    publish(&rig);
    cr_assert_eq(journal_start(rig.journal, rig.backlog, &file), 0);
    close(file.fd);
    cr_assert_eq(journal_file_bytes(rig.journal), file.file_bytes);
    write_some(&rig, 20);
    cr_assert_eq(journal_finish(rig.journal, DEADLINE_MS), 0);
    expect_all(&rig, 0);
    tear_down(&rig);
}

ENGINES(timestamps_stand_outside_of_transactions)
{
    struct rig rig;
    set_up_with(&rig, engine, AOF_FSYNC_NO, 0);
    rig.settings.timestamp_enabled = true;
    start(&rig);
    append_text(&rig, MULTI, true);
    for (int i = 0; i < 10; i++) append_set(&rig, 10);
    append_text(&rig, EXEC, true);
    publish(&rig);
    cr_assert_eq(journal_finish(rig.journal, DEADLINE_MS), 0);
    struct found f = read_files(&rig, 0);
    cr_assert_eq(f.timestamps, 1);
    cr_assert_eq(f.annotations, 3, "a timestamp, the history, an end");
    free(f.data);
    expect_all(&rig, 0);
    tear_down(&rig);
}

ENGINES(another_name_of_the_history_is_noted)
{
    struct rig rig;
    set_up(&rig, engine, AOF_FSYNC_NO);
    write_some(&rig, 10);
    UNTIL(&rig, journal_written_offset(rig.journal) == last(&rig));
    int64_t until = (int64_t)last(&rig);
    backlog_set_history(rig.backlog, OTHER_ID, ID, until);
    append_set(&rig, 10);
    publish(&rig);
    UNTIL(&rig, journal_written_offset(rig.journal) == last(&rig));
    struct found f = read_files(&rig, 0);
    cr_assert_str_eq(f.position.id, OTHER_ID);
    cr_assert_str_eq(f.position.second_id, ID);
    cr_assert_eq(f.position.second_offset, until);
    cr_assert_eq(f.position.offset, last(&rig));
    free(f.data);
    tear_down(&rig);
}

/* A command that is larger than all that one write takes, and than the ring. */
ENGINES(a_huge_command_goes_to_the_file_in_parts)
{
    struct rig rig;
    set_up(&rig, engine, AOF_FSYNC_ALWAYS);
    append_set(&rig, 10);
    append_set(&rig, 5 * 1000 * 1000 + 1);
    append_set(&rig, 10);
    publish(&rig);
    UNTIL(&rig, journal_durable_offset(rig.journal) == last(&rig));
    cr_assert_eq(journal_finish(rig.journal, DEADLINE_MS), 0);
    expect_all(&rig, 0);
    tear_down(&rig);
}

/* no-appendfsync-on-rewrite: while a child writes nothing is fsynced, and all of it is afterwards. */
ENGINES(held_fsyncs_are_made_up_for)
{
    struct rig rig;
    set_up(&rig, engine, AOF_FSYNC_ALWAYS);
    write_some(&rig, 10);
    UNTIL(&rig, journal_durable_offset(rig.journal) == last(&rig));
    uint64_t durable = last(&rig);
    journal_hold_fsync(rig.journal, true);
    append_set(&rig, 10);
    publish(&rig);
    UNTIL(&rig, journal_written_offset(rig.journal) == last(&rig));
    for (int i = 0; i < 20; i++) {
        append_set(&rig, 100);
        publish(&rig);
        loop_turn(rig.loop, 1);
    }
    UNTIL(&rig, journal_written_offset(rig.journal) == last(&rig));
    cr_assert_leq(journal_durable_offset(rig.journal), durable + 100, "at most what it wrote before it heard of it");
    journal_hold_fsync(rig.journal, false);
    UNTIL(&rig, journal_durable_offset(rig.journal) == last(&rig));
    tear_down(&rig);
}

ENGINES(redis_checks_what_was_written)
{
    struct rig rig;
    char path[96], command[512];
    const char *peers = getenv("SLIPSTREAM_PEERS");
    if (!peers) cr_skip_test("Debian's redis-check-aof is not named");
    set_up_with(&rig, engine, AOF_FSYNC_NO, 0);
    rig.settings.timestamp_enabled = true;
    start(&rig);
    for (int i = 0; i < 20; i++) {
        write_some(&rig, 20);
        if (i % 5 == 0) cr_assert_eq(journal_finish(rig.journal, DEADLINE_MS), 0);
    }
    cr_assert_eq(journal_finish(rig.journal, DEADLINE_MS), 0);
    path_of(&rig, 1, path);
    snprintf(command, sizeof(command), "%s/usr/bin/redis-check-aof %s >/dev/null", peers, path);
    cr_assert_eq(system(command), 0);
    expect_all(&rig, 0);
    tear_down(&rig);
}

/* A region that a server is adopted with has its journal's words. */
ENGINES(what_the_journal_of_another_server_said_is_not_believed)
{
    struct rig rig;
    struct region r;
    set_up_with(&rig, engine, AOF_FSYNC_NO, 0);
    cr_assert_eq(control_map(&r, dup(backlog_control_fd(rig.backlog))), 0);
    struct shm_control *c = control_of(&r);
    c->journal.file = c->files_given = 5;
    c->journal.file_bytes = 1000;
    c->journal.finished = 1;
    c->journal.error = ENOSPC;
    start(&rig);
    cr_assert_eq(journal_file_bytes(rig.journal), 0);
    cr_assert_eq(journal_error(rig.journal), 0);
    write_some(&rig, 20);
    cr_assert_eq(journal_finish(rig.journal, DEADLINE_MS), 0);
    expect_all(&rig, 0);
    cr_assert_eq(rig.failed + rig.recovered, 0);
    region_unmap(&r);
    tear_down(&rig);
}
