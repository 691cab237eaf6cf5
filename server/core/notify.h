/* Keyspace notifications: events of keys, published on channels when notify-keyspace-events asks for them. */
#ifndef SLIPSTREAM_CORE_NOTIFY_H
#define SLIPSTREAM_CORE_NOTIFY_H

#include "server/core/call.h"

/* __keyspace@<db>__:<key> -> event and __keyevent@<db>__:<event> -> key, as far as the settings name class_. */
void notify_key_event(struct core *core, enum notify_class class_, const char *event, int db, struct bytes key);

#endif
