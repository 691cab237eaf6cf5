/* TLS: who comes in, who does not and why, what travels, certificates that change, and replication. Each server has a
 * plain port as well, on which the tests look at it. */
#include "tests/harness/certificates.h"
#include "tests/harness/port.h"
#include "tests/harness/raw.h"
#include "tests/harness/replication.h"
#include "tests/harness/sentinels.h"
#include "tests/harness/tls_client.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define CLIENTS    16
#define BIG_BYTES  (8 * 1024 * 1024)
#define PING       "*1\r\n$4\r\nPING\r\n"
#define DAYS_AGO_S (-3L * 24 * 60 * 60)

TestSuite(tls, .fini = server_finish_all, .timeout = 120);

static char certificates[512];

static void make_certificates(void)
{
    snprintf(certificates, sizeof certificates, "%.200s/%.100s", harness_root(), harness_case());
    certificates_make(certificates);
}

static const char *pem(const char *name, const char *ending)
{
    static char paths[8][600];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s.%s", certificates, name, ending);
    return path;
}

struct pair {
    struct server *server;
    int port; /* with TLS */
};

static struct pair prepare(enum server_kind kind, const char *more)
{
    struct pair p = {.port = port_reserve()};
    p.server = server_prepare(kind, "tls-port %d\ntls-cert-file %s\ntls-key-file %s\ntls-ca-cert-file %s\n%s", p.port,
                              pem("server", "crt"), pem("server", "key"), pem("ca", "crt"), more);
    return p;
}

static struct pair start(enum server_kind kind, const char *more)
{
    if (!*certificates) make_certificates();
    struct pair p = prepare(kind, more);
    server_launch(p.server);
    return p;
}

static struct tls_client *client_with(struct pair p, const char *certificate)
{
    return tls_connect(p.port, &(struct tls_client_options){.dir = certificates, .certificate = certificate});
}

static struct tls_client *client(struct pair p)
{
    struct tls_client *c = client_with(p, "client");
    cr_assert(c);
    return c;
}

/* Whether it comes in and gets an answer. */
static bool comes_in(struct pair p, const char *certificate)
{
    struct tls_client *c = client_with(p, certificate);
    bool in = c && tls_client_asks(c, PING, "+PONG\r\n");
    tls_client_close(c);
    return in;
}

static long long handshakes_failed(struct server *s)
{
    return info_number(s, "stats", "tls_handshakes_failed");
}

/* --- who comes in --- */

Test(tls, a_client_with_a_certificate)
{
    struct pair p = start(OURS, "");
    struct tls_client *c = client(p);
    cr_assert(tls_client_asks(c, PING, "+PONG\r\n"));
    cr_assert(tls_client_asks(c, "CLIENT SETNAME tls\r\n", "+OK\r\n"));
    cr_assert(strstr(command_text(p.server, "CLIENT LIST"), "name=tls"));
    cr_assert_eq(info_number(p.server, "stats", "tls_handshakes"), 1);
    cr_assert_eq(handshakes_failed(p.server), 0);
    cr_assert_eq(info_number(p.server, "clients", "connected_clients"), 2);
    expect_integer(p.server, 1, "CLIENT KILL TYPE normal");
    char none[1];
    cr_assert_eq(tls_client_read(c, none, 1), 0);
    cr_assert(tls_client_end(c), "it was cut off and not told");
    tls_client_close(c);
    c = client(p);
    cr_assert(tls_client_asks(c, PING, "+PONG\r\n"));
    cr_assert(tls_client_end(c), "no close_notify in return");
    tls_client_close(c);
    wait_until(info_number(p.server, "clients", "connected_clients") == 1);
}

Test(tls, without_a_plain_port)
{
    make_certificates();
    struct pair p = prepare(OURS, "port 0");
    p.server->unix_socket = "/tmp/unused";
    char path[256];
    snprintf(path, sizeof path, "%.240s/s", p.server->dir);
    p.server->unix_socket = path;
    server_add_config(p.server, "unixsocket %s", path);
    server_launch(p.server);
    cr_assert(comes_in(p, "client"));
    cr_assert_eq(info_number(p.server, "server", "tcp_port"), p.port);
    cr_assert(strstr(command_text(p.server, "INFO server"), "name=tls,bind=127.0.0.1,port="));
}

Test(tls, strangers_are_refused_and_counted)
{
    struct pair p = start(OURS, "");
    certificate_make(certificates, "expired", "ca", DAYS_AGO_S, NULL);
    certificate_make(certificates, "other-ca", NULL, 0, NULL);
    certificate_make(certificates, "foreign", "other-ca", 0, NULL);
    static const char *const strangers[][2] = {{NULL, "peer did not return a certificate"},
                                               {"expired", "certificate has expired"},
                                               {"foreign", "unable to get local issuer certificate"}};
    for (int i = 0; i < 3; i++) {
        expect_ok(p.server, "CONFIG RESETSTAT");
        long mark = server_log_end(p.server);
        cr_expect_not(comes_in(p, strangers[i][0]), "%s", strangers[i][1]);
        wait_until(handshakes_failed(p.server) == 1);
        /* The log has one line a second. */
        wait_until((server_log_has(p.server, mark, strangers[i][1]) || (comes_in(p, strangers[i][0]), false)));
    }
    cr_assert(comes_in(p, "client"));
}

Test(tls, certificates_may_be_optional)
{
    struct pair p = start(OURS, "tls-auth-clients optional");
    certificate_make(certificates, "other-ca", NULL, 0, NULL);
    certificate_make(certificates, "foreign", "other-ca", 0, NULL);
    cr_expect(comes_in(p, NULL));
    cr_expect(comes_in(p, "client"));
    cr_expect_not(comes_in(p, "foreign"), "one that is shown must be good");
    expect_ok(p.server, "CONFIG SET tls-auth-clients no");
    cr_expect(comes_in(p, NULL));
    cr_expect(comes_in(p, "foreign"));
    expect_ok(p.server, "CONFIG SET tls-auth-clients yes");
    cr_expect_not(comes_in(p, NULL));
}

Test(tls, a_plain_client_on_its_port)
{
    struct pair p = start(OURS, "");
    int fd = raw_try_connect("127.0.0.1", p.port);
    size_t len;
    raw_send_text(fd, PING);
    free(raw_read_to_end(fd, &len));
    close(fd);
    wait_until(handshakes_failed(p.server) == 1);
    server_wait_log(p.server, 0, "does not seem to speak TLS");
}

Test(tls, its_client_on_the_plain_port)
{
    struct pair p = start(OURS, "");
    cr_assert_null(tls_connect(p.server->port, &(struct tls_client_options){.dir = certificates}));
    cr_assert_eq(info_number(p.server, "stats", "tls_on_plain_port"), 1);
    cr_assert(server_log_has(p.server, 0, "TLS on a port without TLS"));
}

Test(tls, a_handshake_that_stalls)
{
    struct pair p = start(OURS, "tls-handshake-timeout 1");
    int fd = raw_try_connect("127.0.0.1", p.port);
    size_t len;
    raw_send(fd, "\x16\x03\x01\x02", 4);
    free(raw_read_to_end(fd, &len));
    close(fd);
    cr_assert_eq(info_number(p.server, "stats", "tls_handshakes_timed_out"), 1);
    cr_assert_eq(handshakes_failed(p.server), 1);
    cr_assert_eq(info_number(p.server, "clients", "connected_clients"), 1);
    cr_assert(comes_in(p, "client"));
}

Test(tls, of_many_handshakes_the_oldest_goes)
{
    struct pair p = start(OURS, "tls-handshake-timeout 3600");
    enum { MORE_THAN_MAY_BE = 520 };
    int fd[MORE_THAN_MAY_BE];
    size_t len;
    for (int i = 0; i < MORE_THAN_MAY_BE; i++) fd[i] = raw_try_connect("127.0.0.1", p.port);
    free(raw_read_to_end(fd[0], &len));
    wait_until(info_number(p.server, "stats", "tls_handshakes_dropped") == MORE_THAN_MAY_BE - 512);
    cr_assert_not(raw_is_closed(fd[MORE_THAN_MAY_BE - 1]));
    cr_assert(comes_in(p, "client"), "others would keep everybody out");
    for (int i = 0; i < MORE_THAN_MAY_BE; i++) close(fd[i]);
}

Test(tls, too_many_clients_are_told_so)
{
    struct pair p = start(OURS, "maxclients 2");
    struct tls_client *first = client(p), *second;
    cr_assert(tls_client_asks(first, PING, "+PONG\r\n"));
    command_integer(p.server, "DBSIZE");
    second = client(p);
    cr_assert(tls_client_asks(second, "", "-ERR max number of clients reached\r\n"));
    cr_assert_eq(info_number(p.server, "stats", "rejected_connections"), 1);
    tls_client_close(first);
    tls_client_close(second);
}

/* --- what travels --- */

static void expect_big_value(struct tls_client *c, const char *value)
{
    char header[64], *got = malloc(BIG_BYTES + 2);
    int len = snprintf(header, sizeof header, "$%d\r\n", BIG_BYTES);
    cr_assert(tls_client_asks(c, "GET big\r\n", header));
    cr_assert_eq(tls_client_read(c, got, BIG_BYTES + 2), BIG_BYTES + 2);
    cr_assert(memcmp(got, value, BIG_BYTES) == 0);
    (void)len;
    free(got);
}

Test(tls, large_values_both_ways)
{
    struct pair p = start(OURS, "");
    struct tls_client *c = client(p);
    char *value = malloc(BIG_BYTES), header[64];
    for (int i = 0; i < BIG_BYTES; i++) value[i] = (char)(i * 2654435761u >> 13);
    int len = snprintf(header, sizeof header, "*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$%d\r\n", BIG_BYTES);
    cr_assert(tls_client_send(c, header, (size_t)len));
    for (int at = 0; at < BIG_BYTES; at += 1 << 20) cr_assert(tls_client_send(c, value + at, 1 << 20));
    cr_assert(tls_client_asks(c, "\r\n", "+OK\r\n"));
    expect_big_value(c, value);
    expect_big_value(c, value);
    /* Half closed behind its request: the reply still comes whole. */
    cr_assert(tls_client_send(c, "GET big\r\n", 9));
    tls_client_end(c);
    free(value);
    tls_client_close(c);
}

Test(tls, who_does_not_read_is_cut_off)
{
    struct pair p = start(OURS, "client-output-buffer-limit normal 1mb 0 0");
    struct tls_client *c = client(p);
    char *value = calloc(1, 600001);
    memset(value, 'v', 600000);
    expect_ok(p.server, "SET big %s", value);
    for (int i = 0; i < 100; i++)
        if (!tls_client_send(c, "GET big\r\n", 9)) break;
    wait_until(info_number(p.server, "stats", "client_output_buffer_limit_disconnections") == 1);
    free(value);
    tls_client_close(c);
}

Test(tls, publishing_monitoring_and_waiting)
{
    struct pair p = start(OURS, "");
    struct tls_client *subscriber = client(p), *monitor = client(p), *waiter = client(p);
    cr_assert(tls_client_asks(subscriber, "SUBSCRIBE c\r\n", "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"));
    cr_assert(tls_client_asks(monitor, "MONITOR\r\n", "+OK\r\n"));
    cr_assert(tls_client_send(waiter, "BLPOP l 0\r\n", 11));
    wait_until(info_number(p.server, "clients", "blocked_clients") == 1);
    expect_integer(p.server, 1, "PUBLISH c hello");
    expect_integer(p.server, 1, "RPUSH l v");
    cr_assert(tls_client_asks(subscriber, "", "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$5\r\nhello\r\n"));
    cr_assert(tls_client_asks(waiter, "", "*2\r\n$1\r\nl\r\n$1\r\nv\r\n"));
    char line[1];
    cr_assert_eq(tls_client_read(monitor, line, 1), 1);
    cr_assert_eq(line[0], '+');
    tls_client_close(subscriber);
    tls_client_close(monitor);
    tls_client_close(waiter);
}

Test(tls, answers_wait_for_the_disk)
{
    struct pair p = start(OURS, "appendonly yes\nappendfsync always");
    struct tls_client *c[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) c[i] = client(p);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < CLIENTS; i++) cr_assert(tls_client_send(c[i], "INCR n\r\nINCR n\r\n", 16));
        for (int i = 0; i < CLIENTS; i++) {
            char got[2] = "";
            cr_assert_eq(tls_client_read(c[i], got, 1), 1);
            for (int ends = 0; ends < 2;) {
                cr_assert_eq(tls_client_read(c[i], got, 1), 1);
                ends += got[0] == '\n';
            }
        }
    }
    expect_string(p.server, "640", "GET n");
    for (int i = 0; i < CLIENTS; i++) tls_client_close(c[i]);
    server_restart(p.server);
    wait_until(info_is(p.server, "persistence", "loading", "0"));
    expect_string(p.server, "640", "GET n");
}

/* --- versions, ciphers, sessions --- */

Test(tls, versions_and_ciphers)
{
    struct pair p = start(OURS, "tls-protocols TLSv1.2\ntls-ciphers ECDHE-ECDSA-AES256-GCM-SHA384");
    struct tls_client_options o = {.dir = certificates, .certificate = "client", .version = TLS1_3_VERSION};
    cr_assert_null(tls_connect(p.port, &o));
    o.version = TLS1_2_VERSION;
    struct tls_client *c = tls_connect(p.port, &o);
    cr_assert(c && tls_client_asks(c, PING, "+PONG\r\n"));
    cr_assert_str_eq(tls_client_cipher(c), "ECDHE-ECDSA-AES256-GCM-SHA384");
    cr_assert_not(tls_client_renegotiates(c));
    tls_client_close(c);
    o.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256";
    cr_assert_null(tls_connect(p.port, &o));
    expect_ok(p.server, "CONFIG SET tls-ciphers DEFAULT");
    o.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384";
    c = tls_connect(p.port, &o);
    cr_assert_str_eq(tls_client_cipher(c), "ECDHE-ECDSA-AES128-GCM-SHA256", "the client chooses");
    tls_client_close(c);
    expect_ok(p.server, "CONFIG SET tls-ciphers ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256 "
                        "tls-prefer-server-ciphers yes");
    c = tls_connect(p.port, &o);
    cr_assert_str_eq(tls_client_cipher(c), "ECDHE-ECDSA-AES256-GCM-SHA384", "the server chooses");
    tls_client_close(c);
}

/* The records of ours are made by other calls of OpenSSL's than the client's here. */
static void expect_values_both_ways(struct tls_client *c, size_t len)
{
    char *request = malloc(len + 64), *answer = malloc(len + 64), *got = malloc(len + 64);
    int head = sprintf(request, "*3\r\n$3\r\nSET\r\n$1\r\nv\r\n$%zu\r\n", len);
    int answer_head = sprintf(answer, "$%zu\r\n", len);
    for (size_t i = 0; i < len; i++) request[head + i] = answer[answer_head + i] = (char)('a' + (i * 7 + len) % 26);
    memcpy(request + head + len, "\r\n", 2);
    memcpy(answer + answer_head + len, "\r\n", 2);
    size_t answer_len = answer_head + len + 2;
    cr_assert(tls_client_send(c, request, head + len + 2));
    cr_assert(tls_client_asks(c, "GET v\r\n", "+OK\r\n"));
    cr_assert_eq(tls_client_read(c, got, answer_len), answer_len);
    cr_assert_eq(memcmp(got, answer, answer_len), 0, "%zu bytes, %s", len, tls_client_cipher(c));
    free(request);
    free(answer);
    free(got);
}

Test(tls, ciphers_are_those_that_others_speak)
{
    static const struct {
        int version;
        const char *directive, *cipher;
    } kinds[] = {
        {TLS1_3_VERSION, "tls-ciphersuites", "TLS_AES_128_GCM_SHA256"},
        {TLS1_3_VERSION, "tls-ciphersuites", "TLS_AES_256_GCM_SHA384"},
        {TLS1_3_VERSION, "tls-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"},
        {TLS1_2_VERSION, "tls-ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256"},
        {TLS1_2_VERSION, "tls-ciphers", "ECDHE-ECDSA-AES256-GCM-SHA384"},
        {TLS1_2_VERSION, "tls-ciphers", "ECDHE-ECDSA-CHACHA20-POLY1305"},
        {TLS1_2_VERSION, "tls-ciphers", "ECDHE-ECDSA-AES128-SHA256"},
    };
    struct pair p = start(OURS, "");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct tls_client_options o = {.dir = certificates, .certificate = "client", .version = kinds[i].version};
        expect_ok(p.server, "CONFIG SET %s %s", kinds[i].directive, kinds[i].cipher);
        struct tls_client *c = tls_connect(p.port, &o);
        cr_assert(c, "%s", kinds[i].cipher);
        cr_assert_str_eq(tls_client_cipher(c), kinds[i].cipher);
        for (size_t len = 1; len <= 70000; len = len * 3 + 5) expect_values_both_ways(c, len);
        if (kinds[i].version == TLS1_3_VERSION) cr_assert(tls_client_renews_keys(c));
        for (size_t len = 1; len <= 1000; len += 111) expect_values_both_ways(c, len);
        tls_client_close(c);
    }
}

Test(tls, sessions_are_taken_up_again)
{
    struct pair p = start(OURS, "");
    struct tls_client *c = client(p);
    cr_assert(tls_client_asks(c, PING, "+PONG\r\n"));
    cr_assert(tls_client_resumes(c, p.port));
    expect_ok(p.server, "CONFIG SET tls-cert-file %s", pem("server", "crt"));
    cr_assert_not(tls_client_resumes(c, p.port), "old sessions outlive the certificates");
    tls_client_close(c);
    expect_ok(p.server, "CONFIG SET tls-session-caching no");
    c = client(p);
    cr_assert(tls_client_asks(c, PING, "+PONG\r\n"));
    cr_assert_not(tls_client_resumes(c, p.port));
    tls_client_close(c);
}

/* --- certificates that change --- */

Test(tls, a_bad_start_is_refused)
{
    make_certificates();
    certificate_make(certificates, "other", "ca", 0, NULL);
    certificate_make(certificates, "locked", "ca", 0, "secret");
    static const char *const bad[][2] = {
        {"tls-cert-file /does/not/exist", "Failed to load certificate: /does/not/exist"},
        {"tls-cert-file \"\"", "No tls-cert-file configured!"},
        {"tls-ca-cert-file \"\"", "Either tls-ca-cert-file or tls-ca-cert-dir must be specified"},
        {"tls-protocols SSLv2", "Invalid tls-protocols specified"},
        {"tls-ciphers nonsense", "Failed to configure ciphers: nonsense"},
        {"tls-ciphersuites nonsense", "Failed to configure ciphersuites: nonsense"},
        {"tls-dh-params-file /does/not/exist", "Failed to load DH params file"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct pair p = prepare(OURS, bad[i][0]);
        cr_expect_eq(server_launch_in_vain(p.server), 1, "%s", bad[i][0]);
        cr_expect(server_log_has(p.server, 0, bad[i][1]), "%s", bad[i][1]);
    }
    struct pair p = prepare(OURS, "");
    server_add_config(p.server, "tls-key-file %s", pem("other", "key"));
    cr_expect_eq(server_launch_in_vain(p.server), 1);
    p = prepare(OURS, "tls-key-file-pass wrong");
    server_add_config(p.server, "tls-cert-file %s\ntls-key-file %s", pem("locked", "crt"), pem("locked", "key"));
    cr_expect_eq(server_launch_in_vain(p.server), 1);
    server_add_config(p.server, "tls-key-file-pass secret");
    server_launch(p.server);
    cr_expect(comes_in(p, "client"));
}

static void replace(const char *name, const char *by)
{
    cr_assert_eq(rename(pem(by, "crt"), pem(name, "crt")), 0);
    cr_assert_eq(rename(pem(by, "key"), pem(name, "key")), 0);
}

#define NOT_UPDATED(name)                                                                                              \
    "ERR CONFIG SET failed (possibly related to argument '" name                                                       \
    "') - Unable to update TLS configuration. Check server logs."

Test(tls, certificates_are_read_again)
{
    struct pair p = start(OURS, "");
    struct tls_client *before = client(p);
    expect_error(p.server, NOT_UPDATED("tls-cert-file"), "CONFIG SET tls-cert-file /does/not/exist");
    expect_error(p.server, NOT_UPDATED("tls-ciphers"), "CONFIG SET tls-ciphers nonsense");
    cr_assert_str_eq(config_get(p.server, "tls-cert-file"), pem("server", "crt"));
    cr_assert_str_eq(config_get(p.server, "tls-ciphers"), "");
    cr_assert(comes_in(p, "client"));

    /* The same name, other contents: nobody is signed by the old authority any more. */
    mkdir(pem("new", "dir"), 0755);
    certificate_make(certificates, "old-ca", NULL, 0, NULL);
    certificate_make(certificates, "new-server", "old-ca", 0, NULL);
    certificate_make(certificates, "new-client", "old-ca", 0, NULL);
    replace("server", "new-server");
    replace("client", "new-client");
    replace("ca", "old-ca");
    cr_assert_not(comes_in(p, "client"), "nothing was read again yet");
    expect_ok(p.server, "CONFIG SET tls-ca-cert-file %s", pem("ca", "crt"));
    cr_assert(comes_in(p, "client"));
    cr_assert(tls_client_asks(before, PING, "+PONG\r\n"), "who is in stays in");
    tls_client_close(before);
}

Test(tls, the_port_moves)
{
    struct pair p = start(OURS, "");
    struct pair moved = {.server = p.server, .port = port_reserve()};
    expect_ok(p.server, "CONFIG SET tls-port %d", moved.port);
    cr_assert(comes_in(moved, "client"));
    cr_assert_lt(raw_try_connect("127.0.0.1", p.port), 0);
    expect_ok(p.server, "CONFIG SET tls-port 0");
    cr_assert_lt(raw_try_connect("127.0.0.1", moved.port), 0);
    expect_error(p.server, NOT_UPDATED("tls-cert-file"), "CONFIG SET tls-cert-file %s tls-port %d", "", moved.port);
    expect_ok(p.server, "CONFIG SET tls-port %d", moved.port);
    cr_assert(comes_in(moved, "client"));
}

/* --- replication --- */

#define REPLICATION "tls-replication yes\nmasterauth secret\nrequirepass secret\n"

static struct pair start_node(enum server_kind kind, const char *more)
{
    char config[512];
    snprintf(config, sizeof config, REPLICATION "%s", more);
    struct pair p = start(kind, config);
    return p;
}

static void log_in(struct pair p)
{
    expect_ok(p.server, "AUTH secret");
}

static void follow_with_tls(struct pair replica, struct pair master)
{
    log_in(replica);
    log_in(master);
    follow_port(replica.server, master.port);
}

Test(tls, a_chain_of_replicas)
{
    struct pair node[3];
    for (int i = 0; i < 3; i++) node[i] = start_node(OURS, "");
    log_in(node[0]);
    fill(node[0].server, "key:", 20000, 100);
    follow_with_tls(node[1], node[0]);
    follow_with_tls(node[2], node[1]);
    fill(node[0].server, "later:", 1000, 100);
    expect_same_data(node[1].server, node[0].server);
    expect_same_data(node[2].server, node[0].server);
    expect_ok(node[0].server, "SET waited for");
    expect_integer(node[0].server, 1, "WAIT 1 30000");
    cr_assert_eq(info_number(node[0].server, "stats", "tls_handshakes"), 1);

    /* A broken connection goes on where it was. */
    struct sync_counts counts = sync_counts(node[0].server);
    expect_integer(node[0].server, 1, "CLIENT KILL TYPE replica");
    fill(node[0].server, "key:", 100, 50);
    wait_until(sync_counts(node[0].server).partial == counts.partial + 1);
    expect_same_data(node[1].server, node[0].server);
    expect_syncs(node[0].server, counts, 0, 1);
    expect_same_data(node[2].server, node[0].server);
}

Test(tls, a_dataset_is_replaced)
{
    struct pair master = start_node(OURS, ""), replica = start_node(OURS, "");
    log_in(master);
    log_in(replica);
    fill(master.server, "key:", 5000, 100);
    fill(replica.server, "old:", 100, 10);
    follow_with_tls(replica, master);
    fill(master.server, "later:", 5000, 100);
    expect_same_data(replica.server, master.server);
    const char *list = command_text(replica.server, "CLIENT LIST TYPE master");
    char address[64];
    snprintf(address, sizeof address, " addr=127.0.0.1:%d ", master.port);
    cr_assert(strstr(list, address), "%s", list);
}

Test(tls, a_failover)
{
    struct pair old = start_node(OURS, ""), next = start_node(OURS, "");
    log_in(old);
    fill(old.server, "key:", 1000, 100);
    follow_with_tls(next, old);
    expect_same_data(next.server, old.server);
    wait_online(next.port, old.server);
    expect_ok(old.server, "FAILOVER TO 127.0.0.1 %d", next.port);
    wait_until(info_is(next.server, "replication", "role", "master"));
    wait_until(info_is(old.server, "replication", "role", "slave"));
    fill(next.server, "after:", 1000, 100);
    expect_same_data(old.server, next.server);
    expect_syncs(next.server, ((struct sync_counts){0}), 0, 1);
}

Test(tls, the_link_process_dies)
{
    struct pair master = start_node(OURS, ""), replica = start_node(OURS, "");
    log_in(master);
    fill(master.server, "key:", 1000, 100);
    follow_with_tls(replica, master);
    expect_same_data(replica.server, master.server);
    struct sync_counts counts = sync_counts(master.server);
    kill(server_link_pid(master.server), SIGKILL);
    fill(master.server, "after:", 1000, 100);
    wait_until(sync_counts(master.server).partial == counts.partial + 1);
    expect_same_data(replica.server, master.server);
}

Test(tls, debian_follows_us_and_we_follow_debian)
{
    struct pair debian = start_node(DEBIAN, ""), ours = start_node(OURS, ""), theirs = start_node(DEBIAN, "");
    log_in(debian);
    fill(debian.server, "key:", 5000, 100);
    follow_with_tls(ours, debian);
    follow_with_tls(theirs, ours);
    fill(debian.server, "later:", 1000, 100);
    expect_same_data(ours.server, debian.server);
    expect_same_data(theirs.server, debian.server);
}

/* The password waits for a handshake that has succeeded. */
Test(tls, no_password_in_clear)
{
    struct pair replica = start_node(OURS, "");
    struct server *plain = server_start(OURS, "%s", "");
    log_in(replica);
    follow_port(replica.server, plain->port);
    server_wait_log(replica.server, 0, "Error condition on socket for SYNC");
    wait_until(info_number(plain, "stats", "tls_on_plain_port") > 0);
    cr_assert_not(strstr(command_text(plain, "INFO commandstats"), "cmdstat_auth"));
    cr_assert(info_is(replica.server, "replication", "master_link_status", "down"));
    expect_ok(replica.server, "CONFIG SET tls-cluster yes");
    expect_ok(replica.server, "REPLICAOF NO ONE");
    expect_ok(replica.server, "SET key value");
    expect_error(replica.server, "IOERR", "MIGRATE 127.0.0.1 %d key 0 5000 AUTH secret", plain->port);
    cr_assert_not(strstr(command_text(plain, "INFO commandstats"), "cmdstat_auth"));
}

Test(tls, a_master_with_a_foreign_certificate)
{
    struct pair replica = start_node(OURS, "");
    certificate_make(certificates, "other-ca", NULL, 0, NULL);
    certificate_make(certificates, "foreign", "other-ca", 0, NULL);
    struct pair master = prepare(OURS, "tls-auth-clients no");
    server_add_config(master.server, "tls-cert-file %s\ntls-key-file %s", pem("foreign", "crt"), pem("foreign", "key"));
    server_launch(master.server);
    log_in(replica);
    follow_port(replica.server, master.port);
    server_wait_log(replica.server, 0, "certificate verify failed");
    wait_until(handshakes_failed(master.server) > 0);
    cr_assert(info_is(replica.server, "replication", "master_link_status", "down"));
}

Test(tls, keys_migrate)
{
    struct pair from = start(OURS, "tls-cluster yes"), to = start_node(OURS, "");
    log_in(to);
    expect_ok(from.server, "SET a 1");
    expect_ok(from.server, "SET b 2");
    fill(from.server, "key:", 1, 1000000);
    expect_ok(from.server, "MIGRATE 127.0.0.1 %d a 0 30000 AUTH secret", to.port);
    expect_ok(from.server, "MIGRATE 127.0.0.1 %d %s 0 30000 AUTH secret KEYS b key:0", to.port, "");
    expect_integer(from.server, 0, "EXISTS a b key:0");
    expect_integer(to.server, 3, "EXISTS a b key:0");
    expect_integer(to.server, 1000000, "STRLEN key:0");
    cr_assert_eq(info_number(to.server, "stats", "tls_handshakes"), 1, "the connection is kept");
}

static void sentinel_promotes(enum server_kind kind)
{
    struct pair master = start(OURS, "tls-replication yes\nrepl-ping-replica-period 1"), replica;
    replica = start(OURS, "tls-replication yes\nrepl-ping-replica-period 1");
    fill(master.server, "key:", 100, 100);
    follow_port(replica.server, master.port);
    expect_same_data(replica.server, master.server);
    char watched[256];
    snprintf(watched, sizeof watched,
             "tls-replication yes\n"
             "sentinel monitor mymaster 127.0.0.1 %d 1\n"
             "sentinel down-after-milliseconds mymaster 1000\n"
             "sentinel failover-timeout mymaster 10000",
             master.port);
    struct pair sentinel = start(kind, watched);
    wait_until(strstr(command_text(sentinel.server, "INFO sentinel"), "status=ok,address=127.0.0.1") &&
               strstr(command_text(sentinel.server, "INFO sentinel"), "slaves=1"));
    server_kill(master.server);
    wait_until_within(60000, sentinel_master_port(sentinel.server) == replica.port);
    wait_until(info_is_if_there(replica.server, "replication", "role", "master"));
}

Test(tls, a_sentinel_promotes)
{
    sentinel_promotes(OUR_SENTINEL);
}

Test(tls, debians_sentinel_promotes)
{
    sentinel_promotes(DEBIAN_SENTINEL);
}
