/* A control region's picture, read while its writers go on. Inspecting tool; shm/layout.h has the
 * algorithms. What does not settle within some rounds is taken as it is, or told to be unknown: a writer that was
 * killed in the middle of a change will not finish it. */
#include "shm/inspect.h"

#include "shm/control.h"

#include <ctype.h>
#include <string.h>

#define ROUNDS_MOST 1000

static uint64_t load(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static uint64_t acquire(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_acquire);
}

/* The word once more, after all that was read since. */
static uint64_t again(const _Atomic uint64_t *word)
{
    atomic_thread_fence(memory_order_acquire);
    return load(word);
}

static void copy_id(char out[SHM_ID_BYTES], const char *id)
{
    memcpy(out, id, SHM_ID_BYTES);
    for (char *c = out; *c; c++)
        if (!isgraph((unsigned char)*c)) *c = '?';
}

static void read_ids(const struct shm_control *c, struct inspection *out)
{
    struct control_history history;
    out->ids_known = control_history(c, &history);
    copy_id(out->id, history.id);
    copy_id(out->second_id, history.second_id);
    out->second_offset = history.second_offset;
}

static void read_window(const struct shm_control *c, struct inspection *out)
{
    for (int round = 0; round < ROUNDS_MOST; round++) {
        out->end = acquire(&c->end);
        out->first = load(&c->first);
        out->window_ring = load(&c->window_ring);
        if (again(&c->end) == out->end) return;
    }
}

/* --- rings --- */

static bool read_ring(const struct shm_ring *entry, struct inspected_ring *out)
{
    for (int round = 0; round < ROUNDS_MOST; round++) {
        out->number = acquire(&entry->number);
        if (out->number == 0) return false;
        out->first = load(&entry->first);
        out->end = load(&entry->end);
        out->size = load(&entry->size);
        out->object = load(&entry->object);
        if (again(&entry->number) == out->number) return true;
    }
    return false;
}

static void insert_by_number(struct inspection *out, const struct inspected_ring *ring)
{
    int at = out->ring_count++;
    for (; at > 0 && out->rings[at - 1].number > ring->number; at--) out->rings[at] = out->rings[at - 1];
    out->rings[at] = *ring;
}

static void read_rings(const struct shm_control *c, struct inspection *out)
{
    struct inspected_ring ring;
    for (int entry = 0; entry < SHM_RINGS_MAX; entry++)
        if (read_ring(&c->rings[entry], &ring)) insert_by_number(out, &ring);
}

/* --- spools --- */

static void read_spools(const struct shm_control *c, struct inspection *out)
{
    for (int spool = 0; spool < BACKLOG_SPOOLS_MAX; spool++) {
        uint32_t state = atomic_load_explicit(&c->spools[spool].state, memory_order_acquire);
        if (state == SPOOL_FREE) continue;
        out->spools[out->spool_count++] =
            (struct inspected_spool){.spool = spool, .state = state, .bytes = acquire(&c->spools[spool].bytes)};
    }
}

/* --- peers --- */

/* What the server has said of it, and what the link has: false if the slot is free. */
static bool read_peer(const struct shm_peer *peer, struct inspected_peer *out)
{
    for (int round = 0; round < ROUNDS_MOST; round++) {
        uint64_t claim = acquire(&peer->claim);
        *out = (struct inspected_peer){.state = atomic_load_explicit(&peer->state, memory_order_acquire)};
        if (out->state == SLOT_FREE) return false;
        out->needs = load(&peer->from);
        out->takes_file_alone = out->needs == SHM_NEEDS_NONE;
        out->kind = atomic_load_explicit(&peer->kind, memory_order_relaxed);
        out->opened = acquire(&peer->opened) == claim;
        if (out->opened) {
            out->phase = atomic_load_explicit(&peer->phase, memory_order_relaxed);
            out->owes = atomic_load_explicit(&peer->owes, memory_order_relaxed);
            out->needs = load(&peer->next_offset);
            out->acked_offset = load(&peer->acked_offset);
            out->durable_offset = load(&peer->durable_offset);
            out->heard_ms = atomic_load_explicit(&peer->heard_ms, memory_order_relaxed);
            out->sent_bytes = load(&peer->sent_bytes);
            out->received_bytes = load(&peer->received_bytes);
        }
        if (again(&peer->claim) == claim) return true;
    }
    return true;
}

static void read_peers(const struct shm_control *c, struct inspection *out)
{
    for (int slot = 0; slot < BACKLOG_PEERS_MAX; slot++) {
        struct inspected_peer *peer = &out->peers[out->peer_count];
        if (!read_peer(&c->peers[slot], peer)) continue;
        peer->slot = slot;
        out->peer_count++;
    }
}

/* --- all --- */

/* Magic, version and length stand where they do in every version. */
static enum inspect_verdict identify(const struct region *r, struct inspection *out)
{
    const struct shm_control *c = control_of(r);
    if (r->bytes < offsetof(struct shm_control, name) || acquire(&c->magic) != SHM_MAGIC) return INSPECT_NO_BACKLOG;
    out->version = c->version;
    out->control_bytes = c->control_bytes;
    if (c->version != SHM_VERSION) return INSPECT_OTHER_VERSION;
    return c->control_bytes == sizeof(*c) && r->bytes >= sizeof(*c) ? INSPECT_UNDERSTOOD : INSPECT_NO_BACKLOG;
}

/* Peers come before the end of the stream: what the link says it has is then no more than what there is. */
enum inspect_verdict inspect_read(const struct region *r, struct inspection *out)
{
    *out = (struct inspection){0};
    enum inspect_verdict verdict = identify(r, out);
    if (verdict != INSPECT_UNDERSTOOD) return verdict;
    const struct shm_control *c = control_of(r);
    read_ids(c, out);
    read_peers(c, out);
    read_spools(c, out);
    read_rings(c, out);
    read_window(c, out);
    for (int kind = 0; kind < SHM_READERS; kind++) {
        out->readers[kind].sleeps = load(&c->readers[kind].sleeps);
        out->readers[kind].beats = load(&c->readers[kind].beats);
    }
    out->ack_watch = load(&c->ack_watch);
    out->durable_watch = load(&c->durable_watch);
    out->journal_file = load(&c->journal.file);
    out->journal_file_bytes = load(&c->journal.file_bytes);
    out->journal_error = load(&c->journal.error);
    return INSPECT_UNDERSTOOD;
}
