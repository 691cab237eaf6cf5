/* slipstream-lab's faults that change the parts, and those that steer to the byte; servers that it was not to start;
 * the page that it writes, in a browser. */
#include "tests/harness/browser.h"
#include "tests/harness/client.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(lab_faults, .fini = server_finish_all, .timeout = 180);

static struct process_result lab(const char *server, const char *const *words)
{
    const char *argv[32] = {server_program(OURS, "slipstream-lab"), "--server", server};
    int argc = server ? 3 : 1;
    for (; *words; words++) argv[argc++] = *words;
    return process_run_within(argv, NULL, 120000);
}

static const char *command_of_ours(void)
{
    static char text[4200];
    snprintf(text, sizeof text, "ours=%.4000s --port {port} --dir {dir}", server_program(OURS, "redis-server"));
    return text;
}

static int count(const char *text, const char *what)
{
    int found = 0;
    for (const char *at = text; (at = strstr(at, what)); at += strlen(what)) found++;
    return found;
}

static char *lab_on_faults(const char *faults)
{
    const char *words[] = {"--fault", faults, "--length", "100ms", "--keys", "500", "--backlog", "64k",
                           "--rate",  "200k", "--seed",   "1",     "--json", "-",   NULL};
    struct process_result r = lab(command_of_ours(), words);
    cr_assert_eq(r.exit_code, 0, "%s", r.output);
    return r.output;
}

Test(lab_faults, the_edge_of_the_backlog_is_met_and_missed_by_one_byte)
{
    char *output = lab_on_faults("backlog-met,backlog-missed");
    cr_assert_eq(count(output, "\"verdict\": \"as predicted\""), 2, "%s", output);
    cr_assert_eq(count(output, "\"on_wire\": \"partial\""), 1, "%s", output);
    cr_assert_eq(count(output, "\"on_wire\": \"full\""), 1, "%s", output);
    cr_assert_eq(count(output, ", 1 bytes are missing"), 1, "%s", output);
    free(output);
}

Test(lab_faults, masters_change_and_what_is_lost_is_counted)
{
    char *output = lab_on_faults("old-master-returns,split-brain,chain-middle-gone,address-changes");
    cr_assert_eq(count(output, "\"verdict\": \"as predicted\""), 4, "%s", output);
    cr_assert_eq(count(output, "\"on_wire\": \"partial\""), 3, "%s", output);
    cr_assert_eq(count(output, "\"writes_lost\": 1000"), 1, "%s", output);
    cr_assert_eq(count(output, "\"writes_lost\": -1"), 3, "%s", output);
    free(output);
}

Test(lab_faults, snapshots_are_cut_and_replicas_come_together)
{
    char *output = lab_on_faults("big-value,cut-snapshot,snapshot-killed,replica-emptied,master-frozen,eight-replicas");
    cr_assert_eq(count(output, "\"verdict\": \"as predicted\""), 6, "%s", output);
    cr_assert_geq(count(output, "\"on_wire\": \"full\""), 3, "a large value may leave all of the history: %s", output);
    cr_assert_eq(count(output, "\"data_equal\": 1"), 6, "%s", output);
    free(output);
}

Test(lab_faults, processes_of_the_master_are_stopped_and_go_on)
{
    char *output = lab_on_faults("link-frozen,snapshot-frozen,delay");
    cr_assert_eq(count(output, "\"verdict\": \"as predicted\""), 3, "%s", output);
    cr_assert_eq(count(output, "\"on_wire\": \"full\""), 1, "%s", output);
    cr_assert_eq(count(output, "\"on_wire\": \"nothing\""), 2, "%s", output);
    free(output);
}

/* --- servers that run already --- */

static void expect_put_back(struct server *replica, struct server *master)
{
    char port[32];
    snprintf(port, sizeof port, "master_port:%d\r", master->port);
    redisContext *c = connection(replica);
    redisReply *r = redisCommand(c, "INFO replication");
    cr_assert(strstr(r->str, port), "%s", r->str);
    freeReplyObject(r);
}

Test(lab_faults, a_running_pair_is_put_back)
{
    struct server *master = server_start(OURS, "%s", ""), *replica = server_start(OURS, "%s", "");
    char both[128];
    follow(replica, master);
    wait_in_step(replica, master);
    snprintf(both, sizeof both, "master=127.0.0.1:%d,replica=127.0.0.1:%d", master->port, replica->port);
    const char *words[] = {"--attach", both, "--fault", "cut,reset,master-killed", "--length", "100ms", "--keys", "50",
                           "--json",   "-",  NULL};
    struct process_result r = lab(NULL, words);
    cr_assert_eq(r.exit_code, 0, "%s", r.output);
    cr_assert_eq(count(r.output, "\"verdict\": \"as predicted\""), 2, "%s", r.output);
    cr_assert_eq(count(r.output, "\"verdict\": \"not here\""), 1, "%s", r.output);
    free(r.output);
    expect_put_back(replica, master);
    wait_in_step(replica, master);
    redisContext *c = connection(master);
    redisReply *size = redisCommand(c, "DBSIZE");
    cr_assert_eq(size->integer, 0, "the lab's keys are gone");
    freeReplyObject(size);
}

/* Servers without DEBUG, of two makes and versions: DUMPs differ, and what the values hold does not, until it does. */
Test(lab_faults, values_of_every_type_are_compared)
{
    static const char *const writes[] = {
        "SET string x",      "RPUSH list a b c",    "SADD set a b 1",           "HSET hash f 1 g 2 h 3",
        "ZADD zset 1 a 2 b", "XADD stream 1-1 f v", "SADD integers 3 2 1 70000"};
    struct server *master = server_prepare(ANY, "%s", ""), *replica = server_prepare(ANY, "%s", "replica-read-only no");
    char both[128];
    master->program = server_program(DEBIAN, "redis-server");
    replica->program = server_program(OURS, "redis-server");
    server_launch(master);
    server_launch(replica);
    follow(replica, master);
    for (size_t i = 0; i < sizeof writes / sizeof *writes; i++) freeReplyObject(command(master, writes[i]));
    wait_in_step(replica, master);
    snprintf(both, sizeof both, "master=127.0.0.1:%d,replica=127.0.0.1:%d", master->port, replica->port);
    const char *words[] = {"--attach", both, "--length", "50ms", "--keys", "50", "--json", "-", NULL};
    struct process_result r = lab(NULL, words);
    cr_assert_eq(r.exit_code, 0, "%s", r.output);
    free(r.output);
    static const char *const changes[][3] = {{"HSET hash g 4", "key 'hash' differs", "HSET hash g 2"},
                                             {"LSET list 1 x", "key 'list' differs", "LSET list 1 b"},
                                             {"ZADD zset 3 b", "key 'zset' differs", "ZADD zset 2 b"}};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        freeReplyObject(command(replica, changes[i][0]));
        r = lab(NULL, words);
        cr_expect_eq(r.exit_code, 1, "%s", r.output);
        cr_expect(strstr(r.output, changes[i][1]), "%s: %s", changes[i][1], r.output);
        free(r.output);
        freeReplyObject(command(replica, changes[i][2]));
    }
}

Test(lab_faults, two_masters_are_no_pair)
{
    struct server *one = server_start(OURS, "%s", ""), *other = server_start(OURS, "%s", "");
    char both[128];
    snprintf(both, sizeof both, "master=127.0.0.1:%d,replica=127.0.0.1:%d", one->port, other->port);
    const char *words[] = {"--attach", both, NULL};
    struct process_result r = lab(NULL, words);
    cr_assert_eq(r.exit_code, 1, "%s", r.output);
    cr_assert(strstr(r.output, "is no replica with the data of"), "%s", r.output);
    free(r.output);
}

/* --- the page --- */

/* Asks the page itself, once it is laid out: is it wider than the screen, which lines are drawn, how many are flat? */
static const char question[] =
    "<script>addEventListener('load',()=>{const d=document,w=d.documentElement;let flat=0;"
    "const lines=d.querySelectorAll('svg path');lines.forEach(p=>{if(p.getBBox().width<1)flat++});"
    "const out=d.createElement('p');out.textContent=`ASKED width ${w.scrollWidth<=innerWidth?'fits':'overflows'} lines "
    "${lines.length} flat ${flat} faults ${[...d.querySelectorAll('rect.f')].filter(r=>r.getBBox().width>0).length} "
    "cells ${d.querySelectorAll('td.good').length}`;d.body.append(out)})</script>";

Test(lab_faults, the_page_is_drawn_by_a_browser)
{
    char page[512];
    if (!browser_program()) cr_skip_test("no Chromium is installed (tools/deps.sh browser)");
    snprintf(page, sizeof page, "%.300s/%.100s.html", harness_root(), harness_case());
    const char *words[] = {"--fault", "cut,stall", "--length", "200ms", "--keys", "100", "--html", page, NULL};
    struct process_result r = lab(command_of_ours(), words);
    cr_assert_eq(r.exit_code, 0, "%s", r.output);
    free(r.output);
    FILE *file = fopen(page, "a");
    fputs(question, file);
    fclose(file);
    char *dom = browser_show(page);
    cr_assert(strstr(dom, "ASKED width fits lines 4 flat 0 faults 2 cells 2"), "%s",
              strstr(dom, "ASKED") ? strstr(dom, "ASKED") : dom);
    cr_assert(strstr(dom, "ours follows ours"));
    cr_assert(strstr(dom, "partial, caught up"));
    cr_assert(strstr(dom, "no resync, caught up"));
    cr_assert(strstr(dom, "0 findings"));
    free(dom);
}
