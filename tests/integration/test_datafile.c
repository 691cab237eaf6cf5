/* What stands in dump.rdb is true: who may write it and when, and what it says of its data's history. */
#include "tests/harness/proxy.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLOW_LOAD    "key-load-delay 500\nloading-process-events-interval-bytes 1024"
#define SAVE_AT_END  "save 3600 1"
#define ALL_OF_THEM  3000
#define END_BOUND_MS 20000

TestSuite(datafile, .fini = server_finish_all, .timeout = 180);

/* --- the file, looked at from outside --- */

/* What redis-check-rdb says of a server's file. Freed by the caller. */
static char *checked(struct server *s)
{
    char path[512];
    server_path(s, "dump.rdb", path);
    const char *argv[] = {server_program(OURS, "redis-check-rdb"), path, NULL};
    struct process_result r = process_run(argv, NULL);
    cr_assert_eq(r.exit_code, 0, "%s", r.output);
    return r.output;
}

/* An aux field as text; "" when the file does not have it. Valid until the next call. */
static const char *file_field(struct server *s, const char *name)
{
    static char value[128];
    char *output = checked(s), start[64];
    snprintf(start, sizeof start, "AUX FIELD %s = '", name);
    const char *at = strstr(output, start);
    value[0] = '\0';
    if (at) snprintf(value, sizeof value, "%.*s", (int)strcspn(at + strlen(start), "'"), at + strlen(start));
    free(output);
    return value;
}

static void expect_keys_in_file(struct server *s, int keys)
{
    struct server *reader = server_prepare(OURS, "%s", "");
    server_copy_file(s, reader, "dump.rdb");
    server_launch(reader);
    wait_until(info_is_if_there(reader, "persistence", "loading", "0"));
    expect_integer(reader, keys, "DBSIZE");
    server_kill(reader);
}

static bool file_is_there(struct server *s)
{
    char path[512];
    server_path(s, "dump.rdb", path);
    return access(path, F_OK) == 0;
}

static bool is_loading(struct server *s)
{
    return info_is_if_there(s, "persistence", "loading", "1") ||
           info_is_if_there(s, "persistence", "async_loading", "1");
}

static void end_with(struct server *s, int signal)
{
    kill(s->pid, signal);
    int status = process_wait(s->pid, END_BOUND_MS);
    if (status != -1) s->pid = 0;
    cr_assert_eq(status, 0, "wait status %d", status);
    if (s->client) redisFree(s->client);
    s->client = NULL;
}

/* --- who may write it, and when --- */

static struct server *slow_loader(void)
{
    struct server *s = server_start(OURS, SAVE_AT_END);
    fill(s, "key:", ALL_OF_THEM, 10);
    expect_ok(s, "SAVE");
    server_kill(s);
    server_add_config(s, SLOW_LOAD);
    return s;
}

Test(datafile, a_signal_during_the_load_at_start_leaves_the_file)
{
    struct server *s = slow_loader();
    static const int signals[] = {SIGTERM, SIGINT};
    for (int i = 0; i < 2; i++) {
        server_launch(s);
        wait_until(is_loading(s) && info_number(s, "persistence", "loading_loaded_bytes") > 0);
        end_with(s, signals[i]);
        expect_keys_in_file(s, ALL_OF_THEM);
    }
}

Test(datafile, shutdown_save_during_the_load_at_start_leaves_the_file)
{
    struct server *s = slow_loader();
    server_launch(s);
    wait_until(is_loading(s));
    redisReply *r = try_command(s, "SHUTDOWN SAVE");
    cr_assert_null(r);
    cr_assert_eq(process_wait(s->pid, END_BOUND_MS), 0);
    s->pid = 0;
    expect_keys_in_file(s, ALL_OF_THEM);
}

/* From the first instruction on: either nothing was there to be saved, or the end is an orderly one. */
Test(datafile, a_signal_at_any_moment_of_start_ends_the_server)
{
    struct server *s = server_start(OURS, SAVE_AT_END);
    fill(s, "key:", ALL_OF_THEM, 10);
    expect_ok(s, "SAVE");
    server_kill(s);
    for (int step = 0; step < 16; step++) {
        const char *argv[] = {server_program(OURS, "redis-server"), s->config_file, NULL};
        pid_t pid = process_spawn(&(struct process_options){.argv = argv, .dir = s->dir, .log = s->log});
        sleep_us(step * step * 150);
        kill(pid, SIGTERM);
        int status = process_wait(pid, END_BOUND_MS);
        bool by_the_kernel = WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM; /* not yet our program */
        int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        cr_assert(by_the_kernel || code == 0 || code == 128 + SIGTERM, "step %d: wait status %d", step, status);
    }
    expect_keys_in_file(s, ALL_OF_THEM);
}

/* A replica with a file of its own. */
static struct server *saved_replica(const char *config)
{
    struct server *replica = server_start(OURS, SAVE_AT_END "\n%s", config);
    fill(replica, "own:", 70, 10);
    expect_ok(replica, "SAVE");
    return replica;
}

/* Whoever is too late for the load has missed his chance: the file is the master's then. */
Test(datafile, a_signal_during_a_full_sync_leaves_the_file)
{
    struct server *master = server_start(OURS, "%s", ""), *replica = saved_replica("");
    expect_ok(master, "DEBUG POPULATE 200000");
    follow(replica, master);
    server_wait_log(replica, 0, "sync: Loading DB in memory");
    end_with(replica, SIGTERM);
    if (!server_log_has(replica, 0, "sync: Finished with success")) expect_keys_in_file(replica, 70);
}

Test(datafile, a_signal_during_a_full_sync_beside_the_old_data_leaves_the_file)
{
    struct server *master = server_start(OURS, "%s", "");
    struct server *replica = saved_replica("repl-diskless-load swapdb\nkey-load-delay 500");
    fill(master, "key:", ALL_OF_THEM, 10);
    follow(replica, master);
    wait_until(is_loading(replica));
    end_with(replica, SIGTERM);
    expect_keys_in_file(replica, 70);
}

/* Its old data is gone, and the new will not come. */
static struct server *replica_left_without_data(void)
{
    struct server *master = server_start(OURS, "rdb-key-save-delay 1000"), *replica = saved_replica("");
    fill(master, "key:", ALL_OF_THEM, 10000);
    expect_ok(replica, "FLUSHDB"); /* so that the parser works in the keyspace itself */
    follow(replica, master);
    wait_until(is_loading(replica));
    pid_t link = server_link_pid(master);
    server_kill(master);
    kill(link, SIGKILL); /* it would deliver the rest */
    wait_until(!is_loading(replica));
    return replica;
}

Test(datafile, what_a_failed_full_sync_left_is_not_saved)
{
    struct server *replica = replica_left_without_data();
    expect_error(replica, "ERR", "SAVE");
    expect_error(replica, "ERR", "BGSAVE");
    end_with(replica, SIGTERM);
    expect_keys_in_file(replica, 70);
}

Test(datafile, a_promoted_replica_saves_again)
{
    struct server *replica = replica_left_without_data();
    promote(replica);
    expect_ok(replica, "SET mine 1");
    end_with(replica, SIGTERM);
    expect_keys_in_file(replica, 1);
}

static struct server *expect_save_ends_with_its_dataset(const char *config)
{
    struct server *master = server_start(OURS, "%s", "");
    fill(master, "key:", 10, 10);
    struct server *replica = server_start(OURS, "%s", config);
    fill(replica, "own:", ALL_OF_THEM, 10);
    expect_ok(replica, "CONFIG SET rdb-key-save-delay 5000");
    expect_status(replica, "Background saving started", "BGSAVE");
    pid_t child = server_snapshot_pid(replica);
    cr_assert(child > 0);
    follow(replica, master);
    expect_same_data(replica, master);
    wait_until(!process_alive(child));
    wait_until(info_is(replica, "persistence", "rdb_bgsave_in_progress", "0"));
    cr_assert(info_is(replica, "persistence", "rdb_last_bgsave_status", "ok"));
    return replica;
}

Test(datafile, a_save_of_data_that_a_full_sync_replaces_is_stopped)
{
    struct server *replica = expect_save_ends_with_its_dataset("repl-diskless-load disabled");
    wait_until(file_is_there(replica)); /* the master's */
    expect_keys_in_file(replica, 10);
}

Test(datafile, a_save_of_data_that_a_full_sync_swaps_out_is_stopped)
{
    cr_assert_not(file_is_there(expect_save_ends_with_its_dataset("repl-diskless-load swapdb")));
}

/* --- what it says: the database that the stream has selected --- */

static void write_in(struct server *s, int db, const char *key)
{
    expect_ok(s, "SELECT %d", db);
    expect_ok(s, "SET %s v", key);
    expect_ok(s, "SELECT 0");
}

struct trio {
    struct server *master, *replica;
    struct proxy *proxy;
    struct sync_counts counts;
};

/* The stream stands in database 5. */
static struct trio stream_in_five(const char *replica_config)
{
    struct trio t = {.master = server_start(OURS, "repl-ping-replica-period 3600")};
    t.proxy = proxy_start(t.master->port);
    t.replica = server_start(OURS, "replicaof 127.0.0.1 %d\n%s", proxy_port(t.proxy), replica_config);
    write_in(t.master, 0, "a");
    wait_in_step(t.replica, t.master);
    write_in(t.master, 5, "b");
    wait_in_step(t.replica, t.master);
    t.counts = sync_counts(t.master);
    return t;
}

/* The master has written to database 5 meanwhile; its stream has no SELECT for it. */
static void expect_it_arrives_in_five(struct trio *t, struct server *replica)
{
    expect_same_data(replica, t->master);
    expect_syncs(t->master, t->counts, 0, 1);
    expect_ok(replica, "SELECT 5");
    expect_string(replica, "v", "GET c");
    proxy_stop(t->proxy);
}

Test(datafile, a_stopped_replica_remembers_the_database_of_the_stream)
{
    struct trio t = stream_in_five(SAVE_AT_END);
    server_stop(t.replica);
    write_in(t.master, 5, "c");
    server_launch(t.replica);
    expect_it_arrives_in_five(&t, t.replica);
}

static void save(struct server *s)
{
    expect_ok(s, "SAVE");
}
static void save_in_background(struct server *s)
{
    expect_status(s, "Background saving started", "BGSAVE");
    wait_until(info_is(s, "persistence", "rdb_bgsave_in_progress", "0"));
}

static void expect_remembered_by(void (*save_it)(struct server *s))
{
    struct trio t = stream_in_five("");
    save_it(t.replica);
    server_kill(t.replica);
    write_in(t.master, 5, "c");
    server_launch(t.replica);
    expect_it_arrives_in_five(&t, t.replica);
}

Test(datafile, save_on_a_replica_remembers_the_database_of_the_stream)
{
    expect_remembered_by(save);
}
Test(datafile, bgsave_on_a_replica_remembers_the_database_of_the_stream)
{
    expect_remembered_by(save_in_background);
}

Test(datafile, a_replica_that_stops_while_it_is_cut_off_remembers_the_database_of_the_stream)
{
    struct trio t = stream_in_five(SAVE_AT_END);
    proxy_cut(t.proxy);
    wait_until(!link_is_up(t.replica));
    server_stop(t.replica);
    server_launch(t.replica); /* and has not been up in between */
    expect_ok(t.replica, "SAVE");
    server_stop(t.replica);
    write_in(t.master, 5, "c");
    server_launch(t.replica);
    proxy_heal(t.proxy);
    expect_it_arrives_in_five(&t, t.replica);
}

Test(datafile, debian_continues_from_our_replicas_file)
{
    struct trio t = stream_in_five("");
    expect_ok(t.replica, "SAVE");
    server_kill(t.replica);
    struct server *debian = server_prepare(DEBIAN, "replicaof 127.0.0.1 %d", t.master->port);
    server_copy_file(t.replica, debian, "dump.rdb");
    write_in(t.master, 5, "c");
    server_launch(debian);
    expect_it_arrives_in_five(&t, debian);
}

Test(datafile, we_continue_from_a_debian_replicas_file)
{
    struct server *master = server_start(DEBIAN, "repl-ping-replica-period 3600");
    struct server *debian = server_start(DEBIAN, "replicaof 127.0.0.1 %d", master->port);
    write_in(master, 5, "b");
    wait_in_step(debian, master);
    expect_ok(debian, "SAVE");
    struct trio t = {master, debian, proxy_start(master->port), sync_counts(master)};
    struct server *ours = server_prepare(OURS, "replicaof 127.0.0.1 %d", master->port);
    server_copy_file(debian, ours, "dump.rdb");
    write_in(master, 5, "c");
    server_launch(ours);
    expect_it_arrives_in_five(&t, ours);
}

/* --- what it says: the history --- */

Test(datafile, a_master_without_backlog_names_no_history)
{
    struct server *s = server_start(OURS, SAVE_AT_END "\nadopt-backlog no");
    expect_ok(s, "SET a 1");
    expect_ok(s, "SAVE");
    cr_assert_str_eq(file_field(s, "repl-id"), "");
    cr_assert_str_eq(file_field(s, "repl-offset"), "");
    save_in_background(s);
    cr_assert_str_eq(file_field(s, "repl-id"), "");
    server_stop(s);
    cr_assert_str_eq(file_field(s, "repl-id"), "");
}

Test(datafile, a_master_with_a_backlog_names_its_history)
{
    struct server *master = server_start(OURS, "adopt-backlog no");
    struct server *replica = server_start(OURS, "replicaof 127.0.0.1 %d", master->port);
    wait_in_step(replica, master);
    expect_ok(master, "SET a 1");
    expect_ok(master, "SAVE");
    cr_assert_str_eq(file_field(master, "repl-id"), info_text(master, "replication", "master_replid"));
    cr_assert_neq(atoll(file_field(master, "repl-offset")), 0);
    server_stop(replica);
    expect_ok(master, "CONFIG SET repl-backlog-ttl 1");
    wait_until(info_is(master, "replication", "repl_backlog_active", "0"));
    expect_ok(master, "SAVE");
    cr_assert_str_eq(file_field(master, "repl-id"), "");
}

/* Writes that nobody counted lie between its two files. */
Test(datafile, servers_from_two_files_of_a_lone_master_do_not_continue_each_other)
{
    struct server *master = server_start(OURS, "%s", "");
    fill(master, "key:", 100, 10);
    expect_ok(master, "SAVE");
    struct server *replica = server_prepare(OURS, "replicaof 127.0.0.1 %d", master->port);
    server_copy_file(master, replica, "dump.rdb");
    fill(master, "later:", 100, 10);
    expect_ok(master, "SAVE");
    server_restart(master);
    server_launch(replica);
    expect_same_data(replica, master);
    expect_integer(replica, 200, "DBSIZE");
}

Test(datafile, a_replica_without_its_masters_data_names_no_history)
{
    struct server *s = server_start(OURS, "replicaof 127.0.0.1 1");
    expect_ok(s, "SAVE");
    cr_assert_str_eq(file_field(s, "repl-id"), "");
}

/* Within EXEC, what has run already is not in the stream yet. */
Test(datafile, a_save_within_a_transaction_names_no_history)
{
    struct server *master = server_start(OURS, "%s", "");
    struct server *replica = server_start(OURS, "replicaof 127.0.0.1 %d", master->port);
    wait_in_step(replica, master);
    expect_ok(master, "MULTI");
    expect_status(master, "QUEUED", "SET a 1");
    expect_status(master, "QUEUED", "DEBUG RELOAD");
    freeReplyObject(command(master, "EXEC"));
    cr_assert_str_eq(file_field(master, "repl-id"), "");
    expect_same_data(replica, master);
}

/* --- FLUSHALL --- */

static void flush_all(struct server *s)
{
    expect_ok(s, "FLUSHALL");
}
static void flush_all_in_transaction(struct server *s)
{
    expect_ok(s, "MULTI");
    expect_status(s, "QUEUED", "SET before 1");
    expect_status(s, "QUEUED", "FLUSHALL");
    expect_status(s, "QUEUED", "SET after 1");
    freeReplyObject(command(s, "EXEC"));
}

/* The replica has not heard of it when its master dies: no resync may leave it the old keys. */
static void expect_flush_reaches_the_replica(void (*flush)(struct server *s), int left)
{
    struct server *master = server_start(OURS, SAVE_AT_END);
    struct proxy *proxy = proxy_start(master->port);
    struct server *replica = server_start(OURS, "replicaof 127.0.0.1 %d", proxy_port(proxy));
    fill(master, "key:", 100, 10);
    wait_in_step(replica, master);
    proxy_cut(proxy);
    wait_until(!link_is_up(replica));
    flush(master);
    expect_keys_in_file(master, left);
    server_restart(master);
    expect_integer(master, left, "DBSIZE");
    proxy_heal(proxy);
    expect_same_data(replica, master);
    expect_integer(replica, left, "DBSIZE");
    proxy_stop(proxy);
}

Test(datafile, flushall_is_in_the_offset_of_its_file)
{
    expect_flush_reaches_the_replica(flush_all, 0);
}
Test(datafile, flushall_in_a_transaction_is_in_the_offset_of_its_file)
{
    expect_flush_reaches_the_replica(flush_all_in_transaction, 1);
}

Test(datafile, flushall_from_the_master_empties_the_replicas_file)
{
    struct server *master = server_start(OURS, "%s", "");
    struct server *replica = server_start(OURS, SAVE_AT_END "\nreplicaof 127.0.0.1 %d", master->port);
    fill(master, "key:", 100, 10);
    wait_in_step(replica, master);
    expect_ok(replica, "SAVE");
    expect_ok(master, "FLUSHALL");
    wait_in_step(replica, master);
    expect_ok(master, "SET a 1");
    wait_in_step(replica, master);
    server_kill(replica);
    struct sync_counts counts = sync_counts(master);
    expect_keys_in_file(replica, 0);
    server_launch(replica);
    expect_same_data(replica, master);
    expect_syncs(master, counts, 0, 1);
}

Test(datafile, flushall_stops_a_save_of_what_was_there)
{
    struct server *s = server_start(OURS, SAVE_AT_END "\nrdb-key-save-delay 5000");
    fill(s, "key:", ALL_OF_THEM, 10);
    expect_status(s, "Background saving started", "BGSAVE");
    expect_ok(s, "FLUSHALL");
    wait_until(info_is(s, "persistence", "rdb_bgsave_in_progress", "0"));
    expect_keys_in_file(s, 0);
    cr_assert_eq(info_number(s, "persistence", "rdb_changes_since_last_save"), 0);
}

/* --- keys that expire while a master is down --- */

/* The replica of a replica, too, hears what the master drops. */
struct chain {
    struct server *master, *replica, *last;
};

static struct chain chain_with_keys_about_to_expire(int keys, const char *master_config)
{
    struct chain c = {.master = server_start(OURS, SAVE_AT_END "\nrepl-ping-replica-period 3600\n%s", master_config)};
    c.replica = server_start(OURS, "replicaof 127.0.0.1 %d", c.master->port);
    c.last = server_start(OURS, "replicaof 127.0.0.1 %d", c.replica->port);
    expect_integer(c.master, 0, "EXISTS none");
    expect_ok(c.master, "SET stays 1");
    expect_ok(c.master, "DEBUG SET-ACTIVE-EXPIRE 0");
    for (int i = 0; i < keys; i++) {
        expect_ok(c.master, "SELECT %d", i % 16);
        expect_ok(c.master, "SET count:%d 41 PX 1", i);
    }
    expect_ok(c.master, "SELECT 0");
    wait_in_step(c.replica, c.master);
    wait_in_step(c.last, c.replica);
    server_stop(c.master);
    sleep_us(2000); /* the last one's time, so that all have expired */
    server_launch(c.master);
    cr_assert_eq(info_number(c.master, "persistence", "rdb_last_load_keys_expired"), keys);
    return c;
}

Test(datafile, keys_that_expire_while_a_master_is_down_go_from_its_replicas)
{
    struct chain c = chain_with_keys_about_to_expire(64, "");
    expect_same_data(c.replica, c.master);
    expect_same_data(c.last, c.replica);
    expect_syncs(c.master, (struct sync_counts){0}, 0, 1);
    for (int i = 0; i < 16; i++) {
        expect_ok(c.replica, "SELECT %d", i);
        expect_integer(c.replica, i == 0, "DBSIZE");
    }
    expect_integer(c.master, 1, "INCR count:0");
    expect_same_data(c.last, c.master);
    cr_assert_eq(info_number(c.master, "replication", "second_repl_offset") +
                     info_number(c.master, "replication", "repl_backlog_histlen") - 1,
                 info_number(c.master, "replication", "master_repl_offset"));
}

Test(datafile, more_expired_keys_than_the_backlog_holds_are_a_full_resync)
{
    struct chain c = chain_with_keys_about_to_expire(1024, "repl-backlog-size 16384");
    expect_same_data(c.replica, c.master);
    expect_same_data(c.last, c.replica);
    expect_syncs(c.master, (struct sync_counts){0}, 1, 0);
    expect_integer(c.master, 1, "INCR count:0");
    expect_same_data(c.last, c.master);
}

Test(datafile, keys_that_expire_before_a_reload_go_from_the_replicas)
{
    struct server *master = server_start(OURS, "%s", "");
    struct server *replica = server_start(OURS, "replicaof 127.0.0.1 %d", master->port);
    expect_ok(master, "DEBUG SET-ACTIVE-EXPIRE 0");
    for (int i = 0; i < 20; i++) expect_ok(master, "SET count:%d 41 PX 1", i);
    wait_in_step(replica, master);
    sleep_us(2000);
    expect_ok(master, "DEBUG RELOAD");
    expect_integer(master, 1, "INCR count:0");
    expect_same_data(replica, master);
}

/* --- what a key's last use was --- */

Test(datafile, a_keys_last_use_outlives_a_restart)
{
    struct server *s = server_start(OURS, "maxmemory-policy allkeys-lru");
    expect_ok(s, "SET source v");
    redisReply *dump = command(s, "DUMP source");
    expect_ok(s, "RESTORE idle 0 %b IDLETIME 5000", dump->str, dump->len);
    expect_ok(s, "SAVE");
    server_restart(s);
    long long idle_s = command_integer(s, "OBJECT IDLETIME idle");
    cr_assert(idle_s >= 5000 && idle_s < 6000, "IDLETIME %lld", idle_s);
    idle_s = command_integer(s, "OBJECT IDLETIME source");
    cr_assert(idle_s < 1000, "IDLETIME %lld", idle_s);

    expect_ok(s, "CONFIG SET maxmemory-policy allkeys-lfu");
    expect_ok(s, "RESTORE often 0 %b FREQ 200", dump->str, dump->len);
    expect_ok(s, "SAVE");
    server_add_config(s, "maxmemory-policy allkeys-lfu");
    server_restart(s);
    expect_integer(s, 200, "OBJECT FREQ often");

    expect_ok(s, "CONFIG SET maxmemory-policy noeviction");
    expect_ok(s, "SAVE");
    server_add_config(s, "maxmemory-policy noeviction");
    server_restart(s);
    idle_s = command_integer(s, "OBJECT IDLETIME source");
    cr_assert(idle_s < 1000, "IDLETIME %lld", idle_s);
    freeReplyObject(dump);
}

/* --- what a parent leaves behind --- */

Test(datafile, a_careless_parents_signals_do_not_matter)
{
    struct server *s = server_prepare(OURS, SAVE_AT_END);
    s->limits.signals_ignored = true;
    server_launch(s);
    expect_ok(s, "SET a 1");
    save_in_background(s);
    cr_assert(info_is(s, "persistence", "rdb_last_bgsave_status", "ok"));
    expect_keys_in_file(s, 1);
    expect_ok(s, "CONFIG SET rdb-key-save-delay 1000000");
    fill(s, "key:", 1000, 10);
    expect_status(s, "Background saving started", "BGSAVE");
    expect_ok(s, "CONFIG SET rdb-key-save-delay 0");
    end_with(s, SIGTERM); /* stops its child, which must hear of it */
    s->limits.signals_ignored = false;
    server_launch(s);
    expect_integer(s, 1001, "DBSIZE");
}
