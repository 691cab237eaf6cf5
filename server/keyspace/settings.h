/* What the configuration file says about the keyspace. Owned by core/settings.h; read by the keyspace at any time. */
#ifndef SLIPSTREAM_KEYSPACE_SETTINGS_H
#define SLIPSTREAM_KEYSPACE_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

enum eviction_policy {
    EVICT_NONE,
    EVICT_VOLATILE_LRU,
    EVICT_ALLKEYS_LRU,
    EVICT_VOLATILE_LFU,
    EVICT_ALLKEYS_LFU,
    EVICT_VOLATILE_RANDOM,
    EVICT_ALLKEYS_RANDOM,
    EVICT_VOLATILE_TTL
};

struct keyspace_settings {
    uint64_t maxmemory_bytes; /* 0: no limit */
    enum eviction_policy maxmemory_policy;
    int maxmemory_samples;
    int maxmemory_eviction_tenacity;
    bool replica_ignore_maxmemory;
    int lfu_log_factor;
    int lfu_decay_time_min;
    int active_expire_effort; /* 1..10 */
    bool lazyfree_lazy_eviction, lazyfree_lazy_expire, lazyfree_lazy_server_del, lazyfree_lazy_user_del,
        lazyfree_lazy_user_flush;
};

#endif
