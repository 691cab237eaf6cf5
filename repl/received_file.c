/* See received_file.h. Server process: its main thread and the worker that writes. */
#include "repl/received_file.h"

#include "repl/spool_file.h"
#include "server/base/alloc.h"
#include "server/base/discard.h"
#include "server/base/file.h"
#include "server/base/log.h"
#include "server/base/random.h"
#include "server/base/workers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define PREFIX "temp-received-"
#define SUFFIX ".rdb"

static struct received_file *new_file(int fd, bool to_keep)
{
    struct received_file *f = mem_calloc(1, sizeof *f);
    f->fd = fd;
    f->directory = -1;
    write_behind_init(&f->writer, fd, to_keep);
    return f;
}

/* --- names --- */

/* Two servers in one directory may have the same process id, in containers. */
static void make_name(char name[NAME_MAX + 1])
{
    uint64_t number;
    random_from_kernel(&number, sizeof number);
    snprintf(name, NAME_MAX + 1, PREFIX "%d-%llx" SUFFIX, (int)getpid(), (unsigned long long)number);
}

static int open_named(struct received_file *f)
{
    make_name(f->name);
    f->directory = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->directory < 0) return -1;
    f->fd = openat(f->directory, f->name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0644);
    f->writer.fd = f->fd;
    return f->fd < 0 ? -1 : 0;
}

static void remove_name(struct received_file *f)
{
    if (f->directory < 0) return;
    (void)unlinkat(f->directory, f->name, 0);
    close(f->directory);
    f->directory = -1;
}

/* --- life --- */

struct received_file *received_file_open_to_keep(void)
{
    struct received_file *f = new_file(open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0644), true);
    if (f->fd < 0 && open_named(f) != 0) {
        int error = errno;
        if (f->directory >= 0) close(f->directory);
        mem_free(f);
        errno = error;
        return NULL;
    }
    (void)flock(f->fd, LOCK_EX | LOCK_NB); /* for received_file_sweep(); it goes with its last descriptor */
    return f;
}

struct received_file *received_file_open(void)
{
    int fd = spool_file_open();
    return fd >= 0 ? new_file(fd, false) : NULL;
}

void received_file_submit(struct received_file *f, struct worker_job *job)
{
    write_behind_flush(&f->writer);
    workers_submit(WORKER_WRITE, job);
}

void received_file_close(struct received_file *f)
{
    remove_name(f);
    close(f->fd);
    mem_free(f);
}

/* All of it by the worker, its name as well: the disk may have stopped. */
struct discarding {
    struct worker_job job; /* first: the worker hands back this address */
    struct received_file *file;
};

static void discard(struct worker_job *job)
{
    struct discarding *d = (struct discarding *)job;
    (void)!ftruncate(d->file->fd, 0); /* others may have it open: their close then costs them nothing */
    received_file_close(d->file);
    mem_free(d);
}

void received_file_discard(struct received_file *f)
{
    if (!f) return;
    write_behind_drop(&f->writer);
    struct discarding *d = mem_alloc(sizeof *d);
    *d = (struct discarding){.job.run = discard, .file = f};
    workers_submit(WORKER_WRITE, &d->job);
}

/* --- staying --- */

int received_file_make_durable(struct received_file *f)
{
    errno = write_behind_error(&f->writer);
    return errno || fsync(f->fd) != 0 ? -1 : 0;
}

/* A nameless file can be given a name, but not one that is there: hence the rename behind it. */
static int give_temporary_name(struct received_file *f, int directory)
{
    char nameless[64];
    if (f->directory >= 0) return 0;
    make_name(f->name);
    snprintf(nameless, sizeof nameless, "/proc/self/fd/%d", f->fd);
    if (linkat(AT_FDCWD, nameless, directory, f->name, AT_SYMLINK_FOLLOW) != 0) return -1;
    f->directory = dup(directory);
    if (f->directory >= 0) return 0;
    int error = errno;
    (void)unlinkat(directory, f->name, 0);
    errno = error;
    return -1;
}

int received_file_publish(struct received_file *f, int directory, const char *name)
{
    if (give_temporary_name(f, directory) != 0) return -1;
    /* The blocks of the one before are freed by the close below. */
    int before = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    int status = file_rename_at(f->directory, f->name, directory, name), error = errno;
    if (status == 0) {
        close(f->directory);
        f->directory = -1;
        status = fsync(directory);
        error = errno;
    }
    if (before >= 0) close(before);
    errno = error;
    return status;
}

/* --- what the dead leave --- */

static bool is_temporary(const char *name)
{
    size_t len = strlen(name);
    return len > sizeof PREFIX + sizeof SUFFIX && strncmp(name, PREFIX, strlen(PREFIX)) == 0 &&
           strcmp(name + len - strlen(SUFFIX), SUFFIX) == 0;
}

static void remove_unlocked(const char *name)
{
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (fd < 0) return;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 && discard_path(name) == 0)
        log_notice("Removed %s, which an unfinished synchronization had left", name);
    close(fd);
}

void received_file_sweep(void)
{
    DIR *here = opendir(".");
    for (const struct dirent *e; here && (e = readdir(here));)
        if (is_temporary(e->d_name)) remove_unlocked(e->d_name);
    if (here) closedir(here);
}
