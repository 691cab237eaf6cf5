/* Keyspace notifications: events of keys, published on channels when notify-keyspace-events asks for them. */
#ifndef SLIPSTREAM_CORE_SESSION_NOTIFY_H
#define SLIPSTREAM_CORE_SESSION_NOTIFY_H

#include "server/base/bytes.h"

struct core;

enum notify_class {
    NOTIFY_KEYSPACE = 1 << 0,
    NOTIFY_KEYEVENT = 1 << 1,
    NOTIFY_GENERIC = 1 << 2,
    NOTIFY_STRING = 1 << 3,
    NOTIFY_LIST = 1 << 4,
    NOTIFY_SET = 1 << 5,
    NOTIFY_HASH = 1 << 6,
    NOTIFY_ZSET = 1 << 7,
    NOTIFY_EXPIRED = 1 << 8,
    NOTIFY_EVICTED = 1 << 9,
    NOTIFY_STREAM = 1 << 10,
    NOTIFY_KEY_MISS = 1 << 11,
    NOTIFY_LOADED = 1 << 12,
    NOTIFY_MODULE = 1 << 13,
    NOTIFY_NEW = 1 << 14,
};
/* __keyspace@<db>__:<key> -> event and __keyevent@<db>__:<event> -> key, as far as the settings name class_. */
void notify_key_event(struct core *core, enum notify_class class_, const char *event, int db, struct bytes key);

#endif
