/* The two magics: what each version is, and whose a type's number is. Bytes are composed here. */
#include "rdb/dump.h"
#include "rdb/reader.h"
#include "server/base/crc64.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define NO_CHECKSUM "\0\0\0\0\0\0\0\0"
#define READ(text)  read_whole((const uint8_t *)(text), sizeof(text) - 1)

static char error[320];

/* The keys that were read; -1: `error` says why not. */
static int read_whole(const uint8_t *file, size_t len)
{
    struct rdb_read_options options = {.verify_only = true};
    struct rdb_reader *reader = rdb_reader_new(NULL, &options);
    size_t consumed;
    bool done = rdb_reader_feed(reader, file, len, 0, &consumed) == RDB_DONE;
    int keys = done ? (int)rdb_reader_result(reader)->keys_loaded : -1;
    snprintf(error, sizeof error, "%s", rdb_reader_error(reader));
    rdb_reader_free(reader);
    return keys;
}

Test(rdb_dialects, each_magic_has_its_versions)
{
    cr_assert_eq(READ("REDIS0012\xfe\0\0\1k\1v\xff" NO_CHECKSUM), 1);
    cr_assert_eq(READ("VALKEY080\xfe\0\0\1k\1v\xff" NO_CHECKSUM), 1);
    cr_assert_eq(READ("VALKEY081\xff" NO_CHECKSUM), -1);
    cr_assert(strstr(error, "Can't handle RDB format version 81 of Valkey"), "%s", error);
    cr_assert_eq(READ("VALKEY012\xff" NO_CHECKSUM), -1);
    cr_assert_eq(READ("REDIS0080\xff" NO_CHECKSUM), -1);
    cr_assert_eq(READ("VALKE0080\xff" NO_CHECKSUM), -1);
    cr_assert(strstr(error, "Wrong signature"), "%s", error);
}

Test(rdb_dialects, the_magic_says_whose_a_number_is)
{
    cr_assert_eq(READ("REDIS0012\xfe\0\x16\1k"), -1);
    cr_assert(strstr(error, "type 22 (hash-metadata-pre-release)"), "%s", error);
    cr_assert_eq(READ("REDIS0012\xfe\0\x17\1k"), -1);
    cr_assert(strstr(error, "type 23 (hash-listpack-ex-pre-release)"), "%s", error);
    cr_assert_eq(READ("VALKEY080\xfe\0\x18\1k"), -1);
    cr_assert(strstr(error, "Invalid object type: 24"), "%s", error);
    cr_assert_eq(READ("REDIS0012\xfe\0\x1a\1k"), -1);
    cr_assert(strstr(error, "Invalid object type: 26"), "%s", error);
    for (unsigned byte = 0; byte < 256; byte++) {
        uint8_t redis = rdb_type_of_byte(RDB_REDIS, (uint8_t)byte),
                valkey = rdb_type_of_byte(RDB_VALKEY, (uint8_t)byte);
        if (redis != RDB_TYPES) cr_assert_eq(rdb_type_byte(redis), byte);
        if (valkey != RDB_TYPES) cr_assert_eq(rdb_type_byte(valkey), byte);
        cr_assert_eq(redis == valkey, byte <= 21 || byte > 25, "byte %u", byte);
    }
}

static bool takes_version(unsigned version)
{
    uint8_t payload[] = {0, 1, 'v', (uint8_t)version, (uint8_t)(version >> 8), 0, 0, 0, 0, 0, 0, 0, 0};
    uint64_t sum = crc64(0, payload, 5);
    for (int i = 0; i < 8; i++) payload[5 + i] = (uint8_t)(sum >> 8 * i);
    struct bytes bytes = bytes_make(payload, sizeof payload);
    struct rdb_restored restored;
    if (!rdb_payload_intact(bytes, true)) return false;
    cr_assert(rdb_restore(bytes, true, &restored));
    rdb_restored_drop(&restored);
    return true;
}

Test(rdb_dialects, a_plain_string_in_a_payload_of_valkey)
{
    cr_assert(takes_version(12));
    cr_assert(takes_version(80));
    cr_assert_not(takes_version(13));
    cr_assert_not(takes_version(79));
    cr_assert_not(takes_version(81));
}
