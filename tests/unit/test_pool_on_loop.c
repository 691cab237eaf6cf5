/* The I/O threads on a loop, on both engines: what is for more connections than a thread's queue has places. */
#include <dirent.h>
#include <string.h>

#include "server/net/pool/pool.h"
#include "server/net/pool/spsc.h"
#include "tests/unit/test_net_on_loop.h"

enum { COUNT = SPSC_CAPACITY + 200, SPARE_FDS = 100 };

static struct pool *pool;
static struct side sides[COUNT];
static int peers[COUNT];

static void no_reading(void *reading)
{
    (void)reading;
}

static void read_nothing(void *context, void *reading, void **memo, const uint8_t *data, size_t len)
{
    (void)context, (void)reading, (void)memo, (void)data, (void)len;
}

static void heard(struct side *side)
{
    pool_heard(pool, side->conn);
}

static bool may_open_enough(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur >= 2 * COUNT + SPARE_FDS) return true;
    limit.rlim_cur = 2 * COUNT + SPARE_FDS;
    if (limit.rlim_max < limit.rlim_cur) limit.rlim_max = limit.rlim_cur;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

/* One thread, to which all of them are lent. */
static void open_pool(void)
{
    struct pool_settings settings = {
        .threads = 1,
        .working = 1,
        .always = true,
        .host = {.reading_bytes = 1, .init = no_reading, .free = no_reading, .read = read_nothing}};
    pool = pool_new(loop, &settings);
    cr_assert_not_null(pool);
    for (int i = 0; i < COUNT; i++) {
        sides[i] = (struct side){.on_data = heard};
        peers[i] = open_pair(&sides[i], &quiet_events);
        cr_assert_eq(send(peers[i], "?", 1, 0), 1);
    }
    turn_until(pool_thread_view(pool, 0).connections == COUNT);
}

static void close_pool(void)
{
    for (int i = 0; i < COUNT; i++) conn_close(sides[i].conn);
    turn_until(pool_thread_view(pool, 0).connections == 0);
    pool_stop(pool);
    for (int i = 0; i < COUNT; i++) close(peers[i]);
}

/* How many of them have heard something: a byte each, which is read here. */
static int take_bytes(void)
{
    char byte;
    int heard_now = 0;
    for (int i = 0; i < COUNT; i++) heard_now += recv(peers[i], &byte, 1, MSG_DONTWAIT) == 1;
    return heard_now;
}

static bool reads_as(const char *directory, const char *thread, const char *file, char *text, size_t size)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s/%s", directory, thread, file);
    FILE *f = fopen(path, "r");
    bool read = f && fgets(text, (int)size, f);
    if (f) fclose(f);
    return read;
}

/* The one I/O thread waits in the kernel. */
static bool thread_sleeps(void)
{
    static const char tasks[] = "/proc/self/task";
    char text[512];
    bool sleeps = false;
    DIR *directory = opendir(tasks);
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (!reads_as(tasks, entry->d_name, "comm", text, sizeof text) || strcmp(text, "io_thd_1\n") != 0) continue;
        if (!reads_as(tasks, entry->d_name, "stat", text, sizeof text)) continue;
        sleeps = strstr(text, ") S ") != NULL;
    }
    closedir(directory);
    return sleeps;
}

/* A thread that has sent all that found room in its queue sleeps; what found room in the next turn wakes it. */
ENGINE_TEST(what_waited_for_room_in_a_threads_queue_wakes_it)
{
    if (!may_open_enough()) cr_skip_test("this user may not open %d descriptors", 2 * COUNT + SPARE_FDS);
    open_pool();
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < COUNT; i++) write_out(sides[i].conn, "!", 1);
        loop_turn(loop, 0);
        int64_t limit_ms = clock_monotonic_ms() + WAIT_BOUND_MS;
        int bytes = 0;
        while (bytes < SPSC_CAPACITY || !thread_sleeps()) {
            cr_assert_lt(clock_monotonic_ms(), limit_ms, "%d have heard something", bytes);
            bytes += take_bytes();
        }
        turn_until((bytes += take_bytes()) == COUNT);
    }
    close_pool();
}
