/* An engine, a clock and a seed of the caller's, as a simulator brings them: time passes as it says, bytes come and go
 * as it says, and what is drawn can be drawn again. */
#include <criterion/criterion.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/base/random.h"
#include "server/net/engine.h"

#define HOUR_MS ((int64_t)3600 * 1000)

/* --- the world --- */

static struct world {
    int64_t now_us;
    struct conn *reading;
    const char *input; /* delivered in the next turn; NULL: none */
    char sent[64];
    size_t sent_len;
} world;

static int64_t wall_us(void *context)
{
    return ((struct world *)context)->now_us + 1000000;
}

static int64_t monotonic_us(void *context)
{
    return ((struct world *)context)->now_us;
}

static int start(struct loop *loop, const struct loop_settings *settings)
{
    (void)settings;
    loop->engine_state = &world;
    return 0;
}

static void nothing(struct loop *loop)
{
    (void)loop;
}

static void send_all(struct loop *loop)
{
    for (struct list_node *node; (node = list_first(&loop->sends));) {
        struct conn *conn = list_entry(node, struct conn, send_node);
        struct iovec runs[4];
        size_t total;
        unsigned count = conn_gather(conn, runs, 4, &total);
        list_remove(&loop->sends, node);
        for (unsigned i = 0; i < count; i++) {
            memcpy(world.sent + world.sent_len, runs[i].iov_base, runs[i].iov_len);
            world.sent_len += runs[i].iov_len;
        }
        conn_on_sent(conn, total);
    }
}

/* A wait is a jump of the clock. */
static void turn_world(struct loop *loop, int64_t timeout_us)
{
    const char *input = world.input;
    world.input = NULL;
    if (!input && timeout_us > 0) world.now_us += timeout_us;
    loop_refresh_time(loop);
    if (input) conn_on_data(world.reading, (const uint8_t *)input, strlen(input));
}

static void read_conn(struct conn *conn)
{
    world.reading = conn;
}

static void release(struct endpoint *endpoint)
{
    (void)endpoint;
}

static const struct engine engine_of_world = {
    .name = "simulated",
    .start = start,
    .stop = nothing,
    .abandon = nothing,
    .send = send_all,
    .begin = send_all,
    .turn = turn_world,
    .conn_read = read_conn,
    .release = release,
};

static struct loop *loop_in_world(void)
{
    static const struct clock_source clock = {wall_us, monotonic_us, &world};
    log_open("/dev/null", LOG_NOTHING);
    clock_use(&clock);
    return loop_new(&(struct loop_settings){.handed_in = &engine_of_world});
}

/* --- the tests --- */

static int64_t fired_at_us;

static int64_t note_time(void *arg)
{
    fired_at_us = loop_monotonic_us(arg);
    loop_stop(arg);
    return LOOP_TIMER_DONE;
}

Test(net_handed_in, time_passes_as_the_source_says, .timeout = 10)
{
    struct loop *loop = loop_in_world();
    cr_assert_str_eq(loop_engine_name(loop), "simulated");
    loop_timer_start(loop, HOUR_MS, note_time, loop);
    uint64_t ticks = clock_ticks();
    loop_run(loop);
    cr_assert_eq(fired_at_us, HOUR_MS * 1000);
    cr_assert_eq(loop_wall_ms(loop), HOUR_MS + 1000);
    cr_assert_eq(clock_monotonic_ms(), HOUR_MS);
    cr_assert_eq(clock_ticks_to_ns(clock_ticks() - ticks), (uint64_t)HOUR_MS * 1000000);
    loop_free(loop);
}

static void echo(struct conn *conn, const uint8_t *data, size_t len)
{
    outq_append(conn_output(conn), data, len);
    conn_flush(conn);
}

Test(net_handed_in, bytes_come_and_go_as_the_engine_says, .timeout = 10)
{
    static const struct conn_events events = {.data = echo};
    struct loop *loop = loop_in_world();
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    struct conn *conn = conn_open(loop, ends[0], &events, NULL);
    world.input = "over there";
    loop_turn(loop, 0);
    cr_assert_arr_eq(world.sent, "over there", 10);
    conn_close(conn);
    loop_free(loop);
    close(ends[1]);
}

Test(net_handed_in, what_is_drawn_can_be_drawn_again)
{
    char id[40], again[40], other[40];
    random_replay(7);
    random_hex(id, sizeof id);
    random_replay(7);
    random_hex(again, sizeof again);
    random_replay(8);
    random_hex(other, sizeof other);
    cr_assert_arr_eq(id, again, sizeof id);
    cr_assert_arr_neq(id, other, sizeof id);
}
