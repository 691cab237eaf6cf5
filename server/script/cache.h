/* EVAL's scripts, by the digest of their text: compiled once, run until SCRIPT FLUSH. */
#ifndef SLIPSTREAM_SCRIPT_CACHE_H
#define SLIPSTREAM_SCRIPT_CACHE_H

#include "server/script/digest.h"
#include "server/script/engine.h"

#define SCRIPT_ERROR_MAX 1024

struct script_cache;

struct cached_script {
    struct script script;
    struct script_digest digest;
    struct bytes text; /* owned */
};

struct script_cache *script_cache_new(struct script_engine *engine);
/* By 40 digits in any case; NULL: it is not there. */
struct cached_script *script_cache_find(struct script_cache *c, struct bytes digest);
/* By its text, which it is made from where it is not there yet. NULL: it cannot be, and the error's text. */
struct cached_script *script_cache_get(struct script_cache *c, struct bytes text, char error[SCRIPT_ERROR_MAX]);
/* Aside: what takes long is done by a worker thread. */
void script_cache_flush(struct script_cache *c, bool aside);

struct script_cache_usage {
    size_t count;
    size_t text_bytes;    /* texts and what stands around them */
    size_t machine_bytes; /* of the virtual machine: compiled code, and what scripts have left to be collected */
};
struct script_cache_usage script_cache_usage(const struct script_cache *c);

#endif
