/* Fields of hashes with an expiry: what the commands answer, as Redis 8.0.6 was seen to answer them; how dead fields
 * vanish, here, on replicas and in files; what leaves for replicas and what is told of it. */
#include "tests/harness/client.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(hash_field_ttl, .fini = server_finish_all, .timeout = 60);

/* --- replies as text --- */

static void print_reply(const redisReply *r, char *out, size_t size)
{
    size_t used = strlen(out);
    switch (r->type) {
    case REDIS_REPLY_ARRAY:
        for (size_t i = 0; i < r->elements; i++) {
            if (i) strncat(out, " ", size - strlen(out) - 1);
            print_reply(r->element[i], out, size);
        }
        break;
    case REDIS_REPLY_INTEGER: snprintf(out + used, size - used, "%lld", r->integer); break;
    case REDIS_REPLY_NIL: snprintf(out + used, size - used, "nil"); break;
    default: snprintf(out + used, size - used, "%s", r->str);
    }
}

static void expect(struct server *s, const char *line, const char *expected)
{
    char got[2048] = "";
    redisReply *r = command(s, line);
    print_reply(r, got, sizeof got);
    freeReplyObject(r);
    cr_assert_str_eq(got, expected, "%s: %s and not %s", line, got, expected);
}

struct step {
    const char *line, *expected;
};

static void walk(struct server *s, const struct step *steps)
{
    for (; steps->line; steps++) expect(s, steps->line, steps->expected);
}

#define NO_FIELDS   "ERR Mandatory argument FIELDS is missing or not at the right position"
#define NO_MATCH    "ERR The `numfields` parameter must match the number of arguments"
#define BAD_COUNT   "ERR Number of fields must be a positive integer"
#define WRONG_TYPE  "WRONGTYPE Operation against a key holding the wrong kind of value"
#define NOT_INTEGER "ERR value is not an integer or out of range"
#define ONE_OPTION  "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified"

Test(hash_field_ttl, expiry_commands_answer_as_redis_8)
{
    static const struct step steps[] = {
        {"HSET h a 1 b 2 c 3", "3"},
        {"OBJECT ENCODING h", "listpack"},
        {"HEXPIRE h 100 FIELDS 2 a zz", "1 -2"},
        {"HEXPIRE nokey 100 FIELDS 2 a zz", "-2 -2"},
        {"OBJECT ENCODING h", "listpackex"},
        {"HTTL h FIELDS 3 a b zz", "100 -1 -2"},
        {"HTTL nokey FIELDS 1 a", "-2"},
        {"HPERSIST h FIELDS 3 a b zz", "1 -1 -2"},
        {"HEXPIRE h 100 NX FIELDS 1 a", "1"},
        {"HEXPIRE h 100 NX FIELDS 1 a", "0"},
        {"HEXPIRE h 50 GT FIELDS 2 a b", "0 0"},
        {"HEXPIRE h 500 LT FIELDS 2 a b", "0 1"},
        {"HEXPIRE h 100 XX FIELDS 2 b c", "1 0"},
        {"HEXPIRE h 100 XX NX FIELDS 1 a", NO_FIELDS},
        {"HEXPIRE h 100 FIELDS 2 a", NO_MATCH},
        {"HEXPIRE h 100 FIELDS 1 a b", NO_MATCH},
        {"HEXPIRE h 100 FIELDS 0 a", "ERR Parameter `numFields` should be greater than 0"},
        {"HEXPIRE h x FIELDS 1 a", NOT_INTEGER},
        {"HEXPIRE h -1 FIELDS 1 a", "ERR invalid expire time, must be >= 0"},
        {"HEXPIRE h 99999999999999 FIELDS 1 a", "ERR invalid expire time in 'hexpire' command"},
        {"HPEXPIREAT h 70368744177664 FIELDS 1 a", "ERR invalid expire time in 'hpexpireat' command"},
        {"HPEXPIREAT h 70368744177663 FIELDS 1 a", "1"},
        {"HPEXPIRETIME h FIELDS 1 a", "70368744177663"},
        {"HPEXPIREAT h 20000000000501 FIELDS 1 a", "1"},
        {"HEXPIRETIME h FIELDS 1 a", "20000000001"},
        {"HEXPIREAT h 1 FIELDS 1 c", "2"},
        {"HMGET h a b c", "1 2 nil"},
        {"SET s x", "OK"},
        {"HEXPIRE s x FIELDS 1 a", WRONG_TYPE},
        {"HTTL s x 1 a", WRONG_TYPE},
        {"HTTL h FIELDS 0 a", BAD_COUNT},
        {"HPERSIST h x 1 a", NO_FIELDS},
        {"HEXPIRE h 0 FIELDS 2 a b", "2 2"},
        {"EXISTS h", "0"},
        {0},
    };
    walk(server_start(OURS, "%s", ""), steps);
}

Test(hash_field_ttl, value_commands_answer_as_redis_8)
{
    static const struct step steps[] = {
        {"HSET h a 1 b 2 c 3", "3"},
        {"HGETEX h FIELDS 1 a", "1"},
        {"HGETEX h EX 100 FIELDS 2 a zz", "1 nil"},
        {"HTTL h FIELDS 1 a", "100"},
        {"HGETEX h PERSIST FIELDS 2 a b", "1 2"},
        {"HTTL h FIELDS 1 a", "-1"},
        {"HGETEX nokey EX 100 FIELDS 2 a b", "nil nil"},
        {"HGETEX h EX 0 FIELDS 1 a", "1"},
        {"HGETEX h EXAT 1 FIELDS 1 a", "nil"},
        {"HGETEX h EX 100 PX 100 FIELDS 1 a", NO_FIELDS},
        {"HGETEX h EX FIELDS 1 a", NOT_INTEGER},
        {"HGETDEL h FIELDS 2 b zz", "2 nil"},
        {"HGETDEL h FIELDS 2 b", NO_MATCH},
        {"HGETDEL h FIELDS 0 b", BAD_COUNT},
        {"HGETDEL h x 1 b", NO_FIELDS},
        {"HGETDEL h FIELDS 1 c", "3"},
        {"EXISTS h", "0"},
        {"HSETEX h FIELDS 2 a 1 b 2", "1"},
        {"HSETEX h EX 100 FIELDS 1 a 5", "1"},
        {"HTTL h FIELDS 2 a b", "100 -1"},
        {"HSETEX h FNX EX 100 FIELDS 2 a 6 n 7", "0"},
        {"HSETEX h FXX EX 100 FIELDS 2 a 6 n 7", "0"},
        {"HSETEX h FXX KEEPTTL FIELDS 1 a 6", "1"},
        {"HTTL h FIELDS 1 a", "100"},
        {"HSETEX h KEEPTTL EX 10 FIELDS 1 a 9", ONE_OPTION},
        {"HSETEX h FNX FXX FIELDS 1 a 9", "ERR Only one of FXX or FNX arguments can be specified"},
        {"HSETEX h EX -1 FIELDS 1 a 9", "ERR invalid expire time, must be >= 0"},
        {"HSETEX h FIELDS 0 a 9", "ERR invalid number of fields"},
        {"HSETEX h foo FIELDS 1 a 9", "ERR unknown argument: foo"},
        {"HSETEX h FIELDS 2 a 9", "ERR wrong number of arguments for 'hsetex' command"},
        {"HSETEX h EXAT 1 FIELDS 1 a 9", "1"},
        {"HGETALL h", "b 2"},
        {"HSETEX new FXX FIELDS 1 a 1", "0"},
        {"EXISTS new", "0"},
        {"SET s x", "OK"},
        {"HSETEX s EX x FIELDS 1 a 1", NOT_INTEGER},
        {"HSETEX s FIELDS 1 a 1", WRONG_TYPE},
        {"HGETDEL s x 1 a", WRONG_TYPE},
        {0},
    };
    walk(server_start(OURS, "%s", ""), steps);
}

Test(hash_field_ttl, other_commands_keep_an_expiry_or_take_it_away)
{
    static const struct step steps[] = {
        {"HSETEX h EX 100 FIELDS 3 a 1 b 2 c 3", "1"},
        {"HINCRBY h a 1", "2"},
        {"HINCRBYFLOAT h b 0.5", "2.5"},
        {"HSETNX h c 4", "0"},
        {"HTTL h FIELDS 3 a b c", "100 100 100"},
        {"HSET h a 5", "0"},
        {"HMSET h b 5", "OK"},
        {"HTTL h FIELDS 3 a b c", "-1 -1 100"},
        {"COPY h copy", "1"},
        {"RENAME copy moved", "OK"},
        {"MOVE moved 1", "1"},
        {"SELECT 1", "OK"},
        {"HTTL moved FIELDS 2 a c", "-1 100"},
        {"SELECT 0", "OK"},
        {"HSCAN h 0 NOVALUES MATCH c", "0 c"},
        {"HDEL h c", "1"},
        {"OBJECT ENCODING h", "listpack"},
        {"DEL q", "0"},
        {"HSET q a 1 b 2", "2"},
        {"HPEXPIREAT q 20000000000000 FIELDS 1 a", "1"},
        {"DEBUG DIGEST-VALUE q", "c07db73128914a41e685572f9d83e5ec946f598d"}, /* Redis 8.0.6's */
        {"SORT l BY nosort GET h->a", ""},
        {0},
    };
    walk(server_start(OURS, "%s", ""), steps);
}

/* --- dead fields --- */

static long long server_clock_ms(struct server *s)
{
    return command_integer(s, "EVAL %s 0", "local t = redis.call('TIME') return t[1] * 1000 + math.floor(t[2] / 1000)");
}

/* The fields of a hash run out some milliseconds from now: returns when that time has passed, by the server's clock. */
static void let_die(struct server *s, const char *key, const char *fields)
{
    long long at_ms = server_clock_ms(s) + 15;
    char line[256];
    snprintf(line, sizeof line, "HPEXPIREAT %s %lld %s", key, at_ms, fields);
    freeReplyObject(command(s, line));
    wait_until(server_clock_ms(s) > at_ms + 1);
}

static void fill_hash(struct server *s, const char *key, int fields)
{
    freeReplyObject(command(s, "EVAL %s 1 %s %d",
                            "for i = 1, ARGV[1] do redis.call('HSET', KEYS[1], 'f' .. i, 'v' .. i) end", key, fields));
}

static void expect_hidden(int fields, const char *encoding)
{
    struct server *s = server_start(OURS, "%s", "");
    expect_ok(s, "DEBUG SET-ACTIVE-EXPIRE 0");
    fill_hash(s, "h", fields);
    let_die(s, "h", "FIELDS 2 f1 f2");
    expect_nil(s, "HGET h f1");
    expect_integer(s, fields - 2, "HLEN h");
    let_die(s, "h", "FIELDS 2 f3 f4");
    expect_integer(s, 0, "HEXISTS h f4");
    let_die(s, "h", "FIELDS 1 f5");
    expect_integer(s, 0, "HSTRLEN h f5");
    let_die(s, "h", "FIELDS 1 f6");
    redisReply *r = command(s, "HKEYS h");
    cr_assert_eq(r->elements, (size_t)fields - 6);
    freeReplyObject(r);
    let_die(s, "h", "FIELDS 1 f7");
    expect_integer(s, 1, "HSET h f7 new");
    expect_integer(s, -1, "EVAL %s 0", "return redis.call('HTTL', 'h', 'FIELDS', 1, 'f7')[1]");
    let_die(s, "h", "FIELDS 1 f7");
    expect_integer(s, 5, "HINCRBY h f7 5");
    freeReplyObject(command(s, "HEXPIRE h 100 FIELDS 1 f8"));
    expect_string(s, encoding, "OBJECT ENCODING h");
    let_die(s, "h", "FIELDS 1 f9");
    expect_integer(s, 0, "HDEL h f9");
}

Test(hash_field_ttl, dead_fields_are_hidden_in_a_listpack)
{
    expect_hidden(20, "listpackex");
}

Test(hash_field_ttl, dead_fields_are_hidden_in_a_table)
{
    expect_hidden(1000, "hashtable");
}

Test(hash_field_ttl, the_key_goes_with_its_last_field)
{
    struct server *s = server_start(OURS, "%s", "");
    expect_ok(s, "DEBUG SET-ACTIVE-EXPIRE 0");
    expect_integer(s, 2, "HSET h a 1 b 2");
    let_die(s, "h", "FIELDS 2 a b");
    expect_nil(s, "HRANDFIELD h");
    expect_integer(s, 0, "EXISTS h");
    expect_integer(s, 1, "HSET h a 1");
    expect_integer(s, 1, "EVAL %s 0", "return redis.call('HEXPIRE', 'h', 100, 'FIELDS', 1, 'a')[1]");
    expect_ok(s, "SET h string");
    expect_string(s, "string", "GET h");
}

Test(hash_field_ttl, a_cycle_removes_what_nobody_asks_for)
{
    struct server *s = server_start(OURS, "%s", "");
    static const char script[] = "for i = 1, 300 do "
                                 "redis.call('HSETEX', 'h' .. i, 'PX', 1 + i % 40, 'FIELDS', 2, 'a', 1, 'b', 2) end "
                                 "for i = 1, 3000 do "
                                 "redis.call('HSETEX', 'large', 'PX', 1 + i % 40, 'FIELDS', 1, 'f' .. i, i) end "
                                 "redis.call('HSETEX', 'stays', 'EX', 1000, 'FIELDS', 1, 'a', 1) "
                                 "redis.call('HSET', 'plain', 'a', 1)";
    freeReplyObject(command(s, "EVAL %s 0", script));
    wait_until(command_integer(s, "DBSIZE") == 2);
    expect(s, "HGETALL stays", "a 1");
    expect(s, "HGETALL plain", "a 1");
}

/* --- replicas and files --- */

static void write_all_forms(struct server *s)
{
    static const struct step steps[] = {
        {"HSET h a 1 b 2 c 3 d 4 e 5 f 6 g 7", "7"},
        {"HEXPIRE h 1000 FIELDS 3 a b c", "1 1 1"},
        {"HEXPIRE h 2000 GT FIELDS 2 a d", "1 0"},
        {"HEXPIRE h 0 FIELDS 1 c", "2"},
        {"HPERSIST h FIELDS 2 b zz", "1 -2"},
        {"HGETEX h EX 500 FIELDS 2 d e", "4 5"},
        {"HGETEX h PERSIST FIELDS 1 d", "4"},
        {"HGETDEL h FIELDS 1 f", "6"},
        {"HINCRBYFLOAT h a 0.5", "1.5"},
        {"HSETEX h EX 600 FNX FIELDS 1 n 1", "1"},
        {"HSETEX h KEEPTTL FIELDS 1 n 2", "1"},
        {"HSETEX h EXAT 1 FIELDS 1 g 2", "1"},
        {0},
    };
    walk(s, steps);
}

static void expect_all_forms(struct server *s, const char *times)
{
    expect(s, "HMGET h a b c d e f g n", "1.5 2 nil 4 5 nil nil 2");
    expect(s, "HPEXPIRETIME h FIELDS 8 a b c d e f g n", times);
}

Test(hash_field_ttl, replicas_and_files_have_the_same_expiries)
{
    struct server *s = server_start(OURS, "appendonly yes\naof-use-rdb-preamble no\n");
    struct server *replica = server_start(OURS, "replicaof 127.0.0.1 %d\n", s->port);
    char times[512] = "";
    wait_in_step(replica, s);
    write_all_forms(s);
    redisReply *r = command(s, "HPEXPIRETIME h FIELDS 8 a b c d e f g n");
    print_reply(r, times, sizeof times);
    freeReplyObject(r);
    wait_in_step(replica, s);
    expect_all_forms(replica, times);
    expect_same_data(replica, s);
    server_restart(s);
    expect_all_forms(s, times);
    freeReplyObject(command(s, "BGREWRITEAOF"));
    wait_until(info_is(s, "persistence", "aof_rewrite_in_progress", "0"));
    server_restart(s);
    expect_all_forms(s, times);
}

Test(hash_field_ttl, a_replica_hides_what_its_master_has_not_removed)
{
    struct server *s = server_start(OURS, "%s", "");
    struct server *replica = server_start(OURS, "replicaof 127.0.0.1 %d\n", s->port);
    wait_in_step(replica, s);
    expect_ok(s, "DEBUG SET-ACTIVE-EXPIRE 0");
    expect_integer(s, 3, "HSET h a 1 b 2 c 3");
    let_die(s, "h", "FIELDS 2 a b");
    wait_in_step(replica, s);
    expect(replica, "HGETALL h", "c 3");
    expect_integer(replica, 1, "HLEN h");
    expect_nil(s, "HGET h a");
    wait_in_step(replica, s);
    expect_same_data(replica, s);
}

/* --- events --- */

static void expect_event(redisContext *listener, const char *event)
{
    void *reply;
    cr_assert_eq(redisGetReply(listener, &reply), REDIS_OK);
    redisReply *r = reply;
    cr_assert(r->elements == 4 && strcmp(r->element[2]->str, "__keyspace@0__:h") == 0);
    cr_assert_str_eq(r->element[3]->str, event);
    freeReplyObject(r);
}

Test(hash_field_ttl, events_tell_of_expiries)
{
    struct server *s = server_start(OURS, "notify-keyspace-events KEA\n");
    redisContext *listener = server_connect(s);
    freeReplyObject(redisCommand(listener, "PSUBSCRIBE __keyspace@0__:h"));
    static const struct step steps[] = {
        {"HSETEX h EX 100 FIELDS 2 a 1 b 2", "1"},
        {"HPERSIST h FIELDS 1 a", "1"},
        {"HEXPIRE h 10 FIELDS 1 a", "1"},
        {"HEXPIREAT h 1 FIELDS 1 a", "2"},
        {"HGETDEL h FIELDS 1 b", "2"},
        {"HSETEX h PX 1 FIELDS 1 a 1", "1"},
        {0},
    };
    static const char *const events[] = {"hset", "hexpire", "hpersist", "hexpire",  "hdel", "hdel",
                                         "del",  "hset",    "hexpire",  "hexpired", "del"};
    walk(s, steps);
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) expect_event(listener, events[i]);
    redisFree(listener);
}
