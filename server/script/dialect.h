/* A script's text, so written that LuaJIT makes of it what the Lua inside Redis does. */
#ifndef SLIPSTREAM_SCRIPT_DIALECT_H
#define SLIPSTREAM_SCRIPT_DIALECT_H

#include "server/base/bytes.h"

/* The text with `return redis.call(...)` written as `return (redis.call(...))`, and so for every function that is known
 * to return one value, so that errors know their line; and with "\." in a string written as ".": mem_free() it. ptr NULL:
 * it needs no change, or is no Lua. Lines keep their numbers.
 * *return_line: of the last `return`, counted from first_line; the first one where there is none. */
struct bytes script_translate(struct bytes text, int first_line, int *return_line);

#endif
