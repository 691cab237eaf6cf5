/* What server/net does without a loop: descriptor passing, addresses, connections that are waited for, and how much
 * input a wait may gather. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "server/base/workers.h"
#include "server/net/address.h"
#include "server/net/arrivals.h"
#include "server/net/blocking_socket.h"
#include "server/net/fdpass.h"

Test(net_fdpass, passes_messages_with_descriptors)
{
    int channel[2], ends[2], fds[FDPASS_MAX_FDS], count = FDPASS_MAX_FDS;
    char message[64];
    cr_assert_eq(fdpass_pair(channel), 0);
    cr_assert_eq(fdpass_receive(channel[1], message, sizeof(message), fds, &count), -1);
    cr_assert_eq(errno, EAGAIN);
    cr_assert_eq(pipe(ends), 0);
    cr_assert_eq(fdpass_send(channel[0], "two", 3, ends, 2), 0);
    cr_assert_eq(fdpass_send(channel[0], "none", 4, NULL, 0), 0);

    count = FDPASS_MAX_FDS;
    cr_assert_eq(fdpass_receive(channel[1], message, sizeof(message), fds, &count), 3);
    cr_assert_arr_eq(message, "two", 3);
    cr_assert_eq(count, 2);
    cr_assert(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
    cr_assert_eq(write(fds[1], "x", 1), 1);
    cr_assert_eq(read(ends[0], message, 1), 1);

    count = FDPASS_MAX_FDS;
    cr_assert_eq(fdpass_receive(channel[1], message, sizeof(message), fds, &count), 4);
    cr_assert_eq(count, 0);

    cr_assert_eq(fdpass_send(channel[0], "too long", 8, ends, 1), 0);
    count = FDPASS_MAX_FDS;
    cr_assert_eq(fdpass_receive(channel[1], message, 3, fds, &count), -1);
    cr_assert_eq(errno, EMSGSIZE);
    while (fdpass_send(channel[0], message, sizeof(message), NULL, 0) == 0) continue;
    cr_assert_eq(errno, EAGAIN);
    close(channel[1]);
    cr_assert_eq(fdpass_send(channel[0], "x", 1, NULL, 0), -1);
}

Test(net_fdpass, tells_the_end_of_the_other_side)
{
    int channel[2], fds[1], count = 1;
    char byte;
    cr_assert_eq(fdpass_pair(channel), 0);
    close(channel[0]);
    cr_assert_eq(fdpass_receive(channel[1], &byte, 1, fds, &count), 0);
}

static void expect_text(const char *ip, int port, const char *ip_text, const char *text, bool loopback)
{
    struct address a;
    char out[ADDRESS_TEXT_MAX];
    cr_assert_eq(address_parse(&a, ip, port), 0, "%s", ip);
    address_ip_text(&a, out);
    cr_assert_str_eq(out, ip_text);
    address_text(&a, out);
    cr_assert_str_eq(out, text);
    cr_assert_eq(address_port(&a), port);
    cr_assert_eq(address_is_loopback(&a), loopback, "%s", ip);
}

Test(net_address, reads_and_writes_addresses)
{
    expect_text("127.0.0.1", 6379, "127.0.0.1", "127.0.0.1:6379", true);
    expect_text("127.9.9.9", 0, "127.9.9.9", "127.9.9.9:0", true);
    expect_text("10.0.0.1", 65535, "10.0.0.1", "10.0.0.1:65535", false);
    expect_text("::1", 6379, "::1", "[::1]:6379", true);
    expect_text("2001:db8::1", 1, "2001:db8::1", "[2001:db8::1]:1", false);
    expect_text("::ffff:127.0.0.1", 1, "::ffff:127.0.0.1", "[::ffff:127.0.0.1]:1", true);

    static const char *const wrong[] = {"", "localhost", "1.2.3", "1.2.3.4.5", "::g", "[::1]", "1.2.3.4 "};
    struct address a;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) cr_assert_eq(address_parse(&a, wrong[i], 1), -1);
    cr_assert_eq(address_parse(&a, "127.0.0.1", 65536), -1);
    cr_assert_eq(address_parse(&a, "127.0.0.1", -1), -1);
}

Test(net_address, knows_unix_paths)
{
    struct address a;
    char out[ADDRESS_TEXT_MAX], path[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
    cr_assert_eq(address_unix(&a, "/tmp/s"), 0);
    address_text(&a, out);
    cr_assert_str_eq(out, "/tmp/s:0");
    cr_assert(address_is_loopback(&a));
    memset(path, 'p', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    cr_assert_eq(address_unix(&a, path), -1);
    path[sizeof(path) - 2] = '\0';
    cr_assert_eq(address_unix(&a, path), 0);
    address_text(&a, out);
    cr_assert_eq(strlen(out), strlen(path) + 2);
    a.len = 0;
    address_text(&a, out);
    cr_assert_str_eq(out, "?:0");
}

/* `speakers` connections speak `times` each within one window; then the next begins. */
static unsigned expected_after(struct arrivals *a, int64_t *now_us, int speakers, int times)
{
    uint32_t spoke_in[64] = {0};
    arrivals_turn(a, *now_us);
    for (int time = 0; time < times; time++)
        for (int i = 0; i < speakers; i++) arrivals_note(a, &spoke_in[i]);
    *now_us += ARRIVALS_WINDOW_US;
    arrivals_turn(a, *now_us);
    return a->expected;
}

Test(net_arrivals, waits_for_company_only_where_many_speak_often)
{
    struct arrivals a = {0};
    int64_t now_us = 1000000;
    cr_assert_eq(expected_after(&a, &now_us, 1, 100), 1, "one connection, however often");
    cr_assert_eq(expected_after(&a, &now_us, 23, 10), 1, "too few connections");
    cr_assert_eq(expected_after(&a, &now_us, 47, 1), 1, "too seldom");
    cr_assert_eq(expected_after(&a, &now_us, 48, 1), 8);
    cr_assert_eq(expected_after(&a, &now_us, 30, 2), 10);
    cr_assert_eq(expected_after(&a, &now_us, 64, 10), ARRIVALS_MOST);
}

Test(net_arrivals, forgets_after_a_pause)
{
    struct arrivals a = {0};
    int64_t now_us = 1000000;
    uint32_t spoke_in[64] = {0};
    cr_assert_eq(expected_after(&a, &now_us, 64, 10), ARRIVALS_MOST);
    for (int i = 0; i < 64 * 10; i++) arrivals_note(&a, &spoke_in[i % 64]);
    now_us += 2 * ARRIVALS_WINDOW_US;
    arrivals_turn(&a, now_us);
    cr_assert_eq(a.expected, 1, "what came was long ago");
}

/* --- connections that are waited for --- */

static int listen_on_loopback(int *port)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(any);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&any, len), 0);
    cr_assert_eq(listen(fd, 4), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&any, &len), 0);
    *port = ntohs(any.sin_port);
    return fd;
}

Test(net_blocking, connects_by_address_and_by_name)
{
    static const char *const hosts[] = {"127.0.0.1", "localhost"};
    int port, listener = listen_on_loopback(&port);
    cr_assert_geq(workers_start(), 0);
    for (size_t i = 0; i < 2; i++) {
        char byte;
        int peer;
        struct blocking_socket *s = blocking_socket_connect(hosts[i], port, 5000);
        cr_assert(s, "%s", hosts[i]);
        cr_assert_eq(blocking_socket_write(s, "x", 1, 5000), 0);
        cr_assert_geq(peer = accept(listener, NULL, NULL), 0);
        cr_assert_eq(read(peer, &byte, 1), 1);
        cr_assert_eq(blocking_socket_read(s, &byte, 1, 10), -1);
        cr_assert_eq(errno, ETIMEDOUT);
        close(peer);
        blocking_socket_close(s);
    }
    cr_assert_null(blocking_socket_connect("no-such-host.invalid", port, 5000));
    close(listener);
}

struct slow_job {
    struct worker_job job;
    int go_on; /* readable when it may end */
};

static void wait_to_go_on(struct worker_job *job)
{
    char byte;
    cr_assert_eq(read(((struct slow_job *)job)->go_on, &byte, 1), 1);
}

Test(net_blocking, a_slow_resolver_is_waited_for_no_longer_than_asked, .timeout = 30)
{
    int ends[2];
    cr_assert_geq(workers_start(), 0);
    cr_assert_eq(pipe(ends), 0);
    struct slow_job slow = {.job.run = wait_to_go_on, .go_on = ends[0]};
    workers_submit(WORKER_RESOLVE, &slow.job);
    int64_t started_ms = clock_monotonic_ms();
    cr_assert_null(blocking_socket_connect("localhost", 1, 50));
    cr_assert_geq(clock_monotonic_ms() - started_ms, 50);
    cr_assert_eq(write(ends[1], "x", 1), 1);
    workers_drain(WORKER_RESOLVE);
    workers_collect();
}
