/* Replicas that were given a snapshot and went away without taking it over: who, how often, and when they are served
 * again. Server process of the master; pure: names and times go in.
 *
 * A replica that cannot read what we write (an older version, a damaged wire) comes back at once, and each of its
 * attempts costs a fork and a file. The first time is an accident and costs it nothing; each further one doubles the
 * wait. */
#ifndef SLIPSTREAM_REPL_REFUSALS_H
#define SLIPSTREAM_REPL_REFUSALS_H

#include <stdint.h>

#define REFUSALS_MAX        32 /* replicas remembered; the one that was noted longest ago makes room */
#define REFUSALS_NAME_BYTES 136

struct refusal {
    char name[REFUSALS_NAME_BYTES]; /* "": unused */
    unsigned times;
    int64_t noted_ms, again_ms;
};

struct refusals {
    struct refusal list[REFUSALS_MAX];
};

/* It went away; how often in a row, this time included. now_ms: monotonic, not 0. */
unsigned refusals_note(struct refusals *r, const char *name, int64_t now_ms);
void refusals_forget(struct refusals *r, const char *name); /* it has taken one over */
/* When it may be given the next one; 0: at once. */
int64_t refusals_again_ms(const struct refusals *r, const char *name);

#endif
