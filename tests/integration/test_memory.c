/* Memory at its limits: what is on its way out, what is freed aside, and record stores that are full. */
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(memory, .fini = server_finish_all, .timeout = 180);

/* Values of many allocations each, which a worker frees. */
static void make_large_hashes(struct server *s, int hashes, int fields)
{
    for (int h = 0; h < hashes; h++)
        for (int f = 0; f < fields; f++)
            redisAppendCommand(connection(s), "HSET hash:%d field:%d value-%d-that-is-not-short", h, f, f);
    for (int i = 0; i < hashes * fields; i++) freeReplyObject(receive(s));
}

Test(memory, what_is_on_its_way_out_costs_no_second_victim)
{
    enum { HASHES = 10, FIELDS = 20000, COMMANDS = 2000 };
    struct server *s = server_start(OURS, "maxmemory-policy allkeys-lru\nmaxmemory-clients 0");
    make_large_hashes(s, HASHES, FIELDS);
    long long used = info_number(s, "memory", "used_memory");
    /* A little over the limit, and no pause between the commands: each of them judges while the first victim goes. */
    redisAppendCommand(connection(s), "CONFIG SET maxmemory %lld", used - 100000);
    for (int i = 0; i < COMMANDS; i++) redisAppendCommand(connection(s), "SET small v");
    for (int i = 0; i < COMMANDS + 1; i++) freeReplyObject(receive(s));
    cr_expect_eq(info_number(s, "stats", "evicted_keys"), 1);
    expect_integer(s, HASHES, "DBSIZE"); /* nine, and the small one */
    wait_until(info_number(s, "memory", "lazyfree_pending_objects") == 0);
    cr_expect_lt(info_number(s, "memory", "used_memory"), used - 100000);
}

Test(memory, a_database_is_flushed_aside_also_where_others_hold_keys)
{
    struct server *s = server_start(OURS, "%s", "");
    expect_ok(s, "DEBUG POPULATE 20000");
    expect_ok(s, "SELECT 1");
    expect_ok(s, "SET kept v");
    expect_ok(s, "SELECT 0");
    long long used = info_number(s, "memory", "used_memory");
    expect_ok(s, "FLUSHDB ASYNC");
    expect_integer(s, 0, "DBSIZE");
    wait_until(info_number(s, "memory", "lazyfreed_objects") == 20000);
    cr_expect_lt(info_number(s, "memory", "used_memory"), used - 20000 * 40);
    expect_ok(s, "SELECT 1");
    expect_string(s, "v", "GET kept");
    expect_ok(s, "SWAPDB 0 1");
    expect_integer(s, 0, "DBSIZE");
}

Test(memory, a_large_value_that_is_not_kept_is_freed_aside)
{
    struct server *s = server_start(OURS, "%s", "");
    make_large_hashes(s, 1, 5000);
    redisReply *dump = command(s, "DUMP hash:0");
    expect_ok(s, "RESTORE copy 1 %b ABSTTL", dump->str, dump->len); /* its time is over already */
    expect_integer(s, 1, "DBSIZE");
    wait_until(info_number(s, "memory", "lazyfreed_objects") == 1);
    freeReplyObject(dump);
}

#define STORE_BYTES "16777216"

/* A dataset of a server that holds more: said, and nobody crashes of it. */
Test(memory, a_snapshot_that_overfills_a_record_store_is_refused)
{
    static const char complaint[] = "DB 0 is full after ";
    char prefix[151] = {0};
    memset(prefix, 'k', sizeof prefix - 1);
    struct server *master = server_start(OURS, "%s", "");
    expect_ok(master, "DEBUG POPULATE 125000 %s", prefix);
    setenv("SLIPSTREAM_RECORD_STORE_BYTES", STORE_BYTES, 1);
    struct server *replica = server_start(OURS, "%s", "");
    follow(replica, master);
    server_wait_log(replica, 0, complaint);
    wait_until(command_integer(replica, "DBSIZE") == 0);
    expect_ok(replica, "REPLICAOF NO ONE");
    expect_ok(master, "SAVE");
    server_kill(master);
    cr_assert_eq(server_launch_in_vain(master), 1);
    cr_assert(server_log_has(master, 0, complaint));
}

/* A write of a master is not to be refused, and must not end the replica either. */
Test(memory, a_stream_that_overfills_a_record_store_is_given_up)
{
    enum { KEYS_EACH = 100, COMMANDS = 6000 };
    struct server *master = server_start(OURS, "%s", "");
    setenv("SLIPSTREAM_RECORD_STORE_BYTES", STORE_BYTES, 1);
    struct server *replica = server_start(OURS, "%s", "");
    follow(replica, master);
    wait_in_step(replica, master);
    char keys[KEYS_EACH][152];
    const char *argv[1 + 2 * KEYS_EACH] = {"MSET"};
    for (int i = 0; i < KEYS_EACH; i++) argv[1 + 2 * i] = keys[i], argv[2 + 2 * i] = "v";
    for (int sent = 0; sent < COMMANDS && !server_log_has(replica, 0, "its stream is given up"); sent++) {
        for (int i = 0; i < KEYS_EACH; i++) snprintf(keys[i], sizeof keys[i], "%0150d", sent * KEYS_EACH + i);
        freeReplyObject(redisCommandArgv(connection(master), 1 + 2 * KEYS_EACH, argv, NULL));
    }
    server_wait_log(replica, 0, "our master's mset cannot be applied, and its stream is given up");
    expect_ok(replica, "REPLICAOF NO ONE");
    cr_assert_gt(command_integer(replica, "DBSIZE"), KEYS_EACH); /* what came before is kept */
}

Test(memory, a_full_record_store_refuses_what_adds_and_serves_the_rest)
{
    setenv("SLIPSTREAM_RECORD_STORE_BYTES", STORE_BYTES, 1);
    struct server *s = server_start(OURS, "%s", "");
    enum { BATCH = 1000 };
    bool refused = false;
    int keys = 0;
    for (; !refused && keys < 3000000; keys += BATCH) {
        for (int i = 0; i < BATCH; i++) redisAppendCommand(connection(s), "SET key:%011d value-of-16-byte", keys + i);
        for (int i = 0; i < BATCH; i++) {
            redisReply *r = receive(s);
            if (r->type == REDIS_REPLY_ERROR) {
                cr_assert_eq(strncmp(r->str, "OOM ", 4), 0, "%s", r->str);
                refused = true;
            }
            freeReplyObject(r);
        }
    }
    cr_assert(refused);
    expect_error(s, "OOM ", "SET one-more v");
    expect_string(s, "value-of-16-byte", "GET key:00000000000");
    expect_integer(s, 1, "EXPIRE key:00000000000 1000"); /* needs another block, and is not refused */
    for (int i = 0; i < 100 * BATCH; i++) redisAppendCommand(connection(s), "DEL key:%011d", i);
    for (int i = 0; i < 100 * BATCH; i++) freeReplyObject(receive(s));
    expect_ok(s, "SET one-more v");
    expect_ok(s, "CONFIG SET maxmemory-policy allkeys-random");
    long long most = command_integer(s, "DBSIZE") + 100 * BATCH;
    for (int i = 0; i < 200 * BATCH; i++) redisAppendCommand(connection(s), "SET new:%011d value-of-16-byte", i);
    for (int i = 0; i < 200 * BATCH; i++) {
        redisReply *r = receive(s);
        cr_assert_eq(r->type, REDIS_REPLY_STATUS);
        freeReplyObject(r);
    }
    cr_expect_leq(command_integer(s, "DBSIZE"), most);
    cr_expect_gt(info_number(s, "stats", "evicted_keys"), 0);
}

static long long usage(struct server *s, const char *key)
{
    redisReply *r = command(s, "MEMORY USAGE %s", key);
    cr_assert_eq(r->type, REDIS_REPLY_INTEGER);
    long long bytes = r->integer;
    freeReplyObject(r);
    return bytes;
}

/* What grows step by step has room; what is made at once has none, as with SET. */
Test(memory, a_string_that_is_made_at_once_has_no_room_to_grow)
{
    struct server *s = server_start(OURS, "%s", "");
    expect_integer(s, 100001, "SETRANGE plain 100000 x");
    expect_integer(s, 0, "SETBIT bits 800000 1");
    freeReplyObject(command(s, "BITFIELD field SET u8 800000 1"));
    for (int i = 0; i < 5000; i++) redisAppendCommand(connection(s), "PFADD dense %d", i);
    for (int i = 0; i < 5000; i++) freeReplyObject(receive(s));
    cr_assert_leq(usage(s, "plain"), 120000);
    cr_assert_leq(usage(s, "bits"), 120000);
    cr_assert_leq(usage(s, "field"), 120000);
    cr_assert_leq(usage(s, "dense"), 15000);
    expect_integer(s, 120001, "SETRANGE plain 120000 x");
    cr_assert_geq(usage(s, "plain"), 200000);
}
