/* TLS streams against each other, in memory: what is written comes out, under every cipher, in every size; what was
 * altered on the way does not. That others read the same records is told by tests/integration/test_tls.c. */
#define OPENSSL_SUPPRESS_DEPRECATED /* engines */

#include "server/net/tls/direct_ciphers.h"
#include "server/net/tls/stream.h"
#include "tests/harness/certificates.h"
#include "tests/harness/directory.h"
#include "tests/unit/test_harness_alone.h"

#include <criterion/criterion.h>
#include <openssl/engine.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char directory[64];

static char *path_of(const char *name)
{
    static char paths[4][128];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

static void make_certificates(void)
{
    snprintf(directory, sizeof directory, "/tmp/slipstream-test-tls-stream-XXXXXX");
    cr_assert_neq(mkdtemp(directory), NULL);
    certificate_make(directory, "ca", NULL, 0, NULL);
    certificate_make(directory, "server", "ca", 0, NULL);
}

static void remove_certificates(void)
{
    directory_remove(directory);
}

TestSuite(tls_stream, .init = make_certificates, .fini = remove_certificates, .timeout = 60);

struct ends {
    struct tls_context *contexts[2];
    struct tls_stream *server, *client;
};

static struct tls_context *context(enum tls_role role, const char *protocol, const char *cipher)
{
    char error[TLS_ERROR_MAX], *no = "";
    bool newest = strcmp(protocol, "TLSv1.3") == 0;
    struct tls_settings s = {.cert_file = role == TLS_SERVER ? path_of("server.crt") : no,
                             .key_file = role == TLS_SERVER ? path_of("server.key") : no,
                             .key_file_pass = no,
                             .client_cert_file = no,
                             .client_key_file = no,
                             .client_key_file_pass = no,
                             .dh_params_file = no,
                             .ca_cert_file = path_of("ca.crt"),
                             .ca_cert_dir = no,
                             .auth_clients = TLS_CLIENTS_NO,
                             .protocols = (char *)protocol,
                             .ciphers = newest ? no : (char *)cipher,
                             .ciphersuites = newest ? (char *)cipher : no};
    struct tls_context *made = tls_context_new(&s, role, error);
    cr_assert(made, "%s", error);
    return made;
}

/* What `from` has to send reaches `to`; plain bytes, of which there are at most `room`, are put at `out`. -1: `to` has
 * failed. */
static ptrdiff_t carry(struct tls_stream *from, struct tls_stream *to, uint8_t *out, size_t room)
{
    struct outq *wire = tls_stream_output(from);
    size_t all = 0;
    while (!outq_empty(wire)) {
        struct bytes front = outq_front(wire);
        ptrdiff_t got;
        tls_stream_feed(to, front.ptr, front.len);
        while ((got = tls_stream_read(to, out + all, room - all)) > 0) all += (size_t)got;
        if (got < 0) return -1;
        outq_consume(wire, front.len);
    }
    return (ptrdiff_t)all;
}

static struct ends connect_ends(const char *protocol, const char *cipher)
{
    static uint8_t none[TLS_RECORD_BYTES];
    struct ends e = {.contexts = {context(TLS_SERVER, protocol, cipher), context(TLS_CLIENT, protocol, cipher)}};
    e.server = tls_stream_new(e.contexts[0]);
    e.client = tls_stream_new(e.contexts[1]);
    tls_stream_read(e.client, none, sizeof none);
    for (int round = 0; round < 4; round++) {
        cr_assert_eq(carry(e.client, e.server, none, sizeof none), 0, "%s", tls_stream_error(e.server));
        cr_assert_eq(carry(e.server, e.client, none, sizeof none), 0, "%s", tls_stream_error(e.client));
    }
    cr_assert_eq(tls_stream_state(e.server), TLS_ESTABLISHED);
    cr_assert_eq(tls_stream_state(e.client), TLS_ESTABLISHED);
    return e;
}

static void free_ends(struct ends *e)
{
    tls_stream_free(e->server);
    tls_stream_free(e->client);
    for (int i = 0; i < 2; i++) tls_context_free(e->contexts[i]);
}

static const struct {
    const char *protocol, *cipher;
} kinds[] = {
    {"TLSv1.3", "TLS_AES_128_GCM_SHA256"},        {"TLSv1.3", "TLS_AES_256_GCM_SHA384"},
    {"TLSv1.3", "TLS_CHACHA20_POLY1305_SHA256"},  {"TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256"},
    {"TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384"}, {"TLSv1.2", "ECDHE-ECDSA-CHACHA20-POLY1305"},
    {"TLSv1.2", "ECDHE-ECDSA-AES256-SHA384"},
};
#define KINDS (sizeof kinds / sizeof *kinds)

static void expect_to_arrive(struct tls_stream *from, struct tls_stream *to, size_t len)
{
    static uint8_t sent[TLS_RECORD_BYTES], came[2 * TLS_RECORD_BYTES];
    for (size_t i = 0; i < len; i++) sent[i] = (uint8_t)((i + len) * 2654435761u >> 13);
    cr_assert_eq(tls_stream_write(from, sent, len), 0);
    cr_assert_eq(carry(from, to, came, sizeof came), (ptrdiff_t)len, "%zu bytes", len);
    cr_assert_arr_eq(came, sent, len);
}

Test(tls_stream, every_cipher_in_every_size)
{
    for (size_t k = 0; k < KINDS; k++) {
        struct ends e = connect_ends(kinds[k].protocol, kinds[k].cipher);
        for (size_t len = 1; len <= TLS_RECORD_BYTES; len += len < 600 ? 1 : len < 16000 ? 997 : 1) {
            expect_to_arrive(e.client, e.server, len);
            expect_to_arrive(e.server, e.client, len);
        }
        free_ends(&e);
    }
}

/* Any bit of the ciphertext, or of its tag. */
Test(tls_stream, what_was_altered_ends_the_stream)
{
    static uint8_t came[TLS_RECORD_BYTES];
    for (size_t k = 0; k < KINDS; k++) {
        for (size_t from_end = 1; from_end <= 40; from_end += 13) {
            struct ends e = connect_ends(kinds[k].protocol, kinds[k].cipher);
            expect_to_arrive(e.client, e.server, 50);
            cr_assert_eq(tls_stream_write(e.client, (const uint8_t *)"a request, or a part of one", 27), 0);
            struct bytes wire = outq_front(tls_stream_output(e.client));
            ((uint8_t *)wire.ptr)[wire.len - from_end] ^= 1;
            cr_assert_eq(carry(e.client, e.server, came, sizeof came), -1, "%s, byte %zu from its end", kinds[k].cipher,
                         from_end);
            cr_assert_eq(tls_stream_state(e.server), TLS_FAILED);
            cr_assert(strstr(tls_stream_error(e.server), "bad record mac"), "%s", tls_stream_error(e.server));
            free_ends(&e);
        }
    }
}

/* A record that comes twice, or that does not come, is noticed by the next. */
Test(tls_stream, records_keep_their_order)
{
    static uint8_t came[2 * TLS_RECORD_BYTES], twice[1024];
    for (size_t k = 0; k < KINDS; k++) {
        struct ends e = connect_ends(kinds[k].protocol, kinds[k].cipher);
        cr_assert_eq(tls_stream_write(e.client, (const uint8_t *)"once", 4), 0);
        struct bytes wire = outq_front(tls_stream_output(e.client));
        cr_assert(wire.len < sizeof twice);
        memcpy(twice, wire.ptr, wire.len);
        size_t len = wire.len;
        cr_assert_eq(carry(e.client, e.server, came, sizeof came), 4);
        tls_stream_feed(e.server, twice, len);
        cr_assert_eq(tls_stream_read(e.server, came, sizeof came), -1);
        cr_assert_eq(tls_stream_state(e.server), TLS_FAILED);
        free_ends(&e);
    }
}

/* --- direct_ciphers.c, with Debian's OpenSSL 3.0 --- */

static const char *engine_of(int nid)
{
    ENGINE *engine = ENGINE_get_cipher_engine(nid);
    const char *name = engine ? ENGINE_get_id(engine) : "none";
    if (engine) ENGINE_finish(engine);
    return name;
}

static void expect_engine(const char *name)
{
    if (OPENSSL_version_major() != 3 || OPENSSL_version_minor() != 0) cr_skip("OpenSSL is not 3.0");
    cr_assert_str_eq(engine_of(NID_aes_128_gcm), name);
    cr_assert_str_eq(engine_of(NID_aes_256_gcm), name);
    cr_assert_str_eq(engine_of(NID_chacha20_poly1305), name);
}

Test(tls_stream, ciphers_are_called_directly)
{
    expect_engine("none");
    tls_context_free(context(TLS_CLIENT, "TLSv1.3", "TLS_AES_256_GCM_SHA384"));
    expect_engine("direct");
}

/* As where the FIPS provider is asked for: the default one is there and not to be used. */
Test(tls_direct_ciphers, they_stand_back_from_other_providers)
{
    static const char configuration[] = "openssl_conf = all\n[all]\nproviders = providers\nalg_section = choice\n"
                                        "[providers]\ndefault = on\n[on]\nactivate = 1\n"
                                        "[choice]\ndefault_properties = provider=other\n";
    char path[] = "/tmp/slipstream-test-openssl-XXXXXX";
    int fd = mkstemp(path);
    cr_assert_eq(write(fd, configuration, sizeof configuration - 1), (ssize_t)sizeof configuration - 1);
    close(fd);
    setenv("OPENSSL_CONF", path, 1);
    tls_use_direct_ciphers();
    unlink(path);
    expect_engine("none");
}
