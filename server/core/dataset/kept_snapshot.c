/* See kept_snapshot.h. Server process: its main thread, and the worker that may wait for the disk. */
#include "server/core/dataset/kept_snapshot.h"

#include "server/base/alloc.h"
#include "server/base/discard.h"
#include "server/base/file.h"
#include "server/base/log.h"
#include "server/base/workers.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
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
    int fd;
    char path[PATH_MAX], temporary[PATH_MAX];
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

/* A name can be given, but not one that is there: hence a rename behind it. */
static int give_name(struct kept_snapshot *k)
{
    char nameless[64];
    snprintf(nameless, sizeof nameless, "/proc/self/fd/%d", k->fd);
    (void)unlink(k->temporary); /* of one that was killed here */
    if (linkat(AT_FDCWD, nameless, AT_FDCWD, k->temporary, AT_SYMLINK_FOLLOW) != 0) return -1;
    int before =
        open(k->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW); /* its blocks are freed by the close below */
    int status = rename(k->temporary, k->path), error = errno;
    if (status != 0) (void)unlink(k->temporary);
    if (status == 0 && file_fsync_parent(k->path) != 0) status = -1, error = errno;
    if (before >= 0) close(before);
    errno = error;
    return status;
}

static void run(struct worker_job *job)
{
    struct kept_snapshot *k = (struct kept_snapshot *)job;
    bool durable = fsync(k->fd) == 0;
    if (!durable || (leave_waiting(k, NAMING) && give_name(k) != 0))
        log_warning("The snapshot from our master does not become %s: %s", k->path, strerror(errno));
    close(k->fd);
    let_go(k);
}

struct kept_snapshot *kept_snapshot_begin(int fd, const char *path)
{
    struct kept_snapshot *k = mem_calloc(1, sizeof *k);
    const char *slash = strrchr(path, '/');
    int directory_len = slash ? (int)(slash - path) + 1 : 0;
    k->fd = fd;
    int path_len = snprintf(k->path, sizeof k->path, "%s", path),
        temporary_len =
            snprintf(k->temporary, sizeof k->temporary, "%.*stemp-received-%d.rdb", directory_len, path, (int)getpid());
    if (path_len >= PATH_MAX || temporary_len >= PATH_MAX) {
        log_warning("The snapshot from our master does not become %s: %s", path, strerror(ENAMETOOLONG));
        discard_file(fd);
        mem_free(k);
        return NULL;
    }
    k->job.run = run;
    atomic_store(&k->owners, 2);
    workers_submit(WORKER_FSYNC, &k->job);
    return k;
}

void kept_snapshot_await(const struct kept_snapshot *k)
{
    if (k && atomic_load(&k->owners) == 2) workers_drain(WORKER_FSYNC);
}

void kept_snapshot_withdraw(struct kept_snapshot *k)
{
    if (!k) return;
    if (!leave_waiting(k, WITHDRAWN)) kept_snapshot_await(k);
    let_go(k);
}
