/* JSON to Lua and back, as scripts know it from the lua-cjson library. Server process.
 *
 * Behaviour and words of its errors are those of lua-cjson 2.1.0 (its manual is the specification). It is written anew
 * because Debian's build of that library computes its buffer's size in an int: one string of 400 MB, which a script
 * makes in a line, ends the process; and because its memory is neither counted nor bounded. */
#ifndef SLIPSTREAM_SCRIPT_JSON_H
#define SLIPSTREAM_SCRIPT_JSON_H

#include "server/script/text_buffer.h"

enum json_invalid { JSON_INVALID_REFUSED, JSON_INVALID_WRITTEN, JSON_INVALID_AS_NULL };

/* What a script may set, and the buffer that it works with: one for each `cjson.new()`. */
struct json_state {
    struct text_buffer buffer; /* first: see text_buffer_owner */
    int encode_max_depth, decode_max_depth;
    int sparse_ratio, sparse_safe;
    int precision;                       /* significant digits of a number, 1 to 14 */
    enum json_invalid encode_invalid;    /* infinity and NaN */
    bool sparse_convert, decode_invalid; /* decode_invalid: infinity, NaN, hexadecimal and the like are numbers too */
    bool keep_buffer;
    bool mark_arrays; /* a decoded array remembers that it is one, even when empty */
};

/* Both leave their result on the stack's top, and raise a Lua error where there is none. */
void json_encode(lua_State *lua, struct json_state *state, int index);
/* `text` is followed by a zero byte, as every Lua string is. */
void json_decode(lua_State *lua, struct json_state *state, const char *text);

/* Pushes the metatable that marks an array. */
void json_push_array_mark(lua_State *lua);

#endif
