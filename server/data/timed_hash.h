/* Hashes some of whose fields have an expiry: the two encodings behind data/hash.h that such a hash has, and what is
 * done with them. Only hash.c calls here; everybody else goes by hash.h. Server process; the snapshot child walks them.
 *
 * A hash enters one of these encodings at its first field with an expiry and leaves it when the last such field has
 * gone, so that hashes without any know nothing of all this. A field is dead when its expiry is before the time by
 * which the hash is looked at, `now_ms` of struct hash: it looks absent, but stands there until hash_reap(). */
#ifndef SLIPSTREAM_DATA_TIMED_HASH_H
#define SLIPSTREAM_DATA_TIMED_HASH_H

#include "server/data/hash.h"

void timed_hash_free(void *object, enum value_encoding encoding);
void *timed_hash_copy(const void *object, enum value_encoding encoding);
size_t timed_hash_memory(const void *object, enum value_encoding encoding, size_t samples);
size_t timed_hash_free_effort(const void *object, enum value_encoding encoding);

size_t timed_hash_length(const struct hash *h); /* with the dead ones */
bool timed_hash_get(const struct hash *h, struct bytes field, struct packed_value *value);
int64_t timed_hash_expiry(const struct hash *h, struct bytes field);
/* Sets it with this expiry, HASH_NO_EXPIRY for none; of any encoding. True: the field is new, or was dead. */
bool timed_hash_put(struct hash *h, struct bytes field, struct bytes value, int64_t expire_ms);
bool timed_hash_set_expiry(struct hash *h, struct bytes field, int64_t expire_ms);
bool timed_hash_delete(struct hash *h, struct bytes field);
size_t timed_hash_reap(struct hash *h, int64_t now_ms, size_t most, hash_reaped *reaped, void *arg);

int64_t timed_hash_next_expiry(const struct hash *h);
size_t timed_hash_expiring(const struct hash *h);
bool timed_hash_lives(const struct hash *h); /* some field does */
size_t timed_hash_dead(const struct hash *h);

void timed_hash_walk_start(struct hash_walk *w, const struct hash *h);
/* Of fields dead before `now_ms` nothing is seen; 0: all are shown. */
bool timed_hash_walk_next(struct hash_walk *w, int64_t now_ms, struct hash_pair *out, int64_t *expire_ms);
bool timed_hash_random(const struct hash *h, struct random_state *random, struct hash_pair *out);
size_t timed_hash_living_few(const struct hash *h, struct hash_pair **out); /* as hash_drawing has them */
void timed_hash_sample(const struct hash *h, size_t count, struct random_state *random, hash_visit *visit, void *arg);
uint64_t timed_hash_scan(const struct hash *h, uint64_t cursor, size_t count, hash_visit *visit, void *arg);

#endif
