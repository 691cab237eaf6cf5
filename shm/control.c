/* The control region as a whole: made by the server process, mapped by the link process and the journal process. */
#include "shm/control.h"

#include "shm/owner.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS_MOST 1000

void control_sign(struct shm_control *c, const char *name)
{
    c->writer_pid = getpid();
    c->writer_start_ticks = owner_start_ticks(getpid());
    snprintf(c->name, sizeof(c->name), "%s", name);
}

int control_create(struct region *out, enum region_kind kind, const char *name)
{
    if (region_create(out, kind, name, sizeof(struct shm_control), sizeof(struct shm_control)) != 0) return -1;
    if (kind == REGION_NAMED && owner_claim(out->fd) != 0) {
        int error = errno;
        region_close(out, name);
        errno = error;
        return -1;
    }
    struct shm_control *c = control_of(out);
    c->version = SHM_VERSION;
    c->control_bytes = sizeof(*c);
    atomic_store_explicit(&c->second_offset, -1, memory_order_relaxed);
    atomic_store_explicit(&c->empty_at, SHM_NEVER, memory_order_relaxed);
    control_sign(c, name);
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

static void store_id(_Atomic uint64_t to[SHM_ID_WORDS], const char *id)
{
    uint64_t words[SHM_ID_WORDS] = {0};
    memcpy(words, id, strnlen(id, SHM_ID_BYTES - 1));
    for (int i = 0; i < SHM_ID_WORDS; i++) atomic_store_explicit(&to[i], words[i], memory_order_relaxed);
}

static void load_id(char out[SHM_ID_BYTES], const _Atomic uint64_t id[SHM_ID_WORDS])
{
    uint64_t words[SHM_ID_WORDS];
    for (int i = 0; i < SHM_ID_WORDS; i++) words[i] = atomic_load_explicit(&id[i], memory_order_relaxed);
    memcpy(out, words, SHM_ID_BYTES);
    out[SHM_ID_BYTES - 1] = '\0';
}

bool control_history(const struct shm_control *c, struct control_history *out)
{
    for (int round = 0; round < ROUNDS_MOST; round++) {
        out->turn = atomic_load_explicit(&c->history_turn, memory_order_acquire);
        load_id(out->id, c->id);
        load_id(out->second_id, c->second_id);
        out->second_offset = atomic_load_explicit(&c->second_offset, memory_order_relaxed);
        atomic_thread_fence(memory_order_acquire);
        if (out->turn % 2 == 0 && atomic_load_explicit(&c->history_turn, memory_order_relaxed) == out->turn)
            return true;
    }
    return false;
}

void control_set_history(struct shm_control *c, const char *id, const char *id2, int64_t second_offset)
{
    uint64_t turn = atomic_load_explicit(&c->history_turn, memory_order_relaxed);
    atomic_store_explicit(&c->history_turn, turn + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    store_id(c->id, id);
    store_id(c->second_id, id2);
    atomic_store_explicit(&c->second_offset, second_offset, memory_order_relaxed);
    atomic_store_explicit(&c->history_turn, turn + 2, memory_order_release);
}
