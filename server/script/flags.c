/* What scripts say of themselves. Server process. */
#include "server/core/command/command.h"
#include "server/resp/writer.h"
#include "server/script/engine.h"

static const struct {
    const char *name;
    uint32_t flag;
} all[] = {
    {"no-writes", SCRIPT_NO_WRITES},
    {"allow-oom", SCRIPT_ALLOW_OOM},
    {"allow-stale", SCRIPT_ALLOW_STALE},
    {"no-cluster", SCRIPT_NO_CLUSTER},
    {"allow-cross-slot-keys", SCRIPT_ALLOW_CROSS_SLOT_KEYS},
};

#define FLAGS (sizeof all / sizeof *all)

bool script_flag_by_name(struct bytes name, uint32_t *flags)
{
    for (size_t i = 0; i < FLAGS; i++)
        if (bytes_equal_nocase(name, all[i].name)) {
            *flags |= all[i].flag;
            return true;
        }
    return false;
}

void script_reply_flags(struct reply *reply, uint32_t flags)
{
    size_t count = 0;
    for (size_t i = 0; i < FLAGS; i++) count += (flags & all[i].flag) != 0;
    reply_set(reply, count);
    for (size_t i = 0; i < FLAGS; i++)
        if (flags & all[i].flag) reply_simple(reply, all[i].name);
}

/* A script that says nothing is judged by the commands inside it. */
uint32_t script_command_flags(uint32_t command_flags, uint32_t script_flags)
{
    if (script_flags & SCRIPT_COMPATIBLE) return command_flags;
    uint32_t flags = command_flags & ~(uint32_t)(CMD_STALE | CMD_DENYOOM | CMD_WRITE | CMD_MAY_REPLICATE);
    if (!(script_flags & (SCRIPT_ALLOW_OOM | SCRIPT_NO_WRITES))) flags |= CMD_DENYOOM;
    if (!(script_flags & SCRIPT_NO_WRITES)) flags |= CMD_WRITE;
    if (script_flags & SCRIPT_ALLOW_STALE) flags |= CMD_STALE;
    return flags;
}
