/* The whole keyspace, written: header, aux fields, function libraries, each database's keys in walking order, checksum.
 * Server process and snapshot child. */
#include "rdb/writer.h"

#include <errno.h>
#include <stdio.h>

#include "rdb/delay.h"
#include "rdb/encode.h"
#include "rdb/form.h"
#include "rdb/format.h"
#include "rdb/type.h"
#include "server/base/check.h"
#include "server/base/log.h"

#define KEYS_PER_PROGRESS 4096

struct save {
    struct rdb_encoder out;
    struct keyspace *ks;
    const struct rdb_write_options *options;
    unsigned version;
    uint64_t keys;
    bool stopped;
};

static void put_aux(struct rdb_encoder *out, struct bytes name, struct bytes value)
{
    rdb_put_u8(out, RDB_OPCODE_AUX);
    rdb_put_string(out, name);
    rdb_put_string(out, value);
}

static void put_aux_number(struct rdb_encoder *out, struct bytes name, int64_t value)
{
    rdb_put_u8(out, RDB_OPCODE_AUX);
    rdb_put_string(out, name);
    rdb_put_integer(out, value);
}

/* Redis 6.2 has none, and reads no file that has any. */
static bool has_libraries_to_write(struct keyspace *ks, enum rdb_write_for write_for)
{
    size_t count = keyspace_libraries(ks)->count;
    if (count > 0 && write_for == RDB_FOR_6_2)
        log_notice("Function libraries left out of an RDB for Redis 6.2 (rdb-write-for): %zu", count);
    return count > 0 && write_for != RDB_FOR_6_2;
}

static unsigned version_with_libraries(unsigned version, bool libraries)
{
    return libraries && version < RDB_VERSION_FUNCTION ? RDB_VERSION_FUNCTION : version;
}

static void put_head(struct rdb_encoder *out, const struct rdb_aux *aux, unsigned version)
{
    char header[RDB_HEADER_BYTES + 1];
    if (version == RDB_VERSION_VALKEY)
        snprintf(header, sizeof header, RDB_MAGIC_VALKEY "%03u", version);
    else
        snprintf(header, sizeof header, RDB_MAGIC "%04u", version % 10000);
    rdb_put_raw(out, header, RDB_HEADER_BYTES);

    put_aux(out, BYTES("redis-ver"), BYTES(RDB_WRITER_VERSION));
    put_aux_number(out, BYTES("redis-bits"), 8 * sizeof(void *));
    put_aux_number(out, BYTES("ctime"), aux->created_s);
    put_aux_number(out, BYTES("used-mem"), (int64_t)aux->used_memory);
    if (aux->repl_id[0]) {
        if (aux->repl_stream_db >= 0) put_aux_number(out, BYTES("repl-stream-db"), aux->repl_stream_db);
        put_aux(out, BYTES("repl-id"), bytes_from_text(aux->repl_id));
        put_aux_number(out, BYTES("repl-offset"), aux->repl_offset);
    }
    put_aux_number(out, BYTES("aof-base"), aux->aof_base);
}

static void put_libraries(struct rdb_encoder *out, const struct libraries *libraries)
{
    for (size_t i = 0; i < libraries->count; i++) {
        rdb_put_u8(out, RDB_OPCODE_FUNCTION);
        rdb_put_string(out, libraries->sources[i]);
    }
}

/* Redis, too, writes of a key's last use only what the policy goes by. */
static void put_access(struct save *save, const struct record *r)
{
    switch (keyspace_access_kind(save->ks)) {
    case ACCESS_NONE: break;
    case ACCESS_IDLE:
        rdb_put_u8(&save->out, RDB_OPCODE_IDLE);
        rdb_put_length(&save->out, (uint64_t)keyspace_idle_s(save->ks, r));
        break;
    case ACCESS_FREQUENCY:
        rdb_put_u8(&save->out, RDB_OPCODE_FREQUENCY);
        rdb_put_u8(&save->out, (uint8_t)keyspace_lfu(save->ks, r));
        break;
    }
}

/* Every few thousand keys; each key where keys are slowed down. */
static bool progress_due(const struct save *save)
{
    return save->keys % KEYS_PER_PROGRESS == 0 || save->options->key_save_delay_us > 0;
}

static int put_record(void *arg, struct record *r)
{
    struct save *save = arg;
    struct rdb_encoder *out = &save->out;
    const struct rdb_write_options *options = save->options;
    const struct rdb_type_saver *saver = rdb_type_saver(record_type(r));
    CHECK(saver);

    int64_t expire_ms = record_expire_ms(r);
    if (expire_ms != RECORD_NO_EXPIRY) {
        rdb_put_u8(out, RDB_OPCODE_EXPIRE_MS);
        rdb_put_u64(out, (uint64_t)expire_ms);
    }
    put_access(save, r);
    uint8_t type = saver->type(r, out->write_for);
    CHECK(type != RDB_TYPES && rdb_type_version(type) <= save->version); /* else no one could read the file */
    rdb_put_u8(out, rdb_type_byte(type));
    rdb_put_string(out, record_key(r));
    saver->save(out, r);

    save->keys++;
    if (unlikely(options->key_save_delay_us)) rdb_key_delay(options->key_save_delay_us, save->keys);
    if (options->progress && progress_due(save)) {
        save->stopped = options->progress(options->progress_context, save->keys, rdb_encoder_bytes(out)) != 0;
    }
    return out->error != 0 || save->stopped;
}

static bool refuses(struct keyspace *ks, enum rdb_write_for write_for)
{
    char why[RDB_FORM_WHY_BYTES];
    if (rdb_form_holds(ks, write_for, why)) return false;
    log_warning("No RDB for %s is written: %s", rdb_form_reader(write_for), why);
    errno = ENOTSUP;
    return true;
}

int rdb_write_keyspace(struct keyspace *ks, const struct rdb_aux *aux, const struct rdb_write_options *options,
                       rdb_sink sink, void *sink_context)
{
    struct save save = {.ks = ks, .options = options};
    struct rdb_encoder *out = &save.out;
    if (!options->libraries_only && refuses(ks, options->write_for)) return -1;
    rdb_encoder_init(out, options->compress, options->checksum, sink, sink_context);

    bool libraries = has_libraries_to_write(ks, options->write_for);
    out->write_for = rdb_form_settled(ks, options->write_for);
    unsigned version = options->libraries_only ? RDB_VERSION_LEAST_WRITTEN : rdb_form_version(ks, out->write_for);
    save.version = version_with_libraries(version, libraries);
    put_head(out, aux, save.version);
    if (libraries) put_libraries(out, keyspace_libraries(ks));
    int databases = options->libraries_only ? 0 : keyspace_databases(ks);
    for (int i = 0; i < databases && !out->error && !save.stopped; i++) {
        struct database *db = keyspace_database(ks, i);
        if (database_size(db) == 0) continue;
        rdb_put_u8(out, RDB_OPCODE_SELECT);
        rdb_put_length(out, (uint64_t)i);
        rdb_put_u8(out, RDB_OPCODE_RESIZE);
        rdb_put_length(out, database_size(db));
        rdb_put_length(out, database_expiring(db));
        database_walk(db, put_record, &save);
    }
    if (!save.stopped) {
        rdb_put_u8(out, RDB_OPCODE_END);
        rdb_put_checksum(out);
        if (options->progress && !out->error) {
            options->progress(options->progress_context, save.keys, rdb_encoder_bytes(out));
        }
    }

    int error = out->error ? out->error : save.stopped ? ECANCELED : 0;
    rdb_encoder_free(out);
    if (error == 0) return 0;
    errno = error;
    return -1;
}
