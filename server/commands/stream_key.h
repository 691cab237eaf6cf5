/* What the stream commands share: a key's stream and group, ids and ranges as arguments, entries as replies. */
#ifndef SLIPSTREAM_COMMANDS_STREAM_KEY_H
#define SLIPSTREAM_COMMANDS_STREAM_KEY_H

#include "server/core/run/call.h"
#include "server/data/stream_group.h"

/* The stream at argv[arg]; *out NULL: no such key. false: another type, answered. */
bool stream_read(struct call *call, uint32_t arg, struct stream **out);
bool stream_write(struct call *call, uint32_t arg, struct stream **out);
/* The same and its group, for commands that want both: -NOGROUP is answered where one is missing. */
bool stream_group_open(struct call *call, uint32_t key_arg, uint32_t group_arg, struct stream **s,
                       struct stream_group **g);
/* Makes the stream of a key that has none. */
struct stream *stream_key_create(struct call *call, uint32_t arg);
/* Finds the consumer, or makes it: an event, and the caller propagates it. */
struct stream_consumer *stream_consumer_get(struct call *call, uint32_t key_arg, struct stream_group *g,
                                            struct bytes name, bool *created);

/* --- ids --- */
/* "ms-seq" or "ms", to which missing_seq is added. false: neither. */
bool stream_id_parse(struct bytes text, uint64_t missing_seq, struct stream_id *out);
bool stream_id_parse_number(struct bytes text, uint64_t *out); /* one of its halves, as leniently as Redis reads it */
bool stream_id_argument(struct call *call, uint32_t arg, struct stream_id *out);    /* false: answered */
bool stream_bound_argument(struct call *call, uint32_t arg, struct stream_id *out); /* the same, or - or + */
/* Also - and +; as a range's end a missing seq is the greatest. "(" before an id excludes it. false: answered. */
bool stream_start_argument(struct call *call, uint32_t arg, struct stream_id *out);
bool stream_end_argument(struct call *call, uint32_t arg, struct stream_id *out);

/* An id's text as a slice of its own room. */
struct stream_id_text {
    char room[STREAM_ID_TEXT_MAX];
    struct bytes text;
};
struct bytes stream_id_text(struct stream_id_text *t, struct stream_id id);

/* --- replies --- */
void reply_stream_id(struct reply *r, struct stream_id id);
void reply_stream_entry(struct reply *r, struct stream_cursor *c); /* [id, [field, value ...]] of where it stands */
/* [entry ...] from start to end, at most count (0: all). Returns how many. */
size_t reply_stream_range(struct reply *r, const struct stream *s, struct stream_id start, struct stream_id end,
                          uint64_t count, bool backwards);

/* --- propagation --- */
/* What a replica needs to know of a pending entry: XCLAIM with all that there is. */
void stream_propagate_claim(struct call *call, uint32_t key_arg, uint32_t group_arg, const struct stream_group *g,
                            struct stream_id id, const struct stream_pending *p);
void stream_propagate_last_id(struct call *call, uint32_t key_arg, uint32_t group_arg, const struct stream_group *g);
/* Behind claims: how many entries the group has read, by which its lag is known. */
void stream_propagate_entries_read(struct call *call, uint32_t key_arg, uint32_t group_arg,
                                   const struct stream_group *g);
void stream_propagate_ack(struct call *call, uint32_t key_arg, uint32_t group_arg, struct stream_id id);
/* The request as it is, or without the statistics among its options, which stand from argv[first]
 * on and came with 7.0. */
void stream_propagate_options(struct call *call, uint32_t first);
void stream_propagate_consumer(struct call *call, uint32_t key_arg, uint32_t group_arg, struct bytes consumer);

#endif
