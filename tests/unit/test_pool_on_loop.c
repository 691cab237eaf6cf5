/* The I/O threads on a loop, on both engines: who sleeps is woken, also where more connections have something to say
 * than a thread's queue has places, and nothing is lost, doubled or late.
 *
 * The loop waits without end wherever a thread has to wake it: a timer would hide that nobody does. */
#include <dirent.h>
#include <pthread.h>
#include <semaphore.h>
#include <string.h>

#include "server/net/engine.h"
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

static _Atomic int reads; /* by the thread, of connections whose events have `prepared` */
static _Atomic bool gated;
static sem_t gate; /* where it then stands */

static void read_nothing(void *context, void *reading, void **memo, const uint8_t *data, size_t len)
{
    (void)context, (void)reading, (void)memo, (void)data, (void)len;
    reads++;
    if (gated) sem_wait(&gate);
}

static void heard(struct side *side)
{
    pool_heard(pool, side->conn);
}

/* Turns that end when somebody wakes the loop. */
#define turn_woken_until(condition)                                                                                    \
    do {                                                                                                               \
        int64_t limit_ms = clock_monotonic_ms() + WAIT_BOUND_MS;                                                       \
        while (!(condition)) {                                                                                         \
            loop_turn(loop, WAIT_BOUND_MS);                                                                            \
            cr_assert_lt(clock_monotonic_ms(), limit_ms, "nobody woke the loop for: %s", #condition);                  \
        }                                                                                                              \
    } while (0)

static bool may_open_enough(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur >= 2 * COUNT + SPARE_FDS) return true;
    limit.rlim_cur = 2 * COUNT + SPARE_FDS;
    if (limit.rlim_max < limit.rlim_cur) limit.rlim_max = limit.rlim_cur;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

static unsigned lent_count(void)
{
    return pool_thread_view(pool, 0).connections;
}

static void nothing_prepared(struct conn *conn, void *reading)
{
    (void)conn, (void)reading;
}

static const struct conn_events with_prepared = {
    .data = side_data, .closed = side_closed, .prepared = nothing_prepared};

/* One thread, to which so many are lent. */
static void open_pool_of(int count, const struct conn_events *events)
{
    struct pool_settings settings = {
        .threads = 1,
        .working = 1,
        .always = true,
        .host = {.reading_bytes = 1, .init = no_reading, .free = no_reading, .rest = no_reading, .read = read_nothing}};
    pool = pool_new(loop, &settings);
    cr_assert_not_null(pool);
    for (int i = 0; i < count; i++) {
        sides[i] = (struct side){.on_data = heard};
        peers[i] = open_pair(&sides[i], events);
        cr_assert_eq(send(peers[i], "?", 1, 0), 1);
    }
    turn_until(lent_count() == (unsigned)count);
}

static void open_pool(void)
{
    open_pool_of(COUNT, &quiet_events);
}

static void close_peers(int count)
{
    for (int i = 0; i < count; i++) close(peers[i]);
}

static void close_pool_of(int count)
{
    for (int i = 0; i < count; i++)
        if (sides[i].conn) conn_close(sides[i].conn);
    turn_woken_until(lent_count() == 0);
    pool_stop(pool);
    close_peers(count);
}

static void close_pool(void)
{
    close_pool_of(COUNT);
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

#define TASKS "/proc/self/task"

static bool waits_in_kernel(const char *thread)
{
    char text[512];
    return reads_as(TASKS, thread, "stat", text, sizeof text) && strstr(text, ") S ");
}

/* The one I/O thread waits in the kernel. */
static bool thread_sleeps(void)
{
    char text[512];
    bool sleeps = false;
    DIR *directory = opendir(TASKS);
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (!reads_as(TASKS, entry->d_name, "comm", text, sizeof text) || strcmp(text, "io_thd_1\n") != 0) continue;
        sleeps = waits_in_kernel(entry->d_name);
    }
    closedir(directory);
    return sleeps;
}

#define SKIP_WITHOUT_DESCRIPTORS()                                                                                     \
    if (!may_open_enough()) cr_skip_test("this user may not open %d descriptors", 2 * COUNT + SPARE_FDS)

static void speak(int i, int reads_then)
{
    int64_t limit_ms = clock_monotonic_ms() + WAIT_BOUND_MS;
    cr_assert_eq(send(peers[i], "?", 1, 0), 1);
    while (reads < reads_then) cr_assert_lt(clock_monotonic_ms(), limit_ms, "number %d is not read", i);
}

/* --- from the loop to a thread --- */

/* A thread that has sent all that found room in its queue sleeps; what found room in the next turn wakes it. */
ENGINE_TEST(what_waited_for_room_in_a_threads_queue_wakes_it)
{
    SKIP_WITHOUT_DESCRIPTORS();
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

/* Its queue is full, and it is told to end. */
ENGINE_TEST(a_thread_that_ends_sends_more_than_its_queue_takes)
{
    SKIP_WITHOUT_DESCRIPTORS();
    open_pool();
    for (int i = 0; i < COUNT; i++) write_out(sides[i].conn, "!", 1);
    pool_stop(pool);
    cr_assert_eq(take_bytes(), COUNT);
    close_peers(COUNT);
}

enum { PIECES = 20, PIECE_BYTES = 8300 };

/* Once whoever ends the thread waits for it to end. */
static void *open_gate_in_the_end(void *process)
{
    int64_t limit_ms = clock_monotonic_ms() + WAIT_BOUND_MS;
    while (!waits_in_kernel(process) && clock_monotonic_ms() < limit_ms) continue;
    sem_post(&gate);
    return NULL;
}

/* It was busy with another, and one send does not take all the pieces of a connection that it was given meanwhile. */
ENGINE_TEST(a_thread_that_ends_sends_more_than_one_send_takes)
{
    static uint8_t piece[PIECE_BYTES], heard_bytes[PIECES * PIECE_BYTES + 1];
    char process[16];
    pthread_t opener;
    int bytes = 2 * (int)sizeof heard_bytes;
    snprintf(process, sizeof process, "%d", (int)getpid());
    sem_init(&gate, 0, 0);
    open_pool_of(2, &with_prepared);
    setsockopt(sides[0].conn->endpoint.fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    gated = true;
    speak(1, 1);
    for (int i = 0; i < PIECES; i++) {
        write_out(sides[0].conn, piece, sizeof piece);
        loop_turn(loop, 0);
    }
    pthread_create(&opener, NULL, open_gate_in_the_end, process);
    pool_stop(pool);
    pthread_join(opener, NULL);
    size_t heard_count = 0;
    for (ssize_t n; (n = recv(peers[0], heard_bytes, sizeof heard_bytes, MSG_DONTWAIT)) > 0;) heard_count += (size_t)n;
    cr_assert_eq(heard_count, PIECES * PIECE_BYTES);
    close_peers(2);
}

/* --- from a thread to the loop --- */

static int heard_twice(void)
{
    int count = 0;
    for (int i = 0; i < COUNT; i++) count += outq_pending(&sides[i].received) == 2;
    return count;
}

/* All that a thread cannot put into its queue waits there for the loop, which sleeps again in between. */
ENGINE_TEST(what_waited_for_room_in_the_loops_queue_wakes_it)
{
    SKIP_WITHOUT_DESCRIPTORS();
    open_pool();
    for (int i = 0; i < COUNT; i++) cr_assert_eq(send(peers[i], "?", 1, 0), 1);
    turn_woken_until(heard_twice() == COUNT);
    close_pool();
}

static int ended_count(void)
{
    int count = 0;
    for (int i = 0; i < COUNT; i++) count += sides[i].closed_calls;
    return count;
}

ENGINE_TEST(peers_that_vanish_together_end_once_each)
{
    SKIP_WITHOUT_DESCRIPTORS();
    open_pool();
    close_peers(COUNT);
    turn_woken_until(lent_count() == 0);
    cr_assert_eq(ended_count(), COUNT);
    for (int i = 0; i < COUNT; i++) cr_assert_eq(sides[i].closed_calls, 1);
    pool_stop(pool);
}

static int ended_before[3]; /* when each spoke: whether the first one's end had been told */

static void note_end(struct side *side)
{
    ended_before[side - sides] = sides[0].closed_calls;
}

/* The thread hears the second, then the end of the first, then the third, and the loop of all in one turn. Who has left
 * is told of first: he would be served by what the others say. */
ENGINE_TEST(the_end_of_a_silent_one_goes_past_what_others_say)
{
    open_pool_of(3, &with_prepared);
    for (int i = 1; i < 3; i++) sides[i].on_data = note_end;
    speak(1, 1);
    close(peers[0]);
    int64_t limit_ms = clock_monotonic_ms() + WAIT_BOUND_MS;
    while (!thread_sleeps()) cr_assert_lt(clock_monotonic_ms(), limit_ms); /* it has seen that end */
    speak(2, 2);
    turn_woken_until(outq_pending(&sides[2].received) == 2);
    cr_assert(ended_before[1] == 1 && ended_before[2] == 1, "%d, %d", ended_before[1], ended_before[2]);
    cr_assert_eq(sides[0].closed_calls, 1);
    peers[0] = -1;
    close_pool_of(3);
}

/* A send is begun before its thread waits: what it brings up, that wait has to know of. */
ENGINE_TEST(output_that_has_drained_wakes_the_loop)
{
    enum { WRITES = 20 };
    open_pool_of(1, &draining_events);
    for (int i = 1; i <= WRITES; i++) {
        char byte;
        write_out(sides[0].conn, "!", 1);
        turn_woken_until(sides[0].drained_calls == i);
        cr_assert_eq(recv(peers[0], &byte, 1, MSG_DONTWAIT), 1);
    }
    close_pool_of(1);
}

/* --- called back --- */

/* Output that has gone to the thread, and a recall behind it: more of either than the queue has places. */
ENGINE_TEST(who_is_closed_behind_his_output_gets_it)
{
    SKIP_WITHOUT_DESCRIPTORS();
    open_pool();
    for (int i = 0; i < COUNT; i++) {
        write_out(sides[i].conn, "!", 1);
        if (i % 2) continue;
        conn_close_after_flush(sides[i].conn);
        sides[i].conn = NULL;
    }
    loop_turn(loop, 0);
    for (int i = 1; i < COUNT; i += 2) {
        conn_close_after_flush(sides[i].conn);
        sides[i].conn = NULL;
    }
    turn_woken_until(lent_count() == 0);
    loop_turn(loop, 0); /* what has come back leaves */
    loop_turn(loop, 0);
    cr_assert_eq(take_bytes(), COUNT);
    for (int i = 0; i < COUNT; i++) cr_assert(hung_up(peers[i]));
    close_pool();
}

static int given_fds[COUNT], given_count;

static void given(void *arg, int fd, const uint8_t *rest, size_t len)
{
    struct side *side = arg;
    outq_append(&side->received, rest, len);
    side->conn = NULL;
    given_fds[side - sides] = fd;
    given_count++;
}

/* Input that is with the loop, with the thread and in the socket when the connection leaves comes once, in order. */
ENGINE_TEST(who_is_handed_over_while_he_speaks_loses_nothing)
{
    SKIP_WITHOUT_DESCRIPTORS();
    open_pool();
    for (int i = 0; i < COUNT; i++) cr_assert_eq(send(peers[i], "a", 1, 0), 1);
    for (int i = 0; i < COUNT; i++) cr_assert_eq(send(peers[i], "b", 1, 0), 1);
    for (int i = 0; i < COUNT; i++) conn_detach(sides[i].conn, given, &sides[i]);
    for (int i = 0; i < COUNT; i++) cr_assert_eq(send(peers[i], "c", 1, 0), 1);
    turn_woken_until(given_count == COUNT);
    for (int i = 0; i < COUNT; i++) {
        char left[4];
        ssize_t n = recv(given_fds[i], left, sizeof left, MSG_DONTWAIT);
        if (n > 0) outq_append(&sides[i].received, left, (size_t)n);
        cr_assert(received_is(&sides[i], "?abc"), "number %d", i);
        close(given_fds[i]);
    }
    close_pool();
}

/* --- those who talk without end --- */

enum { TALKERS = 3, TALKS = 100, ANSWER_BYTES = 200000 };
static uint64_t talks, talked_in_turn[TALKERS];

static void read_all(int fd)
{
    char buffer[65536];
    while (recv(fd, buffer, sizeof buffer, MSG_DONTWAIT) > 0) continue;
}

/* By the end of this call the thread has brought whatever it may: the next request is asked before its answer. */
static void talk(struct side *side)
{
    static char answer[ANSWER_BYTES];
    size_t i = (size_t)(side - sides);
    uint64_t turn = loop_usage(loop).turns;
    cr_assert_neq(talked_in_turn[i], turn, "somebody is heard again and again, and nobody else");
    talked_in_turn[i] = turn;
    if (talks++ < TALKS) cr_assert_eq(send(peers[i], "?", 1, 0), 1);
    int64_t limit_ms = clock_monotonic_ms() + WAIT_BOUND_MS;
    while (!thread_sleeps()) cr_assert_lt(clock_monotonic_ms(), limit_ms);
    read_all(peers[i]);
    write_out(side->conn, answer, sizeof answer);
}

/* So large answers leave in the middle of the turn, and bring the next requests. */
ENGINE_TEST(a_turn_hears_each_once_however_fast_they_speak)
{
    open_pool_of(TALKERS, &quiet_events);
    for (int i = 0; i < TALKERS; i++) sides[i].on_data = talk;
    for (int i = 0; i < TALKERS; i++) cr_assert_eq(send(peers[i], "?", 1, 0), 1);
    turn_woken_until(talks >= TALKS);
    close_pool_of(TALKERS);
}
