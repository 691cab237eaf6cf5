/* Which form of the RDB the data needs, and whether the one that is asked for holds them: before a byte is written.
 * Server process and snapshot child.
 *
 * A form (enum rdb_write_for) leaves out of what it has no room for only statistics of streams, and libraries. A hash
 * whose fields expire is no such thing: where a form has no room for it, nothing is written. Looks at counts, and at
 * streams where there are any. */
#ifndef SLIPSTREAM_RDB_FORM_H
#define SLIPSTREAM_RDB_FORM_H

#include "rdb/settings.h"
#include "server/keyspace/keyspace.h"

#define RDB_FORM_WHY_BYTES 192

/* For a line: "Redis 6.2" ...; AUTO: "any Redis". */
const char *rdb_form_reader(enum rdb_write_for form);
bool rdb_form_has_field_expiry(enum rdb_write_for form);

/* False: why says what it has no room for, how often, and the first key. */
bool rdb_form_holds(struct keyspace *ks, enum rdb_write_for form, char why[RDB_FORM_WHY_BYTES]);
/* What AUTO is for these data; any other form is itself. */
enum rdb_write_for rdb_form_settled(struct keyspace *ks, enum rdb_write_for form);
/* The lowest version that these data need in a settled form that holds them, libraries aside.
 * Logs why it is no lower. */
unsigned rdb_form_version(struct keyspace *ks, enum rdb_write_for form);
/* What is written depends on the form. Looks at counts alone. */
bool rdb_forms_differ(struct keyspace *ks);

size_t rdb_hashes_with_expiry(struct keyspace *ks); /* hashes whose fields expire, in all databases */

#endif
