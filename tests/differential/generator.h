/* Random commands from the grammar, most of them valid, some slightly broken; a seed repeats them. */
#ifndef DIFFERENTIAL_GENERATOR_H
#define DIFFERENTIAL_GENERATOR_H

#include "tests/differential/dice.h"
#include "tests/differential/grammar.h"

struct generator {
    const struct grammar *grammar;
    struct dice dice;
    bool compared; /* two servers hear it: nothing that random numbers or the clock decide */
    bool in_transaction;
    const struct family *focus; /* most commands are of this family */
};

/* A new round: databases are empty, no transaction is open, and another family has its turn. Settings of the
 * structures' thresholds are the round's first steps, in some rounds. */
void generator_begin(struct generator *g, struct script *out);
/* Appends one production's steps, or one that opens or closes a transaction. */
void generator_step(struct generator *g, struct script *out);
/* Closes an open transaction. */
void generator_end(struct generator *g, struct script *out);

#endif
