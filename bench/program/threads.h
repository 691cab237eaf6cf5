/* Where a server's CPU time goes: by process and by thread, from /proc. */
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
/* What each used since `before`; threads of one name are one. Who has ended meanwhile is not seen. */
void threads_since(struct threads *now, const struct threads *before);

#endif
