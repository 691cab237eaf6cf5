/* The two servers that hear the same steps, ours and Debian's, and their clients; or one server alone, whose replies
 * are read and compared with nothing (a master whose replica is what matters). */
#ifndef DIFFERENTIAL_PAIR_H
#define DIFFERENTIAL_PAIR_H

#include "tests/differential/differences.h"
#include "tests/differential/step.h"
#include "tests/harness/server.h"

struct pair;

struct pair_options {
    struct server *server[2];        /* running; [1] NULL: one server alone */
    const char *name[2];             /* how a disagreement calls them */
    struct differences *differences; /* borrowed */
    int patience_ms;                 /* how long a reply may take */
    bool silence_agrees;             /* two servers that both answer nothing agree */
};

struct pair *pair_make(const struct pair_options *options);
void pair_free(struct pair *p);

/* Everything as new: databases empty, the settings that tests change at their defaults, no client connected, no
 * variable set; clients will speak this RESP version. A server that has died or hangs is started again. */
void pair_begin(struct pair *p, int resp);

/* Runs steps in order; up to `burst` commands of one client are sent before their replies are read. The index of the
 * first step whose replies do not agree, or -1. */
int pair_run(struct pair *p, const struct script *s, int burst);
/* What the last run that did not agree saw, as lines that begin with '#'. */
const char *pair_disagreement(const struct pair *p);

#endif
