/* Peer slots, the writer's side: who needs which bytes. Server process. shm/layout.h has the algorithm. */
#include "shm/writer.h"

#include "server/base/check.h"
#include "shm/doorbell.h"

int writer_next_peer(const struct backlog *b, int slot)
{
    for (unsigned next = (unsigned)(slot + 1); next < BACKLOG_PEERS_MAX; next = (next | 63) + 1) {
        uint64_t rest = b->claimed[next / 64] >> (next % 64);
        if (rest) return (int)next + __builtin_ctzll(rest);
    }
    return -1;
}

/* Whether the link's line speaks of the peer that has the slot now. */
static bool is_opened(const struct backlog *b, int slot)
{
    return atomic_load_explicit(&b->control->peers[slot].opened, memory_order_acquire) == b->peers[slot].claim;
}

static uint64_t lowest_needed(const struct backlog *b, int slot)
{
    if (!is_opened(b, slot)) return b->peers[slot].from;
    return atomic_load_explicit(&b->control->peers[slot].next_offset, memory_order_acquire);
}

/* The range a peer may still read, in its own history. */
static void needed_range(const struct backlog *b, int slot, uint64_t *from, uint64_t *until)
{
    *from = lowest_needed(b, slot);
    *until = b->peers[slot].doomed ? b->peers[slot].doom_end : UINT64_MAX;
}

uint64_t writer_lowest_pin(const struct backlog *b, const struct ring *ring)
{
    uint64_t lowest = UINT64_MAX;
    for (int slot = writer_next_peer(b, -1); slot >= 0; slot = writer_next_peer(b, slot)) {
        bool ring_is_older = ring->number < b->history_ring;
        bool peer_is_older = b->peers[slot].history_ring < b->history_ring;
        uint64_t from, until;
        if (ring_is_older != peer_is_older) continue;
        needed_range(b, slot, &from, &until);
        if (from == SHM_NEEDS_NONE) continue;
        if (from < ring->first) from = ring->first;
        if (from < until && from < ring->end && from < lowest) lowest = from;
    }
    return lowest;
}

int writer_slowest_peer(const struct backlog *b, uint64_t *needs)
{
    int slowest = -1;
    *needs = UINT64_MAX;
    for (int slot = writer_next_peer(b, -1); slot >= 0; slot = writer_next_peer(b, slot)) {
        uint64_t from, until;
        needed_range(b, slot, &from, &until);
        if (b->peers[slot].doomed || from == SHM_NEEDS_NONE || from >= *needs) continue;
        slowest = slot;
        *needs = from;
    }
    return slowest;
}

static void publish_claim(struct shm_peer *slot, const struct writer_peer *peer)
{
    atomic_store_explicit(&slot->claim, peer->claim, memory_order_release);
    atomic_thread_fence(memory_order_release);
    atomic_store_explicit(&slot->from, peer->from, memory_order_relaxed);
    atomic_store_explicit(&slot->state, SLOT_CLAIMED, memory_order_release);
}

static int claim(struct backlog *b, uint64_t from)
{
    for (int slot = 0; slot < BACKLOG_PEERS_MAX; slot++) {
        uint64_t bit = UINT64_C(1) << (slot % 64);
        if (b->claimed[slot / 64] & bit) continue;
        b->claimed[slot / 64] |= bit;
        b->peers[slot] =
            (struct writer_peer){.claim = b->peers[slot].claim + 1, .from = from, .history_ring = b->history_ring};
        publish_claim(&b->control->peers[slot], &b->peers[slot]);
        b->limit = b->end;
        return slot;
    }
    return -1;
}

int backlog_peer_claim(struct backlog *b, uint64_t from)
{
    CHECK(backlog_is_shared(b) && from >= backlog_first(b) && from <= b->end);
    return claim(b, from);
}

int backlog_peer_claim_unpinned(struct backlog *b)
{
    return claim(b, SHM_NEEDS_NONE);
}

static bool is_claimed(const struct backlog *b, int slot)
{
    return slot >= 0 && slot < BACKLOG_PEERS_MAX && (b->claimed[slot / 64] >> (slot % 64) & 1);
}

void backlog_peer_free(struct backlog *b, int slot)
{
    CHECK(is_claimed(b, slot));
    atomic_store_explicit(&b->control->peers[slot].state, SLOT_FREE, memory_order_release);
    b->claimed[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
    b->limit = b->end;
    writer_drop_unneeded_rings(b);
}

void backlog_peer_doom(struct backlog *b, int slot)
{
    CHECK(is_claimed(b, slot));
    if (b->peers[slot].doomed) return;
    b->peers[slot].doomed = true;
    b->peers[slot].doom_end = b->end;
    b->limit = b->end;
    atomic_store_explicit(&b->control->peers[slot].state, SLOT_DOOMED, memory_order_release);
    doorbell_ring(b->link_bell);
}

void backlog_peer_view(const struct backlog *b, int slot, struct backlog_peer_view *out)
{
    CHECK(is_claimed(b, slot));
    const struct shm_peer *peer = &b->control->peers[slot];
    uint64_t needs = lowest_needed(b, slot);
    *out = (struct backlog_peer_view){.state = PEER_WAITING, .next_offset = needs == SHM_NEEDS_NONE ? b->end : needs};
    if (!is_opened(b, slot)) return;
    *out = (struct backlog_peer_view){
        .state = (enum shm_peer_phase)atomic_load_explicit(&peer->phase, memory_order_relaxed),
        .next_offset = out->next_offset,
        .acked_offset = atomic_load(&peer->acked_offset),
        .fack_offset = atomic_load_explicit(&peer->durable_offset, memory_order_relaxed),
        .heard_ms = atomic_load_explicit(&peer->heard_ms, memory_order_relaxed),
        .sent_bytes = atomic_load_explicit(&peer->sent_bytes, memory_order_relaxed),
        .received_bytes = atomic_load_explicit(&peer->received_bytes, memory_order_relaxed),
        .owes = (enum shm_peer_debt)atomic_load_explicit(&peer->owes, memory_order_relaxed),
    };
}

/* The caller counts acknowledgements after this: the link stores an acknowledgement before it looks at the watch. */
void backlog_watch_acks(struct backlog *b, uint64_t offset)
{
    atomic_store(&b->control->ack_watch, offset);
}

int backlog_server_bell(const struct backlog *b)
{
    return b->server_bell;
}
