/* Keyspace notifications, in the server process: one comparison when nobody asked for them. */
#include "server/core/session/notify.h"

#include "server/base/alloc.h"
#include "server/core/core.h"
#include "server/core/session/pubsub.h"
#include "server/core/settings.h"

#include <stdio.h>

static void publish_on(struct core *core, const char *prefix, int db, struct bytes name, struct bytes message)
{
    uint8_t room[256], *channel = room;
    size_t needed = name.len + 64;
    if (needed > sizeof room) channel = mem_alloc(needed);
    int head = snprintf((char *)channel, 64, "__%s@%d__:", prefix, db);
    memcpy(channel + head, name.ptr, name.len);
    pubsub_publish(core->pubsub, bytes_make(channel, (size_t)head + name.len), message, false);
    if (channel != room) mem_free(channel);
}

void notify_key_event(struct core *core, enum notify_class class_, const char *event, int db, struct bytes key)
{
    uint32_t wanted = core->settings->server.notify_classes;
    if (__builtin_expect(!(wanted & class_), 1)) return;
    struct bytes name = bytes_from_text(event);
    if (wanted & NOTIFY_KEYSPACE) publish_on(core, "keyspace", db, key, name);
    if (wanted & NOTIFY_KEYEVENT) publish_on(core, "keyevent", db, name, key);
}
