/* Kinds of arguments (grammar/kinds.txt): for each, words that are usual, words at the limits, and garbage.
 *
 * A line is NAME USUAL... / LIMITS... / GARBAGE..., in redis-cli's quoting. In a word {1..300} becomes a number of that
 * range and {x*200} two hundred times x. */
#ifndef DIFFERENTIAL_KINDS_H
#define DIFFERENTIAL_KINDS_H

#include "tests/differential/dice.h"
#include "tests/differential/words.h"

struct kinds;
struct kind;

struct kinds *kinds_load(const char *path); /* fails the run when the file is not understood */
void kinds_free(struct kinds *k);
const struct kind *kinds_find(const struct kinds *k, const char *name); /* NULL: there is none */

/* Appends one word of the kind. With `tame`, always a usual one. */
void kind_pick(const struct kind *kind, struct dice *dice, bool tame, struct words *out);

#endif
