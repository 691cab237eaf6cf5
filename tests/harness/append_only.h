/* What tests of the append-only file share: rewrites, what stands in appendonlydir, and Debian's redis-server, which
 * loads it and says what it holds. */
#ifndef HARNESS_APPEND_ONLY_H
#define HARNESS_APPEND_ONLY_H

#include "tests/harness/client.h"

bool aof_is_idle(struct server *s); /* no rewrite is under way, nor will one begin */
void aof_rewrite(struct server *s); /* BGREWRITEAOF, and waits for its end, which must be a good one */
void expect_aof_manifest(const struct server *s, const char *text);

bool server_has_file(const struct server *s, const char *name);
int server_count_files(const struct server *s, const char *directory); /* names with a dot in front do not count */

/* Debian's server comes up from the files of s as they are now. */
struct server *loaded_by_debian(const struct server *s);
/* s ends, and Debian's server has the same data from its files. */
void expect_debian_loads_the_same(struct server *s);

#endif
