/* See snapshot_form.h. Server process of the master; pure. */
#include "repl/snapshot_form.h"

#include "rdb/format.h"

#define VALKEY_9 (9 << 16) /* as struct follower_hello has versions */

/* False: it does not say who it is. */
static bool announced(const struct follower_hello *hello, enum rdb_write_for *form)
{
    if (hello->rdb_channel || (hello->lz4 && hello->version))
        *form = RDB_FOR_8;
    else if (hello->version >= VALKEY_9)
        *form = RDB_FOR_VALKEY_9;
    else if (hello->version)
        *form = RDB_FOR_7_2;
    else
        return false;
    return true;
}

bool snapshot_form_announced(const struct follower_hello *hello)
{
    enum rdb_write_for form;
    return announced(hello, &form);
}

enum rdb_write_for snapshot_form(const struct follower_hello *hello, enum rdb_write_for configured, int refused)
{
    enum rdb_write_for form = configured;
    if (announced(hello, &form)) return form;
    if (refused >= RDB_VERSION_FIELD_EXPIRY && form >= RDB_FOR_8) return RDB_FOR_7_2;
    if (refused >= RDB_VERSION_WITH_ACTIVITY) return form == RDB_FOR_6_2 ? form : RDB_FOR_7_0;
    return refused >= RDB_VERSION_FUNCTION ? RDB_FOR_6_2 : form;
}
