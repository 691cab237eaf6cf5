/* INFO: no field is missing, and none says something that is not so. */
#include "tests/harness/raw.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MB 1000000

TestSuite(info, .fini = server_finish_all, .timeout = 120);

/* --- fields --- */

/* What depends on the commands that have run. */
static bool is_counter_of_its_own(const char *name)
{
    static const char *const prefixes[] = {"cmdstat_", "errorstat_", "latency_percentiles_usec_"};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0) return true;
    return false;
}

static bool has_field(const char *info, const char *name)
{
    char start[132];
    snprintf(start, sizeof start, "\n%s:", name);
    return strstr(info, start) != NULL;
}

/* The first server's INFO has each field of the second's. */
static void expect_fields_of(struct server *ours, struct server *theirs)
{
    redisReply *mine = command(ours, "INFO everything"), *wanted = command(theirs, "INFO everything");
    char name[128];
    int fields = 0;
    for (const char *line = wanted->str; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        if (sscanf(line, "%127[a-z0-9A-Z_]:", name) != 1 || line[strlen(name)] != ':') continue;
        if (is_counter_of_its_own(name)) continue;
        cr_expect(has_field(mine->str, name), "no %s", name);
        fields++;
    }
    cr_assert_gt(fields, 150);
    freeReplyObject(mine);
    freeReplyObject(wanted);
}

Test(info, every_field_of_redis)
{
    enum server_kind kinds[] = {OURS, DEBIAN};
    struct server *masters[2], *replicas[2];
    for (int i = 0; i < 2; i++) {
        masters[i] = server_start(kinds[i], "%s", "");
        replicas[i] = server_start(kinds[i], "%s", "");
        fill(masters[i], "key:", 10, 10);
        follow(replicas[i], masters[i]);
        wait_in_step(replicas[i], masters[i]);
    }
    expect_fields_of(masters[0], masters[1]);
    expect_fields_of(replicas[0], replicas[1]);
}

/* --- traffic --- */

Test(info, reads_and_writes)
{
    struct server *s = server_start(OURS, "%s", "");
    long long reads = info_number(s, "stats", "total_reads_processed");
    long long writes = info_number(s, "stats", "total_writes_processed");
    for (int i = 0; i < 100; i++) expect_ok(s, "SET key value");
    long long read = info_number(s, "stats", "total_reads_processed") - reads;
    long long written = info_number(s, "stats", "total_writes_processed") - writes;
    cr_assert(read >= 100 && read < 120, "%lld", read);
    cr_assert(written >= 100 && written < 120, "%lld", written);
    fill(s, "key:", 10000, 10); /* pipelined: many commands an arrival */
    cr_assert_lt(info_number(s, "stats", "total_reads_processed") - reads - read, 5000);
    expect_ok(s, "CONFIG RESETSTAT");
    cr_assert_lt(info_number(s, "stats", "total_reads_processed"), 10);
}

Test(info, what_replicas_acknowledge_is_no_replication_input)
{
    struct server *master = server_start(OURS, "%s", ""), *replica = server_start(OURS, "%s", "");
    fill(master, "key:", 100, 10);
    follow(replica, master);
    wait_in_step(replica, master);
    wait_online(replica->port, master);
    cr_assert_eq(info_number(master, "stats", "total_net_repl_input_bytes"), 0);
    cr_assert_eq(info_number(replica, "stats", "total_net_repl_output_bytes"), 0);
    wait_until(info_number(master, "stats", "total_net_repl_output_bytes") > 0);
    cr_assert_gt(info_number(replica, "stats", "total_net_repl_input_bytes"), 0);
}

/* --- memory --- */

/* Writes `bytes` that cannot be packed over one key. */
static void overwrite(struct server *s, long bytes)
{
    static char value[MB];
    for (; bytes > 0; bytes -= MB) {
        for (size_t i = 0; i < sizeof value; i += sizeof(long)) *(long *)(void *)(value + i) = random();
        redisReply *r = command(s, "SET one %b", value, sizeof value);
        freeReplyObject(r);
    }
}

static struct server *lagging_replica_of(struct server *master)
{
    struct server *replica = server_start(OURS, "%s", "");
    follow(replica, master);
    wait_in_step(replica, master);
    server_freeze(replica);
    return replica;
}

static long long memory(struct server *s, const char *field)
{
    return info_number(s, "memory", field);
}

Test(info, what_is_kept_for_replicas_is_used_memory)
{
    struct server *master = server_start(OURS, "repl-backlog-size 1mb\nadopt-backlog no");
    overwrite(master, MB);
    long long before = memory(master, "used_memory");
    cr_assert_eq(memory(master, "mem_replication_backlog"), 0);
    struct server *replica = lagging_replica_of(master);
    cr_assert_geq(memory(master, "mem_replication_backlog"), 1000000);
    cr_assert_eq(memory(master, "mem_not_counted_for_evict"), 0);
    overwrite(master, 30 * MB);
    long long beyond = memory(master, "mem_not_counted_for_evict"), backlog = memory(master, "mem_replication_backlog");
    cr_assert_gt(beyond, 20 * MB);
    cr_assert_leq(backlog, 1 << 20);
    cr_assert_geq(memory(master, "mem_clients_slaves"), beyond);
    cr_assert_eq(memory(master, "mem_total_replication_buffers"), backlog + beyond);
    cr_assert_geq(memory(master, "used_memory") - before, beyond);
    cr_assert_geq(memory(master, "used_memory_overhead"), backlog + beyond);
    cr_assert_geq(memory(master, "allocator_allocated"), backlog + beyond);
    cr_assert(strstr(command_text(master, "CLIENT LIST TYPE replica"), " omem=0 ") == NULL);
    server_thaw(replica);
}

Test(info, what_is_kept_for_replicas_evicts_nothing)
{
    struct server *master = server_start(OURS, "maxmemory-policy allkeys-random\nrepl-backlog-size 1mb");
    fill(master, "key:", 100, 1000);
    overwrite(master, MB);
    lagging_replica_of(master);
    long long limit = memory(master, "used_memory") + 10 * MB;
    expect_ok(master, "CONFIG SET maxmemory %lld", limit);
    overwrite(master, 30 * MB);
    cr_assert_gt(memory(master, "used_memory"), limit);
    cr_assert_eq(info_number(master, "stats", "evicted_keys"), 0);
    cr_assert_eq(info_number(master, "stats", "current_eviction_exceeded_time"), 0);
    expect_integer(master, 101, "DBSIZE");
}

Test(info, time_above_maxmemory)
{
    struct server *s = server_start(OURS, "%s", "");
    expect_ok(s, "CONFIG SET maxmemory 1");
    expect_error(s, "OOM", "SET key value");
    wait_until(info_number(s, "stats", "current_eviction_exceeded_time") > 20);
    cr_assert_geq(info_number(s, "stats", "total_eviction_exceeded_time"), 20);
    expect_ok(s, "CONFIG SET maxmemory 1gb");
    expect_ok(s, "SET key value");
    cr_assert_eq(info_number(s, "stats", "current_eviction_exceeded_time"), 0);
    long long total = info_number(s, "stats", "total_eviction_exceeded_time");
    cr_assert_geq(total, 20);
    expect_ok(s, "CONFIG SET maxmemory 1");
    expect_error(s, "OOM", "SET key value");
    expect_ok(s, "CONFIG SET maxmemory 0");
    wait_until(info_number(s, "stats", "current_eviction_exceeded_time") == 0);
    cr_assert_geq(info_number(s, "stats", "total_eviction_exceeded_time"), total);
    expect_ok(s, "CONFIG RESETSTAT");
    cr_assert_eq(info_number(s, "stats", "total_eviction_exceeded_time"), 0);
}

/* --- this and that --- */

Test(info, how_long_a_shutdown_still_waits)
{
    struct server *master = server_start(OURS, "shutdown-timeout 100");
    struct server *replica = lagging_replica_of(master);
    expect_ok(master, "SET key value");
    cr_assert_str_empty(info_text(master, "server", "shutdown_in_milliseconds"));
    int fd = raw_connect(master);
    raw_send_text(fd, "SHUTDOWN\r\n");
    wait_until(*info_text(master, "server", "shutdown_in_milliseconds"));
    long long left_ms = info_number(master, "server", "shutdown_in_milliseconds");
    cr_assert(left_ms > 0 && left_ms <= 100000, "%lld", left_ms);
    expect_ok(master, "SHUTDOWN ABORT");
    cr_assert_str_empty(info_text(master, "server", "shutdown_in_milliseconds"));
    close(fd);
    server_thaw(replica);
}

Test(info, a_full_sync_is_a_snapshot_and_a_load)
{
    struct server *master = server_start(OURS, "%s", ""), *replica = server_start(OURS, "%s", "");
    fill(master, "key:", 500, 10);
    cr_assert_eq(info_number(master, "persistence", "rdb_last_bgsave_time_sec"), -1);
    follow(replica, master);
    wait_in_step(replica, master);
    wait_until(info_number(master, "persistence", "rdb_last_bgsave_time_sec") >= 0);
    cr_assert_gt(info_number(master, "persistence", "rdb_last_cow_size"), 0);
    cr_assert_eq(info_number(replica, "persistence", "rdb_last_load_keys_loaded"), 500);
}

Test(info, expiring_keys_of_a_writable_replica)
{
    struct server *master = server_start(OURS, "%s", ""), *replica = server_start(OURS, "replica-read-only no");
    follow(replica, master);
    wait_in_step(replica, master);
    expect_ok(replica, "SET mine value EX 1000");
    expect_ok(replica, "SET lasting value");
    wait_until(info_number(replica, "stats", "slave_expires_tracked_keys") == 1);
    expect_integer(replica, 1, "PEXPIRE mine 1");
    wait_until(info_number(replica, "stats", "slave_expires_tracked_keys") == 0);
}

Test(info, payloads_that_were_checked_in_depth)
{
    struct server *s = server_start(OURS, "%s", "");
    expect_integer(s, 2, "SADD numbers 1 2");
    redisReply *dump = command(s, "DUMP numbers");
    expect_ok(s, "RESTORE one 0 %b", dump->str, dump->len);
    cr_assert_eq(info_number(s, "stats", "dump_payload_sanitizations"), 0);
    expect_ok(s, "CONFIG SET sanitize-dump-payload clients");
    expect_ok(s, "RESTORE two 0 %b", dump->str, dump->len);
    cr_assert_eq(info_number(s, "stats", "dump_payload_sanitizations"), 1);
    freeReplyObject(dump);
}

Test(info, output_that_waited)
{
    struct server *s = server_start(OURS, "%s", "");
    overwrite(s, MB);
    int fd = raw_connect(s);
    for (int i = 0; i < 20; i++) raw_send_text(fd, "GET one\r\n");
    wait_until(info_number(s, "clients", "client_recent_max_output_buffer") > 5 * MB);
    close(fd);
}
