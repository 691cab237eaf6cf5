/* What faults of the child that makes a replica's snapshot share: bringing one about. */
#ifndef LAB_SNAPSHOT_CHILD_H
#define LAB_SNAPSHOT_CHILD_H

#include "bench/lab/scene.h"

/* The replica comes back with nothing, and the child that makes its snapshot has just begun and will take its time.
 * 0, FAULT_NOT_HERE or -1, as a fault's step. */
int snapshot_child_begin(struct scene *s, pid_t *child, char why[256]);

#endif
