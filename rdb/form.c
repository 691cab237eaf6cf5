/* See form.h. Server process and snapshot child. */
#include "rdb/form.h"

#include <stdio.h>

#include "rdb/format.h"
#include "rdb/printable.h"
#include "rdb/type.h"
#include "server/base/log.h"
#include "server/data/stream.h"

const char *rdb_form_reader(enum rdb_write_for form)
{
    static const char *const readers[] = {
        [RDB_FOR_AUTO] = "any Redis", [RDB_FOR_6_2] = "Redis 6.2", [RDB_FOR_7_0] = "Redis 7.0",
        [RDB_FOR_7_2] = "Redis 7.2",  [RDB_FOR_8] = "Redis 8",     [RDB_FOR_VALKEY_9] = "Valkey 9",
    };
    return readers[form];
}

bool rdb_form_has_field_expiry(enum rdb_write_for form)
{
    return form == RDB_FOR_AUTO || form == RDB_FOR_8 || form == RDB_FOR_VALKEY_9;
}

size_t rdb_hashes_with_expiry(struct keyspace *ks)
{
    size_t count = 0;
    for (int i = 0; i < keyspace_databases(ks); i++) count += database_timed_hashes(keyspace_database(ks, i));
    return count;
}

/* NULL: there is none. */
static const struct record *first_with_expiry(struct keyspace *ks, int *db)
{
    const struct record *r = NULL;
    for (*db = 0; *db < keyspace_databases(ks); ++*db)
        if ((r = database_next_timed_hash(keyspace_database(ks, *db)))) return r;
    return NULL;
}

bool rdb_form_holds(struct keyspace *ks, enum rdb_write_for form, char why[RDB_FORM_WHY_BYTES])
{
    if (rdb_form_has_field_expiry(form)) return true;
    size_t count = rdb_hashes_with_expiry(ks);
    if (count == 0) return true;
    char text[64];
    int db;
    const struct record *r = first_with_expiry(ks, &db);
    snprintf(why, RDB_FORM_WHY_BYTES, "%zu hash%s with fields that expire ('%s' in DB %d%s), which it has no room for",
             count, count > 1 ? "es" : "", r ? rdb_printable(record_key(r), text) : "?", db,
             count > 1 ? " and others" : "");
    return false;
}

enum rdb_write_for rdb_form_settled(struct keyspace *ks, enum rdb_write_for form)
{
    return form == RDB_FOR_AUTO && rdb_hashes_with_expiry(ks) > 0 ? RDB_FOR_8 : form;
}

bool rdb_forms_differ(struct keyspace *ks)
{
    return stream_count_alive() > 0 || keyspace_libraries(ks)->count > 0 || rdb_hashes_with_expiry(ks) > 0;
}

/* --- the version --- */

struct need {
    enum rdb_write_for write_for;
    unsigned version;
    const struct record *because; /* of the first that needs it; NULL: all do with the least */
    int db;
};

static int raise_version(void *arg, struct record *r)
{
    struct need *need = arg;
    unsigned version = rdb_type_version(rdb_type_saver(record_type(r))->type(r, need->write_for));
    if (version <= need->version) return 0;
    need->version = version;
    need->because = r;
    return 0;
}

/* So that whoever finds an older Redis refusing the file knows why. */
static void tell_need(const struct need *need)
{
    char text[64];
    bool activity = need->version >= RDB_VERSION_WITH_ACTIVITY;
    const char *key = need->because ? rdb_printable(record_key(need->because), text) : "?";
    if (need->version >= RDB_VERSION_FIELD_EXPIRY) {
        log_notice(
            "RDB version %u is written, for %s: fields of hash '%s' in DB %d expire, and no Redis before 7.4 has "
            "room for that",
            need->version, need->version == RDB_VERSION_VALKEY ? "Valkey 9" : "Redis 8", key, need->db);
        return;
    }
    log_notice(
        "RDB version %u is written, not %d: stream '%s' in DB %d remembers %s, which Redis before %s has no room for "
        "(rdb-write-for %s leaves it out)",
        need->version, RDB_VERSION_LEAST_WRITTEN, key, need->db,
        activity ? "when a consumer was last active" : "what was deleted, or how far a group has read",
        activity ? "7.2" : "7.0", activity ? "7.0" : "6.2");
}

/* The header comes first, so the data have to be looked through for what needs a later version: but only where there
 * are streams, since of all else only hashes may, and those are known. */
unsigned rdb_form_version(struct keyspace *ks, enum rdb_write_for form)
{
    struct need need = {.write_for = form, .version = RDB_VERSION_LEAST_WRITTEN};
    if (rdb_form_has_field_expiry(form) && rdb_hashes_with_expiry(ks) > 0) {
        need.because = first_with_expiry(ks, &need.db);
        need.version = form == RDB_FOR_VALKEY_9 ? RDB_VERSION_VALKEY : RDB_VERSION_FIELD_EXPIRY;
    } else if (stream_count_alive() > 0 && form != RDB_FOR_6_2) {
        for (int i = 0; i < keyspace_databases(ks); i++) {
            unsigned before = need.version;
            database_walk(keyspace_database(ks, i), raise_version, &need);
            if (need.version > before) need.db = i;
        }
    }
    if (need.version > RDB_VERSION_LEAST_WRITTEN) tell_need(&need);
    return need.version;
}
