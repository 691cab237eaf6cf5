/* A replica keeps the snapshot of its full synchronisation as its own file, and goes on from there when it is started
 * again: ours as Debian's. */
#include "tests/harness/proxy.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

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

Test(kept_snapshot, it_takes_the_place_of_files_only)
{
    struct server *master = start_master(OURS), *replica = server_start(OURS, "%s", "save \"\"");
    char path[512];
    struct stat found;
    server_path(replica, "dump.rdb", path);
    cr_assert_eq(mkfifo(path, 0600), 0);
    follow(replica, master);
    wait_in_step(replica, master);
    server_wait_log(replica, 0, "does not become dump.rdb");
    expect_same_data(replica, master);
    cr_assert(stat(path, &found) == 0 && S_ISFIFO(found.st_mode));
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

/* --- file systems that are not as one would wish --- */

/* What this test starts from now on finds no nameless files anywhere, as on NFS. */
static void forbid_nameless_files(void)
{
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_TMPFILE & ~O_DIRECTORY, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof program / sizeof program[0], program};
    cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) cr_skip_test("no system call can be filtered here");
    cr_assert_lt(open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), 0);
    cr_assert_eq(errno, EOPNOTSUPP);
}

/* How many files of the server's directory have such a name; one of them to `found`, unless it is NULL. */
static int count_temporary(const struct server *s, char found[512])
{
    int count = 0;
    DIR *d = opendir(s->dir);
    for (const struct dirent *e; d && (e = readdir(d));) {
        if (strncmp(e->d_name, "temp-", 5) != 0) continue;
        count++;
        if (found) server_path(s, e->d_name, found);
    }
    if (d) closedir(d);
    return count;
}

Test(kept_snapshot, a_file_system_without_nameless_files_keeps_it_too)
{
    forbid_nameless_files();
    comes_back(OURS, "");
    struct server *master = start_master(OURS), *replica = server_start(OURS, "%s", "save \"\"");
    fill(replica, "of its own:", 10, 10);
    follow(replica, master);
    wait_in_step(replica, master);
    wait_until(has_dump(replica));
    wait_until(count_temporary(replica, NULL) == 0);
}

static void make_file(const char *path)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    cr_assert(fd >= 0 && write(fd, "REDIS", 5) == 5);
    close(fd);
}

/* It goes with a transfer that ends; what a killed server has left goes at its next start, and what a living one has
 * stays. */
Test(kept_snapshot, a_temporary_name_does_not_stay)
{
    char found[512], notes[512];
    forbid_nameless_files();
    struct server *master = start_master(OURS);
    struct proxy *slow = proxy_start(master->port);
    struct server *replica = server_start(OURS, "%s", "save \"\"\nrepl-lz4 no");
    server_path(replica, "temp-received-notes", notes);
    make_file(notes);
    fill(replica, "of its own:", 10, 10);
    proxy_slow(slow, 1000);
    expect_ok(replica, "REPLICAOF 127.0.0.1 %d", proxy_port(slow));
    wait_until(count_temporary(replica, NULL) == 2);
    expect_ok(replica, "REPLICAOF NO ONE");
    wait_until(count_temporary(replica, NULL) == 1);
    expect_ok(replica, "REPLICAOF 127.0.0.1 %d", proxy_port(slow));
    wait_until(count_temporary(replica, NULL) == 2);
    struct server *beside = server_start(OURS, "save \"\"\ndir %s", replica->dir);
    cr_assert_eq(count_temporary(replica, NULL), 2);
    server_kill(beside);
    server_kill(replica);
    cr_assert_eq(count_temporary(replica, NULL), 2);
    server_launch(replica);
    cr_assert_eq(count_temporary(replica, found), 1);
    cr_assert_str_eq(found, notes);
    proxy_stop(slow);
}

/* The replica's directory, with room for a part of the snapshot alone. */
static void mount_small(const struct server *s, char directory[512])
{
    server_path(s, "small", directory);
    cr_assert_eq(mkdir(directory, 0755), 0);
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", directory, "tmpfs", 0, "size=1m") != 0)
        cr_skip_test("no file system of our own can be mounted here");
}

Test(kept_snapshot, a_full_disk_costs_the_file_and_not_the_synchronisation)
{
    char small[512];
    struct server *master = server_start(OURS, "%s", "save \"\"\nrdbcompression no\nrepl-diskless-sync-delay 0");
    fill(master, "key:", 3000, 1000);
    struct server *replica = server_prepare(OURS, "%s", "save \"\"");
    mount_small(replica, small);
    server_add_config(replica, "dir %s", small);
    server_launch(replica);
    struct sync_counts before = sync_counts(master);
    long from = server_log_end(replica);
    follow(replica, master);
    expect_same_data(replica, master);
    expect_syncs(master, before, 1, 0);
    server_wait_log(replica, from, "No space left on device");
    char dump[600];
    snprintf(dump, sizeof dump, "%s/dump.rdb", small);
    server_kill(replica);
    cr_assert_neq(access(dump, F_OK), 0);
}
