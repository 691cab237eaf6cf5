/* Values of each type, the same for every server: many small ones, or a large one. */
#ifndef PARTS_VALUES_H
#define PARTS_VALUES_H

#include "tests/harness/server.h"

enum value_kind { A_LIST, A_HASH, A_SET, AN_INTSET, A_ZSET, A_STREAM, VALUE_KINDS };

/* Ten elements in each of so many keys. Members, fields and values are some eight bytes long. */
void fill_small_values(struct server *s, enum value_kind kind, long keys);
/* One value with so many elements of fifteen bytes (a hash: two such for each; an intset: integers). The number makes
 * the key. */
void fill_large_value(struct server *s, enum value_kind kind, int number, long elements);

#endif
