/* The script engine's inside, shared by the files that implement engine.h; here from those that know the fewest others:
 * flags.c, permission.c, redis_call.c, redis_library.c, run.c, engine.c. Server process. */
#ifndef SLIPSTREAM_SCRIPT_PARTS_H
#define SLIPSTREAM_SCRIPT_PARTS_H

#include "server/core/core.h"
#include "server/core/run/call.h"
#include "server/core/run/request.h"
#include "server/core/session/session.h"
#include "server/script/engine.h"

#define CACHED_COMMANDS 64 /* a power of two */

/* As a script has spelled its name. */
struct cached_command {
    struct command_entry *entry; /* NULL: none */
    uint8_t len;
    char spelling[23];
};

/* One at a time: scripts call no scripts. */
struct script_run {
    const struct script *script; /* NULL: none runs */
    struct call *call;           /* EVAL's or FCALL's */
    struct session session;      /* that of the calls inside */
    struct outq reply;           /* of the command inside that has just run */
    int protocol;                /* redis.setresp() */
    int64_t started_ms;          /* monotonic */
    bool read_only;              /* no command that writes */
    bool allow_oom;
    bool out_of_memory; /* above the limit when it began */
    bool wrote;         /* it has run a command that may write: it must not be killed */
    bool killed;
};

struct script_engine {
    struct core *core;
    struct script_run run;
    bool looks_allowed;                            /* DEBUG SET-DISABLE-DENY-SCRIPTS */
    size_t most_bytes;                             /* of memory for all that we are, while a script takes some */
    struct cached_command cached[CACHED_COMMANDS]; /* by a few letters of the name */
};

/* redis_call.c */
int script_redis_call(lua_State *lua); /* with the engine as upvalue */
int script_redis_pcall(lua_State *lua);
/* Raises an error with a text that has its code, without a position: the caller's are C functions. */
int script_raise(lua_State *lua, const char *text);
/* Pushes {err = text}; counted: by whoever counts errors. */
void script_push_error(lua_State *lua, const char *text, bool counted);
/* The arguments of the function that is running, from stack index `first` on, as a request. NULL: an error's text has
 * been pushed. They live until the next such call or as long as the Lua values. */
const struct bytes *script_arguments(struct script_engine *e, lua_State *lua, uint32_t *argc);

/* run.c: what a virtual machine's heap may come to, in bytes. */
size_t script_heap_limit(const struct script_engine *e);

/* permission.c: why the command may not run inside this script; NULL: it may. */
const char *script_refusal(struct script_engine *e, const struct request *request, char *room);
/* Whether the user on whose behalf the script runs may run that command with these arguments. */
bool script_user_may(const struct script_engine *e, const struct command_entry *command, uint32_t argc,
                     const struct bytes *argv);

/* redis_library.c */
int script_open_redis(lua_State *lua); /* opens the table `redis`; the engine is in the registry */
struct script_engine *script_engine_of(lua_State *lua);
void script_set_engine(lua_State *lua, struct script_engine *e);

#endif
