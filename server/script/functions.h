/* The dataset's function libraries: their sources, which the keyspace keeps, and what they have been compiled to,
 * changed together. Server process. */
#ifndef SLIPSTREAM_SCRIPT_FUNCTIONS_H
#define SLIPSTREAM_SCRIPT_FUNCTIONS_H

#include "server/script/function_set.h"

/* What the keyspace is given (keyspace_set_library_host): who reads an RDB has its libraries compiled by it. */
struct library_host functions_host(struct script_engine *engine);

/* Each: 0, or -1: nothing has changed, and `error` says why. A library's code may run for so long when it is loaded. */
int functions_load(struct script_engine *engine, struct libraries *l, struct bytes source, bool replace,
                   int64_t timeout_ms, const struct function_library **loaded, char error[LIBRARY_ERROR_BYTES]);
enum functions_restore { RESTORE_APPEND, RESTORE_REPLACE, RESTORE_FLUSH };
int functions_restore(struct script_engine *engine, struct libraries *l, struct bytes payload,
                      enum functions_restore policy, int64_t timeout_ms, char error[LIBRARY_ERROR_BYTES]);
int functions_delete(struct libraries *l, struct bytes name); /* -1: no such library */
void functions_flush(struct libraries *l, bool aside);

const struct function *functions_find(const struct libraries *l, struct bytes name); /* whatever its case; NULL: none */

#endif
