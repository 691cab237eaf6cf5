/* A growing text that a library of the script sandbox writes into. Server process.
 *
 * Its memory comes from the Lua state's own allocator, so that it counts as the scripts' and keeps to their limit.
 * Every call may raise a Lua error, which leaves by longjmp: the buffer therefore lives in a userdata, whose collection
 * frees it, and the next use starts it anew. */
#ifndef SLIPSTREAM_SCRIPT_TEXT_BUFFER_H
#define SLIPSTREAM_SCRIPT_TEXT_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <lua.h>

/* What one text may grow to. Shared tables let a few bytes of Lua stand for any length; nothing longer could be sent as
 * one string anyway. */
#define TEXT_BUFFER_BYTES_MAX ((size_t)512 << 20)

struct text_buffer {
    char *bytes;
    size_t len, room;
};

/* Makes room for `more` bytes; raises a Lua error past the limit or without memory. */
void text_buffer_grow(lua_State *lua, struct text_buffer *b, size_t more);
/* Pushes the text as a Lua string and empties the buffer. A large one is given back, unless it is to be kept. */
void text_buffer_push(lua_State *lua, struct text_buffer *b, bool keep);
void text_buffer_free(lua_State *lua, struct text_buffer *b);
/* Pushes a userdata of `size` bytes, all zero, whose text_buffer at its beginning is freed when it is collected. */
void *text_buffer_owner(lua_State *lua, size_t size);

static inline void text_buffer_reserve(lua_State *lua, struct text_buffer *b, size_t more)
{
    if (more > b->room - b->len) text_buffer_grow(lua, b, more);
}

static inline void text_buffer_put(lua_State *lua, struct text_buffer *b, const void *bytes, size_t len)
{
    text_buffer_reserve(lua, b, len);
    if (len) memcpy(b->bytes + b->len, bytes, len);
    b->len += len;
}

static inline void text_buffer_put_byte(lua_State *lua, struct text_buffer *b, char byte)
{
    text_buffer_reserve(lua, b, 1);
    b->bytes[b->len++] = byte;
}

#endif
