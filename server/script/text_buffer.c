/* A growing text that a library of the script sandbox writes into. Server process. */
#include "server/script/text_buffer.h"

#include <lauxlib.h>

#define ROOM_LEAST ((size_t)512)
#define ROOM_KEPT  ((size_t)64 << 10) /* an empty buffer holds on to so much */

static void set_room(lua_State *lua, struct text_buffer *b, size_t room)
{
    void *opaque;
    lua_Alloc allocate = lua_getallocf(lua, &opaque);
    char *bytes = allocate(opaque, b->bytes, b->room, room);
    if (room && !bytes) luaL_error(lua, "not enough memory");
    b->bytes = bytes;
    b->room = room;
}

void text_buffer_grow(lua_State *lua, struct text_buffer *b, size_t more)
{
    if (more > TEXT_BUFFER_BYTES_MAX - b->len)
        luaL_error(lua, "the result exceeds %d MB", (int)(TEXT_BUFFER_BYTES_MAX >> 20));
    size_t room = b->room ? b->room : ROOM_LEAST;
    while (room - b->len < more) room *= 2;
    set_room(lua, b, room);
}

void text_buffer_push(lua_State *lua, struct text_buffer *b, bool keep)
{
    lua_pushlstring(lua, b->len ? b->bytes : "", b->len);
    b->len = 0;
    if (!keep || b->room > ROOM_KEPT) text_buffer_free(lua, b);
}

void text_buffer_free(lua_State *lua, struct text_buffer *b)
{
    if (b->bytes) set_room(lua, b, 0);
    b->len = 0;
}

static int collected(lua_State *lua)
{
    text_buffer_free(lua, lua_touserdata(lua, 1));
    return 0;
}

void *text_buffer_owner(lua_State *lua, size_t size)
{
    void *owner = lua_newuserdata(lua, size);
    memset(owner, 0, size);
    lua_createtable(lua, 0, 1);
    lua_pushcfunction(lua, collected);
    lua_setfield(lua, -2, "__gc");
    lua_setmetatable(lua, -2);
    return owner;
}
