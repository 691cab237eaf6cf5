/* See text_reply.h. Server process. */
#include "server/commands/text_reply.h"

#include "server/base/alloc.h"

/* The text may lie in several chunks; a reply of one string needs it in one piece. */
void reply_text_of(struct reply *r, struct outq *text)
{
    size_t len = outq_pending(text);
    uint8_t *whole = mem_alloc(len + 1);
    outq_take(text, whole);
    reply_verbatim(r, bytes_make(whole, len), "txt");
    mem_free(whole);
}
