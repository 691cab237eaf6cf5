/* Who hears of every change of keys that begin with a prefix, read by him or not: CLIENT TRACKING with BCAST. Pure: it
 * knows members, not sessions. Server process.
 *
 * Changed keys are gathered for each prefix, in their order, until somebody takes them: one message tells a turn's. */
#ifndef SLIPSTREAM_CORE_TRACKING_PREFIX_TABLE_H
#define SLIPSTREAM_CORE_TRACKING_PREFIX_TABLE_H

#include "server/base/list.h"
#include "server/base/map.h"

struct changed_key {
    struct bytes key; /* the map's copy */
    uint64_t by;      /* whoever changed it last, 0: nobody */
};

struct prefix {
    struct bytes text;   /* owned; empty: all keys */
    struct list members; /* struct prefix_member.in_prefix */
    struct map places;   /* key -> its place in `changed`, plus one */
    struct changed_key *changed;
    size_t changed_count, changed_capacity;
    struct list_node waiting; /* in the table's list, while it has changed keys */
};

/* One member's part in one prefix. */
struct prefix_member {
    struct list_node in_prefix, of_member;
    struct prefix *prefix;
    void *member;
};

struct prefix_table {
    struct map prefixes;           /* text -> struct prefix */
    struct list waiting;           /* struct prefix.waiting */
    struct prefix_length *lengths; /* of all prefixes, ascending: a key is looked up once for each of them */
    size_t length_count, length_capacity;
};

void prefix_table_init(struct prefix_table *t);
/* `prefixes` is the member's list, of struct prefix_member.of_member. Joining twice changes nothing. */
void prefix_table_join(struct prefix_table *t, struct list *prefixes, void *member, struct bytes text);
void prefix_table_leave_all(struct prefix_table *t, struct list *prefixes);
void prefix_table_changed(struct prefix_table *t, struct bytes key, uint64_t by);
/* What has gathered is told and gone. */
void prefix_forget_changed(struct prefix_table *t, struct prefix *p);

/* Whether one of them begins with the other. */
static inline bool prefixes_overlap(struct bytes a, struct bytes b)
{
    size_t shorter = a.len < b.len ? a.len : b.len;
    return shorter == 0 || memcmp(a.ptr, b.ptr, shorter) == 0;
}

#endif
