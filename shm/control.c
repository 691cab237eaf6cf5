/* The control region as a whole. Runs in the server (making) and in the link (mapping). */
#include "shm/control.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* When the process was started, in ticks since boot; 0 when there is no such process. */
static uint64_t start_ticks(int pid)
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
    for (int number = 2; field && number < 22; number++) field = strchr(field + 1, ' ');
    uint64_t ticks = 0;
    return field && sscanf(field, " %" SCNu64, &ticks) == 1 ? ticks : 0;
}

int control_create(struct region *out, enum region_kind kind, const char *name)
{
    if (region_create(out, kind, name, sizeof(struct shm_control), sizeof(struct shm_control)) != 0) return -1;
    struct shm_control *c = control_of(out);
    c->version = SHM_VERSION;
    c->control_bytes = sizeof(*c);
    c->writer_pid = getpid();
    c->writer_start_ticks = start_ticks(getpid());
    c->second_offset = -1;
    snprintf(c->name, sizeof(c->name), "%s", name);
    atomic_store_explicit(&c->magic, SHM_MAGIC, memory_order_release);
    return 0;
}

static bool understood(const struct region *r)
{
    struct shm_control *c = control_of(r);
    return r->bytes >= sizeof(*c) && atomic_load_explicit(&c->magic, memory_order_acquire) == SHM_MAGIC &&
           c->version == SHM_VERSION && c->control_bytes == sizeof(*c);
}

int control_map(struct region *out, int fd)
{
    if (region_map(out, fd, sizeof(struct shm_control), true) != 0) return -1;
    if (understood(out)) return 0;
    out->fd = -1; /* stays the caller's */
    region_unmap(out);
    errno = EPROTO;
    return -1;
}

int control_living_writer(const char *name)
{
    struct region r;
    if (region_open(&r, name) != 0) return 0;
    int pid = 0;
    if (understood(&r)) {
        struct shm_control *c = control_of(&r);
        if (start_ticks(c->writer_pid) == c->writer_start_ticks) pid = c->writer_pid;
    }
    region_unmap(&r);
    return pid;
}

void control_set_history(struct shm_control *c, const char *id, const char *id2, int64_t second_offset)
{
    uint64_t turn = atomic_load_explicit(&c->history_turn, memory_order_relaxed);
    atomic_store_explicit(&c->history_turn, turn + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    snprintf(c->id, sizeof(c->id), "%s", id);
    snprintf(c->second_id, sizeof(c->second_id), "%s", id2);
    c->second_offset = second_offset;
    atomic_store_explicit(&c->history_turn, turn + 2, memory_order_release);
}
