/* What HSCAN, SSCAN and ZSCAN have in common: cursor and options, and the reply around the elements. */
#ifndef SLIPSTREAM_COMMANDS_COLLECTION_SCAN_H
#define SLIPSTREAM_COMMANDS_COLLECTION_SCAN_H

#include "server/core/run/call.h"
#include "server/data/packed.h"

struct collection_scan {
    struct call *call;
    uint64_t cursor;
    size_t count;
    struct bytes pattern;
    bool no_values;  /* HSCAN: fields alone */
    bool everything; /* no pattern, or one that all match */
    size_t elements; /* of the reply's list: counted by whoever writes them */
    struct reply_deferred list;
};

/* The cursor of any SCAN. As lenient as Redis is: nothing at all is 0, and a negative one wraps around. False:
 * answered. */
bool scan_cursor_argument(struct call *call, uint32_t arg, uint64_t *cursor);
/* The collection at argv[1], with the list of the reply begun; NULL: answered. */
struct record *collection_scan_begin(struct collection_scan *s, struct call *call, enum value_type type);
bool collection_scan_matches(const struct collection_scan *s, const struct packed_value *element);
void collection_scan_end(struct collection_scan *s, uint64_t next_cursor);

#endif
