/* Publish and subscribe, in the server process.
 *
 * A subscription links one session and one name: it sits in the name's list and, by name, in the session's map.
 * Patterns are few and are tried one after the other. */
#include "server/core/pubsub.h"

#include "server/base/alloc.h"
#include "server/base/glob.h"
#include "server/core/clients.h"

struct pubsub {
    struct map names[PUBSUB_KINDS]; /* name -> struct topic */
};

/* A session's own; there is one only while it holds a name. */
struct subscriptions {
    struct map names[PUBSUB_KINDS]; /* name -> struct subscription */
};

struct topic {
    struct list subscriptions;
};

struct subscription {
    struct list_node node;
    struct session *session;
    struct topic *topic;
};

struct pubsub *pubsub_new(void)
{
    return mem_calloc(1, sizeof(struct pubsub));
}

size_t pubsub_session_count(const struct session *s, enum pubsub_kind kind)
{
    return s->subscriptions ? s->subscriptions->names[kind].count : 0;
}

static struct map *session_names(struct session *s, enum pubsub_kind kind)
{
    if (!s->subscriptions) s->subscriptions = mem_calloc(1, sizeof *s->subscriptions);
    return &s->subscriptions->names[kind];
}

static void forget_if_none(struct session *s)
{
    for (int kind = 0; kind < PUBSUB_KINDS; kind++)
        if (pubsub_session_count(s, kind)) return;
    for (int kind = 0; kind < PUBSUB_KINDS; kind++) map_clear(&s->subscriptions->names[kind]);
    mem_free(s->subscriptions);
    s->subscriptions = NULL;
}

/* SUBSCRIBE counts channels and patterns together; SSUBSCRIBE counts its own. */
static int64_t subscription_count(const struct session *s, enum pubsub_kind kind)
{
    return (int64_t)(kind == PUBSUB_SHARD
                         ? pubsub_session_count(s, PUBSUB_SHARD)
                         : pubsub_session_count(s, PUBSUB_CHANNEL) + pubsub_session_count(s, PUBSUB_PATTERN));
}

static void announce(struct session *s, enum pubsub_kind kind, const char *const words[3], struct bytes name, bool null)
{
    reply_push(&s->reply, 3);
    reply_bulk_text(&s->reply, words[kind]);
    if (null)
        reply_null(&s->reply);
    else
        reply_bulk(&s->reply, name);
    reply_integer(&s->reply, subscription_count(s, kind));
}

void pubsub_subscribe(struct pubsub *p, struct session *s, enum pubsub_kind kind, struct bytes name)
{
    static const char *const words[] = {"subscribe", "psubscribe", "ssubscribe"};
    struct subscription **mine = (struct subscription **)map_slot(session_names(s, kind), name);
    if (!*mine) {
        struct topic **topic = (struct topic **)map_slot(&p->names[kind], name);
        if (!*topic) {
            *topic = mem_alloc(sizeof **topic);
            list_init(&(*topic)->subscriptions);
        }
        *mine = mem_calloc(1, sizeof **mine);
        (*mine)->session = s;
        (*mine)->topic = *topic;
        list_push_back(&(*topic)->subscriptions, &(*mine)->node);
    }
    announce(s, kind, words, name, false);
}

static const char *const unsubscribe_words[] = {"unsubscribe", "punsubscribe", "sunsubscribe"};

static bool leave(struct pubsub *p, struct session *s, enum pubsub_kind kind, struct bytes name)
{
    struct subscription *mine = s->subscriptions ? map_remove(session_names(s, kind), name) : NULL;
    if (!mine) return false;
    list_remove(&mine->topic->subscriptions, &mine->node);
    if (!mine->topic->subscriptions.count) mem_free(map_remove(&p->names[kind], name));
    mem_free(mine);
    forget_if_none(s);
    return true;
}

void pubsub_unsubscribe(struct pubsub *p, struct session *s, enum pubsub_kind kind, struct bytes name)
{
    leave(p, s, kind, name);
    announce(s, kind, unsubscribe_words, name, false);
}

void pubsub_unsubscribe_all(struct pubsub *p, struct session *s, enum pubsub_kind kind, bool announced)
{
    bool any = pubsub_session_count(s, kind) > 0;
    while (pubsub_session_count(s, kind)) {
        struct bytes name = map_next(session_names(s, kind), NULL)->key;
        name.ptr = memcpy(mem_alloc(name.len + 1), name.ptr, name.len); /* the map's copy dies with the entry */
        leave(p, s, kind, name);
        if (announced) announce(s, kind, unsubscribe_words, name, false);
        mem_free((void *)name.ptr);
    }
    if (!any && announced) announce(s, kind, unsubscribe_words, (struct bytes){0}, true);
}

static void deliver(struct session *s, const char *kind, const struct bytes *pattern, struct bytes channel,
                    struct bytes message)
{
    bool muted = s->reply.muted;
    s->reply.muted = s->reply_off; /* CLIENT REPLY SKIP is about the next command's answer, not about messages */
    reply_push(&s->reply, pattern ? 4 : 3);
    reply_bulk_text(&s->reply, kind);
    if (pattern) reply_bulk(&s->reply, *pattern);
    reply_bulk(&s->reply, channel);
    reply_bulk(&s->reply, message);
    s->reply.muted = muted;
    if (s->client) client_wake(s->client);
}

static size_t deliver_all(struct topic *topic, const char *kind, const struct bytes *pattern, struct bytes channel,
                          struct bytes message)
{
    list_each(&topic->subscriptions, node)
        deliver(list_entry(node, struct subscription, node)->session, kind, pattern, channel, message);
    return topic->subscriptions.count;
}

size_t pubsub_publish(struct pubsub *p, struct bytes channel, struct bytes message, bool shard)
{
    size_t receivers = 0;
    struct topic *topic = map_get(&p->names[shard ? PUBSUB_SHARD : PUBSUB_CHANNEL], channel);
    if (topic) receivers += deliver_all(topic, shard ? "smessage" : "message", NULL, channel, message);
    if (shard) return receivers;
    const struct map *patterns = &p->names[PUBSUB_PATTERN];
    for (struct map_entry *e = map_next(patterns, NULL); e; e = map_next(patterns, e))
        if (glob_match(e->key, channel, false))
            receivers += deliver_all(e->value, "pmessage", &e->key, channel, message);
    return receivers;
}

size_t pubsub_subscribers(const struct pubsub *p, enum pubsub_kind kind, struct bytes name)
{
    const struct topic *topic = map_get(&p->names[kind], name);
    return topic ? topic->subscriptions.count : 0;
}

const struct map *pubsub_names(const struct pubsub *p, enum pubsub_kind kind)
{
    return &p->names[kind];
}
