/* SORT's arguments, and what a pattern of BY or GET names. */
#ifndef SLIPSTREAM_COMMANDS_SORT_OPTIONS_H
#define SLIPSTREAM_COMMANDS_SORT_OPTIONS_H

#include "server/core/run/call.h"

struct sort_options {
    bool descending, alphabetic;
    bool keeps_order;    /* BY a pattern without '*': nothing is sorted */
    struct bytes by;     /* ptr NULL: by the elements themselves */
    uint32_t store;      /* argument with the destination; 0: none */
    int64_t skip, count; /* LIMIT; count < 0: all */
    uint32_t get_count;
    uint32_t *gets; /* arguments with GET's patterns (mem); NULL: none */
};

/* SORT_RO may not store. false: answered. Release it in any case. */
bool sort_options_read(struct call *call, bool may_store, struct sort_options *out);
void sort_options_release(struct sort_options *o);

/* The string at the key, or in the hash's field, that the pattern names once '*' has been replaced by the element; "#"
 * is the element itself. An integer's digits go to scratch. false: there is none. */
bool sort_look_up(struct call *call, struct bytes pattern, struct bytes element, char scratch[I64_TEXT_MAX],
                  struct bytes *out);

int sort_find_keys(uint32_t argc, const struct bytes *argv, struct found_key *keys);

#endif
