/* What a script may run: asked for each command inside it, in Redis's order. Server process. */
#include "repl/replication.h"
#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/core/command/command_table.h"
#include "server/core/dataset/memory_limit.h"
#include "server/core/dataset/propagate.h"
#include "server/core/run/gate.h"
#include "server/core/run/permission.h"
#include "server/core/settings.h"
#include "server/script/parts.h"

#include <stdio.h>

#define EFFECTS_UNASKED_BYTES ((size_t)16 * 1024 * 1024)

static bool arity_fits(const struct command_entry *e, uint32_t argc)
{
    int arity = e->row->arity;
    return arity >= 0 ? (int)argc == arity : (int)argc >= -arity;
}

/* What shows a test how a script is doing, and leaves the session that runs it alone. */
static bool only_looks(const struct command_entry *e)
{
    return strcasecmp(e->full_name, "debug") == 0 || strcasecmp(e->full_name, "client|list") == 0;
}

static const char *malformed(const struct script_engine *e, const struct request *r)
{
    if (!r->command || (r->command->subcommand_count && r->argc >= 2))
        return "ERR Unknown Redis command called from script";
    if (!arity_fits(r->command, r->argc)) return "ERR Wrong number of args calling Redis command from script";
    if (r->command->row->flags & CMD_NOSCRIPT && !(e->looks_allowed && only_looks(r->command)))
        return "ERR This Redis command is not allowed from script";
    return NULL;
}

/* Where the script began with memory to spare, it may go on; and what it has begun to write, it may finish. */
static const char *memory_refusal(const struct script_run *run, uint32_t flags)
{
    if (!(flags & CMD_DENYOOM) || run->allow_oom || run->wrote || !run->out_of_memory) return NULL;
    return "OOM command not allowed when used memory > 'maxmemory'.";
}

/* They leave as one unit, gathered until its end: then there is a copy of it, and one in the backlog. Who has written
 * so much cannot be killed any more, so it is he who has to be told. Nobody is told who is obeyed. */
static const char *effects_refusal(const struct script_engine *e, uint32_t flags)
{
    if (!(flags & (CMD_WRITE | CMD_MAY_REPLICATE))) return NULL;
    size_t gathered = propagation_gathered_bytes(e->core->propagation);
    if (likely(gathered < EFFECTS_UNASKED_BYTES) || session_is_obeyed(&e->run.session)) return NULL;
    if (mem_used() + e->run.script->vm->bytes + 2 * gathered <= e->most_bytes) return NULL;
    return "OOM command not allowed: what this script has written takes all memory there is for replicating it.";
}

/* In the name of the user who runs the script. */
static const char *denial(struct script_engine *e, const struct request *request, char *room)
{
    static const char code[] = "NOPERM ";
    const struct user *user = e->run.session.user;
    struct acl_denial why = acl_check(user, request->command, request->argc, request->argv);
    struct acl_text text = {0};
    acl_note_denied(e->core, e->run.call->session, request, why, ACL_LUA);
    acl_add_denial(&text, user, request, why);
    snprintf(room, GATE_ERROR_MAX, "ERR ACL failure in script: %s", (const char *)text.ptr + strlen(code));
    acl_text_free(&text);
    return room;
}

const char *script_refusal(struct script_engine *e, const struct request *request, char *room)
{
    const char *error = malformed(e, request);
    if (error) return error;
    uint32_t flags = request->command->row->flags;
    if (e->run.read_only && (flags & (CMD_WRITE | CMD_MAY_REPLICATE)))
        return "ERR Write commands are not allowed from read-only scripts.";
    struct verdict verdict = gate_judge(e->core, &e->run.session, request, room);
    if (verdict.way == GATE_REFUSE && verdict.by_rules) return denial(e, request, room);
    if (verdict.way == GATE_REFUSE) return verdict.error;
    error = memory_refusal(&e->run, flags);
    return error ? error : effects_refusal(e, flags);
}

bool script_user_may(const struct script_engine *e, const struct command_entry *command, uint32_t argc,
                     const struct bytes *argv)
{
    const struct user *user = e->run.session.user;
    return user->unrestricted || acl_check(user, command, argc, argv).reason == ACL_ALLOWED;
}
