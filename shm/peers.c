/* Peer slots, the writer's side: who needs which bytes. Server process. shm/layout.h has the algorithm. */
#include "shm/writer.h"

#include "server/base/check.h"

/* for (int slot = next_peer(b, -1); slot >= 0; slot = next_peer(b, slot)) over the claimed slots */
static int next_peer(const struct backlog *b, int slot)
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
    for (int slot = next_peer(b, -1); slot >= 0; slot = next_peer(b, slot)) {
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

static int slowest(const struct backlog *b, bool replicas_alone, uint64_t *needs)
{
    int found = -1;
    *needs = UINT64_MAX;
    for (int slot = next_peer(b, -1); slot >= 0; slot = next_peer(b, slot)) {
        uint64_t from, until;
        needed_range(b, slot, &from, &until);
        if (b->peers[slot].doomed || from == SHM_NEEDS_NONE || from >= *needs) continue;
        if (replicas_alone && b->peers[slot].kind != SHM_LINK) continue;
        found = slot;
        *needs = from;
    }
    return found;
}

int writer_slowest_peer(const struct backlog *b, uint64_t *needs)
{
    return slowest(b, false, needs);
}

int writer_slowest_replica(const struct backlog *b, uint64_t *needs)
{
    return slowest(b, true, needs);
}

static void publish_claim(struct shm_peer *slot, const struct writer_peer *peer)
{
    atomic_store_explicit(&slot->claim, peer->claim, memory_order_release);
    atomic_thread_fence(memory_order_release);
    atomic_store_explicit(&slot->from, peer->from, memory_order_relaxed);
    atomic_store_explicit(&slot->kind, peer->kind, memory_order_relaxed);
    atomic_store_explicit(&slot->state, SLOT_CLAIMED, memory_order_release);
}

static int claim(struct backlog *b, enum shm_reader_kind kind, uint64_t from)
{
    for (int slot = 0; slot < BACKLOG_PEERS_MAX; slot++) {
        uint64_t bit = UINT64_C(1) << (slot % 64);
        if (b->claimed[slot / 64] & bit) continue;
        b->claimed[slot / 64] |= bit;
        b->peers[slot] = (struct writer_peer){
            .claim = b->peers[slot].claim + 1, .from = from, .kind = kind, .history_ring = b->history_ring};
        publish_claim(&b->control->peers[slot], &b->peers[slot]);
        b->limit = b->end;
        return slot;
    }
    return -1;
}

int backlog_peer_claim(struct backlog *b, uint64_t from)
{
    CHECK(backlog_is_shared(b) && from >= backlog_first(b) && from <= b->end);
    return claim(b, SHM_LINK, from);
}

int backlog_peer_claim_unpinned(struct backlog *b)
{
    return claim(b, SHM_LINK, SHM_NEEDS_NONE);
}

int backlog_journal_claim(struct backlog *b, uint64_t from)
{
    CHECK(backlog_is_shared(b) && from >= backlog_first(b) && from <= b->end && b->journal_slot < 0);
    int slot = claim(b, SHM_JOURNAL, from);
    b->journal_slot = slot;
    b->hold_from = b->end;
    return slot;
}

/* A share of the limit has to be free again before writes go on: not one by one. */
#define HYSTERESIS 8

/* With no limit to go by: more memory than this is not taken from the machine for a disk's sake. */
#define LAG_WITHOUT_LIMIT_BYTES (UINT64_C(1) << 30)

/* The slot is looked at only once the stream has come as far as the last look allowed. */
bool backlog_journal_is_behind(struct backlog *b)
{
    if (b->journal_slot < 0) return false;
    if (!b->journal_is_behind && b->end < b->hold_from && backlog_is_shared(b)) return false;
    uint64_t needs = lowest_needed(b, b->journal_slot), allowed = writer_allowed_lag(b);
    if (allowed == UINT64_MAX) allowed = LAG_WITHOUT_LIMIT_BYTES;
    uint64_t most = b->journal_is_behind ? allowed - allowed / HYSTERESIS : allowed;
    if (needs == SHM_NEEDS_NONE) needs = b->end;
    b->journal_is_behind = !backlog_is_shared(b) || b->end - needs >= most;
    b->hold_from = needs + allowed;
    return b->journal_is_behind;
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
    if (slot == b->journal_slot) b->journal_slot = -1;
    b->limit = b->end;
    writer_drop_unneeded_rings(b);
}

void backlog_peer_doom(struct backlog *b, int slot)
{
    CHECK(is_claimed(b, slot));
    CHECK(b->peers[slot].kind != SHM_JOURNAL);
    if (b->peers[slot].doomed) return;
    b->peers[slot].doomed = true;
    b->peers[slot].doom_end = b->end;
    b->limit = b->end;
    atomic_store_explicit(&b->control->peers[slot].state, SLOT_DOOMED, memory_order_release);
    doorbell_ring(b->bells[SHM_LINK].fd);
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
        .opened = true,
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

/* The caller looks at the journal's slot after this: the journal stores its offset before it looks at the watch. */
void backlog_watch_durable(struct backlog *b, uint64_t offset)
{
    atomic_store(&b->control->durable_watch, offset);
}

void backlog_journal_give_file(struct backlog *b, uint64_t number)
{
    atomic_store_explicit(&b->control->files_given, number, memory_order_relaxed);
}

uint64_t backlog_journal_files_given(const struct backlog *b)
{
    return atomic_load_explicit(&b->control->files_given, memory_order_relaxed);
}

const struct shm_journal *backlog_journal(const struct backlog *b)
{
    return &b->control->journal;
}

int backlog_server_bell(const struct backlog *b)
{
    return b->server_bell;
}
