/* Steering a master's backlog to the byte, for the faults that meet or miss its edge. */
#ifndef LAB_FAULTS_BACKLOG_EDGE_H
#define LAB_FAULTS_BACKLOG_EDGE_H

#include "bench/lab/faults/faults.h"

/* Cuts, and writes until the backlog's first byte is `missing` bytes behind the one that the replica needs next. */
int backlog_edge_reach(struct scene *s, int missing, char why[256]);

#endif
