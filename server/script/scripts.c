/* See scripts.h. Server process. */
#include "server/script/scripts.h"

#include "server/base/alloc.h"
#include "server/core/core.h"
#include "server/core/script_host.h"
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

static void usage(const struct core *core, struct script_usage *out)
{
    struct script_cache_usage cache = script_cache_usage(core->scripts->cache);
    struct function_memory functions;
    libraries_measure(keyspace_libraries(core->keyspace), &functions);
    *out = (struct script_usage){
        .eval_machine_bytes = cache.machine_bytes,
        .eval_text_bytes = cache.text_bytes,
        .cached_scripts = cache.count,
        .function_machine_bytes = functions.vm_bytes,
        .function_text_bytes = functions.bytes,
        .functions = functions.functions,
        .libraries = functions.libraries,
    };
}

static void allow_looks(struct core *core, bool on)
{
    script_engine_allow_looks(core->scripts->engine, on);
}

const struct script_host script_host = {.usage = usage, .allow_looks = allow_looks};
