/* The commands' grammar, read from grammar/<family>.txt.
 *
 * A line is a production: a command in the usual documentation syntax. Upper case, digits and signs stand for
 * themselves, 'so' does anything; lower case names a kind of argument (kinds.h). [x] may be left out, [x ...] may come
 * several times, <x|y> is one of both, as is [x|y]. Beside the kinds there are:
 *   key          most often of the family's own type ("keys TYPE" in the file), sometimes of another
 *   key:TYPE     the same for that type
 *   numkeys      how many keys follow
 *   kind@keys    one of the kind for each key so far, since numkeys if it was there
 *   @N           word N of the production's first command again
 * Steps of one production are separated by " ; " and stay together. A step may begin as in a case file (step.h), and
 * the whole line with a number, how often it is chosen (1), and with
 *   together|    only where two servers are compared
 *   alone|       only where they are not: what it does is random or depends on the time
 *   whole|       never broken
 *   multi|       only in a transaction
 *   outside|     only outside one */
#ifndef DIFFERENTIAL_GRAMMAR_H
#define DIFFERENTIAL_GRAMMAR_H

#include "tests/differential/kinds.h"
#include "tests/differential/step.h"

enum node_type {
    NODE_LITERAL,
    NODE_KIND,
    NODE_KEY,
    NODE_NUMKEYS,
    NODE_PER_KEY,
    NODE_BACK,
    NODE_SEQUENCE,
    NODE_CHOICE,
    NODE_OPTIONAL,
    NODE_REPEAT,
};

struct node {
    enum node_type type;
    char *text;              /* LITERAL; owned */
    const struct kind *kind; /* KIND, KEY, PER_KEY */
    int number;              /* BACK */
    struct node *child;      /* owned */
    int children;
};

struct production_step {
    struct step head;  /* without words */
    bool names_client; /* "b>" stands before it */
    struct node syntax;
};

struct production {
    int weight;
    bool together, alone, whole, multi, outside;
    struct production_step *steps;
    int count;
};

struct family {
    char name[32];
    struct production *productions;
    int count, weight; /* the sum of the productions' */
    const struct kind *keys;
};

struct grammar {
    struct kinds *kinds;
    struct family *families;
    int count;
};

/* Every file of the directory. Fails the run when a line is not understood. */
struct grammar *grammar_load(const char *directory);
void grammar_free(struct grammar *g);

#endif
