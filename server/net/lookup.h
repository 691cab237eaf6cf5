/* A name's addresses, for a caller who has to have them before it can go on. */
#ifndef SLIPSTREAM_NET_LOOKUP_H
#define SLIPSTREAM_NET_LOOKUP_H

#include "server/net/address.h"

#define LOOKUP_ADDRESSES_MAX 8

/* getaddrinfo() that waits so long and no longer. `family` is AF_INET, AF_INET6 or AF_UNSPEC. 0, or getaddrinfo's error
 * (EAI_AGAIN: not in time), and then no addresses. Once the workers run. */
int lookup_within(const char *host, int port, int family, int timeout_ms, struct address found[LOOKUP_ADDRESSES_MAX],
                  int *count);

#endif
