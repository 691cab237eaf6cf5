/* The banner, in the server process. Tools that start servers look for "PID: " and "Port: " in it, as in Redis's. */
#include "server/core/process/logo.h"

#include "server/base/log.h"
#include "server/core/core.h"
#include "server/core/settings.h"
#include "server/core/version.h"
#include "server/net/loop.h"

#include <stdio.h>
#include <unistd.h>

static const char logo[] = "\n"
                           "        ~ ~~ ~~~~ ~~~~~~~~\n"
                           "     ~ ~ ~~~ ~~~~~~~ ~~~~~~~~~      Redis %s compatible, Slipstream %s, %d bit\n"
                           "  ~ ~~ ~~~~~~ ~~~~~~~~ =========>\n"
                           "     ~ ~ ~~~ ~~~~~~~ ~~~~~~~~~      Running in %s mode on %s\n"
                           "        ~ ~~ ~~~~ ~~~~~~~~          Port: %d\n"
                           "                                    PID: %ld\n\n";

void logo_show(const struct core *core)
{
    const struct server_settings *server = &core->settings->server;
    int port = core->settings->net.port ? core->settings->net.port : core->settings->tls.tls_port;
    bool to_stdout = !server->logfile || !*server->logfile;
    bool watched = to_stdout && isatty(STDOUT_FILENO);
    const char *mode = core->sentinel ? "sentinel" : "standalone";
    if (!watched && !server->always_show_logo) {
        log_notice("Running mode=%s, port=%d.", mode, port);
        return;
    }
    FILE *out = to_stdout ? stdout : fopen(server->logfile, "ae");
    if (!out) return;
    fprintf(out, logo, REDIS_VERSION, SLIPSTREAM_VERSION, (int)sizeof(void *) * 8, mode, loop_engine_name(core->loop),
            port, (long)getpid());
    fflush(out);
    if (!to_stdout) fclose(out);
}
