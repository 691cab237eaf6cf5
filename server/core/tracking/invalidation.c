/* See invalidation.h. Server process. */
#include "server/core/tracking/invalidation.h"

#include "server/core/session/push.h"

static void write_keys(struct reply *r, const struct bytes *keys, size_t count)
{
    if (!keys) return reply_null(r);
    reply_array(r, count);
    for (size_t i = 0; i < count; i++) reply_bulk(r, keys[i]);
}

static void tell_redirect_gone(struct session *s, uint64_t redirect)
{
    s->tracking |= TRACKING_BROKEN_REDIRECT;
    if (s->reply.protocol < 3) return;
    struct reply *r = push_begin(s, 2);
    reply_bulk_text(r, "tracking-redir-broken");
    reply_integer(r, (int64_t)redirect);
    push_end(s, r);
}

/* Who speaks RESP2 hears of it only as a subscriber, and only on behalf of another session. */
void invalidation_send(const struct tracking_host *host, struct session *s, uint64_t redirect, const struct bytes *keys,
                       size_t count)
{
    struct session *to = redirect ? host->find(host->context, redirect) : s;
    if (!to) {
        tell_redirect_gone(s, redirect);
    } else if (to->reply.protocol == 3) {
        struct reply *r = push_begin(to, 2);
        reply_bulk_text(r, "invalidate");
        write_keys(r, keys, count);
        push_end(to, r);
    } else if (redirect && to->subscriptions) {
        struct reply *r = push_begin(to, 3);
        reply_bulk_text(r, "message");
        reply_bulk_text(r, "__redis__:invalidate");
        write_keys(r, keys, count);
        push_end(to, r);
    }
}
