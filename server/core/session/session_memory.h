/* What a session holds of memory: its part of CLIENT LIST's tot-mem, and of what clients are limited by. */
#ifndef SLIPSTREAM_CORE_SESSION_SESSION_MEMORY_H
#define SLIPSTREAM_CORE_SESSION_SESSION_MEMORY_H

#include "server/core/session/session.h"

size_t session_memory(const struct session *s); /* bytes: texts, queued commands, watched keys, subscriptions */

#endif
