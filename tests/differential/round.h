/* One round of generated commands, and what becomes of it when it fails. */
#ifndef DIFFERENTIAL_ROUND_H
#define DIFFERENTIAL_ROUND_H

#include "tests/differential/generator.h"

/* Between pauses for an audit; several of these make a round. */
#define ROUND_PART_PRODUCTIONS 100
#define ROUND_PARTS            4
#define ROUND_BURST            64

/* The round's script. With `audited`, what cannot be seen from replies is looked at after each part. */
struct script round_generate(struct generator *g, uint64_t seed, int number, bool audited);
/* The steps that look: digest, names of keys and, if wanted, all that streams know of their groups (of which Redis does
 * not tell its replicas everything). */
void round_append_audit(struct script *s, bool groups);

/* How many of its steps send a generated command. */
int round_commands(const struct script *s);

/* Shrinks a failed script and prints it as a case; why() is asked for the explanation of the last failure. Takes over
 * the script. */
void round_report(struct script s, const char *title, bool (*fails)(void *context, const struct script *s),
                  const char *(*why)(void *context), void *context);

#endif
