/* What another record layer than OpenSSL's needs in order to go on in the middle of a connection: keys, nonces and the
 * numbers of the next records. Found out beside OpenSSL, which gives them to nobody. Pure. */
#ifndef SLIPSTREAM_NET_TLS_RECORD_KEYS_H
#define SLIPSTREAM_NET_TLS_RECORD_KEYS_H

#include <stddef.h>
#include <stdint.h>

#define TLS_RECORD_KEY_MAX     32
#define TLS_RECORD_IV_BYTES    12
#define TLS_TRAFFIC_SECRET_MAX 48

enum tls_record_cipher { TLS_RECORD_AES_128_GCM, TLS_RECORD_AES_256_GCM, TLS_RECORD_CHACHA20_POLY1305 };

/* One direction's. */
struct tls_record_key {
    uint8_t key[TLS_RECORD_KEY_MAX]; /* AES-128 has the first half */
    /* TLS 1.3 and ChaCha20: what a record's number is mixed into. AES-GCM in TLS 1.2: the four bytes that stay, and
     * those that the next record sent is to show; of what is received, the records say it. */
    uint8_t iv[TLS_RECORD_IV_BYTES];
    uint64_t number; /* of the next record */
};

struct tls_record_keys {
    int version; /* TLS1_2_VERSION, TLS1_3_VERSION */
    enum tls_record_cipher cipher;
    struct tls_record_key out, in;
};

struct ssl_st;
struct ssl_ctx_st;
struct record_watch;

/* The secrets of ctx's connections are told to those of them that are watched. */
void record_watch_allow(struct ssl_ctx_st *ctx);
struct record_watch *record_watch_start(struct ssl_st *ssl);                         /* before its handshake */
void record_watch_free(struct record_watch *watch);                                  /* after its SSL; may be NULL */
void record_watch_arrived(struct record_watch *watch, size_t len);                   /* OpenSSL was fed so much */
void record_watch_left(struct record_watch *watch, const uint8_t *data, size_t len); /* OpenSSL has written this */
/* 0: both directions stand between two records, and out says how they go on; the caller cleanses it. -1: they do not,
 * or it is not known: another protocol or cipher, keys that were renewed. */
int record_watch_keys(const struct record_watch *watch, const struct ssl_st *ssl, struct tls_record_keys *out);

/* The key and the nonce of a traffic secret (RFC 8446, 7.3). 0, or -1. */
int tls_record_key_derive(struct tls_record_key *out, enum tls_record_cipher cipher, const uint8_t *secret, size_t len);

#endif
