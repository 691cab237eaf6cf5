/* Pieces of shared memory: made by the server process, mapped by the link process. */
#include "shm/region.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SHM_DIRECTORY "/dev/shm"

static int open_fresh(enum region_kind kind, const char *name)
{
    if (kind == REGION_ANONYMOUS) return memfd_create("slipstream-backlog", MFD_CLOEXEC);
    return shm_open(name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
}

static int create_private(struct region *r, size_t bytes)
{
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    *r = (struct region){.fd = -1};
    if (base == MAP_FAILED) return -1;
    r->base = base;
    r->bytes = bytes;
    return 0;
}

int region_create(struct region *r, enum region_kind kind, const char *name, size_t bytes, size_t reserved)
{
    if (kind == REGION_PRIVATE) return create_private(r, bytes);
    *r = (struct region){.fd = open_fresh(kind, name), .bytes = bytes, .named = kind == REGION_NAMED};
    if (r->fd < 0) return -1;
    if (ftruncate(r->fd, (off_t)bytes) == 0) {
        void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
        if (base != MAP_FAILED) r->base = base;
    }
    if (r->base && region_reserve(r, 0, reserved) == 0) return 0;
    int error = errno;
    region_close(r, name);
    errno = error;
    return -1;
}

int region_reserve(struct region *r, size_t from, size_t bytes)
{
    if (bytes == 0 || r->fd < 0) return 0; /* private memory comes when it is touched */
    int failed;
    do {
        failed = fallocate(r->fd, 0, (off_t)from, (off_t)bytes);
    } while (failed && errno == EINTR);
    if (failed) return -1;
    /* One call instead of a fault per page later; where the kernel does not know it the faults come, that is all. */
    size_t page = (size_t)sysconf(_SC_PAGESIZE), start = from / page * page;
    (void)madvise(r->base + start, from + bytes - start, MADV_POPULATE_WRITE);
    return 0;
}

void region_give_back(struct region *r)
{
    (void)fallocate(r->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)r->bytes);
}

void region_close(struct region *r, const char *name)
{
    if (r->named) shm_unlink(name);
    region_unmap(r);
}

int region_rename(const char *from, const char *to)
{
    char old_path[PATH_MAX], new_path[PATH_MAX];
    snprintf(old_path, sizeof old_path, SHM_DIRECTORY "%s", from);
    snprintf(new_path, sizeof new_path, SHM_DIRECTORY "%s", to);
    return rename(old_path, new_path);
}

int region_map(struct region *r, int fd, size_t bytes, bool writable)
{
    struct stat status;
    if (fstat(fd, &status) != 0) return -1;
    if (bytes == 0 || status.st_size < 0 || (uint64_t)status.st_size < bytes) {
        errno = EPROTO;
        return -1;
    }
    void *base = mmap(NULL, bytes, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED) return -1;
    *r = (struct region){.fd = fd, .base = base, .bytes = bytes};
    return 0;
}

void region_unmap(struct region *r)
{
    if (r->base) munmap(r->base, r->bytes);
    if (r->fd >= 0) close(r->fd);
    *r = (struct region){.fd = -1};
}

static uint64_t memory_of(int directory, const char *name)
{
    struct stat status;
    if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) != 0) return 0;
    return (uint64_t)status.st_blocks * 512;
}

static uint64_t unlink_object(int directory, const char *name)
{
    uint64_t bytes = memory_of(directory, name);
    return unlinkat(directory, name, 0) == 0 ? bytes : 0;
}

/* The sum of what `visit` says of each object of the family. */
static uint64_t visit_family(const char *name, uint64_t (*visit)(int directory, const char *name), unsigned *count)
{
    const char *stem = name[0] == '/' ? name + 1 : name;
    size_t stem_len = strlen(stem);
    DIR *directory = stem_len > 0 ? opendir(SHM_DIRECTORY) : NULL;
    uint64_t bytes = 0;
    *count = 0;
    if (!directory) return 0;
    for (struct dirent *entry; (entry = readdir(directory));) {
        const char *found = entry->d_name;
        if (strncmp(found, stem, stem_len) != 0 || (found[stem_len] != '\0' && found[stem_len] != '.')) continue;
        bytes += visit(dirfd(directory), found);
        ++*count;
    }
    closedir(directory);
    return bytes;
}

uint64_t region_unlink_family(const char *name)
{
    unsigned count;
    return visit_family(name, unlink_object, &count);
}

uint64_t region_family_memory(const char *name, unsigned *count)
{
    return visit_family(name, memory_of, count);
}

int region_each(const char *prefix, void (*found)(void *context, const char *name), void *context)
{
    char name[sizeof(((struct dirent *)0)->d_name) + 1] = "/";
    DIR *directory = opendir(SHM_DIRECTORY);
    if (!directory) return -1;
    for (struct dirent *entry; (entry = readdir(directory));) {
        snprintf(name + 1, sizeof(name) - 1, "%s", entry->d_name);
        if (strncmp(name, prefix, strlen(prefix)) == 0 && !strchr(name, '.')) found(context, name);
    }
    closedir(directory);
    return 0;
}

int region_open(struct region *r, const char *name)
{
    int fd = shm_open(name, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0) return -1;
    struct stat status;
    if (fstat(fd, &status) == 0 && region_map(r, fd, (size_t)status.st_size, false) == 0) return 0;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}
