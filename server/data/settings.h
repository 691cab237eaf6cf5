/* Thresholds of the value types: until when a value stays packed. Owned by core/settings.h.
 *
 * One set per process, reached through `data_settings`, because values are also made where no configuration is at hand
 * (a file being loaded, a check of one). It holds Redis's defaults until main.c points it at the configuration. */
#ifndef SLIPSTREAM_DATA_SETTINGS_H
#define SLIPSTREAM_DATA_SETTINGS_H

#include <stdint.h>

struct data_settings {
    int list_max_listpack_size; /* > 0: elements; -1 .. -5: 4, 8, 16, 32, 64 KiB */
    int list_compress_depth;    /* nodes at each end that stay uncompressed; 0: all */
    uint64_t hash_max_listpack_entries, hash_max_listpack_value_bytes;
    uint64_t set_max_intset_entries, set_max_listpack_entries, set_max_listpack_value_bytes;
    uint64_t zset_max_listpack_entries, zset_max_listpack_value_bytes;
    uint64_t hll_sparse_max_bytes;
    uint64_t stream_node_max_bytes, stream_node_max_entries;
};

extern const struct data_settings *data_settings;

#endif
