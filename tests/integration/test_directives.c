/* Directives whose effect shows in the system alone. */
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

TestSuite(directives, .fini = server_finish_all, .timeout = 120);

/* The mark of a server's listening sockets, looked at through copies of them; -1: there is none to be seen. */
static int mark_of_listeners(const struct server *s)
{
    int server = (int)syscall(SYS_pidfd_open, s->pid, 0), mark = -1;
    for (int fd = 3; fd < 64; fd++) {
        int copy = (int)syscall(SYS_pidfd_getfd, server, fd, 0), listens = 0, found;
        socklen_t len = sizeof(int);
        if (copy < 0) continue;
        if (getsockopt(copy, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0 && listens &&
            getsockopt(copy, SOL_SOCKET, SO_MARK, &found, &len) == 0)
            mark = found;
        close(copy);
    }
    close(server);
    return mark;
}

Test(directives, the_event_loop_can_be_set_to_what_it_is)
{
    struct server *s = server_start(OURS, "event-loop auto");
    expect_ok(s, "CONFIG SET event-loop auto");
    expect_error(s, "ERR CONFIG SET failed (possibly related to argument 'event-loop') - can't set immutable config",
                 "CONFIG SET event-loop epoll");
    expect_ok(s, "CONFIG SET event-loop auto");
}

Test(directives, socket_mark_id)
{
    struct server *plain = server_start(OURS, "%s", ""), *marked = server_start(OURS, "socket-mark-id 4711");
    if (mark_of_listeners(plain) < 0) cr_skip_test("this user may not look into another process");
    cr_expect_eq(mark_of_listeners(plain), 0);
    if (server_log_has(marked, 0, "Unable to mark")) cr_skip_test("this user may not mark a socket");
    cr_expect_eq(mark_of_listeners(marked), 4711);
}

/* Where a thread may run, as the kernel prints it: "0-3". */
static const char *allowed(pid_t pid, long thread)
{
    static char list[256];
    char path[64], line[512];
    list[0] = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%ld/status", (int)pid, thread);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "Cpus_allowed_list: %255s", list) == 1) break;
    if (f) fclose(f);
    return list;
}

/* A thread other than the first; 0: there is none. */
static long other_thread(pid_t pid)
{
    char path[64];
    long found = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    for (struct dirent *e; tasks && (e = readdir(tasks));)
        if (atol(e->d_name) > 0 && atol(e->d_name) != pid) found = atol(e->d_name);
    if (tasks) closedir(tasks);
    return found;
}

/* A large value that is unlinked is freed by a worker thread. */
static void start_a_worker(struct server *s)
{
    for (int i = 0; i < 20; i++) freeReplyObject(command(s, "SETRANGE large:%d 4000000 x", i));
    for (int i = 0; i < 20; i++) expect_integer(s, 1, "UNLINK large:%d", i);
    wait_until(other_thread(s->pid) != 0);
}

Test(directives, processors)
{
    char here[256];
    snprintf(here, sizeof here, "%s", allowed(getpid(), getpid()));
    if (strcmp(here, "0") == 0 || strncmp(here, "0", 1) != 0) cr_skip_test("this takes processor 0 and another");
    struct server *s = server_start(OURS, "server_cpulist 0\nbgsave_cpulist %s\nrdb-key-save-delay 1000000", here);
    struct server *replica = server_start(OURS, "%s", "");
    cr_expect_str_eq(allowed(s->pid, s->pid), "0");
    start_a_worker(s);
    wait_until(strcmp(allowed(s->pid, other_thread(s->pid)), here) == 0);
    fill(s, "key:", 100, 10);
    expect_status(s, "Background saving started", "BGSAVE");
    pid_t child;
    wait_until((child = server_snapshot_pid(s)) != 0);
    wait_until(strcmp(allowed(child, child), here) == 0);
    expect_ok(s, "CONFIG SET rdb-key-save-delay 0");
    kill(child, SIGKILL);
    follow(replica, s);
    wait_in_step(replica, s);
    pid_t link = server_link_pid(s);
    cr_expect_str_eq(allowed(link, link), here);
}

Test(directives, processors_that_make_no_sense)
{
    struct server *s = server_start(OURS, "server_cpulist 0-\nbio_cpulist 1,,2\nbgsave_cpulist x");
    cr_expect(server_log_has(s, 0, "server_cpulist is no list of processors: 0-"));
    cr_expect(server_log_has(s, 0, "bio_cpulist is no list of processors: 1,,2"));
    cr_expect(server_log_has(s, 0, "bgsave_cpulist is no list of processors: x"));
    struct server *nowhere = server_start(OURS, "server_cpulist 1023");
    cr_expect(server_log_has(nowhere, 0, "server_cpulist has no effect"));
}
