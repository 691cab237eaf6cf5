/* Listpack: a sequence of strings and integers in one block of bytes, in Redis's documented format, byte for byte.
 *
 *   bytes     total(4, little-endian) count(2, little-endian) element* FF
 *   count     65535: unknown, the elements have to be walked
 *   element   head data back
 *   head      0xxxxxxx              integer 0 .. 127
 *             10xxxxxx              string of xxxxxx bytes
 *             110xxxxx +1           integer of 13 bits, signed, high bits first
 *             1110xxxx +1           string, length of 12 bits, high bits first
 *             F0 +4                 string, length of 32 bits, little-endian
 *             F1 +2  F2 +3  F3 +4  F4 +8    integer of so many bytes, signed, little-endian
 *   back      length of head and data, so that the element can be found from behind: 7 bits a byte, high bits first;
 *             every byte but the first has its top bit set
 *
 * A listpack is its block of bytes (mem_alloc): it can be written to a file as it is. An element is named by its
 * address. A function that changes the listpack takes it over and returns the new address; element addresses from
 * before are invalid then. Text that is a canonical integer is kept as one. Values given must not lie inside the
 * listpack.
 *
 * Only validated bytes may be used with anything but listpack_validate(). */
#ifndef SLIPSTREAM_DATA_LISTPACK_H
#define SLIPSTREAM_DATA_LISTPACK_H

#include <endian.h>

#include "server/data/packed.h"

#define LISTPACK_HEADER_BYTES  6
#define LISTPACK_EMPTY_BYTES   7
#define LISTPACK_COUNT_UNKNOWN 65535
#define LISTPACK_END           0xff
/* Redis's own bound: nobody makes one larger, none larger is loaded. */
#define LISTPACK_MAX_BYTES ((size_t)1 << 30)

/* --- the whole --- */
uint8_t *listpack_new(size_t capacity_bytes); /* empty; a hint, 0: just large enough */
void listpack_free(uint8_t *lp);
uint8_t *listpack_copy(const uint8_t *lp);
uint8_t *listpack_shrink(uint8_t *lp);                    /* gives spare room back */
size_t listpack_length(const uint8_t *lp);                /* O(1) below 65535 elements */
size_t listpack_element_bytes(struct packed_value value); /* what one more element of this value takes */

static inline size_t listpack_bytes(const uint8_t *lp)
{
    uint32_t total;
    memcpy(&total, lp, sizeof total);
    return le32toh(total);
}

/* --- looking --- all addresses are NULL where there is no element --- */
uint8_t *listpack_first(const uint8_t *lp);
uint8_t *listpack_last(const uint8_t *lp);
uint8_t *listpack_next(const uint8_t *lp, const uint8_t *element);
uint8_t *listpack_prev(const uint8_t *lp, const uint8_t *element);
uint8_t *listpack_seek(const uint8_t *lp, int64_t index); /* from 0, or from -1 backwards; walks from the nearer end */
struct packed_value listpack_get(const uint8_t *element);
/* The same and the address behind the element, where LISTPACK_END stands when it was the last: for fast walks. */
const uint8_t *listpack_read(const uint8_t *element, struct packed_value *out);
/* Shows up to `most` elements to visit, this one first; returns how many there were. */
size_t listpack_walk(const uint8_t *element, size_t most, void (*visit)(void *context, struct packed_value value),
                     void *context);
/* A string element (of a listpack) has the shortest head it could have, as every element that is written here. Others
 * are good as well, but listpack_find() does not see them. */
bool listpack_string_is_shortest(const struct packed_value *string);
/* The first element from `from` (may be NULL: none) on that equals value, looking at one and passing over `skip`
 * others, and so on. skip 1: only fields of field-value pairs. */
uint8_t *listpack_find(const uint8_t *lp, const uint8_t *from, struct packed_value value, unsigned skip);

/* --- changing --- */
uint8_t *listpack_append(uint8_t *lp, struct packed_value value);
uint8_t *listpack_append_several(uint8_t *lp, const struct packed_value *values, size_t count); /* at once */
uint8_t *listpack_prepend(uint8_t *lp, struct packed_value value);
/* *element moves to the element it named. */
uint8_t *listpack_insert_before(uint8_t *lp, uint8_t **element, struct packed_value value);
uint8_t *listpack_insert_after(uint8_t *lp, uint8_t **element, struct packed_value value);
uint8_t *listpack_replace(uint8_t *lp, uint8_t **element, struct packed_value value);
/* *element moves to the one behind what was deleted, NULL at the end. */
uint8_t *listpack_delete(uint8_t *lp, uint8_t **element);
uint8_t *listpack_delete_run(uint8_t *lp, uint8_t **element, size_t count); /* fewer when fewer follow */
uint8_t *listpack_delete_range(uint8_t *lp, int64_t index, size_t count);
uint8_t *listpack_append_all(uint8_t *lp, const uint8_t *other); /* other's elements behind lp's */
uint8_t *listpack_split(uint8_t **lp, const uint8_t *element); /* a new one with it and what follows, which leave *lp */

/* --- writing one from its first element to its last --- */
/* For who has all elements at hand: several times as fast as appending them one by one. */
struct listpack_writer {
    uint8_t *lp;       /* the writer's, until the end */
    size_t used, room; /* bytes; used: header and elements */
    size_t count;
};

void listpack_write_begin(struct listpack_writer *w, size_t room_bytes); /* a guess: it grows */
void listpack_write(struct listpack_writer *w, struct packed_value value);
uint8_t *listpack_write_end(struct listpack_writer *w); /* the caller's; much spare room is given back */
/* The same with the last pair of elements first; there is an even number of them. */
uint8_t *listpack_write_end_reversed(struct listpack_writer *w);
void listpack_write_abort(struct listpack_writer *w);
/* Bytes so far, as listpack_bytes() would tell them. */
static inline size_t listpack_written_bytes(const struct listpack_writer *w)
{
    return w->used + 1;
}

/* --- bytes from elsewhere --- */
bool listpack_is_framed(struct bytes bytes); /* length and end stand where they should: no more is said */
/* True when these bytes are one whole listpack, every element checked. visit (may be NULL) is given each element in
 * turn; false from it ends the check with false. */
bool listpack_validate(struct bytes bytes, bool (*visit)(void *context, struct packed_value value), void *context);

#endif
