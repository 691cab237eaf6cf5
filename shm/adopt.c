/* See adopt.h. Server process; shm/layout.h has the algorithm. */
#include "shm/adopt.h"

#include "server/base/alloc.h"
#include "shm/control.h"
#include "shm/inspect.h"
#include "shm/owner.h"
#include "shm/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define OBJECT_NAME_BYTES (SHM_NAME_BYTES + 24)

struct adoption {
    char name[SHM_NAME_BYTES];
    struct region region;
    struct inspection picture;
    struct ring rings[SHM_RINGS_MAX]; /* of the window, oldest first; each holds first..end */
    unsigned ring_count;
    struct adopt_view view;
};

static bool refuse(char reason[ADOPT_REASON_BYTES], const char *why)
{
    snprintf(reason, ADOPT_REASON_BYTES, "%s", why);
    return false;
}

/* --- the control region --- */

static int map_control(struct adoption *a)
{
    struct stat status;
    int fd = shm_open(a->name, O_RDWR | O_CLOEXEC, 0);
    if (fd < 0) return -1;
    if (fstat(fd, &status) == 0 && owner_claim(fd) == 0 &&
        region_map(&a->region, fd, (size_t)status.st_size, true) == 0) {
        a->region.named = true;
        return 0;
    }
    close(fd);
    return -1;
}

static bool read_picture(struct adoption *a, char reason[ADOPT_REASON_BYTES])
{
    struct inspection *picture = &a->picture;
    switch (inspect_read(&a->region, picture)) {
    case INSPECT_UNDERSTOOD: break;
    case INSPECT_NO_BACKLOG: return refuse(reason, "it is no backlog, or its server had not finished making it");
    case INSPECT_OTHER_VERSION:
        snprintf(reason, ADOPT_REASON_BYTES, "its layout has version %u, and this server knows version %d alone",
                 picture->version, SHM_VERSION);
        return false;
    }
    if (!picture->ids_known) return refuse(reason, "its history was being changed when its server died");
    const struct shm_control *c = control_of(&a->region);
    struct adopt_view *v = &a->view;
    memcpy(v->id, picture->id, sizeof v->id);
    memcpy(v->second_id, picture->second_id, sizeof v->second_id);
    v->second_offset = picture->second_offset;
    v->end = picture->end;
    v->empty_at = atomic_load_explicit(&c->empty_at, memory_order_relaxed);
    v->relayed = atomic_load_explicit(&c->relayed, memory_order_relaxed) != 0;
    v->pid = c->writer_pid;
    return true;
}

/* --- the rings --- */

static int open_ring_object(const struct adoption *a, const struct inspected_ring *seen, struct region *out)
{
    char name[OBJECT_NAME_BYTES];
    snprintf(name, sizeof name, "%s.%llu", a->name, (unsigned long long)seen->object);
    int fd = shm_open(name, O_RDWR | O_CLOEXEC, 0);
    if (fd < 0) return -1;
    if (region_map(out, fd, seen->size, true) == 0) {
        out->named = true;
        return 0;
    }
    close(fd);
    return -1;
}

static unsigned table_entry(const struct adoption *a, uint64_t number)
{
    const struct shm_control *c = control_of(&a->region);
    unsigned entry = 0;
    while (entry < SHM_RINGS_MAX - 1 && atomic_load_explicit(&c->rings[entry].number, memory_order_relaxed) != number)
        entry++;
    return entry;
}

/* What has been written to it may go beyond what was published, and so has it overwritten more. */
static uint64_t oldest_left(const struct inspected_ring *seen, uint64_t written_to)
{
    uint64_t written = seen->end == SHM_OPEN_END ? written_to : seen->end;
    if (written < seen->first) written = seen->first;
    return written - seen->first > seen->size ? written - seen->size : seen->first;
}

static uint64_t reserved_until(const struct ring *ring)
{
    struct stat status;
    uint64_t bytes = fstat(ring->region.fd, &status) == 0 ? (uint64_t)status.st_blocks * 512 : ring->size;
    return bytes >= ring->size ? UINT64_MAX : ring->first + bytes;
}

/* Puts it before those that are there. False: what it holds ends the window, or it is not to be had. */
static bool take_ring(struct adoption *a, const struct inspected_ring *seen, uint64_t end)
{
    const struct shm_control *c = control_of(&a->region);
    uint64_t written_to = atomic_load_explicit(&c->written_to, memory_order_relaxed);
    uint64_t from = oldest_left(seen, written_to);
    struct ring ring = {.number = seen->number,
                        .named_after = seen->object,
                        .entry = table_entry(a, seen->number),
                        .size = seen->size,
                        .first = from,
                        .end = end};
    if (seen->end == SHM_OPEN_END && written_to < end) return false;
    if (seen->object == 0 || seen->size == 0 || seen->end < end || from >= end) return false;
    if (open_ring_object(a, seen, &ring.region) != 0) return false;
    ring.reserved_until = reserved_until(&ring);
    memmove(&a->rings[1], &a->rings[0], a->ring_count * sizeof a->rings[0]);
    a->rings[0] = ring;
    a->ring_count++;
    a->view.first = from;
    return from == seen->first;
}

/* Backwards from the one that has the end: as far as each begins where the one before ends. */
static bool find_rings(struct adoption *a, char reason[ADOPT_REASON_BYTES])
{
    const struct inspection *picture = &a->picture;
    int last = picture->ring_count - 1;
    uint64_t end = a->view.end;
    a->view.first = end;
    if (last < 0 || end == 0) return refuse(reason, "it has no ring, nor an end");
    while (last > 0 && picture->rings[last].first >= end) last--; /* nothing of it was published */
    for (int i = last; i >= 0 && picture->rings[i].number >= picture->window_ring; i--) {
        if (i < last && picture->rings[i].end != end) break;
        if (!take_ring(a, &picture->rings[i], end)) break;
        end = picture->rings[i].first;
    }
    return true; /* without a ring, all that is left is where the stream had come to */
}

/* --- from without --- */

static void let_go(struct adoption *a)
{
    for (unsigned i = 0; i < a->ring_count; i++) region_unmap(&a->rings[i].region);
    region_unmap(&a->region);
    mem_free(a);
}

struct adoption *adopt_find(const char *name, char reason[ADOPT_REASON_BYTES])
{
    reason[0] = '\0';
    if (strlen(name) >= SHM_NAME_BYTES || owner_of_name(name).state != OWNER_DEAD) return NULL;
    struct adoption *a = mem_calloc(1, sizeof *a);
    a->region.fd = -1;
    snprintf(a->name, sizeof a->name, "%s", name);
    if (map_control(a) != 0) {
        refuse(reason, strerror(errno));
    } else if (read_picture(a, reason) && find_rings(a, reason)) {
        return a;
    }
    let_go(a);
    return NULL;
}

const struct adopt_view *adopt_view(const struct adoption *a)
{
    return &a->view;
}

struct bytes adopt_run(const struct adoption *a, uint64_t offset)
{
    for (unsigned i = 0; i < a->ring_count; i++) {
        const struct ring *ring = &a->rings[i];
        if (offset < ring->first || offset >= ring->end) continue;
        uint64_t place = offset % ring->size, run = ring->end - offset;
        if (run > ring->size - place) run = ring->size - place;
        return bytes_make(ring->region.base + place, (size_t)run);
    }
    return (struct bytes){0};
}

bool adopt_try(struct adoption *a)
{
    struct shm_control *c = control_of(&a->region);
    return atomic_fetch_add_explicit(&c->tries, 1, memory_order_relaxed) < ADOPT_TRIES_MOST;
}

void adopt_drop(struct adoption *a)
{
    region_unlink_family(a->name);
    let_go(a);
}

/* --- going on --- */

static void copy_name(const struct adoption *a, char out[OBJECT_NAME_BYTES])
{
    snprintf(out, OBJECT_NAME_BYTES, "%s.adopting", a->name);
}

/* A control region of our own, which says what the dead server's says. Whoever of that server's is still there, its
 * link or its journal, has its own lines in the old one, and reads on what the old one says. In a /dev/shm that is full
 * it is anonymous: the next start finds nothing to go on with, and this one goes on. */
static int copy_control(struct backlog *b, const struct adoption *a)
{
    char name[OBJECT_NAME_BYTES];
    copy_name(a, name);
    shm_unlink(name); /* somebody may have died before us with it */
    while (control_create(&b->region, b->kind, name) != 0)
        if (writer_fall_back(b, errno) != 0) return -1;
    b->control = control_of(&b->region);
    memcpy(b->control, control_of(&a->region), sizeof *b->control);
    control_sign(b->control, a->name);
    return 0;
}

/* Before it has taken the name: the name stays with the adoption. */
static void abandon_copy(struct backlog *b, const struct adoption *a)
{
    char name[OBJECT_NAME_BYTES];
    int error = errno;
    copy_name(a, name);
    region_close(&b->region, name);
    writer_release(b);
    errno = error;
}

static int take_name(const struct backlog *b, const struct adoption *a)
{
    char name[OBJECT_NAME_BYTES];
    copy_name(a, name);
    if (b->region.named) return region_rename(name, a->name);
    return shm_unlink(a->name) == 0 || errno == ENOENT ? 0 : -1;
}

/* Whoever followed has to come again. Claim numbers go on, so that no line of before speaks of a new peer. */
static void free_slots(struct backlog *b)
{
    struct shm_control *c = b->control;
    for (int slot = 0; slot < BACKLOG_PEERS_MAX; slot++) {
        atomic_store_explicit(&c->peers[slot].state, SLOT_FREE, memory_order_relaxed);
        b->peers[slot].claim = atomic_load_explicit(&c->peers[slot].claim, memory_order_relaxed);
    }
    for (int spool = 0; spool < BACKLOG_SPOOLS_MAX; spool++)
        atomic_store_explicit(&c->spools[spool].state, SPOOL_FREE, memory_order_relaxed);
    atomic_store_explicit(&c->ack_watch, 0, memory_order_relaxed);
    atomic_store_explicit(&c->durable_watch, 0, memory_order_relaxed);
    atomic_store_explicit(&c->journal_call, 0, memory_order_relaxed);
    atomic_store_explicit(&c->journal.file, 0, memory_order_relaxed);
    atomic_store_explicit(&c->journal.finished, 0, memory_order_relaxed);
    atomic_store_explicit(&c->journal.error, 0, memory_order_relaxed);
    for (int kind = 0; kind < SHM_DELAYS; kind++)
        for (int i = 0; i < 2; i++) atomic_store_explicit(&c->journal.slowest[kind][i], 0, memory_order_relaxed);
}

static void settle_ring(struct backlog *b, const struct ring *ring)
{
    struct shm_ring *entry = &b->control->rings[ring->entry];
    atomic_store_explicit(&entry->first, ring->first, memory_order_relaxed);
    atomic_store_explicit(&entry->end, ring->end, memory_order_relaxed);
}

static bool is_kept(const struct adoption *a, uint64_t number)
{
    for (unsigned i = 0; i < a->ring_count; i++)
        if (a->rings[i].number == number) return true;
    return false;
}

static void drop_object(const struct adoption *a, uint64_t object)
{
    char name[OBJECT_NAME_BYTES];
    snprintf(name, sizeof name, "%s.%llu", a->name, (unsigned long long)object);
    shm_unlink(name);
}

/* Rings of other histories, and for peers that are gone. */
static void forget_other_rings(struct backlog *b, const struct adoption *a)
{
    for (unsigned entry = 0; entry < SHM_RINGS_MAX; entry++) {
        struct shm_ring *ring = &b->control->rings[entry];
        if (!is_kept(a, atomic_load_explicit(&ring->number, memory_order_relaxed)))
            atomic_store_explicit(&ring->number, 0, memory_order_relaxed);
    }
}

/* What the old table has of them; who has mapped one keeps it. */
static void drop_other_rings(const struct adoption *a)
{
    const struct shm_control *old = control_of(&a->region);
    for (unsigned entry = 0; entry < SHM_RINGS_MAX; entry++) {
        uint64_t number = atomic_load_explicit(&old->rings[entry].number, memory_order_relaxed);
        uint64_t object = atomic_load_explicit(&old->rings[entry].object, memory_order_relaxed);
        if (number != 0 && object != 0 && !is_kept(a, number)) drop_object(a, object);
    }
}

static uint64_t highest_number(const struct adoption *a)
{
    const struct inspection *picture = &a->picture;
    uint64_t highest = picture->rings[picture->ring_count - 1].number;
    for (int i = 0; i < picture->ring_count; i++)
        if (picture->rings[i].object > highest) highest = picture->rings[i].object;
    return highest;
}

static void account_rings(const struct adoption *a, int sign)
{
    for (unsigned i = 0; i < a->ring_count; i++) mem_account(sign * (ptrdiff_t)ring_memory(&a->rings[i]));
}

static void take_window(struct backlog *b, const struct adoption *a)
{
    b->end = b->published = a->view.end;
    b->last_number = highest_number(a);
    b->history_ring = b->window_ring = a->ring_count ? a->rings[0].number : b->last_number + 1;
    for (unsigned i = 0; i < a->ring_count; i++) {
        b->rings[i] = a->rings[i];
        settle_ring(b, &b->rings[i]);
    }
    b->ring_count = a->ring_count;
    forget_other_rings(b, a);
    drop_object(a, b->last_number + 1); /* one that may have been made without being entered */
}

/* The ring that takes what follows, and the words that tell of it. On failure it is gone again. */
static int open_end(struct backlog *b, const struct adoption *a)
{
    if (writer_open_ring(b, b->limits.rest_bytes) != 0) return -1;
    atomic_store_explicit(&b->control->window_ring, b->window_ring, memory_order_relaxed);
    atomic_store_explicit(&b->control->first, backlog_first(b), memory_order_relaxed);
    atomic_store_explicit(&b->control->end, b->end, memory_order_relaxed);
    atomic_store_explicit(&b->control->tries, 0, memory_order_relaxed);
    if (take_name(b, a) == 0) return 0;
    int error = errno;
    ring_close(&b->rings[b->ring_count - 1], b->name);
    errno = error;
    return -1;
}

struct backlog *backlog_adopt(struct adoption *a, const struct backlog_limits *limits,
                              const struct backlog_events *events)
{
    struct backlog *b = writer_new(a->name, limits, events);
    if (!b) return NULL;
    if (copy_control(b, a) != 0) {
        abandon_copy(b, a);
        return NULL;
    }
    free_slots(b);
    take_window(b, a);
    account_rings(a, 1);
    if (open_end(b, a) != 0) {
        account_rings(a, -1);
        b->ring_count = 0;
        abandon_copy(b, a);
        return NULL;
    }
    drop_other_rings(a);
    region_unmap(&a->region);
    mem_free(a);
    return b;
}
