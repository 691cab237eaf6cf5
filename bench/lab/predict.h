/* What a master should answer to a replica that comes back: from what both say of themselves, by the same pure function
 * that our server decides with. Pure. */
#ifndef LAB_PREDICT_H
#define LAB_PREDICT_H

#include "bench/lab/faults/faults.h"

struct prediction {
    enum granted granted; /* GRANTED_NOTHING: the connection outlives the fault, nothing is asked */
    char why[512];
};

/* `master` and `replica` are their INFO replication, after the fault and before it is healed; NULL: it did not answer,
 * which only a fault that leaves the connection alone may do. */
void predict(const struct fault *fault, int length_ms, int timeout_s, const char *master, const char *replica,
             struct prediction *out);

#endif
