/* Values to and from payloads, through the same rows as a file's. Server process. */
#include "rdb/dump.h"

#include <endian.h>

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/crc64.h"

#define VERSION_BYTES 2
/* Strings that have been unpacked are let go between elements beyond this. */
#define UNPACKED_MOST_BYTES ((size_t)1024 * 1024)

/* --- save --- */

int rdb_payload_append(void *context, const uint8_t *data, size_t len)
{
    struct rdb_payload *p = context;
    size_t needed = p->len + len;
    if (!p->data || mem_size(p->data) < needed) p->data = mem_realloc(p->data, p->len ? 2 * needed : needed);
    memcpy(p->data + p->len, data, len);
    p->len = needed;
    return 0;
}

struct rdb_payload rdb_dump(const struct record *r, bool compress, enum rdb_write_for write_for)
{
    struct rdb_payload payload = {0};
    struct rdb_encoder out;
    const struct rdb_type_saver *saver = rdb_type_saver(record_type(r));
    CHECK(saver);
    uint8_t type = saver->type(r, write_for);
    if (type == RDB_TYPES) return payload;
    unsigned version = rdb_type_version(type);

    rdb_encoder_init_small(&out, compress, true, rdb_payload_append, &payload);
    out.write_for = write_for;
    rdb_put_u8(&out, rdb_type_byte(type));
    saver->save(&out, r);
    rdb_put_u8(&out, (uint8_t)version);
    rdb_put_u8(&out, (uint8_t)(version >> 8));
    rdb_put_checksum(&out);
    rdb_encoder_free(&out);
    return payload;
}

/* --- load --- */

static const uint8_t *footer_of(struct bytes payload)
{
    return payload.ptr + payload.len - RDB_PAYLOAD_FOOTER_BYTES;
}

unsigned rdb_payload_version(struct bytes payload)
{
    const uint8_t *footer = footer_of(payload);
    return (unsigned)(footer[0] | footer[1] << 8);
}

bool rdb_payload_intact(struct bytes payload, bool check_sum)
{
    if (payload.len < RDB_PAYLOAD_FOOTER_BYTES) return false;
    const uint8_t *footer = footer_of(payload);
    unsigned version = rdb_payload_version(payload);
    if (version > RDB_VERSION_MOST && version != RDB_VERSION_VALKEY) return false;
    if (!check_sum) return true;
    uint64_t checksum;
    memcpy(&checksum, footer + VERSION_BYTES, sizeof checksum);
    return le64toh(checksum) == crc64(0, payload.ptr, payload.len - RDB_CHECKSUM_BYTES);
}

static bool read_elements(struct rdb_restored *out)
{
    struct rdb_builder *builder = &out->builder;
    for (; builder->remaining > 0; builder->remaining--) {
        if (out->in.arena_bytes > UNPACKED_MOST_BYTES) rdb_arena_clear(&out->in);
        if (!builder->loader->element(&out->in, builder)) return false;
    }
    return out->in.at == out->in.end && !builder->empty;
}

bool rdb_restore(struct bytes payload, bool sanitize, struct rdb_restored *out)
{
    *out = (struct rdb_restored){
        .in = {.window = payload.ptr,
               .at = payload.ptr,
               .end = payload.ptr + payload.len - RDB_PAYLOAD_FOOTER_BYTES,
               .sanitize = sanitize},
        .counted_before = mem_counter_bytes(mem_my_counter()),
        .dialect = rdb_payload_version(payload) == RDB_VERSION_VALKEY ? RDB_VALKEY : RDB_REDIS,
        .version = rdb_payload_version(payload),
    };
    uint8_t type_byte;
    if (!rdb_read_u8(&out->in, &type_byte)) return false;
    uint8_t type = rdb_type_of_byte(out->dialect, type_byte);
    const struct rdb_type_loader *loader = rdb_type_loader(type);
    if (!loader) {
        const char *name = rdb_type_name(type);
        if (name) rdb_bad(&out->in, 0, "values of type %d (%s) are not supported", type_byte, name);
        return false;
    }
    if (!loader->begin(&out->in, &out->builder)) {
        rdb_arena_release(&out->in);
        return false;
    }
    out->builder.loader = loader;
    if (read_elements(out)) return true;
    rdb_restored_drop(out);
    return false;
}

struct record *rdb_restored_store(struct rdb_restored *restored, struct database *db, struct bytes key, uint64_t hash)
{
    struct record *r = restored->builder.loader->finish(&restored->builder, db, key, hash);
    rdb_arena_release(&restored->in);
    return r;
}

void rdb_restored_drop(struct rdb_restored *restored)
{
    const struct rdb_cursor *in = &restored->in;
    ptrdiff_t taken = mem_counter_bytes(mem_my_counter()) - restored->counted_before - (ptrdiff_t)in->arena_bytes;
    rdb_builder_drop(&restored->builder, (uint64_t)(in->end - in->window), taken > 0 ? (size_t)taken : 0);
    rdb_arena_release(&restored->in);
}
