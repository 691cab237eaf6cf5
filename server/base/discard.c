/* Letting go of files without waiting for them: by a worker where there is one, else here. Any process. */
#include "server/base/discard.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "server/base/alloc.h"
#include "server/base/workers.h"

struct discard_job {
    struct worker_job job; /* first: the worker hands back this address */
    int fd;
    bool empty;
};

/* What cannot be emptied is freed by the last close, wherever that is. */
static void let_go(int fd, bool empty)
{
    if (empty) (void)!ftruncate(fd, 0);
    close(fd);
}

static void run(struct worker_job *job)
{
    struct discard_job *j = (struct discard_job *)job;
    let_go(j->fd, j->empty);
    mem_free(j);
}

static void let_go_aside(int fd, bool empty)
{
    if (!workers_are_there()) {
        let_go(fd, empty);
        return;
    }
    struct discard_job *j = mem_alloc(sizeof *j);
    *j = (struct discard_job){.job.run = run, .fd = fd, .empty = empty};
    workers_submit(WORKER_CLOSE, &j->job);
}

void discard_file(int fd)
{
    let_go_aside(fd, true);
}

/* A descriptor of ours keeps the blocks until the worker lets go of it. The file may have another name, and its content
 * then a use. */
int discard_path(const char *path)
{
    int fd = workers_are_there() ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW) : -1;
    int result = unlink(path), error = errno;
    if (fd >= 0) let_go_aside(fd, false);
    errno = error;
    return result;
}
