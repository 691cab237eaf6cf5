/* Strings in an RDB. Server process, snapshot child, checker. Type byte 00, the value is one string (rdb/format.h).
 * Integers are kept as integers on both sides. */
#include "rdb/type_string.h"

#include "rdb/format.h"

static uint8_t string_type(const struct record *r, enum rdb_write_for write_for)
{
    (void)r, (void)write_for;
    return RDB_TYPE_STRING;
}

static void string_save(struct rdb_encoder *out, const struct record *r)
{
    if (record_is_integer(r)) {
        rdb_put_integer(out, record_integer(r));
    } else {
        char scratch[I64_TEXT_MAX];
        rdb_put_string(out, record_string(r, scratch));
    }
}

static bool string_begin(struct rdb_cursor *in, struct rdb_builder *builder)
{
    (void)in;
    builder->remaining = 1;
    return true;
}

static bool string_element(struct rdb_cursor *in, struct rdb_builder *builder)
{
    return rdb_read_string(in, &builder->string);
}

static struct record *string_finish(struct rdb_builder *builder, struct database *db, struct bytes key, uint64_t hash)
{
    const struct rdb_string *string = &builder->string;
    if (string->is_integer) return database_set_integer(db, key, hash, string->integer, false);
    return database_set_string(db, key, hash, string->bytes, false);
}

const struct rdb_type_loader rdb_string_loader = {string_begin, string_element, string_finish, NULL};
const struct rdb_type_saver rdb_string_saver = {string_type, string_save};
