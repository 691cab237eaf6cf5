/* The lock on the append-only files of one name in a directory. Server process. */
#include "server/aof/journal_lock.h"

#include "server/base/crc64.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

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
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return -1;
    if (fcntl(fd, F_OFD_SETLK, &lock) != 0) {
        errno = ENOLCK;
        return close_with_error(fd);
    }
    return ask(fd, name) == 0 ? fd : close_with_error(fd);
}
