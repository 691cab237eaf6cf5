/* See certificates.h. */
#include "tests/harness/certificates.h"

#include "tests/harness/fail.h"

#include <errno.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/stat.h>

#define DAY_S (24 * 60 * 60)

static FILE *open_file(const char *dir, const char *name, const char *ending, const char *mode)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s.%s", dir, name, ending);
    FILE *file = fopen(path, mode);
    if (!file) harness_fail("%s", path);
    return file;
}

static void set_basic(X509 *certificate, const char *name, EVP_PKEY *key, long begin_s)
{
    static long serial;
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(certificate), begin_s - 60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), begin_s + DAY_S);
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC, (const unsigned char *)name, -1,
                               -1, 0);
}

static void may_sign(X509 *certificate)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "critical,CA:TRUE");
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

static void sign(X509 *certificate, const char *dir, const char *issuer)
{
    FILE *file = open_file(dir, issuer, "crt", "r");
    X509 *by = PEM_read_X509(file, NULL, NULL, NULL);
    fclose(file);
    file = open_file(dir, issuer, "key", "r");
    EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    fclose(file);
    if (!by || !key) harness_fail("no issuer %s", issuer);
    X509_set_issuer_name(certificate, X509_get_subject_name(by));
    X509_sign(certificate, key, EVP_sha256());
    X509_free(by);
    EVP_PKEY_free(key);
}

void certificate_make(const char *dir, const char *name, const char *issuer, long begin_s, const char *password)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    set_basic(certificate, name, key, begin_s);
    if (issuer) {
        sign(certificate, dir, issuer);
    } else {
        may_sign(certificate);
        X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
        X509_sign(certificate, key, EVP_sha256());
    }
    FILE *file = open_file(dir, name, "crt", "w");
    PEM_write_X509(file, certificate);
    fclose(file);
    file = open_file(dir, name, "key", "w");
    PEM_write_PrivateKey(file, key, password ? EVP_aes_128_cbc() : NULL, NULL, 0, NULL, (void *)password);
    fclose(file);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

void certificates_make(const char *dir)
{
    if (mkdir(dir, 0755) != 0 && errno != EEXIST) harness_fail("%s", dir);
    certificate_make(dir, "ca", NULL, 0, NULL);
    certificate_make(dir, "server", "ca", 0, NULL);
    certificate_make(dir, "client", "ca", 0, NULL);
}
