/* See monitors.h. Server process. */
#include "server/core/session/monitors.h"

#include "repl/replication.h"
#include "server/base/alloc.h"
#include "server/base/clock.h"
#include "server/core/command/secrets.h"
#include "server/core/core.h"

#include <stdio.h>

struct monitors *monitors_new(void)
{
    struct monitors *m = mem_alloc(sizeof *m);
    list_init(&m->sessions);
    return m;
}

void monitors_join(struct monitors *m, struct session *s)
{
    if (!list_contains(&s->monitoring)) list_push_back(&m->sessions, &s->monitoring);
}

void monitors_leave(struct monitors *m, struct session *s)
{
    if (list_contains(&s->monitoring)) list_remove(&m->sessions, &s->monitoring);
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
static void describe_caller(const struct core *core, const struct session *from, char out[SESSION_ADDRESS_MAX])
{
    const char *host;
    int port;
    if (from->owner)
        from->owner->address(from, out);
    else if (from->kind == SESSION_MASTER && replication_master_address(core->replication, &host, &port))
        snprintf(out, SESSION_ADDRESS_MAX, "%s:%d", host, port);
    else
        snprintf(out, SESSION_ADDRESS_MAX, "lua");
}

static void describe_call(const struct core *core, const struct session *from, uint32_t argc, const struct bytes *argv,
                          uint64_t secrets, struct outq *line)
{
    char caller[SESSION_ADDRESS_MAX], head[SESSION_ADDRESS_MAX + 64];
    int64_t now_us = clock_wall_us();
    describe_caller(core, from, caller);
    int len = snprintf(head, sizeof head, "+%lld.%06lld [%d %s]", (long long)(now_us / 1000000),
                       (long long)(now_us % 1000000), database_index(from->db), caller);
    outq_append(line, head, (size_t)len);
    for (uint32_t i = 0; i < argc; i++) {
        outq_append(line, " ", 1);
        add_quoted(line, secrets_have(secrets, i) ? BYTES("(redacted)") : argv[i]);
    }
    outq_append(line, "\r\n", 2);
}

void monitors_show(const struct core *core, const struct session *from, uint32_t argc, const struct bytes *argv,
                   uint64_t secrets)
{
    struct outq line = {0};
    describe_call(core, from, argc, argv, secrets, &line);
    list_each(&core->monitors->sessions, node)
    {
        struct session *s = list_entry(node, struct session, monitoring);
        if (reply_unheard(&s->reply)) continue;
        for (const struct outq_chunk *chunk = line.head; chunk; chunk = chunk->next) {
            size_t filled = chunk == line.tail ? (size_t)(line.cursor - chunk->data) : chunk->filled;
            reply_raw(&s->reply, bytes_make(chunk->data, filled));
        }
        session_wake(s);
    }
    outq_clear(&line);
}
