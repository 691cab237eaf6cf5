/* Categories of commands: "@read", "@admin". What COMMAND INFO tells, and what a user's rules may name. Any process. */
#ifndef SLIPSTREAM_ACL_CATEGORY_H
#define SLIPSTREAM_ACL_CATEGORY_H

#include "server/base/bytes.h"

enum command_category {
    CAT_KEYSPACE = 1 << 0,
    CAT_READ = 1 << 1,
    CAT_WRITE = 1 << 2,
    CAT_SET = 1 << 3,
    CAT_SORTEDSET = 1 << 4,
    CAT_LIST = 1 << 5,
    CAT_HASH = 1 << 6,
    CAT_STRING = 1 << 7,
    CAT_BITMAP = 1 << 8,
    CAT_HYPERLOGLOG = 1 << 9,
    CAT_GEO = 1 << 10,
    CAT_STREAM = 1 << 11,
    CAT_PUBSUB = 1 << 12,
    CAT_ADMIN = 1 << 13,
    CAT_FAST = 1 << 14,
    CAT_SLOW = 1 << 15,
    CAT_BLOCKING = 1 << 16,
    CAT_DANGEROUS = 1 << 17,
    CAT_CONNECTION = 1 << 18,
    CAT_TRANSACTION = 1 << 19,
    CAT_SCRIPTING = 1 << 20,
};

struct category_name {
    uint32_t bit;
    const char *name; /* "@read" */
};

extern const struct category_name category_names[]; /* in the order of ACL CAT; ends with one without name */

uint32_t category_find(struct bytes name); /* without its '@', any case; 0: there is none */

#endif
