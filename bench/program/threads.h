/* Where a server's CPU time goes: by process and by thread, and to children that have ended, from /proc. */
#ifndef PROGRAM_THREADS_H
#define PROGRAM_THREADS_H

#include <stdint.h>
#include <sys/types.h>

#define THREADS_MAX 128

struct thread_cpu {
    pid_t pid, tid;
    char name[40]; /* PROCESS/THREAD, as they call themselves */
    int64_t cpu_us;
};

struct threads {
    struct thread_cpu list[THREADS_MAX];
    int count;
};

/* Of a process and its living descendants. The clock ticks a hundred times a second. */
void threads_read(struct threads *t, pid_t pid);
/* What each used since `before`; threads of one name are one. Who has ended meanwhile is not seen; children that ended
 * are one more, PROCESS/ended. */
void threads_since(struct threads *now, const struct threads *before);

/* User and system time of children that have ended and been waited for: snapshots, rewrites. */
int64_t process_ended_children_cpu_us(pid_t pid);

#endif
