/* From the directives to OpenSSL's SSL_CTX. Any process.
 *
 * Nothing is half done: a context that cannot be made as asked is not made. Renegotiation and compression are off for
 * good; sessions are kept in the server's own cache and in tickets, both bound to this context, so that whoever was let
 * in under old certificates is looked at again under new ones. */
#include "server/net/tls/context.h"

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/net/tls/direct_ciphers.h"
#include "server/net/tls/record_keys.h"

#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>

struct tls_context {
    SSL_CTX *ssl;
    enum tls_role role;
    bool tells_keys;
};

static const char session_id_context[] = "redis";

void tls_take_error(char *out, size_t room, const char *otherwise)
{
    unsigned long code = ERR_peek_error();
    if (code)
        ERR_error_string_n(code, out, room);
    else
        snprintf(out, room, "%s", otherwise);
    ERR_clear_error();
}

/* Fills error with "what: OpenSSL's reason"; false, for the caller to return. */
static bool fail(char error[TLS_ERROR_MAX], const char *what, const char *which)
{
    char reason[256];
    tls_take_error(reason, sizeof reason, "");
    snprintf(error, TLS_ERROR_MAX, "%s%s%.200s%s%s", what, *which ? ": " : "", which, *reason ? ": " : "", reason);
    return false;
}

/* --- certificate and key --- */

static int give_password(char *buffer, int room, int writing, void *password)
{
    (void)writing;
    size_t len = password ? strlen(password) : 0;
    if (len > (size_t)room) return -1;
    if (len) memcpy(buffer, password, len);
    return (int)len;
}

static bool load_key_pair(SSL_CTX *ssl, const char *certificate, const char *key, const char *password,
                          char error[TLS_ERROR_MAX])
{
    SSL_CTX_set_default_passwd_cb(ssl, give_password);
    SSL_CTX_set_default_passwd_cb_userdata(ssl, (void *)password);
    bool good = true;
    if (SSL_CTX_use_certificate_chain_file(ssl, certificate) <= 0)
        good = fail(error, "Failed to load certificate", certificate);
    else if (SSL_CTX_use_PrivateKey_file(ssl, key, SSL_FILETYPE_PEM) <= 0)
        good = fail(error, "Failed to load private key", key);
    else if (SSL_CTX_check_private_key(ssl) <= 0)
        good = fail(error, "The private key does not belong to the certificate", key);
    SSL_CTX_set_default_passwd_cb_userdata(ssl, NULL);
    return good;
}

/* A client has no need of a certificate where its server asks for none. */
static bool set_identity(SSL_CTX *ssl, const struct tls_settings *s, enum tls_role role, char error[TLS_ERROR_MAX])
{
    if (role == TLS_CLIENT && (*s->client_cert_file || *s->client_key_file)) {
        if (!*s->client_cert_file) return fail(error, "tls-client-key-file without tls-client-cert-file", "");
        if (!*s->client_key_file) return fail(error, "tls-client-cert-file without tls-client-key-file", "");
        return load_key_pair(ssl, s->client_cert_file, s->client_key_file, s->client_key_file_pass, error);
    }
    if (role == TLS_CLIENT && !*s->cert_file && !*s->key_file) return true;
    if (!*s->cert_file) return fail(error, "No tls-cert-file configured!", "");
    if (!*s->key_file) return fail(error, "No tls-key-file configured!", "");
    return load_key_pair(ssl, s->cert_file, s->key_file, s->key_file_pass, error);
}

/* --- trust --- */

static bool set_trust(SSL_CTX *ssl, const struct tls_settings *s, enum tls_role role, char error[TLS_ERROR_MAX])
{
    bool asks = role == TLS_CLIENT || s->auth_clients != TLS_CLIENTS_NO;
    int mode = asks ? SSL_VERIFY_PEER : SSL_VERIFY_NONE;
    if (role == TLS_SERVER && s->auth_clients == TLS_CLIENTS_YES) mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(ssl, mode, NULL);
    if (!*s->ca_cert_file && !*s->ca_cert_dir) {
        if (!asks) return true;
        return fail(error,
                    "Either tls-ca-cert-file or tls-ca-cert-dir must be specified when tls-replication, tls-cluster "
                    "or tls-auth-clients are enabled!",
                    "");
    }
    if (SSL_CTX_load_verify_locations(ssl, *s->ca_cert_file ? s->ca_cert_file : NULL,
                                      *s->ca_cert_dir ? s->ca_cert_dir : NULL) <= 0)
        return fail(error, "Failed to configure CA certificate(s) file/directory",
                    *s->ca_cert_file ? s->ca_cert_file : s->ca_cert_dir);
    return true;
}

/* --- protocols and ciphers --- */

static const struct {
    const char *name;
    int version;
    uint64_t without;
} protocols[] = {
    {"TLSv1", TLS1_VERSION, SSL_OP_NO_TLSv1},
    {"TLSv1.1", TLS1_1_VERSION, SSL_OP_NO_TLSv1_1},
    {"TLSv1.2", TLS1_2_VERSION, SSL_OP_NO_TLSv1_2},
    {"TLSv1.3", TLS1_3_VERSION, SSL_OP_NO_TLSv1_3},
};
#define PROTOCOLS (sizeof protocols / sizeof *protocols)

/* Index of a word of `len` bytes, PROTOCOLS: it names none. */
static size_t protocol_index(const char *word, size_t len)
{
    size_t i = 0;
    while (i < PROTOCOLS && (strncasecmp(protocols[i].name, word, len) != 0 || protocols[i].name[len])) i++;
    return i;
}

static bool set_protocols(SSL_CTX *ssl, const char *wanted, char error[TLS_ERROR_MAX])
{
    if (!*wanted) wanted = "TLSv1.2 TLSv1.3";
    uint64_t without = SSL_OP_NO_SSLv3;
    int lowest = 0;
    for (size_t i = 0; i < PROTOCOLS; i++) without |= protocols[i].without;
    for (const char *at = wanted; *(at += strspn(at, " ")); at += strcspn(at, " ")) {
        size_t i = protocol_index(at, strcspn(at, " "));
        if (i == PROTOCOLS)
            return fail(error,
                        "Invalid tls-protocols specified. Use a combination of 'TLSv1', 'TLSv1.1', 'TLSv1.2' and "
                        "'TLSv1.3'.",
                        "");
        without &= ~protocols[i].without;
        if (!lowest || protocols[i].version < lowest) lowest = protocols[i].version;
    }
    if (!lowest) return fail(error, "Invalid tls-protocols specified: none is named", "");
    SSL_CTX_set_min_proto_version(ssl, lowest);
    SSL_CTX_set_options(ssl, without);
    return true;
}

static bool set_ciphers(SSL_CTX *ssl, const struct tls_settings *s, char error[TLS_ERROR_MAX])
{
    if (*s->ciphers && !SSL_CTX_set_cipher_list(ssl, s->ciphers))
        return fail(error, "Failed to configure ciphers", s->ciphers);
    if (*s->ciphersuites && !SSL_CTX_set_ciphersuites(ssl, s->ciphersuites))
        return fail(error, "Failed to configure ciphersuites", s->ciphersuites);
    if (s->prefer_server_ciphers) SSL_CTX_set_options(ssl, SSL_OP_CIPHER_SERVER_PREFERENCE);
    return true;
}

static bool set_dh_params(SSL_CTX *ssl, const char *path, char error[TLS_ERROR_MAX])
{
    if (!*path) {
        SSL_CTX_set_dh_auto(ssl, 1);
        return true;
    }
    EVP_PKEY *params = NULL;
    BIO *file = BIO_new_file(path, "r");
    OSSL_DECODER_CTX *decoder =
        OSSL_DECODER_CTX_new_for_pkey(&params, "PEM", NULL, NULL, OSSL_KEYMGMT_SELECT_ALL_PARAMETERS, NULL, NULL);
    bool read = file && decoder && OSSL_DECODER_from_bio(decoder, file) == 1 && params;
    OSSL_DECODER_CTX_free(decoder);
    BIO_free(file);
    if (read && SSL_CTX_set0_tmp_dh_pkey(ssl, params) == 1) return true;
    EVP_PKEY_free(params);
    return fail(error, "Failed to load DH params file", path);
}

/* --- sessions --- */

static void set_sessions(SSL_CTX *ssl, const struct tls_settings *s)
{
    if (!s->session_caching) {
        SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
        SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET);
        SSL_CTX_set_num_tickets(ssl, 0);
        return;
    }
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_SERVER);
    SSL_CTX_sess_set_cache_size(ssl, s->session_cache_size);
    SSL_CTX_set_timeout(ssl, s->session_cache_timeout_s);
    SSL_CTX_set_session_id_context(ssl, (const unsigned char *)session_id_context, sizeof session_id_context - 1);
}

static bool set_up(SSL_CTX *ssl, const struct tls_settings *s, enum tls_role role, char error[TLS_ERROR_MAX])
{
    SSL_CTX_set_options(ssl, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_SINGLE_DH_USE);
    SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
    if (!set_protocols(ssl, s->protocols, error) || !set_identity(ssl, s, role, error) ||
        !set_trust(ssl, s, role, error) || !set_ciphers(ssl, s, error))
        return false;
    if (role == TLS_CLIENT) return true;
    set_sessions(ssl, s);
    return set_dh_params(ssl, s->dh_params_file, error);
}

struct tls_context *tls_context_new(const struct tls_settings *settings, enum tls_role role, char error[TLS_ERROR_MAX])
{
    tls_use_direct_ciphers();
    SSL_CTX *ssl = SSL_CTX_new(role == TLS_SERVER ? TLS_server_method() : TLS_client_method());
    if (!ssl) {
        fail(error, "OpenSSL has no context for us", "");
        return NULL;
    }
    if (!set_up(ssl, settings, role, error)) {
        SSL_CTX_free(ssl);
        return NULL;
    }
    struct tls_context *context = mem_alloc(sizeof *context);
    *context = (struct tls_context){.ssl = ssl, .role = role};
    return context;
}

void tls_context_free(struct tls_context *context)
{
    if (!context) return;
    SSL_CTX_free(context->ssl);
    mem_free(context);
}

void tls_context_tell_keys(struct tls_context *context)
{
    record_watch_allow(context->ssl);
    context->tells_keys = true;
}

bool tls_context_tells_keys(const struct tls_context *context)
{
    return context->tells_keys;
}

struct ssl_st *tls_context_session(const struct tls_context *context)
{
    SSL *ssl = SSL_new(context->ssl);
    CHECK(ssl); /* out of memory */
    if (context->role == TLS_SERVER)
        SSL_set_accept_state(ssl);
    else
        SSL_set_connect_state(ssl);
    return ssl;
}
