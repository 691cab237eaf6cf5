/* A script's text, so written that LuaJIT makes of it what the Lua inside Redis does. */
#ifndef SLIPSTREAM_SCRIPT_DIALECT_H
#define SLIPSTREAM_SCRIPT_DIALECT_H

#include "server/base/bytes.h"

/* The text with `return redis.call(...)` written as `return (redis.call(...))`, and so for every function that is known
 * to return one value, so that errors know their line; and with "\." in a string written as ".": mem_free() it. ptr
 * NULL: it needs no change, or is no Lua. Lines keep their numbers.
 * *return_line: of the last `return`, counted from first_line; the first one where there is none. */
struct bytes script_translate(struct bytes text, int first_line, int *return_line);

/* What of the names that stand for Redis a script's text uses. */
enum script_use {
    SCRIPT_USES_KEYS = 1 << 0,
    SCRIPT_USES_ARGV = 1 << 1,
    SCRIPT_USES_REDIS = 1 << 2, /* for other things than these two */
    SCRIPT_USES_CALL = 1 << 3,
    SCRIPT_USES_PCALL = 1 << 4,
    SCRIPT_KEEPS_KEYS = 1 << 5, /* maybe as a value, or changes them: not only reads an element, or counts them */
    SCRIPT_KEEPS_ARGV = 1 << 6,
    SCRIPT_SEES_GLOBALS = 1 << 7, /* not only what it names */
    SCRIPT_TAKES_NAMES = 1 << 8,  /* is called with what it uses, in this order */
};

/* Whether the text may stand behind local variables of ours, `redis` among them, which are set to "...": false where it
 * takes arguments itself, or makes a function of that name or in that table. */
bool script_may_have_locals(struct bytes text);

/* The text with redis.call(...) written as redis_call(...), and pcall so, which is to be a local variable: mem_free()
 * it. The function of a table that nobody can change need not be looked up there each time. *uses: of enum script_use,
 * what it names. ptr NULL: it uses one of the names for something else, or is no Lua.
 * Of a text that may have locals. */
struct bytes script_bind_names(struct bytes text, uint32_t *uses);

#endif
