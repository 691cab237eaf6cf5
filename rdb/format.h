/* Every byte of an RDB: the table that reader, writer and types share.
 *
 *   file      "REDIS" version(4 ASCII digits) item* FF [checksum(8), from version 5]
 *             "VALKEY" version(3 ASCII digits), and the rest the same: Valkey 9
 *   item      opcode with its operands, or: type key value; what the opcodes FD FC F8 F9 say is about the next key
 *   checksum  CRC-64 (Jones) of everything before it, little-endian; 0: the file was saved without one
 *
 *   opcode            operands                          since
 *   F4 slot info      slot, keys, expiring: 3 lengths   12
 *   F5 function       string: a library's source        10
 *   F6 function       of 7.0's release candidates       10 (no release reads it)
 *   F7 module aux     module id: length, then items     9
 *   F8 idle           length: seconds since last use    9
 *   F9 frequency      1 byte: the LFU counter           9
 *   FA aux            name: string, value: string       7
 *   FB resize         keys, expiring: 2 lengths         7
 *   FC expiry         8 bytes: wall clock, ms           3
 *   FD expiry         4 bytes: wall clock, s            1
 *   FE select         length: the database              1
 *   FF end                                              1
 *
 *   length    by its first byte (numbers behind it are big-endian)
 *   00xxxxxx  0..63, in the byte itself
 *   01xxxxxx  0..16383, with the next byte
 *   10000000  4 bytes follow                            80
 *   10000001  8 bytes follow                            81, since 9
 *   11xxxxxx  no length: a string stands here, encoded as xxxxxx says
 *
 *   string    a length and as many bytes, or
 *   C0        1 byte, the number's decimal text         (numbers are little-endian and signed)
 *   C1        2 bytes, same
 *   C2        4 bytes, same
 *   C3        packed length, length, LZF bytes
 *
 *   module items, each behind its kind as a length
 *   0 end, 1 signed: length, 2 unsigned: length, 3 float: 4 bytes, 4 double: 8 bytes, 5 string
 *
 *   type bytes: enum rdb_type below; the value's layout stands in the type's own file. Up to 21 both magics mean the
 *   same; from 22 on the magic decides, and in a payload of DUMP its version (rdb/dump.h): rdb_type_of_byte().
 *
 * Multi-byte operands of opcodes are little-endian, lengths big-endian: that is the format's history, not a slip.
 * Sources: "Redis RDB File Format" (rdb.fnordig.de), the E-BNF of the redis-replicator project's wiki, and files
 * written and judged by redis-server and redis-check-rdb 7.0.15, by Redis 8.0.6 (12) and by
 * Valkey 9.1.2 (VALKEY080). */
#ifndef SLIPSTREAM_RDB_FORMAT_H
#define SLIPSTREAM_RDB_FORMAT_H

#define RDB_MAGIC                 "REDIS"
#define RDB_MAGIC_VALKEY          "VALKEY"
#define RDB_HEADER_BYTES          9 /* with either magic */
#define RDB_VERSION_OFFSET        5 /* where a version that is not known is told to stand */
#define RDB_CHECKSUM_BYTES        8
#define RDB_CHECKSUM_SINCE        5 /* the version that brought it */
#define RDB_VERSION_LEAST         1
#define RDB_VERSION_MOST          12
#define RDB_VERSION_LEAST_WRITTEN 9           /* what any Redis since 5.0 loads */
#define RDB_VERSION_FUNCTION      10          /* brought opcode F5: Redis 7.0 */
#define RDB_VERSION_WITH_ACTIVITY 11          /* of streams' consumers */
#define RDB_VERSION_FIELD_EXPIRY  12          /* brought hashes whose fields expire: Redis 8 */
#define RDB_VERSION_VALKEY        80          /* Valkey's own; the numbers between are nobody's */
#define RDB_WRITER_VERSION        "7.2.4"     /* aux field redis-ver: the Redis whose behaviour this is */
#define RDB_STRING_MAX_BYTES      0xffffffffu /* Redis allows 512 MiB unless configured; beyond this it is damage */

enum rdb_opcode {
    RDB_OPCODE_SLOT_INFO = 0xF4,
    RDB_OPCODE_FUNCTION = 0xF5,
    RDB_OPCODE_FUNCTION_PRE_GA = 0xF6,
    RDB_OPCODE_MODULE_AUX = 0xF7,
    RDB_OPCODE_IDLE = 0xF8,
    RDB_OPCODE_FREQUENCY = 0xF9,
    RDB_OPCODE_AUX = 0xFA,
    RDB_OPCODE_RESIZE = 0xFB,
    RDB_OPCODE_EXPIRE_MS = 0xFC,
    RDB_OPCODE_EXPIRE_S = 0xFD,
    RDB_OPCODE_SELECT = 0xFE,
    RDB_OPCODE_END = 0xFF,
};

enum rdb_length {
    RDB_LENGTH_6_BITS = 0x00,
    RDB_LENGTH_14_BITS = 0x40,
    RDB_LENGTH_32_BITS = 0x80,
    RDB_LENGTH_64_BITS = 0x81,
    RDB_LENGTH_ENCODED = 0xC0, /* the string's encoding stands in the low 6 bits */
    RDB_LENGTH_FORM = 0xC0,    /* mask of the two bits that tell the form */
};

enum rdb_string_encoding {
    RDB_ENCODING_INT8 = 0,
    RDB_ENCODING_INT16 = 1,
    RDB_ENCODING_INT32 = 2,
    RDB_ENCODING_LZF = 3,
};

enum rdb_module_item {
    RDB_MODULE_END = 0,
    RDB_MODULE_SIGNED = 1,
    RDB_MODULE_UNSIGNED = 2,
    RDB_MODULE_FLOAT = 3,
    RDB_MODULE_DOUBLE = 4,
    RDB_MODULE_STRING = 5,
};

/* Whose numbers the type bytes are. */
enum rdb_dialect { RDB_REDIS, RDB_VALKEY };

enum rdb_type {
    RDB_TYPE_STRING = 0,
    RDB_TYPE_LIST = 1,
    RDB_TYPE_SET = 2,
    RDB_TYPE_ZSET = 3, /* scores as text */
    RDB_TYPE_HASH = 4,
    RDB_TYPE_ZSET_2 = 5,      /* scores as 8-byte doubles, since version 8 */
    RDB_TYPE_MODULE = 6,      /* without framing, version 8 */
    RDB_TYPE_MODULE_2 = 7,    /* framed in module items */
    RDB_TYPE_HASH_ZIPMAP = 9, /* until version 4 */
    RDB_TYPE_LIST_ZIPLIST = 10,
    RDB_TYPE_SET_INTSET = 11,
    RDB_TYPE_ZSET_ZIPLIST = 12,
    RDB_TYPE_HASH_ZIPLIST = 13,
    RDB_TYPE_LIST_QUICKLIST = 14,   /* since version 7 */
    RDB_TYPE_STREAM_LISTPACKS = 15, /* since version 9 */
    RDB_TYPE_HASH_LISTPACK = 16,    /* since version 10 */
    RDB_TYPE_ZSET_LISTPACK = 17,
    RDB_TYPE_LIST_QUICKLIST_2 = 18,
    RDB_TYPE_STREAM_LISTPACKS_2 = 19,
    RDB_TYPE_SET_LISTPACK = 20, /* since version 11 */
    RDB_TYPE_STREAM_LISTPACKS_3 = 21,
    RDB_TYPE_HASH_METADATA_PRE_GA = 22, /* version 12: hashes whose fields expire */
    RDB_TYPE_HASH_LISTPACK_EX_PRE_GA = 23,
    RDB_TYPE_HASH_METADATA = 24,
    RDB_TYPE_HASH_LISTPACK_EX = 25,
    RDB_TYPE_VALKEY_HASH_2, /* hashes whose fields expire: 22 on the wire, where the magic is Valkey's */
    RDB_TYPES
};

#endif
