/* See scripts.h. Server process. */
#include "server/script/scripts.h"

#include "server/base/alloc.h"
#include "server/core/core.h"
#include "server/keyspace/keyspace.h"
#include "server/script/cache.h"
#include "server/script/engine.h"
#include "server/script/functions.h"

struct scripts *scripts_new(struct core *core)
{
    struct scripts *s = mem_alloc(sizeof *s);
    s->engine = script_engine_new(core);
    s->cache = script_cache_new(s->engine);
    s->functions = functions_host(s->engine);
    keyspace_set_library_host(core->keyspace, &s->functions);
    return s;
}
