/* Replicas that were given a snapshot and went away without taking it over: who, how often, and when they are served
 * again. Server process of the master; pure: names and times go in.
 *
 * A replica that cannot read what we write (an older version, a damaged wire) comes back at once, and each of its
 * attempts costs a fork and a file. The first time is an accident and costs it nothing; each further one doubles the
 * wait. */
#ifndef SLIPSTREAM_REPL_REFUSALS_H
#define SLIPSTREAM_REPL_REFUSALS_H

#include <stdbool.h>
#include <stdint.h>

/* Replicas remembered. The one that was noted longest ago makes room: before one that has refused, one that has not. */
#define REFUSALS_MAX        32
#define REFUSALS_NAME_BYTES 136

struct refusal {
    char name[REFUSALS_NAME_BYTES]; /* "": unused */
    unsigned times;
    int64_t noted_ms, again_ms;
    int version; /* the RDB version that it could not read, as far as can be seen; 0: none */
    int64_t version_ms, told_ms;
    int read;           /* the RDB version that it has taken over, which others of its kind may not; 0: none */
    uint64_t read_from; /* the stream's first byte behind that */
    int64_t read_ms;
    int64_t unproven_ms; /* since then, one of that name was here last that has not shown so much; 0: never */
    bool astray;         /* the stream had words that it may not know: it cannot go on from what it has */
    unsigned strayings;  /* in a row */
    int64_t back_ms;     /* may have its snapshot again */
};

struct refusals {
    struct refusal list[REFUSALS_MAX];
};

/* It went away from a snapshot in this RDB version (0: not known); `whole`: it had all of it. Returns how often in a
 * row, this time included. What it had whole, or has been given twice, counts as a version that it cannot read: a
 * connection may break in the middle of any. now_ms: monotonic, not 0. */
unsigned refusals_note(struct refusals *r, const char *name, int version, bool whole, int64_t now_ms);
/* It has taken one over, and is not astray any more. The version that it cannot read is remembered
 * for a day all the same. */
void refusals_forget(struct refusals *r, const char *name);
int refusals_version(const struct refusals *r, const char *name, int64_t now_ms); /* 0: none is known */
/* It has just taken over a snapshot in this version, behind which the stream goes on with `from`: known for a day from
 * when it was here last (0: it is still here), or until it goes away from one. */
void refusals_note_read(struct refusals *r, const char *name, int version, uint64_t from, int64_t now_ms);
/* The offsets are another history's from now on, by which nobody is known. */
void refusals_forget_reads(struct refusals *r);
/* It is here, or has just been, and has not shown what is known by its name: that is not believed for a day then. An
 * address may be that of several behind a gateway, or of an older program by now. */
void refusals_note_unproven(struct refusals *r, const char *name, int64_t now_ms);
/* Of who continues from there; 0: none is known. Who asks for what that one had already is another,
 * with an older file. */
int refusals_read(const struct refusals *r, const char *name, int64_t asked_offset, int64_t now_ms);
/* It was let go in front of what it may not know. Until it has taken over a snapshot it is astray; how long it waits
 * for that is doubled each time, too, for what comes next may be the same again. */
void refusals_note_astray(struct refusals *r, const char *name, int64_t now_ms);
bool refusals_is_astray(const struct refusals *r, const char *name);
/* Its request is refused: whether that is to stand in the log, too, which is once a minute. now_ms: as above. */
bool refusals_tell(struct refusals *r, const char *name, int64_t now_ms);
/* When it may be given the next one; 0: at once. */
int64_t refusals_again_ms(const struct refusals *r, const char *name);

#endif
