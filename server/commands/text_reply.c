/* See text_reply.h. Server process. */
#include "server/commands/text_reply.h"

#include "server/base/alloc.h"

#include <string.h>

/* The text may lie in several chunks; a reply of one string needs it in one piece. */
void reply_text_of(struct reply *r, struct outq *text)
{
    size_t len = outq_pending(text), at = 0;
    uint8_t *whole = mem_alloc(len + 1);
    while (!outq_empty(text)) {
        struct bytes run = outq_front(text);
        memcpy(whole + at, run.ptr, run.len);
        at += run.len;
        outq_consume(text, run.len);
    }
    reply_verbatim(r, bytes_make(whole, len), "txt");
    mem_free(whole);
    outq_clear(text);
}
