/* See record_keys.h. Any process that speaks TLS; each watch belongs to its connection's thread.
 *
 * OpenSSL has a way of its own to give keys to the kernel, a word to the BIO. It is not used: the word's layout is
 * OpenSSL's secret, 3.0 says nothing of what TLS 1.3 receives, and a connection would be the kernel's from its
 * handshake on, while we know only later which one is a replica's. So the secrets are taken from the key log (TLS 1.3)
 * or from the session (TLS 1.2), and records are counted as OpenSSL reports their headers. Its messages tell where the
 * counting begins: behind `Finished` in TLS 1.3, with it in 1.2.
 *
 * Where anything is not as expected, there are no keys, and the connection stays OpenSSL's. A watch holds nothing that
 * its SSL does not hold as well, and not for longer. */
#include "server/net/tls/record_keys.h"

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/net/tls/direct_ciphers.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <string.h>

#define SHOWN_IV_BYTES    8 /* of each AES-GCM record of TLS 1.2 */
#define FIXED_IV_BYTES    4
#define FINISHED_BYTES    16 /* the message, in TLS 1.2 */
#define TAG_BYTES         16
#define LABEL_BYTES_MAX   64
#define KEY_BLOCK_MAX     (2 * (TLS_RECORD_KEY_MAX + TLS_RECORD_IV_BYTES))
#define MASTER_SECRET_MAX 48

enum direction { IN, OUT };

struct half {
    uint64_t records;  /* under the keys that are in use */
    size_t last_bytes; /* of the record that came last, without its header */
    uint8_t secret[TLS_TRAFFIC_SECRET_MAX];
    size_t secret_len;
};

struct record_watch {
    struct half halves[2];
    uint64_t arrived_bytes; /* all that OpenSSL was fed */
    uint64_t framed_bytes;  /* the records whose headers it has read: as much, when it stands between two */
    uint8_t shown_iv[SHOWN_IV_BYTES];
    bool shown_iv_known;
    bool is_strange; /* what came is not what we would know how to continue */
};

static const struct {
    int nid;
    enum tls_record_cipher cipher;
    size_t key_bytes;
} ciphers[] = {
    {NID_aes_128_gcm, TLS_RECORD_AES_128_GCM, 16},
    {NID_aes_256_gcm, TLS_RECORD_AES_256_GCM, 32},
    {NID_chacha20_poly1305, TLS_RECORD_CHACHA20_POLY1305, 32},
};
#define CIPHERS (sizeof ciphers / sizeof *ciphers)

static const EVP_MD *digest_of(const SSL *ssl)
{
    return SSL_CIPHER_get_handshake_digest(SSL_get_current_cipher(ssl));
}

/* --- what OpenSSL tells --- */

static void keys_begin(struct record_watch *w, const SSL *ssl, struct half *h)
{
    bool newest = SSL_version(ssl) == TLS1_3_VERSION;
    h->records = newest ? 0 : 1;
    if (newest) return;
    /* In pieces, it would not be one record. */
    bool gcm = SSL_CIPHER_get_cipher_nid(SSL_get_current_cipher(ssl)) != NID_chacha20_poly1305;
    if (h->last_bytes != FINISHED_BYTES + TAG_BYTES + (gcm ? SHOWN_IV_BYTES : 0)) w->is_strange = true;
}

static void on_message(int sent, int version, int type, const void *data, size_t len, SSL *ssl, void *arg)
{
    struct record_watch *w = arg;
    struct half *h = &w->halves[sent ? OUT : IN];
    const uint8_t *at = data;
    (void)version;
    if (type == SSL3_RT_HEADER && len == SSL3_RT_HEADER_LENGTH) {
        h->records++;
        h->last_bytes = (size_t)at[3] << 8 | at[4];
        if (!sent) w->framed_bytes += SSL3_RT_HEADER_LENGTH + h->last_bytes;
    } else if (type == SSL3_RT_HANDSHAKE && len > 0) {
        if (*at == SSL3_MT_FINISHED) keys_begin(w, ssl, h);
        if (*at == SSL3_MT_KEY_UPDATE) w->is_strange = true;
    }
}

static void take_secret(struct half *h, const char *hex)
{
    size_t len = strlen(hex) / 2;
    h->secret_len = 0;
    if (len > sizeof h->secret || strlen(hex) % 2) return;
    for (size_t i = 0; i < len; i++) {
        int high = OPENSSL_hexchar2int((unsigned char)hex[2 * i]),
            low = OPENSSL_hexchar2int((unsigned char)hex[2 * i + 1]);
        if (high < 0 || low < 0) return;
        h->secret[i] = (uint8_t)(high << 4 | low);
    }
    h->secret_len = len;
}

/* A line: what it is, the client's random number, the secret. */
static void on_secret(const SSL *ssl, const char *line)
{
    static const char *const theirs = "CLIENT_TRAFFIC_SECRET_0 ", *const ours = "SERVER_TRAFFIC_SECRET_0 ";
    struct record_watch *w = SSL_get_app_data(ssl);
    const char *secret = strrchr(line, ' ');
    if (!w || !secret) return;
    bool is_server = SSL_is_server(ssl);
    if (strncmp(line, is_server ? theirs : ours, strlen(theirs)) == 0) take_secret(&w->halves[IN], secret + 1);
    if (strncmp(line, is_server ? ours : theirs, strlen(theirs)) == 0) take_secret(&w->halves[OUT], secret + 1);
}

void record_watch_allow(struct ssl_ctx_st *ctx)
{
    SSL_CTX_set_keylog_callback(ctx, on_secret);
}

struct record_watch *record_watch_start(struct ssl_st *ssl)
{
    struct record_watch *w = mem_calloc(1, sizeof *w);
    CHECK(SSL_set_app_data(ssl, w)); /* out of memory */
    SSL_set_msg_callback(ssl, on_message);
    SSL_set_msg_callback_arg(ssl, w);
    return w;
}

void record_watch_free(struct record_watch *w)
{
    if (!w) return;
    OPENSSL_cleanse(w, sizeof *w);
    mem_free(w);
}

void record_watch_arrived(struct record_watch *w, size_t len)
{
    w->arrived_bytes += len;
}

/* An application's record is written at once and alone; of what is not, nothing is known. */
void record_watch_left(struct record_watch *w, const uint8_t *data, size_t len)
{
    size_t header = SSL3_RT_HEADER_LENGTH;
    w->shown_iv_known = len >= header + SHOWN_IV_BYTES && data[0] == SSL3_RT_APPLICATION_DATA &&
                        ((size_t)data[3] << 8 | data[4]) == len - header;
    if (w->shown_iv_known) memcpy(w->shown_iv, data + header, SHOWN_IV_BYTES);
}

/* --- derivation --- */

static int run_kdf(const char *name, OSSL_PARAM *params, uint8_t *out, size_t len)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, name, NULL);
    EVP_KDF_CTX *context = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    int result = context && EVP_KDF_derive(context, out, len, params) == 1 ? 0 : -1;
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
    return result;
}

/* HKDF-Expand-Label without a context (RFC 8446, 7.1). */
static int expand(const char *digest, const uint8_t *secret, size_t secret_len, const char *label, uint8_t *out,
                  size_t len)
{
    uint8_t info[LABEL_BYTES_MAX] = {0, (uint8_t)len, (uint8_t)(6 + strlen(label)), 't', 'l', 's', '1', '3', ' '};
    size_t info_len = 9 + strlen(label) + 1; /* and the length of no context */
    int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    CHECK(info_len <= sizeof info);
    memcpy(info + 9, label, strlen(label));
    OSSL_PARAM params[] = {OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
                           OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)digest, 0),
                           OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)secret, secret_len),
                           OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, info_len),
                           OSSL_PARAM_construct_end()};
    return run_kdf("HKDF", params, out, len);
}

int tls_record_key_derive(struct tls_record_key *out, enum tls_record_cipher cipher, const uint8_t *secret, size_t len)
{
    const char *digest = cipher == TLS_RECORD_AES_256_GCM ? "SHA384" : "SHA256";
    size_t key_bytes = cipher == TLS_RECORD_AES_128_GCM ? 16 : 32;
    if (expand(digest, secret, len, "key", out->key, key_bytes) != 0) return -1;
    return expand(digest, secret, len, "iv", out->iv, TLS_RECORD_IV_BYTES);
}

/* The key block (RFC 5246, 6.3). */
static int expand_master(const SSL *ssl, uint8_t *block, size_t len)
{
    static const char label[] = "key expansion";
    uint8_t master[MASTER_SECRET_MAX], seed[sizeof label - 1 + 2 * SSL3_RANDOM_SIZE], *at = seed + sizeof label - 1;
    size_t master_len = SSL_SESSION_get_master_key(SSL_get_session(ssl), master, sizeof master);
    memcpy(seed, label, sizeof label - 1);
    SSL_get_server_random(ssl, at, SSL3_RANDOM_SIZE);
    SSL_get_client_random(ssl, at + SSL3_RANDOM_SIZE, SSL3_RANDOM_SIZE);
    const char *digest = EVP_MD_get0_name(digest_of(ssl));
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)digest, 0),
                           OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, master, master_len),
                           OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, seed, sizeof seed),
                           OSSL_PARAM_construct_end()};
    int result = master_len == 0 ? -1 : run_kdf("TLS1-PRF", params, block, len);
    OPENSSL_cleanse(master, sizeof master);
    return result;
}

/* The nonce that the last record showed, and one more: none is ever used twice. */
static void put_next_shown(const struct record_watch *w, uint8_t *out)
{
    memcpy(out, w->shown_iv, SHOWN_IV_BYTES);
    for (int i = SHOWN_IV_BYTES - 1; i >= 0 && ++out[i] == 0; i--) continue;
}

/* Client's key, server's key, client's nonce, server's. */
static int keys_1_2(const struct record_watch *w, const SSL *ssl, size_t key_bytes, struct tls_record_keys *out)
{
    uint8_t block[KEY_BLOCK_MAX];
    bool gcm = out->cipher != TLS_RECORD_CHACHA20_POLY1305;
    size_t iv_bytes = gcm ? FIXED_IV_BYTES : TLS_RECORD_IV_BYTES;
    struct tls_record_key *client = SSL_is_server(ssl) ? &out->in : &out->out;
    struct tls_record_key *server = SSL_is_server(ssl) ? &out->out : &out->in;
    if ((gcm && !w->shown_iv_known) || expand_master(ssl, block, 2 * (key_bytes + iv_bytes)) != 0) return -1;
    memcpy(client->key, block, key_bytes);
    memcpy(server->key, block + key_bytes, key_bytes);
    memcpy(client->iv, block + 2 * key_bytes, iv_bytes);
    memcpy(server->iv, block + 2 * key_bytes + iv_bytes, iv_bytes);
    if (gcm) put_next_shown(w, out->out.iv + FIXED_IV_BYTES);
    OPENSSL_cleanse(block, sizeof block);
    return 0;
}

static int keys_1_3(const struct record_watch *w, const SSL *ssl, struct tls_record_keys *out)
{
    const struct half *in = &w->halves[IN], *sent = &w->halves[OUT];
    size_t len = (size_t)EVP_MD_get_size(digest_of(ssl));
    if (in->secret_len != len || sent->secret_len != len) return -1;
    if (tls_record_key_derive(&out->in, out->cipher, in->secret, len) != 0) return -1;
    return tls_record_key_derive(&out->out, out->cipher, sent->secret, len);
}

int record_watch_keys(const struct record_watch *w, const struct ssl_st *ssl, struct tls_record_keys *out)
{
    *out = (struct tls_record_keys){.version = SSL_version(ssl)};
    if (w->is_strange || w->arrived_bytes != w->framed_bytes || SSL_pending(ssl) || !SSL_is_init_finished(ssl))
        return -1;
    if (SSL_SESSION_get_max_fragment_length(SSL_get_session(ssl))) return -1; /* others would send longer records */
    int nid = SSL_CIPHER_get_cipher_nid(SSL_get_current_cipher(ssl));
    if (!tls_cipher_is_default(nid)) return -1;
    size_t i = 0;
    while (i < CIPHERS && ciphers[i].nid != nid) i++;
    if (i == CIPHERS) return -1;
    out->cipher = ciphers[i].cipher;
    out->in.number = w->halves[IN].records;
    out->out.number = w->halves[OUT].records;
    int result = out->version == TLS1_3_VERSION   ? keys_1_3(w, ssl, out)
                 : out->version == TLS1_2_VERSION ? keys_1_2(w, ssl, ciphers[i].key_bytes, out)
                                                  : -1;
    if (result != 0) OPENSSL_cleanse(out, sizeof *out);
    return result;
}
