/* MessagePack to Lua and back (https://github.com/msgpack/msgpack/blob/master/spec.md). Server process.
 *
 * Of the specification, what Redis's scripts know of it: bin, ext and timestamp are neither written nor read. */
#ifndef SLIPSTREAM_SCRIPT_MSGPACK_H
#define SLIPSTREAM_SCRIPT_MSGPACK_H

#include <stdint.h>

#include "server/script/text_buffer.h"

enum msgpack_tag {
    MSGPACK_NIL = 0xc0,
    MSGPACK_FALSE = 0xc2,
    MSGPACK_TRUE = 0xc3,
    MSGPACK_FLOAT32 = 0xca,
    MSGPACK_FLOAT64 = 0xcb,
    MSGPACK_UINT8 = 0xcc,
    MSGPACK_UINT16 = 0xcd,
    MSGPACK_UINT32 = 0xce,
    MSGPACK_UINT64 = 0xcf,
    MSGPACK_INT8 = 0xd0,
    MSGPACK_INT16 = 0xd1,
    MSGPACK_INT32 = 0xd2,
    MSGPACK_INT64 = 0xd3,
    MSGPACK_STR8 = 0xd9,
    MSGPACK_STR16 = 0xda,
    MSGPACK_STR32 = 0xdb,
    MSGPACK_ARRAY16 = 0xdc,
    MSGPACK_ARRAY32 = 0xdd,
    MSGPACK_MAP16 = 0xde,
    MSGPACK_MAP32 = 0xdf,
    /* Those that hold their value or length in their low bits. */
    MSGPACK_FIXMAP = 0x80,
    MSGPACK_FIXARRAY = 0x90,
    MSGPACK_FIXSTR = 0xa0,
    MSGPACK_NEGATIVE_FIXINT = 0xe0,
};

/* Appends the value at the stack's index; raises a Lua error without memory or past the buffer's limit. */
void msgpack_pack(lua_State *lua, struct text_buffer *out, int index);

struct msgpack_input {
    const uint8_t *at;
    size_t left;     /* bytes */
    uint32_t values; /* so many have been read */
};

/* Pushes the next value, of at least one byte; raises a Lua error where there is none. */
void msgpack_unpack(lua_State *lua, struct msgpack_input *in);

#endif
