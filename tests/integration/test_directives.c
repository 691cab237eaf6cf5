/* Directives whose effect shows in the system alone. */
#include "tests/harness/client.h"
#include "tests/harness/raw.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
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

Test(directives, socket_mark_id)
{
    struct server *plain = server_start(OURS, "%s", ""), *marked = server_start(OURS, "socket-mark-id 4711");
    if (mark_of_listeners(plain) < 0) cr_skip_test("this user may not look into another process");
    cr_expect_eq(mark_of_listeners(plain), 0);
    if (server_log_has(marked, 0, "Unable to mark")) cr_skip_test("this user may not mark a socket");
    cr_expect_eq(mark_of_listeners(marked), 4711);
}
