/* What faults that stop a process share: SIGSTOP, and letting it go on. */
#ifndef LAB_STOPPED_H
#define LAB_STOPPED_H

#include "bench/lab/scene.h"

int stopped_begin(struct scene *s, pid_t pid); /* 0 or -1 */
/* A fault's `heal`. One that is gone meanwhile, because its master did without it, is not missed. */
int stopped_go_on(struct scene *s, char why[256]);

#endif
