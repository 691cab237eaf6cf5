/* Files written and read whole. What a crash may leave behind is the old file or the new one, never a part: the new
 * bytes are on the disk under a temporary name before they take the old name, and the directory is synced after. A file
 * takes the place of files only: root may rename one over /dev/null, too. Any process. */
#include "server/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/alloc.h"

#define COPY_BYTES ((size_t)16 * 1024 * 1024)

int file_write_all(int fd, const void *data, size_t len)
{
    const uint8_t *at = data;
    while (len > 0) {
        ssize_t wrote = write(fd, at, len);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) return -1;
        at += wrote;
        len -= (size_t)wrote;
    }
    return 0;
}

static int copy_by_hand(int from, off64_t at, int to)
{
    uint8_t part[65536];
    for (;;) {
        ssize_t got = pread(from, part, sizeof part, at);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return (int)got;
        if (file_write_all(to, part, (size_t)got) != 0) return -1;
        at += got;
    }
}

/* In the kernel, and by sharing blocks where the file system can do that. Where the two cannot be copied so (other file
 * systems, old kernels), through our hands. */
int file_copy_all(int from, int to)
{
    off64_t at = 0;
    for (;;) {
        ssize_t copied = copy_file_range(from, &at, to, NULL, COPY_BYTES, 0);
        if (copied < 0 && errno == EINTR) continue;
        if (copied <= 0) break;
    }
    return copy_by_hand(from, at, to); /* at the end of the file there is nothing left to do */
}

/* Cleans up after a failed call without losing its errno. */
static void close_quietly(int fd)
{
    int error = errno;
    close(fd);
    errno = error;
}

int file_fsync_parent(const char *path)
{
    char directory[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) + 1 : 0; /* with its slash: the root's parent is itself */
    if (len >= sizeof(directory)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(directory, path, len);
    directory[len] = 0;
    int fd = open(len ? directory : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return -1;
    int result = fsync(fd);
    close_quietly(fd);
    return result;
}

/* Reads to the end, whatever size stat promised: files in /proc promise none. */
static int read_to_end(int fd, size_t expected, uint8_t **out, size_t *out_len)
{
    size_t capacity = expected + 1, len = 0;
    uint8_t *data = mem_alloc(capacity);
    for (;;) {
        if (len + 1 >= capacity) data = mem_realloc(data, capacity = capacity * 2 + 4096);
        ssize_t got = read(fd, data + len, capacity - 1 - len);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            int error = errno;
            mem_free(data);
            errno = error;
            return -1;
        }
        if (got == 0) break;
        len += (size_t)got;
    }
    data[len] = 0;
    *out = data;
    *out_len = len;
    return 0;
}

int file_read_whole(const char *path, uint8_t **out, size_t *out_len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    struct stat info;
    int result = fstat(fd, &info);
    if (result == 0) result = read_to_end(fd, info.st_size > 0 ? (size_t)info.st_size : 0, out, out_len);
    close_quietly(fd);
    return result;
}

static int write_and_sync(const char *path, const void *data, size_t len, unsigned mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0) return -1;
    int result = file_write_all(fd, data, len);
    if (result == 0) result = fsync(fd);
    close_quietly(fd);
    return result;
}

static bool is_ordinary_at(int directory, const char *name)
{
    struct stat info;
    return fstatat(directory, name, &info, 0) < 0 || S_ISREG(info.st_mode) || S_ISDIR(info.st_mode);
}

bool file_is_ordinary(const char *path)
{
    return is_ordinary_at(AT_FDCWD, path);
}

int file_rename_at(int from_directory, const char *from, int to_directory, const char *to)
{
    if (is_ordinary_at(to_directory, to)) return renameat(from_directory, from, to_directory, to);
    errno = EINVAL;
    return -1;
}

int file_rename(const char *from, const char *to)
{
    return file_rename_at(AT_FDCWD, from, AT_FDCWD, to);
}

/* A device takes the bytes, /dev/null without keeping them. A pipe, a socket or a disk has no use for a whole file. */
static int write_to_device(const char *path, const void *data, size_t len)
{
    struct stat info;
    if (stat(path, &info) < 0) return -1;
    if (!S_ISCHR(info.st_mode)) {
        errno = EINVAL;
        return -1;
    }
    int fd = open(path, O_WRONLY | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) return -1;
    int result = file_write_all(fd, data, len);
    close_quietly(fd);
    return result;
}

int file_replace(const char *path, const void *data, size_t len, unsigned mode)
{
    if (!file_is_ordinary(path)) return write_to_device(path, data, len);
    char temporary[PATH_MAX];
    int wanted = snprintf(temporary, sizeof(temporary), "%s.%d.tmp", path, (int)getpid());
    if (wanted >= (int)sizeof(temporary)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    if (write_and_sync(temporary, data, len, mode) == 0 && rename(temporary, path) == 0) return file_fsync_parent(path);
    int error = errno;
    unlink(temporary);
    errno = error;
    return -1;
}
