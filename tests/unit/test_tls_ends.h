/* Two ends of a TLS connection in memory, with certificates of their own, for unit tests. */
#ifndef SLIPSTREAM_TEST_TLS_ENDS_H
#define SLIPSTREAM_TEST_TLS_ENDS_H

#include "server/net/tls/stream.h"
#include "tests/harness/certificates.h"
#include "tests/harness/directory.h"
#include "tests/unit/test_harness_alone.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char directory[64];

static inline char *path_of(const char *name)
{
    static char paths[4][128];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

static inline void make_certificates(void)
{
    snprintf(directory, sizeof directory, "/tmp/slipstream-test-tls-XXXXXX");
    cr_assert_neq(mkdtemp(directory), NULL);
    certificate_make(directory, "ca", NULL, 0, NULL);
    certificate_make(directory, "server", "ca", 0, NULL);
}

static inline void remove_certificates(void)
{
    directory_remove(directory);
}

/* One of each kind that certificates of elliptic curves go with. The last one has no AEAD: its records carry a MAC. */
static const struct {
    const char *protocol, *name;
} ciphers[] = {
    {"TLSv1.3", "TLS_AES_128_GCM_SHA256"},        {"TLSv1.3", "TLS_AES_256_GCM_SHA384"},
    {"TLSv1.3", "TLS_CHACHA20_POLY1305_SHA256"},  {"TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256"},
    {"TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384"}, {"TLSv1.2", "ECDHE-ECDSA-CHACHA20-POLY1305"},
    {"TLSv1.2", "ECDHE-ECDSA-AES256-SHA384"},
};
#define CIPHERS      (sizeof ciphers / sizeof *ciphers)
#define AEAD_CIPHERS (CIPHERS - 1)

struct ends {
    struct tls_context *contexts[2];
    struct tls_stream *server, *client;
};

static inline struct tls_context *context(enum tls_role role, const char *protocol, const char *cipher)
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
    tls_context_tell_keys(made);
    return made;
}

/* What `from` has to send reaches `to`; plain bytes, of which there are at most `room`, are put at `out`. -1: `to` has
 * failed. */
static inline ptrdiff_t carry(struct tls_stream *from, struct tls_stream *to, uint8_t *out, size_t room)
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

static inline struct ends connect_ends(const char *protocol, const char *cipher)
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

static inline void free_ends(struct ends *e)
{
    tls_stream_free(e->server);
    tls_stream_free(e->client);
    for (int i = 0; i < 2; i++) tls_context_free(e->contexts[i]);
}

#endif
