/* The list type: one listpack while that is within list-max-listpack-size, a quicklist beyond.
 *
 * A list is its encoding and its object, as a record holds them. Every function that changes a list may replace either;
 * the caller puts them back into the record when they differ; what stands inside the record is copied before. A list
 * grown past the limit becomes a quicklist; one shrunk to half of it, a listpack again, so that a length at the limit
 * does not swing between the two. */
#ifndef SLIPSTREAM_DATA_LIST_H
#define SLIPSTREAM_DATA_LIST_H

#include "server/data/quicklist.h"
#include "server/data/value.h"

struct list_value {
    enum value_encoding encoding; /* ENCODING_LISTPACK or ENCODING_QUICKLIST */
    void *object;
    bool inside; /* the object is the record's, not ours */
};

void list_register(void); /* value_ops of TYPE_LIST; at start-up */

struct list_value list_new(void); /* empty, by the settings in force */
void list_free(struct list_value *l);
size_t list_length(const struct list_value *l);

/* Announces what is about to be added, so that the encoding is changed once, before it. LSET and LINSERT say so too. */
void list_prepare_growth(struct list_value *l, const struct bytes *texts, size_t count);
void list_settle_shrunk(struct list_value *l); /* after elements were removed or replaced */

/* --- ends --- a value must not lie inside the list --- */
void list_push(struct list_value *l, enum list_end end, struct bytes text);
struct packed_value list_at_end(const struct list_value *l, enum list_end end); /* of one that is not empty */
void list_drop(struct list_value *l, enum list_end end, size_t count);          /* count at most all */

/* --- anywhere: as quicklist_cursor, see there --- */
struct list_cursor {
    struct list_value *list;
    const uint8_t *element; /* of a listpack */
    struct quicklist_cursor in_quicklist;
};

bool list_seek(struct list_value *l, int64_t index, struct list_cursor *out);
void list_cursor_close(struct list_cursor *c);
struct packed_value list_cursor_value(const struct list_cursor *c);
bool list_cursor_next(struct list_cursor *c);
bool list_cursor_prev(struct list_cursor *c);
void list_cursor_insert(struct list_cursor *c, bool before, struct bytes text);
void list_cursor_replace(struct list_cursor *c, struct bytes text);
bool list_cursor_delete(struct list_cursor *c, bool backwards);

/* Shows `count` elements from index on, all of which there are, to visit. Faster than a cursor. */
void list_walk(const struct list_value *l, size_t index, size_t count,
               void (*visit)(void *context, struct packed_value value), void *context);

/* --- for loaders --- */
/* Elements join a quicklist one by one or a listpack at a time; then the list takes the encoding it deserves. */
struct list_value list_from_quicklist(struct quicklist *ql);

#endif
