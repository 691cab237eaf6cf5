/* The written cases: files under cases/, one per family.
 *
 * "== title" opens a case, which runs on empty databases, once in RESP2 and once in RESP3 (in one of them alone when
 * the title ends in " [2]" or " [3]"). Its lines are steps (step.h); empty lines and those that begin with '#' say
 * nothing. */
#ifndef DIFFERENTIAL_CASE_FILE_H
#define DIFFERENTIAL_CASE_FILE_H

#include "tests/differential/pair.h"

struct tally {
    int tested, passed;
};

/* Runs the cases of every file in the directory whose title or file name has `only` in it (NULL: all), prints what
 * fails, and adds up. */
void case_files_run(struct pair *p, const char *directory, const char *only, struct tally *tally);

#endif
