/* Forked children of the server: one at a time, reaped by the loop, killed when nobody needs them. */
#ifndef SLIPSTREAM_CORE_DATASET_CHILDREN_H
#define SLIPSTREAM_CORE_DATASET_CHILDREN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct children;
struct core;
struct shm_child;

enum child_purpose { CHILD_NONE, CHILD_SAVE, CHILD_FULL_SYNC, CHILD_AOF_REWRITE };

struct child_job {
    enum child_purpose purpose;
    int (*body)(void *arg);                          /* in the child; its value is the exit code (0 good) */
    void (*ended)(void *arg, bool good, int signal); /* in the server, when reaped */
    void *arg;
};

struct children *children_new(struct core *core);
/* Forks; 0, or -1 with errno (EBUSY: another is running, or a script is). The child has: no loop, no sockets, a raised oom_score_adj,
 * its process title, role 'C' in the log, SIGUSR1 as "you are not needed" (silent exit), and dies with its server. */
int children_start(struct children *c, const struct child_job *job);
enum child_purpose children_running(const struct children *c);
pid_t children_pid(const struct children *c);
int64_t children_started_ms(const struct children *c); /* monotonic */
void children_kill(struct children *c);                /* SIGUSR1; `ended` follows with signal SIGUSR1 */
void children_end(struct children *c);  /* kills and waits until it is gone and `ended` was called: at shutdown */
void children_reap(struct children *c); /* its end may have come: seen through its pidfd, else by cron */

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
