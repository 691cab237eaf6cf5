/* The backlog's writer: rings, the window, appending and publishing. Server process.
 *
 * An append compares once, with `limit`, and copies. What the limit stands for is worked out only when it is met, about
 * once per ring: memory not yet reserved, a byte some peer needs, or a peer about to fall behind the hard limit. */
#include "shm/writer.h"

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/log.h"
#include "server/base/prefetch.h"
#include "shm/control.h"
#include "shm/owner.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define GROWTH_ROUNDING_BYTES   (64 * 1024)
#define CALM_TURNS_TO_SHRINK    5
#define OWNED_AHEAD_BYTES       512
#define SHARED_AGAIN_MOST_BYTES (UINT64_C(64) << 20)
#define ANNOUNCED_SHARE         16 /* of a ring */
#define ANNOUNCED_LEAST_BYTES   (UINT64_C(64) << 10)

static struct ring *newest(struct backlog *b)
{
    return &b->rings[b->ring_count - 1];
}

/* --- the table of rings --- */

/* The table names it no more. */
static void withdraw_ring(struct backlog *b, const struct ring *ring)
{
    atomic_store_explicit(&b->control->rings[ring->entry].number, 0, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
}

static void describe_ring(struct backlog *b, const struct ring *ring)
{
    struct shm_ring *entry = &b->control->rings[ring->entry];
    withdraw_ring(b, ring);
    atomic_store_explicit(&entry->first, ring->first, memory_order_relaxed);
    atomic_store_explicit(&entry->end, ring->end, memory_order_relaxed);
    atomic_store_explicit(&entry->size, ring->size, memory_order_relaxed);
    atomic_store_explicit(&entry->object, ring->region.named ? ring->named_after : 0, memory_order_relaxed);
    atomic_store_explicit(&entry->number, ring->number, memory_order_release);
}

static unsigned free_entry(const struct backlog *b)
{
    unsigned entry = 0;
    while (atomic_load_explicit(&b->control->rings[entry].number, memory_order_relaxed)) entry++;
    return entry;
}

bool backlog_is_shared(const struct backlog *b)
{
    return b->rings[b->ring_count - 1].region.fd >= 0;
}

static void announce_ring(struct backlog *b, const struct ring *ring)
{
    if (ring->region.fd < 0) return;
    for (int kind = 0; kind < SHM_READERS; kind++) {
        const struct ring_listener *listener = &b->ring_listeners[kind];
        if (listener->ring_opened)
            listener->ring_opened(listener->context, (int)ring->number, ring->region.fd, ring->size);
    }
}

static void drop_ring(struct backlog *b, unsigned index)
{
    atomic_store_explicit(&b->control->rings[b->rings[index].entry].number, 0, memory_order_release);
    ring_close(&b->rings[index], b->name);
    b->ring_count--;
    memmove(&b->rings[index], &b->rings[index + 1], (b->ring_count - index) * sizeof(b->rings[0]));
}

/* A full or missing /dev/shm is told once; from then on memory is anonymous. */
int writer_fall_back(struct backlog *b, int error)
{
    if (b->kind == REGION_ANONYMOUS) return -1;
    log_warning("Shared memory %s cannot be had (%s): the replication backlog goes on in anonymous memory", b->name,
                strerror(error));
    b->kind = REGION_ANONYMOUS;
    return 0;
}

static int create_ring(struct backlog *b, struct ring *ring, uint64_t size, uint64_t first)
{
    while (ring_create(ring, b->kind, b->name, b->last_number + 1, size, first) != 0) {
        int error = errno;
        if (writer_fall_back(b, error) == 0) continue;
        errno = error;
        return -1;
    }
    return 0;
}

static void write_to_newest(struct backlog *b)
{
    b->base = newest(b)->region.base;
    b->size = newest(b)->size;
    b->position = b->end % b->size;
    b->limit = b->end;
    b->calm_turns = 0;
}

/* What follows goes to this ring; the one before stays as it is. */
static void write_to_ring(struct backlog *b, const struct ring *fresh)
{
    CHECK(b->ring_count < SHM_RINGS_MAX);
    if (b->ring_count > 0) {
        newest(b)->end = b->end;
        atomic_store_explicit(&b->control->rings[newest(b)->entry].end, b->end, memory_order_release);
    }
    b->rings[b->ring_count] = *fresh;
    b->rings[b->ring_count].entry = free_entry(b);
    b->ring_count++;
    b->last_number = fresh->number;
    describe_ring(b, newest(b));
    write_to_newest(b);
    announce_ring(b, newest(b));
}

/* 0 or -1 with errno. The table's last place is kept for a private ring. */
int writer_open_ring(struct backlog *b, uint64_t size)
{
    struct ring ring;
    if (b->ring_count >= SHM_RINGS_MAX - 1) {
        errno = ENOBUFS;
        return -1;
    }
    if (create_ring(b, &ring, size, b->end) != 0) return -1;
    write_to_ring(b, &ring);
    return 0;
}

/* --- the window --- */

/* Whether the window goes on into the ring before this one: not when the ring has overwritten its own first byte. */
static bool continues_before(const struct backlog *b, unsigned index)
{
    const struct ring *ring = &b->rings[index];
    return index > 0 && b->rings[index - 1].number >= b->window_ring && ring_oldest(ring, b->end) == ring->first;
}

/* The window keeps what live peers need, and at least rest_bytes where that many exist. */
void writer_drop_unneeded_rings(struct backlog *b)
{
    unsigned start = b->ring_count - 1;
    uint64_t needs;
    writer_slowest_peer(b, &needs);
    while (continues_before(b, start) &&
           (b->end - b->rings[start].first < b->limits.rest_bytes || needs < b->rings[start].first))
        start--;
    b->window_ring = b->rings[start].number;
    atomic_store_explicit(&b->control->window_ring, b->window_ring, memory_order_release);
    for (unsigned index = start; index-- > 0;)
        if (writer_lowest_pin(b, &b->rings[index]) == UINT64_MAX) drop_ring(b, index);
}

uint64_t backlog_first(const struct backlog *b)
{
    unsigned start = b->ring_count - 1;
    while (continues_before(b, start)) start--;
    return ring_oldest(&b->rings[start], b->end);
}

uint64_t backlog_end(const struct backlog *b)
{
    return b->end;
}

uint64_t backlog_memory(const struct backlog *b)
{
    uint64_t bytes = 0;
    for (unsigned index = 0; index < b->ring_count; index++) bytes += ring_memory(&b->rings[index]);
    return bytes;
}

uint64_t backlog_rest_bytes(const struct backlog *b)
{
    return b->limits.rest_bytes;
}

/* --- room --- */

/* How far behind the slowest peer may be; UINT64_MAX: any distance. */
uint64_t writer_allowed_lag(const struct backlog *b)
{
    if (b->limits.hard_bytes == 0) return UINT64_MAX;
    return b->limits.hard_bytes > b->limits.rest_bytes ? b->limits.hard_bytes : b->limits.rest_bytes;
}

static void doom(struct backlog *b, int slot, uint64_t lag, uint64_t limit)
{
    backlog_peer_doom(b, slot);
    if (b->events.peer_doomed) b->events.peer_doomed(b->events.context, slot, lag, limit);
}

static void doom_peers_past_limit(struct backlog *b, size_t len)
{
    uint64_t needs, allowed = writer_allowed_lag(b);
    for (int slot; (slot = writer_slowest_replica(b, &needs)) >= 0 && b->end + len - needs > allowed;)
        doom(b, slot, b->end + len - needs, allowed);
}

/* How far the newest ring may be written: over everything but what a peer still needs. */
static uint64_t room_in_ring(const struct ring *ring, uint64_t pinned)
{
    return pinned == UINT64_MAX ? UINT64_MAX : pinned + ring->size;
}

/* Twice as large while a live peer is what stands in the way, or as large as what is to be written; the normal size
 * where only doomed peers are. */
static uint64_t next_ring_size(struct backlog *b, size_t len)
{
    uint64_t needs, rest = b->limits.rest_bytes;
    if (writer_slowest_peer(b, &needs) < 0) return rest;
    uint64_t kept = b->end + len - needs, size = rest;
    if (kept > b->size) size = 2 * b->size;
    if (size > writer_allowed_lag(b)) size = writer_allowed_lag(b);
    if (size < len) size = (len + GROWTH_ROUNDING_BYTES - 1) / GROWTH_ROUNDING_BYTES * GROWTH_ROUNDING_BYTES;
    return size > rest ? size : rest;
}

static void doom_all_followers(struct backlog *b)
{
    uint64_t needs;
    for (int slot; (slot = writer_slowest_replica(b, &needs)) >= 0;) doom(b, slot, b->end - needs, 0);
}

/* No other ring can be shared, for want of memory, descriptors or room in the table. Data comes before replicas'
 * connections, and order before both: nothing is overwritten that the link may be sending, and nobody is waited for.
 * All replicas go, for none can read on where the stream goes on. The journal stays, and with it all that it needs,
 * until the stream is shared again; meanwhile it counts as behind. */
static void go_on_privately(struct backlog *b, size_t len)
{
    struct ring ring;
    log_warning("The replication stream cannot be shared any more (%s, %llu bytes are in use): all replicas are let go",
                strerror(errno), (unsigned long long)backlog_memory(b));
    doom_all_followers(b);
    uint64_t size = b->limits.rest_bytes > len ? b->limits.rest_bytes : len;
    bool no_memory_at_all = ring_create(&ring, REGION_PRIVATE, b->name, b->last_number + 1, size, b->end) != 0;
    CHECK(!no_memory_at_all);
    write_to_ring(b, &ring);
}

/* Who goes on with this region after our death has to know what may have been overwritten: not much more than what has
 * been appended. The store comes before the bytes, as far as this processor and the compiler are asked. */
static void announce_writing(struct backlog *b, size_t len)
{
    uint64_t step =
        b->size / ANNOUNCED_SHARE < ANNOUNCED_LEAST_BYTES ? ANNOUNCED_LEAST_BYTES : b->size / ANNOUNCED_SHARE;
    if (b->limit - b->end - len > step) b->limit = b->end + len + step;
    atomic_store_explicit(&b->control->written_to, b->limit, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
}

static void make_room(struct backlog *b, size_t len)
{
    uint64_t needs, pinned;
    doom_peers_past_limit(b, len);
    for (;;) {
        struct ring *ring = newest(b);
        pinned = writer_lowest_pin(b, ring);
        if (room_in_ring(ring, pinned) >= b->end + len) {
            uint64_t lap_end = ring->first + ring->size;
            if (ring_reserve(ring, b->end + len < lap_end ? b->end + len : lap_end) == 0) break;
        }
        if (writer_open_ring(b, next_ring_size(b, len)) != 0) go_on_privately(b, len);
    }
    b->limit = room_in_ring(newest(b), pinned);
    if (newest(b)->reserved_until < b->limit) b->limit = newest(b)->reserved_until;
    if (writer_slowest_replica(b, &needs) >= 0 && writer_allowed_lag(b) < b->limit - needs)
        b->limit = needs + writer_allowed_lag(b);
    announce_writing(b, len);
    writer_drop_unneeded_rings(b);
}

/* --- writing --- */

/* Over the ring's edge; of more than a whole ring only the tail remains. */
static void append_over_edge(struct backlog *b, const uint8_t *data, size_t len)
{
    if (len > b->size) {
        size_t skipped = len - b->size;
        data += skipped;
        len -= skipped;
        b->end += skipped;
        b->position = b->end % b->size;
    }
    size_t to_edge = b->size - b->position;
    memcpy(b->base + b->position, data, to_edge);
    memcpy(b->base, data + to_edge, len - to_edge);
    b->position = len - to_edge;
    b->end += len;
}

/* The link has read what the next append is about to overwrite: asking for those lines now spares that append the wait
 * for the other processor. The next unit is likely about as long as this one. */
static inline void own_what_comes_next(const struct backlog *b, size_t len)
{
    prefetch_bytes_to_write(b->base + b->position + CACHE_LINE_BYTES,
                            len < OWNED_AHEAD_BYTES ? len : OWNED_AHEAD_BYTES);
}

void backlog_append(struct backlog *b, const void *data, size_t len)
{
    if (unlikely(len > b->limit - b->end)) make_room(b, len);
    if (unlikely(len >= b->size - b->position)) {
        append_over_edge(b, data, len);
        return;
    }
    memcpy(b->base + b->position, data, len);
    b->position += len;
    b->end += len;
    own_what_comes_next(b, len);
}

/* What is published is not enough for it to go to work. */
static bool journal_is_called(const struct backlog *b)
{
    return b->journal_call & 1;
}

void backlog_publish(struct backlog *b)
{
    if (b->published == b->end) return;
    b->published = b->end;
    atomic_store_explicit(&b->control->first, backlog_first(b), memory_order_relaxed);
    atomic_store_explicit(&b->control->end, b->end, memory_order_release);
    doorbell_fence();
    doorbell_wake(&b->control->readers[SHM_LINK], &b->bells[SHM_LINK]);
    if (!journal_is_called(b)) doorbell_wake(&b->control->readers[SHM_JOURNAL], &b->bells[SHM_JOURNAL]);
}

static void set_journal_call(struct backlog *b, uint64_t number)
{
    b->journal_call = number;
    atomic_store_explicit(&b->control->journal_call, number, memory_order_release);
    doorbell_fence();
    doorbell_wake(&b->control->readers[SHM_JOURNAL], &b->bells[SHM_JOURNAL]);
}

void backlog_call_journal(struct backlog *b)
{
    set_journal_call(b, (b->journal_call | 1) + (journal_is_called(b) ? 2 : 0));
}

void backlog_free_journal(struct backlog *b)
{
    if (unlikely(journal_is_called(b))) set_journal_call(b, b->journal_call + 1);
}

/* --- life --- */

static int create_control(struct backlog *b)
{
    struct owner owner = owner_of_name(b->name);
    if (owner.state == OWNER_LIVING) {
        log_warning("Shared memory %s belongs to process %d: the replication backlog goes on in anonymous memory",
                    b->name, owner.pid);
        b->kind = REGION_ANONYMOUS;
    } else {
        owner_remove_dead(b->name);
    }
    while (control_create(&b->region, b->kind, b->name) != 0)
        if (writer_fall_back(b, errno) != 0) return -1;
    b->control = control_of(&b->region);
    return 0;
}

void writer_release(struct backlog *b)
{
    while (b->ring_count > 0) drop_ring(b, b->ring_count - 1);
    region_close(&b->region, b->name);
    for (int kind = 0; kind < SHM_READERS; kind++)
        if (b->bells[kind].fd >= 0) close(b->bells[kind].fd);
    if (b->server_bell >= 0) close(b->server_bell);
    mem_free(b);
}

struct backlog *writer_new(const char *name, const struct backlog_limits *limits, const struct backlog_events *events)
{
    if (strlen(name) >= SHM_NAME_BYTES) {
        errno = ENAMETOOLONG;
        return NULL;
    }
    struct backlog *b = mem_calloc(1, sizeof(*b));
    snprintf(b->name, sizeof(b->name), "%s", name);
    b->limits = *limits;
    b->events = *events;
    b->region.fd = -1;
    b->journal_slot = -1;
    b->server_bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    bool has_bells = b->server_bell >= 0;
    for (int kind = 0; kind < SHM_READERS; kind++) {
        b->bells[kind].fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        has_bells = has_bells && b->bells[kind].fd >= 0;
    }
    if (has_bells) return b;
    int error = errno;
    writer_release(b);
    errno = error;
    return NULL;
}

struct backlog *backlog_open(const char *name, uint64_t first, const struct backlog_limits *limits,
                             const struct backlog_events *events)
{
    struct backlog *b = writer_new(name, limits, events);
    if (!b) return NULL;
    b->end = b->published = first;
    b->history_ring = b->window_ring = 1;
    if (create_control(b) != 0 || writer_open_ring(b, limits->rest_bytes) != 0) {
        int error = errno;
        writer_release(b);
        errno = error;
        return NULL;
    }
    atomic_store_explicit(&b->control->window_ring, b->window_ring, memory_order_relaxed);
    atomic_store_explicit(&b->control->written_to, first, memory_order_relaxed);
    atomic_store_explicit(&b->control->first, first, memory_order_relaxed);
    atomic_store_explicit(&b->control->end, first, memory_order_release);
    return b;
}

void backlog_close(struct backlog *b)
{
    writer_release(b);
}

static bool only_doomed_peers(const struct backlog *b)
{
    uint64_t needs;
    return writer_slowest_peer(b, &needs) < 0;
}

/* The newest ring starts over under a new number, unless a doomed peer may still be sending from it. */
void backlog_restart(struct backlog *b, uint64_t first)
{
    CHECK(only_doomed_peers(b));
    if (writer_lowest_pin(b, newest(b)) != UINT64_MAX && writer_open_ring(b, b->limits.rest_bytes) != 0)
        go_on_privately(b, 0);
    struct ring *ring = newest(b);
    atomic_store_explicit(&b->control->empty_at, SHM_NEVER, memory_order_relaxed);
    atomic_store_explicit(&b->control->written_to, first, memory_order_relaxed);
    withdraw_ring(b, ring); /* its bytes go: who is killed in here leaves no ring of them */
    ring_reuse(ring, ++b->last_number, first);
    b->history_ring = b->window_ring = ring->number;
    b->end = b->published = first;
    describe_ring(b, ring);
    write_to_newest(b);
    announce_ring(b, ring);
    writer_drop_unneeded_rings(b);
    atomic_store_explicit(&b->control->first, first, memory_order_relaxed);
    atomic_store_explicit(&b->control->end, first, memory_order_release);
}

void backlog_set_history(struct backlog *b, const char *id, const char *id2, int64_t second_offset)
{
    control_set_history(b->control, id, id2, second_offset);
}

void backlog_set_empty(struct backlog *b, uint64_t offset)
{
    atomic_store_explicit(&b->control->empty_at, offset, memory_order_relaxed);
}

void backlog_set_relayed(struct backlog *b, bool relayed)
{
    atomic_store_explicit(&b->control->relayed, relayed, memory_order_relaxed);
}

void backlog_set_words_at(struct backlog *b, int kind, uint64_t offset)
{
    atomic_store_explicit(&b->control->words_at[kind], offset, memory_order_relaxed);
}

uint64_t backlog_words_at(const struct backlog *b, int kind)
{
    return atomic_load_explicit(&b->control->words_at[kind], memory_order_relaxed);
}

static void copy_stream(struct ring *to, const struct ring *from, uint64_t at, uint64_t end)
{
    while (at < end) {
        uint64_t place = at % to->size, run = end - at;
        if (run > to->size - place) run = to->size - place;
        memcpy(to->region.base + place, from->region.base + place, run);
        at += run;
    }
}

/* A ring behind the newest is private where the journal needs it, which follows again once the stream is shared. It
 * keeps its number: nobody has ever seen it. */
static int share_older(struct backlog *b, struct ring *ring)
{
    struct ring shared, private = *ring;
    if (ring_create(&shared, b->kind, b->name, private.number, private.size, private.first) != 0) return -1;
    if (ring_reserve(&shared, private.end) != 0) {
        ring_close(&shared, b->name);
        return -1;
    }
    copy_stream(&shared, &private, private.first, private.end);
    shared.entry = private.entry;
    shared.end = private.end;
    *ring = shared;
    describe_ring(b, ring);
    announce_ring(b, ring);
    ring_close(&private, b->name);
    return 0;
}

/* A ring that others can read takes the private one's place. What the window has of it comes along, as far as that
 * takes no noticeable time, or all where the journal needs it; of the same size, each byte keeps its place. */
static void share_again(struct backlog *b)
{
    for (unsigned index = 0; index + 1 < b->ring_count; index++)
        if (b->rings[index].region.fd < 0 && share_older(b, &b->rings[index]) != 0) return;
    struct ring shared, private = *newest(b);
    uint64_t from = ring_oldest(&private, b->end);
    if (b->end - from > SHARED_AGAIN_MOST_BYTES && b->journal_slot < 0) from = b->end - SHARED_AGAIN_MOST_BYTES;
    if (create_ring(b, &shared, private.size, from) != 0) return;
    if (ring_reserve(&shared, b->end) != 0) {
        ring_close(&shared, b->name);
        return;
    }
    copy_stream(&shared, &private, from, b->end);
    shared.entry = private.entry;
    b->rings[b->ring_count - 1] = shared;
    b->last_number = shared.number;
    if (b->history_ring == private.number) b->history_ring = shared.number;
    if (b->window_ring == private.number || from != private.first) b->window_ring = shared.number;
    describe_ring(b, newest(b));
    write_to_newest(b);
    announce_ring(b, newest(b));
    ring_close(&private, b->name);
    log_notice("The replication stream is shared again, from offset %llu on", (unsigned long long)backlog_first(b));
}

static void resize_to_rest(struct backlog *b)
{
    if (writer_open_ring(b, b->limits.rest_bytes) != 0)
        log_warning("The replication backlog stays %llu bytes long: %s", (unsigned long long)b->size, strerror(errno));
    writer_drop_unneeded_rings(b);
}

void backlog_set_limits(struct backlog *b, const struct backlog_limits *limits)
{
    bool resized = limits->rest_bytes != b->limits.rest_bytes;
    b->limits = *limits;
    b->limit = b->end;
    if (resized && limits->rest_bytes != b->size && backlog_is_shared(b)) resize_to_rest(b);
}

void backlog_cron(struct backlog *b)
{
    uint64_t needs;
    if (!backlog_is_shared(b)) share_again(b);
    if (!backlog_is_shared(b)) return;
    bool lagging = writer_slowest_peer(b, &needs) >= 0 && b->end - needs > b->limits.rest_bytes / 2;
    b->calm_turns = lagging ? 0 : b->calm_turns + 1;
    if (b->calm_turns >= CALM_TURNS_TO_SHRINK && b->size != b->limits.rest_bytes) resize_to_rest(b);
    writer_drop_unneeded_rings(b);
}

int backlog_control_fd(const struct backlog *b)
{
    return b->region.fd;
}

uint64_t backlog_beats(const struct backlog *b, enum shm_reader_kind kind)
{
    return atomic_load_explicit(&b->control->readers[kind].beats, memory_order_relaxed);
}

int backlog_bell(const struct backlog *b, enum shm_reader_kind kind)
{
    return b->bells[kind].fd;
}

void backlog_on_ring(struct backlog *b, enum shm_reader_kind kind,
                     void (*ring_opened)(void *context, int ring, int fd, uint64_t size), void *context)
{
    b->ring_listeners[kind] = (struct ring_listener){ring_opened, context};
    if (!ring_opened) return;
    for (unsigned index = 0; index < b->ring_count; index++)
        if (b->rings[index].region.fd >= 0)
            ring_opened(context, (int)b->rings[index].number, b->rings[index].region.fd, b->rings[index].size);
}
