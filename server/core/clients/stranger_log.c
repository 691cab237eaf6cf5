/* What the log has of connections that never became clients, or never spoke as such. Server process.
 *
 * Anybody can make as many of them as he likes, and the log is not his: it has at most one line a second, with the
 * number of those left out. INFO counts all. */
#include "server/base/log.h"
#include "server/core/clients/clients_parts.h"
#include "server/core/core.h"

#include <stdio.h>

#define LOG_INTERVAL_MS 1000

void clients_log_stranger(struct core *core, const struct address *peer, const char *why)
{
    struct stranger_log *log = &core->clients->strangers;
    int64_t now_ms = loop_monotonic_ms(core->loop);
    if (log->logged_ms && now_ms - log->logged_ms < LOG_INTERVAL_MS) {
        log->left_out++;
        return;
    }
    char text[ADDRESS_TEXT_MAX], others[64] = "";
    address_text(peer, text);
    if (log->left_out) snprintf(others, sizeof others, ", and %llu others", (unsigned long long)log->left_out);
    log_warning("Error accepting a client connection: %s (addr=%s)%s", why, text, others);
    log->logged_ms = now_ms;
    log->left_out = 0;
}
