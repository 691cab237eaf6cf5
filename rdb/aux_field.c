/* The named fields at the head of an RDB, kept and logged as they are read. Server process and checker. */
#include "rdb/aux_field.h"

#include "server/base/log.h"
#include "server/base/number.h"

void rdb_aux_field_init(struct rdb_aux *aux)
{
    *aux = (struct rdb_aux){.repl_offset = -1, .repl_stream_db = -1};
}

void rdb_aux_field_read(struct rdb_aux *aux, struct bytes name, struct bytes value)
{
    if (bytes_equal(name, BYTES("repl-id"))) {
        if (value.len != sizeof aux->repl_id - 1) return;
        memcpy(aux->repl_id, value.ptr, value.len);
        aux->repl_id[value.len] = '\0';
        return;
    }
    int64_t number;
    if (parse_i64(value, &number) != 0) return;
    if (bytes_equal(name, BYTES("repl-stream-db"))) {
        aux->repl_stream_db = number >= 0 && number <= INT32_MAX ? (int)number : -1;
    } else if (bytes_equal(name, BYTES("repl-offset"))) {
        aux->repl_offset = number;
    } else if (bytes_equal(name, BYTES("ctime"))) {
        aux->created_s = number;
    } else if (bytes_equal(name, BYTES("used-mem"))) {
        aux->used_memory = number > 0 ? (uint64_t)number : 0;
    } else if (bytes_equal(name, BYTES("aof-base"))) {
        aux->aof_base = number != 0;
    }
}

void rdb_aux_field_log(const struct rdb_aux *aux, struct bytes name, struct bytes value, int64_t now_ms)
{
    int shown = value.len < 100 ? (int)value.len : 100;
    if (bytes_equal(name, BYTES("redis-ver"))) {
        log_notice("Loading RDB produced by version %.*s", shown, (const char *)value.ptr);
    } else if (bytes_equal(name, BYTES("ctime"))) {
        int64_t age_s = now_ms / 1000 - aux->created_s;
        log_notice("RDB age %lld seconds", (long long)(age_s > 0 ? age_s : 0));
    } else if (bytes_equal(name, BYTES("used-mem"))) {
        log_notice("RDB memory usage when created %.2f Mb", (double)aux->used_memory / (1024 * 1024));
    } else if (name.len > 0 && name.ptr[0] == '%') {
        /* A percent sign marks what whoever made the file wants said. */
        log_notice("RDB '%.*s': %.*s", name.len < 100 ? (int)name.len : 100, (const char *)name.ptr, shown,
                   (const char *)value.ptr);
    }
}
