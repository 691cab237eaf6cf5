/* See cache.h. Server process; a worker thread frees what was flushed.
 *
 * A flush takes the whole virtual machine away with the scripts, so that nothing of them is left,
 * and makes a new one. */
#include "server/script/cache.h"

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/list.h"
#include "server/base/map.h"
#include "server/base/workers.h"
#include "server/core/command/stats.h"
#include "server/script/dialect.h"
#include "server/script/parts.h"
#include "server/script/sandbox.h"
#include "server/script/shebang.h"

#include <lauxlib.h>
#include <stdio.h>

#define SHARE 4 /* of the heap, for scripts that may leave: a fourth */

struct script_cache {
    struct script_engine *engine;
    struct script_vm *vm;
    struct map by_digest; /* struct cached_script */
    size_t text_bytes;
    struct list by_use;         /* of those that may leave, the latest last */
    size_t by_use_bytes;        /* what they take */
    struct cached_script *last; /* likely the next one, too: compared before a digest is made or looked up */
};

static void close_sandbox(lua_State *lua, void *arg)
{
    (void)arg;
    script_sandbox_close(lua);
}

static struct script_vm *new_vm(struct script_engine *engine)
{
    struct script_error error;
    struct script_vm *vm = script_engine_new_vm(engine);
    CHECK(script_vm_enter(vm, close_sandbox, NULL, &error) == 0);
    script_vm_leave(vm);
    return vm;
}

struct script_cache *script_cache_new(struct script_engine *engine)
{
    struct script_cache *c = mem_calloc(1, sizeof *c);
    c->engine = engine;
    c->vm = new_vm(engine);
    list_init(&c->by_use);
    return c;
}

/* --- looking up --- */

static void note_use(struct script_cache *c, struct cached_script *s)
{
    c->last = s;
    if (!list_contains(&s->recent)) return;
    list_remove(&c->by_use, &s->recent);
    list_push_back(&c->by_use, &s->recent);
}

struct cached_script *script_cache_find(struct script_cache *c, struct bytes digest)
{
    char lower[SCRIPT_DIGEST_CHARS];
    if (digest.len != SCRIPT_DIGEST_CHARS) return NULL;
    if (c->last && memcmp(c->last->digest.text, digest.ptr, SCRIPT_DIGEST_CHARS) == 0) return c->last;
    for (int i = 0; i < SCRIPT_DIGEST_CHARS; i++) {
        uint8_t d = digest.ptr[i];
        lower[i] = (char)(d >= 'A' && d <= 'Z' ? d + 32 : d);
    }
    struct cached_script *found = map_get(&c->by_digest, bytes_make(lower, SCRIPT_DIGEST_CHARS));
    if (found) note_use(c, found);
    return found;
}

/* --- making --- */

static const char chunk_name[] = "@user_script";

/* What most scripts look up again and again: a local variable costs nothing,
 * a protected global a look at two tables. */
static const struct {
    const char *name;
    uint32_t use;
} locals[] = {{"KEYS", SCRIPT_USES_KEYS},
              {"ARGV", SCRIPT_USES_ARGV},
              {"redis", SCRIPT_USES_REDIS},
              {"redis_call", SCRIPT_USES_CALL},
              {"redis_pcall", SCRIPT_USES_PCALL}};

#define NAMES_BYTES 64

struct compilation {
    struct bytes code, rewritten, with_names; /* the latter two: ptr NULL, not so */
    int function;
    uint32_t uses;
    char *error;
};

static bool is_name(uint8_t c)
{
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Whether the text seems to assign to a variable of that name: to a global one, that is an error. */
static bool assigns(struct bytes text, const char *name)
{
    size_t len = strlen(name);
    const uint8_t *end = text.ptr + text.len, *at = text.ptr;
    while ((at = memmem(at, (size_t)(end - at), name, len))) {
        bool whole = at == text.ptr || !is_name(at[-1]);
        at += len;
        if (!whole || (at < end && is_name(*at))) continue;
        const uint8_t *next = at;
        while (next < end && (*next == ' ' || *next == '\t' || *next == '\n' || *next == '\r')) next++;
        if (next < end && (*next == ',' || (*next == '=' && (next + 1 == end || next[1] != '=')))) return true;
    }
    return false;
}

/* "local KEYS,redis_call=...;": its length, 0 where the script needs none of them. */
static size_t write_locals(char out[NAMES_BYTES], uint32_t uses)
{
    size_t len = 0;
    for (size_t i = 0; i < sizeof locals / sizeof *locals; i++)
        if (uses & locals[i].use)
            len += (size_t)snprintf(out + len, NAMES_BYTES - len, "%s%s", len ? "," : "local ", locals[i].name);
    return len ? len + (size_t)snprintf(out + len, NAMES_BYTES - len, "=...;") : 0;
}

/* Code that comes from another text, or goes through the table of globals, may find these names there. */
static bool may_look_at_globals(struct bytes text)
{
    return memmem(text.ptr, text.len, "_G", 2) || memmem(text.ptr, text.len, "load", 4);
}

/* Behind its local variables: the text itself, or as it stands with names that are bound. *uses:
 * what it is called with. */
static struct bytes with_names(struct bytes text, uint32_t *uses)
{
    char first[NAMES_BYTES];
    uint32_t named;
    if (!script_may_have_locals(text)) return (struct bytes){0};
    if (assigns(text, "redis") || assigns(text, "KEYS") || assigns(text, "ARGV")) return (struct bytes){0};
    struct bytes bound = script_bind_names(text, &named);
    if (!bound.ptr) named = SCRIPT_USES_REDIS | SCRIPT_USES_KEYS | SCRIPT_USES_ARGV;
    if (!bound.ptr || may_look_at_globals(text)) named |= SCRIPT_SEES_GLOBALS;
    *uses = named | SCRIPT_TAKES_NAMES;
    size_t len = write_locals(first, named);
    if (bound.ptr) text = bound;
    uint8_t *both = mem_alloc(len + text.len + 1);
    memcpy(both, first, len);
    if (text.len) memcpy(both + len, text.ptr, text.len);
    mem_free((void *)bound.ptr);
    return bytes_make(both, len + text.len);
}

/* What a rewritten text has against it is said of the text as it came. */
static void compile(lua_State *lua, void *arg)
{
    struct compilation *c = arg;
    bool with_names = c->with_names.ptr && script_vm_compile(lua, c->with_names, chunk_name) == 0;
    if (!with_names) c->uses = SCRIPT_SEES_GLOBALS;
    bool compiled = with_names || (c->rewritten.ptr && script_vm_compile(lua, c->rewritten, chunk_name) == 0) ||
                    script_vm_compile(lua, c->code, chunk_name) == 0;
    if (compiled)
        c->function = luaL_ref(lua, LUA_REGISTRYINDEX);
    else
        snprintf(c->error, SCRIPT_ERROR_MAX, "ERR Error compiling script (new function): %s", lua_tostring(lua, -1));
}

/* script->function is LUA_NOREF: it is no Lua, and the error's text. The first line's end stays, so that lines keep
 * their numbers. */
static void compile_code(struct script_cache *c, struct bytes code, struct script *script, char error[SCRIPT_ERROR_MAX])
{
    struct compilation compilation = {.code = code, .function = LUA_NOREF, .error = error};
    struct script_error raised;
    compilation.rewritten = script_translate(code, 1, &script->return_line);
    compilation.with_names = with_names(compilation.rewritten.ptr ? compilation.rewritten : code, &compilation.uses);
    if (script_vm_enter(c->vm, compile, &compilation, &raised))
        snprintf(error, SCRIPT_ERROR_MAX, "ERR Error compiling script (new function): %.*s",
                 (int)(raised.text.len < 512 ? raised.text.len : 512), (const char *)raised.text.ptr);
    script_vm_leave(c->vm);
    mem_free((void *)compilation.rewritten.ptr);
    mem_free((void *)compilation.with_names.ptr);
    script->function = compilation.function;
    script->uses = compilation.uses;
}

static struct cached_script *make(struct script_cache *c, struct bytes text, const struct script_digest *digest,
                                  char error[SCRIPT_ERROR_MAX])
{
    uint32_t flags;
    size_t skipped;
    if (script_read_shebang(text, &flags, &skipped, error)) return NULL;
    struct script script = {.vm = c->vm, .flags = flags, .source = chunk_name};
    size_t heap_before = c->vm->bytes;
    compile_code(c, bytes_make(text.ptr + skipped, text.len - skipped), &script, error);
    if (script.function == LUA_NOREF) return NULL;
    struct cached_script *s = mem_alloc(sizeof *s);
    *s = (struct cached_script){
        .script = script,
        .digest = *digest,
        .text = bytes_make(memcpy(mem_alloc(text.len ? text.len : 1), text.ptr, text.len), text.len),
    };
    s->script.name = s->digest.text;
    *map_slot(&c->by_digest, bytes_make(s->digest.text, SCRIPT_DIGEST_CHARS)) = s;
    size_t own = mem_size(s) + mem_size(s->text.ptr), heap = c->vm->bytes;
    c->text_bytes += own;
    s->bytes =
        own + (heap > heap_before ? heap - heap_before : 0); /* less where garbage has been collected meanwhile */
    c->by_use_bytes += s->bytes;
    list_push_back(&c->by_use, &s->recent);
    return s;
}

static void forget(lua_State *lua, void *arg)
{
    luaL_unref(lua, LUA_REGISTRYINDEX, *(const int *)arg);
}

static void evict(struct script_cache *c, struct cached_script *s)
{
    struct script_error error;
    script_cache_keep(c, s);
    script_vm_enter(c->vm, forget, &s->script.function, &error);
    script_vm_leave(c->vm);
    map_remove(&c->by_digest, bytes_make(s->digest.text, SCRIPT_DIGEST_CHARS));
    c->text_bytes -= mem_size(s) + mem_size(s->text.ptr);
    mem_free((void *)s->text.ptr);
    mem_free(s);
    c->engine->core->stats->evicted_scripts++;
}

static void make_room(struct script_cache *c)
{
    size_t most = script_heap_limit(c->engine) / SHARE;
    while (c->by_use_bytes > most && c->by_use.count > 1)
        evict(c, list_entry(c->by_use.head.next, struct cached_script, recent));
}

void script_cache_keep(struct script_cache *c, struct cached_script *s)
{
    if (!list_contains(&s->recent)) return;
    list_remove(&c->by_use, &s->recent);
    c->by_use_bytes -= s->bytes;
}

struct cached_script *script_cache_get(struct script_cache *c, struct bytes text, char error[SCRIPT_ERROR_MAX])
{
    if (c->last && bytes_equal(c->last->text, text)) return c->last;
    struct script_digest digest = script_digest_of(text);
    struct cached_script *found = map_get(&c->by_digest, bytes_make(digest.text, SCRIPT_DIGEST_CHARS));
    if (found) {
        note_use(c, found);
        return found;
    }
    c->last = NULL; /* it may have to leave */
    found = make(c, text, &digest, error);
    if (!found) return NULL;
    c->last = found;
    make_room(c);
    return found;
}

/* --- the end --- */

struct leftovers {
    struct worker_job job;
    struct script_vm *vm;
    struct map scripts;
};

static void free_leftovers(struct worker_job *job)
{
    struct leftovers *l = list_entry(job, struct leftovers, job);
    script_vm_free(l->vm);
    for (struct map_entry *e = map_next(&l->scripts, NULL); e; e = map_next(&l->scripts, e)) {
        struct cached_script *s = e->value;
        mem_free((void *)s->text.ptr);
        mem_free(s);
    }
    map_clear(&l->scripts);
    mem_free(l);
}

void script_cache_flush(struct script_cache *c, bool aside)
{
    struct leftovers *l = mem_calloc(1, sizeof *l);
    l->vm = c->vm;
    l->scripts = c->by_digest;
    l->job.run = free_leftovers;
    c->vm = new_vm(c->engine);
    c->by_digest = (struct map){0};
    list_init(&c->by_use);
    c->by_use_bytes = 0;
    c->text_bytes = 0;
    c->last = NULL;
    if (aside)
        workers_submit(WORKER_FREE, &l->job);
    else
        free_leftovers(&l->job);
}

struct script_cache_usage script_cache_usage(const struct script_cache *c)
{
    return (struct script_cache_usage){
        .count = c->by_digest.count,
        .text_bytes = c->text_bytes + c->by_digest.capacity * sizeof(struct map_entry),
        .machine_bytes = c->vm->bytes + c->vm->blocks.held_bytes,
    };
}
