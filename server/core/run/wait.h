/* WAIT and WAITAOF: a session sleeps until what it wrote has reached enough replicas, or enough disks. */
#ifndef SLIPSTREAM_CORE_RUN_WAIT_H
#define SLIPSTREAM_CORE_RUN_WAIT_H

#include "server/core/run/call.h"

#define WAITAOF_WITHOUT_FILE "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled."

struct wait_goal {
    int64_t replicas;  /* that have acknowledged it, or (disks) have it in their append-only file */
    bool disks, local; /* WAITAOF; local: our own append-only file has it as well */
};

/* Answers at once when the goal is reached already, or inside EXEC; else blocks. timeout_ms 0: for ever. */
void wait_start(struct call *call, const struct wait_goal *goal, int64_t timeout_ms);
bool wait_check_all(struct core *core);  /* acknowledgements have moved; true: some wait on */
void wait_check_disk(struct core *core); /* our own disk has more, or there is no append-only file any more */

#endif
