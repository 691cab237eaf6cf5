/* The kernel goes on with a connection that OpenSSL began, and OpenSSL is at the other end: so nothing is in clear.
 * Where the kernel has no TLS (`make test-kernel-tls` brings one that has), its refusal leaves the socket as it was. */
#include "server/net/kernel_tls.h"
#include "tests/unit/test_tls_aead.h"
#include "tests/unit/test_tls_ends.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BIG_BYTES (100 * 1024)

TestSuite(kernel_tls, .init = make_certificates, .fini = remove_certificates, .timeout = 60);

/* The server's end of a TCP connection, and the client's. */
struct sockets {
    int server, client;
};

static struct sockets connect_sockets(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    struct sockets s;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(listener, (struct sockaddr *)&at, len), 0);
    cr_assert_eq(listen(listener, 1), 0);
    cr_assert_eq(getsockname(listener, (struct sockaddr *)&at, &len), 0);
    s.client = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(connect(s.client, (struct sockaddr *)&at, len), 0);
    s.server = accept(listener, NULL, NULL);
    cr_assert_geq(s.server, 0);
    close(listener);
    return s;
}

static void close_sockets(struct sockets s)
{
    close(s.server);
    close(s.client);
}

/* What arrives at the client's socket, read by its stream, until `len` plain bytes have come. */
static void expect_from(int fd, struct tls_stream *client, const uint8_t *expected, size_t len)
{
    static uint8_t wire[4096], plain[2 * TLS_RECORD_BYTES];
    size_t all = 0;
    while (all < len) {
        ssize_t got = recv(fd, wire, sizeof wire, 0);
        ptrdiff_t more;
        cr_assert_gt(got, 0);
        tls_stream_feed(client, wire, (size_t)got);
        while ((more = tls_stream_read(client, plain, sizeof plain)) > 0) {
            cr_assert_leq((size_t)more, len - all);
            cr_assert_arr_eq(plain, expected + all, (size_t)more);
            all += (size_t)more;
        }
        cr_assert(more == 0 || (all == len && tls_stream_state(client) == TLS_PEER_ENDED), "%s",
                  tls_stream_error(client));
    }
}

static void send_all(int fd, struct bytes data)
{
    for (size_t at = 0; at < data.len;) {
        ssize_t sent = send(fd, data.ptr + at, data.len - at, MSG_NOSIGNAL);
        cr_assert_gt(sent, 0, "%s", strerror(errno));
        at += (size_t)sent;
    }
}

static void send_output(int fd, struct tls_stream *stream)
{
    for (struct outq *q = tls_stream_output(stream); !outq_empty(q);) {
        struct bytes front = outq_front(q);
        send_all(fd, front);
        outq_consume(q, front.len);
    }
}

static void expect_plain(int fd, const char *text)
{
    char came[100];
    size_t len = strlen(text);
    cr_assert_eq(recv(fd, came, len, MSG_WAITALL), (ssize_t)len, "%s", strerror(errno));
    cr_assert_arr_eq(came, text, len);
}

static void talk(struct ends *e, struct sockets s)
{
    static uint8_t plain[TLS_RECORD_BYTES], wire[1024];
    cr_assert_eq(tls_stream_write(e->server, (const uint8_t *)"so far OpenSSL", 14), 0);
    send_output(s.server, e->server);
    expect_from(s.client, e->client, (const uint8_t *)"so far OpenSSL", 14);
    cr_assert_eq(tls_stream_write(e->client, (const uint8_t *)"yes", 3), 0);
    send_output(s.client, e->client);
    tls_stream_feed(e->server, wire, (size_t)recv(s.server, wire, sizeof wire, 0));
    cr_assert_eq(tls_stream_read(e->server, plain, sizeof plain), 3);
    cr_assert_eq(tls_stream_read(e->server, plain, sizeof plain), 0);
}

/* False: the kernel does not want to, and the socket goes on as before. */
static bool leave_to_kernel(struct ends *e, struct sockets s)
{
    struct tls_record_keys keys;
    talk(e, s);
    cr_assert_eq(tls_stream_keys(e->server, &keys), 0);
    enum kernel_tls_start result = kernel_tls_start(s.server, &keys);
    cr_assert_eq(result, kernel_tls_is_offered() ? KERNEL_TLS_ON : KERNEL_TLS_REFUSED, "%s", strerror(errno));
    cr_assert_eq(kernel_tls_is_on(s.server), result == KERNEL_TLS_ON);
    if (result == KERNEL_TLS_REFUSED) talk(e, s);
    return result == KERNEL_TLS_ON;
}

Test(kernel_tls, both_directions_under_every_cipher)
{
    static uint8_t big[BIG_BYTES];
    for (size_t i = 0; i < sizeof big; i++) big[i] = (uint8_t)(i * 2654435761u >> 13);
    for (size_t k = 0; k < AEAD_CIPHERS; k++) {
        struct ends e = connect_ends(ciphers[k].protocol, ciphers[k].name);
        struct sockets s = connect_sockets();
        bool left = leave_to_kernel(&e, s);
        for (int round = 0; left && round < 3; round++) {
            send_all(s.server, bytes_from_text("a word"));
            expect_from(s.client, e.client, (const uint8_t *)"a word", 6);
            cr_assert_eq(tls_stream_write(e.client, (const uint8_t *)"an answer", 9), 0);
            send_output(s.client, e.client);
            expect_plain(s.server, "an answer");
            send_all(s.server, bytes_make(big, sizeof big));
            expect_from(s.client, e.client, big, sizeof big);
        }
        close_sockets(s);
        free_ends(&e);
    }
}

/* What the client had sent before the kernel took over, and nobody had read. */
Test(kernel_tls, what_has_arrived_is_the_kernels)
{
    for (size_t k = 0; k < AEAD_CIPHERS; k++) {
        struct ends e = connect_ends(ciphers[k].protocol, ciphers[k].name);
        struct sockets s = connect_sockets();
        struct tls_record_keys keys;
        talk(&e, s);
        cr_assert_eq(tls_stream_write(e.client, (const uint8_t *)"already ", 8), 0);
        send_output(s.client, e.client);
        struct pollfd arrived = {.fd = s.server, .events = POLLIN};
        cr_assert_eq(poll(&arrived, 1, -1), 1);
        cr_assert_eq(tls_stream_keys(e.server, &keys), 0);
        if (kernel_tls_start(s.server, &keys) == KERNEL_TLS_ON) {
            cr_assert_eq(tls_stream_write(e.client, (const uint8_t *)"there", 5), 0);
            send_output(s.client, e.client);
            expect_plain(s.server, "already there");
        }
        close_sockets(s);
        free_ends(&e);
    }
}

/* A kernel may know the protocol and not the cipher: up to the first key, bytes pass as they are. */
Test(kernel_tls, a_key_that_is_refused_leaves_the_socket_as_it_was)
{
    struct ends e = connect_ends("TLSv1.3", "TLS_AES_256_GCM_SHA384");
    struct sockets s = connect_sockets();
    struct tls_record_keys keys;
    talk(&e, s);
    cr_assert_eq(tls_stream_keys(e.server, &keys), 0);
    keys.version = 0x0305;
    cr_assert_eq(kernel_tls_start(s.server, &keys), KERNEL_TLS_REFUSED);
    cr_assert_not(kernel_tls_is_on(s.server));
    talk(&e, s);
    talk(&e, s);
    close_sockets(s);
    free_ends(&e);
}

static void expect_end(int fd, int reason)
{
    char byte;
    struct pollfd arrived = {.fd = fd, .events = POLLIN};
    cr_assert_eq(poll(&arrived, 1, -1), 1);
    cr_assert_eq(recv(fd, &byte, 1, 0), -1);
    cr_assert_eq(errno, EIO);
    cr_assert_eq(recv(fd, &byte, 1, MSG_DONTWAIT), -1, "it says the same when asked again");
    cr_assert_eq(kernel_tls_end_of(fd), reason);
}

Test(kernel_tls, the_end_is_said_and_heard)
{
    for (size_t k = 0; k < AEAD_CIPHERS; k++) {
        struct ends e = connect_ends(ciphers[k].protocol, ciphers[k].name);
        struct sockets s = connect_sockets();
        uint8_t wire[200], plain[TLS_RECORD_BYTES];
        if (leave_to_kernel(&e, s)) {
            send_all(s.server, bytes_from_text("the last word"));
            cr_assert_eq(kernel_tls_say_end(s.server), 0);
            shutdown(s.server, SHUT_WR);
            expect_from(s.client, e.client, (const uint8_t *)"the last word", 13);
            for (ssize_t got; (got = recv(s.client, wire, sizeof wire, 0)) > 0;) {
                tls_stream_feed(e.client, wire, (size_t)got);
                tls_stream_read(e.client, plain, sizeof plain);
            }
            cr_assert_eq(tls_stream_state(e.client), TLS_PEER_ENDED);
            cr_assert_eq(tls_stream_write(e.client, (const uint8_t *)"mine", 4), 0);
            tls_stream_end(e.client);
            send_output(s.client, e.client);
            expect_plain(s.server, "mine");
            expect_end(s.server, 0);
        }
        close_sockets(s);
        free_ends(&e);
    }
}

/* The kernel does not know how to renew keys: the connection ends, and says so. */
Test(kernel_tls, other_words_end_the_connection)
{
    static const uint8_t key_update[] = {24, 0, 0, 1, 0}, fatal[] = {2, 80};
    for (int i = 0; i < 2; i++) {
        struct ends e = connect_ends("TLSv1.3", "TLS_AES_256_GCM_SHA384");
        struct sockets s = connect_sockets();
        uint8_t record[100];
        struct tls_record_keys keys;
        if (leave_to_kernel(&e, s)) {
            cr_assert_eq(tls_stream_keys(e.client, &keys), 0);
            size_t len = i ? aead_seal(&keys, &keys.out, CONTENT_ALERT, fatal, sizeof fatal, record)
                           : aead_seal(&keys, &keys.out, CONTENT_HANDSHAKE, key_update, sizeof key_update, record);
            send_all(s.client, bytes_make(record, len));
            expect_end(s.server, i ? ECONNABORTED : EPROTO);
        }
        close_sockets(s);
        free_ends(&e);
    }
}
