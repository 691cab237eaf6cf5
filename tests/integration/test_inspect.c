/* `redis-server --inspect-backlog`: a running and a killed server's backlog, seen from outside. */
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(inspect, .fini = server_finish_all, .timeout = 120);

/* NULL: all backlogs. The output is freed by the caller. */
static struct process_result inspect(const char *which)
{
    const char *const argv[] = {server_program(OURS, "redis-server"), "--inspect-backlog", which, NULL};
    return process_run(argv, NULL);
}

static struct process_result inspect_port(const struct server *s)
{
    char port[16];
    snprintf(port, sizeof(port), "%d", s->port);
    return inspect(port);
}

static bool port_shows(const struct server *s, const char *text)
{
    struct process_result r = inspect_port(s);
    bool found = r.exit_code == 0 && strstr(r.output, text);
    free(r.output);
    return found;
}

/* The first line's name, without its slash. */
static void name_of(const struct server *s, char out[128])
{
    struct process_result r = inspect_port(s);
    cr_assert_eq(r.exit_code, 0, "%s", r.output);
    cr_assert_eq(sscanf(r.output, "Backlog /%127s", out), 1, "%s", r.output);
    free(r.output);
}

static void expect_refused(const char *which, const char *why)
{
    struct process_result r = inspect(which);
    cr_expect_eq(r.exit_code, 1);
    cr_expect(strstr(r.output, why), "%s", r.output);
    free(r.output);
}

Test(inspect, a_running_servers_backlog)
{
    char name[128], id[64];
    struct server *master = server_start(OURS, "adopt-backlog no"), *replica = server_start(OURS, "%s", "");
    struct process_result none = inspect_port(master);
    cr_assert_eq(none.exit_code, 1);
    cr_assert(strstr(none.output, "no backlog is found"), "%s", none.output);
    free(none.output);
    follow(replica, master);
    expect_ok(master, "SET k v");
    wait_in_step(replica, master);
    snprintf(id, sizeof(id), "%s", info_text(master, "replication", "master_replid"));
    cr_assert(port_shows(master, id));
    cr_assert(port_shows(master, "running"));
    cr_assert(port_shows(master, "online"));
    wait_until(port_shows(master, "the slowest is slot 0, 0 bytes behind"));
    name_of(master, name);
    struct process_result by_name = inspect(name);
    cr_assert_eq(by_name.exit_code, 0);
    cr_assert(strstr(by_name.output, id), "%s", by_name.output);
    free(by_name.output);
    struct process_result all = inspect(NULL); /* others' are shown too, and some may be of another version */
    cr_assert(strstr(all.output, name), "%s", all.output);
    free(all.output);
    expect_ok(master, "SET k w");
    wait_in_step(replica, master);
}

Test(inspect, a_killed_servers_backlog)
{
    char name[128], ring[160], id[64];
    struct server *master = server_start(OURS, "%s", ""), *replica = server_start(OURS, "%s", "");
    follow(replica, master);
    wait_in_step(replica, master);
    snprintf(id, sizeof(id), "%s", info_text(master, "replication", "master_replid"));
    name_of(master, name);
    server_kill(master);
    cr_assert(port_shows(master, id));
    cr_assert(port_shows(master, "has ended"));
    cr_assert(port_shows(master, "Readers: 1")); /* the link lets it go at its own end, a moment later */
    snprintf(ring, sizeof(ring), "%s.1", name);
    expect_refused(ring, "not a backlog");
    expect_refused("no-such-backlog", "No such file");
    server_kill(replica);   /* else it comes again, and the master makes another one */
    server_restart(master); /* which goes on with it */
    cr_assert(port_shows(master, id));
    cr_assert(port_shows(master, "running"));
    server_kill(master);
    server_add_config(master, "adopt-backlog no");
    server_restart(master);
    expect_refused(name, "No such file");
}
