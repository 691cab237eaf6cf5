/* How readily the kernel kills this process when memory runs out: oom-score-adj. */
#ifndef SLIPSTREAM_CORE_OS_OOM_SCORE_H
#define SLIPSTREAM_CORE_OS_OOM_SCORE_H

struct core;

enum oom_score_mode { OOM_SCORE_NO, OOM_SCORE_YES, OOM_SCORE_RELATIVE, OOM_SCORE_ABSOLUTE };
/* What a process is; the order of oom-score-adj-values. */
enum oom_score_class { OOM_SCORE_MASTER, OOM_SCORE_REPLICA, OOM_SCORE_CHILD, OOM_SCORE_CLASSES };

/* Puts this process's score where the settings and its role want it. 0, or -1 with errno: the kernel refuses. */
int oom_score_apply(const struct core *core);
/* In a child: it is to die before its server does, also where oom-score-adj is not used. Best effort. */
void oom_score_apply_in_child(const struct core *core);

#endif
