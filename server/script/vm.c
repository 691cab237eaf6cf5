/* See vm.h. Server process.
 *
 * The compiler of LuaJIT is off: its traces call no hooks, so that a loop could not be stopped. Its interpreter calls
 * them, and costs half of what that of PUC Lua does.
 *
 * Lua code that calls itself through C functions (string.gsub with a callback, coroutine.resume) uses up the C stack,
 * which LuaJIT does not watch; script_vm_check_stack() does. */
#include "server/script/vm.h"

#include "server/base/alloc.h"
#include "server/base/check.h"

#include <lauxlib.h>
#include <luajit.h>
#include <lualib.h>
#include <stdlib.h>
#include <sys/resource.h>

#define STACK_HANDLER 1
#define STACK_GATE    2

/* Of the C stack; a level of string.gsub with a callback takes 9 KiB. What is not checked takes 4 MiB at the most, as
 * the Lua stack ends first. */
#define C_STACK_BYTES ((ptrdiff_t)2 * 1024 * 1024)
#define C_STACK_SHARE 4 /* of all there is, which is usually 8 MiB */

#define GARBAGE_BYTES    ((size_t)4 * 1024 * 1024) /* beyond twice what lives: more is collected, */
#define GARBAGE_STEP_KIB 1024                      /* so much work each time, which takes a millisecond or two */

#define SEEN_AHEAD_BYTES ((size_t)8 * 1024 * 1024)

/* --- the heap --- */

static size_t lower(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* So far nothing is asked. */
static void see_ahead(struct script_vm *vm, size_t bytes)
{
    vm->seen_bytes = bytes + SEEN_AHEAD_BYTES;
    if (vm->limit_bytes) vm->seen_bytes = lower(vm->seen_bytes, vm->limit_bytes);
}

/* What else we hold changes meanwhile, and is a sum over threads: asked once for some megabytes. */
static __attribute__((noinline)) bool is_left(struct script_vm *vm, size_t wanted)
{
    if (vm->limit_bytes && wanted > vm->limit_bytes) return false;
    if (vm->most_bytes && wanted + mem_used() > vm->most_bytes) return false;
    see_ahead(vm, wanted);
    return true;
}

/* A block that becomes smaller may stay as it is. */
static void *resize(struct script_vm *vm, void *ptr, size_t old_size, size_t new_size)
{
    if (!ptr) return block_is_small(new_size) ? block_take(&vm->blocks, new_size) : malloc(new_size);
    bool fits = block_is_small(old_size) && block_is_small(new_size) && block_kind(old_size) == block_kind(new_size);
    if (fits) return ptr;
    size_t whole = block_is_small(new_size) ? (block_kind(new_size) + 1) * BLOCK_STEP : new_size;
    void *moved = realloc(ptr, whole);
    return likely(moved) || new_size > old_size ? moved : ptr;
}

/* Not from the counted heap: INFO's used_memory leaves out what the virtual machines hold, as Redis does. */
static void *allocate(void *context, void *ptr, size_t old_size, size_t new_size)
{
    struct script_vm *vm = context;
    if (!new_size) {
        vm->bytes -= old_size;
        if (ptr && block_is_small(old_size))
            block_give(&vm->blocks, ptr, old_size);
        else
            free(ptr);
        return NULL;
    }
    size_t wanted = vm->bytes + new_size - old_size;
    if (unlikely(wanted > vm->seen_bytes) && new_size > old_size && vm->limited && !is_left(vm, wanted)) return NULL;
    void *moved = resize(vm, ptr, old_size, new_size);
    if (likely(moved)) vm->bytes = wanted;
    return moved;
}

struct script_vm *script_vm_of(lua_State *lua)
{
    void *context;
    lua_getallocf(lua, &context);
    return context;
}

/* --- errors --- */

/* Where it was raised: the innermost function, or the one that has called it where that is C, as Redis looks. */
static void note_position(lua_State *lua, int table)
{
    const struct script_vm *vm = script_vm_of(lua);
    const char *source = vm->source;
    int line = vm->line;
    for (int level = 1; level <= 2; level++) {
        lua_Debug where;
        if (!lua_getstack(lua, level, &where) || !lua_getinfo(lua, "Sl", &where) || *where.what == 'C') continue;
        source = where.source;
        line = where.currentline;
        break;
    }
    if (!source) return;
    lua_pushliteral(lua, "source");
    lua_pushstring(lua, source);
    lua_rawset(lua, table);
    lua_pushliteral(lua, "line");
    lua_pushinteger(lua, line);
    lua_rawset(lua, table);
}

static void push_text_of(lua_State *lua, int index)
{
    switch (lua_type(lua, index)) {
    case LUA_TNUMBER:
    case LUA_TSTRING: lua_pushvalue(lua, index); break;
    case LUA_TBOOLEAN: lua_pushstring(lua, lua_toboolean(lua, index) ? "true" : "false"); break;
    case LUA_TNIL: lua_pushliteral(lua, "nil"); break;
    default: lua_pushfstring(lua, "%s: %p", luaL_typename(lua, index), lua_topointer(lua, index));
    }
}

/* Every error becomes a table with its text and its place. It is on its way out: memory is not refused any more. */
static int on_error(lua_State *lua)
{
    script_vm_of(lua)->limited = false;
    lua_settop(lua, 1);
    if (!lua_istable(lua, 1)) {
        lua_createtable(lua, 0, 3);
        lua_pushliteral(lua, "ERR ");
        push_text_of(lua, 1);
        lua_concat(lua, 2);
        lua_setfield(lua, 2, "err");
        lua_replace(lua, 1);
    }
    note_position(lua, 1);
    return 1;
}

/* The table may be a script's: whatever its metatable says is not asked. */
static void push_field(lua_State *lua, int table, const char *name)
{
    lua_pushstring(lua, name);
    lua_rawget(lua, table);
}

static struct bytes text_field(lua_State *lua, int table, const char *name)
{
    size_t len = 0;
    push_field(lua, table, name);
    const char *text = lua_type(lua, -1) == LUA_TSTRING ? lua_tolstring(lua, -1, &len) : NULL;
    lua_pop(lua, 1); /* the table keeps it */
    return text ? bytes_make(text, len) : (struct bytes){0};
}

/* What no handler saw (there was no memory to call it) is a text. */
static void read_error(lua_State *lua, struct script_error *error)
{
    *error = (struct script_error){.text = BYTES("ERR unknown error")};
    int top = lua_gettop(lua);
    if (!lua_istable(lua, top)) {
        lua_pushliteral(lua, "ERR ");
        push_text_of(lua, top);
        lua_concat(lua, 2);
        size_t len;
        const char *text = lua_tolstring(lua, -1, &len);
        error->text = bytes_make(text, len);
        return;
    }
    struct bytes text = text_field(lua, top, "err");
    if (text.ptr) error->text = text;
    error->source = text_field(lua, top, "source");
    push_field(lua, top, "line");
    error->line = lua_tointeger(lua, -1);
    push_field(lua, top, "ignore_error_stats_update");
    error->counted = lua_toboolean(lua, -1);
    lua_pop(lua, 2);
}

/* --- the one way in --- */

static int gate(lua_State *lua)
{
    const struct script_vm *vm = script_vm_of(lua);
    vm->body(lua, vm->body_arg);
    return 0;
}

int script_vm_enter(struct script_vm *vm, void (*body)(lua_State *lua, void *arg), void *arg,
                    struct script_error *error)
{
    vm->body = body;
    vm->body_arg = arg;
    vm->stack_base = __builtin_frame_address(0);
    vm->limited = true;
    see_ahead(vm, vm->bytes);
    lua_pushvalue(vm->lua, STACK_GATE);
    int status = lua_pcall(vm->lua, 0, 0, STACK_HANDLER);
    vm->limited = false;
    if (likely(!status)) return 0;
    read_error(vm->lua, error);
    return -1;
}

/* A step of it. What has died since a cycle began is found by the next one, and LuaJIT's own buffer becomes smaller
 * with each; so there are cycles until two in a row have found little. */
static void collect_some(struct script_vm *vm)
{
    if (!vm->cycles) {
        vm->cycles = 2;
        vm->cycle_bytes = vm->bytes;
    }
    if (!lua_gc(vm->lua, LUA_GCSTEP, GARBAGE_STEP_KIB)) return;
    vm->cycles = vm->bytes < vm->cycle_bytes / 4 * 3 ? 2 : vm->cycles - 1;
    vm->cycle_bytes = vm->bytes;
    if (!vm->cycles) vm->live_bytes = vm->bytes;
}

/* What has filled the heap to its limit is not left to scripts to come. Nor is what one has taken for a moment left for
 * ever: the collector itself waits until there is as much again, which may be never. */
void script_vm_leave(struct script_vm *vm)
{
    lua_settop(vm->lua, STACK_GATE);
    if (unlikely(vm->limit_bytes && vm->bytes > vm->limit_bytes / 2))
        lua_gc(vm->lua, LUA_GCCOLLECT, 0);
    else if (unlikely(vm->cycles || vm->bytes > vm->live_bytes * 2 + GARBAGE_BYTES))
        collect_some(vm);
}

void script_vm_check_stack(lua_State *lua)
{
    const char *here = __builtin_frame_address(0);
    const struct script_vm *vm = script_vm_of(lua);
    if (unlikely(vm->stack_base - here > vm->stack_bytes)) luaL_error(lua, "C stack overflow");
}

int script_vm_compile(lua_State *lua, struct bytes text, const char *chunk_name)
{
    if (luaL_loadbufferx(lua, (const char *)text.ptr, text.len, chunk_name, "t") == 0) return 0;
    if (text.len && *text.ptr == LUA_SIGNATURE[0])
        lua_pushfstring(lua, "%s:1: unexpected symbol near 'char(27)'", chunk_name + 1);
    return -1;
}

/* --- life --- */

static int prepare(lua_State *lua)
{
    static const char *const texts[] = {"KEYS",       "ARGV",           "err", "ok", "double", "map", "set",
                                        "big_number", "verbatim_string"};
    lua_pushvalue(lua, LUA_GLOBALSINDEX);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) lua_pushstring(lua, texts[i]);
    for (int i = UPVALUE_REDIS; i < UPVALUE_KEPT_KEYS; i++) lua_pushnil(lua);
    lua_newtable(lua);
    lua_newtable(lua);
    lua_pushcclosure(lua, gate, UPVALUES);
    return 1;
}

static int refuse_to_die(lua_State *lua)
{
    PANIC("An error of Lua that nothing catches: %s", lua_tostring(lua, -1));
}

static ptrdiff_t stack_bytes(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_STACK, &limit) || limit.rlim_cur / C_STACK_SHARE > (rlim_t)C_STACK_BYTES) return C_STACK_BYTES;
    return (ptrdiff_t)(limit.rlim_cur / C_STACK_SHARE);
}

struct script_vm *script_vm_new(void)
{
    struct script_vm *vm = mem_calloc(1, sizeof *vm);
    vm->stack_bytes = stack_bytes();
    vm->lua = lua_newstate(allocate, vm);
    if (!vm->lua) {
        mem_free(vm);
        return NULL;
    }
    lua_atpanic(vm->lua, refuse_to_die);
    luaJIT_setmode(vm->lua, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
    lua_pushcfunction(vm->lua, on_error);
    lua_pushcfunction(vm->lua, prepare);
    if (lua_pcall(vm->lua, 0, 1, 0) == 0) return vm;
    script_vm_free(vm);
    return NULL;
}

void script_vm_free(struct script_vm *vm)
{
    lua_close(vm->lua);
    block_cache_clear(&vm->blocks);
    mem_free(vm);
}
