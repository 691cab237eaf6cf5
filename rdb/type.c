/* Which type byte belongs to which file. A new type adds its rows here and nothing else changes. Server process,
 * snapshot child, checker. */
#include "rdb/type.h"

#include "rdb/format.h"
#include "rdb/type_hash.h"
#include "rdb/type_hash_timed.h"
#include "rdb/type_list.h"
#include "rdb/type_set.h"
#include "rdb/type_stream.h"
#include "rdb/type_string.h"
#include "rdb/type_zset.h"

static const struct rdb_type_loader *const loaders[RDB_TYPES] = {
    [RDB_TYPE_STRING] = &rdb_string_loader,
    [RDB_TYPE_LIST] = &rdb_list_loader,
    [RDB_TYPE_SET] = &rdb_set_loader,
    [RDB_TYPE_ZSET] = &rdb_zset_loader,
    [RDB_TYPE_HASH] = &rdb_hash_loader,
    [RDB_TYPE_ZSET_2] = &rdb_zset_2_loader,
    [RDB_TYPE_HASH_ZIPMAP] = &rdb_hash_zipmap_loader,
    [RDB_TYPE_LIST_ZIPLIST] = &rdb_list_ziplist_loader,
    [RDB_TYPE_SET_INTSET] = &rdb_set_intset_loader,
    [RDB_TYPE_ZSET_ZIPLIST] = &rdb_zset_ziplist_loader,
    [RDB_TYPE_HASH_ZIPLIST] = &rdb_hash_ziplist_loader,
    [RDB_TYPE_LIST_QUICKLIST] = &rdb_list_quicklist_loader,
    [RDB_TYPE_HASH_LISTPACK] = &rdb_hash_listpack_loader,
    [RDB_TYPE_ZSET_LISTPACK] = &rdb_zset_listpack_loader,
    [RDB_TYPE_LIST_QUICKLIST_2] = &rdb_list_quicklist_2_loader,
    [RDB_TYPE_SET_LISTPACK] = &rdb_set_listpack_loader,
    [RDB_TYPE_STREAM_LISTPACKS] = &rdb_stream_loader,
    [RDB_TYPE_STREAM_LISTPACKS_2] = &rdb_stream_2_loader,
    [RDB_TYPE_STREAM_LISTPACKS_3] = &rdb_stream_3_loader,
    [RDB_TYPE_HASH_METADATA] = &rdb_hash_metadata_loader,
    [RDB_TYPE_HASH_LISTPACK_EX] = &rdb_hash_listpack_ex_loader,
    [RDB_TYPE_VALKEY_HASH_2] = &rdb_valkey_hash_2_loader,
};

static const struct rdb_type_saver *const savers[VALUE_TYPES] = {
    [TYPE_STRING] = &rdb_string_saver, [TYPE_LIST] = &rdb_list_saver, [TYPE_SET] = &rdb_set_saver,
    [TYPE_ZSET] = &rdb_zset_saver,     [TYPE_HASH] = &rdb_hash_saver, [TYPE_STREAM] = &rdb_stream_saver,
};

static const char *const names[RDB_TYPES] = {
    [RDB_TYPE_STRING] = "string",
    [RDB_TYPE_LIST] = "list-linked",
    [RDB_TYPE_SET] = "set-hashtable",
    [RDB_TYPE_ZSET] = "zset-v1",
    [RDB_TYPE_HASH] = "hash-hashtable",
    [RDB_TYPE_ZSET_2] = "zset-v2",
    [RDB_TYPE_MODULE] = "module-value",
    [RDB_TYPE_MODULE_2] = "module-value-v2",
    [RDB_TYPE_HASH_ZIPMAP] = "hash-zipmap",
    [RDB_TYPE_LIST_ZIPLIST] = "list-ziplist",
    [RDB_TYPE_SET_INTSET] = "set-intset",
    [RDB_TYPE_ZSET_ZIPLIST] = "zset-ziplist",
    [RDB_TYPE_HASH_ZIPLIST] = "hash-ziplist",
    [RDB_TYPE_LIST_QUICKLIST] = "quicklist",
    [RDB_TYPE_STREAM_LISTPACKS] = "stream",
    [RDB_TYPE_HASH_LISTPACK] = "hash-listpack",
    [RDB_TYPE_ZSET_LISTPACK] = "zset-listpack",
    [RDB_TYPE_LIST_QUICKLIST_2] = "quicklist-v2",
    [RDB_TYPE_STREAM_LISTPACKS_2] = "stream-v2",
    [RDB_TYPE_SET_LISTPACK] = "set-listpack",
    [RDB_TYPE_STREAM_LISTPACKS_3] = "stream-v3",
    [RDB_TYPE_HASH_METADATA_PRE_GA] = "hash-metadata-pre-release",
    [RDB_TYPE_HASH_LISTPACK_EX_PRE_GA] = "hash-listpack-ex-pre-release",
    [RDB_TYPE_HASH_METADATA] = "hash-metadata",
    [RDB_TYPE_HASH_LISTPACK_EX] = "hash-listpack-ex",
    [RDB_TYPE_VALKEY_HASH_2] = "hash-v2",
};

/* The last one that both dialects have, and Valkey's one behind it. */
#define LAST_COMMON_BYTE   21
#define VALKEY_HASH_2_BYTE 22

uint8_t rdb_type_of_byte(enum rdb_dialect dialect, uint8_t byte)
{
    if (byte <= LAST_COMMON_BYTE) return byte;
    if (dialect == RDB_VALKEY) return byte == VALKEY_HASH_2_BYTE ? RDB_TYPE_VALKEY_HASH_2 : RDB_TYPES;
    return byte <= RDB_TYPE_HASH_LISTPACK_EX ? byte : RDB_TYPES;
}

uint8_t rdb_type_byte(uint8_t type)
{
    return type == RDB_TYPE_VALKEY_HASH_2 ? VALKEY_HASH_2_BYTE : type;
}

const struct rdb_type_loader *rdb_type_loader(uint8_t type)
{
    return type < RDB_TYPES ? loaders[type] : NULL;
}

const struct rdb_type_saver *rdb_type_saver(enum value_type value_type)
{
    return value_type < VALUE_TYPES ? savers[value_type] : NULL;
}

unsigned rdb_type_version(uint8_t type)
{
    if (type == RDB_TYPE_VALKEY_HASH_2) return RDB_VERSION_VALKEY;
    if (type < RDB_TYPE_HASH_LISTPACK) return RDB_VERSION_LEAST_WRITTEN;
    if (type < RDB_TYPE_SET_LISTPACK) return 10;
    return type < RDB_TYPE_HASH_METADATA_PRE_GA ? 11 : RDB_VERSION_FIELD_EXPIRY;
}

const char *rdb_type_name(uint8_t type)
{
    return type < RDB_TYPES ? names[type] : NULL;
}
