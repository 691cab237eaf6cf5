/* Lua's patterns, by the reference manual of Lua 5.1 (section 5.4.1): a text is compiled once and matched many times.
 *
 * A match may take any time: `(.-)(.-)(.-)x` tries a cubic number of ways. So whoever matches says what is called every
 * so many steps, which may leave by a long jump. It takes no C stack: what is left to try stands in an array, which has
 * room for all of it from the start, since no part of a pattern repeats another.
 *
 * What is wrong with a pattern is told when the match gets there, as in Lua: "a[" has nothing wrong for "b". */
#ifndef SLIPSTREAM_SCRIPT_PATTERN_H
#define SLIPSTREAM_SCRIPT_PATTERN_H

#include "server/base/bytes.h"

#define PATTERN_CAPTURES_MAX     32
#define PATTERN_PAUSE_STEPS      50000 /* a fraction of a millisecond */
#define PATTERN_SMALL_BYTES      64    /* of a pattern's text; most are shorter, */
#define PATTERN_SMALL_ROOM_WORDS 453   /* and take so many 8-byte words of room */

struct pattern_item;
struct pattern_choice;

struct pattern {
    const struct pattern_item *items;
    struct pattern_choice *choices;
    bool anchored;
};

#define PATTERN_UNFINISHED (-1) /* its end has not been reached */
#define PATTERN_POSITION   (-2) /* it captures no text, but the place */

struct pattern_capture {
    const uint8_t *start;
    ptrdiff_t len; /* or one of the above */
};

struct pattern_match {
    const struct pattern *pattern;
    const uint8_t *subject, *end;
    void (*pause)(void *arg);
    void *pause_arg;
    int64_t steps; /* until it is called; PATTERN_PAUSE_STEPS at first */
    /* what has been found */
    const uint8_t *found, *found_end;
    const char *fault; /* what is wrong with the pattern; NULL: nothing up to there */
    int level;         /* of captures */
    struct pattern_capture captures[PATTERN_CAPTURES_MAX];
};

/* The room, in 8-byte words, that a pattern of so many bytes needs. */
size_t pattern_room_words(size_t len);
/* A pattern ends at a zero byte. The room is the caller's, as long as the pattern is used. A '^' at the beginning makes
 * it anchored, if it may. */
void pattern_compile(struct pattern *p, struct bytes text, bool may_anchor, uint64_t *room);
/* The first match at `from` or behind it, or at `from` alone if the pattern is anchored. */
bool pattern_find(struct pattern_match *m, const uint8_t *from);

#endif
