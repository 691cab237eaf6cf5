/* Counts whole RESP values in a stream of bytes, whatever the borders of its pieces, and looks at nothing else: all
 * that a load generator must know of replies, and a null server of requests. RESP2 and RESP3 without attributes. */
#ifndef LOAD_COUNTER_H
#define LOAD_COUNTER_H

#include <stddef.h>
#include <stdint.h>

#define COUNTER_LINE 112

struct counter {
    uint64_t skip;    /* bytes of a string, and its end, that are still to come */
    int64_t elements; /* of the value that has begun, and is not whole; 0: none has begun */
    uint64_t errors;  /* error replies so far */
    uint8_t line_len; /* a first line of which a part has come; the rest of a longer one is not kept */
    char line[COUNTER_LINE];
    char first_error[COUNTER_LINE]; /* "": none yet */
};

/* How many values end in these bytes. -1: this is not RESP. */
long counter_take(struct counter *c, const char *bytes, size_t len);

#endif
