/* The server's scripts: what stands behind core->scripts. */
#ifndef SLIPSTREAM_SCRIPT_SCRIPTS_H
#define SLIPSTREAM_SCRIPT_SCRIPTS_H

#include "server/keyspace/libraries.h"

struct core;
struct script_cache;
struct script_engine;

struct scripts {
    struct script_engine *engine;  /* script/engine.h */
    struct script_cache *cache;    /* script/cache.h: EVAL's */
    struct library_host functions; /* script/functions.h: who compiles what the keyspace has of libraries */
};

struct scripts *scripts_new(struct core *core);
extern const struct script_host script_host; /* core/script_host.h */

#endif
