/* EVAL's scripts, by the digest of their text: compiled once, run until SCRIPT FLUSH.
 *
 * Redis 7.2 keeps each for ever; from 7.4 on it keeps 500 of those that came by EVAL. Here, too, only those ever leave,
 * the least recently used first, but not before they take a quarter of what the virtual machine may hold: who puts
 * values into the text of a script, and sends another each time, would fill it,
 * and then no script would run any more. */
#ifndef SLIPSTREAM_SCRIPT_CACHE_H
#define SLIPSTREAM_SCRIPT_CACHE_H

#include "server/base/list.h"
#include "server/script/digest.h"
#include "server/script/engine.h"

#define SCRIPT_ERROR_MAX 1024

struct script_cache;

struct cached_script {
    struct script script;
    struct script_digest digest;
    struct bytes text;       /* owned */
    size_t bytes;            /* of it all, compiled code included */
    struct list_node recent; /* in the cache's order of use; not if it came by SCRIPT LOAD: then it stays */
};

struct script_cache *script_cache_new(struct script_engine *engine);
/* By 40 digits in any case; NULL: it is not there. */
struct cached_script *script_cache_find(struct script_cache *c, struct bytes digest);
/* By its text, which it is made from where it is not there yet, others leaving for it. NULL: it cannot be, and the
 * error's text. */
struct cached_script *script_cache_get(struct script_cache *c, struct bytes text, char error[SCRIPT_ERROR_MAX]);
/* It does not leave before SCRIPT FLUSH. */
void script_cache_keep(struct script_cache *c, struct cached_script *script);
/* Aside: what takes long is done by a worker thread. */
void script_cache_flush(struct script_cache *c, bool aside);

struct script_cache_usage {
    size_t count;
    size_t text_bytes;    /* texts and what stands around them */
    size_t machine_bytes; /* of the virtual machine: compiled code, and what scripts have left to be collected */
};
struct script_cache_usage script_cache_usage(const struct script_cache *c);

#endif
