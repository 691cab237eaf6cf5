/* Starting processes under controlled conditions, and asking /proc about them. */
#ifndef HARNESS_PROCESS_H
#define HARNESS_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct process_options {
    const char *const *argv; /* NULL-terminated; argv[0] is the path */
    const char *dir;         /* working directory; NULL: ours */
    const char *log;         /* standard output and error are appended here; NULL: ours */
    const char *input;       /* text on standard input; NULL: /dev/null */
    int cpu;              /* number of the only processor it may use, plus one; 0: any that this program began with */
    uint64_t descriptors; /* RLIMIT_NOFILE; 0: as ours */
    uint64_t shm_bytes;   /* gives it a /dev/shm of its own, of this size; 0: as ours */
    bool signals_ignored; /* it starts with every signal ignored and blocked */
};

/* The calling thread, and threads that it starts, from now on; what is spawned is not bound by it. -1: it may not. */
int process_pin_self(int cpu); /* number of the processor, plus one */

/* The child dies with the thread that called this. -1 with errno only if fork failed. */
pid_t process_spawn(const struct process_options *options);
/* Whether a private /dev/shm can be had (it needs the right to make a mount namespace). */
bool process_can_have_own_shm(void);
/* Waits for a child of ours. Its wait status, or -1 after bound_ms. */
int process_wait(pid_t pid, int bound_ms);

/* Runs a program to its end. `output` (standard output and error, terminated) is freed by the caller. */
struct process_result {
    int exit_code; /* -1: ended by a signal, or did not end within 30 s and was killed */
    char *output;
};
struct process_result process_run(const char *const *argv, const char *input);
struct process_result process_run_within(const char *const *argv, const char *input, int bound_ms); /* not 30 s */

bool process_alive(pid_t pid);      /* a zombie is not */
bool process_is_stopped(pid_t pid); /* by SIGSTOP */
/* Direct children; how many were found, at most room are written. */
int process_children(pid_t pid, pid_t *out, int room);
/* The command line, arguments separated by spaces; "" when there is none. */
void process_command_line(pid_t pid, char *out, size_t size);
/* A direct child whose command line has the word as one argument, or has none of these (NULL ends them). 0: none. */
pid_t process_child_with(pid_t pid, const char *word);
pid_t process_child_without(pid_t pid, const char *const *words);

/* User and system time so far; `tree` includes its living descendants. */
int64_t process_cpu_us(pid_t pid);
int64_t process_tree_cpu_us(pid_t pid);
uint64_t process_rss_bytes(pid_t pid);
uint64_t process_tree_pss_bytes(pid_t pid); /* shared pages counted once */

/* Kills every process whose working directory is dir or below: daemons and children that lost their parent. */
void process_kill_all_in(const char *dir);

#endif
