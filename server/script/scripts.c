/* See scripts.h. Server process. */
#include "server/script/scripts.h"

#include "server/base/alloc.h"
#include "server/script/cache.h"
#include "server/script/engine.h"

struct scripts *scripts_new(struct core *core)
{
    struct scripts *s = mem_alloc(sizeof *s);
    s->engine = script_engine_new(core);
    s->cache = script_cache_new(s->engine);
    return s;
}
