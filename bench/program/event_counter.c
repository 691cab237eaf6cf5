/* See event_counter.h. User space alone: that is allowed to everybody for his own processes (perf_event_paranoid 2),
 * and what the kernel does for a request varies with much that is none of the server's. */
#include "bench/program/event_counter.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

int event_counter_open(struct event_counter *c, pid_t pid, uint32_t type, uint64_t config)
{
    struct perf_event_attr event = {
        .type = type, .size = sizeof event, .config = config, .inherit = 1, .exclude_kernel = 1, .exclude_hv = 1};
    struct threads threads;
    threads_read(&threads, pid);
    c->count = 0;
    for (int i = 0; i < threads.count; i++) {
        if (!threads.list[i].tid) continue; /* children that have ended */
        int fd = (int)syscall(SYS_perf_event_open, &event, threads.list[i].tid, -1, -1, PERF_FLAG_FD_CLOEXEC);
        if (fd >= 0) {
            c->descriptors[c->count++] = fd;
        } else if (errno != ESRCH) { /* a thread may end at any moment */
            int error = errno;
            event_counter_close(c);
            errno = error;
            return -1;
        }
    }
    return 0;
}

uint64_t event_counter_read(const struct event_counter *c)
{
    uint64_t sum = 0, one;
    for (int i = 0; i < c->count; i++)
        if (read(c->descriptors[i], &one, sizeof one) == sizeof one) sum += one;
    return sum;
}

void event_counter_close(struct event_counter *c)
{
    while (c->count) close(c->descriptors[--c->count]);
}
