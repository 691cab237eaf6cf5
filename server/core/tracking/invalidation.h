/* The words in which a tracking session is told that keys have changed. */
#ifndef SLIPSTREAM_CORE_TRACKING_INVALIDATION_H
#define SLIPSTREAM_CORE_TRACKING_INVALIDATION_H

#include "server/core/tracking/tracking.h"

/* redirect: the id of whoever hears of it instead of s, 0: nobody; one that is gone is noted in s. keys NULL: every
 * key. */
void invalidation_send(const struct tracking_host *host, struct session *s, uint64_t redirect, const struct bytes *keys,
                       size_t count);

#endif
