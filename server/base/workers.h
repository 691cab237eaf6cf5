/* Background threads for what may block: writes to files, fsync, close of a large file, freeing of large values,
 * getaddrinfo.
 *
 * A job's `run` is called on a worker thread; if `done` is set, it is called later on the loop's thread from
 * workers_collect(), which the loop's owner calls when the event descriptor is readable. One queue a kind, so that a
 * slow name look-up never delays an fsync; the jobs of a queue run one after another, in its order. Threads start with
 * the first job of their kind and are gone in a forked child. */
#ifndef SLIPSTREAM_BASE_WORKERS_H
#define SLIPSTREAM_BASE_WORKERS_H

#include <stdbool.h>
#include <stddef.h>

enum worker_kind { WORKER_FSYNC, WORKER_FREE, WORKER_RESOLVE, WORKER_CLOSE, WORKER_WRITE, WORKER_KINDS };

struct worker_job {
    struct worker_job *next; /* the queue's */
    void (*run)(struct worker_job *job);
    void (*done)(struct worker_job *job); /* may be NULL: then `run` owns and frees the job */
};

int workers_start(void);      /* prepares the queues; returns the event descriptor (eventfd), or -1 with errno */
bool workers_are_there(void); /* this process has started them; a forked child has not */
void workers_submit(enum worker_kind kind, struct worker_job *job);
void workers_collect(void); /* on the loop's thread */
size_t workers_pending(enum worker_kind kind);
void workers_drain(enum worker_kind kind); /* waits until the queue is empty: shutdown and tests */

#endif
