/* Names of types and encodings, and the table of operations that each built type registers. Server, snapshot child,
 * checker.
 *
 * The table is filled at start-up rather than written out here, so that this file knows no type and a type's file
 * stands alone. */
#include "server/data/value.h"

#include "server/base/check.h"

static const char *const type_names[VALUE_TYPES] = {
    [TYPE_STRING] = "string", [TYPE_LIST] = "list",     [TYPE_SET] = "set",       [TYPE_ZSET] = "zset",
    [TYPE_HASH] = "hash",     [TYPE_STREAM] = "stream", [TYPE_MODULE] = "module",
};

static const char *const encoding_names[VALUE_ENCODINGS] = {
    [ENCODING_RAW] = "raw",
    [ENCODING_INT] = "int",
    [ENCODING_EMBSTR] = "embstr",
    [ENCODING_HASHTABLE] = "hashtable",
    [ENCODING_LISTPACK] = "listpack",
    [ENCODING_INTSET] = "intset",
    [ENCODING_SKIPLIST] = "skiplist",
    [ENCODING_QUICKLIST] = "quicklist",
    [ENCODING_STREAM] = "stream",
    [ENCODING_LISTPACK_TIMED] = "listpackex",
    [ENCODING_HASHTABLE_TIMED] = "hashtable",
};

static const struct value_ops *registered[VALUE_TYPES];

const char *value_type_name(enum value_type type)
{
    return type_names[type];
}

const char *value_encoding_name(enum value_encoding encoding)
{
    return encoding_names[encoding];
}

const struct value_ops *value_ops(enum value_type type)
{
    return registered[type];
}

void value_ops_register(enum value_type type, const struct value_ops *ops)
{
    CHECK(type > TYPE_STRING && type < VALUE_TYPES);
    registered[type] = ops;
}
