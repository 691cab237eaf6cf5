/* Publish and subscribe, in the server process.
 *
 * A subscription links one session and one name: it sits in the name's list and, by name, in the session's map.
 * Patterns are few and are tried one after the other. */
#include "server/core/session/pubsub.h"

#include "server/base/alloc.h"
#include "server/base/glob.h"
#include "server/core/session/push.h"

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

size_t pubsub_session_memory(const struct session *s)
{
    if (!s->subscriptions) return 0;
    size_t total = sizeof *s->subscriptions;
    for (int kind = 0; kind < PUBSUB_KINDS; kind++) {
        const struct map *names = &s->subscriptions->names[kind];
        total += map_memory(names) + names->count * sizeof(struct subscription);
    }
    return total;
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

static void announce(struct session *s, enum pubsub_kind kind, const char *const words[3], const struct bytes *name,
                     int64_t count)
{
    reply_push_begin(&s->reply, 3);
    reply_bulk_text(&s->reply, words[kind]);
    if (name)
        reply_bulk(&s->reply, *name);
    else
        reply_null(&s->reply);
    reply_integer(&s->reply, count);
    reply_push_end(&s->reply);
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
    announce(s, kind, words, &name, subscription_count(s, kind));
}

static const char *const unsubscribe_words[] = {"unsubscribe", "punsubscribe", "sunsubscribe"};

/* The session's map is the caller's to clear of it. */
static void leave_topic(struct pubsub *p, enum pubsub_kind kind, struct bytes name, struct subscription *mine)
{
    list_remove(&mine->topic->subscriptions, &mine->node);
    if (!mine->topic->subscriptions.count) mem_free(map_remove(&p->names[kind], name));
    mem_free(mine);
}

void pubsub_unsubscribe(struct pubsub *p, struct session *s, enum pubsub_kind kind, struct bytes name)
{
    struct subscription *mine = s->subscriptions ? map_remove(session_names(s, kind), name) : NULL;
    if (mine) {
        leave_topic(p, kind, name, mine);
        forget_if_none(s);
    }
    announce(s, kind, unsubscribe_words, &name, subscription_count(s, kind));
}

void pubsub_unsubscribe_all(struct pubsub *p, struct session *s, enum pubsub_kind kind, bool announced)
{
    int64_t count = subscription_count(s, kind);
    if (!pubsub_session_count(s, kind)) {
        if (announced) announce(s, kind, unsubscribe_words, NULL, count);
        return;
    }
    struct map *names = session_names(s, kind);
    for (struct map_entry *e = map_next(names, NULL); e; e = map_next(names, e)) {
        leave_topic(p, kind, e->key, e->value);
        if (announced) announce(s, kind, unsubscribe_words, &e->key, --count);
    }
    map_clear(names);
    forget_if_none(s);
}

static void deliver(struct session *s, const char *kind, const struct bytes *pattern, struct bytes channel,
                    struct bytes message)
{
    struct reply *r = push_begin(s, pattern ? 4 : 3);
    reply_bulk_text(r, kind);
    if (pattern) reply_bulk(r, *pattern);
    reply_bulk(r, channel);
    reply_bulk(r, message);
    push_end(s, r);
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

bool pubsub_every_name(const struct session *s,
                       bool (*allows)(const void *arg, enum pubsub_kind kind, struct bytes name), const void *arg)
{
    for (int kind = 0; kind < PUBSUB_KINDS && s->subscriptions; kind++) {
        const struct map *names = &s->subscriptions->names[kind];
        for (struct map_entry *e = map_next(names, NULL); e; e = map_next(names, e))
            if (!allows(arg, (enum pubsub_kind)kind, e->key)) return false;
    }
    return true;
}
