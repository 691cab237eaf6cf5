/* What both fuzz targets do with a value that has been let in: everything that reading, copying, saving and freeing it
 * comes to. A value that the loaders take for good and that then does harm, or comes back from a payload as another,
 * ends the run. */
#ifndef SLIPSTREAM_TESTS_FUZZ_EXERCISE_H
#define SLIPSTREAM_TESTS_FUZZ_EXERCISE_H

#include "server/keyspace/keyspace.h"

#define FUZZ_DATABASES 16
#define FUZZ_NOW_MS    ((int64_t)1700000000000)

/* Each input is read once under each: the first keeps most values packed, the second next to none. What a value is does
 * not depend on it. */
enum fuzz_thresholds { FUZZ_DEFAULT_THRESHOLDS, FUZZ_TIGHT_THRESHOLDS };

void fuzz_set_up(void); /* once */
void fuzz_use_thresholds(enum fuzz_thresholds which);

struct keyspace *fuzz_keyspace_new(void);
/* Whether the value's digest must be the same under both thresholds, and after a restore. Not so with a score of minus
 * zero: it is kept as zero in a listpack, and as it is in a skiplist. That is Redis's way, too. */
bool fuzz_comparable(const struct record *r);
void fuzz_exercise(struct record *r, struct database *spare); /* spare: an empty database, left empty */

/* A body of a payload with version and checksum behind it, in memory of exactly that size (mem). A type byte from here
 * on, and below C0, is that much less, and Valkey's. */
#define FUZZ_VALKEY_TYPE 0x80
struct bytes fuzz_seal(const uint8_t *body, size_t len);
/* NULL: refused. */
struct record *fuzz_restore(struct database *db, struct bytes key, struct bytes payload);
bool fuzz_passes_sanitizing(struct bytes payload); /* nothing of it needs mending */

#endif
