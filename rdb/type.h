/* How values are saved and loaded: the rows that one file per type fills in, save and load side by side.
 *
 * A type is saved by a function that puts its bytes. It is loaded by a builder in steps, because the bytes come in
 * windows of any size: begin, then one call an element, then finish. A string is the value of one element. Each step
 * reads whole or not at all; what it keeps across steps is the builder's own (never a slice of the window). Where the
 * last element has been read, finish follows before the window moves: only there may the builder hold slices. */
#ifndef SLIPSTREAM_RDB_TYPE_H
#define SLIPSTREAM_RDB_TYPE_H

#include "rdb/decode.h"
#include "rdb/encode.h"
#include "rdb/format.h"
#include "server/keyspace/keyspace.h"

struct rdb_builder;

struct rdb_type_loader {
    /* Reads what stands before the elements and sets `remaining`. False: see rdb/decode.h. */
    bool (*begin)(struct rdb_cursor *in, struct rdb_builder *builder);
    /* Reads one element; the reader counts `remaining` down. */
    bool (*element)(struct rdb_cursor *in, struct rdb_builder *builder);
    /* Stores the whole value, which is not empty, under key; the builder gives up what it holds. */
    struct record *(*finish)(struct rdb_builder *builder, struct database *db, struct bytes key, uint64_t hash);
    /* For rdb_builder_drop(), at any moment after begin, on whatever thread; NULL when there is nothing to free. */
    void (*abort)(struct rdb_builder *builder);
};

struct rdb_builder {
    const struct rdb_type_loader *loader;
    uint64_t remaining; /* elements still to be read */
    bool field_expiry;  /* it has fields that expire */
    bool empty;         /* the collection turned out to have no elements: it is to be aborted, and no key made of it */
    union {
        struct rdb_string string;
        void *object;
    };
};

/* Instead of finish: what it has built so far is freed, aside when it may be large. read_bytes: what it was read from;
 * memory_bytes: what it may take, as mem_used() counts, 0 where that is not known. Does nothing without a loader, and
 * leaves the builder without one. */
void rdb_builder_drop(struct rdb_builder *builder, uint64_t read_bytes, size_t memory_bytes);

struct rdb_type_saver {
    /* enum rdb_type; RDB_TYPES: whom it is written for has no form for it (rdb/form.h). */
    uint8_t (*type)(const struct record *r, enum rdb_write_for write_for);
    void (*save)(struct rdb_encoder *out, const struct record *r);
};

/* A type byte as it stands in bytes of this dialect, and back; RDB_TYPES: nobody's type.
 * All else here takes the type. */
uint8_t rdb_type_of_byte(enum rdb_dialect dialect, uint8_t byte);
uint8_t rdb_type_byte(uint8_t type);

const struct rdb_type_loader *rdb_type_loader(uint8_t type);             /* NULL: we cannot read it */
const struct rdb_type_saver *rdb_type_saver(enum value_type value_type); /* NULL: we cannot write it */
unsigned rdb_type_version(uint8_t type);                                 /* the lowest to be written for it */
const char *rdb_type_name(uint8_t type);                                 /* redis-check-rdb's word; NULL: nobody's */

#endif
