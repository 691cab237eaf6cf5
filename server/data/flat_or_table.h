/* What hashes and sets have in common as values: a flat object while they are small, a member table beyond. These are
 * their operations as data/value.h asks for them, and what their own functions share. */
#ifndef SLIPSTREAM_DATA_FLAT_OR_TABLE_H
#define SLIPSTREAM_DATA_FLAT_OR_TABLE_H

#include "server/data/flat.h"
#include "server/data/member_table.h"

void *flat_or_table_new_table(size_t members); /* ENCODING_HASHTABLE, with room for so many */
void flat_or_table_free(void *object, enum value_encoding encoding);
/* payload_bytes: how much of it a member has. */
void *flat_or_table_copy(const void *object, enum value_encoding encoding,
                         size_t (*payload_bytes)(const struct member *m));
size_t flat_or_table_memory(const void *object, enum value_encoding encoding, size_t samples);
size_t flat_or_table_free_effort(const void *object, enum value_encoding encoding);
bool flat_or_table_prefetch(const void *object, enum value_encoding encoding, uint64_t hash, unsigned step);

#endif
