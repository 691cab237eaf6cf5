/* The words of one line, as Redis takes a line of its configuration apart: blanks separate, "double quotes" with
 * escapes, 'single quotes' with \' only. Pure. Any process. */
#ifndef SLIPSTREAM_BASE_WORDS_H
#define SLIPSTREAM_BASE_WORDS_H

#include "server/base/bytes.h"

struct words {
    uint32_t count;
    struct bytes *word; /* slices of storage */
    uint8_t *storage;
};

bool words_split(struct bytes line, struct words *out); /* false: unbalanced quotes, nothing to free */
void words_free(struct words *words);

#endif
