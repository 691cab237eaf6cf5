/* Forked children of the server: one at a time, reaped by the loop, killed when nobody needs them. One may do the work
 * of two: whose body leaves a whole RDB behind takes along who waits to save one. */
#ifndef SLIPSTREAM_CORE_DATASET_CHILDREN_H
#define SLIPSTREAM_CORE_DATASET_CHILDREN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct children;
struct core;
struct shm_child;

/* A bit each: a child that does the work of two has both. */
enum child_purpose { CHILD_NONE = 0, CHILD_SAVE = 1, CHILD_FULL_SYNC = 2, CHILD_AOF_REWRITE = 4 };

struct child_job {
    enum child_purpose purpose;
    int (*body)(void *arg); /* in the child: 0, or anything else when it has failed */
    /* In the server, when it is reaped. The signal is SIGUSR1 for who was not needed any more; that is never good. */
    void (*ended)(void *arg, bool good, int signal);
    void *arg;
    bool takes_along; /* its body leaves a file (child_leave_file) that is all the companion needs */
};

/* Who needs no fork of his own, where another's leaves him a file. One per server. */
struct child_companion {
    struct child_job job;      /* its body runs behind the other's, whatever became of that */
    bool (*waits)(void *arg);  /* asked at a fork that would take him along */
    void (*joined)(void *arg); /* he has been taken along: children_pid() is his child's */
};

struct children *children_new(struct core *core);
/* Forks; 0, or -1 with errno (EBUSY: another is running, or a script is). The child has: no loop, no sockets, a raised
 * oom_score_adj, its process title, role 'C' in the log, SIGUSR1 as "you are not needed" (silent exit),
 * and dies with its server. */
int children_start(struct children *c, const struct child_job *job);
void children_set_companion(struct children *c, const struct child_companion *companion);
/* A fork that is about to come goes before others' and takes along who waits: cron leaves it the way. */
void children_expect(struct children *c, bool coming);
bool children_are_expected(const struct children *c);
enum child_purpose children_running(const struct children *c); /* one of them, or two together */
pid_t children_pid(const struct children *c);
int64_t children_started_ms(const struct children *c); /* monotonic */
/* So much of its work is not needed any more. With nothing left to do it is killed by SIGUSR1; `ended` follows with
 * that signal in either case. */
void children_dismiss(struct children *c, enum child_purpose purposes);
void children_end(struct children *c);   /* kills and waits until it is gone and `ended` was called: at shutdown */
void children_await(struct children *c); /* the same without killing it */
void children_reap(struct children *c);  /* its end may have come: seen through its pidfd, else by cron */

/* In the child, for a companion: the RDB that has been written is whole. fd, open for reading too,
 * stays the caller's. */
void child_leave_file(struct children *c, int fd);
int child_left_file(const struct children *c); /* -1: there is none */

/* What a child has written takes the place of what was there only once, and only if the server still wants it: whoever
 * of the two says so first is right. */
bool child_may_publish(struct children *c); /* in the child: from now on it cannot be withdrawn */
bool children_withdraw(struct children *c); /* in the server; false: too late, it is publishing or has done so */

/* The page that the child shares with the server (INFO current_save_keys_processed, current_cow_size). */
const struct shm_child *children_progress(const struct children *c);
void child_report_keys(struct children *c, uint64_t keys_done); /* in the child */
/* Of the last child that wrote an RDB, for a file or for replicas. */
uint64_t children_last_rdb_cow_bytes(const struct children *c);
uint64_t children_last_aof_cow_bytes(const struct children *c); /* of the last one that rewrote the append-only file */
int64_t children_last_rdb_s(const struct children *c);          /* how long it took; -1: there was none */

#endif
