/* The lock on the append-only files of one name in a directory. Server process. */
#include "server/aof/journal_lock.h"

#include "server/base/clock.h"
#include "server/base/crc64.h"
#include "server/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOOK_EVERY_MS 20
#define TELL_AFTER_MS 200

/* The byte of the directory that stands for the name: one of so many that two names do not meet. */
static struct flock lock_of(const char *name, short type)
{
    uint64_t byte = crc64(0, name, strlen(name)) >> 2;
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)byte, .l_len = 1};
}

/* 0; -1 with errno, EWOULDBLOCK: another description holds the name. Whoever could be given the lock for writing holds
 * it alone, and to ask that a descriptor need not be open for writing. */
static int ask(int fd, const char *name)
{
    struct flock lock = lock_of(name, F_WRLCK);
    if (fcntl(fd, F_OFD_GETLK, &lock) != 0) {
        errno = ENOLCK;
        return -1;
    }
    if (lock.l_type == F_UNLCK) return 0;
    errno = EWOULDBLOCK;
    return -1;
}

static int open_directory(const char *directory)
{
    return open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int close_with_error(int fd)
{
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

/* Of two who take it at once either sees the other one, and both may go without. */
int journal_lock_take(const char *directory, const char *name)
{
    struct flock lock = lock_of(name, F_RDLCK);
    int fd = open_directory(directory);
    if (fd < 0) return -1;
    if (fcntl(fd, F_OFD_SETLK, &lock) != 0) {
        errno = ENOLCK;
        return close_with_error(fd);
    }
    return ask(fd, name) == 0 ? fd : close_with_error(fd);
}

int journal_lock_ask(const char *directory, const char *name)
{
    int fd = open_directory(directory);
    if (fd < 0) return -1;
    if (ask(fd, name) != 0) return close_with_error(fd);
    close(fd);
    return 0;
}

int journal_lock_wait(const char *directory, const char *name, int64_t timeout_ms)
{
    int64_t began_ms = clock_monotonic_ms();
    bool told = false;
    for (;;) {
        int result = journal_lock_ask(directory, name);
        int64_t waited_ms = clock_monotonic_ms() - began_ms;
        if (result == 0 || errno == ENOENT || errno == ENOTDIR || errno == ENOLCK) {
            if (told) log_notice("The journal of the server before us has ended, after %lld ms", (long long)waited_ms);
            return 0;
        }
        if (errno != EWOULDBLOCK) return -1;
        if (waited_ms >= timeout_ms) break;
        if (!told && waited_ms >= TELL_AFTER_MS) {
            log_notice("Waiting for the journal of the server before us: it still writes %s in %s", name, directory);
            told = true;
        }
        nanosleep(&(struct timespec){.tv_nsec = LOOK_EVERY_MS * 1000 * 1000}, NULL);
    }
    errno = ETIMEDOUT;
    return -1;
}
