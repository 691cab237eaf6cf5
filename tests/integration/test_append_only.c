/* The append-only file as the server keeps it: its files and their layout, appendonly turned on and off, what replicas
 * have of it, and Debian's redis-server as the judge of what stands there. */
#include "tests/harness/append_only.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

TestSuite(append_only, .fini = server_finish_all, .timeout = 180);

/* Some of each type, by commands whose effect is rewritten, too. */
static void write_all_families(struct server *s, int round)
{
    static const char *const lines[] = {
        "SET string:%d value EX 1000",
        "SETRANGE string:%d 3 overwritten",
        "APPEND string:%d tail",
        "INCRBYFLOAT float:%d 10.125",
        "SETEX soon:%d 100000 x",
        "GETEX soon:%d PERSIST",
        "GETDEL soon:%d",
        "SETBIT bits:%d 77 1",
        "PFADD hll:%d a b c d",
        "RPUSH list:%d a b c d e f",
        "LPOP list:%d 2",
        "LINSERT list:%d BEFORE d x",
        "LMOVE list:%d other:list LEFT RIGHT",
        "SADD set:%d 1 2 3 4 5",
        "SPOP set:%d",
        "SADD words:%d one two three",
        "ZADD zset:%d 1 a 2.5 b inf c -inf d",
        "ZINCRBY zset:%d 0.5 a",
        "ZPOPMIN zset:%d",
        "GEOADD geo:%d 13.361389 38.115556 Palermo",
        "HSET hash:%d field value number 17",
        "HINCRBYFLOAT hash:%d number 1.5",
        "XADD stream:%d * field value",
        "XADD stream:%d MAXLEN ~ 100 * field value other 2",
        "XGROUP CREATE stream:%d group 0",
        "XREADGROUP GROUP group alice COUNT 1 STREAMS stream:%d >",
        "EXPIRE hash:%d 100000",
        "RENAME words:%d renamed",
        "COPY zset:%d copy:zset REPLACE",
        "SORT list:%d ALPHA STORE sorted",
        "MOVE string:%d 1",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char line[256];
        redisReply *r;
        snprintf(line, sizeof line, lines[i], round);
        r = command(s, line);
        cr_assert_neq(r->type, REDIS_REPLY_ERROR, "%s: %s", line, r->str);
        freeReplyObject(r);
    }
    expect_ok(s, "MULTI");
    expect_status(s, "QUEUED", "INCR counter");
    expect_status(s, "QUEUED", "SELECT 3");
    expect_status(s, "QUEUED", "LPUSH elsewhere %d", round);
    expect_status(s, "QUEUED", "SELECT 0");
    freeReplyObject(command(s, "EXEC"));
}

/* --- start and layout --- */

Test(append_only, a_start_makes_base_incremental_and_manifest)
{
    struct server *s = server_start(OURS, "appendonly yes");
    expect_aof_manifest(s,
                        "file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n");
    cr_expect_eq(server_count_files(s, "appendonlydir"), 3);
    cr_expect(info_is(s, "persistence", "aof_enabled", "1"));
    expect_ok(s, "SET a 1");
    expect_debian_loads_the_same(s);
}

Test(append_only, every_command_family_loads_in_debians)
{
    struct server *s = server_start(OURS, "appendonly yes");
    for (int round = 0; round < 3; round++) write_all_families(s, round);
    expect_debian_loads_the_same(s);
}

Test(append_only, a_base_of_commands_loads_in_debians)
{
    struct server *s = server_start(OURS, "appendonly yes\naof-use-rdb-preamble no");
    for (int round = 0; round < 3; round++) write_all_families(s, round);
    for (int i = 0; i < 200; i++) {
        freeReplyObject(command(s, "RPUSH long %d", i));
        freeReplyObject(command(s, "SADD many member:%d", i));
        freeReplyObject(command(s, "ZADD ranks %d.25 member:%d", i, i));
        freeReplyObject(command(s, "HSET wide field:%d %d", i, i));
    }
    expect_string(s, "5-5", "XADD emptied 5-5 a b");
    expect_integer(s, 1, "XDEL emptied 5-5");
    expect_ok(s, "XGROUP CREATE emptied group $");
    expect_ok(s, "XGROUP CREATE never group 0 MKSTREAM");
    aof_rewrite(s);
    cr_expect(server_has_file(s, "appendonlydir/appendonly.aof.2.base.aof"));
    expect_ok(s, "SET behind 1");
    expect_debian_loads_the_same(s);
}

Test(append_only, what_an_unfinished_rewrite_left_is_swept)
{
    struct server *s = server_prepare(OURS, "appendonly yes");
    static const char *const names[] = {"temp-rewriteaof-1999999999.aof", "temp-rewriteaof-bg-1999999999.aof",
                                        "temp-rewriteaof-notes.aof"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[512];
        server_path(s, names[i], path);
        fclose(fopen(path, "we"));
    }
    server_launch(s);
    cr_expect_not(server_has_file(s, names[0]));
    cr_expect_not(server_has_file(s, names[1]));
    cr_expect(server_has_file(s, names[2]));
}

/* The first base, too, is of the form that is asked for. */
Test(append_only, a_first_base_is_of_commands_where_it_is_to_be)
{
    static const char manifest[] =
        "file appendonly.aof.1.base.aof seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n";
    struct server *debian = server_start(DEBIAN, "appendonly yes\naof-use-rdb-preamble no");
    struct server *empty = server_start(OURS, "appendonly yes\naof-use-rdb-preamble no");
    expect_aof_manifest(debian, manifest);
    expect_aof_manifest(empty, manifest);
    expect_ok(empty, "SET behind 1");
    server_restart(empty);
    expect_string(empty, "1", "GET behind");
    expect_debian_loads_the_same(empty);
}

static bool has_loaded(struct server *s)
{
    return info_is_if_there(s, "persistence", "loading", "0");
}

/* Servers of one directory whose files are named differently have nothing to do with one another. Where the names are
 * the same, the second one waits until the first has ended, and then has its data. */
Test(append_only, servers_share_a_directory_under_names_of_their_own)
{
    struct server *first = server_start(OURS, "appendonly yes");
    struct server *second = server_start(OURS, "appendonly yes\nappendfilename second.aof\ndir %s", first->dir);
    struct server *heir = server_prepare(OURS, "appendonly yes\ndir %s", first->dir);
    expect_ok(first, "SET whose first");
    expect_ok(second, "SET whose second");
    aof_rewrite(second);
    cr_expect_eq(server_count_files(first, "appendonlydir"), 6);
    server_launch(heir);
    server_wait_log(heir, 0, "appendonly.aof in appendonlydir is still written to");
    server_restart(second);
    wait_until(has_loaded(second));
    expect_string(second, "second", "GET whose");
    expect_string(first, "first", "GET whose");
    cr_expect(info_is(heir, "persistence", "loading", "1"));
    server_stop(first);
    wait_until(has_loaded(heir));
    expect_string(heir, "first", "GET whose");
}

/* The files are taken before they are read: who has to wait reads what is there at the end of it. */
Test(append_only, of_two_heirs_one_waits_for_the_other)
{
    struct server *first = server_start(OURS, "appendonly yes"), *heirs[2];
    expect_ok(first, "SET key 1");
    for (int i = 0; i < 2; i++) {
        heirs[i] = server_prepare(OURS, "appendonly yes\ndir %s", first->dir);
        server_launch(heirs[i]);
        server_wait_log(heirs[i], 0, "is still written to");
    }
    server_stop(first);
    wait_until(has_loaded(heirs[0]) || has_loaded(heirs[1]));
    int next = has_loaded(heirs[0]) ? 0 : 1;
    expect_ok(heirs[next], "SET key 2");
    cr_expect(info_is(heirs[1 - next], "persistence", "loading", "1"));
    server_stop(heirs[next]);
    wait_until(has_loaded(heirs[1 - next]));
    expect_string(heirs[1 - next], "2", "GET key");
}

/* --- on and off --- */

Test(append_only, it_is_turned_on_and_off_at_run_time)
{
    struct server *s = server_start(OURS, "appendonly no");
    fill(s, "key:", 100, 20);
    expect_ok(s, "CONFIG SET appendonly yes");
    cr_expect(info_is(s, "persistence", "aof_enabled", "1"));
    expect_ok(s, "SET meanwhile 1");
    wait_until(info_number(s, "persistence", "aof_rewrites") == 1 && aof_is_idle(s));
    expect_aof_manifest(s,
                        "file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n");
    expect_ok(s, "SET behind 1");
    expect_ok(s, "CONFIG SET appendonly no");
    cr_expect(info_is(s, "persistence", "aof_enabled", "0"));
    expect_ok(s, "SET unseen 1");
    struct server *debian = loaded_by_debian(s);
    expect_string(debian, "1", "GET meanwhile");
    expect_string(debian, "1", "GET behind");
    expect_nil(debian, "GET unseen");
    expect_ok(s, "CONFIG SET appendonly yes");
    wait_until(info_number(s, "persistence", "aof_rewrites") == 2 && aof_is_idle(s));
    expect_ok(s, "SET again 1");
    expect_debian_loads_the_same(s);
}

Test(append_only, where_no_file_can_be_made_it_is_not_turned_on)
{
    struct server *s = server_prepare(OURS, "appendonly no");
    char path[512];
    server_path(s, "appendonlydir", path);
    fclose(fopen(path, "we"));
    server_launch(s);
    expect_error(s,
                 "ERR CONFIG SET failed (possibly related to argument 'appendonly') - Unable to turn on AOF. Check "
                 "server logs.",
                 "CONFIG SET appendonly yes");
    cr_expect_str_eq(config_get(s, "appendonly"), "no");
    cr_expect(info_is(s, "persistence", "aof_enabled", "0"));
    cr_assert_eq(unlink(path), 0);
    expect_ok(s, "CONFIG SET appendonly yes");
    wait_until(info_number(s, "persistence", "aof_rewrites") == 1 && aof_is_idle(s));
}

Test(append_only, turned_off_while_it_is_being_turned_on)
{
    struct server *s = server_start(OURS, "appendonly no\nrdb-key-save-delay 10000000");
    expect_ok(s, "SET a 1");
    expect_ok(s, "CONFIG SET appendonly yes");
    server_wait_log(s, 0, "Background append only file rewriting started by pid");
    expect_error(s, "ERR Errors trying to SHUTDOWN", "SHUTDOWN");
    cr_expect(server_log_has(s, 0, "Writing initial AOF, can't exit"));
    expect_ok(s, "CONFIG SET appendonly no");
    wait_until(aof_is_idle(s));
    expect_ok(s, "CONFIG SET rdb-key-save-delay 0");
    expect_ok(s, "CONFIG SET appendonly yes");
    wait_until(info_number(s, "persistence", "aof_rewrites") == 1 && aof_is_idle(s));
    cr_expect_not(server_has_file(s, "appendonlydir/temp-appendonly.aof.incr"));
    expect_debian_loads_the_same(s);
}

/* --- INFO --- */

static void names_of(struct server *s, const char *section, char out[8192])
{
    out[0] = 0;
    char text[16384];
    snprintf(text, sizeof text, "%s", command_text(s, "INFO %s", section));
    for (char *line = strtok(text, "\r\n"); line; line = strtok(NULL, "\r\n")) {
        char *colon = strchr(line, ':');
        if (colon) strncat(strncat(out, line, (size_t)(colon - line)), "\n", 2);
    }
}

Test(append_only, info_has_redis_names_in_their_order)
{
    static char ours[8192], theirs[8192];
    struct server *s = server_start(OURS, "appendonly yes"), *debian = server_start(DEBIAN, "appendonly yes");
    names_of(s, "persistence", ours);
    names_of(debian, "persistence", theirs);
    cr_expect_str_eq(ours, theirs);
}

/* --- replicas --- */

Test(append_only, a_replica_begins_anew_with_its_masters_dataset)
{
    struct server *master = server_start(OURS, "appendonly no"), *replica = server_start(OURS, "appendonly yes");
    expect_ok(replica, "SET old 1");
    for (int round = 0; round < 2; round++) write_all_families(master, round);
    expect_ok(master, "SELECT 5");
    follow(replica, master);
    wait_in_step(replica, master);
    expect_ok(master, "SET in:five 1");
    wait_until(info_number(replica, "persistence", "aof_rewrites") == 1 && aof_is_idle(replica));
    expect_ok(master, "SET in:five 2");
    expect_ok(master, "SELECT 0");
    write_all_families(master, 7);
    aof_rewrite(replica);
    write_all_families(master, 8);
    expect_same_data(replica, master);
    expect_debian_loads_the_same(replica);
}

Test(append_only, a_master_with_it_serves_replicas_as_before)
{
    struct server *master = server_start(OURS, "appendonly yes\nappendfsync always\nrepl-backlog-ttl 1"),
                  *replica = server_start(OURS, "appendonly no");
    write_all_families(master, 0);
    follow(replica, master);
    write_all_families(master, 1);
    wait_in_step(replica, master); /* a rewrite waits for its snapshot */
    aof_rewrite(master);
    write_all_families(master, 2);
    expect_same_data(replica, master);
    expect_debian_loads_the_same(master);
}

Test(append_only, a_full_sync_outlives_a_rewrites_child)
{
    struct server *master = server_start(OURS, "appendonly yes\nrdb-key-save-delay 10000000");
    struct server *replica = server_start(OURS, "appendonly no");
    expect_ok(master, "SET a 1");
    expect_status(master, "Background append only file rewriting started", "BGREWRITEAOF");
    server_wait_log(master, 0, "Background append only file rewriting started by pid");
    follow(replica, master);
    server_wait_log(master, 0, "asks for synchronization");
    expect_ok(master, "CONFIG SET rdb-key-save-delay 0");
    expect_ok(master, "SET b 1");
    cr_expect_not(link_is_up(replica));
    kill(server_snapshot_pid(master), SIGKILL);
    wait_in_step(replica, master);
    expect_same_data(replica, master);
    aof_rewrite(master);
    expect_debian_loads_the_same(master);
}

/* What clients write to a replica has no place in its master's stream, which is what the file holds. */
Test(append_only, says_what_of_a_writable_replica_it_does_not_hold)
{
    static const char *const told = "What clients write to this replica (replica-read-only no) is not in its append";
    struct server *master = server_start(OURS, "appendonly no"), *replica = server_start(OURS, "appendonly yes");
    follow(replica, master);
    wait_until(link_is_up(replica));
    long mark = server_log_end(replica);
    expect_ok(replica, "CONFIG SET replica-read-only no");
    server_wait_log(replica, mark, told);
    expect_ok(replica, "SET own 1");
    expect_ok(master, "SET streamed 1");
    wait_until(in_step(replica, master));
    wait_until(aof_is_idle(replica));
    aof_rewrite(replica);
    server_kill(replica);
    server_launch(replica);
    wait_until(info_is_if_there(replica, "persistence", "loading", "0"));
    cr_expect_str_eq(command_text(replica, "GET own"), "1");
    cr_expect_str_eq(command_text(replica, "GET streamed"), "1");
}
