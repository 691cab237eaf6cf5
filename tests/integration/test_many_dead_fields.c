/* A hash with more dead fields than are removed when it is met: what a command then makes of it is what replicas and
 * the append-only file make of it, though they still see the dead ones. */
#include "tests/harness/client.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

TestSuite(many_dead_fields, .fini = server_finish_all, .timeout = 60);

#define KEY_EXPIRES_MS 20000000000000

static const struct meeting {
    const char *line;
    const char *left; /* where a field lived: fields and values */
    bool makes;       /* a key anew where none did */
} meetings[] = {
    {"HSET h f1 2", "live 5 f1 2", true},
    {"HINCRBY h f1 2", "live 5 f1 2", true},
    {"HINCRBYFLOAT h f1 2", "live 5 f1 2", true},
    {"HSETNX h f1 2", "live 5 f1 2", true},
    {"HSETEX h KEEPTTL FIELDS 1 f1 2", "live 5 f1 2", true},
    {"HSETEX h KEEPTTL FIELDS 2 live 7 f1 2", "live 7 f1 2", true},
    {"HSETEX h FNX FIELDS 1 f1 2", "live 5 f1 2", true},
    {"HDEL h f1 f2", "live 5", false},
    {"HGETDEL h FIELDS 2 f1 f2", "live 5", false},
    {"HGETEX h PERSIST FIELDS 1 f1", "live 5", false},
    {"HPEXPIRE h 1000000 FIELDS 1 f1", "live 5", false},
};

static long long server_clock_ms(struct server *s)
{
    return command_integer(s, "EVAL %s 0", "local t = redis.call('TIME') return t[1] * 1000 + math.floor(t[2] / 1000)");
}

/* 200 fields that are dead, the first of them last, and one that has an expiry and lives, or none. */
static void fill_dead(struct server *s, int one_lives)
{
    static const char script[] =
        "redis.call('DEL', 'h') "
        "for i = 200, 1, -1 do redis.call('HSETEX', 'h', 'PXAT', ARGV[1] - i, 'FIELDS', 1, 'f' .. i, 5) end "
        "if ARGV[2] == '1' then redis.call('HSETEX', 'h', 'EX', 1000, 'FIELDS', 1, 'live', 5) end "
        "redis.call('PEXPIREAT', 'h', ARGV[3])";
    long long at_ms = server_clock_ms(s) + 300;
    freeReplyObject(command(s, "EVAL %s 0 %lld %d %lld", script, at_ms, one_lives, KEY_EXPIRES_MS));
    wait_until(server_clock_ms(s) > at_ms + 1);
}

static void expect_fields(struct server *s, const char *left)
{
    char pairs[80], *rest = pairs, *field;
    size_t fields = 0;
    strcpy(pairs, left);
    for (; (field = strsep(&rest, " ")); fields++) expect_string(s, strsep(&rest, " "), "HGET h %s", field);
    redisReply *r = command(s, "HGETALL h");
    cr_assert_eq(r->elements / 2, fields);
    freeReplyObject(r);
}

static void expect_left(struct server *s, const struct meeting *m, int one_lives)
{
    expect_integer(s, one_lives ? KEY_EXPIRES_MS : m->makes ? -1 : -2, "PEXPIRETIME h");
    if (one_lives) expect_fields(s, m->left);
}

static bool same_digest(struct server *a, struct server *b)
{
    char digest[64];
    snprintf(digest, sizeof digest, "%s", command_text(a, "DEBUG DIGEST"));
    return strcmp(digest, command_text(b, "DEBUG DIGEST")) == 0;
}

Test(many_dead_fields, replicas_and_files_follow_what_a_command_makes_of_them)
{
    struct server *s = server_start(OURS, "appendonly yes\n");
    struct server *replica = server_start(OURS, "replicaof 127.0.0.1 %d\n", s->port);
    wait_in_step(replica, s);
    for (size_t i = 0; i < 2 * sizeof meetings / sizeof *meetings; i++) {
        const struct meeting *m = &meetings[i / 2];
        expect_ok(s, "DEBUG SET-ACTIVE-EXPIRE 0");
        fill_dead(s, i % 2);
        freeReplyObject(command(s, m->line));
        expect_left(s, m, i % 2);
        wait_in_step(replica, s);
        expect_left(replica, m, i % 2);
        expect_ok(s, "DEBUG SET-ACTIVE-EXPIRE 1");
        wait_until(same_digest(s, replica));
    }
}

Test(many_dead_fields, a_file_that_is_loaded_makes_the_same_of_them)
{
    struct server *s = server_start(OURS, "appendonly yes\n");
    for (size_t i = 0; i < sizeof meetings / sizeof *meetings; i++) {
        expect_ok(s, "DEBUG SET-ACTIVE-EXPIRE 0");
        fill_dead(s, true);
        freeReplyObject(command(s, meetings[i].line));
        expect_ok(s, "DEBUG LOADAOF");
        expect_left(s, &meetings[i], true);
    }
}

/* A transaction that begins a pause writes on, and replicas see what is dead as living. */
Test(many_dead_fields, a_transaction_that_pauses_writes_removes_what_it_meets)
{
    struct server *s = server_start(OURS, "%s", "");
    struct server *replica = server_start(OURS, "replicaof 127.0.0.1 %d\n", s->port);
    wait_in_step(replica, s);
    expect_ok(s, "DEBUG SET-ACTIVE-EXPIRE 0");
    fill_dead(s, true);
    expect_ok(s, "SET k 5 PX 1");
    long long begin_ms = server_clock_ms(s);
    wait_until(server_clock_ms(s) > begin_ms + 1);
    expect_ok(s, "MULTI");
    freeReplyObject(command(s, "CLIENT PAUSE 100000 WRITE"));
    freeReplyObject(command(s, "INCR k"));
    freeReplyObject(command(s, "HINCRBY h f1 2"));
    freeReplyObject(command(s, "EXEC"));
    expect_ok(s, "CLIENT UNPAUSE");
    wait_in_step(replica, s);
    for (int i = 0; i < 2; i++) {
        struct server *one = i ? replica : s;
        expect_string(one, "1", "GET k");
        expect_integer(one, -1, "TTL k");
        expect_fields(one, "live 5 f1 2");
    }
}

Test(many_dead_fields, replicas_sort_without_what_is_dead_here)
{
    struct server *s = server_start(OURS, "appendonly yes\n");
    struct server *replica = server_start(OURS, "replicaof 127.0.0.1 %d\n", s->port);
    wait_in_step(replica, s);
    expect_ok(s, "DEBUG SET-ACTIVE-EXPIRE 0");
    fill_dead(s, true);
    expect_integer(s, 1, "RPUSH l x");
    expect_integer(s, 1, "RENAMENX h hx");
    expect_integer(s, 2, "SORT l BY h*->f1 GET h*->f1 GET h*->live STORE sorted");
    wait_in_step(replica, s);
    for (int i = 0; i < 3; i++) {
        struct server *one = i == 1 ? replica : s;
        expect_string(one, "", "LINDEX sorted 0");
        expect_string(one, "5", "LINDEX sorted 1");
        if (i == 1) expect_ok(s, "DEBUG LOADAOF");
    }
}
