/* MEMORY DOCTOR: what is odd about the memory's figures, in words. Server process.
 *
 * The words are Redis's where they hold here, and so are the bounds as far as its words name them. */
#include "server/core/info/memory_usage.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MEGABYTE            (1024 * 1024)
#define TOO_LITTLE          (5 * MEGABYTE)  /* below, every ratio looks bad */
#define NOTABLE_GAP         (10 * MEGABYTE) /* below, a bad ratio costs nothing */
#define BIG_CLIENT_BYTES    (200 * 1024)
#define BIG_REPLICA_BYTES   (10 * MEGABYTE)
#define PEAK_RATIO          1.5
#define FRAGMENTATION_RATIO 1.4
#define ALLOCATOR_RATIO     1.1

static void say(struct outq *out, const char *text)
{
    outq_append(out, text, strlen(text));
}

/* `outer` is far more than what it holds. */
static bool gapes(size_t outer, size_t inner, double ratio)
{
    return outer > inner && outer - inner > NOTABLE_GAP && memory_ratio(outer, inner) > ratio;
}

static void say_fragmentation(const struct memory_usage *u, struct outq *out)
{
    char note[128];
    if (gapes(u->resident, u->used, FRAGMENTATION_RATIO)) {
        say(out,
            " * High total RSS: This instance has a memory fragmentation and RSS overhead greater than 1.4 (this means "
            "that the Resident Set Size of the Redis process is much larger than the sum of the logical allocations "
            "Redis performed). This problem is usually due either to a large peak memory (check if there is a peak "
            "memory entry above in the report) or may result from a workload that causes the allocator to fragment "
            "memory a lot. If the problem is a large peak memory, then there is no issue. Note: The currently used "
            "allocator is ");
        snprintf(note, sizeof note, "\"%s\".\n\n", mem_allocator_name());
        say(out, note);
    }
    if (gapes(u->allocator.active, u->allocator.allocated, ALLOCATOR_RATIO))
        say(out, " * High allocator fragmentation: This instance has an allocator external fragmentation greater than "
                 "1.1. This problem is usually due either to a large peak memory (check if there is a peak memory "
                 "entry above in the report) or may result from a workload that causes the allocator to fragment "
                 "memory a lot.\n\n");
    if (gapes(u->allocator.resident, u->allocator.active, ALLOCATOR_RATIO))
        say(out,
            " * High allocator RSS overhead: This instance has an RSS memory overhead greater than 1.1 (this means "
            "that the Resident Set Size of the allocator is much larger than the sum what the allocator actually "
            "holds). This problem is usually due to a large peak memory (check if there is a peak memory entry "
            "above in the report), you can try the MEMORY PURGE command to reclaim it.\n\n");
    if (gapes(u->resident, u->allocator.resident, ALLOCATOR_RATIO))
        say(out, " * High process RSS overhead: This instance has non-allocator RSS memory overhead greater than 1.1 "
                 "(this means that the Resident Set Size of the Redis process is much larger than the RSS the "
                 "allocator holds).\n\n");
}

static void say_buffers(const struct memory_usage *u, size_t clients, size_t replicas, struct outq *out)
{
    if (replicas && u->for_replicas / replicas > BIG_REPLICA_BYTES)
        say(out, " * Big replica buffers: The replica output buffers in this instance are greater than 10MB for each "
                 "replica (on average). This likely means that there is some replica instance that is struggling "
                 "receiving data, either because it is too slow or because of networking issues.\n\n");
    if (clients && u->clients / clients > BIG_CLIENT_BYTES)
        say(out, " * Big client buffers: The clients output buffers in this instance are greater than 200K per client "
                 "(on average). This may result from different causes, like Pub/Sub clients subscribed to channels "
                 "but not receiving data fast enough, or clients sending commands with large replies or very large "
                 "queries in the pipeline. Use CLIENT LIST to find them.\n\n");
}

void memory_doctor(const struct memory_usage *u, size_t clients, size_t replicas, struct outq *out)
{
    struct outq issues = {0};
    if (u->used < TOO_LITTLE) {
        say(out, "Hi Sam, this instance is empty or is using very little memory, my issues detector can't be used in "
                 "these conditions. Please, leave for your mission on Earth and fill it with some data. The new Sam "
                 "and I will be back to our programming as soon as I finished rebooting.\n");
        return;
    }
    if (memory_ratio(u->peak, u->used) > PEAK_RATIO)
        say(&issues,
            " * Peak memory: In the past this instance used more than 150% the memory that is currently using. The "
            "allocator is normally not able to release memory after a peak, so you can expect to see a big "
            "fragmentation ratio, however this is actually harmless and is only due to the memory peak, and if the "
            "Redis instance Resident Set Size (RSS) is currently bigger than expected, the memory will be used as soon "
            "as you fill the Redis instance with more data. If the memory peak was only occasional and you want to try "
            "to reclaim memory, please try the MEMORY PURGE command, otherwise the only other option is to shutdown "
            "and restart the instance.\n\n");
    say_fragmentation(u, &issues);
    say_buffers(u, clients, replicas, &issues);
    if (outq_empty(&issues)) {
        say(out, "Hi Sam, I can't find any memory issue in your instance. "
                 "I can only account for what occurs on this base.\n");
    } else {
        say(out, "Sam, I detected a few issues in this Redis instance memory implants:\n\n");
        outq_move(out, &issues);
        say(out, "I'm here to keep you safe, Sam. I want to help you.\n");
    }
    outq_clear(&issues);
}
