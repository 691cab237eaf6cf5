/* Our own Sentinel as a process: fail-over, mixed fleets with Debian's in both majorities, a hand-over, what the
 * configuration file remembers, and the commands. */
#include "tests/harness/replication.h"
#include "tests/harness/sentinels.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

TestSuite(sentinel_own, .fini = server_finish_all, .timeout = 120);

static struct server *watch(bool ours, const struct server *master)
{
    char config[256];
    snprintf(config, sizeof config,
             "sentinel monitor mymaster 127.0.0.1 %d 2\nsentinel down-after-milliseconds mymaster %d\n"
             "sentinel failover-timeout mymaster 10000\nsentinel parallel-syncs mymaster 2",
             master->port, ours ? 1000 : DEBIANS_DOWN_AFTER_MS);
    return server_start(ours ? OUR_SENTINEL : DEBIAN_SENTINEL, "%s", config);
}

struct fleet {
    struct server *node[3], *sentinel[3];
};

/* A master with two replicas, and three Sentinels, of which so many are ours. */
static struct fleet fleet_of(int ours)
{
    struct fleet f;
    for (int i = 0; i < 3; i++) f.node[i] = server_start(OURS, "repl-ping-replica-period 1");
    for (int i = 1; i < 3; i++) follow(f.node[i], f.node[0]);
    fill(f.node[0], "before:", 500, 100);
    for (int i = 1; i < 3; i++) wait_in_step(f.node[i], f.node[0]);
    for (int i = 0; i < 3; i++) f.sentinel[i] = watch(i < ours, f.node[0]);
    for (int i = 0; i < 3; i++) wait_until(sentinel_knows(f.sentinel[i], 2, 2));
    return f;
}

/* Whom they all take for the master now; it has to be another. */
static struct server *new_master(const struct fleet *f)
{
    for (int i = 0; i < 3; i++) wait_until_within(60000, sentinel_master_port(f->sentinel[i]) != f->node[0]->port);
    int port = sentinel_master_port(f->sentinel[0]);
    for (int i = 1; i < 3; i++) wait_until(sentinel_master_port(f->sentinel[i]) == port);
    return f->node[1]->port == port ? f->node[1] : f->node[2];
}

static void survive_the_masters_death(int ours)
{
    struct fleet f = fleet_of(ours);
    char port[16];
    server_kill(f.node[0]);
    struct server *promoted = new_master(&f), *sibling = promoted == f.node[1] ? f.node[2] : f.node[1];
    wait_until(info_is_if_there(promoted, "replication", "role", "master"));
    fill(promoted, "after:", 500, 100);
    snprintf(port, sizeof port, "%d", promoted->port);
    wait_until_within(60000, info_is_if_there(sibling, "replication", "master_port", port));
    expect_same_data(sibling, promoted);
    server_launch(f.node[0]);
    wait_until_within(60000, info_is_if_there(f.node[0], "replication", "role", "slave"));
    expect_same_data(f.node[0], promoted);
}

Test(sentinel_own, three_of_ours)
{
    survive_the_masters_death(3);
}

Test(sentinel_own, two_of_ours_and_one_of_debians)
{
    survive_the_masters_death(2);
}

Test(sentinel_own, one_of_ours_and_two_of_debians)
{
    survive_the_masters_death(1);
}

/* Whom it would follow if it were started now; 0: nobody. */
static bool follows_by_file(const struct server *s, int port)
{
    char line[512];
    int found = 0;
    FILE *file = fopen(s->config_file, "r");
    cr_assert_not_null(file);
    while (fgets(line, sizeof line, file))
        if (strncmp(line, "replicaof ", strlen("replicaof ")) == 0) sscanf(line, "replicaof %*s %d", &found);
    fclose(file);
    return found == port;
}

/* -1: the connection is closed. */
static long long try_integer(struct server *s, const char *line)
{
    redisReply *r = try_command(s, line);
    long long value = r && r->type == REDIS_REPLY_INTEGER ? r->integer : -1;
    if (r) freeReplyObject(r);
    return value;
}

/* The master itself is asked, and stops its writers until the replica has everything. */
Test(sentinel_own, a_hand_over_while_the_master_lives)
{
    struct fleet f = fleet_of(3);
    fill(f.node[0], "last:", 500, 100);
    redisReply *r = command(f.sentinel[0], "SENTINEL FAILOVER mymaster");
    cr_assert_str_eq(r->str, "OK");
    freeReplyObject(r);
    struct server *promoted = new_master(&f);
    cr_expect(server_log_has(f.sentinel[0], 0, "asked to hand over to 127.0.0.1"));
    /* Sealed by orders to both, which part with clients, too: only then connections last. */
    wait_until(follows_by_file(f.node[0], promoted->port) && follows_by_file(promoted, 0));
    wait_until(info_is_if_there(promoted, "replication", "role", "master"));
    wait_until(info_is_if_there(f.node[0], "replication", "role", "slave"));
    wait_until(try_integer(promoted, "EXISTS last:499") == 1);
    expect_same_data(f.node[0], promoted);
}

Test(sentinel_own, what_it_knows_survives_its_end)
{
    struct fleet f = fleet_of(3);
    char run_id[64];
    redisReply *r = command(f.sentinel[0], "SENTINEL MYID");
    snprintf(run_id, sizeof run_id, "%s", r->str);
    freeReplyObject(r);
    server_kill(f.node[0]);
    struct server *promoted = new_master(&f);
    server_kill(f.sentinel[0]);
    server_launch(f.sentinel[0]);
    cr_expect_eq(sentinel_master_port(f.sentinel[0]), promoted->port);
    cr_expect(sentinel_knows(f.sentinel[0], 2, 2));
    cr_expect_neq(atoi(sentinel_field(f.sentinel[0], "config-epoch")), 0);
    r = command(f.sentinel[0], "SENTINEL MYID");
    cr_expect_str_eq(r->str, run_id);
    freeReplyObject(r);
    server_stop(f.sentinel[0]);
}

/* A script that writes down what it was called with, one word a line. */
static void write_script(const struct server *s, const char *name, char path[512])
{
    snprintf(path, 512, "%s/%s", s->dir, name);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    fprintf(file, "#!/bin/sh\nprintf '%%s\\n' \"$*\" >> %s.calls\n", path);
    fclose(file);
    chmod(path, 0755);
}

static bool was_called_with(const char *script, const char *words)
{
    char path[600], line[512];
    bool found = false;
    snprintf(path, sizeof path, "%s.calls", script);
    FILE *file = fopen(path, "r");
    if (!file) return false;
    while (!found && fgets(line, sizeof line, file)) found = strncmp(line, words, strlen(words)) == 0;
    fclose(file);
    return found;
}

Test(sentinel_own, scripts_hear_of_warnings_and_of_the_new_master)
{
    struct server *master = server_start(OURS, "%s", ""), *replica = server_start(OURS, "%s", "");
    char notify[512], reconfig[512], words[256];
    follow(replica, master);
    write_script(replica, "notify", notify);
    write_script(replica, "reconfig", reconfig);
    struct server *s = server_prepare(OUR_SENTINEL,
                                      "sentinel monitor mymaster 127.0.0.1 %d 1\n"
                                      "sentinel down-after-milliseconds mymaster 500\n"
                                      "sentinel notification-script mymaster %s\n"
                                      "sentinel client-reconfig-script mymaster %s",
                                      master->port, notify, reconfig);
    server_launch(s);
    wait_until(sentinel_knows(s, 1, 0));
    server_kill(master);
    snprintf(words, sizeof words, "+sdown master mymaster 127.0.0.1 %d", master->port);
    wait_until(was_called_with(notify, words));
    snprintf(words, sizeof words, "mymaster leader start 127.0.0.1 %d 127.0.0.1 %d", master->port, replica->port);
    wait_until(was_called_with(reconfig, words));
}

static void expect_start(struct server *s, const char *beginning, const char *line)
{
    redisReply *r = command(s, line);
    cr_expect(r->str && strncmp(r->str, beginning, strlen(beginning)) == 0, "%s: %s", line, r->str ? r->str : "?");
    freeReplyObject(r);
}

Test(sentinel_own, commands_on_what_is_watched)
{
    struct server *master = server_start(OURS, "%s", "");
    struct server *s = watch(true, master);
    char line[128];
    cr_expect(info_is(s, "server", "redis_mode", "sentinel"));
    expect_start(s, "ERR unknown command 'GET'", "GET x");
    expect_start(s, "ERR unknown subcommand", "SENTINEL NONSENSE");
    expect_start(s, "ERR No such master with that name", "SENTINEL MASTER other");
    expect_start(s, "ERR Only HELLO messages", "PUBLISH channel text");
    expect_start(s, "NOGOODSLAVE", "SENTINEL FAILOVER mymaster");
    expect_start(s, "NOQUORUM 1 usable Sentinels. Not enough available Sentinels to reach the specified quorum",
                 "SENTINEL CKQUORUM mymaster");
    expect_start(s, "OK", "SENTINEL SET mymaster quorum 1 down-after-milliseconds 5000");
    cr_expect_str_eq(sentinel_field(s, "quorum"), "1");
    cr_expect_str_eq(sentinel_field(s, "down-after-milliseconds"), "5000");
    expect_start(s, "OK 1 usable Sentinels.", "SENTINEL CKQUORUM mymaster");
    expect_start(s, "ERR Reconfiguration of scripts path is denied",
                 "SENTINEL SET mymaster notification-script /bin/true");
    expect_start(s, "ERR Invalid argument 'x' for SENTINEL SET 'quorum'", "SENTINEL SET mymaster quorum x");
    snprintf(line, sizeof line, "SENTINEL MONITOR second 127.0.0.1 %d 1", master->port);
    expect_start(s, "OK", line);
    expect_start(s, "ERR Duplicate master name", line);
    expect_start(s, "ERR Invalid IP address or hostname specified", "SENTINEL MONITOR third no.such.name 1 1");
    expect_integer(s, 1, "SENTINEL RESET sec*");
    expect_start(s, "OK", "SENTINEL REMOVE second");
    expect_integer(s, 0, "SENTINEL RESET sec*");
    expect_start(s, "OK", "SENTINEL CONFIG SET announce-ip 10.1.2.3 announce-port 5000");
    expect_start(s, "ERR Invalid argument 'myid' to SENTINEL CONFIG SET", "SENTINEL CONFIG SET myid x");
    redisReply *r = command(s, "SENTINEL CONFIG GET announce-*");
    cr_assert_eq(r->elements, 6);
    cr_expect_str_eq(r->element[3]->str, "10.1.2.3");
    cr_expect_str_eq(r->element[5]->str, "5000");
    freeReplyObject(r);
    wait_until(*sentinel_field(s, "runid"));
    r = command(s, "SENTINEL INFO-CACHE mymaster other");
    cr_assert_eq(r->elements, 2);
    cr_expect(strstr(r->element[1]->element[0]->element[1]->str, "role:master"));
    freeReplyObject(r);
    r = command(s, "COMMAND DOCS SENTINEL INFO");
    cr_expect_eq(r->elements, 4);
    freeReplyObject(r);
    expect_start(s, "OK", "SENTINEL FLUSHCONFIG");
    server_stop(s);
}

Test(sentinel_own, without_a_file_to_write_to_it_does_not_start)
{
    struct server *s = server_prepare(OUR_SENTINEL, "%s", "sentinel monitor mymaster 127.0.0.1 1 two");
    cr_expect_eq(server_launch_in_vain(s), 1);
    cr_expect(server_log_has(s, 0, "Quorum must be 1 or greater."));
}

Test(sentinel_own, a_line_that_is_none_is_named_so)
{
    static const char unknown[] = "Unrecognized sentinel configuration statement.";
    static const struct {
        const char *line, *fault;
    } wrong[] = {
        {"sentinel no-such-option x", unknown},
        {"sentinel monitor third", unknown},
        {"sentinel down-after-milliseconds mymaster", unknown},
        {"sentinel down-after-milliseconds mymaster 1000 2000", unknown},
        {"sentinel auth-pass mymaster", unknown},
        {"sentinel sentinel-pass", unknown},
        {"sentinel announce-ip 10.1.2.3 10.1.2.4", unknown},
        {"sentinel down-after-milliseconds other 1000", "No such master with specified name."},
        {"sentinel rename-command mymaster CONFIG a\nsentinel rename-command mymaster config b",
         "Same command renamed multiple times with rename-command."},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct server *s = server_prepare(OUR_SENTINEL, "sentinel monitor mymaster 127.0.0.1 1 1\n%s", wrong[i].line);
        cr_expect_eq(server_launch_in_vain(s), 1, "%s", wrong[i].line);
        cr_expect(server_log_has(s, 0, wrong[i].fault), "%s", wrong[i].line);
    }
    server_start(OUR_SENTINEL, "sentinel monitor mymaster 127.0.0.1 1 1\n"
                               "sentinel rename-command mymaster CONFIG a\n"
                               "sentinel rename-command mymaster config a");
}
