/* A picture of a control region as one page of text. Inspecting tool. */
#include "shm/inspect.h"

#include <inttypes.h>

#define TEXT_BYTES 32

struct text {
    char chars[TEXT_BYTES];
};

static struct text number(uint64_t value)
{
    struct text t;
    snprintf(t.chars, sizeof(t.chars), "%" PRIu64, value);
    return t;
}

/* A word of which 0 or the largest value has a meaning of its own. */
static struct text number_or(uint64_t value, uint64_t special, const char *meaning)
{
    struct text t = number(value);
    if (value == special) snprintf(t.chars, sizeof(t.chars), "%s", meaning);
    return t;
}

/* How much more `end` is; 0 when it is less, as it may be for a moment when a history begins anew. */
static uint64_t distance(uint64_t from, uint64_t end)
{
    return from < end ? end - from : 0;
}

/* --- the stream --- */

static void print_writer(const struct inspect_surroundings *around, FILE *out)
{
    fprintf(out, "  writer    pid %d, ", around->owner.pid);
    if (around->owner.state == OWNER_LIVING)
        fprintf(out, "running\n");
    else
        fprintf(out, "has ended: the next server of its port and directory goes on with this, or removes it\n");
}

static void print_history(const struct inspection *i, FILE *out)
{
    if (!i->ids_known) {
        fprintf(out, "  history   its ids were being changed\n");
        return;
    }
    fprintf(out, "  history   %s at offset %" PRIu64 "\n", i->id, i->end - 1);
    if (i->second_offset < 0)
        fprintf(out, "  before    none\n");
    else
        fprintf(out, "  before    %s, up to offset %" PRId64 "\n", i->second_id, i->second_offset);
}

static void print_process(const struct inspection *i, enum shm_reader_kind kind, FILE *out)
{
    static const char *const names[] = {[SHM_LINK] = "link", [SHM_JOURNAL] = "journal"};
    uint64_t sleeps = i->readers[kind].sleeps, beats = i->readers[kind].beats;
    if (beats == 0 && sleeps == 0)
        fprintf(out, "  %-9s not seen yet\n", names[kind]);
    else
        fprintf(out, "  %-9s %s, %" PRIu64 " beats so far\n", names[kind], sleeps % 2 ? "asleep" : "awake", beats);
}

static void print_readers(const struct inspection *i, FILE *out)
{
    print_process(i, SHM_LINK, out);
    fprintf(out, "  awaited   %s\n", number_or(i->ack_watch, 0, "nothing").chars);
    print_process(i, SHM_JOURNAL, out);
    if (i->journal_file == 0) return;
    fprintf(out, "  file      its number %" PRIu64 ", %" PRIu64 " bytes", i->journal_file, i->journal_file_bytes);
    if (i->journal_error) fprintf(out, ", and it cannot be written (error %" PRIu64 ")", i->journal_error);
    fprintf(out, "\n  awaited   %s on disk\n", number_or(i->durable_watch, 0, "nothing").chars);
}

static void print_rings(const struct inspection *i, FILE *out)
{
    fprintf(out, "\n  Rings: %d, and the window begins in number %" PRIu64 "\n", i->ring_count, i->window_ring);
    if (i->ring_count) fprintf(out, "  %8s %8s %16s %16s %14s\n", "number", "object", "first", "end", "bytes");
    for (int n = 0; n < i->ring_count; n++) {
        const struct inspected_ring *ring = &i->rings[n];
        fprintf(out, "  %8" PRIu64 " %8s %16" PRIu64 " %16s %14" PRIu64 "\n", ring->number,
                number_or(ring->object, 0, "nameless").chars, ring->first,
                number_or(ring->end, SHM_OPEN_END, "open").chars, ring->size);
    }
}

static void print_spools(const struct inspection *i, FILE *out)
{
    static const char *const states[] = {
        [SPOOL_GROWING] = "growing", [SPOOL_COMPLETE] = "complete", [SPOOL_FAILED] = "failed"};
    fprintf(out, "\n  Spools: %d\n", i->spool_count);
    if (i->spool_count) fprintf(out, "  %8s %8s %16s\n", "slot", "state", "bytes");
    for (int n = 0; n < i->spool_count; n++) {
        const struct inspected_spool *spool = &i->spools[n];
        bool known = spool->state < sizeof(states) / sizeof(*states);
        fprintf(out, "  %8d %8s %16" PRIu64 "\n", spool->spool, known ? states[spool->state] : "?", spool->bytes);
    }
}

/* --- readers --- */

static const char *state_of(const struct inspected_peer *peer)
{
    static const char *const phases[] = {
        [PEER_WAITING] = "waiting", [PEER_SENDING_SNAPSHOT] = "snapshot", [PEER_ONLINE] = "online"};
    if (peer->state == SLOT_DOOMED) return "doomed";
    if (peer->state != SLOT_CLAIMED) return "?";
    if (!peer->opened) return "claimed";
    if (peer->needs == SHM_NEEDS_NONE && !peer->takes_file_alone) return "let go";
    return peer->phase < sizeof(phases) / sizeof(*phases) ? phases[peer->phase] : "?";
}

static struct text behind(const struct inspection *i, const struct inspected_peer *peer)
{
    return peer->needs == SHM_NEEDS_NONE ? number_or(0, 0, "-") : number(distance(peer->needs, i->end));
}

static struct text unacked(const struct inspection *i, const struct inspected_peer *peer)
{
    return peer->acked_offset == 0 ? number_or(0, 0, "-") : number(distance(peer->acked_offset + 1, i->end));
}

static struct text heard(const struct inspected_peer *peer, int64_t now_ms)
{
    struct text t = number_or(0, 0, "never");
    if (peer->heard_ms)
        snprintf(t.chars, sizeof(t.chars), "%" PRId64 " ms", (int64_t)((uint64_t)now_ms - (uint64_t)peer->heard_ms));
    return t;
}

static const char *owes(const struct inspected_peer *peer)
{
    static const char *const debts[] = {
        [OWES_NOTHING] = "nothing", [OWES_TAKING] = "to take", [OWES_WORD] = "a word", [OWES_CLOSE] = "its end"};
    return peer->owes < sizeof(debts) / sizeof(*debts) ? debts[peer->owes] : "?";
}

static void print_peer(const struct inspection *i, const struct inspected_peer *peer, int64_t now_ms, FILE *out)
{
    static const char *const kinds[] = {[SHM_LINK] = "replica", [SHM_JOURNAL] = "journal"};
    fprintf(out, "  %4d %8s %9s %14s %14s %14s %14s %14s %12s %8s\n", peer->slot,
            peer->kind < SHM_READERS ? kinds[peer->kind] : number(peer->kind).chars, state_of(peer),
            number_or(peer->needs, SHM_NEEDS_NONE, "nothing").chars, behind(i, peer).chars,
            number_or(peer->acked_offset, 0, "-").chars, unacked(i, peer).chars,
            number_or(peer->durable_offset, 0, "-").chars, heard(peer, now_ms).chars, owes(peer));
}

/* NULL: nobody needs anything. */
static const struct inspected_peer *slowest(const struct inspection *i)
{
    const struct inspected_peer *found = NULL;
    for (int n = 0; n < i->peer_count; n++) {
        const struct inspected_peer *peer = &i->peers[n];
        if (peer->needs != SHM_NEEDS_NONE && (!found || peer->needs < found->needs)) found = peer;
    }
    return found;
}

static void print_peers(const struct inspection *i, int64_t now_ms, FILE *out)
{
    const struct inspected_peer *last = slowest(i);
    fprintf(out, "\n  Readers: %d", i->peer_count);
    if (last) fprintf(out, ", the slowest is slot %d, %s bytes behind", last->slot, behind(i, last).chars);
    fprintf(out, "\n");
    if (i->peer_count)
        fprintf(out, "  %4s %8s %9s %14s %14s %14s %14s %14s %12s %8s\n", "slot", "kind", "state", "needs from",
                "behind", "acknowledged", "unacknowledged", "durable", "heard before", "owes");
    for (int n = 0; n < i->peer_count; n++) print_peer(i, &i->peers[n], now_ms, out);
}

void inspect_print(const struct inspection *i, const struct inspect_surroundings *around, FILE *out)
{
    fprintf(out, "Backlog %s\n", around->name);
    fprintf(out, "  layout    version %" PRIu32 ", %" PRIu32 " bytes\n", i->version, i->control_bytes);
    print_writer(around, out);
    print_history(i, out);
    fprintf(out, "  window    offsets %" PRIu64 " to %" PRIu64 ", %" PRIu64 " bytes\n", i->first, i->end - 1,
            distance(i->first, i->end));
    fprintf(out, "  memory    %" PRIu64 " bytes in %u objects\n", around->memory_bytes, around->objects);
    print_readers(i, out);
    print_rings(i, out);
    print_spools(i, out);
    print_peers(i, around->now_ms, out);
}
