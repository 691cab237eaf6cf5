/* A Sentinel of ours in the ways people configure one: files of Debian's, passwords, host names, renamed commands,
 * announced addresses, failures asked for, and fleets that all start at once. */
#include "tests/harness/replication.h"
#include "tests/harness/sentinels.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(sentinel_ways, .fini = server_finish_all, .timeout = 120);

#define PATIENCE_MS 30000

/* Down after half a second, for the quorum of one Sentinel or two. */
static struct server *prepare(enum server_kind kind, const char *host, const struct server *master, int quorum,
                              const char *more)
{
    return server_prepare(kind,
                          "%s\nsentinel monitor mymaster %s %d %d\n"
                          "sentinel down-after-milliseconds mymaster 500\n"
                          "sentinel failover-timeout mymaster 3000",
                          more, host, master->port, quorum);
}

static struct server *watch(enum server_kind kind, const struct server *master, int quorum, const char *more)
{
    struct server *s = prepare(kind, "127.0.0.1", master, quorum, more);
    server_launch(s);
    return s;
}

struct couple {
    struct server *master, *replica;
};

static struct couple couple(enum server_kind kind, const char *config)
{
    struct couple c = {.master = server_start(kind, "%s", config), .replica = server_start(kind, "%s", config)};
    follow(c.replica, c.master);
    fill(c.master, "before:", 100, 100);
    wait_in_step(c.replica, c.master);
    return c;
}

static struct couple couple_of(const char *config)
{
    return couple(OURS, config);
}

static void expect_takes_over(const struct couple *c, struct server *sentinel)
{
    server_kill(c->master);
    wait_until_within(PATIENCE_MS, sentinel_master_port(sentinel) == c->replica->port);
    wait_until(info_is_if_there(c->replica, "replication", "role", "master"));
}

static void run_id(struct server *sentinel, char out[64])
{
    snprintf(out, 64, "%s", command_text(sentinel, "SENTINEL MYID"));
}

/* --- Debian's servers --- */

static bool begins_failover(struct server *sentinel)
{
    redisReply *r = command(sentinel, "SENTINEL FAILOVER mymaster");
    bool begins = r->type == REDIS_REPLY_STATUS;
    freeReplyObject(r);
    return begins;
}

Test(sentinel_ways, debians_servers_are_watched)
{
    struct couple c = couple(DEBIAN, "repl-ping-replica-period 1");
    struct server *s = watch(OUR_SENTINEL, c.master, 1, "");
    wait_until(sentinel_knows(s, 1, 0));
    wait_until(begins_failover(s)); /* once it has heard of the replica's state */
    wait_until_within(PATIENCE_MS, sentinel_master_port(s) == c.replica->port);
    wait_until_within(PATIENCE_MS, info_is_if_there(c.master, "replication", "role", "slave"));
    cr_expect(server_log_has(s, 0, "asked to hand over to 127.0.0.1"));
    wait_until_within(PATIENCE_MS, link_is_up(c.master));
    wait_until(strcmp(sentinel_field(s, "flags"), "master") == 0 && sentinel_knows(s, 1, 0));
    wait_until_within(PATIENCE_MS, in_step(c.master, c.replica));
    struct couple back = {.master = c.replica, .replica = c.master};
    expect_takes_over(&back, s);
}

/* --- the file --- */

/* The same file, read by the other one's program. */
static void change_hands(struct server *s, enum server_kind to)
{
    server_stop(s);
    s->kind = to;
    server_launch(s);
}

static void file_goes_over(enum server_kind from, enum server_kind to)
{
    struct couple c = couple_of("");
    char before[64], after[64];
    struct server *s = watch(from, c.master, 1, "sentinel deny-scripts-reconfig no"), *other = NULL;
    other = watch(to, c.master, 2, "");
    wait_until(sentinel_knows(s, 1, 1) && sentinel_knows(other, 1, 1));
    expect_ok(s, "SENTINEL SET mymaster failover-timeout 4000 parallel-syncs 3 auth-pass none quorum 2 "
                 "rename-command FLUSHALL NEVER client-reconfig-script /bin/true");
    expect_ok(s, "SENTINEL CONFIG SET announce-ip 127.0.0.1");
    run_id(s, before);
    change_hands(s, to);
    run_id(s, after);
    cr_expect_str_eq(before, after);
    cr_expect(sentinel_knows(s, 1, 1));
    cr_expect_str_eq(sentinel_field(s, "failover-timeout"), "4000");
    cr_expect_str_eq(sentinel_field(s, "parallel-syncs"), "3");
    cr_expect_str_eq(sentinel_field(s, "client-reconfig-script"), "/bin/true");
    wait_until(sentinel_has_quorum(s) && sentinel_has_quorum(other));
    expect_takes_over(&c, s);
    wait_until(strcmp(sentinel_field(s, "flags"), "master") == 0);
    long epoch = atol(sentinel_field(s, "config-epoch"));
    cr_expect_gt(epoch, 0);
    change_hands(s, from);
    cr_expect_eq(sentinel_master_port(s), c.replica->port);
    cr_expect_eq(atol(sentinel_field(s, "config-epoch")), epoch);
    run_id(s, after);
    cr_expect_str_eq(before, after);
}

Test(sentinel_ways, a_file_of_debians_is_continued_and_goes_back)
{
    file_goes_over(DEBIAN_SENTINEL, OUR_SENTINEL);
}

Test(sentinel_ways, a_file_of_ours_is_continued_by_debians_and_comes_back)
{
    file_goes_over(OUR_SENTINEL, DEBIAN_SENTINEL);
}

static char *file_text(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = calloc(1, 65536);
    cr_assert(file && text);
    cr_assert_gt(fread(text, 1, 65535, file), 0);
    fclose(file);
    return text;
}

/* Comments, order, an option before its master, one at its default, and another spelling. */
Test(sentinel_ways, lines_stay_where_they_were)
{
    struct server *master = server_start(OURS, "%s", "");
    struct server *s = server_prepare(OUR_SENTINEL,
                                      "SENTINEL resolve-hostnames no\n"
                                      "# how long\nSENTINEL down-after-milliseconds main 30000\n\n"
                                      "# whom\nsentinel monitor main 127.0.0.1 %d 2\nsentinel parallel-syncs main 2\n"
                                      "sentinel failover-timeout main 240000",
                                      master->port);
    char *before = file_text(s->config_file);
    server_launch(s);
    expect_ok(s, "SENTINEL FLUSHCONFIG");
    char *after = file_text(s->config_file);
    cr_expect(strstr(after, strstr(before, "SENTINEL resolve")), "%s\n--- became ---\n%s", before, after);
    free(after);
    expect_ok(s, "SENTINEL SET main parallel-syncs 7");
    after = file_text(s->config_file);
    cr_expect(strstr(after, "2\nsentinel parallel-syncs main 7\nsentinel failover-timeout main 240000\n"), "%s", after);
    expect_ok(s, "SENTINEL REMOVE main");
    free(after);
    after = file_text(s->config_file);
    cr_expect(!strstr(after, " main"), "%s", after);
    free(before);
    free(after);
}

/* The file that this project comes with. */
Test(sentinel_ways, the_example_of_a_file_is_one)
{
    char here[256], port[16];
    struct server *s = server_prepare(OUR_SENTINEL, "%s", "");
    cr_assert(getcwd(here, sizeof here));
    server_add_config(s, "include %s/sentinel.conf", here);
    snprintf(port, sizeof port, "%d", s->port);
    const char *arguments[] = {"--port", port, NULL};
    s->arguments = arguments;
    server_launch(s);
    server_stop(s);
}

/* --- who may come in --- */

Test(sentinel_ways, passwords_of_servers_and_of_sentinels)
{
    struct couple c = couple_of("user default on nopass ~* &* +@all -slaveof -subscribe\n"
                                "user watcher on >secret allchannels +multi +slaveof +ping +exec +subscribe "
                                "+config|rewrite +role +publish +info +client|setname +client|kill +script|kill");
    static const char config[] = "user default on nopass ~* &* +@all -sentinel|is-master-down-by-addr\n"
                                 "user peer on >word &* +@all\nsentinel sentinel-user peer\n"
                                 "sentinel sentinel-pass word";
    struct server *s[3];
    for (int i = 0; i < 3; i++) {
        s[i] = prepare(i ? OUR_SENTINEL : DEBIAN_SENTINEL, "127.0.0.1", c.master, 3, config);
        server_add_config(s[i], "sentinel auth-user mymaster watcher\nsentinel auth-pass mymaster secret");
        server_launch(s[i]);
    }
    for (int i = 0; i < 3; i++) wait_until(sentinel_knows(s[i], 1, 2));
    expect_takes_over(&c, s[1]);
    for (int i = 0; i < 3; i++) wait_until_within(PATIENCE_MS, sentinel_master_port(s[i]) == c.replica->port);
}

/* A password that is changed while it watches: the connections are made anew. */
Test(sentinel_ways, a_password_that_changes)
{
    struct couple c = couple_of("user old on >one allchannels +@all\nuser new on >two allchannels +@all\n"
                                "user default on nopass ~* +@all -ping");
    struct server *s = watch(OUR_SENTINEL, c.master, 1, "");
    wait_until(strstr(sentinel_field(s, "flags"), "s_down"));
    expect_ok(s, "SENTINEL SET mymaster auth-user new auth-pass two");
    wait_until(strcmp(sentinel_field(s, "flags"), "master") == 0);
    char *file = file_text(s->config_file);
    cr_expect(strstr(file, "sentinel auth-pass mymaster two\n"));
    free(file);
    cr_expect(!server_log_has(s, 0, "auth-pass two"), "the log keeps no secret");
}

/* --- names --- */

Test(sentinel_ways, a_name_is_resolved_and_addresses_are_told)
{
    struct couple c = couple_of("");
    struct server *s = prepare(OUR_SENTINEL, "localhost", c.master, 1, "sentinel resolve-hostnames yes");
    server_launch(s);
    wait_until(sentinel_knows(s, 1, 0));
    cr_expect_str_eq(sentinel_field(s, "ip"), "127.0.0.1");
    expect_takes_over(&c, s);
    server_launch(c.master);
    wait_until_within(PATIENCE_MS, info_is_if_there(c.master, "replication", "role", "slave"));
    cr_expect(info_is(c.master, "replication", "master_host", "127.0.0.1"));
}

Test(sentinel_ways, names_stay_names_where_they_are_announced)
{
    struct couple c = couple_of("replica-announce-ip localhost");
    struct server *s = prepare(OUR_SENTINEL, "localhost", c.master, 1,
                               "sentinel resolve-hostnames yes\nsentinel announce-hostnames yes");
    server_launch(s);
    wait_until(sentinel_knows(s, 1, 0));
    cr_expect_str_eq(sentinel_field(s, "ip"), "localhost");
    expect_takes_over(&c, s);
    cr_expect_str_eq(sentinel_field(s, "ip"), "localhost");
    server_launch(c.master);
    wait_until_within(PATIENCE_MS, info_is_if_there(c.master, "replication", "role", "slave"));
    cr_expect(info_is(c.master, "replication", "master_host", "localhost"));
    char *file = file_text(s->config_file);
    cr_expect(strstr(file, "sentinel monitor mymaster localhost "), "%s", file);
    cr_expect(!strstr(file, "mymaster 127.0.0.1"), "an address is in the file:\n%s", file);
    free(file);
}

Test(sentinel_ways, an_announced_address_is_what_others_hear)
{
    struct server *master = server_start(OURS, "%s", "");
    struct server *ours = watch(OUR_SENTINEL, master, 2, "sentinel announce-ip 127.0.0.2\nsentinel announce-port 7777");
    struct server *debians = watch(DEBIAN_SENTINEL, master, 2, "");
    wait_until(sentinel_knows(ours, 0, 1) && sentinel_knows(debians, 0, 1));
    redisReply *r = command(debians, "SENTINEL SENTINELS mymaster");
    cr_assert_eq(r->elements, 1);
    cr_expect_str_eq(r->element[0]->element[3]->str, "127.0.0.2");
    cr_expect_str_eq(r->element[0]->element[5]->str, "7777");
    freeReplyObject(r);
}

Test(sentinel_ways, commands_with_other_names)
{
    static const char renamed[] = "rename-command SLAVEOF BECOME\nrename-command CONFIG ADJUST\n"
                                  "rename-command MULTI TOGETHER";
    struct couple c = couple_of(renamed);
    struct server *s = prepare(OUR_SENTINEL, "127.0.0.1", c.master, 1, "");
    server_add_config(s, "sentinel rename-command mymaster SLAVEOF BECOME\n"
                         "sentinel rename-command mymaster config adjust\n"
                         "sentinel rename-command mymaster MULTI TOGETHER");
    server_launch(s);
    wait_until(sentinel_knows(s, 1, 0));
    expect_takes_over(&c, s);
}

/* --- failures that are asked for --- */

static void expect_dies(struct server *s)
{
    int status = server_wait_end(s);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 99, "status %d", status);
}

Test(sentinel_ways, dies_after_its_election_and_goes_on)
{
    struct couple c = couple_of("");
    struct server *s = watch(OUR_SENTINEL, c.master, 1, "");
    wait_until(sentinel_knows(s, 1, 0));
    expect_ok(s, "SENTINEL SIMULATE-FAILURE crash-after-election");
    server_kill(c.master);
    expect_dies(s);
    cr_expect(info_is(c.replica, "replication", "role", "slave"));
    server_launch(s);
    wait_until_within(PATIENCE_MS, sentinel_master_port(s) == c.replica->port);
}

Test(sentinel_ways, dies_after_the_promotion_and_remembers_it)
{
    struct couple c = couple_of("");
    struct server *s = watch(OUR_SENTINEL, c.master, 1, "");
    wait_until(sentinel_knows(s, 1, 0));
    expect_ok(s, "SENTINEL SIMULATE-FAILURE crash-after-promotion");
    server_kill(c.master);
    expect_dies(s);
    wait_until(info_is_if_there(c.replica, "replication", "role", "master"));
    server_launch(s);
    cr_expect_eq(sentinel_master_port(s), c.replica->port);
    cr_expect_str_neq(sentinel_field(s, "config-epoch"), "0");
}

Test(sentinel_ways, periods_of_debug)
{
    struct server *master = server_start(OURS, "%s", ""), *s = watch(OUR_SENTINEL, master, 1, "");
    char line[128];
    expect_ok(s, "SENTINEL DEBUG default-down-after 1234 default-failover-timeout 4321 info-period 100");
    snprintf(line, sizeof line, "SENTINEL MONITOR other 127.0.0.1 %d 1", master->port);
    expect_ok(s, line);
    redisReply *r = command(s, "SENTINEL MASTER other");
    for (size_t i = 0; i + 1 < r->elements; i += 2) {
        if (strcmp(r->element[i]->str, "down-after-milliseconds") == 0)
            cr_expect_str_eq(r->element[i + 1]->str, "1234");
        if (strcmp(r->element[i]->str, "failover-timeout") == 0) cr_expect_str_eq(r->element[i + 1]->str, "4321");
    }
    freeReplyObject(r);
    char *file = file_text(s->config_file);
    cr_expect(strstr(file, "sentinel down-after-milliseconds other 1234\n"), "%s", file);
    free(file);
    r = command(s, "SENTINEL DEBUG");
    cr_assert_eq(r->elements, 26);
    cr_expect_str_eq(r->element[1]->str, "100");
    freeReplyObject(r);
}

/* --- all at once --- */

/* The old master's file says that it is one, and so it believes when it comes back together with the new one. */
Test(sentinel_ways, a_fleet_that_starts_at_once_has_one_master_and_its_data)
{
    struct couple c = couple_of("");
    struct server *s[3];
    for (int i = 0; i < 3; i++) s[i] = watch(i == 2 ? DEBIAN_SENTINEL : OUR_SENTINEL, c.master, 2, "");
    for (int i = 0; i < 3; i++) wait_until(sentinel_knows(s[i], 1, 2));
    expect_takes_over(&c, s[0]);
    for (int i = 0; i < 3; i++) wait_until_within(PATIENCE_MS, sentinel_master_port(s[i]) == c.replica->port);
    fill(c.replica, "after:", 100, 100);
    expect_ok(c.replica, "SAVE");
    /* A start may take longer than half a second. */
    for (int i = 0; i < 3; i++) expect_ok(s[i], "SENTINEL SET mymaster down-after-milliseconds %d", PATIENCE_MS);
    server_kill(c.replica);
    for (int i = 0; i < 3; i++) server_kill(s[i]);
    for (int i = 0; i < 3; i++) server_launch(s[i]);
    server_launch(c.master);
    server_launch(c.replica);
    wait_until_within(PATIENCE_MS, info_is_if_there(c.master, "replication", "role", "slave"));
    cr_expect(info_is(c.replica, "replication", "role", "master"));
    expect_same_data(c.master, c.replica);
    expect_integer(c.master, 2, "EXISTS after:99 before:99");
}
