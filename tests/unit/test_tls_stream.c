/* TLS streams against each other, in memory: what is written comes out, under every cipher, in every size; what was
 * altered on the way does not. That others read the same records is told by tests/integration/test_tls.c. */
#define OPENSSL_SUPPRESS_DEPRECATED /* engines */

#include "server/net/tls/direct_ciphers.h"
#include "tests/unit/test_tls_ends.h"

#include <criterion/criterion.h>
#include <openssl/engine.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(tls_stream, .init = make_certificates, .fini = remove_certificates, .timeout = 60);

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
    for (size_t k = 0; k < CIPHERS; k++) {
        struct ends e = connect_ends(ciphers[k].protocol, ciphers[k].name);
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
    for (size_t k = 0; k < CIPHERS; k++) {
        for (size_t from_end = 1; from_end <= 40; from_end += 13) {
            struct ends e = connect_ends(ciphers[k].protocol, ciphers[k].name);
            expect_to_arrive(e.client, e.server, 50);
            cr_assert_eq(tls_stream_write(e.client, (const uint8_t *)"a request, or a part of one", 27), 0);
            struct bytes wire = outq_front(tls_stream_output(e.client));
            ((uint8_t *)wire.ptr)[wire.len - from_end] ^= 1;
            cr_assert_eq(carry(e.client, e.server, came, sizeof came), -1, "%s, byte %zu from its end", ciphers[k].name,
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
    for (size_t k = 0; k < CIPHERS; k++) {
        struct ends e = connect_ends(ciphers[k].protocol, ciphers[k].name);
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
