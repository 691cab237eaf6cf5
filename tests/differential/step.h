/* What is done to the servers, one step after another: a script. Written cases, generated commands and shrunk failures
 * are all scripts, and have the same form as text.
 *
 * A line of it is one step, in redis-cli's quoting:
 *   CMD          sent by client a; the reply is awaited and compared
 *   b> CMD       the same by client b; any small letter is a client, connected when first named
 *   b>> CMD      sent, the reply is not awaited (a command that blocks)
 *   b<           the next reply, or push, that client b gets is awaited and compared
 *   b<!          client b has nothing to read
 *   $name = CMD  what each server answers becomes the variable's value for this server; $name stands for it later
 * and "unordered|" or another mode's name before it says how replies are compared (compare.h). */
#ifndef DIFFERENTIAL_STEP_H
#define DIFFERENTIAL_STEP_H

#include "tests/differential/compare.h"
#include "tests/differential/words.h"

enum step_kind { STEP_COMMAND, STEP_SEND, STEP_READ, STEP_SILENT };

struct step {
    enum step_kind kind;
    enum mode mode;
    char client;
    char *variable; /* owned; NULL: none */
    struct words words;
    bool glued; /* never without the step before */
    int line;   /* in the file it came from; 0: in none */
};

/* All zero is a valid, empty script. */
struct script {
    struct step *at;
    int count;
};

/* NULL, or what is wrong with the line (and nothing in *out). */
const char *step_parse(const char *line, struct step *out);
/* What stands before the command alone; where the command begins. */
const char *step_parse_head(const char *line, struct step *out);
void step_print(FILE *out, const struct step *s);

struct step *script_append(struct script *s, struct step step); /* takes what the step owns */
/* Copy without the steps from `from` on, up to but not including `to`. */
struct script script_without(const struct script *s, int from, int to);
void script_free(struct script *s);

#endif
