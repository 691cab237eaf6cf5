/* Process titles; the server process and the snapshot child. The format of the template and the meaning of its
 * variables are those of redis.conf's own comment in Redis 7. */
#include "server/core/os/process_title.h"

#include "server/base/alloc.h"
#include "server/core/core.h"
#include "server/core/lifecycle.h"
#include "server/core/settings.h"

#include <bsd/unistd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TITLE_ROOM 512

void process_title_init(int argc, char **argv)
{
    setproctitle_init(argc, argv, environ);
    argv[0] = mem_strdup(argv[0]); /* titles are written over the old one, and begin with it */
}

static void listen_address(const struct settings *settings, char out[TITLE_ROOM])
{
    const struct net_settings *net = &settings->net;
    int port = net->port ? net->port : settings->tls.tls_port;
    if (!port)
        snprintf(out, TITLE_ROOM, "%s", net->unix_socket ? net->unix_socket : "");
    else
        snprintf(out, TITLE_ROOM, "%s:%d", net->bind[0] ? net->bind[0] : "*", port);
}

static void value_of(const struct core *core, const char *title, const char *variable, char out[TITLE_ROOM])
{
    const struct settings *settings = core->settings;
    out[0] = '\0';
    if (!strcmp(variable, "title"))
        snprintf(out, TITLE_ROOM, "%s", title ? title : core->lifecycle->argv[0]);
    else if (!strcmp(variable, "listen-addr"))
        listen_address(settings, out);
    else if (!strcmp(variable, "port"))
        snprintf(out, TITLE_ROOM, "%d", settings->net.port);
    else if (!strcmp(variable, "tls-port"))
        snprintf(out, TITLE_ROOM, "%d", settings->tls.tls_port);
    else if (!strcmp(variable, "unixsocket"))
        snprintf(out, TITLE_ROOM, "%s", settings->net.unix_socket ? settings->net.unix_socket : "");
    else if (!strcmp(variable, "config-file"))
        snprintf(out, TITLE_ROOM, "%.*s", TITLE_ROOM - 1, core->lifecycle->config_file);
}

void process_title_set(const struct core *core, const char *title)
{
    char filled[TITLE_ROOM], value[TITLE_ROOM], variable[32];
    size_t len = 0;
    if (!core->settings->server.set_proc_title) return;
    for (const char *at = core->settings->server.proc_title_template; *at && len < sizeof filled - 1;) {
        if (sscanf(at, "{%31[^}]}", variable) == 1 && strchr(at, '}')) {
            value_of(core, title, variable, value);
            len += (size_t)snprintf(filled + len, sizeof filled - len, "%s", value);
            at = strchr(at, '}') + 1;
        } else {
            filled[len++] = *at++;
        }
    }
    if (len > sizeof filled - 1) len = sizeof filled - 1;
    while (len > 0 && filled[len - 1] == ' ') len--; /* the last variable may be empty */
    setproctitle("-%.*s", (int)len, filled);
}
