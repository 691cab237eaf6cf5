/* See watchdog.h. Server process.
 *
 * A hook that counts instructions would cost every script up to half of its speed. So none is set while all goes well:
 * a timer's signal sets it, which Lua allows, when the same script is found running for long enough. The timer ticks
 * only while scripts run, and is found or started with one comparison. */
#include "server/script/watchdog.h"

#include "server/base/check.h"
#include "server/base/clock.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define TICK_MAX_MS     10
#define TICKS_EACH_WAIT 8   /* so many ticks until a script is called long, at least */
#define IDLE_TICKS      100 /* without a script: the timer rests */
#define QUIET_COUNT     1000

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

/* Shared with the signal's handler, which runs on the same thread. */
static struct {
    timer_t timer;
    volatile uint64_t running; /* the number of the script that runs; 0: none */
    uint64_t started;          /* so many have */
    volatile int64_t after_us;
    lua_State *volatile lua;
    volatile lua_Hook interrupt;
    volatile int64_t tick_ms; /* 0: the timer rests */
    /* the handler's own */
    uint64_t seen;
    int64_t seen_us;
    int idle_ticks;
} watchdog;

#ifdef __SANITIZE_THREAD__

/* The sanitizer holds a signal back until the thread makes a call that it intercepts. A loop of Lua makes none by
 * itself: its signal would come when it ends. */
static void let_signals_in(lua_State *lua, lua_Debug *where)
{
    (void)lua, (void)where;
    clock_monotonic_us();
}

static const lua_Hook quiet = let_signals_in;

#else

static const lua_Hook quiet = NULL;

#endif

/* As long as nothing is due. */
static void hook_quietly(lua_State *lua)
{
    lua_sethook(lua, quiet, quiet ? LUA_MASKCOUNT : 0, QUIET_COUNT);
}

static void set_timer(int64_t tick_ms)
{
    struct timespec tick = {.tv_nsec = tick_ms * 1000000};
    struct itimerspec every = {.it_interval = tick, .it_value = tick};
    watchdog.tick_ms = tick_ms;
    watchdog.idle_ticks = 0;
    timer_settime(watchdog.timer, 0, &every, NULL);
}

static void hook(lua_State *lua, lua_Debug *where)
{
    hook_quietly(lua);
    if (watchdog.running) watchdog.interrupt(lua, where);
}

static void ticked(int signal)
{
    int saved = errno;
    (void)signal;
    if (!watchdog.running) {
        if (++watchdog.idle_ticks >= IDLE_TICKS) set_timer(0);
    } else if (watchdog.seen != watchdog.running) {
        watchdog.seen = watchdog.running;
        watchdog.seen_us = clock_monotonic_us();
        watchdog.idle_ticks = 0;
    } else if (clock_monotonic_us() - watchdog.seen_us >= watchdog.after_us) {
        lua_sethook(watchdog.lua, hook, LUA_MASKCOUNT, 1);
    }
    errno = saved;
}

void script_watchdog_init(void)
{
    struct sigaction action = {.sa_handler = ticked, .sa_flags = SA_RESTART};
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN};
    event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
    sigaction(SIGRTMIN, &action, NULL);
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &watchdog.timer) == 0);
}

void script_watchdog_start(lua_State *lua, int64_t after_ms, lua_Hook interrupt)
{
    if (after_ms <= 0) return;
    int64_t tick_ms = after_ms / TICKS_EACH_WAIT;
    tick_ms = tick_ms < 1 ? 1 : tick_ms > TICK_MAX_MS ? TICK_MAX_MS : tick_ms;
    watchdog.lua = lua;
    watchdog.after_us = after_ms * 1000;
    watchdog.interrupt = interrupt;
    atomic_signal_fence(memory_order_seq_cst);
    if (quiet) hook_quietly(lua);
    watchdog.running = ++watchdog.started;
    atomic_signal_fence(memory_order_seq_cst);
    if (unlikely(watchdog.tick_ms != tick_ms)) set_timer(tick_ms);
}

/* A hook that was set at the last moment must not be there when other code runs. */
void script_watchdog_stop(void)
{
    if (!watchdog.running) return;
    watchdog.running = 0;
    atomic_signal_fence(memory_order_seq_cst);
    if (unlikely(lua_gethook(watchdog.lua) != NULL)) lua_sethook(watchdog.lua, NULL, 0, 0);
}

struct script_watch script_watchdog_suspend(void)
{
    struct script_watch watch = {watchdog.lua, watchdog.interrupt, watchdog.running, watchdog.after_us,
                                 watchdog.seen_us};
    script_watchdog_stop();
    return watch;
}

void script_watchdog_resume(const struct script_watch *watch)
{
    script_watchdog_stop();
    watchdog.lua = watch->lua;
    watchdog.interrupt = watch->interrupt;
    watchdog.after_us = watch->after_us;
    watchdog.seen_us = watch->seen_us;
    watchdog.seen = watch->running;
    if (quiet && watch->running) hook_quietly(watch->lua);
    atomic_signal_fence(memory_order_seq_cst);
    watchdog.running = watch->running;
}

void script_watchdog_stop_with(lua_State *lua, lua_Hook refuse)
{
    watchdog.after_us = INT64_MAX; /* the handler sets no hook of its own any more */
    atomic_signal_fence(memory_order_seq_cst);
    lua_sethook(lua, refuse, LUA_MASKCOUNT, 1);
}
