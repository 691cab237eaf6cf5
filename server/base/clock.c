/* Clocks: wall time, monotonic time, and cheap ticks for statistics. Any process.
 *
 * The processor's counter costs a fraction of clock_gettime, which matters when every command is timed. It is trusted
 * only where the processor promises a constant rate through all sleep states; its rate is then measured against
 * CLOCK_MONOTONIC for a millisecond, which is exact to some hundredths of a percent: enough for statistics. */
#include "server/base/clock.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

#ifdef __x86_64__
#include <cpuid.h>
#include <x86intrin.h>
#endif

#define CALIBRATION_NS 1000000

static bool ticks_from_counter;
static uint64_t ns_per_tick_q32 = (uint64_t)1 << 32; /* fixed point, 32 fractional bits; 1.0 without a counter */

static _Atomic int64_t wall_step_us;         /* I/O threads read it, too */
static const struct clock_source *handed_in; /* NULL: the kernel's clocks */

static uint64_t read_ns(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void clock_use(const struct clock_source *source)
{
    handed_in = source;
    ticks_from_counter = false;
    ns_per_tick_q32 = (uint64_t)1 << 32;
}

int64_t clock_wall_us(void)
{
    int64_t wall_us = handed_in ? handed_in->wall_us(handed_in->context) : (int64_t)(read_ns(CLOCK_REALTIME) / 1000);
    return wall_us + atomic_load_explicit(&wall_step_us, memory_order_relaxed);
}

void clock_step_wall(int64_t us)
{
    atomic_fetch_add_explicit(&wall_step_us, us, memory_order_relaxed);
}

int64_t clock_wall_ms(void)
{
    return clock_wall_us() / 1000;
}

int64_t clock_monotonic_us(void)
{
    if (handed_in) return handed_in->monotonic_us(handed_in->context);
    return (int64_t)(read_ns(CLOCK_MONOTONIC) / 1000);
}

int64_t clock_monotonic_ms(void)
{
    return clock_monotonic_us() / 1000;
}

/* Where the processor's counter does not serve. */
static uint64_t slow_ticks(void)
{
    return handed_in ? (uint64_t)clock_monotonic_us() * 1000 : read_ns(CLOCK_MONOTONIC);
}

#ifdef __x86_64__

static bool counter_is_invariant(void)
{
    unsigned eax, ebx, ecx, edx;
    return __get_cpuid(0x80000007, &eax, &ebx, &ecx, &edx) && (edx & (1u << 8));
}

void clock_init(void)
{
    if (!counter_is_invariant()) return;
    uint64_t start_ns = read_ns(CLOCK_MONOTONIC), start = __rdtsc(), now_ns, now;
    do {
        now_ns = read_ns(CLOCK_MONOTONIC);
        now = __rdtsc();
    } while (now_ns - start_ns < CALIBRATION_NS);
    if (now <= start) return;
    ns_per_tick_q32 = ((now_ns - start_ns) << 32) / (now - start);
    ticks_from_counter = true;
}

uint64_t clock_ticks(void)
{
    return ticks_from_counter ? __rdtsc() : slow_ticks();
}

#else

void clock_init(void) {}

uint64_t clock_ticks(void)
{
    return slow_ticks();
}

#endif

uint64_t clock_ticks_to_ns(uint64_t ticks)
{
    return (uint64_t)(((unsigned __int128)ticks * ns_per_tick_q32) >> 32);
}

uint64_t clock_ns_to_ticks(uint64_t ns)
{
    unsigned __int128 ticks = ((unsigned __int128)ns << 32) / ns_per_tick_q32;
    return ticks < UINT64_MAX ? (uint64_t)ticks : UINT64_MAX;
}
