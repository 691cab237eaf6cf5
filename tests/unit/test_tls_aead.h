/* Records made and read with given keys, by libcrypto alone: what a kernel does with them. For unit tests. */
#ifndef SLIPSTREAM_TEST_TLS_AEAD_H
#define SLIPSTREAM_TEST_TLS_AEAD_H

#include "server/base/bytes.h"
#include "server/net/tls/record_keys.h"

#include <criterion/criterion.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <string.h>

#define CONTENT_ALERT     21
#define CONTENT_HANDSHAKE 22
#define CONTENT_DATA      23
#define AEAD_TAG_BYTES    16
#define AEAD_HEADER_BYTES 5

static inline const EVP_CIPHER *aead_cipher(const struct tls_record_keys *keys)
{
    switch (keys->cipher) {
    case TLS_RECORD_AES_128_GCM: return EVP_aes_128_gcm();
    case TLS_RECORD_AES_256_GCM: return EVP_aes_256_gcm();
    case TLS_RECORD_CHACHA20_POLY1305: break;
    }
    return EVP_chacha20_poly1305();
}

static inline bool aead_shows_nonce(const struct tls_record_keys *keys)
{
    return keys->version == TLS1_2_VERSION && keys->cipher != TLS_RECORD_CHACHA20_POLY1305;
}

static inline void aead_number(uint64_t number, uint8_t out[8])
{
    for (int i = 7; i >= 0; i--, number >>= 8) out[i] = (uint8_t)number;
}

/* The additional data of a record with `len` bytes in it; returns how many there are. */
static inline int aead_additional(const struct tls_record_keys *keys, uint64_t number, int type, size_t len,
                                  const uint8_t *header, uint8_t out[13])
{
    if (keys->version == TLS1_3_VERSION) {
        memcpy(out, header, AEAD_HEADER_BYTES);
        return AEAD_HEADER_BYTES;
    }
    aead_number(number, out);
    uint8_t rest[] = {(uint8_t)type, 3, 3, (uint8_t)(len >> 8), (uint8_t)len};
    memcpy(out + 8, rest, sizeof rest);
    return 13;
}

static inline void aead_begin(EVP_CIPHER_CTX *c, const struct tls_record_keys *keys, const struct tls_record_key *key,
                              const uint8_t *shown, int encrypts)
{
    uint8_t nonce[TLS_RECORD_IV_BYTES], number[8];
    memcpy(nonce, key->iv, sizeof nonce);
    aead_number(key->number, number);
    if (shown)
        memcpy(nonce + 4, shown, 8);
    else
        for (int i = 0; i < 8; i++) nonce[4 + i] ^= number[i];
    cr_assert_eq(EVP_CipherInit_ex(c, aead_cipher(keys), NULL, key->key, nonce, encrypts), 1);
}

/* The next record of `key`, which moves on; its length. */
static inline size_t aead_seal(const struct tls_record_keys *keys, struct tls_record_key *key, int type,
                               const void *data, size_t len, uint8_t *record)
{
    bool newest = keys->version == TLS1_3_VERSION, shows = aead_shows_nonce(keys);
    uint8_t plain[1024], additional[13], *at = record + AEAD_HEADER_BYTES + (shows ? 8 : 0);
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int n, inner = (int)len + newest;
    cr_assert_lt(len, sizeof plain);
    memcpy(plain, data, len);
    plain[len] = (uint8_t)type;
    size_t body = (size_t)inner + AEAD_TAG_BYTES + (shows ? 8 : 0);
    uint8_t header[] = {(uint8_t)(newest ? CONTENT_DATA : type), 3, 3, (uint8_t)(body >> 8), (uint8_t)body};
    memcpy(record, header, sizeof header);
    if (shows) memcpy(record + AEAD_HEADER_BYTES, key->iv + 4, 8);
    aead_begin(c, keys, key, shows ? key->iv + 4 : NULL, 1);
    int additional_len = aead_additional(keys, key->number, type, len, header, additional);
    cr_assert_eq(EVP_CipherUpdate(c, NULL, &n, additional, additional_len), 1);
    cr_assert_eq(EVP_CipherUpdate(c, at, &n, plain, inner), 1);
    cr_assert_eq(EVP_CipherFinal_ex(c, at + n, &n), 1);
    cr_assert_eq(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_BYTES, at + inner), 1);
    EVP_CIPHER_CTX_free(c);
    key->number++;
    for (int i = 11; shows && i >= 4 && ++key->iv[i] == 0; i--) continue;
    return AEAD_HEADER_BYTES + body;
}

/* The plain bytes of one record, which is `key`'s next; -1: it is not. */
static inline ptrdiff_t aead_open(const struct tls_record_keys *keys, struct tls_record_key *key, struct bytes record,
                                  uint8_t *out)
{
    bool newest = keys->version == TLS1_3_VERSION, shows = aead_shows_nonce(keys);
    size_t before = AEAD_HEADER_BYTES + (shows ? 8u : 0), inner = record.len - before - AEAD_TAG_BYTES;
    uint8_t additional[13];
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int n;
    aead_begin(c, keys, key, shows ? record.ptr + AEAD_HEADER_BYTES : NULL, 0);
    int additional_len = aead_additional(keys, key->number, record.ptr[0], inner, record.ptr, additional);
    cr_assert_eq(EVP_CipherUpdate(c, NULL, &n, additional, additional_len), 1);
    cr_assert_eq(EVP_CipherUpdate(c, out, &n, record.ptr + before, (int)inner), 1);
    cr_assert_eq(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG_BYTES, (void *)(record.ptr + before + inner)),
                 1);
    bool good = EVP_CipherFinal_ex(c, out + n, &n) == 1;
    EVP_CIPHER_CTX_free(c);
    key->number++;
    return good ? (ptrdiff_t)inner - newest : -1;
}

#endif
