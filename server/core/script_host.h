/* What core asks of the scripts, which it does not know: filled in by server/script, set by main.c. */
#ifndef SLIPSTREAM_CORE_SCRIPT_HOST_H
#define SLIPSTREAM_CORE_SCRIPT_HOST_H

#include <stdbool.h>
#include <stddef.h>

struct core;

struct script_usage {
    size_t eval_machine_bytes, function_machine_bytes; /* heaps of the virtual machines: not in the used memory */
    size_t eval_text_bytes, function_text_bytes;       /* what we keep of scripts beside: in the used memory */
    size_t cached_scripts, functions, libraries;
};

struct script_host {
    void (*usage)(const struct core *core, struct script_usage *out);
    void (*allow_looks)(struct core *core, bool on); /* script/engine.h */
};

#endif
