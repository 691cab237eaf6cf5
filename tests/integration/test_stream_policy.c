/* What our master says and we cannot apply: nothing of it is passed over in silence (replica-unknown-command). */
#include "tests/harness/client.h"
#include "tests/harness/fake_master.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

TestSuite(stream_policy, .fini = server_finish_all, .timeout = 120);

#define RDB(items) "REDIS0009" items "\xff\0\0\0\0\0\0\0\0"
#define DATASET    RDB("\xfe\x00\x00\001k\001v")
#define SET_A      "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n"
#define SET_B      "*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$1\r\n2\r\n"
#define UNKNOWN    "*4\r\n$4\r\nVADD\r\n$6\r\nvector\r\n$2\r\nx\n\r\n$1\r\n1\r\n"
#define LPUSH_K    "*3\r\n$5\r\nLPUSH\r\n$1\r\nk\r\n$1\r\n1\r\n"
#define MULTI      "*1\r\n$5\r\nMULTI\r\n"
#define EXEC       "*1\r\n$4\r\nEXEC\r\n"
#define START      1000LL
#define LEN(text)  ((long long)sizeof(text) - 1)

struct scene {
    struct fake_master master;
    struct server *s;
};

static void take_dataset(struct scene *c)
{
    fake_master_take_in(&c->master);
    fake_master_send_dataset(&c->master, DATASET, sizeof DATASET - 1);
}

static struct scene begin(const char *config)
{
    struct scene c;
    fake_master_open(&c.master);
    c.s = server_start(OURS, "%s", config);
    follow_port(c.s, c.master.port);
    take_dataset(&c);
    return c;
}

/* The stream stops behind `good`; the reason has these words; what comes next is a full resync that heals. */
static void expect_refused(struct scene *c, const char *stream, long long good, const char *reason, bool half)
{
    fake_master_send(&c->master, stream);
    wait_until(!link_is_up(c->s) && info_number(c->s, "replication", "master_stream_refusals") == 1);
    cr_expect_lt(fake_master_wait_ack(&c->master, START + good + 1), 0, "more was acknowledged than applied");
    cr_expect(strstr(info_text(c->s, "replication", "master_stream_refusal"), reason), "the reason is %s",
              info_text(c->s, "replication", "master_stream_refusal"));
    cr_expect_str_eq(info_text(c->s, "replication", "master_link_status"), "down");
    cr_expect_eq(info_number(c->s, "replication", "slave_repl_offset"), START + good);
    redisReply *role = command(c->s, "ROLE");
    cr_expect(role->elements == 6 && strstr(role->element[5]->str, reason));
    freeReplyObject(role);
    server_wait_log(c->s, 0, "Our master's stream cannot be followed behind offset");
    expect_nil(c->s, "GET b");
    cr_expect(half || info_number(c->s, "stats", "master_commands_ignored") == 0);
    take_dataset(c);
    cr_expect_str_eq(c->master.asked_id, "?");
    fake_master_send(&c->master, SET_B);
    cr_expect_eq(fake_master_wait_ack(&c->master, START + LEN(SET_B)), START + LEN(SET_B));
    expect_string(c->s, "2", "GET b");
    cr_expect_str_eq(info_text(c->s, "replication", "master_stream_refusal"), "");
    role = command(c->s, "ROLE");
    cr_expect_eq(role->elements, 5);
    freeReplyObject(role);
    fake_master_close(&c->master);
}

Test(stream_policy, an_unknown_command_ends_the_stream_in_front_of_it)
{
    struct scene c = begin("");
    expect_refused(&c, SET_A UNKNOWN SET_B, LEN(SET_A), "VADD 'vector' 'x\\x0a' '1'", false);
}

Test(stream_policy, a_command_that_fails_ends_the_stream_in_front_of_it)
{
    struct scene c = begin("");
    expect_refused(&c, SET_A LPUSH_K SET_B, LEN(SET_A), "WRONGTYPE", false);
}

Test(stream_policy, another_number_of_arguments_ends_the_stream_in_front_of_it)
{
    struct scene c = begin("");
    expect_refused(&c, SET_A "*2\r\n$3\r\nSET\r\n$1\r\nb\r\n" SET_B, LEN(SET_A), "wrong number of arguments", false);
}

Test(stream_policy, a_transaction_with_an_unknown_command_is_not_begun)
{
    struct scene c = begin("");
    expect_refused(&c, MULTI SET_A UNKNOWN EXEC SET_B, 0, "VADD", false);
}

/* What stood in front of the failure cannot be taken back; it is said, and no history is claimed for it. */
Test(stream_policy, a_transaction_that_fails_inside_is_not_gone_on_with)
{
    struct scene c = begin("");
    fake_master_send(&c.master, MULTI SET_A LPUSH_K SET_B EXEC);
    server_wait_log(c.s, 0, "and a part of the transaction that follows");
    expect_nil(c.s, "GET b");
    cr_expect_str_neq(info_text(c.s, "replication", "master_replid"), FAKE_MASTER_ID);
    take_dataset(&c);
    cr_expect_str_eq(c.master.asked_id, "?");
    wait_until(link_is_up(c.s));
    expect_nil(c.s, "GET a");
    fake_master_close(&c.master);
}

/* Nothing is lost but what was refused: our place in the stream was kept. */
Test(stream_policy, a_change_of_mind_goes_on_where_the_stream_was_left)
{
    struct scene c = begin("");
    fake_master_send(&c.master, SET_A UNKNOWN SET_B);
    server_wait_log(c.s, 0, "cannot be followed behind offset");
    expect_ok(c.s, "CONFIG SET replica-unknown-command ignore");
    fake_master_take_in(&c.master);
    cr_expect_str_eq(c.master.asked_id, FAKE_MASTER_ID);
    cr_expect_eq(c.master.asked_offset, START + LEN(SET_A) + 1);
    fake_master_send(&c.master, "+CONTINUE\r\n" UNKNOWN SET_B);
    fake_master_wait_ack(&c.master, START + LEN(SET_A UNKNOWN SET_B));
    expect_string(c.s, "1", "GET a");
    expect_string(c.s, "2", "GET b");
    cr_expect_str_eq(info_text(c.s, "replication", "master_stream_refusal"), "");
    fake_master_close(&c.master);
}

static int lines_with(const struct server *s, const char *text)
{
    char line[4096];
    int count = 0;
    FILE *f = fopen(s->log, "r");
    cr_assert(f);
    while (fgets(line, sizeof line, f)) count += strstr(line, text) != NULL;
    fclose(f);
    return count;
}

Test(stream_policy, ignoring_tells_each_name_once_and_counts)
{
    struct scene c = begin("replica-unknown-command ignore");
    fake_master_send(&c.master, UNKNOWN SET_A UNKNOWN LPUSH_K UNKNOWN LPUSH_K SET_B);
    fake_master_wait_ack(&c.master, START + LEN(UNKNOWN SET_A UNKNOWN LPUSH_K UNKNOWN LPUSH_K SET_B));
    expect_string(c.s, "1", "GET a");
    expect_string(c.s, "2", "GET b");
    cr_expect_eq(info_number(c.s, "stats", "master_commands_ignored"), 5);
    cr_expect_eq(info_number(c.s, "stats", "unexpected_error_replies"), 5);
    cr_expect_eq(lines_with(c.s, "VADD 'vector'"), 1);
    cr_expect_eq(lines_with(c.s, "LPUSH 'k' '1'"), 1);
    fake_master_close(&c.master);
}

/* Names are the wire's: a master that invents them fills neither memory nor disk. */
Test(stream_policy, invented_names_do_not_fill_the_log)
{
    struct scene c = begin("replica-unknown-command ignore");
    char request[64];
    long long len = 0;
    for (int i = 0; i < 500; i++) {
        len += snprintf(request, sizeof request, "*1\r\n$6\r\nNAM%03d\r\n", i);
        fake_master_send(&c.master, request);
    }
    fake_master_wait_ack(&c.master, START + len);
    cr_expect_eq(info_number(c.s, "stats", "master_commands_ignored"), 500);
    cr_expect_eq(lines_with(c.s, "sending an error to its master"), 65);
    fake_master_close(&c.master);
}

/* A client's write in the way of our master's is who allowed it's matter; what is unknown is not. */
Test(stream_policy, a_writable_replica_goes_on_where_its_own_keys_are_in_the_way)
{
    struct scene c = begin("replica-read-only no");
    wait_until(link_is_up(c.s));
    expect_integer(c.s, 1, "SADD a member");
    fake_master_send(&c.master, "*3\r\n$5\r\nLPUSH\r\n$1\r\na\r\n$1\r\n1\r\n" SET_B);
    fake_master_wait_ack(&c.master, START + LEN("*3\r\n$5\r\nLPUSH\r\n$1\r\na\r\n$1\r\n1\r\n" SET_B));
    expect_string(c.s, "2", "GET b");
    cr_expect_eq(info_number(c.s, "stats", "master_commands_ignored"), 1);
    fake_master_send(&c.master, UNKNOWN);
    server_wait_log(c.s, 0, "cannot be followed behind offset");
    fake_master_close(&c.master);
}

/* A script that its master sent as it is and that failed there behind its writes is not worth a full resync. */
Test(stream_policy, a_script_that_fails_behind_its_writes_is_no_divergence)
{
    struct scene c = begin("");
#define SCRIPT "redis.call('set','a','1') error('as there')"
#define EVAL   "*3\r\n$4\r\nEVAL\r\n$43\r\n" SCRIPT "\r\n$1\r\n0\r\n"
    cr_assert_eq(LEN(SCRIPT), 43);
    fake_master_send(&c.master, EVAL SET_B);
    fake_master_wait_ack(&c.master, START + LEN(EVAL SET_B));
    cr_expect_eq(info_number(c.s, "stats", "master_commands_ignored"), 1);
    expect_string(c.s, "1", "GET a");
    expect_string(c.s, "2", "GET b");
    fake_master_close(&c.master);
}

/* WAIT of a real master does not count who has refused. */
Test(stream_policy, wait_does_not_count_who_has_refused)
{
    struct server *master = server_start(DEBIAN, "%s", ""), *replica = server_start(OURS, "databases 4");
    follow(replica, master);
    wait_in_step(replica, master);
    expect_ok(master, "SELECT 9");
    expect_ok(master, "SET elsewhere value");
    expect_integer(master, 0, "WAIT 1 300");
    server_wait_log(replica, 0, "names DB 9");
    cr_expect(strstr(info_text(replica, "replication", "master_stream_refusal"), "names DB 9"));
}

/* --- the other direction: what our stream says to whom --- */

static long long lag_on(struct server *s)
{
    redisReply *groups = command(s, "XINFO GROUPS x");
    cr_assert_eq(groups->elements, 1);
    const redisReply *group = groups->element[0], *lag = group->element[group->elements - 1];
    long long value = lag->type == REDIS_REPLY_INTEGER ? lag->integer : -1;
    freeReplyObject(groups);
    return value;
}

/* A group's lag is known on replicas, too. What a follower of an unknown version might not know is not said to it. */
Test(stream_policy, a_groups_lag_is_known_on_replicas_that_understand_it)
{
    struct server *master = server_start(OURS, "%s", ""), *ours = server_start(OURS, "%s", "");
    follow(ours, master);
    wait_in_step(ours, master);
    for (int i = 1; i <= 5; i++) freeReplyObject(command(master, "XADD x %d-1 a b", i));
    expect_ok(master, "XGROUP CREATE x g 0");
    freeReplyObject(command(master, "XREADGROUP GROUP g c COUNT 2 STREAMS x >"));
    freeReplyObject(command(master, "XDEL x 1-1")); /* from now on it cannot be counted, only remembered */
    wait_in_step(ours, master);
    cr_expect_eq(lag_on(master), 3);
    cr_expect_eq(lag_on(ours), 3);
    struct server *debian = server_start(DEBIAN, "%s", "");
    follow(debian, master);
    wait_in_step(debian, master);
    freeReplyObject(command(master, "XREADGROUP GROUP g c COUNT 1 STREAMS x >"));
    wait_in_step(debian, master);
    expect_same_data(ours, master);
    expect_same_data(debian, master);
    cr_expect_eq(info_number(debian, "stats", "unexpected_error_replies"), 0);
}
