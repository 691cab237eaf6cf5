/* Those who wait for keys, shared by block_keys.c (who waits for what) and block_keys_serve.c (who runs again). Server
 * process. */
#ifndef SLIPSTREAM_CORE_RUN_BLOCK_KEYS_PARTS_H
#define SLIPSTREAM_CORE_RUN_BLOCK_KEYS_PARTS_H

#include "server/core/run/block_keys.h"

/* Who waits for one type is not looked at when the key holds another. Those of the last queue wait for streams, too,
 * and run again whatever became of the key. */
enum queue { QUEUE_LISTS, QUEUE_ZSETS, QUEUE_STREAMS, QUEUE_WAKING_WHEN_GONE, QUEUES };
extern const enum value_type block_queue_types[QUEUES];

struct waited_key {
    struct list queues[QUEUES]; /* struct key_link.node, longest waiting first */
    struct list_node ready;
    bool pinned; /* being served: stays although nobody may wait any more */
    int db;
    size_t name_len;
    uint8_t name[]; /* as in the map: database number and key */
};

struct waiter;

struct key_link {
    struct list_node node;
    struct waited_key *key;
    struct waiter *waiter;
};

/* One block: the struct, its links, the slices of its request, their bytes. */
struct waiter {
    struct core *core;
    struct blocked *blocked;
    struct command_entry *command;
    enum queue queue;
    bool waits_on; /* said by block_on_keys() while the command runs again */
    uint32_t argc, link_count;
    struct bytes *argv;
    struct key_link links[];
};

/* Frees the key when nobody waits for it any more. */
void waited_key_settle(struct block_keys *b, struct waited_key *k);

#endif
