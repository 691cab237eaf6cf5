/* The RDB reader, state by state: at start, in a full sync, for DEBUG RELOAD, to check. Server process and checker.
 *
 * The input is a window that may end anywhere. Reading goes in units: an opcode with its operands, a type with its key,
 * one element of a value. After each, `unit` moves up; a unit that is cut off is given back whole and read again when
 * there is more. So the only state across windows is what stands in struct rdb_reader.
 *
 * Keys are inserted some at a time: while a batch is being read, the hash table's buckets for its keys are on their way
 * into the cache. Keys and strings of a batch are slices of the window, so it never outlives the window. */
#include "rdb/reader.h"

#include <stdarg.h>
#include <stdio.h>

#include "rdb/aux_field.h"
#include "rdb/decode.h"
#include "rdb/delay.h"
#include "rdb/format.h"
#include "rdb/printable.h"
#include "rdb/type.h"
#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/crc64.h"
#include "server/base/log.h"
#include "server/keyspace/free_aside.h"

#define BATCH_KEYS 32
/* A batch with this much unpacked ends early. */
#define BATCH_UNPACKED_BYTES ((size_t)1024 * 1024)
/* The file's word for how many keys will come is believed this far when its size is unknown ... */
#define RESERVE_UNPROVEN_KEYS ((uint64_t)1024 * 1024)
/* ... else as far as so many smallest keys would fit, and never further than this: a size may be announced, too. */
#define KEY_LEAST_BYTES   4
#define RESERVE_MOST_KEYS ((uint64_t)64 * 1024 * 1024)
/* The log names so many keys that are skipped, and so many that are mended. */
#define EMPTY_KEYS_NAMED  10
#define MENDED_KEYS_NAMED 10

enum state { AT_HEADER, AT_OPCODE, AT_VALUE, IN_VALUE, IN_MODULE_AUX, AT_CHECKSUM, AT_END };

/* What opcodes have said about the key to come. */
struct attributes {
    int64_t expire_ms;
    int64_t idle_s;  /* -1: not said */
    int lfu_counter; /* -1: not said */
};

#define NO_ATTRIBUTES ((struct attributes){.expire_ms = RECORD_NO_EXPIRY, .idle_s = -1, .lfu_counter = -1})

struct pending {
    struct bytes key;
    uint64_t hash;
    uint64_t offset; /* of the type byte */
    struct attributes attributes;
    struct rdb_builder builder; /* its loader is NULL: nothing is held */
};

struct rdb_reader {
    struct keyspace *ks;
    struct database *db; /* NULL without a keyspace */
    uint64_t db_index, databases;
    uint64_t reserved_keys; /* so far, in all databases */
    struct rdb_read_options options;
    struct rdb_read_result result;

    struct rdb_cursor in;
    const uint8_t *unit;   /* everything before it has been read for good */
    const uint8_t *summed; /* everything before it is in crc */
    uint64_t crc;

    enum state state;
    bool head_told;
    const char *doing;
    int type; /* byte of the value being read; -1: none */
    struct attributes attributes;
    uint64_t keys_fed; /* in this call */
    /* So many values of the batch are whole; the one being read, in AT_VALUE and IN_VALUE, stands behind them. */
    size_t complete;
    struct pending batch[BATCH_KEYS];
    uint8_t *open_key; /* the key of the one being read, when it has outlived its window */
    char error[320];
};

static void trace(const struct rdb_reader *reader, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void trace(const struct rdb_reader *reader, const char *format, ...)
{
    if (!reader->options.trace) return;
    char line[512];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    reader->options.trace(reader->options.context, rdb_cursor_offset(&reader->in), line);
}

static uint64_t unit_offset(const struct rdb_reader *reader)
{
    return reader->in.window_offset + (uint64_t)(reader->unit - reader->in.window);
}

static bool in_value(const struct rdb_reader *reader)
{
    return reader->state == AT_VALUE || reader->state == IN_VALUE;
}

/* --- the batch --- */

static void drop(const struct rdb_reader *reader, struct pending *p)
{
    rdb_builder_drop(&p->builder, rdb_cursor_offset(&reader->in) - p->offset, 0);
}

static bool insert(struct rdb_reader *reader, struct pending *p)
{
    struct database *db = reader->db;
    if (unlikely(database_is_exhausted(db)))
        return rdb_bad(&reader->in, p->offset, "DB %llu is full after %zu keys: its records have 32 GiB, and no more",
                       (unsigned long long)reader->db_index, database_size(db));
    if (unlikely(keyspace_libraries(reader->ks)->meeting == DATASET_MERGES)) database_delete(db, p->key, p->hash, true);
    size_t before = database_size(db);
    struct record *r = p->builder.loader->finish(&p->builder, db, p->key, p->hash);
    p->builder.loader = NULL;
    if (unlikely(database_size(db) == before)) {
        char text[64];
        return rdb_bad(&reader->in, p->offset, "RDB has duplicated key '%s' in DB %llu", rdb_printable(p->key, text),
                       (unsigned long long)reader->db_index);
    }
    const struct attributes *attributes = &p->attributes;
    if (attributes->expire_ms != RECORD_NO_EXPIRY) r = database_set_expiry(db, r, attributes->expire_ms);
    if (attributes->idle_s >= 0 || attributes->lfu_counter >= 0) {
        database_set_access(db, r, attributes->idle_s, attributes->lfu_counter);
    }
    reader->result.keys_loaded++;
    if (unlikely(reader->options.key_load_delay_us)) {
        rdb_key_delay(reader->options.key_load_delay_us, reader->result.keys_loaded);
    }
    return true;
}

/* The key of the value being read moves out of the window and the arena. */
static bool keep_open_key(struct rdb_reader *reader, struct pending *p)
{
    if (p->key.ptr == reader->open_key) return true;
    uint8_t *copy = mem_try_alloc(p->key.len + 1);
    if (!copy) return rdb_bad(&reader->in, p->offset, "no memory for a key of %zu bytes", p->key.len);
    memcpy(copy, p->key.ptr, p->key.len);
    mem_free(reader->open_key);
    reader->open_key = copy;
    p->key.ptr = copy;
    return true;
}

/* Inserts what is whole. Afterwards nothing points into the window. */
static bool flush(struct rdb_reader *reader)
{
    bool good = true;
    for (size_t i = 0; i < reader->complete && good; i++) good = insert(reader, &reader->batch[i]);
    if (!good) return false;
    if (in_value(reader)) {
        struct pending *open = &reader->batch[reader->complete];
        if (!keep_open_key(reader, open)) return false;
        if (reader->complete > 0) {
            reader->batch[0] = *open;
            open->builder.loader = NULL;
        }
    }
    reader->complete = 0;
    rdb_arena_clear(&reader->in);
    return true;
}

/* --- values --- */

static bool read_key(struct rdb_reader *reader, uint8_t type_byte)
{
    uint8_t type = rdb_type_of_byte(reader->result.dialect, type_byte);
    const struct rdb_type_loader *loader = rdb_type_loader(type);
    if (unlikely(!loader)) {
        const char *name = rdb_type_name(type);
        if (!name) return rdb_bad(&reader->in, unit_offset(reader), "Invalid object type: %d", type_byte);
        return rdb_bad(&reader->in, unit_offset(reader), "values of type %d (%s) are not supported", type_byte, name);
    }
    reader->doing = "read-key";
    struct bytes key;
    if (!rdb_read_bytes(&reader->in, &key)) return false;

    struct pending *p = &reader->batch[reader->complete];
    p->key = key;
    p->offset = unit_offset(reader);
    p->attributes = reader->attributes;
    p->builder = (struct rdb_builder){0};
    if (!reader->options.verify_only) {
        p->hash = key_hash(key);
        database_prefetch_bucket(reader->db, p->hash);
    }
    reader->attributes = NO_ATTRIBUTES;
    reader->type = type;
    reader->state = AT_VALUE;
    return true;
}

static bool begin_value(struct rdb_reader *reader)
{
    reader->doing = "read-object-value";
    struct rdb_builder *builder = &reader->batch[reader->complete].builder;
    const struct rdb_type_loader *loader = rdb_type_loader((uint8_t)reader->type);
    reader->in.flaws = 0;
    if (!loader->begin(&reader->in, builder)) return false;
    builder->loader = loader;
    reader->state = IN_VALUE;
    return true;
}

/* Some versions of Redis could save a collection without elements; like Redis, we make no key of it. */
static void skip_empty(struct rdb_reader *reader, struct pending *p)
{
    char text[64];
    if (++reader->result.keys_empty <= EMPTY_KEYS_NAMED && !reader->options.verify_only)
        log_warning("rdbLoadObject skipping empty key: %s", rdb_printable(p->key, text));
    drop(reader, p);
}

static void tell_mended(struct rdb_reader *reader, const struct pending *p)
{
    char text[64];
    const struct rdb_cursor *in = &reader->in;
    trace(reader, "Loading makes good (flaws: %u): %s", in->flaws, in->first_flaw);
    if (++reader->result.keys_mended > MENDED_KEYS_NAMED || reader->options.verify_only) return;
    log_warning("Key '%s' in DB %llu, at offset %llu, was mended while it was loaded (flaws: %u): %s%s",
                rdb_printable(p->key, text), (unsigned long long)reader->db_index, (unsigned long long)p->offset,
                in->flaws, in->first_flaw, in->flaws > 1 ? " ..." : "");
}

static bool complete_value(struct rdb_reader *reader)
{
    struct pending *p = &reader->batch[reader->complete];
    const struct rdb_read_options *options = &reader->options;
    if (unlikely(reader->in.flaws)) tell_mended(reader, p);
    reader->state = AT_OPCODE;
    reader->type = -1;
    reader->keys_fed++;
    if (unlikely(p->builder.empty)) {
        skip_empty(reader, p);
        return true;
    }

    int64_t expire_ms = p->attributes.expire_ms;
    if (expire_ms != RECORD_NO_EXPIRY) reader->result.keys_with_expiry++;
    reader->result.keys_with_field_expiry += p->builder.field_expiry;
    if (options->drop_expired && expire_ms != RECORD_NO_EXPIRY && expire_ms < options->now_ms) {
        reader->result.keys_expired++;
        if (options->expired) options->expired(options->context, (int)reader->db_index, p->key);
        drop(reader, p);
    } else if (options->verify_only) {
        reader->result.keys_loaded++;
        drop(reader, p);
    } else {
        reader->complete++;
    }
    if (reader->complete == BATCH_KEYS || reader->in.arena_bytes > BATCH_UNPACKED_BYTES) return flush(reader);
    return true;
}

static bool read_value(struct rdb_reader *reader)
{
    struct rdb_builder *builder = &reader->batch[reader->complete].builder;
    if (builder->remaining > 0) {
        if (!builder->loader->element(&reader->in, builder)) return false;
        builder->remaining--;
    }
    return builder->remaining > 0 || complete_value(reader);
}

/* --- opcodes --- */

static bool read_select(struct rdb_reader *reader)
{
    reader->doing = "read-len";
    uint64_t index;
    if (!rdb_read_length(&reader->in, &index)) return false;
    if (index >= reader->databases) {
        return rdb_bad(&reader->in, unit_offset(reader),
                       "DB %llu: the file was created with a server configured to handle more than %llu databases",
                       (unsigned long long)index, (unsigned long long)reader->databases);
    }
    if (reader->ks) {
        if (!flush(reader)) return false;
        reader->db = keyspace_database(reader->ks, (int)index);
    }
    reader->db_index = index;
    trace(reader, "Selecting DB ID %llu", (unsigned long long)index);
    return true;
}

static bool read_resize(struct rdb_reader *reader)
{
    reader->doing = "read-len";
    uint64_t keys, expiring;
    if (!rdb_read_length(&reader->in, &keys) || !rdb_read_length(&reader->in, &expiring)) return false;
    if (reader->options.verify_only) return true;
    uint64_t most = reader->options.total_bytes ? reader->options.total_bytes / KEY_LEAST_BYTES : RESERVE_UNPROVEN_KEYS;
    if (most > RESERVE_MOST_KEYS) most = RESERVE_MOST_KEYS;
    if (keys > most - reader->reserved_keys) keys = most - reader->reserved_keys;
    reader->reserved_keys += keys;
    database_reserve(reader->db, keys);
    return true;
}

static bool read_expiry(struct rdb_reader *reader, uint8_t opcode)
{
    reader->doing = "read-expire";
    if (opcode == RDB_OPCODE_EXPIRE_S) {
        uint32_t seconds;
        if (!rdb_read_u32(&reader->in, &seconds)) return false;
        reader->attributes.expire_ms = (int64_t)(int32_t)seconds * 1000;
        return true;
    }
    uint64_t ms;
    if (!rdb_read_u64(&reader->in, &ms)) return false;
    reader->attributes.expire_ms = (int64_t)ms;
    return true;
}

static bool read_idle(struct rdb_reader *reader)
{
    uint64_t idle_s;
    if (!rdb_read_length(&reader->in, &idle_s)) return false;
    reader->attributes.idle_s = idle_s < UINT32_MAX ? (int64_t)idle_s : UINT32_MAX;
    return true;
}

static bool read_frequency(struct rdb_reader *reader)
{
    uint8_t counter;
    if (!rdb_read_u8(&reader->in, &counter)) return false;
    reader->attributes.lfu_counter = counter;
    return true;
}

static bool read_aux(struct rdb_reader *reader)
{
    reader->doing = "read-aux";
    const struct rdb_read_options *options = &reader->options;
    struct bytes name, value;
    if (!rdb_read_bytes(&reader->in, &name) || !rdb_read_bytes(&reader->in, &value)) return false;
    rdb_aux_field_read(&reader->result.aux, name, value);
    int stream_db = reader->result.aux.repl_stream_db;
    if (options->stream_follows && stream_db >= 0 && (uint64_t)stream_db >= reader->databases) {
        return rdb_bad(&reader->in, unit_offset(reader),
                       "the stream behind it stands in DB %d, and there are only %llu databases here", stream_db,
                       (unsigned long long)reader->databases);
    }
    if (!options->verify_only) rdb_aux_field_log(&reader->result.aux, name, value, options->now_ms);
    trace(reader, "AUX FIELD %.*s = '%.*s'", (int)(name.len < 100 ? name.len : 100), (const char *)name.ptr,
          (int)(value.len < 300 ? value.len : 300), (const char *)value.ptr);
    if (options->aux) options->aux(options->context, name, value);
    return true;
}

static bool read_function(struct rdb_reader *reader)
{
    reader->doing = "read-functions";
    struct bytes source;
    if (!rdb_read_bytes(&reader->in, &source)) return false;
    char why[LIBRARY_ERROR_BYTES];
    if (reader->options.verify_only || libraries_add(keyspace_libraries(reader->ks), source, why) == 0) return true;
    return rdb_bad(&reader->in, unit_offset(reader), "Failed creating the function library: %s", why);
}

static bool read_slot_info(struct rdb_reader *reader)
{
    uint64_t slot, keys, expiring;
    return rdb_read_length(&reader->in, &slot) && rdb_read_length(&reader->in, &keys) &&
           rdb_read_length(&reader->in, &expiring);
}

/* A module's name is packed into its id: nine characters of six bits, above ten bits of version. */
static bool begin_module_aux(struct rdb_reader *reader)
{
    static const char characters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    reader->doing = "read-module-aux";
    uint64_t id;
    if (!rdb_read_length(&reader->in, &id)) return false;
    char name[10] = {0};
    for (int i = 0; i < 9; i++) name[i] = characters[id >> (58 - 6 * i) & 63];
    trace(reader, "MODULE AUX for: %s", name);
    if (!reader->options.verify_only) log_warning("Data of module '%s' in the RDB is skipped", name);
    reader->state = IN_MODULE_AUX;
    return true;
}

static bool read_module_item(struct rdb_reader *reader)
{
    struct rdb_cursor *in = &reader->in;
    uint64_t kind, number;
    struct rdb_string string;
    if (!rdb_read_length(in, &kind)) return false;
    switch (kind) {
    case RDB_MODULE_END: reader->state = AT_OPCODE; return true;
    case RDB_MODULE_SIGNED:
    case RDB_MODULE_UNSIGNED: return rdb_read_length(in, &number);
    case RDB_MODULE_FLOAT: return rdb_take(in, sizeof(float)) != NULL;
    case RDB_MODULE_DOUBLE: return rdb_take(in, sizeof(double)) != NULL;
    case RDB_MODULE_STRING:
        if (!rdb_read_string(in, &string)) return false;
        return in->arena_bytes <= BATCH_UNPACKED_BYTES || flush(reader);
    default: return rdb_bad(in, unit_offset(reader), "unknown module item %llu", (unsigned long long)kind);
    }
}

static void tell_head(struct rdb_reader *reader)
{
    reader->head_told = true;
    if (reader->options.head) reader->options.head(reader->options.context, &reader->result.aux);
}

static bool read_opcode(struct rdb_reader *reader)
{
    reader->doing = "read-type";
    uint8_t opcode;
    if (!rdb_read_u8(&reader->in, &opcode)) return false;
    if (unlikely(!reader->head_told && opcode != RDB_OPCODE_AUX)) tell_head(reader);
    if (likely(opcode < RDB_OPCODE_SLOT_INFO)) return read_key(reader, opcode);
    switch ((enum rdb_opcode)opcode) {
    case RDB_OPCODE_SLOT_INFO: return read_slot_info(reader);
    case RDB_OPCODE_FUNCTION: return read_function(reader);
    case RDB_OPCODE_FUNCTION_PRE_GA:
        return rdb_bad(&reader->in, unit_offset(reader), "Pre-release function format not supported.");
    case RDB_OPCODE_MODULE_AUX: return begin_module_aux(reader);
    case RDB_OPCODE_IDLE: return read_idle(reader);
    case RDB_OPCODE_FREQUENCY: return read_frequency(reader);
    case RDB_OPCODE_AUX: return read_aux(reader);
    case RDB_OPCODE_RESIZE: return read_resize(reader);
    case RDB_OPCODE_EXPIRE_MS:
    case RDB_OPCODE_EXPIRE_S: return read_expiry(reader, opcode);
    case RDB_OPCODE_SELECT: return read_select(reader);
    case RDB_OPCODE_END: reader->state = AT_CHECKSUM; return true;
    }
    UNREACHABLE();
}

/* --- the ends --- */

bool rdb_header_read(const uint8_t header[RDB_HEADER_BYTES], enum rdb_dialect *dialect, int *version)
{
    bool valkey = memcmp(header, RDB_MAGIC_VALKEY, sizeof RDB_MAGIC_VALKEY - 1) == 0;
    if (!valkey && memcmp(header, RDB_MAGIC, sizeof RDB_MAGIC - 1) != 0) return false;
    size_t digits = valkey ? sizeof RDB_MAGIC_VALKEY - 1 : sizeof RDB_MAGIC - 1;
    *dialect = valkey ? RDB_VALKEY : RDB_REDIS;
    *version = 0;
    for (size_t i = digits; i < RDB_HEADER_BYTES && header[i] >= '0' && header[i] <= '9'; i++)
        *version = *version * 10 + (header[i] - '0');
    return true;
}

static bool read_header(struct rdb_reader *reader)
{
    const uint8_t *header = rdb_take(&reader->in, RDB_HEADER_BYTES);
    if (!header) return false;
    if (!rdb_header_read(header, &reader->result.dialect, &reader->result.version))
        return rdb_bad(&reader->in, 0, "Wrong signature trying to load DB from file");
    int version = reader->result.version;
    bool known = reader->result.dialect == RDB_VALKEY ? version == RDB_VERSION_VALKEY
                                                      : version >= RDB_VERSION_LEAST && version <= RDB_VERSION_MOST;
    if (!known)
        return rdb_bad(&reader->in, RDB_VERSION_OFFSET, "Can't handle RDB format version %d%s", version,
                       reader->result.dialect == RDB_VALKEY ? " of Valkey" : "");
    if (!reader->options.verify_only) libraries_begin_reading(keyspace_libraries(reader->ks));
    reader->state = AT_OPCODE;
    return true;
}

static void add_to_checksum(struct rdb_reader *reader, const uint8_t *end)
{
    reader->crc = crc64(reader->crc, reader->summed, (size_t)(end - reader->summed));
    reader->summed = end;
}

static bool read_checksum(struct rdb_reader *reader)
{
    reader->doing = "check-sum";
    if (reader->result.version >= RDB_CHECKSUM_SINCE) {
        uint64_t stored;
        if (!rdb_read_u64(&reader->in, &stored)) return false;
        add_to_checksum(reader, reader->unit);
        if (stored == 0) {
            trace(reader, "RDB file was saved with checksum disabled: no check performed.");
        } else if (stored != reader->crc && !reader->options.ignore_checksum) {
            return rdb_bad(&reader->in, unit_offset(reader), "RDB CRC error: expected %016llx, computed %016llx",
                           (unsigned long long)stored, (unsigned long long)reader->crc);
        } else {
            trace(reader, "Checksum OK");
        }
    }
    if (!flush(reader)) return false;
    reader->state = AT_END;
    if (!reader->options.verify_only) {
        log_notice("Done loading RDB, keys loaded: %llu, keys expired: %llu, empty keys skipped: %llu.",
                   (unsigned long long)reader->result.keys_loaded, (unsigned long long)reader->result.keys_expired,
                   (unsigned long long)reader->result.keys_empty);
        if (reader->result.keys_mended > MENDED_KEYS_NAMED)
            log_warning("Keys mended while they were loaded: %llu", (unsigned long long)reader->result.keys_mended);
        size_t libraries = keyspace_libraries(reader->ks)->count;
        if (libraries) log_notice("Function libraries loaded: %zu", libraries);
    }
    return true;
}

/* One unit. False: cut off or bad. */
static bool read_unit(struct rdb_reader *reader)
{
    switch (reader->state) {
    case AT_HEADER: return read_header(reader);
    case AT_OPCODE: return read_opcode(reader);
    case AT_VALUE: return begin_value(reader);
    case IN_VALUE: return read_value(reader);
    case IN_MODULE_AUX: return read_module_item(reader);
    case AT_CHECKSUM: return read_checksum(reader);
    case AT_END: break;
    }
    return false;
}

/* Keys that are slowed down on purpose come back to the caller's loop after this long. */
#define SLOWED_TURN_US 10000

static size_t limit_for_delay(size_t max_keys, int delay_us)
{
    if (delay_us <= 0) return max_keys;
    size_t slowed = delay_us < SLOWED_TURN_US ? (size_t)(SLOWED_TURN_US / delay_us) : 1;
    return max_keys && max_keys < slowed ? max_keys : slowed;
}

/* Reads on until the input is cut off, wrong, at its end, or the caller's limit is reached. */
static void read_window(struct rdb_reader *reader, const uint8_t *input, size_t len, size_t max_keys)
{
    struct rdb_cursor *in = &reader->in;
    in->window = in->at = reader->unit = reader->summed = input;
    in->end = input + len;
    in->wanted_bytes = 0;
    reader->keys_fed = 0;
    while (reader->state != AT_END && !(max_keys && reader->keys_fed >= max_keys)) {
        if (!read_unit(reader)) return;
        reader->unit = in->at;
    }
    in->wanted_bytes = 0;
}

static enum rdb_status fail(struct rdb_reader *reader)
{
    snprintf(reader->error, sizeof reader->error, "at offset %llu: %s", (unsigned long long)reader->in.error_offset,
             reader->in.error);
    return RDB_BAD;
}

enum rdb_status rdb_reader_feed(struct rdb_reader *reader, const uint8_t *input, size_t len, size_t max_keys,
                                size_t *consumed)
{
    struct rdb_cursor *in = &reader->in;
    *consumed = 0;
    if (in->bad) return RDB_BAD;
    if (reader->state == AT_END) return RDB_DONE;

    read_window(reader, input, len, limit_for_delay(max_keys, reader->options.key_load_delay_us));
    if (in->bad || !flush(reader)) return fail(reader);

    if (reader->state != AT_END) add_to_checksum(reader, reader->unit);
    *consumed = (size_t)(reader->unit - input);
    reader->result.bytes += *consumed;
    in->window_offset += *consumed;
    in->window = in->at = in->end = reader->unit;
    if (in->wanted_bytes) in->wanted_bytes -= *consumed;
    return reader->state == AT_END ? RDB_DONE : RDB_MORE;
}

struct rdb_reader *rdb_reader_new(struct keyspace *ks, const struct rdb_read_options *options)
{
    CHECK(ks || options->verify_only);
    struct rdb_reader *reader = mem_calloc(1, sizeof *reader);
    reader->ks = ks;
    reader->db = ks ? keyspace_database(ks, 0) : NULL;
    reader->options = *options;
    reader->databases = ks                   ? (uint64_t)keyspace_databases(ks)
                        : options->databases ? (uint64_t)options->databases
                                             : UINT64_MAX;
    reader->in.sanitize = options->sanitize;
    reader->doing = "start";
    reader->type = -1;
    reader->attributes = NO_ATTRIBUTES;
    rdb_aux_field_init(&reader->result.aux);
    return reader;
}

void rdb_reader_free(struct rdb_reader *reader)
{
    if (!reader) return;
    for (size_t i = 0; i < BATCH_KEYS; i++) drop(reader, &reader->batch[i]);
    rdb_arena_release(&reader->in);
    free_aside_memory(reader->open_key);
    mem_free(reader);
}

const char *rdb_reader_error(const struct rdb_reader *reader)
{
    return reader->error;
}

size_t rdb_reader_wanted(const struct rdb_reader *reader)
{
    return reader->in.wanted_bytes;
}

struct rdb_position rdb_reader_position(const struct rdb_reader *reader)
{
    return (struct rdb_position){
        .offset = reader->in.bad ? reader->in.error_offset : rdb_cursor_offset(&reader->in),
        .doing = reader->doing,
        .reason = reader->in.error,
        .type = reader->type,
        .key = in_value(reader) ? reader->batch[reader->complete].key : (struct bytes){0},
    };
}

const struct rdb_read_result *rdb_reader_result(const struct rdb_reader *reader)
{
    return &reader->result;
}
