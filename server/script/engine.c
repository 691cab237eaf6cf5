/* The engine's life, and the virtual machines that it makes. Server process. */
#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/machine.h"
#include "server/script/lib_bit.h"
#include "server/script/lib_cjson.h"
#include "server/script/lib_cmsgpack.h"
#include "server/script/lib_struct.h"
#include "server/script/parts.h"
#include "server/script/sandbox.h"
#include "server/script/watchdog.h"

struct script_engine *script_engine_new(struct core *core)
{
    struct script_engine *e = mem_calloc(1, sizeof *e);
    e->core = core;
    e->most_bytes = (size_t)(machine_memory_bytes() / 16 * 15);
    script_watchdog_init();
    session_init(&e->run.session, core, SESSION_SCRIPT, &e->run.reply);
    e->run.session.in_exec = true; /* nothing that waits waits in here */
    return e;
}

void script_engine_allow_looks(struct script_engine *e, bool on)
{
    e->looks_allowed = on;
}

static void open_all(lua_State *lua, void *arg)
{
    script_set_engine(lua, arg);
    script_sandbox_open(lua);
    script_sandbox_add(lua, "redis", script_open_redis);
    script_sandbox_add(lua, "cjson", script_open_cjson);
    script_sandbox_add(lua, "cmsgpack", script_open_cmsgpack);
    script_sandbox_add(lua, "struct", script_open_struct);
    script_sandbox_add(lua, "bit", script_open_bit);
    lua_getglobal(lua, "redis");
    lua_getfield(lua, -1, "call");
    lua_replace(lua, lua_upvalueindex(UPVALUE_CALL));
    lua_getfield(lua, -1, "pcall");
    lua_replace(lua, lua_upvalueindex(UPVALUE_PCALL));
    lua_pushvalue(lua, -1);
    lua_setglobal(lua, "server");
    lua_replace(lua, lua_upvalueindex(UPVALUE_REDIS));
}

struct script_vm *script_engine_new_vm(struct script_engine *e)
{
    struct script_vm *vm = script_vm_new();
    struct script_error error;
    CHECK(vm && script_vm_enter(vm, open_all, e, &error) == 0);
    vm->most_bytes = e->most_bytes;
    script_vm_leave(vm);
    return vm;
}
