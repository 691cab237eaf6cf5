/* The script engine: what runs EVAL's scripts and FUNCTION's functions in the server.
 *
 * How a library is opened: script_sandbox_add() in sandbox.h. How code is compiled: script_vm_compile() in vm.h, inside
 * a body of script_vm_enter(); a function is kept by luaL_ref() in the registry. How it is called with its keys and
 * arguments, and its value becomes the caller's reply: script_run(), here. */
#ifndef SLIPSTREAM_SCRIPT_ENGINE_H
#define SLIPSTREAM_SCRIPT_ENGINE_H

#include "server/base/bytes.h"
#include "server/script/vm.h"

struct call;
struct core;
struct reply;
struct script_engine;

/* What a script says of itself in its first line, or a function when it is registered. */
enum script_flag {
    SCRIPT_NO_WRITES = 1 << 0,
    SCRIPT_ALLOW_OOM = 1 << 1,
    SCRIPT_ALLOW_STALE = 1 << 2,
    SCRIPT_NO_CLUSTER = 1 << 3,
    SCRIPT_ALLOW_CROSS_SLOT_KEYS = 1 << 4,
    SCRIPT_COMPATIBLE = 1 << 5, /* it says nothing: judged by what it does, command by command */
};

struct script {
    struct script_vm *vm;
    const char *name;   /* for errors: a digest, or a function's name */
    int function;       /* in the state's registry */
    const char *source; /* "@user_script": its chunk's name, */
    int return_line;    /* and a line of it, for errors that know none */
    uint32_t flags;     /* enum script_flag */
    uint32_t uses;      /* enum script_use: its code has local variables for these, and is called with them */
    bool is_function;   /* gets keys and arguments as its own, not as KEYS and ARGV; stopped by FUNCTION KILL */
};

struct script_engine *script_engine_new(struct core *core);
/* Those of EVAL, and of functions; each in a sandbox with the table `redis`, still open for more libraries. */
struct script_vm *script_engine_new_vm(struct script_engine *e);

/* For tests of scripts: they may call DEBUG and CLIENT LIST, which look and change no session. */
void script_engine_allow_looks(struct script_engine *e, bool on);

/* Monitors see EVAL, FCALL and their kin before the commands inside, and also what then finds no script, or does not
 * fit: each handler says so first. */
void script_show_monitors(const struct call *call);
/* Whether the number of keys at call->argv[keys_from] fits the request; false: answered. */
bool script_keys_fit(struct call *call, uint32_t keys_from, uint32_t *key_count);
/* Runs the script for EVAL, FCALL and their kin: behind call->argv[keys_from] are as many keys, which fit, and
 * arguments. Answers. */
void script_run(struct script_engine *e, const struct script *script, struct call *call, uint32_t keys_from,
                uint32_t key_count, bool read_only);

/* A flag by its name: false, there is none such. */
bool script_flag_by_name(struct bytes name, uint32_t *flags);
void script_reply_flags(struct reply *reply, uint32_t flags); /* their names, as a set */
/* The flags of a command that runs a script which says so much of itself. */
uint32_t script_command_flags(uint32_t command_flags, uint32_t script_flags);

#endif
