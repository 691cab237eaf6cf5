/* What Redis 7.2 changed against 7.0, as one table (expected_differences.txt): a reply that differs in a way that
 * stands there agrees all the same. */
#ifndef DIFFERENTIAL_DIFFERENCES_H
#define DIFFERENTIAL_DIFFERENCES_H

#include "tests/differential/compare.h"
#include "tests/differential/words.h"

struct differences;

/* Fails the run when the file cannot be read or a line is not understood. */
struct differences *differences_load(const char *path);
void differences_free(struct differences *d);

/* The replies of ours and theirs to this command agree, but for what the table says. Changes both trees. */
bool differences_expect(struct differences *d, const struct words *command, enum mode mode, struct reply *ours,
                        struct reply *theirs, long long tolerance);
/* The same for the keyspace events of each side, one a line. Takes lines out of both. */
bool differences_expect_events(struct differences *d, const struct words *command, char *ours, char *theirs);
/* Prints every rule that has not been needed since the table was loaded; their number. */
int differences_report_unused(const struct differences *d, FILE *out);

#endif
