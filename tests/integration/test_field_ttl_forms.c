/* Hashes whose fields expire, across files, payloads and full syncs: nothing of them is lost where there is a form for
 * them, and where there is none this is said. */
#include "tests/harness/client.h"
#include "tests/harness/proxy.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

TestSuite(field_ttl_forms, .fini = server_finish_all, .timeout = 90);

/* A packed one, a table of which every second field expires, and one whose key expires, too; in two databases. */
static void fill_hashes(struct server *s)
{
    static const char script[] =
        "redis.call('HSETEX', 'packed', 'PXAT', 40000000000123, 'FIELDS', 2, 'a', 1, 'b', 'x') "
        "redis.call('HSET', 'packed', 'c', 'stays') "
        "for i = 1, 600 do redis.call('HSET', 'table', 'f' .. i, i) end "
        "for i = 2, 600, 2 do redis.call('HPEXPIREAT', 'table', "
        "40000000000000 + i * 7919 % 1000, 'FIELDS', 1, 'f' .. i) end "
        "redis.call('PEXPIREAT', 'packed', 50000000000000) "
        "redis.call('SELECT', 3) "
        "redis.call('HSETEX', 'packed', 'PXAT', 40000000000777, 'FIELDS', 1, 'a', 1)";
    freeReplyObject(command(s, "EVAL %s 0", script));
}

/* All times of all fields of both, in one text. */
static const char *times_of(struct server *s)
{
    static const char script[] = "local out = {} for _, db in ipairs({0, 3}) do redis.call('SELECT', db) "
                                 "for _, key in ipairs({'packed', 'table'}) do "
                                 "local fields = redis.call('HKEYS', key) table.sort(fields) "
                                 "for _, f in ipairs(fields) do out[#out + 1] = db .. key .. f .. ':' .. "
                                 "redis.call('HPEXPIRETIME', key, 'FIELDS', 1, f)[1] end end end "
                                 "return table.concat(out, ' ')";
    return command_text(s, "EVAL_RO %s 0", script);
}

static void expect_same_times(struct server *a, struct server *b)
{
    const char *times = times_of(a);
    cr_expect(strstr(times, " 3packeda:40000000000777"), "%.100s", times);
    cr_expect_str_eq(times, times_of(b));
}

static void expect_kept(struct server *s, const char *digest, const char *times)
{
    wait_until(info_is(s, "persistence", "loading", "0"));
    cr_expect_str_eq(command_text(s, "DEBUG DIGEST"), digest);
    cr_expect_str_eq(times_of(s), times);
}

Test(field_ttl_forms, a_replica_gets_them_in_a_file_and_through_a_pipe)
{
    struct server *master = server_start(OURS, "repl-diskless-sync no\n");
    struct server *first = server_start(OURS, "%s", ""), *second = server_start(OURS, "repl-lz4 no\n");
    fill_hashes(master);
    follow(first, master);
    expect_same_data(first, master);
    expect_same_times(master, first);
    expect_ok(master, "CONFIG SET repl-diskless-sync yes");
    follow(second, master);
    expect_same_data(second, master);
    expect_same_times(master, second);
    cr_expect(
        server_log_has(master, 0, "RDB version 12 is written, for Redis 8: fields of hash 'table' in DB 0 expire"));
}

Test(field_ttl_forms, a_partial_resync_makes_up_for_what_was_missed)
{
    struct server *master = server_start(OURS, "%s", ""), *replica = server_start(OURS, "%s", "");
    struct proxy *proxy = proxy_start(master->port);
    fill_hashes(master);
    follow_port(replica, proxy_port(proxy));
    expect_same_data(replica, master);
    struct sync_counts before = sync_counts(master);
    proxy_cut(proxy);
    wait_until(!link_is_up(replica));
    freeReplyObject(command(master, "HPEXPIREAT table 45000000000000 FIELDS 2 f1 f3"));
    freeReplyObject(command(master, "HPERSIST table FIELDS 1 f2"));
    freeReplyObject(command(master, "HDEL packed b"));
    freeReplyObject(command(master, "HSET packed b y"));
    proxy_heal(proxy);
    expect_same_data(replica, master);
    expect_same_times(master, replica);
    expect_syncs(master, before, 0, 1);
    proxy_stop(proxy);
}

Test(field_ttl_forms, files_keep_them)
{
    struct server *s = server_start(OURS, "%s", "");
    fill_hashes(s);
    const char *digest = command_text(s, "DEBUG DIGEST"), *times = times_of(s);
    expect_ok(s, "DEBUG RELOAD");
    expect_kept(s, digest, times);
    expect_ok(s, "CONFIG SET rdb-write-for valkey9");
    expect_ok(s, "DEBUG RELOAD");
    expect_kept(s, digest, times);
    server_restart(s);
    expect_kept(s, digest, times);
    expect_ok(s, "CONFIG SET appendonly yes");
    wait_until(info_is(s, "persistence", "aof_rewrite_in_progress", "0") &&
               info_is(s, "persistence", "aof_rewrite_scheduled", "0"));
    cr_expect(info_is(s, "persistence", "aof_last_bgrewrite_status", "ok"));
    expect_integer(s, 1, "HSET packed more 1");
    digest = command_text(s, "DEBUG DIGEST");
    times = times_of(s);
    expect_ok(s, "DEBUG LOADAOF");
    expect_kept(s, digest, times);
}

Test(field_ttl_forms, dead_fields_of_a_file_go_with_a_word_to_replicas)
{
    struct server *master = server_start(OURS, "%s", ""), *replica = server_start(OURS, "%s", "");
    expect_ok(master, "DEBUG SET-ACTIVE-EXPIRE 0");
    freeReplyObject(command(master, "HSETEX h PX 1 FIELDS 2 a 1 b 2"));
    expect_integer(master, 1, "HSET h c 3");
    freeReplyObject(command(master, "HSETEX gone PX 1 FIELDS 1 a 1"));
    wait_until(command_integer(master, "EVAL_RO %s 0", "return #redis.call('HKEYS', 'h')") == 1);
    expect_ok(master, "DEBUG RELOAD");
    follow(replica, master);
    wait_in_step(replica, master);
    expect_integer(replica, 1, "HLEN h");
    expect_nil(replica, "HGET h a");
    expect_ok(master, "DEBUG SET-ACTIVE-EXPIRE 1");
    wait_until(command_integer(master, "DBSIZE") == 1);
    expect_same_data(replica, master);
    expect_integer(replica, 1, "DBSIZE");
}

/* --- where there is no form --- */

#define WHY "hash with fields that expire ('h' in DB 0), which it has no room for"

Test(field_ttl_forms, what_a_form_has_no_room_for_is_not_written)
{
    struct server *s = server_start(OURS, "rdb-write-for 7.2\nappendonly yes\n");
    freeReplyObject(command(s, "HSETEX h EX 1000 FIELDS 1 a 1"));
    expect_error(s, "ERR An RDB for Redis 7.2 (rdb-write-for) cannot be written: 1 " WHY, "SAVE");
    expect_error(s, "ERR An RDB for Redis 7.2 (rdb-write-for) cannot be written: 1 " WHY, "BGSAVE");
    cr_expect(info_is(s, "persistence", "rdb_last_bgsave_status", "err"));
    expect_error(s, "ERR The hash has fields that expire, for which Redis 7.2 has no form", "DUMP h");
    expect_integer(s, 1, "HSET plain a 1");
    expect_error(s,
                 "ERR Not migrated: hashes with fields that expire, for which Redis 7.2 has no form "
                 "(rdb-write-for): 1, 'h' is the first",
                 "MIGRATE 127.0.0.1 %d %s 0 1000 KEYS plain h", s->port, "");
    expect_integer(s, 1, "EXISTS plain");
    freeReplyObject(command(s, "DEBUG OBJECT h"));
    long mark = server_log_end(s);
    freeReplyObject(command(s, "BGREWRITEAOF"));
    wait_until(info_is(s, "persistence", "aof_last_bgrewrite_status", "err"));
    server_wait_log(s, mark, "No RDB for Redis 7.2 is written: 1 " WHY);
    expect_integer(s, 1, "DEL h");
    expect_ok(s, "SAVE");
    expect_status(s, "Background saving started", "BGSAVE");
    wait_until(info_is(s, "persistence", "rdb_last_bgsave_status", "ok"));
}

static const char *checked(const char *what)
{
    const char *argv[] = {server_program(OURS, "redis-server"), "--check-upgrade", what, NULL};
    struct process_result result = process_run(argv, NULL);
    cr_assert_eq(result.exit_code, 0, "%s: ends with %d\n%s", what, result.exit_code, result.output);
    return result.output;
}

Test(field_ttl_forms, check_upgrade_tells_of_them)
{
    struct server *s = server_start(OURS, "appendonly yes\n");
    char where[64];
    freeReplyObject(command(s, "HSETEX h EX 1000 FIELDS 1 a 1"));
    expect_integer(s, 1, "HSET plain a 1");
    expect_ok(s, "SAVE");
    cr_expect_str_eq(info_text(s, "keyspace", "db0"), "keys=2,expires=0,avg_ttl=0,subexpiry=1");
    snprintf(where, sizeof where, "127.0.0.1:%d", s->port);
    cr_expect(strstr(checked(where), "db0 has hashes whose fields expire: a Redis before 7.4 cannot take them"));
    server_stop(s);
    const char *said = checked(s->dir);
    cr_expect(
        strstr(said, "dump.rdb: 1 hashes have fields that expire: the way back to a Redis before 7.4 has no room"),
        "%s", said);
    cr_expect(strstr(said, ".incr.aof has the command HSETEX, of version 8.0.0: the way back"), "%s", said);
    cr_expect_not(strstr(said, "has the command HSET,"));
}

/* As some replica asks that says it is of this version. */
static void expect_not_served(struct server *master, const char *version, const char *reason)
{
    redisContext *c = server_connect(master);
    freeReplyObject(redisCommand(c, "REPLCONF version %s", version));
    redisReply *r = redisCommand(c, "PSYNC ? -1");
    cr_assert(r && r->type == REDIS_REPLY_ERROR, "%s is served", version);
    cr_expect(strstr(r->str, reason), "%s", r->str);
    freeReplyObject(r);
    redisFree(c);
}

Test(field_ttl_forms, who_says_that_it_cannot_read_them_is_not_served)
{
    struct server *master = server_start(OURS, "%s", "");
    freeReplyObject(command(master, "HSETEX h EX 1000 FIELDS 1 a 1"));
    expect_not_served(master, "8.1.0", "NOMASTERLINK Can't SYNC what is served as Redis 7.2: 1 " WHY);
    expect_ok(master, "CONFIG SET rdb-write-for 7.0");
    redisReply *r = command(master, "SYNC");
    cr_assert_eq(r->type, REDIS_REPLY_ERROR);
    cr_expect(strstr(r->str, "served as Redis 7.0"), "%s", r->str);
    freeReplyObject(r);
}

Test(field_ttl_forms, a_replica_that_has_refused_them_waits_until_they_are_gone)
{
    struct server *master = server_start(OURS, "%s", ""), *debian = server_start(DEBIAN, "%s", "");
    freeReplyObject(command(master, "HSETEX h EX 1000 FIELDS 1 a 1"));
    follow(debian, master);
    server_wait_log(master, 0, "has not taken over its snapshot in RDB version 12");
    server_wait_log(master, 0, "is not synchronized, it is served as Redis 7.0: 1 " WHY);
    server_wait_log(debian, 0, "Can't SYNC what is served as Redis 7.0: 1 " WHY);
    cr_expect_not(link_is_up(debian));
    freeReplyObject(command(master, "HPERSIST h FIELDS 1 a"));
    expect_same_data(debian, master);
}

Test(field_ttl_forms, a_replica_that_cannot_follow_any_more_is_told)
{
    struct server *master = server_start(OURS, "rdb-write-for 7.2\n"), *debian = server_start(DEBIAN, "%s", "");
    expect_integer(master, 2, "HSET h a 1 b 2");
    follow(debian, master);
    expect_same_data(debian, master);
    freeReplyObject(command(master, "HEXPIRE h 1000 FIELDS 1 a"));
    server_wait_log(master, 0, "fields of hashes expire now, which it does not know");
    server_wait_log(debian, 0, "Can't SYNC what is served as Redis 7.2: 1 " WHY);
    expect_integer(master, 1, "HDEL h a");
    expect_same_data(debian, master);
}

static void restore_into(struct server *s, const char *from, const char *to, const char *ttl)
{
    redisReply *dump = command(s, "DUMP %s", from);
    cr_assert_eq(dump->type, REDIS_REPLY_STRING);
    expect_ok(s, "RESTORE %s %s %b REPLACE", to, ttl, dump->str, dump->len);
    freeReplyObject(dump);
}

Test(field_ttl_forms, a_restored_one_reaches_replicas_as_commands)
{
    struct server *master = server_start(OURS, "appendonly yes\n"), *replica = server_start(OURS, "%s", "");
    follow(replica, master);
    fill_hashes(master);
    wait_in_step(replica, master);
    expect_ok(replica, "CONFIG RESETSTAT");
    restore_into(master, "packed", "other", "0");
    restore_into(master, "table", "packed", "0");
    restore_into(master, "other", "table", "100000000");
    expect_same_data(replica, master);
    expect_same_times(master, replica);
    cr_expect_str_eq(info_text(replica, "commandstats", "cmdstat_restore"), "", "a Valkey would take no such payload");
    const char *digest = command_text(master, "DEBUG DIGEST"), *times = times_of(master);
    server_restart(master);
    expect_kept(master, digest, times);
}

Test(field_ttl_forms, a_payload_of_valkey_reaches_replicas_in_a_form_that_they_know)
{
    static const char payload[] = "\x04\x01\x01"
                                  "a\xc0\x01P\x00\x8f\xbb\xd3\x01UU\xec\xb1"; /* Valkey 9.1.2's HSET a 1 */
    struct server *master = server_start(OURS, "%s", ""), *debian = server_start(DEBIAN, "%s", "");
    follow(debian, master);
    wait_in_step(debian, master);
    expect_ok(master, "RESTORE h 0 %b", payload, sizeof payload - 1);
    expect_same_data(debian, master);
    expect_string(debian, "1", "HGET h a");
}
