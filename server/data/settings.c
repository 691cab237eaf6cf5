/* Redis's default thresholds, in force until the configuration has been read. Server, snapshot child, checker. */
#include "server/data/settings.h"

static const struct data_settings defaults = {
    .list_max_listpack_size = -2,
    .list_compress_depth = 0,
    .hash_max_listpack_entries = 512,
    .hash_max_listpack_value_bytes = 64,
    .set_max_intset_entries = 512,
    .set_max_listpack_entries = 128,
    .set_max_listpack_value_bytes = 64,
    .zset_max_listpack_entries = 128,
    .zset_max_listpack_value_bytes = 64,
    .hll_sparse_max_bytes = 3000,
    .stream_node_max_bytes = 4096,
    .stream_node_max_entries = 100,
};

const struct data_settings *data_settings = &defaults;
