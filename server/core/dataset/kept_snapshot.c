/* See kept_snapshot.h. Server process: its main thread, and the worker that may wait for the disk. */
#include "server/core/dataset/kept_snapshot.h"

#include "server/base/alloc.h"
#include "server/base/log.h"
#include "server/base/workers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Only the worker leaves WAITING for NAMING, only the main thread for WITHDRAWN. */
enum state { WAITING, NAMING, WITHDRAWN };

struct kept_snapshot {
    struct worker_job job; /* first: the worker hands back this address */
    _Atomic int state;
    _Atomic int owners; /* main thread and worker: the last one frees it */
    struct received_file *file;
    int directory; /* the working directory may be another one when the worker comes to it */
    char name[NAME_MAX + 1];
};

static void let_go(struct kept_snapshot *k)
{
    if (atomic_fetch_sub(&k->owners, 1) == 1) mem_free(k);
}

static bool leave_waiting(struct kept_snapshot *k, enum state to)
{
    int waiting = WAITING;
    return atomic_compare_exchange_strong(&k->state, &waiting, to);
}

static void log_failure(const char *name, int error)
{
    log_warning("The snapshot from our master does not become %s: %s", name, strerror(error));
}

static void run(struct worker_job *job)
{
    struct kept_snapshot *k = (struct kept_snapshot *)job;
    bool wanted = atomic_load(&k->state) == WAITING, durable = wanted && received_file_make_durable(k->file) == 0;
    if ((wanted && !durable) ||
        (durable && leave_waiting(k, NAMING) && received_file_publish(k->file, k->directory, k->name) != 0))
        log_failure(k->name, errno);
    received_file_close(k->file);
    close(k->directory);
    let_go(k);
}

struct kept_snapshot *kept_snapshot_begin(struct received_file *file, const char *name)
{
    int directory = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0 || strlen(name) > NAME_MAX) {
        log_failure(name, directory < 0 ? errno : ENAMETOOLONG);
        if (directory >= 0) close(directory);
        received_file_discard(file);
        return NULL;
    }
    struct kept_snapshot *k = mem_calloc(1, sizeof *k);
    snprintf(k->name, sizeof k->name, "%s", name);
    k->file = file;
    k->directory = directory;
    k->job.run = run;
    atomic_store(&k->owners, 2);
    received_file_submit(file, &k->job);
    return k;
}

void kept_snapshot_await(const struct kept_snapshot *k)
{
    if (k && atomic_load(&k->owners) == 2) workers_drain(WORKER_WRITE);
}

void kept_snapshot_withdraw(struct kept_snapshot *k)
{
    if (!k) return;
    if (!leave_waiting(k, WITHDRAWN)) kept_snapshot_await(k);
    let_go(k);
}
