/* Publish and subscribe: channels, patterns, shard channels. */
#ifndef SLIPSTREAM_CORE_SESSION_PUBSUB_H
#define SLIPSTREAM_CORE_SESSION_PUBSUB_H

#include "server/base/map.h"
#include "server/core/session/session.h"

struct pubsub;
enum pubsub_kind { PUBSUB_CHANNEL, PUBSUB_PATTERN, PUBSUB_SHARD, PUBSUB_KINDS };

struct pubsub *pubsub_new(void);
/* Each writes the subscribe / unsubscribe message to the session's reply. */
void pubsub_subscribe(struct pubsub *p, struct session *s, enum pubsub_kind kind, struct bytes name);
void pubsub_unsubscribe(struct pubsub *p, struct session *s, enum pubsub_kind kind, struct bytes name);
void pubsub_unsubscribe_all(struct pubsub *p, struct session *s, enum pubsub_kind kind, bool announce);
size_t pubsub_publish(struct pubsub *p, struct bytes channel, struct bytes message, bool shard); /* receivers */
size_t pubsub_subscribers(const struct pubsub *p, enum pubsub_kind kind, struct bytes name);
size_t pubsub_session_count(const struct session *s, enum pubsub_kind kind);
size_t pubsub_session_memory(const struct session *s); /* bytes */
/* Whether `allows` says so of every name the session is subscribed to. */
bool pubsub_every_name(const struct session *s,
                       bool (*allows)(const void *arg, enum pubsub_kind kind, struct bytes name), const void *arg);
const struct map *pubsub_names(const struct pubsub *p, enum pubsub_kind kind);

#endif
