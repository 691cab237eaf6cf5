/* What the collections' files share in reading: how many pieces will come, and strings that are a whole ziplist or
 * listpack of elements or of pairs. Server process and redis-check-rdb.
 *
 * Elements are given on as a listpack of ours would hold them: text that is a canonical integer as that integer, other
 * text behind the shortest head. A listpack from elsewhere may hold them otherwise, where nobody who looks for them
 * would find them: it is good, but is not taken as it is. */
#ifndef SLIPSTREAM_RDB_ELEMENTS_H
#define SLIPSTREAM_RDB_ELEMENTS_H

#include "rdb/type.h"
#include "server/data/packed.h"

/* Reads the number of pieces into the builder; without any the value is empty. False: see rdb/decode.h. */
bool rdb_read_count(struct rdb_cursor *in, struct rdb_builder *builder);

/* Of so many announced elements, how many room may be made for: the file's word is believed no further than the bytes
 * at hand could bear it out. */
size_t rdb_believed_count(const struct rdb_cursor *in, uint64_t announced);

/* listpack_validate or ziplist_walk. */
typedef bool rdb_walk(struct bytes packed, bool (*visit)(void *context, struct packed_value element), void *context);
/* False: this must not stand here. */
typedef bool rdb_take_element(void *context, struct packed_value element);
typedef bool rdb_take_pair(void *context, const struct packed_value *first, const struct packed_value *second);

struct rdb_elements {
    struct bytes packed; /* into the window or the arena */
    bool canonical;      /* a listpack that stands there as one of ours would */
};

/* Reads a string and checks it in depth, giving each element or pair to `take` (of elements it may be NULL). False: cut
 * off, or broken; `what` names it then ("a set's listpack"). Of a listpack that is broken in the middle, what stands
 * before is good, unless the cursor says sanitize: with flaws it may only be taken again, element by element. */
bool rdb_read_elements(struct rdb_cursor *in, rdb_walk *walk, rdb_take_element *take, void *context, const char *what,
                       struct rdb_elements *out);
bool rdb_read_pairs(struct rdb_cursor *in, rdb_walk *walk, rdb_take_pair *take, void *context, const char *what,
                    struct rdb_elements *out);
/* A listpack of ours with the elements of one that has been found good, without a flaw; the caller's. */
uint8_t *rdb_listpack_of(const struct rdb_elements *elements);
/* What was given of a listpack, once more. */
void rdb_take_elements_again(struct bytes listpack, rdb_take_element *take, void *context);
void rdb_take_pairs_again(struct bytes listpack, rdb_take_pair *take, void *context);

#endif
