/* OpenSSL's own ciphers, called by the shorter of its two ways. Any process that speaks TLS. */
#ifndef SLIPSTREAM_NET_TLS_DIRECT_CIPHERS_H
#define SLIPSTREAM_NET_TLS_DIRECT_CIPHERS_H

#include <stdbool.h>

/* Before the first SSL_CTX of the process; any number of times, from any thread. Where it may not, or cannot, all stays
 * as OpenSSL has it. */
void tls_use_direct_ciphers(void);

/* Whether OpenSSL's default provider has this cipher (OpenSSL's number of it): its configuration may have named another
 * one, which then is to see all of its records. */
bool tls_cipher_is_default(int nid);

#endif
