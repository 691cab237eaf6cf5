/* One ring of the backlog, the writer's side. Server process, whose used memory its pages are part of. */
#include "shm/ring.h"

#include "server/base/alloc.h"

#include <stdio.h>

#define RESERVE_STEP_BYTES (1024 * 1024)
#define RING_NAME_BYTES    128

/* The next piece of the first lap: at most one step, and not across the ring's edge. */
static int reserve_step(struct ring *ring)
{
    uint64_t lap_end = ring->first + ring->size;
    uint64_t from = ring->reserved_until, at = from % ring->size;
    uint64_t bytes = RESERVE_STEP_BYTES;
    if (bytes > lap_end - from) bytes = lap_end - from;
    if (bytes > ring->size - at) bytes = ring->size - at;
    if (region_reserve(&ring->region, at, bytes) != 0) return -1;
    ring->reserved_until = from + bytes == lap_end ? UINT64_MAX : from + bytes;
    mem_account((ptrdiff_t)bytes);
    return 0;
}

int ring_reserve(struct ring *ring, uint64_t until)
{
    while (ring->reserved_until < until)
        if (reserve_step(ring) != 0) return -1;
    return 0;
}

static void object_name(char out[RING_NAME_BYTES], const char *backlog_name, uint64_t number)
{
    snprintf(out, RING_NAME_BYTES, "%s.%llu", backlog_name, (unsigned long long)number);
}

int ring_create(struct ring *ring, enum region_kind kind, const char *backlog_name, uint64_t number, uint64_t size,
                uint64_t first)
{
    char name[RING_NAME_BYTES];
    object_name(name, backlog_name, number);
    *ring = (struct ring){.number = number,
                          .named_after = number,
                          .size = size,
                          .first = first,
                          .end = UINT64_MAX,
                          .reserved_until = first};
    if (region_create(&ring->region, kind, name, size, 0) != 0) return -1;
    if (reserve_step(ring) == 0) return 0;
    region_close(&ring->region, name);
    return -1;
}

void ring_close(struct ring *ring, const char *backlog_name)
{
    char name[RING_NAME_BYTES];
    object_name(name, backlog_name, ring->named_after);
    mem_account(-(ptrdiff_t)ring_memory(ring));
    region_close(&ring->region, name);
}

/* A ring whose first lap is unfinished starts that lap over, at another place. */
void ring_reuse(struct ring *ring, uint64_t number, uint64_t first)
{
    if (ring->reserved_until != UINT64_MAX) {
        mem_account(-(ptrdiff_t)ring_memory(ring));
        region_give_back(&ring->region);
        ring->reserved_until = first;
    }
    ring->number = number;
    ring->first = first;
    ring->end = UINT64_MAX;
}

uint64_t ring_memory(const struct ring *ring)
{
    return ring->reserved_until == UINT64_MAX ? ring->size : ring->reserved_until - ring->first;
}

uint64_t ring_oldest(const struct ring *ring, uint64_t stream_end)
{
    uint64_t end = ring->end < stream_end ? ring->end : stream_end;
    return end - ring->first > ring->size ? end - ring->size : ring->first;
}
