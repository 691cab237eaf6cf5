/* See stopped.h. */
#include "bench/lab/faults/stopped.h"

#include <signal.h>

int stopped_begin(struct scene *s, pid_t pid)
{
    s->stopped = pid;
    return kill(pid, SIGSTOP);
}

int stopped_go_on(struct scene *s, char why[256])
{
    (void)why;
    kill(s->stopped, SIGCONT);
    return 0;
}
