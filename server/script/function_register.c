/* redis.register_function: a library's code says which of its functions may be called. Server process.
 *
 *   redis.register_function(name, callback)
 *   redis.register_function{function_name = name, callback = f, flags = {...}, description = text} */
#include "server/base/alloc.h"
#include "server/script/function_parts.h"
#include "server/script/parts.h"

#include <lauxlib.h>
#include <strings.h>

#define HERE "redis.register_function"

/* Where the stack has what has been given; nil where it has not. */
enum slot { SLOT_ARGUMENT = 1, SLOT_NAME, SLOT_CALLBACK, SLOT_DESCRIPTION, SLOTS = SLOT_DESCRIPTION };

static struct bytes text_at(lua_State *lua, int index)
{
    size_t len;
    const char *text = lua_tolstring(lua, index, &len);
    return bytes_make(text, len);
}

static uint32_t read_flags(lua_State *lua, int table)
{
    uint32_t flags = 0;
    for (int i = 1;; i++) {
        lua_rawgeti(lua, table, i);
        if (lua_isnil(lua, -1)) break;
        if (lua_type(lua, -1) != LUA_TSTRING || !script_flag_by_name(text_at(lua, -1), &flags))
            script_raise(lua, "ERR unknown flag given");
        lua_pop(lua, 1);
    }
    lua_pop(lua, 1);
    return flags;
}

/* The value on top goes to its slot. */
static void keep(lua_State *lua, enum slot slot, bool good, const char *refusal)
{
    if (!good) script_raise(lua, refusal);
    lua_pushvalue(lua, -1);
    lua_replace(lua, slot);
}

/* The value stands on top. */
static void read_named(lua_State *lua, const char *name, uint32_t *flags)
{
    if (strcasecmp(name, "function_name") == 0) {
        keep(lua, SLOT_NAME, lua_isstring(lua, -1), "ERR function_name argument given to " HERE " must be a string");
    } else if (strcasecmp(name, "description") == 0) {
        keep(lua, SLOT_DESCRIPTION, lua_isstring(lua, -1),
             "ERR description argument given to " HERE " must be a string");
    } else if (strcasecmp(name, "callback") == 0) {
        keep(lua, SLOT_CALLBACK, lua_isfunction(lua, -1), "ERR callback argument given to " HERE " must be a function");
    } else if (strcasecmp(name, "flags") == 0) {
        if (!lua_istable(lua, -1))
            script_raise(lua, "ERR flags argument to " HERE " must be a table representing function flags");
        *flags = read_flags(lua, lua_gettop(lua));
    } else {
        script_raise(lua, "ERR unknown argument given to " HERE);
    }
}

static void read_table(lua_State *lua, uint32_t *flags)
{
    for (lua_pushnil(lua); lua_next(lua, SLOT_ARGUMENT); lua_pop(lua, 1)) {
        if (!lua_isstring(lua, -2)) script_raise(lua, "ERR named argument key given to " HERE " is not a string");
        lua_pushvalue(lua, -2); /* a copy: as text, a number would be changed within the table */
        lua_insert(lua, -2);
        read_named(lua, lua_tostring(lua, -2), flags);
        lua_remove(lua, -2);
    }
    if (lua_isnil(lua, SLOT_NAME)) script_raise(lua, "ERR " HERE " must get a function name argument");
    if (lua_isnil(lua, SLOT_CALLBACK)) script_raise(lua, "ERR " HERE " must get a callback argument");
}

static void read_pair(lua_State *lua)
{
    lua_settop(lua, SLOTS);
    lua_pushvalue(lua, 2);
    lua_replace(lua, SLOT_CALLBACK);
    lua_pushvalue(lua, 1);
    lua_replace(lua, SLOT_NAME);
    if (!lua_isstring(lua, SLOT_NAME)) script_raise(lua, "ERR first argument to " HERE " must be a string");
    if (!lua_isfunction(lua, SLOT_CALLBACK)) script_raise(lua, "ERR second argument to " HERE " must be a function");
}

static void read_arguments(lua_State *lua, uint32_t *flags)
{
    int count = lua_gettop(lua);
    if (count < 1 || count > 2) script_raise(lua, "ERR wrong number of arguments to " HERE);
    if (count == 2) {
        read_pair(lua);
        return;
    }
    if (!lua_istable(lua, 1))
        script_raise(lua, "ERR calling " HERE
                          " with a single argument is only applicable to Lua table (representing named arguments).");
    lua_settop(lua, SLOTS);
    read_table(lua, flags);
}

static struct bytes copy_text(struct bytes text)
{
    uint8_t *copy = mem_alloc(text.len + 1);
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = 0;
    return bytes_make(copy, text.len);
}

static bool is_there(const struct function_library *library, struct bytes name)
{
    for (size_t i = 0; i < library->count; i++)
        if (bytes_equal_nocase(library->functions[i]->name, (const char *)name.ptr)) return true;
    return false;
}

static void add(struct function_set *set, lua_State *lua, uint32_t flags)
{
    struct function_library *library = set->loading;
    lua_Debug where;
    lua_pushvalue(lua, SLOT_CALLBACK);
    lua_getinfo(lua, ">S", &where);
    lua_pushvalue(lua, SLOT_CALLBACK);
    int reference = luaL_ref(lua, LUA_REGISTRYINDEX); /* the last that may raise an error */
    struct function *f = mem_calloc(1, sizeof *f);
    f->name = copy_text(text_at(lua, SLOT_NAME));
    if (!lua_isnil(lua, SLOT_DESCRIPTION)) f->description = copy_text(text_at(lua, SLOT_DESCRIPTION));
    f->library = library;
    f->script = (struct script){
        .vm = set->vm,
        .name = (const char *)f->name.ptr,
        .function = reference,
        .source = FUNCTION_SOURCE,
        .return_line = where.lastlinedefined,
        .flags = flags,
        .is_function = true,
    };
    library->functions = mem_realloc(library->functions, (library->count + 1) * sizeof *library->functions);
    library->functions[library->count++] = f;
}

int function_register(lua_State *lua)
{
    struct function_set *set = lua_touserdata(lua, lua_upvalueindex(1));
    uint32_t flags = 0;
    if (!set->loading) return script_raise(lua, "ERR " HERE " can only be called on FUNCTION LOAD command");
    read_arguments(lua, &flags);
    /* A number or text of another owner: converted here, where an error is still harmless. */
    lua_tostring(lua, SLOT_NAME);
    if (!lua_isnil(lua, SLOT_DESCRIPTION)) lua_tostring(lua, SLOT_DESCRIPTION);
    struct bytes name = text_at(lua, SLOT_NAME);
    if (!function_name_good(name)) return script_raise(lua, "ERR " FUNCTION_NAME_ERROR);
    if (is_there(set->loading, name)) return script_raise(lua, "ERR Function already exists in the library");
    add(set, lua, flags);
    return 0;
}
