/* Rounds of generated commands. A round begins on empty databases; when it fails, its commands are shrunk to a short
 * script, which is printed so that it can be pasted into a case file. */
#ifndef DIFFERENTIAL_CAMPAIGN_H
#define DIFFERENTIAL_CAMPAIGN_H

#include "tests/differential/case_file.h"
#include "tests/differential/grammar.h"
#include "tests/differential/pair.h"

struct campaign_options {
    long commands; /* at least so many */
    uint64_t seed;
    int failures_max; /* ends after so many failed rounds */
};

/* The same commands to both servers of the pair, by turns in RESP2 and RESP3: two tests. */
void campaign_compare(struct pair *p, const struct grammar *g, const struct campaign_options *o, struct tally *tally);
/* Write commands to a master; its replica, which has caught up, must hold the same data: one test. */
void campaign_replicate(enum server_kind master, enum server_kind replica, struct differences *d,
                        const struct grammar *g, const struct campaign_options *o, struct tally *tally);
/* Write commands to a server with an append-only file; whoever loads its files must hold the same data: one test for
 * each way there and back. */
void campaign_append_only(struct differences *d, const struct grammar *g, const struct campaign_options *o,
                          struct tally *tally);

#endif
