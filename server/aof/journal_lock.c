/* The lock on the files' directory. Server process. */
#include "server/aof/journal_lock.h"

#include "server/base/clock.h"
#include "server/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define LOOK_EVERY_MS 20
#define TELL_AFTER_MS 200

int journal_lock_take(const char *directory)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return -1;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
    int error = errno;
    close(fd);
    if (error != EWOULDBLOCK) error = ENOLCK;
    errno = error;
    return -1;
}

int journal_lock_wait(const char *directory, int64_t timeout_ms)
{
    int64_t began_ms = clock_monotonic_ms();
    bool told = false;
    for (;;) {
        int fd = journal_lock_take(directory);
        int64_t waited_ms = clock_monotonic_ms() - began_ms;
        if (fd >= 0 || errno == ENOENT || errno == ENOTDIR || errno == ENOLCK) {
            if (fd >= 0) close(fd);
            if (told) log_notice("The journal of the server before us has ended, after %lld ms", (long long)waited_ms);
            return 0;
        }
        if (errno != EWOULDBLOCK) return -1;
        if (waited_ms >= timeout_ms) break;
        if (!told && waited_ms >= TELL_AFTER_MS) {
            log_notice("Waiting for the journal of the server before us: it still writes to %s", directory);
            told = true;
        }
        nanosleep(&(struct timespec){.tv_nsec = LOOK_EVERY_MS * 1000 * 1000}, NULL);
    }
    errno = ETIMEDOUT;
    return -1;
}
