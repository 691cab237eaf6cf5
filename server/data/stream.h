/* The stream type: entries by ascending id, each a list of fields and values, and consumer groups (stream_group.h).
 *
 * Entries lie in listpacks, up to stream-node-max-bytes or stream-node-max-entries in each, and those in a radix tree
 * by the id of their first entry, the master. The listpacks are in Redis's documented format, so that files and DUMP
 * carry them as they are:
 *
 *   node      count deleted master-field-count master-field* 0 entry*
 *   entry     flags ms-difference seq-difference (field-count (field value)* | value*) element-count
 *   flags     1: deleted; 2: the fields are the master's, only the values follow
 *
 * `count` entries are alive, `deleted` ones wait for the whole node to go. The differences are from the node's id; the
 * element-count is of the elements before it in the entry, so that a walk can go backwards. */
#ifndef SLIPSTREAM_DATA_STREAM_H
#define SLIPSTREAM_DATA_STREAM_H

#include "server/data/packed.h"
#include "server/data/radix_tree.h"
#include "server/data/stream_id.h"

struct stream {
    struct radix_tree nodes;                            /* id -> listpack */
    uint64_t length;                                    /* entries alive */
    uint64_t entries_added;                             /* ever */
    struct stream_id last_id, first_id, max_deleted_id; /* first_id: of the first alive, 0-0 without any */
    struct radix_tree groups;                           /* name -> struct stream_group */
    uint8_t *tail; /* the last node's listpack and id, where entries are added; NULL: no node */
    struct stream_id tail_id;
};

void stream_register(void); /* value_ops of TYPE_STREAM; at start-up */

struct stream *stream_new(void);
void stream_free(struct stream *s);
size_t stream_count_alive(void); /* in this process, whoever holds them: with none, nobody need look for one */

/* --- adding --- */

/* An entry of `count` fields and values in turn (count even), with an id above last_id. */
void stream_append(struct stream *s, struct stream_id id, uint32_t count, const struct bytes *fields_and_values);
/* What texts may at most hold together, in bytes: beyond it stream_append must not be called. */
#define STREAM_ENTRY_MAX_BYTES ((size_t)1 << 30)

/* --- looking --- */

struct stream_cursor {
    const struct stream *stream;
    struct radix_cursor nodes;
    bool backwards;
    struct stream_id start, end; /* both included */
    /* the node */
    struct stream_id node_id;
    const uint8_t *listpack, *master_fields;
    uint64_t master_field_count;
    const uint8_t *next_entry; /* where the walk goes on; NULL: in the next node */
    /* the entry */
    struct stream_id id;
    const uint8_t *entry; /* its flags */
    int64_t flags;
    uint64_t field_count;
    const uint8_t *field, *value; /* of the pair that stream_cursor_pair() gives next */
    uint64_t pairs_left;
};

/* Nothing may change while a cursor walks. */
void stream_cursor_open(struct stream_cursor *c, const struct stream *s, struct stream_id start, struct stream_id end,
                        bool backwards);
void stream_cursor_close(struct stream_cursor *c);
bool stream_cursor_next(struct stream_cursor *c); /* to the next entry alive, the first at first; false: no more */
bool stream_cursor_pair(struct stream_cursor *c, struct packed_value *field, struct packed_value *value);

bool stream_has(const struct stream *s, struct stream_id id);
struct stream_id stream_edge_id(const struct stream *s, bool last); /* of the first or last entry alive; 0-0: none */
/* Whether entries from `from` on may have been deleted from between: counting them by ids is not possible then. */
bool stream_has_tombstones(const struct stream *s, struct stream_id from);
/* All that is left stands behind id, and nothing was deleted from between: as after trimming beyond id. */
bool stream_all_behind(const struct stream *s, struct stream_id id);
/* How many entries were ever added up to and with id; -1: cannot be known. */
int64_t stream_count_up_to(const struct stream *s, struct stream_id id);

/* --- removing --- */

bool stream_delete(struct stream *s, struct stream_id id); /* false: there is none */

enum stream_trim_by { STREAM_TRIM_NONE, STREAM_TRIM_MAXLEN, STREAM_TRIM_MINID };

struct stream_trim {
    enum stream_trim_by by;
    bool approximate; /* whole nodes only */
    uint64_t limit;   /* of an approximate one: entries to remove at most; 0: none */
    uint64_t max_len;
    struct stream_id min_id;
};

uint64_t stream_trim(struct stream *s, const struct stream_trim *trim); /* returns how many were removed */

/* --- for loaders --- */
enum stream_entry_flag { STREAM_ENTRY_DELETED = 1, STREAM_ENTRY_SAME_FIELDS = 2 };

struct stream_node_facts {
    uint64_t alive;
    struct stream_id last_id; /* of all its entries; the node's own without any */
};

/* Checks one node's listpack in depth; false: it is broken. */
bool stream_node_validate(struct bytes listpack, struct stream_id node_id, struct stream_node_facts *out);
/* Joins a checked node whose id is above every other's; takes the listpack. */
void stream_append_node(struct stream *s, struct stream_id node_id, uint8_t *listpack, uint64_t alive);

#endif
