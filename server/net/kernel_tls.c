/* See kernel_tls.h. Server process and link process.
 *
 * A socket becomes the kernel's in three steps: the protocol, what is sent, what is received. With the protocol alone
 * bytes pass as they are, and a refusal up to there, or of the first key, leaves the socket as it was. Sending comes
 * first for that reason: where its key is taken, the other is refused only when the kernel has no memory.
 *
 * The kernel carries data. Of TLS's own words it has one that matters here, the end; a peer that renews its keys is not
 * understood, and its connection ends. OpenSSL does that only when a program asks for it, and no server does. */
#include "server/net/kernel_tls.h"

#include "server/base/log.h"
#include "server/net/tls/record_keys.h"

#include <errno.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/crypto.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SOL_TLS
#define SOL_TLS 282
#endif
#ifndef TCP_ULP
#define TCP_ULP 31
#endif

#define CONTENT_ALERT     21
#define CONTENT_HANDSHAKE 22
#define ALERT_WARNING     1
#define ALERT_CLOSE       0

/* One that is not connected cannot have the protocol; only a kernel that knows it says so. */
bool kernel_tls_is_offered(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    bool offered = setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof "tls") == 0 || errno == ENOTCONN;
    close(fd);
    return offered;
}

bool kernel_tls_is_on(int fd)
{
    struct tls_crypto_info info;
    socklen_t len = sizeof info;
    return getsockopt(fd, SOL_TLS, TLS_TX, &info, &len) == 0;
}

/* --- keys --- */

union crypto_info {
    struct tls_crypto_info info;
    struct tls12_crypto_info_aes_gcm_128 gcm_128;
    struct tls12_crypto_info_aes_gcm_256 gcm_256;
#ifdef TLS_CIPHER_CHACHA20_POLY1305
    struct tls12_crypto_info_chacha20_poly1305 chacha;
#endif
};

static void put_number(unsigned char *out, uint64_t number)
{
    for (int i = 7; i >= 0; i--, number >>= 8) out[i] = (unsigned char)number;
}

/* The nonce's first four bytes have a name of their own, but for ChaCha20. */
#define FILL(member, type)                                                                                             \
    do {                                                                                                               \
        to->info.cipher_type = (type);                                                                                 \
        memcpy(to->member.key, from->key, sizeof to->member.key);                                                      \
        memcpy(to->member.salt, from->iv, sizeof to->member.salt);                                                     \
        memcpy(to->member.iv, from->iv + sizeof to->member.salt, sizeof to->member.iv);                                \
        put_number(to->member.rec_seq, from->number);                                                                  \
    } while (0)

/* The bytes of it that count; 0: no such cipher. */
static socklen_t fill(union crypto_info *to, const struct tls_record_keys *keys, const struct tls_record_key *from)
{
    memset(to, 0, sizeof *to);
    to->info.version = (uint16_t)keys->version; /* the numbers of the wire, as OpenSSL's */
    switch (keys->cipher) {
    case TLS_RECORD_AES_128_GCM: FILL(gcm_128, TLS_CIPHER_AES_GCM_128); return sizeof to->gcm_128;
    case TLS_RECORD_AES_256_GCM: FILL(gcm_256, TLS_CIPHER_AES_GCM_256); return sizeof to->gcm_256;
    case TLS_RECORD_CHACHA20_POLY1305:
#ifdef TLS_CIPHER_CHACHA20_POLY1305
        FILL(chacha, TLS_CIPHER_CHACHA20_POLY1305);
        return sizeof to->chacha;
#else
        break;
#endif
    }
    errno = EOPNOTSUPP;
    return 0;
}

static int set_key(int fd, int direction, const struct tls_record_keys *keys, const struct tls_record_key *key)
{
    union crypto_info info;
    socklen_t len = fill(&info, keys, key);
    int result = len ? setsockopt(fd, SOL_TLS, direction, &info, len) : -1, error = errno;
    OPENSSL_cleanse(&info, sizeof info);
    errno = error;
    return result;
}

enum kernel_tls_start kernel_tls_start(int fd, const struct tls_record_keys *keys)
{
    if (setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof "tls") != 0) return KERNEL_TLS_REFUSED;
    if (set_key(fd, TLS_TX, keys, &keys->out) != 0) return KERNEL_TLS_REFUSED;
    return set_key(fd, TLS_RX, keys, &keys->in) == 0 ? KERNEL_TLS_ON : KERNEL_TLS_BROKEN;
}

/* --- TLS's own words --- */

union control {
    char room[CMSG_SPACE(sizeof(unsigned char))];
    struct cmsghdr align;
};

int kernel_tls_say_end(int fd)
{
    unsigned char alert[] = {ALERT_WARNING, ALERT_CLOSE};
    union control control = {0};
    struct iovec run = {.iov_base = alert, .iov_len = sizeof alert};
    struct msghdr message = {
        .msg_iov = &run, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room};
    struct cmsghdr *type = CMSG_FIRSTHDR(&message);
    type->cmsg_level = SOL_TLS;
    type->cmsg_type = TLS_SET_RECORD_TYPE;
    type->cmsg_len = CMSG_LEN(sizeof(unsigned char));
    *CMSG_DATA(type) = CONTENT_ALERT;
    return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof alert ? 0 : -1;
}

/* The record that was not data is still there, for who can hear what it is. */
int kernel_tls_end_of(int fd)
{
    unsigned char word[16] = {0}; /* an alert has two bytes */
    union control control = {0};
    struct iovec run = {.iov_base = word, .iov_len = sizeof word};
    struct msghdr message = {
        .msg_iov = &run, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room};
    ssize_t got = recvmsg(fd, &message, MSG_DONTWAIT);
    if (got < 0) return errno == EAGAIN ? EIO : errno;
    struct cmsghdr *type = CMSG_FIRSTHDR(&message);
    if (!type || type->cmsg_level != SOL_TLS || type->cmsg_type != TLS_GET_RECORD_TYPE) return EIO;
    if (*CMSG_DATA(type) == CONTENT_ALERT && got >= 2) {
        if (word[1] == ALERT_CLOSE) return 0;
        log_notice("The peer of a connection whose TLS is the kernel's ends it by alert %d", word[1]);
        return ECONNABORTED;
    }
    log_warning("The peer of a connection whose TLS is the kernel's says what the kernel does not understand%s",
                *CMSG_DATA(type) == CONTENT_HANDSHAKE ? ": it may have renewed its keys. `tls-kernel no` helps" : "");
    return EPROTO;
}
