/* One RESP reply, 2 or 3: where it ends in a stream of bytes, and its parts as a tree. The reader is the driver's own:
 * what is tested must not be read by its own code. */
#ifndef DIFFERENTIAL_REPLY_H
#define DIFFERENTIAL_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct reply {
    char type;        /* the first byte on the wire: + - : $ * _ # , ( ! = % ~ > */
    bool null;        /* $-1, *-1 and _ */
    const char *text; /* of whatever has no parts: into the bytes it was read from */
    size_t len;
    struct reply *part; /* of * ~ > and %: owned; a map has its keys and values in turn */
    int parts;
};

/* Bytes that the reply at the start takes; 0: it is not complete; -1: no RESP. */
ptrdiff_t reply_extent(const char *bytes, size_t len);
/* The tree of a complete reply; its texts point into bytes. Freed by reply_free(). */
struct reply reply_read(const char *bytes, size_t len);
void reply_free(struct reply *r);

bool reply_is_aggregate(const struct reply *r);
bool reply_is_error(const struct reply *r);
/* A total order, zero if and only if the bytes were the same. */
int reply_compare(const struct reply *a, const struct reply *b);
/* Takes the pair "name, value" out of every map, and of every array that holds the name, at any depth. false: there was
 * none. */
bool reply_drop_field(struct reply *r, const char *name);
/* In one line, as redis-cli's words with the types visible: "text", OK, (integer) 3, (error) ERR no, [a, b], {a: b}. */
void reply_print(FILE *out, const struct reply *r);

#endif
