/* MONITOR: every command, as it is run, to those who watch. Server process. */
#include "server/core/clients_parts.h"

#include "repl/replication.h"
#include "server/base/clock.h"
#include "server/core/core.h"

#include <stdio.h>

#define CALLER_TEXT_MAX 320 /* a host name and a port */

bool clients_have_monitors(const struct clients *c)
{
    return c->monitors.count > 0;
}

void client_become_monitor(struct client *c)
{
    if (!list_contains(&c->monitoring)) list_push_back(&c->core->clients->monitors, &c->monitoring);
}

void client_stop_monitor(struct client *c)
{
    if (list_contains(&c->monitoring)) list_remove(&c->core->clients->monitors, &c->monitoring);
}

/* As Redis prints arguments: quoted, with \n \r \t \a \b, \" and \\ and \xHH for what is not printable. */
static void add_quoted(struct outq *line, struct bytes text)
{
    static const char hex[] = "0123456789abcdef", specials[] = "\n\r\t\a\b\\\"", letters[] = "nrtab\\\"";
    outq_append(line, "\"", 1);
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        const char *special = c ? strchr(specials, c) : NULL;
        char escaped[4] = {'\\', 'x', hex[c >> 4], hex[c & 15]};
        if (special) {
            escaped[1] = letters[special - specials];
            outq_append(line, escaped, 2);
        } else if (c < 32 || c > 126) {
            outq_append(line, escaped, 4);
        } else {
            outq_append(line, &c, 1);
        }
    }
    outq_append(line, "\"", 1);
}

/* A client by its address, our master by the one we follow it at. */
static void describe_caller(const struct core *core, const struct session *from, char out[CALLER_TEXT_MAX])
{
    char address[ADDRESS_TEXT_MAX];
    const struct client *c = from->client;
    const char *host;
    int port;
    if (c) {
        address_text(c->unix_socket ? &c->local : &c->peer, address);
        snprintf(out, CALLER_TEXT_MAX, "%s%s", c->unix_socket ? "unix:" : "", address);
    } else if (from->kind == SESSION_MASTER && replication_master_address(core->replication, &host, &port)) {
        snprintf(out, CALLER_TEXT_MAX, "%s:%d", host, port);
    } else {
        snprintf(out, CALLER_TEXT_MAX, "lua");
    }
}

static void describe_call(const struct core *core, const struct session *from, uint32_t argc, const struct bytes *argv,
                          uint64_t secrets, struct outq *line)
{
    char caller[CALLER_TEXT_MAX], head[CALLER_TEXT_MAX + 64];
    int64_t now_us = clock_wall_us();
    describe_caller(core, from, caller);
    int len = snprintf(head, sizeof head, "+%lld.%06lld [%d %s]", (long long)(now_us / 1000000),
                       (long long)(now_us % 1000000), database_index(from->db), caller);
    outq_append(line, head, (size_t)len);
    for (uint32_t i = 0; i < argc; i++) {
        outq_append(line, " ", 1);
        add_quoted(line, call_arg_is_secret(secrets, i) ? BYTES("(redacted)") : argv[i]);
    }
    outq_append(line, "\r\n", 2);
}

void clients_feed_monitors(struct core *core, struct session *from, uint32_t argc, const struct bytes *argv,
                           uint64_t secrets)
{
    struct outq line = {0};
    describe_call(core, from, argc, argv, secrets, &line);
    list_each(&core->clients->monitors, node)
    {
        struct client *c = list_entry(node, struct client, monitoring);
        if (c->close_asap || c->session.reply.muted) continue;
        for (const struct outq_chunk *chunk = line.head; chunk; chunk = chunk->next) {
            size_t filled = chunk == line.tail ? (size_t)(line.cursor - chunk->data) : chunk->filled;
            reply_raw(&c->session.reply, bytes_make(chunk->data, filled));
        }
        client_wake(c);
    }
    outq_clear(&line);
}
