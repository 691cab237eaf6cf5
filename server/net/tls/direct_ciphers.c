/* See direct_ciphers.h. Any process that speaks TLS.
 *
 * A request is a record of some dozens of bytes. OpenSSL 3.0 hands such a record's nonce and tag to a provider as lists
 * of named parameters, and each list is searched for every name that the provider knows: that takes longer than the
 * encryption does. The same library has the same ciphers as methods that are called directly, and its TLS takes those
 * where an engine names them. This engine names OpenSSL's own, and has no code that sees a key or a byte.
 *
 * It stands back from a cipher for which OpenSSL's configuration wants something else, another provider (FIPS) or an
 * engine; and where OpenSSL is not 3.0: later versions have shorter lists, and in the end no engines. */
#define OPENSSL_SUPPRESS_DEPRECATED /* engines: since 3.0 */

#include "server/net/tls/direct_ciphers.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/provider.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

bool tls_cipher_is_default(int nid)
{
    EVP_CIPHER *fetched = EVP_CIPHER_fetch(NULL, OBJ_nid2sn(nid), NULL);
    const OSSL_PROVIDER *from = fetched ? EVP_CIPHER_get0_provider(fetched) : NULL;
    bool is_default = from && strcmp(OSSL_PROVIDER_get0_name(from), "default") == 0;
    EVP_CIPHER_free(fetched);
    return is_default;
}

#ifndef OPENSSL_NO_ENGINE

#include <openssl/engine.h>

/* Those that TLS offers unless told otherwise, and that clients choose. */
static const EVP_CIPHER *(*const methods[])(void) = {EVP_aes_128_gcm, EVP_aes_256_gcm, EVP_chacha20_poly1305};
#define METHODS (sizeof methods / sizeof *methods)

static int taken[METHODS]; /* OpenSSL's numbers of those that the engine names */
static int taken_count;

static bool is_as_delivered(int nid)
{
    ENGINE *other = ENGINE_get_cipher_engine(nid);
    if (other) {
        ENGINE_finish(other);
        return false;
    }
    return tls_cipher_is_default(nid);
}

/* OpenSSL asks for all numbers (cipher is NULL; how many), or for the cipher of one (whether there is one). */
static int name_ciphers(ENGINE *engine, const EVP_CIPHER **cipher, const int **nids, int nid)
{
    (void)engine;
    if (!cipher) {
        *nids = taken;
        return taken_count;
    }
    *cipher = NULL;
    for (size_t i = 0; i < METHODS; i++)
        if (EVP_CIPHER_get_nid(methods[i]()) == nid) *cipher = methods[i]();
    return *cipher != NULL;
}

static void register_engine(void)
{
    ENGINE *engine = ENGINE_new();
    if (engine && ENGINE_set_id(engine, "direct") &&
        ENGINE_set_name(engine, "OpenSSL's own ciphers, called directly") && ENGINE_set_ciphers(engine, name_ciphers))
        ENGINE_set_default_ciphers(engine);
    ENGINE_free(engine); /* the table of defaults keeps it */
}

static void use_them(void)
{
    if (OPENSSL_version_major() != 3 || OPENSSL_version_minor() != 0) return;
    OPENSSL_init_ssl(OPENSSL_INIT_LOAD_CONFIG, NULL);
    for (size_t i = 0; i < METHODS; i++) {
        int nid = EVP_CIPHER_get_nid(methods[i]());
        if (is_as_delivered(nid)) taken[taken_count++] = nid;
    }
    if (taken_count) register_engine();
    ERR_clear_error();
}

#else

static void use_them(void) {}

#endif

void tls_use_direct_ciphers(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, use_them);
}
