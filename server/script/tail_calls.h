/* A script's text, so written that errors know their line. */
#ifndef SLIPSTREAM_SCRIPT_TAIL_CALLS_H
#define SLIPSTREAM_SCRIPT_TAIL_CALLS_H

#include "server/base/bytes.h"

/* The text with `return redis.call(...)` written as `return (redis.call(...))`, and so for every function that is known
 * to return one value: mem_free() it. ptr NULL: it needs no change, or is no Lua. Lines keep their numbers.
 * *return_line: of the last `return`, counted from first_line; the first one where there is none. */
struct bytes script_avoid_tail_calls(struct bytes text, int first_line, int *return_line);

#endif
