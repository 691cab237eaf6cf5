/* What TLS connections of this server are made with: certificates, trust and ciphers, as they were when they were last
 * read. */
#ifndef SLIPSTREAM_CORE_TLS_H
#define SLIPSTREAM_CORE_TLS_H

#include "server/net/tls/context.h"

struct tls {
    struct tls_context *server; /* for clients; NULL: nobody may come that way */
    struct tls_context *client; /* for our master, and where MIGRATE goes; NULL: we do not go that way */
};

/* Reads what the settings ask for. 0, or -1: it was logged, and nothing has changed. */
int tls_configure(struct tls *tls, const struct tls_settings *settings);
void tls_forget(struct tls *tls);

#endif
