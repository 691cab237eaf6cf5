/* Whose a named backlog is, asked before one is made. Server process. */
#include "shm/owner.h"

#include "server/base/log.h"
#include "shm/control.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define STATE_FIELD       3 /* of /proc/<pid>/stat */
#define START_TICKS_FIELD 22

uint64_t owner_start_ticks(int pid)
{
    char path[32], text[1024];
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t len = read(fd, text, sizeof(text) - 1);
    close(fd);
    text[len > 0 ? len : 0] = '\0';
    /* The second field is the program's name in parentheses and may hold anything: count behind the last one. */
    char *field = strrchr(text, ')');
    for (int number = 2; field && number < START_TICKS_FIELD; number++) {
        field = strchr(field + 1, ' ');
        if (field && number + 1 == STATE_FIELD && (field[1] == 'Z' || field[1] == 'X')) return 0; /* nobody waited */
    }
    uint64_t ticks = 0;
    return field && sscanf(field, " %" SCNu64, &ticks) == 1 ? ticks : 0;
}

/* Of the process, not of the descriptor: the link gets that descriptor too, and a snapshot child inherits it. */
int owner_claim(int fd)
{
    return fcntl(fd, F_SETLK, &(struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET});
}

static bool is_claimed(int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

/* The words on identity stand where they are in every version of the layout. */
static const struct shm_control *identity(const struct region *r)
{
    const struct shm_control *c = control_of(r);
    if (r->bytes < offsetof(struct shm_control, name)) return NULL;
    return atomic_load_explicit(&c->magic, memory_order_acquire) == SHM_MAGIC ? c : NULL;
}

/* This process does not see its own lock, and writers of before the lock hold none: those are known by their id. */
static bool is_running(const struct shm_control *c)
{
    return c->writer_start_ticks && owner_start_ticks(c->writer_pid) == c->writer_start_ticks;
}

struct owner owner_of_name(const char *name)
{
    struct region r;
    struct owner owner = {.state = OWNER_NONE};
    if (region_open(&r, name) != 0) return owner;
    const struct shm_control *c = identity(&r);
    owner.pid = c ? c->writer_pid : 0;
    owner.state = is_claimed(r.fd) || (c && is_running(c)) ? OWNER_LIVING : OWNER_DEAD;
    region_unmap(&r);
    return owner;
}

uint64_t owner_remove_dead(const char *name)
{
    struct owner owner = owner_of_name(name);
    if (owner.state == OWNER_LIVING) return 0;
    uint64_t bytes = region_unlink_family(name);
    if (bytes)
        log_notice("Removed %llu bytes of shared memory: %s was left behind by a server that was killed (pid %d)",
                   (unsigned long long)bytes, name, owner.pid);
    return bytes;
}
