/* The backlog's reader. Runs in the link process and in the journal process. */
#include "shm/reader.h"

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "shm/control.h"
#include "shm/doorbell.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

struct mapped_ring {
    struct region region;
    uint64_t number; /* 0: unused */
    uint64_t first, size;
    unsigned entry; /* in the control region's table */
};

struct reader {
    struct region region;
    struct shm_control *control;
    struct shm_reader *self;
    int bell, server_bell;
    uint64_t sleeps; /* as in the control region: odd while the bell is armed */
    struct mapped_ring rings[SHM_RINGS_MAX];
};

static void end_sleep(struct reader *r)
{
    atomic_store_explicit(&r->self->sleeps, ++r->sleeps, memory_order_relaxed);
}

struct reader *reader_attach(enum shm_reader_kind kind, int control_fd, int bell, int server_bell)
{
    struct region region;
    if (control_map(&region, control_fd) != 0) return NULL;
    struct reader *r = mem_calloc(1, sizeof(*r));
    r->region = region;
    r->control = control_of(&region);
    r->self = &r->control->readers[kind];
    r->bell = bell;
    r->server_bell = server_bell;
    r->sleeps = atomic_load_explicit(&r->self->sleeps, memory_order_relaxed);
    if (doorbell_is_sleep(r->sleeps)) end_sleep(r); /* a process before us was killed in it */
    return r;
}

static void unmap_ring(struct mapped_ring *ring)
{
    region_unmap(&ring->region);
    ring->number = 0;
}

void reader_detach(struct reader *r)
{
    for (unsigned i = 0; i < SHM_RINGS_MAX; i++)
        if (r->rings[i].number) unmap_ring(&r->rings[i]);
    region_unmap(&r->region);
    close(r->bell);
    close(r->server_bell);
    mem_free(r);
}

/* The table's entry of a ring, read whole or not at all: the writer may be replacing it at this moment. */
static bool read_entry(const struct reader *r, unsigned index, uint64_t number, uint64_t *first, uint64_t *end)
{
    const struct shm_ring *entry = &r->control->rings[index];
    if (atomic_load_explicit(&entry->number, memory_order_acquire) != number) return false;
    *first = atomic_load_explicit(&entry->first, memory_order_relaxed);
    *end = atomic_load_explicit(&entry->end, memory_order_acquire);
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(&entry->number, memory_order_relaxed) == number;
}

static bool is_stale(const struct reader *r, const struct mapped_ring *ring)
{
    return atomic_load_explicit(&r->control->rings[ring->entry].number, memory_order_acquire) != ring->number;
}

void reader_drop_stale_rings(struct reader *r)
{
    for (unsigned i = 0; i < SHM_RINGS_MAX; i++)
        if (r->rings[i].number && is_stale(r, &r->rings[i])) unmap_ring(&r->rings[i]);
}

int reader_add_ring(struct reader *r, uint64_t number, int fd, uint64_t size)
{
    struct mapped_ring found = {.number = number, .size = size};
    uint64_t end;
    while (found.entry < SHM_RINGS_MAX && !read_entry(r, found.entry, number, &found.first, &end)) found.entry++;
    if (found.entry == SHM_RINGS_MAX) {
        close(fd);
        return 0;
    }
    if (region_map(&found.region, fd, size, false) != 0) {
        close(fd);
        return -1;
    }
    reader_drop_stale_rings(r);
    unsigned place = 0;
    while (place < SHM_RINGS_MAX && r->rings[place].number) place++;
    CHECK(place < SHM_RINGS_MAX); /* every mapped ring that is not stale has an entry of its own */
    r->rings[place] = found;
    return 0;
}

static bool is_mapped(const struct reader *r, uint64_t number)
{
    for (unsigned i = 0; i < SHM_RINGS_MAX; i++)
        if (r->rings[i].number == number) return true;
    return false;
}

void reader_find_rings(struct reader *r)
{
    char name[SHM_NAME_BYTES + 32];
    for (unsigned i = 0; i < SHM_RINGS_MAX; i++) {
        const struct shm_ring *entry = &r->control->rings[i];
        uint64_t number = atomic_load_explicit(&entry->number, memory_order_acquire);
        uint64_t object = atomic_load_explicit(&entry->object, memory_order_relaxed);
        uint64_t size = atomic_load_explicit(&entry->size, memory_order_relaxed);
        if (number == 0 || object == 0 || size == 0 || is_mapped(r, number)) continue;
        snprintf(name, sizeof(name), "%.*s.%llu", SHM_NAME_BYTES, r->control->name, (unsigned long long)object);
        int fd = shm_open(name, O_RDONLY | O_CLOEXEC, 0);
        if (fd >= 0) reader_add_ring(r, number, fd, size);
    }
}

void reader_beat(struct reader *r)
{
    atomic_fetch_add_explicit(&r->self->beats, 1, memory_order_relaxed);
}

uint64_t reader_end(const struct reader *r)
{
    return atomic_load_explicit(&r->control->end, memory_order_acquire);
}

/* The order of the first three loads is what the writer counts on: shm/layout.h. */
struct bytes reader_next_run(const struct reader *r, int slot, uint64_t offset, size_t max_bytes)
{
    uint64_t stream_end = reader_end(r);
    uint64_t window_ring = atomic_load_explicit(&r->control->window_ring, memory_order_acquire);
    if (reader_peer_is_doomed(r, slot) || offset >= stream_end) return bytes_make(NULL, 0);
    for (unsigned i = 0; i < SHM_RINGS_MAX; i++) {
        const struct mapped_ring *ring = &r->rings[i];
        uint64_t first, end;
        if (ring->number < window_ring || ring->number == 0) continue;
        if (!read_entry(r, ring->entry, ring->number, &first, &end) || offset < first || offset >= end) continue;
        uint64_t at = offset % ring->size;
        uint64_t len = (end < stream_end ? end : stream_end) - offset;
        if (len > ring->size - at) len = ring->size - at;
        return bytes_make(ring->region.base + at, len < max_bytes ? len : max_bytes);
    }
    return bytes_make(NULL, 0);
}

static struct shm_peer *peer_of(const struct reader *r, int slot)
{
    CHECK(slot >= 0 && slot < BACKLOG_PEERS_MAX);
    return &r->control->peers[slot];
}

void reader_peer_open(struct reader *r, int slot)
{
    struct shm_peer *peer = peer_of(r, slot);
    atomic_thread_fence(memory_order_release);
    atomic_store_explicit(&peer->phase, PEER_WAITING, memory_order_relaxed);
    atomic_store_explicit(&peer->owes, OWES_NOTHING, memory_order_relaxed);
    atomic_store_explicit(&peer->next_offset, atomic_load_explicit(&peer->from, memory_order_relaxed),
                          memory_order_relaxed);
    atomic_store_explicit(&peer->acked_offset, 0, memory_order_relaxed);
    atomic_store_explicit(&peer->durable_offset, 0, memory_order_relaxed);
    atomic_store_explicit(&peer->heard_ms, 0, memory_order_relaxed);
    atomic_store_explicit(&peer->sent_bytes, 0, memory_order_relaxed);
    atomic_store_explicit(&peer->received_bytes, 0, memory_order_relaxed);
    atomic_store_explicit(&peer->opened, atomic_load_explicit(&peer->claim, memory_order_relaxed),
                          memory_order_release);
}

bool reader_peer_is_doomed(const struct reader *r, int slot)
{
    return atomic_load_explicit(&peer_of(r, slot)->state, memory_order_acquire) == SLOT_DOOMED;
}

void reader_peer_set_state(struct reader *r, int slot, enum shm_peer_phase state)
{
    atomic_store_explicit(&peer_of(r, slot)->phase, state, memory_order_relaxed);
}

void reader_peer_set_debt(struct reader *r, int slot, enum shm_peer_debt owes)
{
    atomic_store_explicit(&peer_of(r, slot)->owes, owes, memory_order_relaxed);
}

void reader_peer_moved(struct reader *r, int slot, uint64_t next_offset)
{
    atomic_store_explicit(&peer_of(r, slot)->next_offset, next_offset, memory_order_release);
}

void reader_peer_let_go(struct reader *r, int slot)
{
    reader_peer_moved(r, slot, SHM_NEEDS_NONE);
}

void reader_peer_acked(struct reader *r, int slot, uint64_t acked_offset, uint64_t fack_offset, int64_t now_ms)
{
    struct shm_peer *peer = peer_of(r, slot);
    uint64_t before = atomic_load_explicit(&peer->acked_offset, memory_order_relaxed);
    uint64_t durable_before = atomic_load_explicit(&peer->durable_offset, memory_order_relaxed);
    bool moved = acked_offset > before || fack_offset > durable_before;
    if (fack_offset) atomic_store_explicit(&peer->durable_offset, fack_offset, memory_order_relaxed);
    atomic_store_explicit(&peer->heard_ms, now_ms, memory_order_relaxed);
    atomic_store(&peer->acked_offset, acked_offset);
    uint64_t watch = atomic_load(&r->control->ack_watch);
    if (watch && acked_offset >= watch && moved) doorbell_ring(r->server_bell);
}

void reader_peer_alive(struct reader *r, int slot, int64_t now_ms)
{
    atomic_store_explicit(&peer_of(r, slot)->heard_ms, now_ms, memory_order_relaxed);
}

static void add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n, memory_order_relaxed);
}

void reader_peer_count(struct reader *r, int slot, uint64_t sent_bytes, uint64_t received_bytes)
{
    if (sent_bytes) add(&peer_of(r, slot)->sent_bytes, sent_bytes);
    if (received_bytes) add(&peer_of(r, slot)->received_bytes, received_bytes);
}

/* --- the journal's --- */

static uint64_t load(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static void store(_Atomic uint64_t *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_relaxed);
}

/* Nobody writes marks meanwhile: who did is dead. */
bool reader_journal_resume(const struct reader *r, int slot, struct journal_mark *out)
{
    const struct shm_peer *peer = peer_of(r, slot);
    const struct shm_mark *found = NULL;
    uint64_t claim = load(&peer->claim);
    if (atomic_load_explicit(&peer->opened, memory_order_acquire) != claim) return false;
    for (int i = 0; i < 2; i++) {
        const struct shm_mark *mark = &r->control->journal.marks[i];
        uint64_t turn = atomic_load_explicit(&mark->turn, memory_order_acquire);
        if (turn && load(&mark->claim) == claim && (!found || turn > load(&found->turn))) found = mark;
    }
    if (!found) return false;
    *out = (struct journal_mark){.file = load(&found->file),
                                 .written_offset = load(&found->written_offset),
                                 .written_bytes = load(&found->written_bytes),
                                 .durable_offset = load(&found->durable_offset),
                                 .durable_bytes = load(&found->durable_bytes),
                                 .in_multi = load(&found->flags) & SHM_MARK_IN_MULTI};
    return true;
}

static void store_mark(struct shm_journal *journal, uint64_t claim, const struct journal_mark *mark)
{
    uint64_t turns[2] = {load(&journal->marks[0].turn), load(&journal->marks[1].turn)};
    int lower = turns[0] <= turns[1] ? 0 : 1;
    struct shm_mark *to = &journal->marks[lower];
    store(&to->turn, 0);
    atomic_thread_fence(memory_order_release);
    store(&to->claim, claim);
    store(&to->file, mark->file);
    store(&to->written_offset, mark->written_offset);
    store(&to->written_bytes, mark->written_bytes);
    store(&to->durable_offset, mark->durable_offset);
    store(&to->durable_bytes, mark->durable_bytes);
    store(&to->flags, mark->in_multi ? SHM_MARK_IN_MULTI : 0);
    atomic_store_explicit(&to->turn, turns[1 - lower] + 1, memory_order_release);
}

void reader_journal_moved(struct reader *r, int slot, const struct journal_mark *mark, uint64_t needs)
{
    struct shm_peer *peer = peer_of(r, slot);
    struct shm_journal *journal = &r->control->journal;
    uint64_t durable = mark->durable_offset - 1, before = load(&peer->durable_offset);
    store_mark(journal, load(&peer->claim), mark);
    store(&journal->file, mark->file);
    store(&journal->file_bytes, mark->written_bytes);
    atomic_store(&peer->acked_offset, mark->written_offset - 1);
    reader_peer_moved(r, slot, needs);
    atomic_store(&peer->durable_offset, durable);
    uint64_t watch = atomic_load(&r->control->durable_watch);
    if (watch && durable >= watch && before < watch) doorbell_ring(r->server_bell);
}

uint64_t reader_journal_files_given(const struct reader *r)
{
    return load(&r->control->files_given);
}

uint64_t reader_journal_call(const struct reader *r)
{
    return atomic_load_explicit(&r->control->journal_call, memory_order_acquire);
}

void reader_journal_finished(struct reader *r, uint64_t number)
{
    atomic_store_explicit(&r->control->journal.finished, number, memory_order_release);
    doorbell_ring(r->server_bell);
}

void reader_journal_error(struct reader *r, int error)
{
    uint64_t before = load(&r->control->journal.error);
    atomic_store_explicit(&r->control->journal.error, (uint64_t)error, memory_order_release);
    if ((before != 0) != (error != 0)) doorbell_ring(r->server_bell);
}

void reader_journal_delay(struct reader *r, enum shm_delay kind, int64_t at_s, int64_t took_us)
{
    _Atomic uint64_t *word = &r->control->journal.slowest[kind][at_s & 1];
    uint64_t took = took_us < UINT32_MAX ? (uint64_t)took_us : UINT32_MAX, news = (uint64_t)at_s << 32 | took;
    if (news > load(word)) store(word, news); /* a later second is the larger word, too */
}

bool reader_history(const struct reader *r, struct control_history *out)
{
    return control_history(r->control, out);
}

uint64_t reader_history_turn(const struct reader *r)
{
    return atomic_load_explicit(&r->control->history_turn, memory_order_relaxed);
}

enum shm_spool_state reader_spool_state(const struct reader *r, int spool)
{
    return (enum shm_spool_state)atomic_load_explicit(&r->control->spools[spool].state, memory_order_acquire);
}

uint64_t reader_spool_bytes(const struct reader *r, int spool)
{
    return atomic_load_explicit(&r->control->spools[spool].bytes, memory_order_acquire);
}

int reader_bell(const struct reader *r)
{
    return r->bell;
}

bool reader_acks_are_watched(const struct reader *r)
{
    return atomic_load_explicit(&r->control->ack_watch, memory_order_relaxed) != 0;
}

bool reader_arm_bell(struct reader *r)
{
    if (doorbell_is_sleep(r->sleeps)) return false;
    atomic_store_explicit(&r->self->sleeps, ++r->sleeps, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    return true;
}

void reader_answer_bell(struct reader *r)
{
    doorbell_clear(r->bell);
    if (doorbell_is_sleep(r->sleeps)) end_sleep(r);
}
