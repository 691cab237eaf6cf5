/* OpenSSL's own ciphers, called by the shorter of its two ways. Any process that speaks TLS. */
#ifndef SLIPSTREAM_NET_TLS_DIRECT_CIPHERS_H
#define SLIPSTREAM_NET_TLS_DIRECT_CIPHERS_H

/* Before the first SSL_CTX of the process; any number of times, from any thread. Where it may not, or cannot, all stays
 * as OpenSSL has it. */
void tls_use_direct_ciphers(void);

#endif
