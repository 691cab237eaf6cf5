/* appendfsync always, where clients share an fsync: nobody is left behind when those whom it was for have gone. */
#include "tests/harness/client.h"
#include "tests/harness/raw.h"
#include "tests/harness/wait.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

TestSuite(shared_fsync, .fini = server_finish_all, .timeout = 90);

#define LONG_MS    300 /* an fsync: those who are answered come back long before half of it is over */
#define BYSTANDERS 6

struct group {
    struct server *server;
    pid_t journal;
    int a, b;   /* two clients */
    int killer; /* is told nothing at first, and so waits for nothing */
    int bystanders[BYSTANDERS], killed;
};

static int connect_to(struct server *s)
{
    int fd = raw_connect(s);
    raw_send_text(fd, "PING\r\n");
    raw_expect(fd, "+PONG\r\n");
    return fd;
}

/* Between other commands of that sender, of the same turn. */
static void kill_client(int sender, const char *before, int fd, const char *behind)
{
    struct sockaddr_in address = {.sin_port = 0};
    socklen_t len = sizeof address;
    char text[160];
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    snprintf(text, sizeof text, "%sCLIENT KILL ADDR 127.0.0.1:%d\r\n%s", before, ntohs(address.sin_port), behind);
    raw_send_text(sender, text);
}

/* A command whose answer waits: that it has been run is seen by a bystander's end, which the same client sends behind
 * it. With I/O threads, what others send may be run before it. */
static void send_command(struct group *g, int sender, const char *command)
{
    char before[64];
    snprintf(before, sizeof before, "%sCLIENT REPLY SKIP\r\n", command);
    kill_client(sender, before, g->bystanders[g->killed++], "");
}

static void wait_until_run(const struct group *g)
{
    for (int i = 0; i < g->killed; i++) wait_until(raw_is_closed(g->bystanders[i]));
}

static void wait_ms(int ms)
{
    int64_t began_ms = clock_ms();
    wait_until(clock_ms() >= began_ms + ms);
}

static void write_together(struct group *g, int lasts_ms)
{
    kill(g->journal, SIGSTOP);
    send_command(g, g->a, "INCR a\r\n");
    send_command(g, g->b, "INCR b\r\n");
    wait_until_run(g);
    wait_ms(lasts_ms);
    kill(g->journal, SIGCONT);
    raw_skip_past(g->a, "\r\n");
    raw_skip_past(g->b, "\r\n");
}

/* Two clients that are worth waiting for, as the server has seen. */
static struct group begin(void)
{
    struct group g = {.server = server_start(OURS, "appendonly yes\nappendfsync always")};
    g.journal = server_wait_journal(g.server);
    g.a = connect_to(g.server);
    g.b = connect_to(g.server);
    g.killer = connect_to(g.server);
    for (int i = 0; i < BYSTANDERS; i++) g.bystanders[i] = connect_to(g.server);
    raw_send_text(g.killer, "CLIENT REPLY OFF\r\n");
    write_together(&g, LONG_MS);
    write_together(&g, LONG_MS);
    return g;
}

/* The journal is called for one; when its fsync is through he has gone, and somebody else has come. */
static void expect_that_who_comes_later_is_answered(void)
{
    struct group g = begin();
    kill(g.journal, SIGSTOP);
    send_command(&g, g.a, "INCR a\r\n");
    wait_until_run(&g);
    send_command(&g, g.killer, "");
    wait_until_run(&g); /* a turn has ended behind it */
    kill_client(g.killer, "DEBUG SLEEP 0.5\r\n", g.a, "CLIENT REPLY ON\r\nINCR b\r\n");
    wait_ms(50);
    kill(g.journal, SIGCONT);
    raw_expect(g.killer, "+OK\r\n:3\r\n");
    wait_until(raw_is_closed(g.a));
    expect_string(g.server, "3", "GET a");
    close(g.a);
    close(g.b);
    close(g.killer);
    for (int i = 0; i < BYSTANDERS; i++) close(g.bystanders[i]);
}

Test(shared_fsync, who_comes_later_is_answered_though_the_first_has_gone)
{
    expect_that_who_comes_later_is_answered();
}

Test(shared_fsync, also_of_connections_that_io_threads_serve)
{
    setenv("SLIPSTREAM_IO_THREADS", "3:always", 1);
    expect_that_who_comes_later_is_answered();
}
