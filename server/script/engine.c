/* The engine's life, and the virtual machines that it makes. Server process. */
#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/script/parts.h"
#include "server/script/sandbox.h"

struct script_engine *script_engine_new(struct core *core)
{
    struct script_engine *e = mem_calloc(1, sizeof *e);
    e->core = core;
    session_init(&e->run.session, core, SESSION_SCRIPT, &e->run.reply);
    e->run.session.in_exec = true; /* nothing that waits waits in here */
    return e;
}

static void open_all(lua_State *lua, void *arg)
{
    script_set_engine(lua, arg);
    script_sandbox_open(lua);
    script_sandbox_add(lua, "redis", script_open_redis);
    lua_getglobal(lua, "redis");
    lua_setglobal(lua, "server");
}

struct script_vm *script_engine_new_vm(struct script_engine *e)
{
    struct script_vm *vm = script_vm_new();
    struct script_error error;
    CHECK(vm && script_vm_enter(vm, open_all, e, &error) == 0);
    script_vm_leave(vm);
    return vm;
}
