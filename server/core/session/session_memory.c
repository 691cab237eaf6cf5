/* What a session holds of memory beside its client's buffers. Server process. Each part knows its own; nobody walks. */
#include "server/core/session/session_memory.h"

#include "server/core/session/pubsub.h"
#include "server/core/session/transaction.h"
#include "server/core/session/watch.h"

size_t session_memory(const struct session *s)
{
    size_t texts = s->name.len + s->lib_name.len + s->lib_ver.len;
    return texts + transaction_memory(s) + watch_memory(s) + pubsub_session_memory(s);
}
