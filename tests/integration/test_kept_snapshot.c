/* A replica keeps the snapshot of its full synchronisation as its own file, and goes on from there when it is started
 * again: ours as Debian's. */
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <sys/stat.h>

TestSuite(kept_snapshot, .fini = server_finish_all, .timeout = 120);

#define KEYS 1000

static bool has_dump(const struct server *s)
{
    char path[512];
    struct stat st;
    server_path(s, "dump.rdb", path);
    return stat(path, &st) == 0 && st.st_size > 0;
}

static struct server *start_master(enum server_kind kind)
{
    struct server *master = server_start(kind, "save \"\"\nrepl-diskless-sync-delay 0");
    fill(master, "key:", KEYS, 20);
    return master;
}

static void comes_back(enum server_kind master_kind, const char *config)
{
    struct server *master = start_master(master_kind), *replica = server_start(OURS, "save \"\"\n%s", config);
    follow(replica, master);
    wait_in_step(replica, master);
    wait_until(has_dump(replica));
    server_add_config(replica, "replicaof 127.0.0.1 %d", master->port);
    server_kill(replica);
    fill(master, "later:", 10, 10);
    struct sync_counts before = sync_counts(master);
    server_launch(replica);
    expect_same_data(replica, master);
    expect_syncs(master, before, 0, 1);
    struct server *debian = server_prepare(DEBIAN, "save \"\"");
    server_copy_file(replica, debian, "dump.rdb");
    server_launch(debian);
    cr_assert_eq(command_integer(debian, "DBSIZE"), KEYS);
}

Test(kept_snapshot, a_replica_that_is_killed_goes_on_from_it)
{
    comes_back(OURS, "");
    comes_back(OURS, "adopt-backlog no");
    comes_back(OURS, "repl-lz4 no");
    comes_back(DEBIAN, "");
}

/* The dataset that the replica had before is replaced in a file first. */
Test(kept_snapshot, it_takes_the_place_of_an_older_file)
{
    struct server *master = start_master(OURS), *replica = server_start(OURS, "%s", "save \"\"");
    fill(replica, "of its own:", 10, 10);
    expect_ok(replica, "SAVE");
    follow(replica, master);
    wait_in_step(replica, master);
    struct server *debian = server_prepare(DEBIAN, "save \"\"");
    long long found = 0;
    for (int i = 0; found != KEYS && i < 100; i++) {
        server_copy_file(replica, debian, "dump.rdb");
        server_launch(debian);
        found = command_integer(debian, "DBSIZE");
        server_kill(debian);
    }
    cr_assert_eq(found, KEYS);
}

/* A file of our own that was begun later is the newer one, whatever the worker has come to. */
Test(kept_snapshot, a_save_is_not_undone)
{
    for (int i = 0; i < 5; i++) {
        struct server *master = start_master(OURS), *replica = server_start(OURS, "%s", "save \"\"");
        follow(replica, master);
        wait_until(info_is_if_there(replica, "replication", "master_link_status", "up"));
        expect_ok(replica, "REPLICAOF NO ONE");
        expect_ok(replica, "SET own 1");
        expect_ok(replica, "SAVE");
        server_kill(replica);
        server_launch(replica);
        expect_string(replica, "1", "GET own");
        server_kill(replica);
        server_kill(master);
    }
}

static void expect_none(const char *config)
{
    struct server *master = start_master(OURS), *replica = server_start(OURS, "save \"\"\n%s", config);
    follow(replica, master);
    wait_in_step(replica, master);
    server_stop(replica);
    cr_assert_not(has_dump(replica), "%s", config);
}

Test(kept_snapshot, there_is_none_where_the_directives_say_so)
{
    expect_none("rdb-del-sync-files yes");
    expect_none("repl-diskless-load swapdb");
    expect_none("repl-diskless-load on-empty-db");
}

/* Who persists anyway keeps it, whatever rdb-del-sync-files says. */
Test(kept_snapshot, it_is_there_beside_what_is_written_anyway)
{
    struct server *master = start_master(OURS);
    struct server *replica = server_start(OURS, "%s", "save \"\"\nappendonly yes\nrdb-del-sync-files yes");
    follow(replica, master);
    wait_in_step(replica, master);
    wait_until(has_dump(replica));
}

static void expect_one_at_the_end(const char *config)
{
    struct server *master = start_master(OURS), *replica = server_start(OURS, "%s", config);
    follow(replica, master);
    wait_in_step(replica, master);
    cr_assert_null(try_command(replica, "SHUTDOWN NOSAVE"));
    server_wait_end(replica);
    cr_assert(has_dump(replica), "%s", config);
}

Test(kept_snapshot, an_end_that_is_wanted_waits_for_it)
{
    expect_one_at_the_end("save \"\"");
    expect_one_at_the_end("save 3600 1\nrdb-del-sync-files yes");
}
