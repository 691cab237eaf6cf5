/* The server's sections of a crash report. Server process, and the snapshot child.
 *
 * The command comes first, for it is read where it lies. A client's line and INFO are put together on the heap, which
 * may be what is broken; each part of INFO stands for itself, so that one can fail without the others. */
#include "server/core/process/crash_report.h"

#include "server/base/crash.h"
#include "server/base/outq.h"
#include "server/core/clients/clients.h"
#include "server/core/command/secrets.h"
#include "server/core/config/config.h"
#include "server/core/core.h"
#include "server/core/info/info.h"
#include "server/core/run/run.h"
#include "server/core/settings.h"

#include <ctype.h>
#include <stdio.h>

#define ARGUMENTS_SHOWN      32
#define ARGUMENT_BYTES_SHOWN 128
#define INFO_PARTS_MAX       24

static void print_argument(uint32_t index, struct bytes argument)
{
    char text[ARGUMENT_BYTES_SHOWN * 4 + 1];
    size_t len = 0, shown = argument.len < ARGUMENT_BYTES_SHOWN ? argument.len : ARGUMENT_BYTES_SHOWN;
    for (size_t i = 0; i < shown; i++) {
        uint8_t c = argument.ptr[i];
        const char *form = c == '"' || c == '\\' ? "\\%c" : isprint(c) ? "%c" : "\\x%02x";
        len += (size_t)snprintf(text + len, sizeof text - len, form, c);
    }
    if (shown < argument.len)
        crash_print("argv[%u]: '\"%s\"' (and %zu bytes more)\n", index, text, argument.len - shown);
    else
        crash_print("argv[%u]: '\"%.*s\"'\n", index, (int)len, text);
}

static void print_command(void *arg)
{
    const struct call *call = running_call();
    (void)arg;
    if (!call) {
        crash_print("No command was running.\n");
        return;
    }
    crash_print("cmd=%s argc=%u db=%d\n", call->command->full_name, call->argc, database_index(call->db));
    for (uint32_t i = 0; i < call->argc && i < ARGUMENTS_SHOWN; i++)
        print_argument(i, secrets_have(call->secrets, i) ? BYTES("(redacted)") : call->argv[i]);
    if (call->argc > ARGUMENTS_SHOWN) crash_print("... and %u arguments more\n", call->argc - ARGUMENTS_SHOWN);
}

static void write_queue(struct outq *q)
{
    while (!outq_empty(q)) {
        struct bytes front = outq_front(q);
        crash_write(front.ptr, front.len);
        outq_consume(q, front.len);
    }
}

static void print_client(void *arg)
{
    const struct call *call = running_call();
    struct outq line = {0};
    (void)arg;
    if (!call || !call->session->client) return;
    client_describe(call->session->client, &line);
    write_queue(&line);
}

static struct info_part {
    struct core *core;
    size_t index;
} info_parts[INFO_PARTS_MAX];

static void print_info_part(void *arg)
{
    const struct info_part *part = arg;
    struct outq text = {0};
    struct bytes name = bytes_from_text(info_section_name(part->index));
    info_write(part->core, &text, 1, &name);
    write_queue(&text);
    crash_print("\r\n");
}

static void print_clients(void *arg)
{
    const struct core *core = arg;
    struct outq line = {0};
    list_each(clients_all(core->clients), node)
    {
        client_describe(list_entry(node, struct client, node), &line);
        write_queue(&line);
    }
    if (clients_describe_master(core, &line)) write_queue(&line);
}

static void print_pair(void *context, struct bytes name, struct bytes value)
{
    (void)context;
    crash_print("%.*s %.*s\n", (int)name.len, (const char *)name.ptr, (int)value.len, (const char *)value.ptr);
}

/* What decides which code runs, and never a secret. */
static void print_config(void *arg)
{
    const struct core *core = arg;
    static const char *const patterns[] = {
        "lazyfree-lazy-*",
        "repl-diskless-*",
        "replica-read-only",
        "list-compress-depth",
        "sanitize-dump-payload",
        "proto-max-bulk-len",
        "client-query-buffer-limit",
        "maxmemory*",
        "event-loop",
        "hz",
    };
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        struct bytes pattern = bytes_from_text(patterns[i]);
        config_get(core->config, 1, &pattern, &(struct config_get_sink){print_pair, NULL});
    }
}

void crash_report_follow_settings(const struct core *core)
{
    crash_set_enabled(core->settings->server.crash_log_enabled);
    crash_set_exit_on_panic(core->settings->server.exit_on_panic);
}

void crash_report_start(struct core *core)
{
    crash_report_follow_settings(core);
    crash_add_section(
        &(struct crash_section){.title = "CURRENT CLIENT INFO", .write = print_command, .in_place = true});
    crash_add_section(&(struct crash_section){.write = print_client});
    for (size_t i = 0; i < INFO_PARTS_MAX && info_section_name(i); i++) {
        info_parts[i] = (struct info_part){core, i};
        crash_add_section(&(struct crash_section){
            .title = i == 0 ? "INFO OUTPUT" : NULL, .write = print_info_part, .arg = &info_parts[i]});
    }
    crash_add_section(&(struct crash_section){.title = "CLIENT LIST OUTPUT", .write = print_clients, .arg = core});
    crash_add_section(&(struct crash_section){.title = "CONFIG DEBUG OUTPUT", .write = print_config, .arg = core});
}
