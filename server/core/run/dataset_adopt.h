/* What a killed server left of its stream, applied to the dataset that was loaded. */
#ifndef SLIPSTREAM_CORE_RUN_DATASET_ADOPT_H
#define SLIPSTREAM_CORE_RUN_DATASET_ADOPT_H

#include "rdb/writer.h"

struct core;

enum dataset_adoption {
    DATASET_ADOPTED,     /* the history goes on */
    DATASET_NOT_ADOPTED, /* there is nothing, or it does not lead on from here, which is logged */
    DATASET_SPOILED,     /* logged: half of it was applied, and the server must not start */
};

/* At the start, before anybody restores a history. `file` says what the dataset is of; NULL: nothing was loaded. */
enum dataset_adoption dataset_adopt(struct core *core, const struct rdb_aux *file);

#endif
