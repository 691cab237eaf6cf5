/* Consumer groups of a stream: how far each has read, its consumers, and what was delivered and not acknowledged.
 *
 * A pending entry stands in two trees by its id: its group's, which owns it, and its consumer's. */
#ifndef SLIPSTREAM_DATA_STREAM_GROUP_H
#define SLIPSTREAM_DATA_STREAM_GROUP_H

#include "server/data/stream.h"

#define STREAM_ENTRIES_READ_UNKNOWN (-1)

struct stream_group {
    struct stream_id last_id;
    int64_t entries_read;        /* of all that were ever added; STREAM_ENTRIES_READ_UNKNOWN */
    struct radix_tree pending;   /* id -> struct stream_pending */
    struct radix_tree consumers; /* name -> struct stream_consumer */
};

struct stream_consumer {
    int64_t seen_ms;           /* last tried to read or claim */
    int64_t active_ms;         /* last got something; -1: never */
    struct radix_tree pending; /* id -> struct stream_pending */
    size_t name_len;
    uint8_t name[];
};

struct stream_pending {
    struct stream_consumer *consumer;
    int64_t delivered_ms;
    uint64_t deliveries;
};

struct stream_group *stream_group_find(const struct stream *s, struct bytes name); /* NULL: none */
/* NULL: there is one of that name. */
struct stream_group *stream_group_create(struct stream *s, struct bytes name, struct stream_id last_id,
                                         int64_t entries_read);
bool stream_group_destroy(struct stream *s, struct bytes name); /* false: none */
void stream_groups_free(struct stream *s);
void stream_groups_copy(struct stream *to, const struct stream *from);
size_t stream_groups_memory(const struct stream *s);
/* Entries added that the group has not read yet, below zero when it was told to have read more. false: not known. */
bool stream_group_lag(const struct stream *s, const struct stream_group *g, int64_t *out);
/* The group has read the entry `id`, which is above its last_id. */
void stream_group_advance(const struct stream *s, struct stream_group *g, struct stream_id id);

struct stream_consumer *stream_consumer_find(const struct stream_group *g, struct bytes name); /* NULL: none */
struct stream_consumer *stream_consumer_create(struct stream_group *g, struct bytes name, int64_t now_ms);
void stream_consumer_delete(struct stream_group *g, struct stream_consumer *c); /* with what it has pending */
static inline struct bytes stream_consumer_name(const struct stream_consumer *c)
{
    return bytes_make(c->name, c->name_len);
}

struct stream_pending *stream_pending_find(const struct stream_group *g, struct stream_id id); /* NULL: none */
/* Adds one that is not there yet; consumer NULL: stream_pending_give() follows. */
struct stream_pending *stream_pending_add(struct stream_group *g, struct stream_id id, struct stream_consumer *consumer,
                                          int64_t delivered_ms, uint64_t deliveries);
void stream_pending_give(struct stream_pending *p, struct stream_id id, struct stream_consumer *consumer);
bool stream_pending_remove(struct stream_group *g, struct stream_id id); /* false: none */

#endif
