/* A command as bytes on the wire, made once: each request is a copy in which numbers and the value are filled in. */
#ifndef LOAD_REQUEST_H
#define LOAD_REQUEST_H

#include "bench/load/keys.h"
#include "bench/load/sizes.h"

#include <stdbool.h>
#include <stddef.h>

#define REQUEST_SLOTS_MAX 16
#define REQUEST_DIGITS    12 /* a number has so many, with zeros in front */

struct request {
    char *bytes; /* owned; without the value when its length varies */
    size_t len;
    size_t slots[REQUEST_SLOTS_MAX]; /* where a number stands */
    int slot_count;
    bool value_varies;
    size_t value_at; /* then: where "$LEN", the value and its end are put in between */
};

/* What all requests of a load share. */
struct request_source {
    struct keys keys;
    struct sizes sizes;
    struct random_state random;
    char *letters; /* owned; the longest value and more */
};

int request_source_init(struct request_source *s, const struct keys *keys, const struct sizes *sizes, uint64_t seed);
void request_source_free(struct request_source *s);

/* Words separated by spaces. In a word {key} (or __rand_int__) is a number of the keys, drawn for each place anew; a
 * word {value} is a value. 0; -1: it has no word, too many numbers, or more than one value. */
int request_parse(struct request *q, const char *text, const struct request_source *source);
void request_free(struct request *q);

size_t request_room(const struct request *q, const struct request_source *source); /* of the longest */
/* Writes one to `out`; how many bytes. */
size_t request_put(const struct request *q, struct request_source *source, char *out);

#endif
