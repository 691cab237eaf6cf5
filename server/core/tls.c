/* See tls.h. Server process. */
#include "server/core/tls.h"

#include "server/base/log.h"
#include "server/net/kernel_tls.h"

int tls_configure(struct tls *tls, const struct tls_settings *settings)
{
    struct tls next = {0};
    char error[TLS_ERROR_MAX];
    bool wants_server = settings->tls_port, wants_client = settings->tls_replication || settings->tls_cluster;
    if (wants_server) next.server = tls_context_new(settings, TLS_SERVER, error);
    if (next.server && settings->kernel && kernel_tls_is_offered()) tls_context_tell_keys(next.server);
    if (wants_client && (next.server || !wants_server)) next.client = tls_context_new(settings, TLS_CLIENT, error);
    if ((wants_server && !next.server) || (wants_client && !next.client)) {
        log_warning("%s", error);
        tls_forget(&next);
        return -1;
    }
    tls_forget(tls);
    *tls = next;
    return 0;
}

void tls_forget(struct tls *tls)
{
    tls_context_free(tls->server);
    tls_context_free(tls->client);
    *tls = (struct tls){0};
}
