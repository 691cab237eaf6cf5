/* The load generator over TLS, against a peer in a thread that answers each request: what is sent is decrypted, counted
 * and answered as without; a server that is not who its certificate says is refused. */
#include "bench/load/generator.h"
#include "tests/harness/certificates.h"
#include "tests/harness/directory.h"
#include "tests/unit/test_harness_alone.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS 3
#define MS          1000000ll
#define REPLY       "$3000\r\n"
#define REPLY_BYTES 3000 /* replies of one pipeline are longer than a TLS record */

static char directory[64];

struct peer {
    pthread_t thread;
    SSL_CTX *context;
    int fd;
    long requests;
};

static void *answer(void *arg)
{
    struct peer *p = arg;
    struct counter counter = {0};
    char bytes[4096], reply[sizeof REPLY + REPLY_BYTES + 2];
    size_t reply_len = (size_t)sprintf(reply, "%s%*s\r\n", REPLY, REPLY_BYTES, "x");
    SSL *tls = SSL_new(p->context);
    SSL_set_fd(tls, p->fd);
    if (SSL_accept(tls) == 1) {
        for (int n; (n = SSL_read(tls, bytes, sizeof bytes)) > 0;) {
            long values = counter_take(&counter, bytes, (size_t)n);
            for (p->requests += values; values > 0; values--) SSL_write(tls, reply, (int)reply_len);
        }
    }
    SSL_free(tls);
    return NULL;
}

static const char *path_of(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static void make_certificates(void)
{
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
    snprintf(directory, sizeof directory, "/tmp/slipstream-test-load-tls-XXXXXX");
    cr_assert_neq(mkdtemp(directory), NULL);
    certificate_make(directory, "ca", NULL, 0, NULL);
    certificate_make(directory, "other", NULL, 0, NULL);
    certificate_make(directory, "server", "ca", 0, NULL);
}

static void remove_certificates(void)
{
    directory_remove(directory);
}

TestSuite(load_tls, .init = make_certificates, .fini = remove_certificates, .timeout = 60);

/* The client's end. */
static int peer_start(struct peer *p)
{
    int pair[2];
    p->context = SSL_CTX_new(TLS_server_method());
    cr_assert_eq(SSL_CTX_use_certificate_file(p->context, path_of("server.crt"), SSL_FILETYPE_PEM), 1);
    cr_assert_eq(SSL_CTX_use_PrivateKey_file(p->context, path_of("server.key"), SSL_FILETYPE_PEM), 1);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    p->fd = pair[1];
    cr_assert_eq(pthread_create(&p->thread, NULL, answer, p), 0);
    return pair[0];
}

static void peer_end(struct peer *p, int fd)
{
    shutdown(fd, SHUT_RDWR);
    pthread_join(p->thread, NULL);
    close(p->fd);
    close(fd);
    SSL_CTX_free(p->context);
}

static struct request_source source;
static struct mix mix;

static void make_requests(void)
{
    struct keys keys;
    struct sizes sizes;
    cr_assert_eq(keys_parse(&keys, "uniform", 1000), 0);
    cr_assert_eq(sizes_parse(&sizes, "8-4000"), 0);
    cr_assert_eq(request_source_init(&source, &keys, &sizes, 1), 0);
    cr_assert_eq(mix_add(&mix, "SET key:{key} {value}", &source), 0);
}

Test(load_tls, requests_and_replies_are_those_of_a_plain_load)
{
    static struct load_result result;
    struct peer peers[CONNECTIONS] = {{0}};
    SSL *tls[CONNECTIONS];
    int sockets[CONNECTIONS];
    char error[256] = "";
    SSL_CTX *context = load_tls_context(path_of("ca.crt"), error);
    cr_assert_neq(context, NULL, "%s", error);
    make_requests();
    for (int i = 0; i < CONNECTIONS; i++) {
        sockets[i] = peer_start(&peers[i]);
        tls[i] = load_tls_connect(context, sockets[i], error);
        cr_assert_neq(tls[i], NULL, "%s", error);
    }
    struct load_plan plan = {.sockets = sockets,
                             .tls = tls,
                             .connections = CONNECTIONS,
                             .mix = &mix,
                             .source = &source,
                             .pipeline = 20,
                             .requests = 3000,
                             .duration_ns = 20000 * MS,
                             .silence_ns = 20000 * MS};
    cr_assert_eq(load_run(&plan, &result, error), 0, "%s", error);
    cr_expect_geq(result.replies, 3000);
    cr_expect_eq(result.errors, 0);
    long requests = 0;
    for (int i = 0; i < CONNECTIONS; i++) {
        peer_end(&peers[i], sockets[i]);
        SSL_free(tls[i]);
        requests += peers[i].requests;
    }
    cr_expect_eq((uint64_t)requests, result.replies);
    SSL_CTX_free(context);
}

Test(load_tls, a_server_of_another_authority_is_refused)
{
    struct peer p = {0};
    char error[256] = "";
    cr_expect_eq(load_tls_context(path_of("nothing.crt"), error), NULL);
    cr_expect_neq(strstr(error, "nothing.crt"), NULL, "%s", error);
    SSL_CTX *context = load_tls_context(path_of("other.crt"), error);
    int fd = peer_start(&p);
    cr_expect_eq(load_tls_connect(context, fd, error), NULL);
    cr_expect_neq(strstr(error, "certificate verify failed"), NULL, "%s", error);
    peer_end(&p, fd);
    SSL_CTX_free(context);
}
