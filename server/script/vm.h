/* A Lua virtual machine: a LuaJIT state with a heap that is counted and limited, and the one way into it.
 *
 * Whatever may raise a Lua error (nearly every call of the Lua API may: memory) runs inside script_vm_enter(). The
 * state's stack holds two things for ever, the error handler and the gate that bodies run behind; everything else is
 * gone when script_vm_leave() has been called. */
#ifndef SLIPSTREAM_SCRIPT_VM_H
#define SLIPSTREAM_SCRIPT_VM_H

#include "server/base/bytes.h"
#include "server/script/block_cache.h"

#include <lua.h>

struct script_vm {
    lua_State *lua;
    struct block_cache blocks;
    void (*body)(lua_State *lua, void *arg); /* what runs behind the gate next */
    void *body_arg;
    size_t bytes;       /* the state's heap */
    size_t limit_bytes; /* 0: none. A script that asks for more gets a Lua error, */
    size_t most_bytes;  /* and where all of our memory would come to more than this; 0: that is not looked at */
    size_t seen_bytes;  /* of this heap: up to here there is enough beside it */
    size_t live_bytes;  /* what was left of it by the last collection that script_vm_leave() asked for */
    size_t cycle_bytes; /* at the end of the collector's last cycle in one that is under way */
    int cycles;         /* that this one has still to run through; 0: none is under way */
    bool limited;       /* false where a refusal would hit us, not a script */
    const char *source; /* of what runs, for errors without a place; NULL: nothing to say */
    int line;
    uint32_t kept_keys, kept_arguments; /* how many are in the tables that stay */
    const char *stack_base;             /* C stack: where the outermost body began, */
    ptrdiff_t stack_bytes;              /* and how much of it functions may use that call back */
};

/* An error that left a body. The slices live until script_vm_leave(). */
struct script_error {
    struct bytes text;   /* with its code in front */
    struct bytes source; /* "@user_script"; empty: not known */
    int64_t line;
    bool counted; /* the command that failed has been counted in the statistics of errors */
};

/* What a body finds among its upvalues, by lua_upvalueindex(). */
enum script_upvalue {
    UPVALUE_GLOBALS = 1, /* the table behind the protected _G */
    UPVALUE_KEYS,        /* texts that need not be made anew: "KEYS", "ARGV" */
    UPVALUE_ARGV,
    UPVALUE_ERR, /* names of what a reply's table is */
    UPVALUE_OK,
    UPVALUE_DOUBLE,
    UPVALUE_MAP,
    UPVALUE_SET,
    UPVALUE_BIG_NUMBER,
    UPVALUE_VERBATIM,
    UPVALUE_REDIS, /* the table `redis`, once it has been opened, */
    UPVALUE_CALL,  /* and two of its functions */
    UPVALUE_PCALL,
    UPVALUE_KEPT_KEYS, /* tables that stay */
    UPVALUE_KEPT_ARGV,
    UPVALUES = UPVALUE_KEPT_ARGV,
};

struct script_vm *script_vm_new(void); /* NULL: no memory */
void script_vm_free(struct script_vm *vm);
/* Runs body(lua, arg) with nothing on its stack. 0, or -1: it raised `error`. */
int script_vm_enter(struct script_vm *vm, void (*body)(lua_State *lua, void *arg), void *arg,
                    struct script_error *error);
void script_vm_leave(struct script_vm *vm);

/* The vm that a state belongs to. */
struct script_vm *script_vm_of(lua_State *lua);
/* Raises a Lua error where the C stack is used up by functions that call each other through C. */
void script_vm_check_stack(lua_State *lua);
/* Compiles text (never bytecode) and leaves the function on the stack: 0, else -1 and the error's text. */
int script_vm_compile(lua_State *lua, struct bytes text, const char *chunk_name);

#endif
