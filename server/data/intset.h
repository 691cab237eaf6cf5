/* Intset: sorted distinct integers in one block of bytes, in Redis's format, byte for byte.
 *
 *   bytes   width(4) count(4) integer*     all little-endian; width 2, 4 or 8: of every integer, ascending
 *
 * As with a listpack, the block (mem_alloc) is the value: changing functions take it over and return the new address.
 * The width grows with the largest member and never shrinks. */
#ifndef SLIPSTREAM_DATA_INTSET_H
#define SLIPSTREAM_DATA_INTSET_H

#include "server/base/bytes.h"
#include "server/base/random.h"

#define INTSET_HEADER_BYTES 8

uint8_t *intset_new(void);
void intset_free(uint8_t *is);
uint8_t *intset_copy(const uint8_t *is);
size_t intset_count(const uint8_t *is);
size_t intset_bytes(const uint8_t *is);

int64_t intset_get(const uint8_t *is, size_t index); /* in ascending order; index < count */
bool intset_contains(const uint8_t *is, int64_t value);
int64_t intset_random(const uint8_t *is, struct random_state *random); /* of one that is not empty */

uint8_t *intset_add(uint8_t *is, int64_t value, bool *added);
uint8_t *intset_remove(uint8_t *is, int64_t value, bool *removed);

bool intset_is_framed(struct bytes bytes); /* sizes fit */
bool intset_validate(struct bytes bytes);  /* one whole intset: sizes fit, ascending, no duplicates */

#endif
